"""Text that people paste from a terminal, a CI's log or Slack, brought back to what Terraform wrote. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from bot.core.lock import parse_created
from bot.errors import LockInfoInvalid

LONGEST = 40_000
"""Characters of a pasted text that are looked at: the end of a log says what went wrong, so the last ones."""

# Anybody may paste anything, so every expression takes time in proportion to the text: none may begin at each of many
# places and run on to the end from there (tests/core/test_hostile_texts.py).
_COLOUR = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\[\d{1,2}(?:;\d{1,2})*m")
_LINK = re.compile(r"<(?:mailto:)?([^<>|\s]+)(?:\|([^<>]*))?>")
_CLOCK = re.compile(r"^[^\S\n]*\[?(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z)\]?\s?", re.MULTILINE)
_FRAME = re.compile(r"[\s│┃╷╵╹╻|>]*")
_MARKS = str.maketrans(
    dict.fromkeys("`*\u200b\u2060\ufeff") | {"\u00a0": " ", "\u2018": "'", "\u2019": "'", "\u201c": '"', "\u201d": '"'}
)
_FIELD = re.compile(r"\b(ID|Path|Operation|Who|Version|Created|Info):(?=\s|$)")
_CREATED_LONGEST = 64
_LONGEST_FIELD = 1024


@dataclass(frozen=True, slots=True)
class PastedLock:
    """The `Lock Info` block of a message, as far as it was pasted. `created` is None where it cannot be read."""

    id: str
    path: str
    operation: str
    who: str
    version: str
    created: datetime | None


@dataclass(frozen=True, slots=True)
class Pasted:
    """What was pasted. `words` is all of it on one line; `logged_at` is when its log was written, if it says so."""

    words: str
    lock: PastedLock | None
    logged_at: datetime | None

    def has(self, *expressions: str) -> bool:
        """Whether any of the expressions is in the text; upper and lower case are the same.

        An expression must not have a `.*` in it: that makes it quadratic.
        """
        return any(re.search(expression, self.words, re.IGNORECASE) for expression in expressions)


def pasted(text: str) -> Pasted:
    """Takes off frames, colours, quotation marks of Slack, and line breaks. Never raises."""
    plain = _unescaped(_COLOUR.sub("", text[-LONGEST:]))
    clocks = _CLOCK.findall(plain)
    lines = _CLOCK.sub("", plain).translate(_MARKS).splitlines()
    words = " ".join(" ".join(_unframed(line) for line in lines).split())
    return Pasted(words, _lock(words), _instant(clocks[-1]) if clocks else None)


def _unescaped(text: str) -> str:
    linked = _LINK.sub(lambda found: found[2] or found[1], text).replace("mailto:", "")
    return linked.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def _unframed(line: str) -> str:
    """A line without the frame that Terraform draws on the left, or the mark of a quotation."""
    frame = _FRAME.match(line)
    return line[frame.end() if frame else 0 :].strip()


def _lock(words: str) -> PastedLock | None:
    """Terraform prints the fields in one order, `ID` first (`statemgr.LockInfo.String`)."""
    _, header, block = words.rpartition("Lock Info:")
    block = block if header else words
    found = list(_FIELD.finditer(block))
    ends = [*(mark.start() for mark in found[1:]), len(block)]
    fields: dict[str, str] = {}
    for mark, end in zip(found, ends, strict=False):
        fields.setdefault(mark[1], block[mark.end() : end].strip()[:_LONGEST_FIELD])
    if not fields.get("ID") or not ({"Who", "Path", "Operation"} & fields.keys()):
        return None
    return PastedLock(
        id=fields["ID"].split()[0],
        path=fields.get("Path", ""),
        operation=fields.get("Operation", ""),
        who=fields.get("Who", ""),
        version=fields.get("Version", ""),
        created=_instant(fields.get("Created", "")),
    )


def _instant(text: str) -> datetime | None:
    try:
        return parse_created(text[:_CREATED_LONGEST])
    except LockInfoInvalid:
        return None
