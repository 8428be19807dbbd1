"""The message of a request to unlock, from the checklist to the outcome.

Every stage says what happened, whether anything was changed, and what to do next.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import TypeAlias

from bot.core.gate.case import Rule, Ruling, Verdict
from bot.core.gate.stages import UnlockStage
from bot.core.lock import APPLY, PLAN, DigestMatch, LockInfo, PlaceKind, PlaceRelease, ReleaseResult
from bot.core.people import BOT
from bot.core.phrase import Person, Phrase, Quoted
from bot.core.policy import Approvers
from bot.core.reports.unlock import UnlockReport
from bot.ports.messenger import Message
from bot.slack.render import facts
from bot.slack.render.blocks import actions, context, message, sections
from bot.slack.render.controls import lock_of, unlock_controls
from bot.slack.render.facts import PLACE_NAMES, Fact, Icon, command
from bot.slack.render.mrkdwn import mrkdwn
from bot.slack.render.page import CHECK, asked_by, lines, notification, sentence
from bot.slack.render.table import table
from bot.slack.render.verdict import advice, checklist, deciding, reasons, ruling

_Facts: TypeAlias = Iterable[Fact]

_MOST_MISSING = 6

_LISTED = frozenset({UnlockStage.CHECKED, UnlockStage.DRY_RUN, UnlockStage.REFUSED})
"""Stages with the whole checklist: it is what their message is about."""

_RESULTS = {
    ReleaseResult.RELEASED: "was released",
    ReleaseResult.ALREADY_FREE: "was free already",
    ReleaseResult.HOLDER_CHANGED: "has another lock now",
    ReleaseResult.THROTTLED: "was throttled",
    ReleaseResult.NOT_SENT: "was not touched",
    ReleaseResult.NOT_KNOWN: "gave no answer",
    ReleaseResult.DENIED: "may not be deleted with the bot's rights",
}


def unlock_message(report: UnlockReport) -> Message:
    """The request's message at its present stage."""
    told = list(_WORDS[report.stage](report))
    is_announced = report.request.is_automatic and report.stage is UnlockStage.ARMED
    verdict = report.verdict if report.stage in _LISTED or is_announced else None
    checks = ["*Checklist*", *lines(checklist(verdict), most=CHECK)] if verdict is not None else []
    return message(
        notification(told[0]),
        sections(lines(told), budget=4_500),
        sections(checks, budget=3_800),
        context(mrkdwn((*asked_by(report.request), " Request ", Quoted(report.request.id), "."))),
        actions(*unlock_controls(report)),
    )


# ── before anything is done


def _checked(report: UnlockReport) -> _Facts:
    yield from _answer(report, "Unlock")
    refused = report.verdict is None or report.verdict.ruling is Ruling.REFUSE
    yield Fact("Changed:", ("nothing." if refused else "nothing yet.",))
    yield Fact("Next:", _after_checking(report))
    yield from _note(report)


def _dry_run(report: UnlockReport) -> _Facts:
    yield from _answer(report, "Dry run, unlock")
    yield Fact("Changed:", ("nothing. A dry run never changes anything.",))
    refused = report.verdict is not None and report.verdict.ruling is Ruling.REFUSE
    is_wanted = report.verdict is not None and report.verdict.ruling is Ruling.NEEDS_APPROVAL
    then = " asks a second member to approve." if is_wanted else " does it, after a click."
    follow: Phrase = (command(f"unlock {report.request.state}"), then)
    yield Fact("Next:", _after_checking(report) if refused else follow)
    yield from _note(report)


def _answer(report: UnlockReport, label: str) -> _Facts:
    verdict, lock, name = report.verdict, lock_of(report), f"{label} {report.request.state}:"
    yield Fact(name, ("it could not be checked.",), Icon.UNKNOWN) if verdict is None else ruling(verdict, name)
    if lock is not None:
        yield Fact("Lock:", _described(lock))
    if report.inspection is not None:
        yield from facts.places(report.inspection)
        yield from table(report.inspection)


def _after_checking(report: UnlockReport) -> Phrase:
    verdict = report.verdict
    if verdict is None:
        return ("ask again with ", command(f"unlock {report.request.state}"), ".")
    if verdict.ruling is Ruling.ALLOW:
        return ("press the button. Everything is checked again before the lock is released.",)
    if verdict.ruling is Ruling.NEEDS_APPROVAL:
        return _who_approves(report)
    hidden = report.inspection is not None and facts.is_hidden(report.inspection)
    return _when_allowed(verdict, report.request.state, hidden=hidden)


