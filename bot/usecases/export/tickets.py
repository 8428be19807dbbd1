"""Files a follow-up as a ticket, once, however many people click and whichever worker dies at it.

A record says how far it is: `wanted`, `filing` (a request may have been taken), `filed`. The ticket systems take no
key that would keep a second one out, so that after `filing` the ticket is looked for by its marker before it is filed
again, and not before the system has had the time to show it.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial

import structlog

from bot.core.account.edition import Outline
from bot.core.account.ticket import FileResult, Filing, Ticket, marker_of, ticket_of
from bot.core.account.values import FollowUp
from bot.core.evidence import Found, NotFound, Trouble
from bot.core.phrase import Linked, Person, Phrase, Quoted, joined
from bot.core.record.facts import FollowUpFiled, draft_of
from bot.core.record.incident import Incident
from bot.core.reports.report import Notice
from bot.errors import NotPermitted, Throttled, Unreachable, UpstreamError
from bot.ports.tickets import Tickets
from bot.usecases.export import editions, followups
from bot.usecases.export.followups import TICKETS, TicketPhase, TicketRecord, name_of
from bot.usecases.export.incident_export import reissue_if_late
from bot.usecases.export.share import link_of
from bot.usecases.lease import lease
from bot.usecases.outbox import once
from bot.usecases.world import World

log = structlog.get_logger()

SHOWN_AFTER = timedelta(seconds=20)
"""A ticket that was taken can be found this long after it was sent, in all three systems."""

_SLOW_CLOCK = timedelta(minutes=10)
_PATIENCE = timedelta(seconds=60)
_WORTH_WAITING = 60.0
"""Seconds: a system that asks for longer is not waited for."""


@dataclass(frozen=True, slots=True)
class _Task:
    incident: Incident
    followup: FollowUp
    tickets: Tickets
    user: str

    @property
    def name(self) -> str:
        return name_of(self.incident.id, self.followup.key)

    @property
    def marker(self) -> str:
        return marker_of(self.incident.id, self.followup.key)


async def ask(world: World, incident_id: str, key: str, *, user: str) -> str:
    """Has a proposal filed; the page of its ticket if it was filed already, else nothing.

    Raises NotPermitted where it cannot be, JournalAway.
    """
    task = await _task(world, incident_id, key, user)
    if isinstance(task, str):
        raise NotPermitted(task)
    filed = await TICKETS.get(world, task.name)
    if filed is not None and filed.phase is TicketPhase.FILED:
        return filed.url
    await world.jobs.start("ticket", incident_id, key, user, key=f"ticket:{task.marker}:{user}")
    return ""


async def file(world: World, incident_id: str, key: str, user: str, *, is_last_try: bool = False) -> None:
    """Files the ticket unless it is there, writes it down and shows it. The person who asked sees what came of it.

    Raises Passing, Busy or JournalAway: then it must be tried again. On the last try it is given up.
    """
    task = await _task(world, incident_id, key, user)
    if isinstance(task, str):
        log.warning("ticket.cannot_be", incident=incident_id, reason=task)
        return
    async with lease(world.records, f"ticket/{task.name}", holder=world.new_id(), patience=_PATIENCE) as make_sure:
        record = await _taken_up(world, task)
        filing = await _filed(world, task, record, make_sure)
        if filing.result is FileResult.FILED:
            await _written_down(world, task, filing.url)
    if filing.result is not FileResult.FILED:
        await _say_why_not(world, task, filing, is_last_try=is_last_try)
        return
    await reissue_if_late(world, incident_id)
    is_seen = await followups.redraw(world, incident_id)
    if not is_seen or record.phase is TicketPhase.FILED or record.told:
        link: Phrase = (Linked(f"the ticket in {task.tickets.system}", filing.url), ": ", Quoted(task.followup.title))
        await _whisper(world, task, Notice("The ticket is filed", (link,)))


async def _task(world: World, incident_id: str, key: str, user: str) -> _Task | str:
    """What is to be filed, or why that cannot be."""
    if world.tickets is None:
        return "Tickets are not set up: set `tickets` in tflock's configuration. Nothing was filed."
    incident = await world.journal.find(incident_id)
    followup = await followups.find(world, incident_id, key)
    if incident is None or followup is None:
        return "This follow-up has expired. Nothing was filed."
    return _Task(incident, followup, world.tickets, user)


async def _taken_up(world: World, task: _Task) -> TicketRecord:
    record = await TICKETS.get(world, task.name)
    if record is None:
        record = TicketRecord(by=task.user)
        await TICKETS.put(world, task.name, record)
    return record


async def _filed(world: World, task: _Task, record: TicketRecord, make_sure: Callable[[], Awaitable[None]]) -> Filing:
    if record.phase is TicketPhase.FILED:
        return Filing(FileResult.FILED, record.url)
    begun = record.sent_at if record.phase is TicketPhase.FILING else None
    return await once(begun, find=partial(_looked_for, world, task), send=partial(_sent, world, task, make_sure))


async def _sent(world: World, task: _Task, make_sure: Callable[[], Awaitable[None]]) -> Filing:
    ticket = await _ticket(world, task)
    await make_sure()
    await TICKETS.update(world, task.name, phase=TicketPhase.FILING, by=task.user, sent_at=world.clock.now())
    filing = await world.timed(task.tickets.system, "file ticket", task.tickets.file(ticket))
    if filing.result in {FileResult.REFUSED, FileResult.LATER}:
        await TICKETS.update(world, task.name, phase=TicketPhase.WANTED)
    return filing


async def _looked_for(world: World, task: _Task, sent_at: datetime) -> Filing | None:
    """The ticket that an earlier request has filed; None once it is sure that it has filed none."""
    wait = SHOWN_AFTER - (world.clock.now() - sent_at)
    if wait > timedelta():
        await asyncio.sleep(wait.total_seconds())
    since = sent_at - _SLOW_CLOCK
    seen = await world.timed(task.tickets.system, "find ticket", task.tickets.find(task.marker, since=since))
    match seen:
        case Found(url):
            return Filing(FileResult.FILED, url)
        case NotFound():
            return None
        case _:
            is_final = seen.trouble in {Trouble.DENIED, Trouble.TOO_MUCH}
            wait_named = math.inf if is_final else seen.retry_after
            return Filing(FileResult.NOT_KNOWN, detail=seen.detail, retry_after=wait_named)


async def _written_down(world: World, task: _Task, url: str) -> None:
    record = await TICKETS.update(world, task.name, phase=TicketPhase.FILED, url=url)
    by, key = (record.by if record is not None else "") or task.user, task.followup.key
    facts = FollowUpFiled(key=key, url=url, system=task.tickets.system, by=by)
    text = f"{task.followup.title}: filed in {task.tickets.system}"
    draft = draft_of(facts, world.clock.now(), by, text, once=f"followup.filed/{key}")
    await world.journal.append(task.incident.id, draft)


async def _ticket(world: World, task: _Task) -> Ticket:
    progress = await editions.newest(world, task.incident.id)
    names = dict(progress.edition.names) if progress is not None else {}
    link = await link_of(world, task.incident.id, task.incident.channel)
    incident = task.incident
    closed: Phrase = (", closed ", incident.closed_at) if incident.closed_at is not None else (", still open",)
    facts: list[tuple[str, Phrase]] = [
        ("Incident:", (Quoted(incident.title), " (", Quoted(incident.id), ")")),
        ("When:", ("opened ", incident.opened_at.astimezone(UTC), *closed)),
        *(_figures(progress.outline) if progress is not None and progress.outline is not None else ()),
    ]
    if link:
        facts.append(("Timeline:", (Linked("the export in Slack", link),)))
    report = None if progress is None else editions.report_of(world, progress)
    if report is not None and report.places:
        facts.append(("Files:", joined([(Quoted(place),) for place in report.places])))
    facts.append(("Filed by:", (Person(task.user, names.get(task.user) or await _name(world, task.user)),)))
    return ticket_of(task.followup, task.incident.id, tuple(facts), names)


def _figures(outline: Outline) -> list[tuple[str, Phrase]]:
    states: list[Phrase] = [
        (Quoted(state.state), *((" locked for ", state.locked_for) if state.locked_for is not None else ()))
        for state in outline.states
    ]
    told: list[tuple[str, Phrase]] = [("States:", joined(states, "; "))] if states else []
    if outline.time_to_unlock is not None:
        told.append(("First command to unlock:", (outline.time_to_unlock,)))
    return [*told, ("Cause:", ("; ".join(outline.causes),))]


async def _name(world: World, user: str) -> str:
    seen = await world.directory.member(user)
    return seen.value.name if isinstance(seen, Found) else user


async def _say_why_not(world: World, task: _Task, filing: Filing, *, is_last_try: bool) -> None:
    """Tells who asked. Raises where it is worth another try."""
    is_final = filing.result is FileResult.REFUSED or (filing.retry_after or 0.0) > _WORTH_WAITING
    if is_final or is_last_try:
        await _whisper(world, task, _not_filed(task, filing))
        await TICKETS.update(world, task.name, told=False)
        return
    record = await TICKETS.get(world, task.name)
    if record is not None and not record.told:
        await _whisper(world, task, _not_yet(task, filing))
        await TICKETS.update(world, task.name, told=True)
    if filing.result is FileResult.LATER and filing.retry_after is not None:
        raise Throttled(task.tickets.system, filing.detail, retry_after=filing.retry_after)
    raise Unreachable(task.tickets.system, filing.detail)


async def _whisper(world: World, task: _Task, notice: Notice) -> None:
    """To the person only; where Slack does not take that, below the summary."""
    channel = task.incident.channel
    try:
        await world.messenger.whisper(channel, task.user, notice)
    except UpstreamError as error:
        log.warning("ticket.not_whispered", incident=task.incident.id, detail=error.detail)
        thread = await followups.thread_of(world, task.incident.id)
        await world.messenger.post(channel, notice, thread=thread)


def _not_yet(task: _Task, filing: Filing) -> Notice:
    state = "tflock doesn't know whether it was filed" if filing.result is FileResult.NOT_KNOWN else "Nothing was filed"
    lines: tuple[Phrase, ...] = (
        (f"{task.tickets.system}: ", Quoted(filing.detail)),
        (f"{state}. tflock keeps retrying for about five minutes, and files it only once.",),
    )
    return Notice("The ticket is not there yet", lines)


def _not_filed(task: _Task, filing: Filing) -> Notice:
    is_known = filing.result is not FileResult.NOT_KNOWN
    state = (
        "Nothing was filed."
        if is_known
        else f"tflock doesn't know whether it was filed; look in {task.tickets.system} for {task.marker}."
    )
    lines: tuple[Phrase, ...] = (
        (Quoted(task.followup.title),),
        ("Why: ", Quoted(filing.detail)),
        (state, " The button stays: click again once that is fixed."),
    )
    return Notice("The ticket could not be filed", lines)
