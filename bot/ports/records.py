"""Small facts that outlive a process."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

LEASE = "lease"
"""The kind of the leases that one worker at a time has."""


@dataclass(frozen=True, slots=True)
class TakenUp:
    """A delivery whose own process is silent. `takes` counts how often it was taken up, this time included."""

    name: str
    what: Mapping[str, Any]
    age: timedelta
    takes: int


class Records(Protocol):
    """Small facts that outlive a process: requests, answers, what people were shown. Raises JournalAway like the
    Journal.
    """

    async def put(self, kind: str, key: str, value: Mapping[str, Any], *, ttl: timedelta) -> None: ...

    async def get(self, kind: str, key: str) -> dict[str, Any] | None: ...

    async def get_all(self, kind: str, keys: Sequence[str]) -> dict[str, dict[str, Any]]:
        """The records of one kind that are there, by key, in few questions."""
        ...

    async def update(
        self,
        kind: str,
        key: str,
        changes: Mapping[str, Any],
        *,
        only_if: tuple[str, Sequence[object]] | None = None,
        and_is: Mapping[str, object] | None = None,
        durably: bool = False,
    ) -> dict[str, Any] | None:
        """Sets some fields of a record at once and returns all of it; None (and no change) if it is not there.

        `only_if` is a field with what it may hold now, and `and_is` are fields with the one value of each; with
        anything else it changes nothing and returns None. `durably`: returns as `secure` does, in the same question.
        """
        ...

    async def swap(self, kind: str, key: str, value: Mapping[str, Any], *, was: str, ttl: timedelta) -> bool:
        """Replaces the whole record if its field `version` is the text `was`, empty for a record that is not there.

        False, and no change, for any other. `value` has a `version` that no other value ever had: asked again with it,
        after an answer that was lost, it says True again.
        """
        ...

    async def secure(self, kind: str, key: str) -> dict[str, Any] | None:
        """Returns the record when it is as durable as the store can make it, as it is there then.

        None, or an earlier record, if a fail-over of the store lost what was written before it could be made durable.
        Raises NotReplicated if the store has replicas and none confirms it in time.
        """
        ...

    async def forget(self, kind: str, key: str) -> None: ...

    async def once(self, kind: str, key: str, *, ttl: timedelta) -> bool:
        """True for the first caller with this key, False for all others until `ttl` has passed."""
        ...

    async def take(self, kind: str, key: str, *, holder: str, ttl: timedelta) -> bool:
        """Takes or renews a lease; False if another holder has it."""
        ...

    async def take_and_get(
        self, kind: str, key: str, *, holder: str, ttl: timedelta, record: tuple[str, str]
    ) -> tuple[bool, dict[str, Any] | None]:
        """As `take`, with a record, by kind and key, as it is after that: in one question where the store can."""
        ...

    async def renew(self, kind: str, key: str, *, holder: str, ttl: timedelta) -> bool:
        """Renews a lease; False, and no change, if it ran out meanwhile, even if nobody has it now.

        The time is the store's: it runs even where the holder's machine paused.
        """
        ...

    async def give_back(self, kind: str, key: str, *, holder: str) -> None:
        """Gives a lease back, if this holder still has it."""
        ...

    async def enlist(self, kind: str, key: str, member: str, *, at: datetime, ttl: timedelta) -> None:
        """Puts a member on a list, at an instant; takes off members that have been on it longer than `ttl` by then."""
        ...

    async def enlisted(self, kind: str, key: str, *, since: datetime, until: datetime, limit: int) -> tuple[str, ...]:
        """The members from `since` to `until`, both inclusive, newest first, `limit` of them at most."""
        ...

    async def enlisted_all(
        self, kind: str, keys: Sequence[str], *, since: datetime, until: datetime, limit: int
    ) -> dict[str, tuple[str, ...]]:
        """As `enlisted` for each list of one kind, by key, in few questions; without those that have none."""
        ...

    async def lists_with(self, kind: str, keys: Sequence[str], member: str, *, since: datetime) -> tuple[str, ...]:
        """The keys, in their order, of those lists on which this member was put at `since` or later."""
        ...

    async def accept(self, name: str, what: Mapping[str, Any], *, lease: timedelta, ttl: timedelta) -> bool:
        """Writes a delivery down, in one write, for this process to work on; False if one of this name is known.

        Another process may `take_up` what is not settled, and not kept, for the time of `lease`.
        """
        ...

    async def settle(self, name: str, *, remember: timedelta) -> None:
        """Nothing is left to be done about a delivery. That it came is remembered; what it said is not."""
        ...

    async def take_up(self, *, kept: Collection[str], lease: timedelta, limit: int) -> tuple[TakenUp, ...]:
        """Keeps the deliveries that this process works on, and takes up those of processes that are silent.

        The time is the store's.
        """
        ...