def _who_approves(report: UnlockReport) -> Phrase:
    until: Phrase = (" until ", report.until) if report.until else ()
    asker = Person(report.request.user, "")
    match report.approval.by:
        case Approvers.OWNER:
            shows = command(f"who {report.request.state}")
            return ("only the owner of the lock can approve", *until, ". ", shows, " shows who that is.")
        case Approvers.GROUP:
            shows = command(f"who {report.request.state}")
            return ("a member of the group for that can approve", *until, ". ", shows, " names those in this channel.")
    return ("another full member of this channel can approve", *until, ". ", asker, " asked and cannot.")


def _when_allowed(verdict: Verdict, name: str, *, hidden: bool) -> Phrase:
    if verdict.waiting_helps and verdict.until is not None:
        return ("allowed from ", verdict.until, " if nothing changes. The button waits and does it then.")
    if verdict.waiting_helps:
        wait = " Or press the button: the bot waits and unlocks when it is safe."
        return (*advice(verdict, name, hidden=hidden), wait)
    return advice(verdict, name, hidden=hidden)


def _armed(report: UnlockReport) -> _Facts:
    if report.by == BOT:
        yield from _announced(report)
        return
    yield Fact(f"{report.request.state} will be unlocked as soon as it is safe.", (), Icon.WAIT)
    yield from _missing(report)
    if report.verdict is not None and report.verdict.until is not None:
        yield Fact("Allowed from:", (report.verdict.until, " if nothing changes."))
    left = _left(report, report.until)
    ends: Phrase = ()
    if report.until is not None:
        ends = (" The bot keeps looking until ", report.until, *((" (", left[0], " left)") if left else ()), ".")
    yield Fact("Armed by:", (Person(report.by or report.request.user, ""), ".", *ends))
    yield Fact("Changed:", ("nothing yet.",))
    yield Fact("Next:", ("nothing to do. Press the button to call it off.",))
    yield from _note(report)


def _announced(report: UnlockReport) -> _Facts:
    """Nobody asked for it: what will happen when, on what proof, and how to stop it."""
    name, lock = report.request.state, lock_of(report)
    at: Phrase = (" at ", report.until) if report.until is not None else ()
    words: Phrase = (*at, ", unless somebody here stops it.")
    yield Fact(f"{name} will be unlocked automatically", words, Icon.WAIT)
    if lock is not None:
        yield Fact("Lock:", _described(lock))
    if report.verdict is not None:
        holder, end = report.verdict[Rule.TIED].reason, report.verdict[Rule.DEAD].reason
        yield Fact("Why:", ("all checks hold. ", *holder, "; ", *end, "."))
    yield Fact("Changed:", ("nothing yet.",))
    yield Fact("Next:", ("nothing to do. Everything is checked again before the lock is released.",))
    yield from _note(report)


def _missing(report: UnlockReport) -> _Facts:
    """What the gate still refuses for, each with the time that is left of it where that is known."""
    if report.verdict is None:
        yield Fact("", ("The bot is looking now.",))
        return
    missing = deciding(report.verdict)
    if not missing:
        yield Fact("Still missing:", ("nothing by the checks; the lock's store did not take it yet.",))
        return
    looked: Phrase = ("(as of ", report.inspection.at, ")") if report.inspection is not None else ()
    yield Fact("Still missing:", looked)
    for finding in missing[:_MOST_MISSING]:
        yield Fact("", (f"• {finding.rule}: ", *_left(report, finding.until), *finding.reason, "."))
    if len(missing) > _MOST_MISSING:
        yield Fact("", (f"• and {len(missing) - _MOST_MISSING} more.",))


def _left(report: UnlockReport, until: datetime | None) -> Phrase:
    """As of the look that the message shows."""
    if until is None or report.inspection is None or until <= report.inspection.at:
        return ()
    return (until - report.inspection.at, " left, ")


def _releasing(report: UnlockReport) -> _Facts:
    yield Fact(f"Unlocking {report.request.state} …", (), Icon.WAIT)
    yield from _steps(report)
    if report.tries:
        until: Phrase = ("; the bot tries until ", report.until) if report.until else ()
        yield Fact("Tries:", (str(report.tries), *until, "."))
    yield Fact("Next:", ("nothing to do. This message says how it ends.",))


# ── outcomes


