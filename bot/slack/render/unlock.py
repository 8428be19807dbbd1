"""The message of a request to unlock, from the checklist to the outcome.

Its first sentence is the answer. A stage that ends without a release says whether anything was changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import TypeAlias

from bot.core.gate.case import Effect, Rule, Ruling, Verdict
from bot.core.gate.ending import short_name
from bot.core.gate.stages import UnlockStage
from bot.core.lock import APPLY, PLAN, DigestMatch, LockInfo, PlaceKind, PlaceRelease, ReleaseResult
from bot.core.people import BOT
from bot.core.phrase import Command, Person, Phrase, Quoted, joined
from bot.core.policy import Approvers
from bot.core.reports.button import ButtonValue
from bot.core.reports.hold import Hold
from bot.core.reports.unlock import UnlockReport
from bot.ports.messenger import Message
from bot.slack.render import facts
from bot.slack.render.blocks import Block, Newer, actions, button, context, folded, message, sections
from bot.slack.render.controls import lock_of, unlock_controls
from bot.slack.render.facts import Fact, command
from bot.slack.render.icons import Icon
from bot.slack.render.mrkdwn import mrkdwn
from bot.slack.render.page import CHECK, at_hand, dotted, lines, notification, sentence
from bot.slack.render.status import CHECKLIST
from bot.slack.render.table import table
from bot.slack.render.verdict import (
    advice,
    because,
    check,
    checklist,
    deciding,
    in_the_way,
    is_persons,
    refusal,
    tally,
)

_Facts: TypeAlias = Iterable[Fact]

_UNCHANGED = "Nothing was changed."
_SHORT_ID = 8

_RESULTS = {
    ReleaseResult.RELEASED: "was released",
    ReleaseResult.ALREADY_FREE: "was already free",
    ReleaseResult.HOLDER_CHANGED: "has another lock now",
    ReleaseResult.THROTTLED: "was throttled",
    ReleaseResult.NOT_SENT: "was not touched",
    ReleaseResult.NOT_KNOWN: "gave no clear answer",
    ReleaseResult.DENIED: "can't be deleted with our rights",
}


def unlock_message(report: UnlockReport) -> Message:
    """The request's message at its present stage."""
    told = _at_hand(_WORDS[report.stage](report), report)
    return message(
        notification(told[0]),
        sections(lines(told), budget=4_500),
        actions(*unlock_controls(report)),
        _proof(report),
        context(mrkdwn(_at_hand([Fact("", _small(report))], report)[0].phrase, most=800)),
    )


def _proof(report: UnlockReport) -> Newer | list[Block]:
    """The checklist: in full in a dry run, behind one line where the message is about it, else in the thread."""
    is_announced = report.request.is_automatic and report.stage is UnlockStage.ARMED
    if report.verdict is None or not (report.stage in _LISTED or is_announced):
        return []
    advised = facts.claim_advice(report.inspection) if report.inspection is not None else ()
    told = (*checklist(report.verdict), *((Fact("", advised),) if advised else ()))
    rows = lines(_at_hand(told, report), most=CHECK)
    title = tally(report.verdict, _now(report))
    if report.stage is UnlockStage.DRY_RUN:
        return sections([f"*{title}*", *rows], budget=4_500)
    value = ButtonValue(report.request.state, report.request.lock_id, report.request.id)
    return folded(title, rows, show=button("Show checklist", CHECKLIST, value), budget=4_500)


_LISTED = frozenset({UnlockStage.CHECKED, UnlockStage.DRY_RUN, UnlockStage.REFUSED})
"""Stages that are about the checklist."""


