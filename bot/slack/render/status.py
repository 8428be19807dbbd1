"""`status`: one state for people who are locked out, and all states at a glance."""

from __future__ import annotations

from collections.abc import Iterable

from bot.core.gate.attribution import Tie
from bot.core.gate.case import Rule, Ruling, Verdict
from bot.core.gate.inspection import Inspection, StateName
from bot.core.hold import held_by, words_of
from bot.core.lock import LockSeen, age, operation_word
from bot.core.phrase import Person, Phrase, Quoted, duration
from bot.core.reports.button import ButtonValue
from bot.core.reports.in_flight import in_flight_words
from bot.core.reports.report import Checklist, Overview, StatusReport
from bot.ports.messenger import Message
from bot.slack.render import facts
from bot.slack.render.blocks import (
    Block,
    Cell,
    Element,
    Newer,
    actions,
    button,
    context,
    folded,
    message,
    sections,
    select,
)
from bot.slack.render.blocks import table as rows_of
from bot.slack.render.facts import Fact, command
from bot.slack.render.icons import Icon
from bot.slack.render.mrkdwn import mrkdwn, unmarked
from bot.slack.render.page import CHECK, at_hand, dotted, line, lines, notification
from bot.slack.render.table import after_throttling, table
from bot.slack.render.verdict import advice, checklist, in_the_way, is_persons, is_running, settling, tally
from bot.slack.render.verdict import answer as verdict_answer
from bot.slack.render.waiting import CHECK as CHECK_AGAIN
from bot.slack.render.waiting import WATCH, waiting_fact, watch_button

UNLOCK, WHEN_SAFE, KILL, WHO = "status.unlock", "status.when_safe", "status.kill", "status.who"
CHECKLIST, SHARE = "status.checklist", "status.share"

_LOOPS = 3
_CHECKS = 5_000
"""Characters of the folded checklist with what is known beside it."""


def status_message(report: StatusReport) -> Message:
    """The answer, what else needs attention, the next step, and the whole checklist behind one line."""
    told, also = _at_hand(answer(report), report), _at_hand(attention(report), report)
    return message(
        " ".join(map(notification, told[:1])),
        sections(lines(told), budget=2_400),
        sections(lines(also), budget=2_000),
        actions(*_buttons(report)),
        _folded(report),
        context(mrkdwn(_small(report), most=600)),
    )


def checklist_message(told: Checklist) -> Message:
    """The whole checklist, with what is known beside it."""
    report = StatusReport(told.inspection, told.verdict, told.answer)
    name = report.inspection.state.name
    title = Fact(f"Checklist of {name}:", (_tally(report),) if report.verdict is not None else ("no lock to check.",))
    rows = [line(title), *_proof(report)]
    return message(notification(title), sections(rows, budget=9_000), context(mrkdwn(_small(report), most=600)))


def answer(report: StatusReport) -> Iterable[Fact]:
    """Is it locked, may it be unlocked, and what blocks it."""
    inspection, verdict, name = report.inspection, report.verdict, report.inspection.state.name
    if verdict is None:
        yield facts.headline(inspection)
        if report.journal_trouble and inspection.lock is not None:
            yield Fact("", (f"Nothing can be unlocked now: {report.journal_trouble}.",), Icon.BAD)
            yield _for_the_operators()
        else:
            yield from _unlocked_or_unread(report)
        return
    if told := list(facts.hold(inspection)):
        yield from told
        return
    if report.journal_trouble:
        why = f"{name} is locked, and nothing can be unlocked now: {report.journal_trouble}."
        yield Fact((why,), (), Icon.BAD)
        held = verdict_answer(name, verdict, inspection)
        yield Fact("By the checks only:", held.label if isinstance(held.label, tuple) else (held.label,), held.icon)
    else:
        yield verdict_answer(name, verdict, inspection)
    if (until := settling(verdict, inspection)) and not report.journal_trouble:
        yield Fact("", until)
    else:
        yield Fact("", _holder(inspection, verdict))
        yield from in_the_way(verdict, said=_said(inspection))
    is_stuck = not verdict.waiting_helps or facts.is_hidden(inspection)
    if report.journal_trouble:
        yield _for_the_operators()
    elif verdict.ruling is Ruling.REFUSE and is_stuck:
        yield Fact("Next:", advice(verdict, name, inspection))


