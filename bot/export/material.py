"""What every format is written from: the account, and the entries one by one, as they are shown and as recorded.

Writers are plain functions of a `Material` and a path, and run in a thread: `write_markdown(material, path)`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeAlias

from bot.core.account.values import Account
from bot.core.record.revision import ShownEntry
from bot.core.record.timeline import Entry


@dataclass(frozen=True, slots=True)
class Record:
    """An entry as it was recorded, together with how it is shown.

    `redacted`: it held a secret whose form was not known when it was recorded. The secret is taken out here, so the
    entry's hash no longer covers its words.
    """

    entry: Entry
    shown: ShownEntry
    is_hidden: bool
    redacted: bool


class Material(Protocol):
    """One incident, gathered. All iterations can be made again, and hold one entry at a time."""

    @property
    def account(self) -> Account: ...

    def lines(self) -> Iterator[ShownEntry]:
        """What is shown, by when it happened: without hidden entries and without corrections themselves.

        Edits are applied and secrets are taken out once more; the facts are those that were recorded.
        """
        ...

    def records(self) -> Iterator[Record]:
        """Everything, hidden entries and corrections too, in the order of the chain."""
        ...

    def rows(self) -> Iterator[str]:
        """The same as the JSON export spells it, an entry a line: nothing of it has to be read again."""
        ...


Writer: TypeAlias = Callable[[Material, Path], Path]
"""Writes one format to the file and returns it. Raises OSError."""