def _released(report: UnlockReport) -> _Facts:
    took: Phrase = ("It took ", report.took, ".") if report.took is not None else ()
    lock, seen = lock_of(report), report.inspection.seen.locks if report.inspection is not None else ()
    other = next((info for info in seen if info.id != report.request.lock_id), None)
    if other is None:
        yield Fact(f"{report.request.state} is unlocked.", took, Icon.FREE)
    else:
        yield Fact(*_other_lock(report, other), Icon.WARNING)
    approved: Phrase = (", approved by ", Person(report.approver, "")) if report.approver else ()
    by: Phrase = (", asked for by ", Person(report.request.user, ""), *approved)
    by = (", automatically: the configuration asks for it (auto_release)",) if report.request.is_automatic else by
    holder: Phrase = () if lock is None else (" of ", *facts.who(lock))
    yield Fact("Changed:", ("lock ", Quoted(report.request.lock_id), *holder, " was released", *by, "."))
    yield from _place_outcomes(report)
    yield from _note(report)
    look: Phrase = ("look at the lock that is left: ", command(f"status {report.request.state}"), ".")
    yield Fact("Next:", look if other is not None else _after_release(lock))
    if report.inspection is not None and report.inspection.check.digest.match is DigestMatch.DIFFERS:
        yield Fact("Digest:", (*facts.digest_advice(report.inspection.check), "."), Icon.WARNING)


def _other_lock(report: UnlockReport, other: LockInfo) -> tuple[str, Phrase]:
    """A lock that was there together with the released one, in the other place; or one that was taken since."""
    state = report.request.state
    if report.inspection is not None and report.inspection.seen.places_of(report.request.lock_id):
        untouched = "the other half has another lock, which was not touched: "
        return f"{state} is still locked:", (untouched, *_described(other))
    return f"{state} is locked again:", ("the old lock was released, and this one is new: ", *_described(other))


def _after_release(lock: LockInfo | None) -> Phrase:
    if lock is None:
        return ("run a plan before you apply. What the lock was for is not known, so the state may lag behind.",)
    if lock.operation == PLAN:
        return ("go on: run what was blocked.",)
    if lock.operation == APPLY:
        return ("run a plan before you apply. An apply was interrupted, so the state may lag behind what is there.",)
    return ("run a plan first. ", *facts.operation(lock.operation), " was interrupted, so look what it left.")


def _already_free(report: UnlockReport) -> _Facts:
    yield Fact(f"{report.request.state} is free already.", (), Icon.FREE)
    yield from _note(report)
    yield Fact("Changed:", _changed(report.places))
    yield Fact("Next:", ("go on: run what was blocked.",))


def _holder_changed(report: UnlockReport) -> _Facts:
    yield Fact(f"{report.request.state} has another lock now.", (" The lock that you saw is gone.",), Icon.BAD)
    if report.now_held_by is not None:
        yield Fact("Held now:", _described(report.now_held_by))
    yield from _steps(report)
    yield Fact("Changed:", _changed(report.places))
    look: Phrase = ("look at the new lock: ", command(f"status {report.request.state}"), ".")
    has_button = report.now_held_by is not None and not report.request.is_automatic
    asks: Phrase = (" Or press the button: everything is checked again.",) if has_button else ()
    yield Fact("Next:", (*look, *asks))


def _partly_released(report: UnlockReport) -> _Facts:
    left, verdict = _named(report.left) or "other half", report.verdict
    refused = verdict if verdict is not None and verdict.ruling is not Ruling.ALLOW else None
    why: Phrase = (", because ", *reasons(refused)) if refused else ()
    yield Fact(f"{report.request.state} is only half unlocked:", (f"the {left} is left", *why, "."), Icon.WARNING)
    yield from _steps(report)
    deleted = any(part.result is ReleaseResult.RELEASED for part in report.places)
    gone = ("the other half is gone: deleted by this unlock before it was interrupted, or by somebody else.",)
    yield Fact("Changed:", _changed(report.places) if deleted else gone)
    again: Phrase = ("Ask again to release the rest: ", command(f"unlock {report.request.state}"), ".")
    then = sentence(advice(refused, report.request.state)) if refused else again
    yield Fact("Next:", ("Terraform still sees a lock. ", *then))


def _still_throttled(report: UnlockReport) -> _Facts:
    yield Fact(f"{report.request.state} is still locked:", ("the lock's store throttles every request.",), Icon.BAD)
    yield from _steps(report)
    yield from _tried(report)
    yield Fact("Changed:", _changed(report.places))
    kill, again = command(f"kill-job {report.request.state}"), command(f"unlock {report.request.state}")
    yield Fact("Next:", ("end what hammers the lock with ", kill, ", then ask again with ", again, "."))


