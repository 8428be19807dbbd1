"""Looks at a state: its lock, its file, and the runs that may hold the lock. Reads only.

Everything that does not depend on something else is asked at the same time, so that a look costs two hops: the lock
and the lists of runs; then the runs that were active when the lock was taken. Their jobs' logs are a third, which costs
nothing once a job that is over has been read. The lock table and the state, which may be large, are read at the same
time as all three.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from bot.core.evidence import Found, NotFound, Observation, Trouble, Unseen
from bot.core.gate.attribution import (
    Claimed,
    PipelineSeen,
    Taken,
    allowance,
    log_key,
    may_hold,
    suspected,
)
from bot.core.gate.contention import contention
from bot.core.gate.inspection import Crowd, Inspection
from bot.core.gate.tie import attribute
from bot.core.hold import is_hold
from bot.core.instants import shifted
from bot.core.joblog.values import JobLog
from bot.core.lock import LockInfo, LockSeen, StateCheck, age
from bot.core.reports.report import Overview
from bot.core.run import Pipeline, Run, RunRef
from bot.errors import JournalAway
from bot.usecases.decide.claims import claims_on
from bot.usecases.decide.owner import Accounts, ask_slack_early, find_owners
from bot.usecases.decide.sightings import SIGHTINGS, Sightings, earlier_than, note
from bot.usecases.world import State, World, gather_all

LOOK_BACK = timedelta(days=14)
"""How far back runs are listed before the lock's age is known; an older lock costs a second listing, one hop more.

A CI whose runs can be started again for weeks lists much farther back in any case, so two weeks cost hardly anything.
"""

_LIVES_ON = timedelta(hours=1)
"""No process lives on for so long after CI has reported its end, by any system's settle time."""

_AT_ONCE = 500
_MOST_SUSPECTS = 60
_MOST_SHARED = 20
_MOST_LOGS = 40
"""So many logs are read of one pipeline's jobs; more than that decide nothing."""


async def inspect(
    world: World, state: State, *, lock_id: str | None = None, without_claims: bool = False, by_trying: bool = False
) -> Inspection:
    """One look at a state. `lock_id` says which lock is meant, if there are two; `by_trying` is as for `read_lock`.
    Never raises for upstreams.

    Raises JournalAway if the jobs' claims cannot be read; `without_claims` then does without them, for looks on which
    nothing is decided.
    """
    checking = asyncio.ensure_future(world.timed(state.backend_system, "read state", state.backend.read_state()))
    inspection, table, _ = await asyncio.gather(
        _inspected(world, state, lock_id, checking, without_claims=without_claims, by_trying=by_trying),
        world.timed(state.backend_system, "read table", state.backend.read_table()),
        checking,
    )
    return replace(inspection, table=table)


async def _inspected(
    world: World,
    state: State,
    lock_id: str | None,
    checking: Awaitable[StateCheck],
    *,
    without_claims: bool,
    by_trying: bool,
) -> Inspection:
    started = world.clock.now()
    since = started - LOOK_BACK
    known, seen, listings = await asyncio.gather(
        _known(world, state, or_none=without_claims),
        world.timed(state.backend_system, "read lock", state.backend.read_lock(by_trying=by_trying)),
        _listings(world, state.pipelines, since),
    )
    lock = next((info for info in seen.locks if info.id == lock_id), seen.lock)
    taken = None
    if lock is not None and not is_hold(lock):
        taken = Taken.of(lock, seen.stored_at(lock.id), policy=world.policy, now=started)
    dated = lock
    if lock is not None and not lock.is_since_known:
        taken = Taken.unknown(started, max(_LIVES_ON, world.policy.settle_time(None)))
        dated = replace(lock, created=started)
    if taken is not None and taken.first < since + world.policy.clock_skew:
        listings = await _listings(world, state.pipelines, shifted(taken.first, -2 * world.policy.clock_skew))

    looks, named, claims, crowd, accounts, _ = await asyncio.gather(
        asyncio.gather(*(_look(world, *listed, taken) for listed in zip(state.pipelines, listings, strict=True))),
        _named_runs(world, state.pipelines, lock),
        _claims(world, state, dated, taken, or_none=without_claims),
        _crowd(world, state, seen, listings),
        _accounts(world, state, dated, taken, listings),
        _noted(world, state, known, seen, or_pass=without_claims),
    )

    tied, skew = None, world.policy.clock_skew
    if lock is not None and dated is not None:
        earlier = earlier_than(known, lock.id)
        tied = attribute(
            dated, looks, holders=world.holders, skew=skew, named=named, claims=claims, taken=taken, earlier=earlier
        )
    possible = [] if tied is None else [candidate.run.ref for candidate in tied.possible]
    owner, owners = (None, ()) if lock is None else await find_owners(world, lock, tied, accounts)
    check = await checking
    now = world.clock.now()
    if seen.held or seen.is_free:  # what could not be read leaves its gauge as it was
        world.meter.lock(state.name.name, held=bool(seen.held), age_seconds=_age(lock, now))
    return Inspection(
        state=state.name,
        seen=seen,
        check=check,
        looks=tuple(looks),
        lock=lock,
        attribution=tied,
        contention=contention(looks, possible=possible, now=now, rule=world.policy.loop),
        owner=owner,
        owners=owners,
        at=started,
        crowd=crowd,
        can=state.backend.can if lock is None else seen.can(lock.id, state.backend.can),
    )