def _small(report: UnlockReport) -> Phrase:
    """Who wanted it, which lock, which run, and the request's number."""
    lock, request = lock_of(report), report.request
    tied = report.inspection.attribution if report.inspection is not None else None
    run: Phrase = (short_name(tied.candidates[0].run),) if tied is not None and len(tied.candidates) == 1 else ()
    of: Phrase = () if lock is None or (run and report.stage in _LISTED) else (" of ", *facts.who(lock))
    named: Phrase = ("lock ", Quoted(request.lock_id[:_SHORT_ID]), *of) if request.lock_id else ()
    is_asked = report.stage in {UnlockStage.CHECKED, UnlockStage.ARMED} and not request.is_automatic
    took: Phrase = ("took ", report.took) if report.took is not None and report.stage is UnlockStage.RELEASED else ()
    return dotted(
        *(_armed_by(report) if report.stage is UnlockStage.ARMED else ()),
        () if is_asked or report.stage is UnlockStage.ALREADY_FREE else _asked(report),
        took,
        named if report.stage is not UnlockStage.ARMED or report.by == BOT else (),
        run if report.stage in _LISTED else (),
        ("request ", Quoted(request.id)),
    )


def _armed_by(report: UnlockReport) -> Iterable[Phrase]:
    if report.by == BOT:
        return
    yield ("set by ", Person(report.by or report.request.user, ""))
    if report.until is not None:
        yield ("gives up at ", report.until)
    if report.inspection is not None:
        yield ("updated ", report.inspection.at)


def _asked(report: UnlockReport) -> Phrase:
    if report.request.is_automatic:
        return ("nobody asked: the configuration unlocks it automatically (auto_release)",)
    approved: Phrase = (", ", Person(report.approver, ""), " approved") if report.approver else ()
    others = report.by not in {"", BOT, report.request.user, report.approver}
    clicked: Phrase = (", ", Person(report.by, ""), " clicked") if others else ()
    return (Person(report.request.user, ""), " asked", *clicked, *approved)


def _reason(report: UnlockReport) -> Phrase:
    """Who asks, and why, as they typed it."""
    request = report.request
    if request.is_automatic:
        return ("Nobody asked: the configuration does (auto_release).",)
    said: Phrase = (": ", Quoted(request.reason), ".") if request.reason else (".",)
    return (Person(request.user, ""), " asked", *said)


# ── before anything is done


def _checked(report: UnlockReport) -> _Facts:
    yield from _answer(report, "")
    verdict = report.verdict
    asks = verdict is not None and verdict.ruling is Ruling.NEEDS_APPROVAL
    yield Fact("", (*_reason(report), *((" ", *_who_approves(report)) if asks else ())))
    yield from _note(report)


def _dry_run(report: UnlockReport) -> _Facts:
    yield from _answer(report, "Dry run: ")
    yield Fact("", ("A dry run never changes anything.",))
    verdict = report.verdict
    if verdict is not None and verdict.ruling is Ruling.NEEDS_APPROVAL:
        yield Fact("", _who_approves(report))
    if verdict is not None and verdict.ruling is not Ruling.REFUSE:
        wanted = verdict.ruling is Ruling.NEEDS_APPROVAL
        then = " asks a second person to approve." if wanted else " unlocks it after one more click."
        yield Fact("Next:", (command(f"unlock {report.request.state}"), then))
    yield from _note(report)


def _answer(report: UnlockReport, before: str) -> _Facts:
    verdict, name, inspection = report.verdict, report.request.state, report.inspection
    if verdict is None:
        yield Fact((f"{before}{name} could not be checked.",), (), Icon.UNKNOWN)
        yield Fact("Next:", ("Try again: ", command(f"unlock {name}"), "."))
        return
    match verdict.ruling:
        case Ruling.ALLOW:
            yield Fact((f"{before}{name} is safe to unlock.",), (), Icon.GOOD)
            yield from in_the_way(verdict)
        case Ruling.NEEDS_APPROVAL:
            head = f"{before}Unlocking {name} needs a second person{because(verdict)}."
            yield Fact((head,), (), Icon.APPROVAL)
            yield from in_the_way(verdict, said=frozenset({Rule.PROTECTED}) if because(verdict) else frozenset())
        case Ruling.REFUSE:
            yield from _refusal(report, before)
    if inspection is not None:
        yield from facts.places(inspection)
        yield from table(inspection)


