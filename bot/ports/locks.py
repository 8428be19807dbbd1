"""Where states and their locks are."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Protocol

from bot.core.evidence import Observation
from bot.core.lock import (
    Abilities,
    LockInfo,
    LockPlace,
    LockSeen,
    PlaceKind,
    PlaceProbe,
    PlaceRelease,
    PlaceTaken,
    StateCheck,
    TableSeen,
)
from bot.core.recovery.contents import Contents, Version


class LockBackend(Protocol):
    """Where one state and its lock live. Bound to one state of the configuration."""

    @property
    def can(self) -> Abilities:
        """What this backend can do. Does not change."""
        ...

    async def read_lock(self, *, by_trying: bool = False) -> LockSeen:
        """Reads all places at the same time, strongly consistent. Never raises for what the store says.

        A store that shows no lock to those who only look (`can.shows_lock`) says NOT_SHOWN; `by_trying`, it is asked by
        the try to lock the state, which takes a free state for a moment. Only for an unlock that someone asked for.
        """
        ...

    async def read_state(self) -> StateCheck:
        """Looks at the state object and the digest. Streams the object; memory does not grow with it."""
        ...

    async def read_table(self) -> TableSeen | None:
        """What is known of the lock table; None for a state without one. Never raises for what the store says.

        Takes two seconds at most. May be a minute old, but not older than the last read that the table throttled.
        """
        ...

    async def versions(self, most: int) -> Observation[tuple[Version, ...]]:
        """The newest `most` versions of the state, newest first; of a store that keeps none only the one there is.

        `NotFound` where there is neither.
        """
        ...

    async def contents(self, version: str | None = None) -> Observation[Contents]:
        """What a version of the state, or the newest one, has recorded. Streams it: addresses and ids are kept, and
        no value leaves. Takes longer than `read_state`, up to a minute.
        """
        ...

    async def release(self, place: LockPlace, *, before: float = math.inf) -> PlaceRelease:
        """Deletes exactly the lock whose fence `place` carries, or nothing. One attempt, no retry inside.

        What has not left the machine when `Clock.running` says `before` never does, not even from a call that was
        given up: `NOT_SENT`.

        After an outcome that the store left open (a time-out, a cut connection) it reads again and says what is
        there now; `NOT_KNOWN` if that read fails as well, or if the lock is still there: the request may yet arrive.
        """
        ...


class HoldBackend(Protocol):
    """Where tflock can have a lock of its own. Bound to one state, beside its `LockBackend`.

    Each is one attempt with no retry inside, and what has not left the machine when `Clock.running` says `before` never
    does. After an outcome that the store left open it reads again, as `LockBackend.release` does.
    """

    async def take(self, kind: PlaceKind, hold: LockInfo, *, before: float = math.inf) -> PlaceTaken:
        """Puts the hold where nothing is, and never over a lock."""
        ...

    async def swap(self, place: LockPlace, hold: LockInfo, *, before: float = math.inf) -> PlaceRelease:
        """Replaces exactly the lock whose fence `place` carries by the hold, or does nothing.

        `RELEASED`: that lock is gone from here. The hold is there in its place, unless someone has ended it since.
        """
        ...

    async def end(self, kind: PlaceKind, hold: LockInfo, *, before: float = math.inf) -> PlaceRelease:
        """Releases exactly this hold, whatever end its text names, or nothing: `ALREADY_FREE` where it is not."""
        ...


class CheckedBackend(LockBackend, Protocol):
    """A backend that the doctor can look at, too."""

    async def probe(self, token: str) -> tuple[PlaceProbe, ...]:
        """Tries on throw-away locks whether the store honours conditions, and which rights are missing.

        `token` is random text that makes the throw-away locks unique; the real lock is never touched. Never raises.
        """
        ...

    async def versioning(self) -> Observation[bool]:
        """Whether the store keeps older versions of the state."""
        ...

    async def clock_address(self) -> tuple[str, str] | None:
        """The address whose clock dates the locks, and whose it is; None where that cannot be found out."""
        ...


class CheckedHoldBackend(HoldBackend, Protocol):
    """A place for holds that the doctor can look at, too."""

    async def probe_writes(self, token: str) -> tuple[PlaceProbe, ...]:
        """As `CheckedBackend.probe`, for what a hold needs: to take a free place, and to swap a lock."""
        ...


class LockSweep(Protocol):
    """The locks of many states at once, in as few calls as their stores allow."""

    async def read_locks(self, names: Sequence[str]) -> Mapping[str, LockSeen]:
        """What each of these configured states' `LockBackend.read_lock` would say. Never raises for what a store says.

        Takes half a minute at most: what was not read by then is unseen, and nothing is free that was not read.
        """
        ...
