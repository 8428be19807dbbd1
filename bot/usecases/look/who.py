"""`who`: the person behind a state's lock, or a person with their locks; within seconds, whatever Slack does."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from bot.core.evidence import Found, NotFound, Observation, Trouble, Unseen
from bot.core.gate.inspection import Inspection, StateName
from bot.core.hours import on_clock
from bot.core.lock import LockInfo
from bot.core.people import Member
from bot.core.phrase import Quoted
from bot.core.policy import Approvers, KnownPerson
from bot.core.reports.who import HeldLock, StandIns, UserReport, WhoReport
from bot.usecases.decide.inspect import inspect, overview
from bot.usecases.decide.owner import why_barred
from bot.usecases.look.status import Question, entered, write_down
from bot.usecases.owner.stand_ins import stand_ins
from bot.usecases.world import World

T = TypeVar("T")

_PATIENCE = 3.0
_FOR_ALL_STATES = 4.0
_FOR_LOCKS = 5.0
_MOST_LOCKS = 20
_AT_ONCE = 5


async def who(world: World, name: str, question: Question) -> WhoReport:
    """The person behind a state's lock. Raises UnknownState."""
    state = world.state(name)
    inspection, incident, instead, approvers = await asyncio.gather(
        inspect(world, state, without_claims=True),
        entered(world, name, question),
        stand_ins(world, question.channel),
        _approvers(world, name, question.channel),
    )
    if incident.id:
        await write_down(world, incident.id, inspection)
    return await reached(world, inspection, instead, approvers)


async def reached(
    world: World, inspection: Inspection, instead: StandIns | None = None, approvers: StandIns | None = None
) -> WhoReport:
    """What Slack knows of the owner that the look at the state found."""
    owner, approval = inspection.owner, world.approvers(inspection.state.name)
    user = (owner.slack_id or owner.account) if owner is not None else None
    if owner is None or user is None:
        return WhoReport(inspection, None, None, None, instead, approval=approval, approvers=approvers)
    member, whereabouts = await asyncio.gather(
        _in_time(world, world.directory.member(user)), _in_time(world, world.directory.whereabouts(user))
    )
    local = _local_time(world, member)
    others = None if instead is None else instead.without(user)
    hours = next((person.hours for person in world.holders.people if person.name == owner.name), None)
    return WhoReport(inspection, member, whereabouts, local, others, hours, approval, approvers)


async def about_user(world: World, user_id: str) -> UserReport:
    """A Slack user, whether they can be reached, and their locks, by whatever evidence there is."""
    member, whereabouts, held = await asyncio.gather(
        _in_time(world, world.directory.member(user_id)),
        _in_time(world, world.directory.whereabouts(user_id)),
        _held_now(world),
    )
    email = (member.value.email or "") if isinstance(member, Found) else ""
    known = world.holders.person_in_slack(user_id) or (world.holders.person_for(email=email) if email else None)
    locks, unknown = await _theirs(world, user_id, known, held.locks)
    return UserReport(
        member,
        whereabouts,
        _local_time(world, member),
        locks,
        None if known is None else known.hours,
        held.unread,
        unknown,
        why_barred(member.value, world.directory.home_team) if isinstance(member, Found) else None,
        held.unshown,
    )


@dataclass(frozen=True, slots=True)
class _Held:
    locks: tuple[tuple[StateName, LockInfo], ...]
    unread: int
    unshown: int = 0


async def _held_now(world: World) -> _Held:
    try:
        async with asyncio.timeout(_FOR_ALL_STATES):
            seen = await overview(world)
    except TimeoutError:
        return _Held((), len(world.states))
    locks = tuple((state, info) for state, lock in seen.states for info in lock.locks)
    unread = [lock for _, lock in seen.states if lock.unseen and not lock.locks and not lock.is_unshown]
    return _Held(locks, len(unread), sum(lock.is_unshown for _, lock in seen.states))


async def _theirs(
    world: World, user_id: str, known: KnownPerson | None, held: Sequence[tuple[StateName, LockInfo]]
) -> tuple[tuple[HeldLock, ...], int]:
    """Their locks, and of how many it was not found out whose they are: the look at each has an end, and have all."""
    by_who = {info.id for _, info in held if known is not None and known in world.holders.people_for_who(info.who)}
    ordered = sorted(held, key=lambda each: each[1].id not in by_who)
    looked: dict[int, Inspection] = {}
    turn = asyncio.Semaphore(_AT_ONCE)

    async def look(position: int, state: StateName, lock: LockInfo) -> None:
        async with turn:
            looked[position] = await inspect(world, world.state(state.name), lock_id=lock.id, without_claims=True)

    try:
        async with asyncio.timeout(_FOR_LOCKS):
            await asyncio.gather(*(look(at, *each) for at, each in enumerate(ordered[:_MOST_LOCKS])))
    except TimeoutError:
        pass  # whose the others are is not known

    found, unknown = list[HeldLock](), 0
    for position, (state, lock) in enumerate(ordered):
        inspection = looked.get(position)
        if inspection is not None:
            found += _owned(inspection, user_id, lock)
        elif lock.id in by_who:
            found.append(HeldLock(state, lock, ("the lock's Who is ", Quoted(lock.who)), is_sure=False))
        else:
            unknown += 1
    return tuple(sorted(found, key=lambda each: not each.is_sure)), unknown


def _owned(inspection: Inspection, user_id: str, lock: LockInfo) -> list[HeldLock]:
    """The lock, if it is still there and is theirs or may be."""
    if inspection.lock is None or inspection.lock.id != lock.id:
        return []
    if inspection.owner is not None and user_id in {inspection.owner.slack_id, inspection.owner.account}:
        return [HeldLock(inspection.state, lock, inspection.owner.source)]
    maybe = (owner for owner in inspection.owners if user_id in {owner.slack_id, owner.account})
    return [HeldLock(inspection.state, lock, owner.source, is_sure=False) for owner in maybe]


async def _approvers(world: World, state: str, channel: str) -> StandIns | None:
    approval = world.approvers(state)
    return await stand_ins(world, channel, groups=approval.groups) if approval.by is Approvers.GROUP else None


def _local_time(world: World, member: Observation[Member]) -> datetime | None:
    if not isinstance(member, Found):
        return None
    return on_clock(world.clock.now(), member.value.tz, member.value.tz_offset)


async def _in_time(world: World, question: Coroutine[Any, Any, Observation[T]]) -> Found[T] | NotFound | Unseen:
    try:
        async with asyncio.timeout(_PATIENCE):
            return await question
    except TimeoutError:
        return Unseen("Slack", Trouble.TIMED_OUT, f"Slack did not answer within {_PATIENCE:g} s", world.clock.now())