def _passed(verdict: Verdict) -> str:
    passed, total = sum(one.effect is Effect.HOLDS for one in verdict.findings), len(verdict.findings)
    return f"All {total} checks passed." if passed == total else f"{passed} of {total} checks passed."


def _refusal(report: UnlockReport, before: str) -> _Facts:
    verdict, name, inspection = report.verdict, report.request.state, report.inspection
    if verdict is None:
        return
    if inspection is not None and (told := list(facts.hold(inspection))):
        yield from told
        return
    said = refusal(name, verdict, inspection)
    yield Fact((before, *said.label), said.phrase, said.icon)
    if inspection is not None and inspection.lock is not None:
        yield Fact("", facts.held(inspection, by_person=is_persons(verdict)))
    yield from in_the_way(verdict)
    yield Fact("Next:", _what_helps(report, verdict))


def _what_helps(report: UnlockReport, verdict: Verdict) -> Phrase:
    name = report.request.state
    if verdict.waiting_helps and verdict.until is not None:
        return ("“Unlock when safe” waits, and unlocks it then.",)
    helps = advice(verdict, name, report.inspection)
    return (*helps, " Or “Unlock when safe” waits, and unlocks it then.") if verdict.waiting_helps else helps


def _who_approves(report: UnlockReport) -> Phrase:
    until: Phrase = (" until ", report.until) if report.until else ()
    shows: Phrase = (" Who that is: ", command(f"who {report.request.state}"), ".")
    match report.approval.by:
        case Approvers.OWNER:
            return ("Only the owner of the lock can approve", *until, ".", *shows)
        case Approvers.GROUP:
            return ("Anyone in the approvers' group can approve", *until, ".", *shows)
    return ("Anyone else in this channel can approve", *until, ".")


def _armed(report: UnlockReport) -> _Facts:
    if report.by == BOT:
        yield from _announced(report)
        return
    name, verdict = report.request.state, report.verdict
    if verdict is not None and verdict.until is not None:
        at: Phrase = (f"{name} will unlock itself at about ", verdict.until)
        yield Fact(at, (" (", verdict.until - _now(report), " left)."), Icon.WAIT)
    else:
        yield Fact((f"{name} will unlock itself as soon as it is safe.",), (), Icon.WAIT)
    yield from _missing(report)
    yield from _note(report)


def _announced(report: UnlockReport) -> _Facts:
    """Nobody asked for it: what will happen when, on what proof, and how to stop it."""
    name, lock = report.request.state, lock_of(report)
    at: Phrase = (" at ", report.until) if report.until is not None else ()
    yield Fact((f"{name} will be unlocked automatically", *at, ", unless someone here stops it."), (), Icon.WAIT)
    if lock is not None:
        yield Fact("Lock:", _described(lock))
    if report.verdict is not None:
        holder, end = report.verdict[Rule.TIED].reason, report.verdict[Rule.DEAD].reason
        yield Fact("Why:", (_passed(report.verdict), " ", *sentence((*holder, "; ", *end))))
    yield Fact("", ("Everything is checked again before the lock is released. Nothing was changed yet.",))
    yield from _note(report)


def _missing(report: UnlockReport) -> _Facts:
    """What the gate still refuses for: the time that is left, or the reason where that is not known."""
    if report.verdict is None:
        yield Fact("", ("Checking now …",))
        return
    missing = deciding(report.verdict)
    if not missing:
        yield Fact("Waiting for:", ("the lock's store, which did not take it yet.",))
        return
    now = _now(report)
    timed = [(finding.rule, finding.until) for finding in missing if finding.until is not None and finding.until > now]
    if timed:
        yield Fact("Waiting for:", joined([(f"{rule} ", until - now) for rule, until in timed], " · "))
    known = {rule for rule, _ in timed}
    yield from (check(finding, says_until=False) for finding in missing if finding.rule not in known)


