"""What an export proposes to do afterwards: written down once, and shown in one message below the export's summary.

Proposals come of an export and make no new version of it (`bot.core.record.kinds`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

import structlog

from bot.core.account.edition import Edition
from bot.core.account.proposals import followup_facts, propose
from bot.core.account.story import Story
from bot.core.account.ticket import digest_of, dump_followup, load_followup
from bot.core.account.values import Account, FollowUp
from bot.core.record.facts import draft_of
from bot.core.record.incident import Incident
from bot.core.record.timeline import Entry
from bot.core.reports.followups import FollowUpsReport
from bot.errors import Final
from bot.ports.messenger import Posted
from bot.usecases.export import editions
from bot.usecases.export.editions import KEPT, Progress
from bot.usecases.export.share import summary_of
from bot.usecases.lease import lease
from bot.usecases.outbox import Outgoing, post_once
from bot.usecases.shelf import Shelf
from bot.usecases.world import World

log = structlog.get_logger()

_WORDS = "followup"
_PATIENCE = timedelta(seconds=30)
_BOT = "tflock"
_BATCH = 200
"""Entries that are read in one call, in a thread: a long timeline must not hold up the event loop."""


class TicketPhase(StrEnum):
    """`FILING`: a request may have been taken."""

    WANTED = "wanted"
    FILING = "filing"
    FILED = "filed"


@dataclass(frozen=True, slots=True, kw_only=True)
class TicketRecord:
    """How far a ticket is, and its `url` once it is known. `told` if who asked knows that it takes a while."""

    phase: TicketPhase = TicketPhase.WANTED
    by: str
    url: str = ""
    sent_at: datetime | None = None
    told: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownFollowUps:
    """The message below the summary `thread`. `moved` is the one below an earlier summary, until it says so."""

    version: str
    thread: str
    ts: str = ""
    since: datetime
    moved: str = ""


TICKETS = Shelf("ticket", TicketRecord, KEPT)
SHOWN = Shelf("followups-message", ShownFollowUps, KEPT)


async def record(world: World, edition: Edition, account: Account) -> None:
    """Puts each proposal of the account on the timeline, once for each key. Raises JournalAway."""
    incident = edition.incident.id
    for followup in propose(account):
        await world.records.put(_WORDS, name_of(incident, followup.key), dump_followup(followup), ttl=KEPT)
        once = f"followup/{followup.key}"
        draft = draft_of(followup_facts(followup), world.clock.now(), _BOT, followup.title, once=once)
        await world.journal.append(incident, draft)


async def so_far(world: World, incident: Incident) -> FollowUpsReport:
    """What the facts call for now, with tickets; an export need not have been made. Each can be filed.

    Raises JournalAway.
    """
    story, batch = Story(incident), list[Entry]()
    async for entry in world.journal.entries(incident.id):
        batch.append(entry)
        if len(batch) == _BATCH:
            await asyncio.to_thread(_learn, story, batch)
            batch = []
    await asyncio.to_thread(_learn, story, batch)
    account = story.account(now=world.clock.now(), names={})
    for followup in account.followups:
        if await find(world, incident.id, followup.key) is None:  # what an export has proposed stays in its words
            words = dump_followup(followup)
            await world.records.put(_WORDS, name_of(incident.id, followup.key), words, ttl=KEPT)
    titles = {followup.key: followup.title for followup in account.followups}
    return await _told(world, incident, titles)


def _learn(story: Story, entries: Sequence[Entry]) -> None:
    for entry in entries:
        story.learn(entry)


async def find(world: World, incident_id: str, key: str) -> FollowUp | None:
    """A proposal with its words; None if it was not made. Raises JournalAway."""
    words = await world.records.get(_WORDS, name_of(incident_id, key))
    return None if words is None else load_followup(words)


async def show(world: World, incident_id: str, version: str) -> None:
    """Posts the proposals of this edition below its summary, or brings their message up to date.

    Raises Passing, Busy or JournalAway: then it must be tried again.
    """
    async with _leased(world, incident_id):
        progress = await editions.find(world, incident_id, version)
        if progress is None or not await editions.is_newest(world, progress.edition):
            return
        report, root = await _report(world, progress), await summary_of(world, progress.edition)
        if report.followups and root:
            await _brought_up(world, report, root, version)


async def redraw(world: World, incident_id: str) -> bool:
    """Shows in the message what has become of the proposals; False if there is none, or none that can be changed.

    Raises as `show`.
    """
    async with _leased(world, incident_id):
        shown = await SHOWN.get(world, incident_id)
        progress = None if shown is None else await editions.find(world, incident_id, shown.version)
        if shown is None or progress is None or not shown.ts:
            return False
        return await _drawn(world, await _report(world, progress), shown.ts)


async def thread_of(world: World, incident_id: str) -> str:
    """The `ts` of the summary that the proposals are shown under; empty if they are not."""
    shown = await SHOWN.get(world, incident_id)
    return "" if shown is None else shown.thread


def name_of(incident_id: str, key: str) -> str:
    """The name of a follow-up's records: short, whatever the key holds."""
    return f"{incident_id}/{digest_of(key)}"


