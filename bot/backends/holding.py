"""Holds in a store behind an HTTP API: `bot.ports.locks.HoldBackend`, where the store can write locks."""

from __future__ import annotations

import math
import secrets
from collections.abc import Awaitable
from contextlib import suppress
from typing import Protocol

from bot.backends.proof import Proofs
from bot.backends.remote import Leave, Leaving, RemoteBackend, TrialStore, Unmet, at_once, told
from bot.backends.settle import ended, swapped, taken
from bot.core.evidence import Trouble
from bot.core.hold import throw_away
from bot.core.lock import (
    Abilities,
    LockInfo,
    LockPlace,
    PlaceKind,
    PlaceProbe,
    PlaceRelease,
    PlaceTaken,
    ReleaseResult,
    TakeResult,
)
from bot.errors import JournalAway
from bot.http.client import Absent, Failed
from bot.ports.clock import Clock

_PUTS = "puts"


class HoldingStore(TrialStore, Protocol):
    """A store in which a lock can be written under a condition."""

    puts: str
    """The right that writing a lock takes, in the store's own words."""

    async def take(self, hold: LockInfo, leaving: Leaving) -> None:
        """Writes the lock where none is. Raises Unmet if one is there."""
        ...

    async def swap(self, fence: str, hold: LockInfo, leaving: Leaving) -> None:
        """Writes the lock in place of the one with this fence. Raises Unmet if another one is there, or none.

        Made again after an answer that was lost, it does the rest.
        """
        ...

    async def end(self, hold: LockInfo, there: LockPlace, leaving: Leaving) -> None:
        """Releases the lock that `take` or `swap` wrote, whatever end its text names. `there` is what was just read.

        Raises Unmet if the hold is gone.
        """
        ...