def _releasing(report: UnlockReport) -> _Facts:
    doing = "Swapping the lock of {} for a hold …" if report.request.hold_for else "Unlocking {} …"
    yield Fact((doing.format(report.request.state),), (), Icon.WAIT)
    yield from _steps(report)
    if report.tries:
        until: Phrase = ("; tflock tries until ", report.until) if report.until else ()
        yield Fact("Tries:", (str(report.tries), *until, "."))
    yield Fact("", ("This message will show how it ends.",))


# ── outcomes


def _released(report: UnlockReport) -> _Facts:
    name, lock = report.request.state, lock_of(report)
    if report.hold is not None:
        yield from _swapped(report, report.hold)
        return
    seen = report.inspection.seen.locks if report.inspection is not None else ()
    other = next((info for info in seen if info.id != report.request.lock_id), None)  # the other place had this one
    if other is None:
        yield Fact((f"{name} is unlocked.",), (" ", *_after_release(lock)), Icon.FREE)
    else:
        yield from _other_lock(report, other)
        yield Fact("Next:", ("See what it is: ", command(f"status {name}"), "."))
    is_plain = len(report.places) == 1 and report.places[0].result is ReleaseResult.RELEASED
    yield from () if is_plain else _place_outcomes(report.places)
    yield from _note(report)
    if report.inspection is not None and report.inspection.check.digest.match is DigestMatch.DIFFERS:
        yield Fact("Digest:", (*facts.digest_advice(report.inspection.check), "."), Icon.WARNING)


def _swapped(report: UnlockReport, hold: Hold) -> _Facts:
    """The dead lock is gone, and nobody could take it in between."""
    held: Phrase = (Person(hold.user, ""), " holds it until ", hold.until, ".")
    yield Fact((f"The dead lock of {hold.state} is gone, and ", *held), (), Icon.LOCKED)
    yield Fact("", ("The lock was swapped in one write: nobody could apply in between.",))
    yield Fact("Next:", ("See what the dead run left, then end the hold: ", command(f"hold {hold.state} off"), "."))
    yield from _note(report)


def _other_lock(report: UnlockReport, other: LockInfo) -> _Facts:
    """A lock that was there together with the released one, in the other place; or one that was taken since."""
    name = report.request.state
    if report.inspection is not None and report.inspection.seen.places_of(report.request.lock_id):
        yield Fact((f"{name} is still locked: its other place has another lock, which stays.",), (), Icon.WARNING)
    else:
        yield Fact((f"{name} is locked again: the old lock was released, and this one is new.",), (), Icon.WARNING)
    yield Fact("That lock:", _described(other))


_PLAN = Quoted("terraform plan")


def _after_release(lock: LockInfo | None) -> Phrase:
    if lock is None or not lock.operation:
        why = " before you apply: we don't know what the lock was for, so the state may be out of date."
        return ("Run ", _PLAN, why)
    if lock.operation == PLAN:
        return ("Run what was blocked.",)
    if lock.operation == APPLY:
        return ("Run ", _PLAN, " before you apply: the interrupted apply may have left the state out of date.")
    return ("Run ", _PLAN, " first and check what the interrupted ", *facts.operation(lock.operation), " left.")


def _already_free(report: UnlockReport) -> _Facts:
    yield Fact((f"{report.request.state} is already free.",), (" Run what was blocked.",), Icon.FREE)
    yield from _note(report)
    yield Fact("", (*_reason(report), " ", *_changed(report.places)))


def _holder_changed(report: UnlockReport) -> _Facts:
    yield Fact((f"{report.request.state} has another lock now.",), (" The lock that you saw is gone.",), Icon.BAD)
    if report.now_held_by is not None:
        yield Fact("Held now:", _described(report.now_held_by))
    yield from _steps(report)
    yield Fact("", _changed(report.places))
    if report.request.is_automatic or report.now_held_by is None:
        yield Fact("Next:", ("See what it is: ", _look(report), "."))
    else:
        see: Phrase = ("See what it is: ", _look(report), ".")
        yield Fact("Next:", (*see, " Or press the button: tflock checks it, and unlocks it when that is safe."))