def _leased(world: World, incident_id: str) -> AbstractAsyncContextManager[Callable[[], Awaitable[None]]]:
    return lease(world.records, f"followups/{incident_id}", holder=world.new_id(), patience=_PATIENCE)


async def _report(world: World, progress: Progress) -> FollowUpsReport:
    titles = progress.outline.followups if progress.outline is not None else {}
    return await _told(world, progress.edition.incident, titles)


async def _told(world: World, incident: Incident, titles: Mapping[str, str]) -> FollowUpsReport:
    followups = [await _with_ticket(world, incident.id, key, title) for key, title in titles.items()]
    return FollowUpsReport(incident, tuple(followups), world.tickets.system if world.tickets is not None else "")


async def _with_ticket(world: World, incident_id: str, key: str, title: str) -> FollowUp:
    followup = await find(world, incident_id, key) or FollowUp(key, title, (), ())
    ticket = await TICKETS.get(world, name_of(incident_id, key))
    return replace(followup, ticket=ticket.url or None if ticket is not None else None)


async def _brought_up(world: World, report: FollowUpsReport, root: str, version: str) -> None:
    incident, before = report.incident, await SHOWN.get(world, report.incident.id)
    is_resumed = before is not None and before.thread == root
    if before is None or not is_resumed:
        moved = before.ts if before is not None else ""
        steps = ShownFollowUps(version=version, thread=root, since=world.clock.now(), moved=moved)
        await SHOWN.put(world, incident.id, steps)
    else:
        steps = before
        await SHOWN.update(world, incident.id, version=version)
    if steps.ts:
        await _drawn(world, report, steps.ts)
    else:
        await _posted(world, report, steps, is_resumed=is_resumed)
    await _outdated(world, report)


async def _posted(world: World, report: FollowUpsReport, steps: ShownFollowUps, *, is_resumed: bool) -> None:
    """Posts the message, unless an earlier try did. What Slack will never take stays in the files only."""
    incident, thread = report.incident, steps.thread
    message = Outgoing(incident.channel, report, f"{incident.id}/followups/{thread}", thread)
    try:
        posted = await post_once(world, message, begun=steps.since if is_resumed else None)
    except Final as error:
        log.warning("followups.not_posted", incident=incident.id, detail=error.detail)
        return
    await SHOWN.update(world, incident.id, ts=posted.ts)


async def _drawn(world: World, report: FollowUpsReport, ts: str) -> bool:
    try:
        await world.messenger.update(Posted(report.incident.channel, ts), report)
    except Final as error:
        log.warning("followups.not_redrawn", incident=report.incident.id, detail=error.detail)
        return False
    return True


async def _outdated(world: World, report: FollowUpsReport) -> None:
    """Says in the message below an earlier summary where the follow-ups are now."""
    steps = await SHOWN.get(world, report.incident.id)
    if steps is None or not steps.moved or not steps.ts:
        return
    newer = await world.messenger.link(Posted(report.incident.channel, steps.ts))
    await _drawn(world, replace(report, moved=newer), steps.moved)
    await SHOWN.update(world, report.incident.id, moved="")
