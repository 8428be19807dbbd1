"""What a backend's package gives, and what it is made with.

A new backend is a package beside this module: `section.py` has its keys, `kind.py` its `KIND`. It passes the contract
suite (tests/contracts/lock_backends) in a world of its own, and has a page in docs/backends.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from pydantic import SecretStr

from bot.aws.clients import AwsClients
from bot.core.evidence import Observation
from bot.core.lock import Rights
from bot.ports.clock import Clock
from bot.ports.locks import CheckedBackend, CheckedHoldBackend, LockSweep
from bot.ports.records import Records


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What any backend may be made with. `secrets` are by the variable that the section names.

    `in_no_hurry`: for the doctor, whom a slow answer serves better than none. What several
    states can share goes to `shared`, what has to be closed at the end to `closing`.
    """

    clock: Clock
    records: Records
    aws: AwsClients
    secrets: Mapping[str, SecretStr]
    in_no_hurry: bool = False
    shared: dict[Hashable, Any] = field(default_factory=dict)
    closing: list[Callable[[], Awaitable[None]]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Writing:
    """When a version of a state was written, by the store's clock, and by what: a page or a name of the run, as far as
    the store knows it.
    """

    at: datetime
    run: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """One state's backend. `table` names the lock table that it shares with others, for people; `lock_table` tells that
    table from all others; both are empty where there is none. `holds`: where tflock can have locks of its own; None:
    it cannot. `writings`, where the store knows the run that wrote a version, asks for those of the newest ones, newest
    first, so many at most; it reads no state.
    """

    backend: CheckedBackend
    holds: CheckedHoldBackend | None = None
    writings: Callable[[int], Awaitable[Observation[tuple[Writing, ...]]]] | None = None
    table: str = ""
    lock_table: Hashable = None


class Lists(Protocol):
    """What a kind whose sections have a `listing` does, too."""

    async def states(self, section: Any, means: Means, beginning: str) -> Observation[tuple[str, ...]]:
        """The names, as `listing` has them, of the states in the section's container that begin so. A state whose
        lock is there is one, too, where it is listed. Takes half a minute at most.
        """
        ...


class Kind(Protocol):
    """One type of backend. Making things does no I/O; what cannot be made is ConfigInvalid with the fix."""

    @property
    def system(self) -> str:
        """What metrics and sentences call it, `S3 backend`."""
        ...

    @property
    def rights(self) -> Rights: ...

    def open(self, section: Any, means: Means) -> Store: ...

    def sweep(self, sections: Mapping[str, Any], means: Means) -> LockSweep:
        """Reads the locks of these states, all of this kind, by their names."""
        ...

    async def warm(self, sections: Mapping[str, Any], means: Means) -> None:
        """Makes what is slow to make before anyone waits for it. Raises UpstreamError."""
        ...