def _not_known(report: UnlockReport) -> _Facts:
    words = ("the store gave no clear answer.",)
    yield Fact(f"It is not known whether {report.request.state} was unlocked:", words, Icon.UNKNOWN)
    yield from _steps(report)
    yield from _tried(report)
    yield Fact("Changed:", ("not known. No other lock can have been touched.",))
    yield Fact("Next:", ("see what stands there now: ", command(f"status {report.request.state}"), "."))


def _refused(report: UnlockReport) -> _Facts:
    verdict, is_automatic = report.verdict, report.request.is_automatic
    stays = f"{report.request.state} is not unlocked automatically" if is_automatic else None
    stays = stays or f"{report.request.state} stays locked"
    if verdict is None or verdict.ruling is Ruling.ALLOW:
        yield Fact(f"{stays}.", (), Icon.BAD)
    else:
        yield ruling(verdict, f"{stays}:")
    yield from _note(report)
    yield Fact("Changed:", ("nothing. The bot deleted no lock.",))
    refused = verdict is not None and verdict.ruling is Ruling.REFUSE and not is_automatic
    again: Phrase = ("ask again with ", command(f"unlock {report.request.state}"), ".")
    yield Fact("Next:", _after_checking(report) if refused else again)


def _expired(report: UnlockReport) -> _Facts:
    ended = f"The request to unlock {report.request.state} has ended."
    if report.request.is_automatic:
        ended = f"{report.request.state} is not unlocked automatically."
    yield Fact(ended, (), Icon.WAIT)
    yield from _note(report)
    if report.verdict is not None:
        yield from _missing(report)
    yield Fact("Changed:", _changed(report.places))
    yield Fact("Next:", ("ask again with ", command(f"unlock {report.request.state}"), "."))


def _declined(report: UnlockReport) -> _Facts:
    yield Fact(f"The unlock of {report.request.state} is off.", (), Icon.BAD)
    yield from _note(report)
    yield Fact("Changed:", _changed(report.places))
    yield Fact("Next:", ("talk about it here; ask again with ", command(f"unlock {report.request.state}"), "."))


def _failed(report: UnlockReport) -> _Facts:
    yield Fact(f"{report.request.state} could not be unlocked.", (), Icon.BAD)
    yield from _steps(report)
    yield from _tried(report)
    yield Fact("Changed:", _changed(report.places))
    status = command(f"status {report.request.state}")
    yield Fact("Next:", ("see what stands there: ", status, ". “tflock doctor” checks rights."))


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


def _described(lock: LockInfo) -> Phrase:
    return (
        Quoted(lock.id),
        " of ",
        *facts.who(lock),
        ", for ",
        *facts.operation(lock.operation),
        ", since ",
        lock.created,
        ".",
    )


def _note(report: UnlockReport) -> _Facts:
    if report.note:
        yield Fact("", sentence(report.note))


def _steps(report: UnlockReport) -> _Facts:
    """What became of each place; the use case's own words where nothing was tried on a place."""
    yield from _place_outcomes(report) if report.places else _note(report)


def _place_outcomes(report: UnlockReport) -> _Facts:
    for outcome in report.places:
        detail: Phrase = (": ", Quoted(outcome.detail)) if outcome.detail else ()
        yield Fact("", (f"• The {PLACE_NAMES[outcome.place.kind]} {_RESULTS[outcome.result]}", *detail, "."))


def _tried(report: UnlockReport) -> _Facts:
    if report.tries:
        took: Phrase = (" in ", report.took) if report.took is not None else ()
        yield Fact("Tried:", (f"{report.tries} times" if report.tries > 1 else "once", *took, "."))


def _changed(places: Sequence[PlaceRelease]) -> Phrase:
    """What a release that did not run to its end has changed."""
    gone = [part.place.kind for part in places if part.result is ReleaseResult.RELEASED]
    unclear = [part.place.kind for part in places if part.result is ReleaseResult.NOT_KNOWN]
    words = [f"the {_named(gone)} was deleted"] if gone else []
    words += [f"it is not known whether the {_named(unclear)} was deleted"] if unclear else []
    return ("; ".join(words) + ".",) if words else ("nothing. The bot deleted no lock.",)


def _named(kinds: Iterable[PlaceKind]) -> str:
    return " and the ".join(dict.fromkeys(PLACE_NAMES[kind] for kind in kinds))