def _for_the_operators() -> Fact:
    return Fact("Next:", ("The people who run tflock can fix this: ", Quoted("tflock doctor"), " says how."))


def _holder(inspection: Inspection, verdict: Verdict) -> Phrase:
    """What holds the lock. Of a run that is active its own time counts; the small line has the lock's."""
    if is_running(inspection) and facts.holding(inspection):
        return facts.holding(inspection)
    return facts.held(inspection, by_person=is_persons(verdict))


def _said(inspection: Inspection) -> frozenset[Rule]:
    """The checks that the line about the holder has said already."""
    return frozenset({Rule.DEAD}) if is_running(inspection) and not facts.is_hidden(inspection) else frozenset()


def _unlocked_or_unread(report: StatusReport) -> Iterable[Fact]:
    inspection, name = report.inspection, report.inspection.state.name
    if inspection.seen.is_free:
        return
    if inspection.seen.is_throttled:
        yield Fact("Next:", after_throttling(name))
    elif inspection.seen.is_unshown:
        by_trying = command(f"unlock {name}"), " looks. To wait for it, use Terraform's ", Quoted("-lock-timeout"), "."
        yield Fact("Next:", ("If runs are blocked, ", *by_trying))
    else:
        yield Fact("Next:", ("Try again: ", command(f"status {name}"), ". What can't be read can't be unlocked."))


def attention(report: StatusReport) -> Iterable[Fact]:
    """What is out of order besides, what could not be read, and what is in flight: none of it is ever folded."""
    inspection = report.inspection
    for request in report.requests:
        yield Fact("In flight:", in_flight_words(request), Icon.WAIT)
    yield from facts.places(inspection)
    yield from table(inspection)
    yield from facts.unread_logs(inspection)
    if report.verdict is None:  # else the checks say so
        yield from (fact for fact in facts.stored(inspection.check, inspection.at) if fact.icon is not Icon.NONE)
    yield from facts.loops(inspection.contention)
    yield from facts.unlisted(inspection)


def details(report: StatusReport) -> Iterable[Fact]:
    """What is known beside the checks: the run, the owner, the state file, who else wants the lock."""
    inspection = report.inspection
    yield from facts.holder(inspection)
    yield from facts.owner(inspection.owner, report.answer)
    yield from facts.owners(inspection.owners)
    yield from facts.stored(inspection.check, inspection.at)
    yield from facts.queue(inspection.contention, held=inspection.lock is not None)
    for loop in inspection.contention.loops[:_LOOPS]:
        yield Fact("Loop:", (Quoted(loop.pipeline.title), ": ", *facts.loop_words(loop), "."))
    if not inspection.seen.is_free:
        yield from waiting_fact(report.waiting)
    if inspection.lock is not None:
        yield facts.fence(inspection.can)
        yield from facts.holders_info(inspection)
        yield Fact("", facts.lock_id(inspection.lock))
    if advised := facts.claim_advice(inspection):
        yield Fact("", advised)


def _buttons(report: StatusReport) -> list[Element | None]:
    """The next step first."""
    inspection, name = report.inspection, report.inspection.state.name
    is_on_hold = facts.hold_headline(inspection) is not None
    if inspection.seen.is_free or is_on_hold:
        on_hold = [_first(watch_button(name)), button("Share", SHARE, ButtonValue(name, "", ""))]
        return on_hold if is_on_hold else []
    value = ButtonValue(name, inspection.lock.id if inspection.lock is not None else "", "")
    notify, share = watch_button(name), button("Share", SHARE, value)
    kill = _kill(report, value)
    if report.verdict is None or report.journal_trouble:
        again = button("Check again", CHECK_AGAIN, ButtonValue(name, "", ""), style="primary")
        # nothing shows when such a state is free, so tflock cannot notify anyone
        return [kill, share] if inspection.seen.is_unshown else [again, kill, notify, share]
    contact = button("Contact owner", WHO, value) if _has_owner(inspection) else None
    if report.verdict.ruling is not Ruling.REFUSE:
        return [button("Unlock…", UNLOCK, value, style="primary"), kill, notify, share]
    when_safe = button("Unlock when safe", WHEN_SAFE, value) if report.verdict.waiting_helps else None
    if is_running(inspection):
        return [_first(notify), when_safe, contact, kill, share]
    if when_safe is not None:
        return [_first(when_safe), kill, notify, contact if not report.verdict.until else None, share]
    return [_first(contact), kill, notify, share]


