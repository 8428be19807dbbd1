"""What a dead run left behind: its log against the state. Reads only, while the lock is held and afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from bot.core.evidence import Found, NotFound, Observation
from bot.core.gate.inspection import Inspection
from bot.core.hold import hold_in
from bot.core.instants import shifted
from bot.core.joblog.changes import Changes
from bot.core.joblog.values import JobChanges
from bot.core.lock import StateSeen
from bot.core.phrase import Phrase
from bot.core.record.evidence import LockFacts, trouble_words
from bot.core.record.facts import GateDecided, RecoveryLooked, UnlockReleased, draft_of, facts_of
from bot.core.record.timeline import Entry, Kind
from bot.core.recovery.compare import Difference, compare
from bot.core.recovery.contents import Contents, Version
from bot.core.recovery.held import held_in
from bot.core.recovery.recovery import HowFound, Recovery
from bot.core.recovery.versions import beside
from bot.core.run import Conclusion, Job, Phase, Run, RunRef
from bot.errors import JournalAway, NoSuchRun
from bot.usecases.decide.inspect import LOOK_BACK, inspect
from bot.usecases.world import State, World

log = structlog.get_logger()

MOST_VERSIONS = 6
"""So many versions are listed; the newest is compared, and each with the one before it."""

_MOST_READ = 256 * 1024 * 1024
"""Bytes of older versions: of larger ones only what the store lists is shown."""

_MOST_JOBS = 12
_MOST_INCIDENTS = 20
_MOST_TOLD = 100
_FEW = 5
_MOST_BLOCKS = 20_000
_LATEST = 500
_OF_LOCKS = frozenset({Kind.GATE_DECIDED, Kind.UNLOCK_RELEASED})


@dataclass(frozen=True, slots=True)
class _Holder:
    """The run that a recovery is about. `created` is its lock's age, None where that is not known."""

    found: HowFound
    ref: RunRef
    lock: LockFacts | None
    created: datetime | None


@dataclass(frozen=True, slots=True)
class Asked:
    """Which run is asked about: by its page, by its lock, or neither. `incident` is where to look first for a lock."""

    run_url: str = ""
    lock_id: str = ""
    incident: str = ""


async def recover(world: World, name: str, asked: Asked | None = None) -> Recovery:
    """What the run behind a state's lock, or behind the last lock that was released, left behind.

    Raises UnknownState, and NoSuchRun for an address of no configured pipeline.
    """
    state, asked = world.state(name), asked or Asked()
    inspection, newest, listed = await asyncio.gather(
        inspect(world, state, without_claims=True),
        world.timed(state.backend_system, "read contents", state.backend.contents()),
        world.timed(state.backend_system, "list versions", state.backend.versions(MOST_VERSIONS)),
    )
    holder = await _holder(world, state, inspection, asked)
    told = _Told() if holder is None else await _told(world, state, holder)
    contents = newest.value if isinstance(newest, Found) else None
    if isinstance(newest, NotFound):  # it was never saved, so it has recorded nothing
        newest = Found(Contents(size=0, md5=""), newest.at)
    seen = await _versions(world, state, contents, listed)
    written_later = _written_later(world, inspection, told)
    difference, why_not = _compared(world, inspection, told, newest, _since(told, seen) if written_later else ())
    return Recovery(
        state=state.name,
        at=world.clock.now(),
        run=told.run,
        found=None if holder is None else holder.found,
        lock=None if holder is None else holder.lock,
        is_locked=inspection.seen.is_locked,
        difference=difference,
        why_not=why_not,
        gaps=(*told.gaps, *_masked(difference), *_later(difference, written_later)) if difference is not None else (),
        newest=contents,
        versions=beside(seen, by_run=told.wrote),
        no_versions="" if isinstance(listed, Found) else trouble_words(listed),
        digest=inspection.check.digest,
        left_state=told.changes is not None and told.changes.left_state,
        table=state.table,
        is_on_hold=hold_in(inspection.seen) is not None,
    )


