"""What kill-job could end: the runs that a state's name, an address or an id means, and what they are to the lock."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from bot.core.evidence import Found, NotFound, Unseen
from bot.core.gate.attribution import Attribution, Candidate
from bot.core.gate.contention import Loop
from bot.core.gate.inspection import Inspection
from bot.core.phrase import Phrase, Quoted
from bot.core.record.evidence import trouble_words
from bot.core.reports.kill import KillTarget, Stake, StateStake, strongest
from bot.core.run import Phase, Pipeline, Run, RunRef
from bot.errors import NoSuchRun, NotPermitted
from bot.usecases.decide.inspect import inspect, unanswered
from bot.usecases.decide.owner import started_by
from bot.usecases.world import State, World

_RUN_ID = re.compile(r"\d{1,20}|[0-9a-f]{32}")
"""A run's number, or an ECS task's id."""
_AT_A_TIME = 8
"""So many states are looked at together."""
_SCOPES = frozenset({"repo", "project", "job", "cluster"})
"""The part of a pipeline within which run ids are counted."""


async def find(world: World, target: str) -> tuple[Inspection | None, tuple[KillTarget, ...], Phrase]:
    """What a state's name, a run's URL or a run's id means. Raises UnknownState if it is none of these, NoSuchRun."""
    if target in world.states:
        inspection = await inspect(world, world.state(target))
        targets = await _with_all_states(world, _targets(inspection), inspection)
        return inspection, targets, unseen_words(unanswered(inspection))
    refs = _refs(world, target)
    if not refs and _is_address(target):
        raise NoSuchRun(target)
    if not refs:
        world.state(target)
    answers = await asyncio.gather(*(world.sources[ref.pipeline.ci].run(ref) for ref in refs))
    runs = _different(world, [seen.value for seen in answers if isinstance(seen, Found)])
    mute = tuple(seen for seen in answers if isinstance(seen, Unseen) or (isinstance(seen, NotFound) and not runs))
    if not runs and all(isinstance(seen, NotFound) for seen in answers):
        raise NoSuchRun(target, tuple(dict.fromkeys(world.sources[ref.pipeline.ci].system for ref in refs)))
    if not runs:
        return None, (), unseen_words(mute)
    if len({run.ref for run in runs}) > 1:
        raise NotPermitted("That id names runs of several pipelines. Nothing was changed; give the run's address.")
    state = _state_of(world, runs[0].ref.pipeline)
    inspection = await inspect(world, state)
    targets = tuple(_target(run) for run in runs[:1] if run.phase is not Phase.ENDED)
    return inspection, await _with_all_states(world, targets, inspection), ()


def _different(world: World, runs: Sequence[Run]) -> list[Run]:
    """Without those that are another one under a second name of its CI system: they have one address."""
    found = list[Run]()
    for run in runs:
        same = (one for one in found if run.ref.url and (run.ref.id, run.ref.url) == (one.ref.id, one.ref.url))
        if not any(world.may_share_runs(run.ref.pipeline, one.ref.pipeline) for one in same):
            found.append(run)
    return found


async def _with_all_states(
    world: World, targets: tuple[KillTarget, ...], inspection: Inspection
) -> tuple[KillTarget, ...]:
    """The targets with what they are to every state that their pipeline is mapped to, whichever was asked for."""
    looks = _Inspections(world, {inspection.state.name: inspection})
    found = await asyncio.gather(*(_ties(looks, target.runs, target.pipeline) for target in targets))
    return tuple(replace(target, tie=strongest(ties), ties=ties) for target, ties in zip(targets, found, strict=True))


async def ties_of(world: World, runs: Sequence[Run], pipeline: Pipeline) -> tuple[StateStake, ...]:
    """What the runs are to every state that the pipeline is mapped to, now. Raises JournalAway."""
    return await _ties(_Inspections(world, {}), runs, pipeline)


class _Inspections:
    """At each state once for each lock that is there, however many targets are asked about. Of a free one nothing
    but its lock is read.

    A pipeline may be mapped to hundreds of states, of which few are locked.
    """

    def __init__(self, world: World, known: Mapping[str, Inspection]) -> None:
        self.world = world
        self._known, self._few = known, asyncio.Semaphore(_AT_A_TIME)
        self._taken = dict[str, asyncio.Task[tuple[Inspection, ...]]]()

    async def at(self, state: State) -> tuple[Inspection, ...]:
        """Empty if it is free. Two places may hold the locks of two runs: each is asked whose it is."""
        name = state.name.name
        if name not in self._taken:
            self._taken[name] = asyncio.ensure_future(self._look(state))
        return await asyncio.shield(self._taken[name])

    async def _look(self, state: State) -> tuple[Inspection, ...]:
        async with self._few:
            first = self._known.get(state.name.name)
            if first is None:
                seen = await self.world.timed(state.backend_system, "read lock", state.backend.read_lock())
                if seen.is_free:
                    return ()
                first = await inspect(self.world, state)
            more = [info.id for info in first.seen.locks if info != first.lock]
            return (first, *[await inspect(self.world, state, lock_id=lock_id) for lock_id in more])


async def _ties(looks: _Inspections, runs: Sequence[Run], pipeline: Pipeline) -> tuple[StateStake, ...]:
    world, mapped = looks.world, looks.world.states_of(pipeline)
    seen = await asyncio.gather(*map(looks.at, mapped))
    starters = started_by(world, _as_holders(world, runs))
    found = list[StateStake]()
    for state, inspections in zip(mapped, seen, strict=True):
        free = StateStake(state.name.name, Stake.NO_LOCK, state.name.protected, starters=starters)
        each = [_locked(free, inspection, _tie(world, runs, inspection, pipeline)) for inspection in inspections]
        found.append(_together(each) if each else free)
    return tuple(found)


