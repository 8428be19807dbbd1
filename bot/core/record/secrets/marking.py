"""How marks are put into a text: where a pattern is looked for, and what comes in the place of what it finds."""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Iterable
from functools import cached_property
from typing import NamedTuple

Spans = list[tuple[int, int, str]]
"""From where to where, and the mark that is put there."""

Marks = Callable[[str, re.Match[str]], "Spans | None"]
"""What to put where, for a match. Its last span may continue behind the match. None: nothing."""


class Later:
    """A verbose pattern that is compiled where it looks first: all of them together would double a command's start."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern

    @cached_property
    def compiled(self) -> re.Pattern[str]:
        return re.compile(self._pattern, re.VERBOSE)


class Step(NamedTuple):
    """`hints`, in lower case: without any of them in a text the pattern need not look.

    It looks in the text in lower case, which takes a tenth of the time that a search in both cases does, unless it
    `is_exact`, and not at all in one that has any of `unless`.
    """

    hints: tuple[str, ...]
    pattern: Later
    marks: Marks
    is_exact: bool = False
    unless: tuple[str, ...] = ()


class Table(NamedTuple):
    """Steps one after another, none of which need look in a text without any of the `hints`."""

    hints: tuple[str, ...]
    steps: tuple[Step, ...]


MOST = 2_000
_LITTLE = 1 / 4
"""What a match costs that turns out to be none, of what a secret costs."""
REST = "[the rest with too many secrets removed]"
"""A text with more secrets than that, of one kind, is cut there: it is not a log, and reading it would take long."""


def lowered(text: str) -> str:
    """The text in lower case and of the same length. A frame is `¦`, what Latin-1 lacks `?`, for speed."""
    if text.isascii():
        return text.lower()
    plain = text.replace("│", "¦").replace("┃", "¦").replace("║", "¦").replace("\uff1a", ":").replace("\uff1d", "=")
    return plain.encode("latin-1", "replace").lower().decode("latin-1")


def put(tables: Iterable[Table], text: str) -> str:
    """The text with the marks of all steps, one after another."""
    lower = lowered(text)
    has = _look_for(lower)
    for hints, steps in tables:
        if not has(hints, lower):
            continue
        for step_hints, pattern, marks, is_exact, unless in steps:
            if has(step_hints, lower) and not has(unless, lower):
                marked = marked_by(text, text if is_exact else lower, pattern.compiled, marks)
                if marked is not text:
                    text, lower = marked, lowered(marked)
                    has = _look_for(lower)
    return text


def has_any(hints: tuple[str, ...], lower: str) -> bool:
    """Whether the text has any of these."""
    for hint in hints:  # noqa: SIM110 - any() takes twice the time
        if hint in lower:
            return True
    return False


def _look_for(lower: str) -> Callable[[tuple[str, ...], str], bool]:
    """`has_any` for this text. In a long one, no hint is looked for that has a letter which the text lacks."""
    if len(lower) < _LONG:
        return has_any
    lacks = frozenset(letter for letter in string.ascii_lowercase if letter not in lower)
    return lambda hints, text: has_any(tuple(filter(lacks.isdisjoint, hints)), text)


_LONG = 4_096
"""Characters, from where on it costs less to look for each letter once than for all hints."""


def marked_by(text: str, looked_in: str, pattern: re.Pattern[str], marks: Marks) -> str:
    """The text itself, if nothing is found."""
    done, copied, left = list[str](), 0, float(MOST)
    place: int | None = 0
    while place is not None:
        matches, place = pattern.finditer(looked_in, place), None
        for match in matches:
            spans = marks(text, match)
            if not spans:
                left -= _LITTLE
                if left < 0:
                    return "".join([*done, text[copied : match.start()], REST])
                continue
            left -= 1
            if left < 0:
                return "".join([*done, text[copied : match.start()], REST])
            for start, end, mark in spans:
                done += (text[copied:start], mark)
                copied = end
            if copied > match.end():
                place = copied
                break
    return "".join([*done, text[copied:]]) if done else text


def simply(mark: str, *groups: str) -> Marks:
    """The mark in the place of whichever of the groups there is."""

    def marks(_: str, found: re.Match[str]) -> Spans | None:
        return [(*found.span(group), mark) for group in groups if found[group] is not None]

    return marks
