"""The commands as values: what people ask for, once `handlers.typed.grammar` has read it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from bot.core.record.revision import Marking, Milestone
from handlers.typed.moments import Moment

DEFAULT_COUNT = 12
"""Entries on a page of the timeline where no number is given."""


class Command:
    __slots__ = ()

    @property
    def name(self) -> str:
        """The command's word, for the metrics and the log: that of its class, `kill-job` for `KillJob`."""
        return re.sub(r"(?<=.)(?=[A-Z])", "-", type(self).__name__).lower()


@dataclass(frozen=True, slots=True)
class Help(Command):
    """`command` is a known word, or None for all of them."""

    command: str | None = None


@dataclass(frozen=True, slots=True)
class Status(Command):
    """None: all states."""

    state: str | None = None


@dataclass(frozen=True, slots=True)
class Who(Command):
    """At most one of the two is given."""

    state: str | None = None
    user_id: str | None = None


@dataclass(frozen=True, slots=True)
class Unlock(Command):
    """With `dry_run` nothing is armed or released, whatever else is given. `reason` is None where none was given."""

    state: str
    dry_run: bool = False
    when_safe: bool = False
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class KillJob(Command):
    """`target` is a state, a run's address or a run's id, as it was typed."""

    target: str
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Timeline(Command):
    """The newest `count` entries, a page at a time."""

    count: int = DEFAULT_COUNT


@dataclass(frozen=True, slots=True)
class Note(Command):
    """`at` None: now."""

    text: str
    at: Moment | None = None


@dataclass(frozen=True, slots=True)
class Edit(Command):
    """Puts an entry right: its text, its time, or both. `entry` is its number in the incident."""

    entry: int
    text: str | None = None
    at: Moment | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class MarkEntry(Command):
    """Hides an entry, shows it again, or makes it a key moment or none. `entry` is its number in the incident."""

    entry: int
    how: Marking
    reason: str | None = None
    milestone: Milestone | None = None

    @property
    def name(self) -> str:
        return str(self.how)


@dataclass(frozen=True, slots=True)
class Capture(Command):
    """Puts what was written in the channel since `since` on the timeline; with `marked_only` what is marked there."""

    since: Moment | None = None
    marked_only: bool = False


@dataclass(frozen=True, slots=True)
class Watch(Command):
    """With `off` someone stops waiting."""

    state: str
    off: bool = False


@dataclass(frozen=True, slots=True)
class Hold(Command):
    """`span` is None where no length was given. With `off` the hold that is there is ended."""

    state: str
    span: timedelta | None = None
    reason: str | None = None
    off: bool = False


@dataclass(frozen=True, slots=True)
class Recover(Command):
    """`run_url` names another run than the one behind the last lock; a button carries the `lock_id` of its own."""

    state: str
    run_url: str = ""
    lock_id: str = ""


@dataclass(frozen=True, slots=True)
class Explain(Command):
    """`files` are the ids of files that came with the text."""

    error: str
    files: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Open(Command):
    title: str | None = None


@dataclass(frozen=True, slots=True)
class Close(Command):
    pass


@dataclass(frozen=True, slots=True)
class Reopen(Command):
    """None: the channel's last incident."""

    incident: str | None = None


@dataclass(frozen=True, slots=True)
class Title(Command):
    text: str


@dataclass(frozen=True, slots=True)
class Export(Command):
    pass


@dataclass(frozen=True, slots=True)
class FollowUps(Command):
    """What to do after the incident."""


class Mistake(StrEnum):
    UNKNOWN_WORD = "unknown word"
    WRONG_ARGUMENT = "wrong argument"


@dataclass(frozen=True, slots=True)
class Misunderstood(Command):
    """What could not be read. `word` is the asker's own and must be escaped; `detail` is ours.

    `nearest` is the known word or flag that was probably meant. `command` and `usage` are those of the command whose
    argument is wrong; None for an unknown word.
    """

    kind: Mistake
    word: str | None
    nearest: str | None = None
    command: str | None = None
    usage: str | None = None
    detail: str = ""