async def _known(world: World, state: State, *, or_none: bool) -> Sightings | None:
    try:
        return await SIGHTINGS.get(world, state.name.name)
    except JournalAway:
        if or_none:
            return None
        raise


async def _noted(world: World, state: State, known: Sightings | None, seen: LockSeen, *, or_pass: bool) -> None:
    try:
        await note(world, state.name.name, known, seen)
    except JournalAway:
        if not or_pass:
            raise


async def _accounts(
    world: World,
    state: State,
    lock: LockInfo | None,
    taken: Taken | None,
    listings: tuple[Observation[tuple[Run, ...]], ...],
) -> Accounts:
    if lock is None or taken is None:
        return {}
    asked = zip(state.pipelines, listings, strict=True)
    looks = [PipelineSeen(pipeline, world.sources[pipeline.ci].system, listing) for pipeline, listing in asked]
    return await ask_slack_early(world, lock, looks, taken)


async def _crowd(
    world: World, state: State, seen: LockSeen, listings: tuple[Observation[tuple[Run, ...]], ...]
) -> Crowd | None:
    """Who else asks the state's lock table, if it throttles: the runs of all states that share it."""
    if not seen.is_throttled:
        return None
    table = state.lock_table
    sharing = [
        each for each in world.states.values() if table is not None and each.lock_table == table and each != state
    ]
    shared = tuple(dict.fromkeys(pipeline for other in sharing for pipeline in other.pipelines))
    foreign = tuple(pipeline for pipeline in shared if pipeline not in state.pipelines)[:_MOST_SHARED]
    asked = await _listings(world, foreign, world.clock.now() - LOOK_BACK)

    looks = tuple(
        PipelineSeen(pipeline, pipeline.ci, listing)
        for pipeline, listing in zip((*state.pipelines, *foreign), (*listings, *asked), strict=True)
    )
    found = contention(looks, now=world.clock.now(), rule=world.policy.loop)
    states = (state, *sharing)
    return Crowd(
        states=tuple(each.name.name for each in states),
        active=found.active,
        loops=tuple((_state_of(states, loop.pipeline), loop) for loop in found.loops),
        unseen=tuple(look.listing for look in looks if not isinstance(look.listing, Found)),
    )


def _state_of(states: tuple[State, ...], pipeline: Pipeline) -> str:
    found = (state for state in states if pipeline in state.pipelines)
    return next(found, states[0]).name.name


async def overview(world: World) -> Overview:
    """The locks of all states at a glance."""
    seen = await all_locks(world)
    now = world.clock.now()
    return Overview(states=tuple((world.states[name].name, lock) for name, lock in seen.items()), at=now)


