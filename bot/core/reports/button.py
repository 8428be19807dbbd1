"""What a button remembers: for which state, lock, request and choice it was made.

A button outlives the facts that it was drawn for, so it carries them, and a click is checked against the present.
One string, words separated by spaces: `STATE LOCK REQUEST [CHOICE]`, each percent-quoted, `-` for nothing. It fits
Slack's 150 characters for a select's option with any UUID as lock ID.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote, unquote

_NOTHING = "-"


@dataclass(frozen=True, slots=True)
class ButtonValue:
    state: str
    lock_id: str
    request: str
    choice: str = ""

    def __str__(self) -> str:
        words = [self.state, self.lock_id, self.request, *([self.choice] if self.choice else [])]
        return " ".join(_NOTHING if not word else quote(word, safe="/:") for word in words)


def parse_button(value: str) -> ButtonValue | None:
    """The value as it was written; None for anything that this program did not write."""
    words = [("" if word == _NOTHING else unquote(word)) for word in value.split(" ")]
    match words:
        case [state, lock_id, request]:
            return ButtonValue(state, lock_id, request)
        case [state, lock_id, request, choice]:
            return ButtonValue(state, lock_id, request, choice)
        case _:
            return None