class HoldingBackend(RemoteBackend):
    """A `RemoteBackend` that can hold. A store of its own address has to prove that it honours conditional writes."""

    def __init__(
        self,
        store: HoldingStore,
        can: Abilities,
        clock: Clock,
        *,
        address: str,
        proofs: Proofs | None = None,
        endpoint: str | None = None,
        timeout: float = 10.0,
    ) -> None:
        super().__init__(store, can, clock, address=address, proofs=proofs, endpoint=endpoint, timeout=timeout)
        self._holding = store

    async def take(self, kind: PlaceKind, hold: LockInfo, *, before: float = math.inf) -> PlaceTaken:
        """Raises JournalAway if it cannot be learned whether the store honours conditions."""
        if kind is not self._store.kind:
            return PlaceTaken(kind, TakeResult.DENIED, detail=f"this state's configuration has no {kind}")
        unfit = await self._unfit_to_write()
        if unfit is not None:
            return PlaceTaken(kind, TakeResult.DENIED, detail=unfit)
        leave = self._leave(before)
        no = await self._done(self._holding.take(hold, leave), self._holding.puts)
        if (early := _refused(no, leave)) is not None:
            result, words, patience = early
            return PlaceTaken(kind, TakeResult(result.value), detail=words, retry_after=patience)
        now = told(await self._now())
        if no is None:
            return PlaceTaken(kind, TakeResult.TAKEN, now if isinstance(now, LockPlace) else None)
        return taken(kind, _words(no), now, hold)

    async def swap(self, place: LockPlace, hold: LockInfo, *, before: float = math.inf) -> PlaceRelease:
        """Raises as `take`."""
        if place.info is None or not place.fence:
            return PlaceRelease(place, ReleaseResult.DENIED, "a lock that cannot be read is never released")
        if place.kind is not self._store.kind:
            return PlaceRelease(place, ReleaseResult.DENIED, f"this state's configuration has no {place.kind}")
        unfit = await self._unfit_to_write()
        if unfit is not None:
            return PlaceRelease(place, ReleaseResult.DENIED, unfit)
        leave = self._leave(before)
        no = await self._done(self._holding.swap(place.fence, hold, leave), self._holding.puts)
        if (early := _refused(no, leave)) is not None:
            return PlaceRelease(place, *early)
        if no is None:
            return PlaceRelease(place, ReleaseResult.RELEASED)
        return swapped(place, _words(no), told(await self._now()), hold, is_open=isinstance(no, Failed))

    async def end(self, kind: PlaceKind, hold: LockInfo, *, before: float = math.inf) -> PlaceRelease:
        there = told(await self._now())
        place = there if isinstance(there, LockPlace) else LockPlace(kind, self._store.target, "", hold)
        if isinstance(there, str):
            return PlaceRelease(place, ReleaseResult.NOT_SENT, f"{there}, so nothing was sent")
        leave = self._leave(before)
        no = await self._done(self._holding.end(hold, place, leave), self._store.deletes)
        if (early := _refused(no, leave)) is not None:
            return PlaceRelease(place, *early)
        if not isinstance(no, Failed):
            return PlaceRelease(place, ReleaseResult.RELEASED if no is None else ReleaseResult.ALREADY_FREE)
        return ended(place, _words(no), told(await self._now()), hold)

    def _leave(self, before: float) -> Leave:
        return Leave(self._clock, min(before, self._clock.running() + self._timeout))

    async def _done(self, write: Awaitable[None], right: str) -> Failed | Unmet | None:
        """None for what the store has done."""
        try:
            await self._in_time(write, right)
        except (Failed, Unmet) as no:
            return no
        except Absent as absent:
            return Failed(Trouble.DENIED, f"there is no {absent.what}")
        return None

    async def _unfit_to_write(self) -> str | None:
        """Why no lock may be written here, if so: the store is one of its own, and did not prove itself."""
        if self._endpoint is None:
            return None
        store = f"{self._endpoint} {_PUTS}"
        if self._proofs is not None and await self._proofs.knows(store):
            return None
        probe = await self._tried_writing(self._holding.beside(secrets.token_hex(4)))
        if self._proofs is not None:
            await self._proofs.learn(store, probe)
        if probe.is_proven:
            return None
        words = "this store is not known to honour conditions when it writes, so that a new lock could be overwritten"
        return "; ".join(filter(None, (words, probe.detail)))

    async def probe_writes(self, token: str) -> tuple[PlaceProbe, ...]:
        probe = await self._tried_writing(self._holding.beside(f"{token}-hold"))
        if self._endpoint is not None and self._proofs is not None:
            with suppress(JournalAway):  # it is tried again when it is needed
                await self._proofs.learn(f"{self._endpoint} {_PUTS}", probe)
        return (probe,)

    async def _tried_writing(self, trial: HoldingStore) -> PlaceProbe:
        """Takes a throw-away lock, then tries to take it again and to swap it under another fence."""
        first, second = (throw_away(self._clock.now()) for _ in range(2))
        took = await self._tried(trial.take(first, at_once), trial.puts)
        again = await self._tried(trial.take(second, at_once), trial.puts)
        wrong = await self._tried(trial.swap(trial.no_fence, second, at_once), trial.puts)
        there = await self._tried(trial.read(), trial.reads)
        right: object = None
        if isinstance(there, LockPlace):
            right = await self._tried(trial.swap(there.fence, second, at_once), trial.puts)
        now = await self._tried(trial.read(), trial.reads)
        if isinstance(now, LockPlace):
            await self._tried(trial.delete(now.fence, at_once), trial.deletes)
        await self._tried(trial.clear_away(), trial.deletes)

        steps = (took, again, wrong, there, right, now)
        is_proven = (
            took is None and isinstance(again, Unmet) and isinstance(wrong, Unmet) and isinstance(there, LockPlace)
            and right is None and isinstance(now, LockPlace) and now.fence != there.fence
        )  # fmt: skip
        return PlaceProbe(
            kind=trial.kind,
            place=trial.target,
            is_conditional=is_proven,
            missing_rights=(),
            detail="; ".join(dict.fromkeys(step.words for step in steps if isinstance(step, Failed))),
            is_proven=is_proven,
            trouble=next((step.trouble for step in steps if isinstance(step, Failed)), None),
        )


def _refused(no: Failed | Unmet | None, leave: Leave) -> tuple[ReleaseResult, str, float | None] | None:
    """What the store did not do, for certain, and why; None where a look has to tell."""
    if not isinstance(no, Failed):
        return None
    match no.trouble:
        case Trouble.THROTTLED:
            return ReleaseResult.THROTTLED, no.words, no.retry_after
        case Trouble.DENIED | Trouble.NO_CREDENTIALS:
            return ReleaseResult.DENIED, no.words, None
    if leave.has_left:
        return None
    return ReleaseResult.NOT_SENT, f"{no.words}, so nothing was sent", None


def _words(no: Failed | Unmet) -> str:
    return no.words if isinstance(no, Failed) else "another lock is there, or none"