async def all_locks(world: World) -> Mapping[str, LockSeen]:
    """What is seen of each state's lock, by the state's name, in the order of the configuration."""
    if world.sweep is None:
        backends = [state.backend.read_lock() for state in world.states.values()]
        seen: Mapping[str, LockSeen] = dict(zip(world.states, await asyncio.gather(*backends), strict=True))
    else:
        found = await world.timed("locks", "sweep", world.sweep.read_locks(tuple(world.states)))
        seen = {name: found[name] for name in world.states if name in found}
    now = world.clock.now()
    for number, (name, lock) in enumerate(seen.items()):
        if lock.held or lock.is_free:  # what could not be read leaves its gauge as it was
            world.meter.lock(name, held=bool(lock.held), age_seconds=_age(lock.lock, now))
        if number % _AT_ONCE == 0:
            await asyncio.sleep(0)  # others have their turn, however many states there are
    return seen


async def _listings(
    world: World, pipelines: tuple[Pipeline, ...], since: datetime
) -> tuple[Observation[tuple[Run, ...]], ...]:
    asked = [(world.sources[pipeline.ci], pipeline) for pipeline in pipelines]
    return tuple(
        await asyncio.gather(
            *(world.timed(source.system, "list runs", source.runs(one, since=since)) for source, one in asked)
        )
    )


async def _look(
    world: World, pipeline: Pipeline, listing: Observation[tuple[Run, ...]], taken: Taken | None
) -> PipelineSeen:
    source = world.sources[pipeline.ci]
    if taken is None or not isinstance(listing, Found):
        return PipelineSeen(pipeline, source.system, listing)
    wide = allowance(listing, world.policy.clock_skew)
    suspects = [run for run in listing.value if may_hold(run, taken, wide)]
    if len(suspects) > _MOST_SUSPECTS:
        detail = f"{len(suspects)} runs of {pipeline.title} were active when the lock was taken: too many to read"
        return PipelineSeen(pipeline, source.system, Unseen(source.system, Trouble.TOO_MUCH, detail, listing.at))
    closer = await gather_all(
        {run.ref.id: world.timed(source.system, "read run", source.with_jobs(run)) for run in suspects}
    )
    look = PipelineSeen(pipeline, source.system, listing, closer, one_state=world.has_one_state(pipeline))
    return replace(look, logs=await _logs(world, look, taken))


async def _logs(world: World, look: PipelineSeen, taken: Taken) -> dict[tuple[str, str, int], Observation[JobLog]]:
    """The log of every job that may have held the lock, each within its own time."""
    source = world.sources[look.pipeline.ci]
    suspects = suspected(look, taken, world.policy.clock_skew)
    jobs = {log_key(one.run, job): (one.run, job) for one in suspects for job in one.jobs}
    if len(jobs) > _MOST_LOGS:
        at = world.clock.now()
        unread = Unseen(source.system, Trouble.TOO_MUCH, f"{len(jobs)} jobs' logs are too many to read", at)
        return dict.fromkeys(jobs, unread)
    asked = (world.timed(source.system, "read log", source.log(run, job)) for run, job in jobs.values())
    return dict(zip(jobs, await asyncio.gather(*asked), strict=True))


async def _named_runs(
    world: World, pipelines: tuple[Pipeline, ...], lock: LockInfo | None
) -> tuple[Observation[Run], ...]:
    """The run that the lock's host name carries, asked of every pipeline's system, whatever its age."""
    named = None if lock is None else world.holders.run_id_in(lock.who)
    if named is None:
        return ()
    refs = [RunRef(pipeline, named[0]) for pipeline in pipelines]
    return tuple(await asyncio.gather(*(world.sources[ref.pipeline.ci].run(ref) for ref in refs)))


async def _claims(
    world: World, state: State, lock: LockInfo | None, taken: Taken | None, *, or_none: bool
) -> tuple[Claimed, ...]:
    try:
        return await claims_on(world, state, lock, apart=timedelta(0) if taken is None else taken.apart)
    except JournalAway:
        if or_none:
            return ()
        raise


def _age(lock: LockInfo | None, now: datetime) -> float | None:
    """In seconds; None where it is not known since when the lock is held."""
    if lock is None:
        return 0.0
    return age(lock, now).total_seconds() if lock.is_since_known else None


def unanswered(inspection: Inspection) -> tuple[NotFound | Unseen, ...]:
    """The lists of runs that could not be read."""
    return tuple(look.listing for look in inspection.looks if not isinstance(look.listing, Found))