def _first(element: Element | None) -> Element | None:
    return None if element is None else {**element, "style": "primary"}


def _kill(report: StatusReport, value: ButtonValue) -> Element | None:
    inspection = report.inspection
    if inspection.is_throttled:
        return button("Find what's flooding it…", KILL, value)
    if inspection.contention.loops:
        return button("Stop the loop…", KILL, value)
    return button("End the run…", KILL, value) if is_running(inspection) else None


def _has_owner(inspection: Inspection) -> bool:
    return inspection.owner is not None or bool(inspection.owners)


def _folded(report: StatusReport) -> Newer | list[Block]:
    if report.verdict is None or facts.hold_headline(report.inspection) is not None:
        return []
    inspection = report.inspection
    value = ButtonValue(inspection.state.name, inspection.lock.id if inspection.lock is not None else "", "")
    return folded(_tally(report), _proof(report), show=button("Show checklist", CHECKLIST, value), budget=_CHECKS)


def _tally(report: StatusReport) -> str:
    return "" if report.verdict is None else tally(report.verdict, report.inspection.at)


def _proof(report: StatusReport) -> list[str]:
    checks = [] if report.verdict is None else list(checklist(report.verdict))
    return lines(_at_hand((*checks, *details(report)), report), most=CHECK)


def _small(report: StatusReport) -> Phrase:
    """What is not said above: weak evidence, the owner, how long it is locked, how old the state is; and when."""
    inspection, lock, tied = report.inspection, report.inspection.lock, report.inspection.attribution
    is_active = lock is not None and is_running(inspection)
    is_settling = report.verdict is not None and bool(settling(report.verdict, inspection))
    is_unnamed = is_settling or (report.verdict is not None and is_persons(report.verdict))
    owner = None if tied is not None and len(tied.candidates) == 1 and not is_unnamed else inspection.owner
    waiting = 0 if inspection.contention.loops else len(inspection.contention.active)
    told = dotted(
        ("protected state",) if inspection.state.protected else (),
        ("run matched by time only (weak evidence)",) if tied is not None and tied.tie is Tie.BY_TIME else (),
        ("owner ", Person(owner.slack_id, owner.name)) if owner is not None else (),
        ("locked for ", age(lock, inspection.at)) if lock is not None and (is_active or is_settling) else (),
        (f"{facts.runs(waiting)} {'is' if waiting == 1 else 'are'} queued",) if waiting else (),
        () if is_active else facts.written(inspection.check, inspection.at),
        ("checked ", inspection.at),
    )
    return at_hand([Fact("", told)], inspection.at)[0].phrase


def _at_hand(told: Iterable[Fact], report: StatusReport) -> list[Fact]:
    return at_hand(told, report.inspection.at)


_OFFERED, _AN_OFFER = 12, 250
"""States in the list to wait for, and the characters of a message that each may take."""

_MOST_ROWS = 60
_MOST_FREE = 1_200


def overview_message(overview: Overview) -> Message:
    """All states, the locked ones first, then those that could not be read. What does not fit is counted."""
    summary = counted(overview)
    trouble = mrkdwn((overview.journal_trouble,))
    away = [f"*Nothing can be unlocked now:* {trouble}."] if overview.journal_trouble else []
    locked = [name.name for name, seen in overview.states if seen.held][:_OFFERED]
    offer = select("Notify me when one is free", WATCH, [(name, ButtonValue(name, "", "")) for name in locked])
    if len(locked) == 1:
        offer = watch_button(locked[0], label=f"Notify me when {locked[0]} is free")
    return message(
        summary,
        sections([f"*{summary}*", *away]),
        _rows(overview, len(locked)),
        context(_free(overview), mrkdwn(at_hand([Fact("", ("Checked ", overview.at))], overview.at)[0].phrase)),
        actions(offer),
    )


def _rows(overview: Overview, offered: int) -> Newer | list[Block]:
    """The states that are not free: as a table, or as lines."""
    taken = sorted((pair for pair in overview.states if not pair[1].is_free), key=lambda pair: _rank(pair[1]))
    if not taken:
        return []
    shown = [line(_row(name, seen, overview), most=300) for name, seen in taken]
    instead = sections(
        shown,
        budget=8_000 - _AN_OFFER * offered,
        more=lambda n: f"… and {n} more. `/tflock status STATE` shows one of them.",
    )
    left_out = len(taken) - _MOST_ROWS
    rest = sections([f"… and {left_out} more. `/tflock status STATE` shows one of them."]) if left_out > 0 else []
    cells = [_cells(name, seen, overview) for name, seen in taken[:_MOST_ROWS]]
    drawn = rows_of(("State", "What", "For", "By"), cells, instead)
    return Newer([*drawn.blocks, *rest], instead)