def _as_holders(world: World, runs: Sequence[Run]) -> Attribution:
    at = world.clock.now()
    return Attribution(None, tuple(Candidate(run, Found(run, at), ()) for run in runs), ("they are to be ended",))


def _locked(free: StateStake, inspection: Inspection, tie: Stake) -> StateStake:
    owner = inspection.owner
    return replace(
        free,
        tie=tie,
        lock_ids=tuple(sorted({info.id for info in inspection.seen.locks})),
        owner_id=owner.slack_id if owner is not None and owner.is_certain else None,
    )


def _together(each: Sequence[StateStake]) -> StateStake:
    """What the runs are to all locks of one state; the owner is that of the lock that counts, if it is one person."""
    tie = strongest(each)
    owners = {stake.owner_id for stake in each if stake.tie is tie}
    lock_ids = {lock_id for stake in each for lock_id in stake.lock_ids}
    owner_id = owners.pop() if len(owners) == 1 else None
    return replace(each[0], tie=tie, lock_ids=tuple(sorted(lock_ids)), owner_id=owner_id)


def _refs(world: World, target: str) -> tuple[RunRef, ...]:
    """The runs that an address (or a task's ARN) or a bare id could mean, among the configured pipelines only.

    Makes no request.
    """
    refs = world.refs_from_url(target) if _is_address(target) else ()
    if refs or not _RUN_ID.fullmatch(target):
        return refs
    scopes = {
        (pipeline.ci, next((value for key, value in pipeline.fields if key in _SCOPES), "")): pipeline
        for state in world.states.values()
        for pipeline in state.pipelines
    }
    return tuple(RunRef(pipeline, target) for pipeline in scopes.values())


def _is_address(target: str) -> bool:
    """Also of one without its scheme: no state's name has a slash."""
    return "/" in target or target.startswith("arn:")


def _state_of(world: World, pipeline: Pipeline) -> State:
    for state in world.states_of(pipeline):
        return state
    raise NotPermitted("That run belongs to no pipeline that the configuration maps to a state. Nothing was changed.")


def _targets(inspection: Inspection) -> tuple[KillTarget, ...]:
    """Loops first, then the active runs that belong to none of them."""
    loops = tuple(_loop_target(loop, inspection) for loop in inspection.contention.loops)
    looping = {run.ref for target in loops for run in target.runs}
    single = (run for run in _going(inspection) if run.ref not in looping)
    return (*loops, *map(_target, single))


def _going(inspection: Inspection, pipeline: Pipeline | None = None) -> Iterable[Run]:
    for look in inspection.looks:
        if isinstance(look.listing, Found) and pipeline in {None, look.pipeline}:
            yield from (run for run in look.listing.value if run.phase is not Phase.ENDED)


def _target(run: Run) -> KillTarget:
    """Named after its pipeline as well: Jenkins counts the builds of each job from 1."""
    return KillTarget(f"run:{_name(run.ref.pipeline)}:{run.ref.id}", (run,), Stake.NO_LOCK)


def _loop_target(loop: Loop, inspection: Inspection) -> KillTarget:
    """Named after its pipeline: by the time of the click another loop may have more starts."""
    runs = tuple(_going(inspection, loop.pipeline))
    return KillTarget(f"loop:{_name(loop.pipeline)}", runs, Stake.NO_LOCK, loop)


def _name(pipeline: Pipeline) -> str:
    fields = "\n".join(f"{key}\t{value}" for key, value in pipeline.fields)
    return hashlib.sha256(f"{pipeline.ci}\n{fields}".encode()).hexdigest()[:8]


def _tie(world: World, runs: Sequence[Run], inspection: Inspection, pipeline: Pipeline) -> Stake:
    """How runs relate to the lock of an inspection. Of what cannot be read there, any of them may be the holder.

    So may a run whose pipeline gave no answer when it was asked for its runs, and a loop's, of which none is known; and
    where no holder is known, every run but those that started too late.
    """
    seen, tied = inspection.seen, inspection.attribution
    if tied is not None and _may_be_its(world, runs, inspection, tied, pipeline):
        return Stake.HOLDS
    if seen.is_throttled and not seen.garbage and len(seen.unseen) == 1:
        return Stake.UNREAD
    if seen.garbage or seen.unseen:
        return Stake.HOLDS
    return Stake.NO_LOCK if tied is None else Stake.CONTENDS


def _may_be_its(
    world: World, runs: Sequence[Run], inspection: Inspection, tied: Attribution, pipeline: Pipeline
) -> bool:
    mute = [look.pipeline for look in inspection.looks if not isinstance(look.listing, Found)]
    asked = {pipeline, *(run.ref.pipeline for run in runs)}
    if any(world.may_share_runs(one, other) for one in asked for other in mute):
        return True
    possible = [candidate.run.ref for candidate in tied.possible]
    if any(_is_one_of(world, run.ref, possible) for run in runs):
        return True
    if tied.candidates:
        return False
    late = [run.ref for run in tied.contenders]
    return not all(_is_one_of(world, run.ref, late) for run in runs)


def _is_one_of(world: World, ref: RunRef, refs: Iterable[RunRef]) -> bool:
    """The same run may be named by entries of several states."""
    return any(ref.id == other.id and world.may_share_runs(ref.pipeline, other.pipeline) for other in refs)


def unseen_words(mute: tuple[NotFound | Unseen, ...]) -> Phrase:
    """Why one of them was not seen; nothing where there is none."""
    return () if not mute else (f"{mute[0].system}: ", Quoted(trouble_words(mute[0])))
