"""The error tree. A refusal is a value (`bot.core.gate.decide`); an error is an exception with facts.

TflockError                       everything that this program raises on purpose
├── ConfigInvalid                 the configuration or the environment: all problems at once
├── LockInfoInvalid               a lock's text is not the JSON that Terraform writes
├── UnknownState                  a state that the configuration does not name
│   └── StateMoved                or names in another place than when something was asked about it
├── UpstreamError                 another system did not do what was asked of it
│   ├── Passing                   the same request may succeed later: try again
│   │   ├── Unreachable           no answer, a time-out, a broken answer, a server error
│   │   └── Throttled             it asks for patience
│   └── Final                     it answered no: trying again does not help until someone changes something
│       ├── Denied                credentials or rights are missing
│       ├── Missing               it says that the thing does not exist
│       └── Rejected              it understood the request and would not take it
├── JournalAway                   the timeline cannot be read or written: nothing may be unlocked
│   ├── JournalRefused            Redis answered, and would not: a right, its disk, its memory, its cluster
│   └── NotReplicated             it was written, and no replica of Redis has confirmed it: a fail-over may lose it
├── ChainBroken                   a timeline or an export was altered; names the first broken entry
├── ExportInvalid                 a file is not the JSON export of a timeline
└── NotPermitted                  the person may not do this here
    └── NoSuchRun                 nor can anyone: no CI system has such a run, or no pipeline such an address
"""

from __future__ import annotations

from typing import ClassVar


class TflockError(Exception):
    """Everything that this program raises on purpose."""


class ConfigInvalid(TflockError):
    """The configuration or the environment has problems: all of them, each with its key or line."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class LockInfoInvalid(TflockError):
    """A lock's text is not the JSON that Terraform writes (`statemgr.LockInfo`)."""


class UnknownState(TflockError):
    """A state that the configuration does not name, with the names that it could have been.

    `left_out`: why states that a pattern found, of which it may be one, are not known.
    """

    def __init__(self, name: str, *, nearest: str | None, known: tuple[str, ...]) -> None:
        super().__init__(f"unknown state {name!r}")
        self.name = name
        self.nearest = nearest
        self.known = known
        self.left_out: tuple[str, ...] = ()


class StateMoved(UnknownState):
    """The configuration names the state in another place than when this was asked: what is there says nothing of it."""

    def __init__(self, name: str) -> None:
        super().__init__(name, nearest=None, known=())
        self.args = (f"the configuration has another place for {name} and its lock than when this was asked",)


class UpstreamError(TflockError):
    """Another system did not do what was asked of it. `system` is its proper name (`GitHub`, `DynamoDB`, `Slack`).

    Raised as one of the kinds below, so that callers can distinguish what to try again (`Passing`, for which `passes`
    is true) from what to give up (`Final`).
    """

    passes: ClassVar[bool] = False

    def __init__(self, system: str, detail: str) -> None:
        super().__init__(f"{system}: {detail}")
        self.system = system
        self.detail = detail


class Passing(UpstreamError):
    """The same request may succeed later."""

    passes = True


class Final(UpstreamError):
    """The system's answer is no. The same request gets the same answer until someone changes something."""


class Unreachable(Passing):
    """No answer, a time-out, a broken answer or a server error: nothing is known."""


class Throttled(Passing):
    """The system asks for patience. `retry_after` is in seconds, where it said so."""

    def __init__(self, system: str, detail: str, *, retry_after: float | None = None) -> None:
        super().__init__(system, detail)
        self.retry_after = retry_after


class Denied(Final):
    """Credentials or rights are missing. The detail names what to grant, where that is known."""


class Missing(Final):
    """The system answered, and said that the thing does not exist."""


class Rejected(Final):
    """The system understood the request and would not take it."""


class JournalAway(TflockError):
    """Redis cannot be read or written. No timeline, no unlock. `in_short` is why, as the end of a sentence."""

    in_short = "the timeline (Redis) is away"

    @property
    def with_fix(self) -> str:
        """For the people who run tflock."""
        return str(self)


class JournalRefused(JournalAway):
    """Redis answered, and does not do what the timeline and the jobs need. `said` are its own words."""

    def __init__(self, what: str, fix: str, said: str = "") -> None:
        super().__init__(f"{what}: {said}" if said else what)
        self.in_short = what
        self.fix = fix

    @property
    def with_fix(self) -> str:
        return f"{self}; {self.fix}"


class NotReplicated(JournalAway):
    """It was written to Redis, which has replicas, and none of them confirmed it in time."""

    in_short = "no replica of Redis confirms what is written"


class ChainBroken(TflockError):
    """A timeline or an export was altered after it was written."""

    def __init__(self, entry_id: str, detail: str) -> None:
        super().__init__(f"entry {entry_id}: {detail}")
        self.entry_id = entry_id
        self.detail = detail


class ExportInvalid(TflockError):
    """A file is not the JSON export of a timeline; says what it lacks."""


class NotPermitted(TflockError):
    """The person may not do this here. The message says what would change that."""


class NoSuchRun(NotPermitted):
    """Every CI system that could have this run answered, and has none. Without `systems` none could: it is an address,
    and not that of a run of a configured pipeline.
    """

    def __init__(self, run: str, systems: tuple[str, ...] = ()) -> None:
        where = f"no run {run} in {', '.join(systems)}"
        super().__init__(where if systems else f"{run} is not the address of a run of a configured pipeline")
        self.run = run
        self.systems = systems