async def write_down(world: World, incident: str, recovery: Recovery, user: str) -> None:
    """Puts what was found on the timeline. Raises JournalAway."""
    difference = recovery.difference or Difference()
    facts = RecoveryLooked(
        state=recovery.state.name,
        lock_id="" if recovery.lock is None else recovery.lock.id,
        run=None if recovery.run is None else recovery.run.ref.url,
        compared=recovery.difference is not None,
        recorded=len(difference.recorded),
        made=tuple(one.address for one in difference.made[:_MOST_TOLD]),
        unsure=tuple(one.address for one in difference.unsure[:_MOST_TOLD]),
        destroyed=difference.destroyed[:_MOST_TOLD],
        left_state=recovery.left_state,
        import_blocks=_whole_blocks(recovery.blocks),
    )
    await world.journal.append(incident, draft_of(facts, recovery.at, user, _words(recovery)))


def _whole_blocks(blocks: str) -> str:
    """As many as are kept; a part of a block is none."""
    return blocks if len(blocks) <= _MOST_BLOCKS else blocks[:_MOST_BLOCKS].rpartition("\n\n")[0]


def _words(recovery: Recovery) -> str:
    difference, state = recovery.difference, recovery.state.name
    if difference is None:
        return f"looked for what was left behind in {state}: it could not be compared"
    told = "; ".join(
        f"{len(places)} {words}{_named(places)}"
        for words, places in (
            ("made and not recorded", [one.address for one in difference.made]),
            ("of unknown outcome", [one.address for one in difference.unsure]),
            ("destroyed and still recorded", list(difference.destroyed)),
        )
    )
    return f"looked for what was left behind in {state}: {told}"


def _named(places: list[str]) -> str:
    more = ", …" if len(places) > _FEW else ""
    return f" ({', '.join(places[:_FEW])}{more})" if places else ""


async def _holder(world: World, state: State, inspection: Inspection, asked: Asked) -> _Holder | None:
    if asked.run_url:
        refs = world.refs_from_url(asked.run_url)
        if not refs:
            raise NoSuchRun(asked.run_url)
        return _Holder(HowFound.NAMED, refs[0], None, None)
    lock = inspection.lock
    if asked.lock_id and (lock is None or lock.id != asked.lock_id):  # by now the next run may hold another one
        return await _released(world, state, asked)
    runs = () if inspection.attribution is None else inspection.attribution.candidates
    if lock is not None:
        now = _Holder(HowFound.HOLDS, runs[0].run.ref, LockFacts.of(lock), lock.created) if len(runs) == 1 else None
        has_ended = now is not None and runs[0].run.phase is Phase.ENDED
        return now if has_ended else await _released(world, state, asked) or now
    if not inspection.seen.is_free:
        return None
    return await _released(world, state, asked) or await _newest_failed(world, state)


async def _released(world: World, state: State, asked: Asked) -> _Holder | None:
    """The run behind the lock of this state that was released last, by the timelines, or behind the one asked for."""
    try:
        async for entry in _entries(world, asked.incident):
            facts = facts_of(entry)
            is_its = isinstance(facts, UnlockReleased) and facts.state == state.name.name
            if isinstance(facts, UnlockReleased) and is_its and asked.lock_id in {"", facts.lock_id}:
                return await _run_behind(world, facts.lock_id, entry, asked.incident)
    except JournalAway:
        log.warning("recover.timeline_away", state=state.name.name)
    return None


async def _run_behind(world: World, lock_id: str, released: Entry, incident: str) -> _Holder | None:
    """The newest verdict on that lock has the evidence."""
    async for entry in _entries(world, incident):
        facts = facts_of(entry)
        if not isinstance(facts, GateDecided) or facts.lock_id != lock_id or facts.evidence is None:
            continue
        if entry.recorded_at > released.recorded_at or facts.evidence.holder is None:
            continue
        runs = facts.evidence.holder.runs
        lock = next((one for one in facts.evidence.lock.locks if one.id == lock_id), None)
        source = world.sources.get(runs[0].ci) if len(runs) == 1 else None
        ref = None if source is None else source.ref_from_url(runs[0].url)
        if ref is not None and lock is not None:
            return _Holder(HowFound.HELD, ref, lock, lock.created)
    return None