def _cells(name: StateName, seen: LockSeen, overview: Overview) -> list[Cell]:
    lock = seen.lock
    if lock is not None and (said := words_of(lock)) is not None:
        return [name.name, "held", duration(age(lock, overview.at)), said.user]
    if lock is not None:
        by = lock.who if lock.who.strip("@ ") else ""
        lasted = duration(age(lock, overview.at)) if lock.is_since_known else "not known"
        return [name.name, f"locked{_for(lock.operation)}", lasted, by]
    if seen.held:
        return [name.name, "locked, entry unreadable", "", ""]
    if seen.is_throttled:
        return [name.name, "lock table throttled", "", ""]
    if seen.is_unshown:
        return [name.name, "only an unlock can look", "", ""]
    return [name.name, "could not be read", "", ""]


def _for(operation: str) -> str:
    word = operation_word(operation)
    return f" ({word})" if word else ""


def _free(overview: Overview) -> str:
    names = [name.name for name, seen in overview.states if seen.is_free]
    kept: list[str] = []
    for name in names:
        if sum(map(len, kept)) + len(name) > _MOST_FREE:
            break
        kept.append(unmarked(name, 120))
    more = f" and {len(names) - len(kept)} more" if len(names) > len(kept) else ""
    return f"{Icon.FREE.code} {len(names)} free: {', '.join(kept)}{more}" if names else ""


def counted(overview: Overview) -> str:
    """How many states are locked, as one sentence."""
    total = len(overview.states)
    ranks = [_rank(seen) for _, seen in overview.states]
    unread = f", {ranks.count(_UNREAD)} could not be read" if _UNREAD in ranks else ""
    unread += f", {ranks.count(_UNSHOWN)} not shown" if _UNSHOWN in ranks else ""
    if not total:
        return "No state is configured."
    return f"{ranks.count(_LOCKED)} of {total} states locked{unread}." if total > 1 else f"1 state{_ONE[ranks[0]]}"


_LOCKED, _UNREAD, _UNSHOWN, _FREE = range(4)
_ONE = {
    _LOCKED: ", and it is locked.",
    _UNREAD: ", and it could not be read.",
    _UNSHOWN: f". {facts.NO_REQUEST}.",
    _FREE: ", and it is free.",
}


def overview_facts(overview: Overview) -> list[Fact]:
    """A line for each state, the locked ones first."""
    ordered = sorted(overview.states, key=lambda pair: _rank(pair[1]))
    return [_row(name, seen, overview) for name, seen in ordered]


def _rank(seen: LockSeen) -> int:
    if seen.held:
        return _LOCKED
    if seen.is_unshown:
        return _UNSHOWN
    return _FREE if seen.is_free else _UNREAD


def _row(name: StateName, seen: LockSeen, overview: Overview) -> Fact:
    lock = seen.lock
    if lock is not None and (said := words_of(lock)) is not None:
        return Fact(name.name, (" ", *held_by(said, now=overview.at)), Icon.LOCKED)
    if lock is not None:
        lasted = f" for {duration(age(lock, overview.at))}" if lock.is_since_known else ""
        words: Phrase = (f" locked{lasted} by ", *facts.who(lock), *facts.purpose(lock))
        words = words if lasted else (*words, f"; {facts.SINCE_UNKNOWN.lower()}")
        return Fact(name.name, words, Icon.LOCKED)
    if seen.held:
        return Fact(name.name, (" locked: its lock entry is unreadable",), Icon.LOCKED)
    if seen.is_throttled:
        return Fact(name.name, (": its lock table is throttled; the lock itself may be fine",), Icon.WARNING)
    if seen.unseen:
        unread: Phrase = (" could not be read: ", *facts.trouble(seen.unseen[0][1]))
        unshown: Phrase = (f": {facts.NO_REQUEST.lower()}; only an unlock can look",)
        return Fact(name.name, unshown if seen.is_unshown else unread, Icon.UNKNOWN)
    return Fact(name.name, (" free",), Icon.FREE)
