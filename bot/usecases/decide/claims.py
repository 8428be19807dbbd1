"""What jobs say of themselves: claims are written down here, and found again for a lock.

A claim is kept under an id that cannot be guessed, and listed by its host. Its own id is what seals a host name.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import timedelta

from bot.core.evidence import NotFound, Observation, Trouble, Unseen
from bot.core.gate.attribution import Claimed
from bot.core.gate.claim import Claim, ClaimBody, is_certain, is_sealed, may_have_taken, sealed_id
from bot.core.instants import shifted
from bot.core.lock import LockInfo
from bot.core.run import Run, RunRef
from bot.core.who import is_image_host
from bot.usecases.shelf import Shelf
from bot.usecases.world import State, World

KEPT = timedelta(days=30)
"""How long a claim is remembered. After that the other strengths of evidence have to do."""

_LONGEST_JOB = timedelta(days=7)
_MOST_LISTED = 1000
_MOST_READ = 50


@dataclass(frozen=True, slots=True)
class NewClaim:
    """A claim as a job makes it, `age` after it began its work. `actor` is who started its run, if it says so.

    `private_host`: no process of another job has its host's name.
    """

    state: str
    host: str
    run_url: str
    attempt: int = 1
    age: timedelta = timedelta(0)
    actor: str = ""
    private_host: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimRecord(ClaimBody):
    """A claim as it is kept, under its id."""

    open: bool = True

    def named(self, claim_id: str) -> Claim:
        return Claim(id=claim_id, **{one.name: getattr(self, one.name) for one in fields(ClaimBody)})


CLAIMS = Shelf("claim", ClaimRecord, KEPT)
_OPEN = ("open", (True, "yes"))
"""Redis compares what is written there, and earlier versions wrote "yes"."""


async def claim(world: World, said: NewClaim, *, claim_id: str) -> Claim:
    """Writes a claim down. `claim_id` must not be guessable. Raises UnknownState or JournalAway."""
    world.state(said.state)
    made = ClaimRecord(
        state=said.state,
        host=said.host,
        run_url=said.run_url,
        attempt=said.attempt,
        made_at=world.clock.now() - said.age,
        actor=said.actor,
        private_host=said.private_host,
    )
    await CLAIMS.put(world, claim_id, made)
    for name in (_by_host(said.state, said.host), _by_host("", said.host)):
        await world.records.enlist("claims-by-host", name, claim_id, at=made.made_at, ttl=KEPT)
    return made.named(claim_id)


async def heartbeat(world: World, claim_id: str, *, lock_id: str | None = None) -> Claim | None:
    """The job is still running, and says which lock it has, if it knows. None if there is no such claim.

    After its end a claim stays as it is: a lock that is named then is not that of the process which ended. Raises
    JournalAway.
    """
    now = world.clock.now()
    changes = {"heartbeat_at": now} | ({"lock_id": lock_id} if lock_id else {})
    found = await CLAIMS.update(world, claim_id, changes, only_if=_OPEN)
    if found is None:
        closed = await CLAIMS.get(world, claim_id)
        return None if closed is None else closed.named(claim_id)
    return found.named(claim_id)


async def end(
    world: World, claim_id: str, *, exit_code: int, processes_left: int | None = None, lock_id: str | None = None
) -> Claim | None:
    """The job's command is over; its Terraform too, if no process is left. The first report counts.

    None if there is no such claim. Raises JournalAway.
    """
    before = await heartbeat(world, claim_id, lock_id=lock_id)
    if before is None or before.ended_at is not None:
        return before
    changes = {"exit_code": exit_code, "processes_left": processes_left, "ended_at": world.clock.now(), "open": False}
    found = await CLAIMS.update(world, claim_id, changes, only_if=_OPEN)
    return before if found is None else found.named(claim_id)


async def lock_of(world: World, claim: Claim) -> LockInfo | None:
    """The lock that the claimant seems to have now: it is sealed as its own, or its host has it, and nobody else
    claimed it there.

    Never by host where every machine bears that name. Raises JournalAway.
    """
    state = world.state(claim.state)
    if claim.ended_at is not None:
        return None
    seen = await world.timed(state.backend_system, "read lock", state.backend.read_lock())
    lock = seen.lock if len(seen.locks) == 1 else None
    if lock is None or not is_certain(claim, lock):
        return None
    if is_sealed(claim, lock):
        return lock
    if is_image_host(claim.host):
        return None
    fitting = await _fitting(world, claim.state, lock, world.policy.clock_skew)
    others = [one for one in fitting if one.id != claim.id]
    return None if others else lock


async def claims_on(
    world: World, state: State, lock: LockInfo | None, *, apart: timedelta = timedelta(0)
) -> tuple[Claimed, ...]:
    """Every claim that may be of this lock, each with its run as its CI system gives it now. Raises JournalAway.

    `apart` is how far the holder's clock and the store's are from each other.

    A host that its job called private stays so only if no other job has claimed it.
    """
    if lock is None:
        return ()
    fitting = await _fitting(world, state.name.name, lock, world.policy.clock_skew + apart)
    refs = {one.run_url: next(iter(world.refs_from_url(one.run_url)), None) for one in fitting}
    wanted = [ref for ref in dict.fromkeys(refs.values()) if ref is not None]
    read = wanted[:_MOST_READ]
    sources = [world.sources[ref.pipeline.ci] for ref in read]
    asked = (world.timed(source.system, "read run", source.run(ref)) for source, ref in zip(sources, read, strict=True))
    seen = dict(zip(read, await asyncio.gather(*asked), strict=True))
    return tuple(
        Claimed(one, _reading(world, ref, seen), world.sources[ref.pipeline.ci].system if ref else "")
        for one, ref in ((one, refs[one.run_url]) for one in fitting)
    )


async def _fitting(world: World, state: str, lock: LockInfo, skew: timedelta) -> tuple[Claim, ...]:
    since, until = shifted(lock.created, -_LONGEST_JOB), shifted(lock.created, skew)
    by_host = await world.records.enlisted(
        "claims-by-host", _by_host(state, lock.host), since=since, until=until, limit=_MOST_LISTED
    )
    sealed = sealed_id(lock.host)
    ids = tuple(dict.fromkeys((*((sealed,) if sealed else ()), *by_host)))
    claims = [record.named(claim_id) for claim_id, record in (await CLAIMS.get_all(world, ids)).items()]
    fitting = [one for one in claims if one.state == state and may_have_taken(one, lock, skew)]
    return tuple(await _without_shared(world, fitting))


async def _without_shared(world: World, claims: Sequence[Claim]) -> Sequence[Claim]:
    """A host that any other job has claimed too, whatever its state, is private to none of them."""
    if not any(one.private_host for one in claims):
        return claims
    now = world.clock.now()
    shared = {}
    for host in {one.host.casefold() for one in claims if one.private_host}:
        ids = await world.records.enlisted(
            "claims-by-host", _by_host("", host), since=shifted(now, -KEPT), until=now, limit=_MOST_LISTED
        )
        there = (await CLAIMS.get_all(world, ids)).values()
        shared[host] = len({(one.run_url, one.attempt) for one in there}) > 1
    return [replace(one, private_host=one.private_host and not shared[one.host.casefold()]) for one in claims]


def _reading(world: World, ref: RunRef | None, seen: Mapping[RunRef, Observation[Run]]) -> Observation[Run]:
    now = world.clock.now()
    if ref is None:
        return NotFound("tflock", "a run at the address that the job gave: no configured CI system knows it", now)
    return seen.get(ref) or Unseen(
        "tflock", Trouble.TOO_MUCH, f"more than {_MOST_READ} runs have claimed the state on that host", now
    )


def _by_host(state: str, host: str) -> str:
    return f"{state}/{host.casefold()}"
