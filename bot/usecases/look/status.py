"""The questions that change nothing: what is the matter with a state, who holds its lock.

They work without the timeline, and say so.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass, replace

import structlog

from bot.core.evidence import Found
from bot.core.gate.eligibility import lacks_standing
from bot.core.gate.inspection import Inspection
from bot.core.people import OwnerAnswer, Standing
from bot.core.reports.in_flight import RequestInFlight
from bot.core.reports.owner_message import OwnerNews
from bot.core.reports.report import Overview, StatusReport
from bot.errors import JournalAway
from bot.usecases.decide.inspect import inspect, overview
from bot.usecases.decide.owner import answer_about
from bot.usecases.decide.weigh import conclude
from bot.usecases.owner.tell import write_to_owner
from bot.usecases.queue.waiting_list import state_seen
from bot.usecases.record.lifecycle import enter, observe
from bot.usecases.request.in_flight import in_flight
from bot.usecases.world import World

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Entered:
    """The incident that a question is asked in; no `id` outside an incident channel. `trouble` is the timeline's."""

    id: str = ""
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class Question:
    """Who asks, and where. `command` is what they typed, for the timeline."""

    user: str
    channel: str
    command: str


async def status(world: World, name: str, question: Question) -> StatusReport:
    """One state, and whether the asker could unlock it. Raises UnknownState."""
    state = world.state(name)
    asked = asyncio.ensure_future(world.standing(question.user, question.channel))
    inspection, standing, incident, requests = await asyncio.gather(
        inspect(world, state, without_claims=True),
        asked,
        entered(world, name, question, asked),
        requests_of(world, name),
    )
    lock = inspection.lock
    answer, trouble = await known_answer(world, name, lock.id) if lock is not None else (None, "")
    verdict = None if lock is None else conclude(world, inspection, standing, lock.id, answer).verdict
    if incident.id:
        trouble = await write_down(world, incident.id, inspection) or trouble
    waiting = await state_seen(world, name, inspection.seen)
    return StatusReport(
        inspection, verdict, answer, journal_trouble=incident.trouble or trouble, waiting=waiting, requests=requests,
        standing=standing, incident=incident.id,
    )  # fmt: skip


async def requests_of(world: World, state: str) -> tuple[RequestInFlight, ...]:
    """Those in flight for a state; none where the timeline cannot be reached."""
    try:
        return await in_flight(world, state)
    except JournalAway:
        return ()


async def tell_owner(
    world: World, inspection: Inspection, question: Question, answered: StatusReport | None = None
) -> None:
    """Writes to the owner that their lock is asked about, if that is done in an incident; `answered` knows that.

    For after the answer: it takes Slack two calls, which the asker need not wait for. Without the timeline the owner
    gets no message, since nobody knows whether they had one. A question of someone without standing notifies
    nobody.
    """
    try:
        incident = await incident_of(world, question, answered)
        if not incident:
            return
        standing = None if answered is None else answered.standing
        if not lacks_standing(standing or await world.standing(question.user, question.channel)):
            await write_to_owner(
                world, OwnerNews.ASKED, inspection, asker=question.user, channel=question.channel, incident=incident
            )
    except JournalAway:
        log.warning("status.owner_not_told", state=inspection.state.name)


async def incident_of(world: World, question: Question, answered: StatusReport | None = None) -> str:
    """The id of the incident that it was asked in; empty outside of one. Raises JournalAway."""
    if answered is not None and answered.incident:
        return answered.incident
    found = await world.journal.current(question.channel)
    return "" if found is None else found.id


async def everything(world: World, question: Question) -> Overview:
    """All states at a glance."""
    seen, incident = await asyncio.gather(overview(world), entered(world, "Terraform locks", question))
    return replace(seen, journal_trouble=incident.trouble)


async def entered(world: World, title: str, question: Question, asked: Awaitable[Standing] | None = None) -> Entered:
    """The channel's incident, opened if need be.

    `asked` is what Slack is being asked about the asker already: it says what the channel is.
    """
    channel = await world.directory.channel(question.channel) if asked is None else (await asked).channel
    if not (isinstance(channel, Found) and world.is_incident_channel(channel.value)):
        return Entered(trouble=await world.journal_trouble())
    try:
        incident = await enter(
            world, channel=question.channel, user=question.user, title=title, command=question.command
        )
    except JournalAway as error:
        return Entered(trouble=error.in_short)
    return Entered(incident.id)


async def known_answer(world: World, state: str, lock_id: str) -> tuple[OwnerAnswer | None, str]:
    """What the owner has said, and why the timeline cannot be used, so that it is not known."""
    try:
        return await answer_about(world, state, lock_id), ""
    except JournalAway as error:
        return None, error.in_short


async def write_down(world: World, incident: str, inspection: Inspection) -> str:
    """Writes the lock to the timeline; returns why it could not be, empty if it is there."""
    try:
        await observe(world, incident, inspection.state.name, inspection.seen)
    except JournalAway as error:
        log.warning("status.not_written_down", state=inspection.state.name)
        return error.in_short
    return ""
