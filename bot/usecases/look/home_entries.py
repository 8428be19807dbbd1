"""What waits for a person, and which open incidents they may see: those whose channel they are in."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Coroutine, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Annotated, Any

import structlog

from bot.core.codec import Inline
from bot.core.evidence import Found, Observation
from bot.core.people import OwnerSays
from bot.core.policy import Approvers
from bot.core.record.facts import OfState, facts_of
from bot.core.record.incident import Incident
from bot.core.reports.home import Glance, Held, OpenIncident, StateRow, Wait, Waiting
from bot.core.reports.unlock import UnlockRequest
from bot.usecases.decide.owner import answer_of
from bot.usecases.owner.record import OWNED
from bot.usecases.queue.record import kept, load_queue
from bot.usecases.request.approval import expires_at
from bot.usecases.request.record import REQUEST_TTL, UNLOCKS, RequestPhase, UnlockRecord
from bot.usecases.request.steps import WAITING
from bot.usecases.shelf import Shelf
from bot.usecases.world import World

log = structlog.get_logger()

_FRESH = timedelta(seconds=15)
_MOST_INCIDENTS, _MOST_SHOWN = 50, 10
_MOST_REQUESTS, _MOST_QUESTIONS = 20, 20
_AT_ONCE = 20
_MOST_QUEUES = 100
_TAIL = 40
_MOST_OF_A_KIND = 5
_SKEW = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Room:
    """What one person may see in addition to the locks. `requests` are ids of unlocks in their incidents."""

    waiting: tuple[Waiting, ...] = ()
    incidents: tuple[OpenIncident, ...] = ()
    requests: tuple[str, ...] = ()
    more: int = 0
    unchecked: int = 0


@dataclass(frozen=True, slots=True)
class ListedIncident:
    """An open incident with the ids of its unlocks."""

    incident: Annotated[OpenIncident, Inline()]
    requests: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OpenIncidents:
    at: datetime
    incidents: tuple[ListedIncident, ...]


@dataclass(frozen=True, slots=True)
class MemberIds:
    ids: tuple[str, ...]


OPEN_INCIDENTS = Shelf("home", OpenIncidents, _FRESH)
MEMBERS = Shelf("home-members", MemberIds, timedelta(seconds=60))


async def room_of(world: World, user: str) -> Room:
    """Raises JournalAway."""
    known = await _open_incidents(world)
    inside = await _inside(world, user, {one.incident.channel for one in known})
    mine = [one for one in known if inside.get(one.incident.channel)]
    return Room(
        incidents=tuple(one.incident for one in mine[:_MOST_SHOWN]),
        requests=tuple(request for one in mine for request in one.requests),
        more=max(0, len(mine) - _MOST_SHOWN),
        unchecked=sum(one.incident.channel not in inside for one in known),
    )


async def waiting_for(world: World, user: str, room: Room, glance: Glance) -> tuple[Waiting, ...]:
    """What waits for their answer first, then what they may approve, then what they have armed. Raises JournalAway."""
    questions, requests, watched = await asyncio.gather(
        _questions(world, user, glance), _requests(world, user, room.requests), _watched(world, user)
    )
    return (*questions, *requests, *watched)


async def _watched(world: World, user: str) -> list[Waiting]:
    """The states on whose queue they are."""
    now = world.clock.now()
    names = await world.records.enlisted(
        "waiting", "states", since=now - kept(world), until=now + _SKEW, limit=_MOST_QUEUES
    )
    known = [name for name in names if name in world.states]
    queues = await asyncio.gather(*(load_queue(world, name) for name in known))
    mine = [(name, waiter) for name, queue in zip(known, queues, strict=True) if (waiter := queue.of(user)) is not None]
    return [
        Waiting(Wait.WATCH, name, channel=waiter.channel, since=waiter.since, until=waiter.until)
        for name, waiter in mine[:_MOST_OF_A_KIND]
    ]


async def _open_incidents(world: World) -> tuple[ListedIncident, ...]:
    """The open incidents with their states and unlocks, read once for everyone."""
    kept, now = await OPEN_INCIDENTS.get(world, "incidents"), world.clock.now()
    if kept is not None and now - kept.at < _FRESH:
        return kept.incidents
    found = await world.journal.incidents(open_only=True, limit=_MOST_INCIDENTS)
    listed = tuple(await asyncio.gather(*(_listed(world, incident) for incident in found)))
    await OPEN_INCIDENTS.put(world, "incidents", OpenIncidents(now, listed))
    return listed


async def _listed(world: World, incident: Incident) -> ListedIncident:
    now = world.clock.now()
    tail, named = await asyncio.gather(
        world.journal.tail(incident.id, _TAIL),
        world.records.enlisted(
            "requests", incident.id, since=now - REQUEST_TTL, until=now + _SKEW, limit=_MOST_REQUESTS
        ),
    )
    told = [facts for facts in map(facts_of, tail) if isinstance(facts, OfState)]
    states = dict.fromkeys(facts.state for facts in told if facts.state in world.states)
    return ListedIncident(
        OpenIncident(incident.id, incident.title, incident.channel, incident.opened_at, tuple(states)),
        tuple(name.removeprefix("unlock/") for name in named if name.startswith("unlock/")),
    )


async def _inside(world: World, user: str, channels: Collection[str]) -> dict[str, bool]:
    """In which of the channels they are. A channel of which Slack does not say is left out."""
    ask = world.directory.members
    lists = await asyncio.gather(*(_kept_ids(world, "channel members", one, partial(ask, one)) for one in channels))
    return {channel: user in members for channel, members in zip(channels, lists, strict=True) if members is not None}


async def _kept_ids(
    world: World, what: str, key: str, ask: Callable[[], Coroutine[Any, Any, Observation[tuple[str, ...]]]]
) -> frozenset[str] | None:
    """User ids as Slack gave them a minute ago at most, for any asker; None if it does not say.

    What fifty tabs ask at once must not use up the calls that a release needs.
    """
    kept = await MEMBERS.get(world, f"{what}/{key}")
    if kept is not None:
        return frozenset(kept.ids)
    seen = await world.timed("Slack", what, ask())
    if not isinstance(seen, Found):
        log.info("home.members_unseen", what=what, key=key)
        return None
    await MEMBERS.put(world, f"{what}/{key}", MemberIds(tuple(seen.value)))
    return frozenset(seen.value)


async def with_owners(world: World, glance: Glance) -> Glance:
    """The glance with whom each lock was taken to belong to when it was spoken of. Raises JournalAway."""
    places = asyncio.Semaphore(_AT_ONCE)
    return replace(glance, rows=tuple(await asyncio.gather(*(_with_owner(world, row, places) for row in glance.rows))))


async def _with_owner(world: World, row: StateRow, places: asyncio.Semaphore) -> StateRow:
    async with places:
        known = await OWNED.get(world, f"{row.state}/{row.lock_id}") if row.held is Held.LOCKED else None
    if known is None:
        return row
    return replace(row, owner=known.owner, asked_in=known.asked_in, asker=known.asker, request=known.request)


async def _questions(world: World, user: str, glance: Glance) -> list[Waiting]:
    mine = [row for row in glance.rows if row.owner == user and row.state in world.states]
    questions = await asyncio.gather(*(_question(world, row) for row in mine[:_MOST_QUESTIONS]))
    return [one for one in questions if one is not None][:_MOST_OF_A_KIND]


async def _question(world: World, row: StateRow) -> Waiting | None:
    """The question to the owner of a lock, while it has no answer."""
    said = await answer_of(world, row.state, row.lock_id, row.owner)
    if said is not None and said.says is OwnerSays.DEAD:
        return None
    is_open = said is None or said.says is OwnerSays.LATER
    wait = Wait.ANSWER if is_open else Wait.SAID
    return Waiting(wait, row.state, row.lock_id, row.request, row.asked_in, row.asker, since=row.created)


async def _requests(world: World, user: str, ids: Sequence[str]) -> list[Waiting]:
    found = await asyncio.gather(*(_request(world, user, request) for request in ids))
    waiting = [one for one in found if one is not None]
    approvals = [one for one in waiting if one.wait is Wait.APPROVAL][:_MOST_OF_A_KIND]
    return [*approvals, *[one for one in waiting if one.wait is Wait.ARMED][:_MOST_OF_A_KIND]]


async def _request(world: World, user: str, request_id: str) -> Waiting | None:
    record = await UNLOCKS.get(world, request_id)
    if record is None or record.request.state not in world.states:
        return None
    request, by = record.request, record.asker
    if record.phase is RequestPhase.ARMED:
        return await _armed(world, record) if by == user else None
    is_open = record.phase in WAITING and bool(record.wanted) and user not in {by, request.user}
    until = expires_at(world, record)
    if not is_open or until < world.clock.now() or not await _may_approve(world, request, user):
        return None
    link = await _link(world, request)
    return Waiting(
        Wait.APPROVAL, request.state, request.lock_id, request.id, request.channel, by, request.asked_at, until, link
    )


async def _armed(world: World, record: UnlockRecord) -> Waiting:
    request, link = record.request, await _link(world, record.request)
    return Waiting(
        Wait.ARMED, request.state, request.lock_id, request.id, request.channel, request.user, record.armed_at,
        record.until, link,
    )  # fmt: skip


async def _may_approve(world: World, request: UnlockRequest, user: str) -> bool:
    """As far as the policy tells: the click looks at who they are, and so does the release.

    That they are a full member, and in the channel, has been seen before.
    """
    policy = world.approvers(request.state)
    if policy.by is Approvers.NOBODY:
        return False
    groups = [named for named in (world.policy.unlock_groups, policy.groups) if named]
    ask = world.directory.group_members
    lists = await asyncio.gather(*(_kept_ids(world, "groups", "+".join(one), partial(ask, one)) for one in groups))
    return all(members is not None and user in members for members in lists)


async def _link(world: World, request: UnlockRequest) -> str | None:
    """The message that shows a request; None if Slack does not say."""
    if not request.ts:
        return None
    seen = await world.messages.permalink(request.channel, request.ts)
    return seen.value if isinstance(seen, Found) else None
