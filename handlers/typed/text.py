"""Typed text as Slack sends it: words, arguments, and what a person would read.

Slack escapes `&`, `<` and `>` and writes users, channels and addresses as `<…>`; phones put in long dashes, curly
quotes and spaces that do not break (https://api.slack.com/interactivity/slash-commands).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_WORD = re.compile(r"<[^<>\s][^<>]*>|\S+")
_INVISIBLE = dict.fromkeys(map(ord, "\u200b\u2060\ufeff"))
_DASHES = re.compile(r"^[-\u2010-\u2015\u2212]+(?=\D)")
_QUOTES = "\"'`\u2018\u2019\u201a\u201c\u201d\u201e\u00ab\u00bb"
_ADDRESS = re.compile(r"<(https?://[^|>\s]+)(?:\|[^>]*)?>")
_ENTITY = re.compile(r"<([@#!]?)([^<>|]*)(?:\|([^<>]*))?>")


@dataclass(frozen=True, slots=True)
class Remainder:
    """The text behind the words that have been read. Begin with `typed`."""

    raw: str

    @property
    def words(self) -> list[str]:
        return _WORD.findall(self.raw)

    @property
    def text(self) -> str:
        """All of it as a person would read it."""
        return readable(self.raw).strip()

    def split(self) -> tuple[str, Remainder]:
        """The first word (empty if there is none), and what follows it."""
        found = _WORD.search(self.raw)
        return (argument(found[0]), Remainder(self.raw[found.end() :])) if found else ("", Remainder(""))

    def until_because(self) -> tuple[list[str], Remainder | None]:
        """The words before `because`, and what follows it; None if it is not there."""
        before: list[str] = []
        for found in _WORD.finditer(self.raw):
            if found[0].lower().rstrip(":,") == "because":
                return before, Remainder(self.raw[found.end() :])
            before.append(found[0])
        return before, None

    def split_because(self) -> tuple[str, Remainder | None]:
        """The text before the last `because`, and what follows it; None if it is not there."""
        marks = [found for found in _WORD.finditer(self.raw) if found[0].lower().rstrip(":,") == "because"]
        if not marks:
            return self.text, None
        return readable(self.raw[: marks[-1].start()]).strip(), Remainder(self.raw[marks[-1].end() :])


def typed(text: str) -> Remainder:
    """The text without the invisible characters that come with pasted words."""
    return Remainder(text.translate(_INVISIBLE))


def _unescaped(text: str) -> str:
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def readable(raw: str) -> str:
    """Slack's own marks as a person would write them: `@name`, `#channel`, an address."""
    return _unescaped(_ENTITY.sub(lambda found: _shown(*found.groups(default="")), raw))


def _shown(mark: str, target: str, label: str) -> str:
    if not mark:
        return target
    sign = "#" if mark == "#" else "@"
    return f"{sign}{(label or target).removeprefix(sign)}"


def argument(raw: str) -> str:
    """One word as an argument: an address out of its brackets, quotes taken off, flags with two plain dashes."""
    address = _ADDRESS.fullmatch(raw)
    if address:
        return _unescaped(address[1])
    if raw.startswith("<"):
        return raw
    word = _unescaped(raw).strip(_QUOTES)
    return _DASHES.sub("--", word)


def is_mark(word: str) -> bool:
    """Whether the word is a user, a channel or a group, which no name of a state or run is."""
    return word.startswith(("<", "@", "#"))