async def _entries(world: World, incident: str) -> AsyncIterator[Entry]:
    """What the timelines say of locks, newest first: this incident's, then those of the newest others."""
    names = [incident] if incident else []
    names += [one.id for one in await world.journal.incidents(limit=_MOST_INCIDENTS) if one.id != incident]
    for name in names:
        for entry in reversed(await world.journal.tail(name, _LATEST)):
            if entry.kind in _OF_LOCKS:
                yield entry


async def _newest_failed(world: World, state: State) -> _Holder | None:
    since = world.clock.now() - LOOK_BACK
    listed = await asyncio.gather(
        *(world.sources[pipeline.ci].runs(pipeline, since=since) for pipeline in state.pipelines)
    )
    runs = [run for seen in listed if isinstance(seen, Found) for run in seen.value]
    ended = [run for run in runs if run.phase is Phase.ENDED and run.conclusion not in _FINE]
    newest = max(ended, key=lambda run: run.ended_at or run.created_at, default=None)
    return None if newest is None else _Holder(HowFound.NEWEST, newest.ref, None, None)


_FINE = frozenset({Conclusion.SUCCESS, Conclusion.SKIPPED})


@dataclass(frozen=True, slots=True)
class _Told:
    """What a run's logs told. `changes` is None where they did not tell: `why` then says why. `wrote`: see `beside`."""

    run: Run | None = None
    changes: Changes | None = None
    why: Phrase = ("it is not known which run held the lock",)
    gaps: tuple[Phrase, ...] = ()
    wrote: tuple[datetime, datetime, str] | None = None


async def _told(world: World, state: State, holder: _Holder) -> _Told:
    source = world.sources[holder.ref.pipeline.ci]
    seen = await world.timed(source.system, "read run", source.run(holder.ref))
    if not isinstance(seen, Found):
        return _Told(why=(f"the run could not be read: {trouble_words(seen)}",))
    run = seen.value
    jobs = _jobs_of(run, holder.created, world.policy.clock_skew)[:_MOST_JOBS]
    if not jobs:
        return _Told(run, why=(f"the run's jobs could not be read: {run.jobs_missing or 'it has none'}",))
    logs = await asyncio.gather(*(world.timed(source.system, "read log", source.changes(run, job)) for job in jobs))
    read = [log.value for log in logs if isinstance(log, Found)]
    unread = [trouble_words(log) for log in logs if not isinstance(log, Found)]
    if not read:
        return _Told(run, why=(f"its log could not be read: {unread[0]}",))
    path = state.path if holder.lock is None else holder.lock.path
    by = held_in(read, path, holder.created)
    if by.command is None:
        return _Told(run, why=(f"its log does not tell: {by.why}",))
    work, gaps = by.command.work, tuple(_gaps(run, read, unread, by.command.changes))
    wrote = None if work is None else (work.first, (run.ended_at or work.last) + world.policy.clock_skew, run.ref.url)
    return _Told(run, by.command.changes, (), gaps, wrote)


def _jobs_of(run: Run, created: datetime | None, skew: timedelta) -> list[Job]:
    """Those that may have held a lock of this age; of an unknown age, those of the newest attempt."""
    ran = [job for job in run.jobs or () if job.conclusion is not Conclusion.SKIPPED and job.started_at is not None]
    if created is None:
        return [job for job in ran if job.attempt == run.attempt]
    return [
        job
        for job in ran
        if job.started_at is not None
        and job.started_at <= shifted(created, skew)
        and (job.ended_at is None or job.ended_at >= shifted(created, -skew))
    ]