def _partly_released(report: UnlockReport) -> _Facts:
    name, left, verdict = report.request.state, _named(report.left) or "other half", report.verdict
    refused = verdict if verdict is not None and verdict.ruling is not Ruling.ALLOW else None
    yield Fact((f"{name} is only half unlocked: the {left} is left.",), (), Icon.WARNING)
    if refused is not None:
        yield from in_the_way(refused)
    yield from _steps(report)
    deleted = any(part.result is ReleaseResult.RELEASED for part in report.places)
    gone = ("The other half is gone: this unlock deleted it before it was interrupted, or someone else did.",)
    yield Fact("", _changed(report.places) if deleted else gone)
    again: Phrase = ("Try again to release the rest: ", command(f"unlock {name}"), ".")
    yield Fact("Next:", ("Terraform still sees a lock. ", *(advice(refused, name) if refused else again)))


def _still_throttled(report: UnlockReport) -> _Facts:
    store, what = "DynamoDB", "the lock table"
    if report.places and not any(part.place.kind.is_in_table for part in report.places):
        place = report.places[0].place
        store, what = place.service or "the store", "the lock file" if place.kind is PlaceKind.FILE else "the lock"
    yield Fact((f"{report.request.state} is still locked: {store} is throttling {what}.",), (), Icon.WARNING)
    yield Fact("", (*_tried(report), *_changed(report.places)))
    yield from _steps(report)
    yield Fact("Next:", (f"Stop what is flooding {what}, then unlock again.",))


def _not_known(report: UnlockReport) -> _Facts:
    name = report.request.state
    yield Fact((f"We don't know whether {name} was unlocked.",), (" The store gave no clear answer.",), Icon.UNKNOWN)
    yield from _steps(report)
    yield Fact("", (*_tried(report), _other_locks(report)))
    yield Fact("Next:", ("See what is there now: ", _look(report), "."))


def _other_locks(report: UnlockReport) -> str:
    """What a request that may have arrived at any time can have done to the lock of someone else."""
    if report.inspection is None:  # a worker that ended had the evidence
        return ""
    if report.inspection.can.conditional:
        return "No other lock can have been touched."
    return "This backend releases whatever lock is there: one that was taken meanwhile may be gone."


def _look(report: UnlockReport) -> Command:
    """How to see the lock that is there now: some backends show none to who only looks."""
    shows_lock = report.inspection is None or report.inspection.can.shows_lock
    return command(f"{'status' if shows_lock else 'unlock'} {report.request.state}")


def _refused(report: UnlockReport) -> _Facts:
    verdict, name = report.verdict, report.request.state
    is_automatic = report.request.is_automatic
    how = " automatically" if is_automatic else ""
    mark = Icon.WAIT if verdict is not None and verdict.waiting_helps else Icon.BAD
    if verdict is not None and any(finding.rule is Rule.REQUESTER for finding in deciding(verdict)[:1]):
        yield refusal(name, verdict, report.inspection)
    else:
        yield Fact((f"{name} was not unlocked{how}: a check no longer passes.",), (), mark)
    if verdict is not None:
        yield from in_the_way(verdict)
    yield from _note(report)
    yield Fact("", _changed(report.places))
    if verdict is not None and verdict.ruling is Ruling.REFUSE and not is_automatic:
        yield Fact("Next:", _what_helps(report, verdict))
    else:
        yield Fact("Next:", ("Try again: ", command(f"unlock {name}"), "."))


def _expired(report: UnlockReport) -> _Facts:
    ended = f"The request to unlock {report.request.state} has ended."
    if report.request.is_automatic:
        ended = f"{report.request.state} is not unlocked automatically."
    yield Fact((ended,), (), Icon.WAIT)
    yield from _note(report)
    if report.verdict is not None:
        yield from _missing(report)
    yield Fact("", _changed(report.places))


