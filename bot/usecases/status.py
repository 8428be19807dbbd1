"""The questions that change nothing: what is the matter with a state, who is behind its lock.

They work without the timeline, and say so.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import structlog

from bot.core.eligibility import why_not_eligible
from bot.core.evidence import Found, Observation
from bot.core.people import Channel, Member, OwnerAnswer, Presence, Standing
from bot.core.report import Inspection, Overview, OwnerNews, StatusReport, UserReport, WhoReport
from bot.errors import JournalAway
from bot.usecases.evidence import conclude
from bot.usecases.incident import enter, observe
from bot.usecases.inspect import inspect, overview
from bot.usecases.letters import write_to_owner
from bot.usecases.owner import answer_about
from bot.usecases.waiting_list import state_seen
from bot.usecases.world import World

log = structlog.get_logger()

_MOST_STAND_INS = 10
_MOST_LOOKED_UP = 30


@dataclass(frozen=True, slots=True)
class Question:
    """Who asks, and where. `command` is what he typed, for the timeline."""

    user: str
    channel: str
    command: str


async def status(world: World, name: str, question: Question) -> StatusReport:
    """One state, and whether the asker could unlock it. Raises UnknownState."""
    state = world.state(name)
    inspection, standing, incident = await asyncio.gather(
        inspect(world, state, without_claims=True),
        world.standing(question.user, question.channel),
        _entered(world, name, question),
    )
    lock = inspection.lock
    answer, away = await _answer(world, name, lock.id) if lock is not None else (None, incident is None)
    verdict = None if lock is None else conclude(world, inspection, standing, lock.id, answer).verdict
    if incident:
        away = await _write_down(world, incident, inspection) or away
    waiting = await state_seen(world, name, inspection.seen)
    return StatusReport(inspection, verdict, answer, journal_away=away or incident is None, waiting=waiting)


async def tell_owner(world: World, inspection: Inspection, question: Question) -> None:
    """Writes to the owner that his lock is asked about, if that is done in an incident.

    For after the answer: it takes Slack two calls, which the asker need not wait for. Without the timeline the owner
    is not told, since it could not be known whether he has been.
    """
    try:
        incident = await world.journal.current(question.channel)
        if incident is not None:
            await write_to_owner(
                world, OwnerNews.ASKED, inspection, asker=question.user, channel=question.channel, incident=incident.id
            )
    except JournalAway:
        log.warning("status.owner_not_told", state=inspection.state.name)


async def everything(world: World, question: Question) -> Overview:
    """All states at a glance."""
    seen, incident = await asyncio.gather(overview(world), _entered(world, "Terraform locks", question))
    return replace(seen, journal_away=incident is None)


async def who(world: World, name: str, question: Question) -> WhoReport:
    """The person behind a state's lock. Raises UnknownState."""
    state = world.state(name)
    inspection, incident, stand_ins = await asyncio.gather(
        inspect(world, state, without_claims=True), _entered(world, name, question), _stand_ins(world, question.channel)
    )
    if incident:
        await _write_down(world, incident, inspection)
    return await reached(world, inspection, stand_ins)


async def reached(world: World, inspection: Inspection, stand_ins: tuple[tuple[Member, bool], ...] | None) -> WhoReport:
    """What Slack knows of the owner that the look at the state found."""
    owner = inspection.owner
    if owner is None or owner.slack_id is None:
        return WhoReport(inspection, None, None, None, stand_ins)
    member, whereabouts = await asyncio.gather(
        world.directory.member(owner.slack_id), world.directory.whereabouts(owner.slack_id)
    )
    others = None if stand_ins is None else tuple(entry for entry in stand_ins if entry[0].id != owner.slack_id)
    return WhoReport(inspection, member, whereabouts, _local_time(member, world.clock.now()), others)


async def about_user(world: World, user_id: str) -> UserReport:
    """A Slack user, whether he can be reached, and the locks that are his by the configuration."""
    member, whereabouts, seen = await asyncio.gather(
        world.directory.member(user_id), world.directory.whereabouts(user_id), overview(world)
    )
    locks = tuple(
        (state, info)
        for state, lock in seen.states
        for info in lock.locks
        if (person := world.holders.person_for_who(info.who)) is not None and person.slack == user_id
    )
    return UserReport(member, whereabouts, _local_time(member, world.clock.now()), locks)


async def _entered(world: World, title: str, question: Question) -> str | None:
    """The incident's id; empty outside an incident channel; None if the timeline cannot be reached."""
    channel = await world.directory.channel(question.channel)
    if not (isinstance(channel, Found) and world.is_incident_channel(channel.value)):
        return "" if await _journal_answers(world) else None
    try:
        entered = await enter(
            world, channel=question.channel, user=question.user, title=title, command=question.command
        )
    except JournalAway:
        return None
    return entered.id


async def _journal_answers(world: World) -> bool:
    try:
        await world.journal.ping()
    except JournalAway:
        return False
    return True


async def _answer(world: World, state: str, lock_id: str) -> tuple[OwnerAnswer | None, bool]:
    try:
        return await answer_about(world, state, lock_id), False
    except JournalAway:
        return None, True


async def _write_down(world: World, incident: str, inspection: Inspection) -> bool:
    """Writes the lock to the timeline; True if the timeline went away meanwhile."""
    try:
        await observe(world, incident, inspection.state.name, inspection.seen)
    except JournalAway:
        log.warning("status.not_written_down", state=inspection.state.name)
        return True
    return False


def _local_time(member: Observation[Member], now: datetime) -> datetime | None:
    if not isinstance(member, Found):
        return None
    try:
        zone = ZoneInfo(member.value.tz) if member.value.tz else None
    except (ZoneInfoNotFoundError, ValueError):
        zone = None
    return now.astimezone(zone or timezone(timedelta(seconds=member.value.tz_offset)))


async def _stand_ins(world: World, channel_id: str) -> tuple[tuple[Member, bool], ...]:
    """Members of the channel who may unlock, with whether they are active; the active ones first."""
    listed, channel = await asyncio.gather(world.directory.members(channel_id), world.directory.channel(channel_id))
    ids = listed.value[:_MOST_LOOKED_UP] if isinstance(listed, Found) else ()
    standings = await asyncio.gather(*(_listed_standing(world, user, listed, channel) for user in ids))
    able = [standing for standing in standings if why_not_eligible(standing, world.policy) is None]
    present = await asyncio.gather(*(world.directory.whereabouts(standing.user_id) for standing in able))
    pairs = [
        (standing.member.value, isinstance(where, Found) and where.value.presence is Presence.ACTIVE)
        for standing, where in zip(able, present, strict=True)
        if isinstance(standing.member, Found)
    ]
    return tuple(sorted(pairs, key=lambda pair: not pair[1])[:_MOST_STAND_INS])


async def _listed_standing(
    world: World, user: str, listed: Observation[tuple[str, ...]], channel: Observation[Channel]
) -> Standing:
    """The standing of somebody who is known to be in the channel: two questions less for each of many."""
    groups = world.policy.unlock_groups
    member = await world.directory.member(user)
    return Standing(
        user_id=user,
        home_team=world.directory.home_team,
        member=member,
        in_channel=Found(value=True, at=listed.at),
        in_groups=await world.directory.is_in_groups(user, groups) if groups else None,
        channel=channel,
        is_incident_channel=isinstance(channel, Found) and world.is_incident_channel(channel.value),
    )