def _gaps(run: Run, read: list[JobChanges], unread: list[str], changes: Changes) -> Iterator[Phrase]:
    if run.phase is not Phase.ENDED:
        yield ("The run has not ended: this is as far as its log goes.",)
    elif not all(job.is_over for job in read):
        yield ("The job was lost, so its log may lack the last lines: more may have been made than is listed.",)
    if not all(job.is_read for job in read) or changes.is_cut:
        yield ("Only a part of the log was read: what the rest says is not listed.",)
    for why in unread:
        yield (f"Another job's log could not be read: {why}.",)


def _masked(difference: Difference | None) -> Iterator[Phrase]:
    listed = () if difference is None else (*difference.recorded, *(one.address for one in difference.unsure))
    if any("***" in address for address in listed):
        yield ("The log hides parts of addresses (***): such objects cannot be found in the state.",)


def _later(difference: Difference, written_later: datetime | None) -> Iterator[Phrase]:
    if written_later is not None and (difference.made or difference.destroyed):
        yield (
            "The state was saved again after the run ended (",
            written_later,
            "): a later run may have changed these.",
        )


def _last_written(inspection: Inspection) -> datetime | None:
    seen = inspection.check.state
    return seen.value.last_written if isinstance(seen, Found) and isinstance(seen.value, StateSeen) else None


def _written_later(world: World, inspection: Inspection, told: _Told) -> datetime | None:
    """When the state was last saved, if that was after the run had ended, and so by another one."""
    written, ended = _last_written(inspection), None if told.run is None else told.run.ended_at
    is_later = written is not None and ended is not None and written > shifted(ended, world.policy.clock_skew)
    return written if is_later else None


def _since(told: _Told, seen: list[tuple[Version, Contents | None, str]]) -> list[Contents]:
    """The older versions that were saved since the run began."""
    begun = None if told.run is None else told.run.started_at
    return [
        contents
        for version, contents, _ in seen
        if contents is not None and contents.is_readable and not version.is_newest
        if version.at is not None and begun is not None and version.at >= begun
    ]


def _compared(
    world: World, inspection: Inspection, told: _Told, newest: Observation[Contents], between: Sequence[Contents]
) -> tuple[Difference | None, Phrase]:
    if told.changes is None:
        return None, told.why
    if not isinstance(newest, Found):
        return None, (f"the state could not be read: {trouble_words(newest)}",)
    contents = newest.value
    if contents.is_encrypted:
        return None, ("OpenTofu has encrypted the state, so what it records cannot be read here",)
    if not contents.is_readable:
        return None, (f"the state is not valid: {contents.fault or 'it has too many objects to follow'}",)
    # what was written later is another run's, and does not show that this one saved its changes
    written = None if _written_later(world, inspection, told) else _last_written(inspection)
    return compare(told.changes, contents, written=written, skew=world.policy.clock_skew, between=between), ()


async def _versions(
    world: World, state: State, newest: Contents | None, listed: Observation[tuple[Version, ...]]
) -> list[tuple[Version, Contents | None, str]]:
    versions = listed.value if isinstance(listed, Found) else ()
    left, chosen = _MOST_READ, list[Version]()
    for version in versions:
        left -= version.size
        if left > 0 and not version.is_newest:
            chosen.append(version)
    read = await asyncio.gather(
        *(world.timed(state.backend_system, "read contents", state.backend.contents(one.id)) for one in chosen)
    )
    found = dict(zip((one.id for one in chosen), read, strict=True))
    return [_version(one, newest, found.get(one.id)) for one in versions]


def _version(
    version: Version, newest: Contents | None, seen: Observation[Contents] | None
) -> tuple[Version, Contents | None, str]:
    if version.is_newest:
        return version, newest, "" if newest is not None else "it could not be read"
    if seen is None:
        return version, None, "it is too large to be read here"
    return (version, seen.value, "") if isinstance(seen, Found) else (version, None, trouble_words(seen))