def _declined(report: UnlockReport) -> _Facts:
    yield Fact((f"Unlock of {report.request.state} cancelled.",), (), Icon.BAD)
    yield from _note(report)
    yield Fact("", _changed(report.places))


def _failed(report: UnlockReport) -> _Facts:
    yield Fact((f"{report.request.state} could not be unlocked.",), (), Icon.BAD)
    yield from _steps(report)
    yield Fact("", (*_tried(report), *_changed(report.places)))
    yield Fact("Next:", ("See what is there now: ", _look(report), ". ", *_RIGHTS))


_RIGHTS: Phrase = (Quoted("tflock doctor"), " checks our rights.")

_WORDS: Mapping[UnlockStage, Callable[[UnlockReport], _Facts]] = {
    UnlockStage.DRY_RUN: _dry_run,
    UnlockStage.CHECKED: _checked,
    UnlockStage.ARMED: _armed,
    UnlockStage.RELEASING: _releasing,
    UnlockStage.RELEASED: _released,
    UnlockStage.ALREADY_FREE: _already_free,
    UnlockStage.HOLDER_CHANGED: _holder_changed,
    UnlockStage.PARTLY_RELEASED: _partly_released,
    UnlockStage.STILL_THROTTLED: _still_throttled,
    UnlockStage.NOT_KNOWN: _not_known,
    UnlockStage.REFUSED: _refused,
    UnlockStage.EXPIRED: _expired,
    UnlockStage.DECLINED: _declined,
    UnlockStage.FAILED: _failed,
}
"""Every stage, with its words; a test holds it complete."""


# ── pieces


def _now(report: UnlockReport) -> datetime:
    """When what the message shows was read."""
    return report.inspection.at if report.inspection is not None else report.request.asked_at


def _at_hand(told: _Facts, report: UnlockReport) -> list[Fact]:
    return at_hand(told, _now(report))


def _described(lock: LockInfo) -> Phrase:
    since: Phrase = (", since ", lock.created) if lock.is_since_known else (f"; {facts.SINCE_UNKNOWN.lower()}",)
    return (Quoted(lock.id), " of ", *facts.who(lock), *facts.purpose(lock), *since, ".")


def _note(report: UnlockReport) -> _Facts:
    if report.note:
        yield Fact("", sentence(report.note))


def _steps(report: UnlockReport) -> _Facts:
    """What became of each place; the use case's own words where nothing was tried on a place."""
    yield from _place_outcomes(report.places) if report.places else _note(report)


def _place_outcomes(places: Iterable[PlaceRelease]) -> _Facts:
    for outcome in places:
        detail: Phrase = (": ", Quoted(outcome.detail)) if outcome.detail else ()
        yield Fact("", (f"• The {outcome.place.kind.words} {_RESULTS[outcome.result]}", *detail, "."))


def _tried(report: UnlockReport) -> Phrase:
    if not report.tries:
        return ()
    took: Phrase = (" in ", report.took) if report.took is not None else ()
    return (f"Tried {report.tries} times" if report.tries > 1 else "Tried once", *took, ". ")


def _changed(places: Sequence[PlaceRelease]) -> Phrase:
    """What a release that did not run to its end has changed."""
    gone = [part.place.kind for part in places if part.result is ReleaseResult.RELEASED]
    unclear = [part.place.kind for part in places if part.result is ReleaseResult.NOT_KNOWN]
    words = [f"The {_named(gone)} was deleted."] if gone else []
    words += [f"We don't know whether the {_named(unclear)} was deleted."] if unclear else []
    return (" ".join(words) or _UNCHANGED,)


def _named(kinds: Iterable[PlaceKind]) -> str:
    return " and the ".join(dict.fromkeys(kind.words for kind in kinds))
