"""How a check is written.

A file is one thing that is checked. Its `checks(config, wiring)` looks as the bot would, leaves everything as it was,
and returns what it found: results that are `ok`, `warn`, `unproven` or `fail`, with the fix. `examine.CHECKS` names
each file.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from bot.core.evidence import NotFound, Trouble, Unseen


class Level(StrEnum):
    """`FAIL` is what would stop an unlock; `WARN` is what would make one less safe, or something else not work.

    `UNPROVEN` is what could not be checked: it may be in order or not.
    """

    OK = "ok"
    WARN = "warn"
    UNPROVEN = "unproven"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Result:
    """`area` is the system (`slack`) or the state, `subject` what of it. `fix` is empty where nothing is to be done.

    An unlock rests on what is `essential`: unproven, it counts as wrong.
    """

    area: str
    subject: str
    level: Level
    detail: str
    fix: str = ""
    essential: bool = False

    @property
    def stops(self) -> bool:
        """Whether an unlock would be stopped, or might be."""
        return self.level is Level.FAIL or (self.level is Level.UNPROVEN and self.essential)


CREDENTIALS = "set that for each of tflock's processes, restart them, and ask again"
"""Where the bot has none: the detail says what was looked for."""

_AGAIN = "try again; if it stays like this, look at the network between here and there"
_UNANSWERED = {
    Trouble.TIMED_OUT: _AGAIN,
    Trouble.NO_CONNECTION: _AGAIN,
    Trouble.SERVER_ERROR: "try again; if it stays like this, look at that system's status page",
    Trouble.THROTTLED: "try again in a minute: it asks for patience",
}
"""What to do where there was no answer that says anything: nothing is known to be wrong."""


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

    def unproven(self, subject: str, detail: str, fix: str = "", *, essential: bool = False) -> Result:
        return Result(self.name, subject, Level.UNPROVEN, detail, fix, essential)

    def unanswered(
        self, subject: str, trouble: Trouble | None, detail: str, fix: str, *, otherwise: Level, essential: bool = False
    ) -> Result:
        """A question that got no good answer, by its cause: unproven where asking again may bring one, else
        `otherwise`, with its fix. `trouble` is None where the answer was that there is no such thing.
        """
        if trouble is Trouble.NO_CREDENTIALS:
            fix = CREDENTIALS
        if trouble in _UNANSWERED:
            return self.unproven(subject, detail, _UNANSWERED[trouble], essential=essential)
        return Result(self.name, subject, otherwise, detail, fix, essential)


def trouble_of(seen: NotFound | Unseen) -> Trouble | None:
    return seen.trouble if isinstance(seen, Unseen) else None


def why_not(seen: NotFound | Unseen) -> str:
    """Why something was not found."""
    return seen.detail if isinstance(seen, Unseen) else f"there is no {seen.what}"
