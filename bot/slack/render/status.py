"""`status`: one state for whoever is locked out, and all states at a glance."""

from __future__ import annotations

from collections.abc import Iterable

from bot.core.gate.case import Ruling
from bot.core.gate.inspection import Inspection, StateName
from bot.core.lock import LockSeen, age
from bot.core.phrase import Phrase, duration
from bot.core.reports.button import ButtonValue
from bot.core.reports.in_flight import in_flight_words
from bot.core.reports.report import Overview, StatusReport
from bot.ports.messenger import Message
from bot.slack.render import facts
from bot.slack.render.blocks import actions, button, context, message, sections, select
from bot.slack.render.facts import Fact, Icon, command
from bot.slack.render.mrkdwn import mrkdwn
from bot.slack.render.page import CHECK, line, lines, notification
from bot.slack.render.table import after_throttling, table
from bot.slack.render.verdict import advice, checklist, ruling
from bot.slack.render.waiting import WATCH, waiting_fact, watch_button

_SHARE = "status.share"
_NO_TIMELINE = Fact(
    "Unlock: refused",
    (", because the timeline cannot be reached (Redis is away). Reading still works.",),
    Icon.BAD,
)


def status_message(report: StatusReport) -> Message:
    """Headline and verdict first, then the facts, then the whole checklist."""
    inspection, verdict, name = report.inspection, report.verdict, report.inspection.state.name
    told = [facts.headline(inspection)]
    if verdict is not None:
        told.append(_NO_TIMELINE if report.journal_away else ruling(verdict))
    checks = ["*Checklist*", *lines(checklist(verdict), most=CHECK)] if verdict is not None else []
    value = ButtonValue(name, inspection.lock.id if inspection.lock else "", "")
    return message(
        " ".join(map(notification, told)),
        sections(lines(answer(report)), budget=2_500),
        sections(lines(details(report)), budget=3_300),
        sections(checks, budget=3_600),
        context(mrkdwn(looked(inspection), most=600)),
        actions(
            button("Share in this channel", _SHARE, value),
            None if inspection.seen.is_free else watch_button(name),  # also where nothing is known of the lock
        ),
    )


def answer(report: StatusReport) -> Iterable[Fact]:
    """Is it locked, and may it be unlocked."""
    inspection, name = report.inspection, report.inspection.state.name
    yield facts.headline(inspection)
    for request in report.requests:
        yield Fact("In flight:", in_flight_words(request), Icon.WAIT)
    if report.journal_away:
        yield _NO_TIMELINE
    if report.verdict is not None:
        yield ruling(report.verdict, "By the checks alone:" if report.journal_away else "Unlock:")
        yield Fact("Next:", next_step(report))
    elif inspection.seen.is_throttled:
        yield Fact("Next:", after_throttling(name))
    elif not inspection.seen.is_free:
        again: Phrase = (command(f"status {name}"), " asks again. Nothing can be unlocked that cannot be read.")
        yield Fact("Next:", again)


def next_step(report: StatusReport) -> Phrase:
    verdict, name = report.verdict, report.inspection.state.name
    if report.journal_away:
        return ("ask again once the timeline is back.",)
    if verdict is not None and verdict.ruling is Ruling.REFUSE:
        change = advice(verdict, name, hidden=facts.is_hidden(report.inspection))
        wait: Phrase = (" Or ", command(f"unlock {name} --when-safe"), " waits for it.")
        return (*change, *wait) if verdict.waiting_helps else change
    if verdict is not None and verdict.ruling is Ruling.NEEDS_APPROVAL:
        return (command(f"unlock {name}"), " asks a second member to approve.")
    return (command(f"unlock {name}"), " releases the lock after one more click.")


def details(report: StatusReport) -> Iterable[Fact]:
    """The lock's places, its run and owner, the state object, and who else waits."""
    inspection = report.inspection
    yield from facts.places(inspection)
    yield from table(inspection)
    yield from facts.holder(inspection)
    yield from facts.owner(inspection.owner, report.answer)
    yield from facts.owners(inspection.owners)
    yield from facts.stored(inspection.check, inspection.at)
    yield from facts.queue(inspection.contention, inspection.state.name, held=inspection.lock is not None)
    yield from facts.unlisted(inspection)
    if not inspection.seen.is_free:
        yield from waiting_fact(report.waiting)


def looked(inspection: Inspection) -> Phrase:
    lock = inspection.lock
    guarded = "Protected state. " if inspection.state.protected else ""
    held: Phrase = () if lock is None else (*facts.lock_id(lock), " ")
    return (guarded, *held, "Looked at ", inspection.at, ".")


_OFFERED, _AN_OFFER = 12, 250
"""States in the list to wait for, and the characters of a message that each may take."""


def overview_message(overview: Overview) -> Message:
    """All states, the locked ones first, then those that could not be read. What does not fit is counted."""
    summary = counted(overview)
    away = [line(_NO_TIMELINE)] if overview.journal_away else []
    rows = [line(fact, most=300) for fact in overview_facts(overview)]
    locked = [name.name for name, seen in overview.states if seen.held][:_OFFERED]
    offer = select("Tell me when one is free", WATCH, [(name, ButtonValue(name, "", "")) for name in locked])
    if len(locked) == 1:
        offer = watch_button(locked[0], label=f"Tell me when {locked[0]} is free")
    return message(
        summary,
        sections([f"*{summary}*", *away]),
        sections(
            rows,
            budget=9_000 - _AN_OFFER * len(locked),
            more=lambda n: f"… and {n} more. `/tflock status STATE` shows one of them.",
        ),
        context(mrkdwn(("Looked at ", overview.at, "."))),
        actions(offer),
    )


def counted(overview: Overview) -> str:
    """How many states are locked, as one sentence."""
    total = len(overview.states)
    ranks = [_rank(seen) for _, seen in overview.states]
    unread = f", {ranks.count(1)} could not be read" if 1 in ranks else ""
    if not total:
        return "No state is configured."
    return f"{ranks.count(0)} of {total} states locked{unread}." if total > 1 else f"1 state{_ALONE[ranks[0]]}"


_ALONE = {0: ", and it is locked.", 1: ", and it could not be read.", 2: ", and it is free."}


def overview_facts(overview: Overview) -> list[Fact]:
    """A line for each state, the locked ones first."""
    ordered = sorted(overview.states, key=lambda pair: _rank(pair[1]))
    return [_row(name, seen, overview) for name, seen in ordered]


def _rank(seen: LockSeen) -> int:
    if seen.held:
        return 0
    return 2 if seen.is_free else 1


def _row(name: StateName, seen: LockSeen, overview: Overview) -> Fact:
    lock = seen.lock
    if lock is not None:
        since = duration(age(lock, overview.at))
        words: Phrase = (f" locked for {since} by ", *facts.who(lock), ", for ", *facts.operation(lock.operation))
        return Fact(name.name, words, Icon.LOCKED)
    if seen.held:
        return Fact(name.name, (" locked by something that is not lock info",), Icon.LOCKED)
    if seen.is_throttled:
        return Fact(name.name, (": its lock table is throttled, which is no fault of a lock",), Icon.WARNING)
    if seen.unseen:
        return Fact(name.name, (" could not be read: ", *facts.trouble(seen.unseen[0][1])), Icon.UNKNOWN)
    return Fact(name.name, (" free",), Icon.FREE)
