"""How a check is written.

A file is one thing that is checked. Its `checks(config, wiring)` looks as the bot would, leaves everything as it was,
and returns what it found: results that are `ok`, `warn` or `fail`, with the fix. `examine.CHECKS` names each file.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from bot.core.evidence import NotFound, Unseen


class Level(StrEnum):
    """`FAIL` is what would stop an unlock; `WARN` is what would make one less safe, or something else not work."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Result:
    """`area` is the system (`slack`) or the state, `subject` what of it. `fix` is empty where nothing is to be done."""

    area: str
    subject: str
    level: Level
    detail: str
    fix: str = ""


@dataclass(frozen=True, slots=True)
class Area:
    """Makes the results of one system, or of one state."""

    name: str

    def ok(self, subject: str, detail: str) -> Result:
        return Result(self.name, subject, Level.OK, detail)

    def warn(self, subject: str, detail: str, fix: str = "") -> Result:
        return Result(self.name, subject, Level.WARN, detail, fix)

    def fail(self, subject: str, detail: str, fix: str = "") -> Result:
        return Result(self.name, subject, Level.FAIL, detail, fix)


def why_not(seen: NotFound | Unseen) -> str:
    """Why something was not found."""
    return seen.detail if isinstance(seen, Unseen) else f"there is no {seen.what}"
