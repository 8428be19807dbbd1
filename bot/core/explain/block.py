"""The lock of a message: Terraform's `Lock Info:` block, or its JSON as the store keeps it. Pure.

Source: `LockInfo.String` and `LockInfo.Marshal` in Terraform's `internal/states/statemgr/locker.go`: seven fields in
one order, each on its own line. Nothing else is a lock: a resource's `ID:` and `Path:` are none.
"""

from __future__ import annotations

import json
import re
from base64 import b64decode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from bot.core.explain.prefix import Prefix, bare
from bot.core.hold import OPERATION, HoldWords, said_in
from bot.core.lock import parse_created
from bot.errors import LockInfoInvalid

HEADER = "Lock Info:"
_KEYS = ("ID", "Path", "Operation", "Who", "Version", "Created", "Info")
_LINES = 40
_LONGEST = 1024
_MOST = 100

_AT = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[T ]([0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?)\s?(Z|UTC|[+-][0-9]{2}:?[0-9]{2})"
)
_CODEBUILD = re.compile(r"\[Container\] ([0-9]{4}/[0-9]{2}/[0-9]{2}) ([0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?)()")
_WHO = re.compile(r"[^@]{0,120}@[^\s\"'`,;]*")
_LONE = re.compile(r"[^\s\"'`,;=]{1,120}\Z")
_NAME = re.compile(r"[^\s\"'`,;]*")
_MARKS = " \t`\"',;│|"
_BOLD = re.compile(r"\s*\*{1,2}(?=[\s`]|$)")
_JSON_ID = re.compile(r"ID(\\{0,8}\"{1,2})\s{0,4}:")
_BASE64 = re.compile(r"eyJJRCI6[A-Za-z0-9+/]{40,4000}={0,2}")


@dataclass(frozen=True, slots=True)
class PastedLock:
    """A lock as far as it was pasted. `created` is None where it cannot be read; other fields are then empty.

    Of a block that was cut off above its ID, `id` is empty, too. `hold` is what it says where it is a hold's.
    """

    id: str
    path: str
    operation: str
    who: str
    version: str
    created: datetime | None
    hold: HoldWords | None = None


def lock_in(lines: Sequence[str]) -> PastedLock | None:
    """The last lock in these lines; None if there is no block with an ID and a Who, a Path or an Operation.

    Of a screen's end, the rest of a block counts as well: its Who, Version and Created.
    """
    for number in range(len(lines) - 1, -1, -1):
        if HEADER in lines[number]:
            lock = _lock(_fields(lines, number))
            if lock is not None:
                return lock
    return lock_in_json("\n".join(lines)) or _behind_prefixes(lines) or _headless(lines) or _rest(lines)


def _decoded(found: re.Match[str]) -> str:
    whole = found[0].rstrip("=")
    whole = whole[: len(whole) - (len(whole) % 4 == 1)]  # a single character at the end has no byte
    return b64decode(whole + "=" * (-len(whole) % 4)).decode(errors="replace")


def _behind_prefixes(lines: Sequence[str]) -> PastedLock | None:
    """Lock info that a program printed over several lines, each behind a log's prefix."""
    place = max((number for number, line in enumerate(lines) if '"Operation"' in line), default=-1)
    near = lines[max(0, place - _LINES) : place + _LINES] if place >= 0 else ()
    return lock_in_json("\n".join(bare(line) for line in near))


def lock_in_json(text: str) -> PastedLock | None:
    """Lock info as the store keeps it: bare, as a string in JSON (DynamoDB's item), in CSV, or in base64 (azurerm)."""
    if "eyJJRCI6" in text:
        text = _BASE64.sub(_decoded, text)
    place = len(text)
    for _ in range(_MOST):
        place = max(text.rfind('ID"', 0, place), text.rfind("ID\\", 0, place))
        if place < 0:
            return None
        found = _JSON_ID.match(text, place)
        if found is None or not text.endswith(found[1], 0, place):
            continue
        quote = found[1]
        start, end = text.rfind("{", max(0, place - 400), place), text.find("}", place, place + 4 * _LONGEST)
        if start < 0 or end < 0:
            continue
        try:
            document = json.loads(text[start : end + 1].replace(quote, '"'), strict=False)
        except (ValueError, RecursionError):
            continue
        fields = {key: value for key, value in document.items() if isinstance(value, str)}
        if "Who" in fields and "Operation" in fields:
            return _lock(fields)
    return None


def _headless(lines: Sequence[str]) -> PastedLock | None:
    """A block whose first line was not pasted: it needs its fields in order, with Operation and Who."""
    for number, line in enumerate(lines):
        if "ID:" not in line:
            continue
        if "Operation:" in line and "Who:" in line:
            fields = _from_one_line(line[_place(line, "ID") :])
        elif any("Operation:" in near for near in lines[number + 1 : number + 5]):
            fields = _fields(lines, number - 1)
        else:
            continue
        if {"ID", "Operation", "Who"} <= fields.keys():
            return _lock(fields)
    return None


def _rest(lines: Sequence[str]) -> PastedLock | None:
    """What is left of a block that was cut off above its ID."""
    for number in range(len(lines) - 1, -1, -1):
        near = lines[number : number + 1 + _NEAR]
        if "Who:" not in near[0] or not all(any(f"{key}:" in line for line in near) for key in ("Version", "Created")):
            continue
        first = number
        while first > 0 and any(_place(lines[first - 1], key) >= 0 for key in ("Operation", "Path", "ID")):
            first -= 1
        fields = _fields(lines, first - 1)
        if {"Who", "Version", "Created"} <= fields.keys() and instant(fields["Created"]) is not None:
            return _lock(fields, is_whole=False)
    return None


_NEAR = 6


def _fields(lines: Sequence[str], header: int) -> Mapping[str, str]:
    """The fields below a header, in Terraform's order. Text before the header is the prefix of the block, and text
    behind it is behind each of its lines as well (logrus).
    """
    head = lines[header] if header >= 0 else ""
    before, _, behind = head.partition(HEADER)
    behind = behind.strip(f"{_MARKS}*")
    if "ID:" in behind:
        return _from_one_line(behind)
    prefix = Prefix(before)
    near = lines[header + 1 : header + 1 + _LINES]
    is_prefixed = prefix.is_telling and any("ID:" in line and prefix.length_in(line) >= 0 for line in near)
    widest = max(map(len, near), default=0)
    fields: dict[str, str] = {}
    left, last, tail = list(_KEYS), "", ""
    for line in near:
        if HEADER in line or not left:
            break
        if is_prefixed and prefix.length_in(line) < 0:
            continue  # another unit's line, between two of this block
        key = next((key for key in left if _place(line, key) >= 0), "")
        if key:
            if tail and last:
                fields[last] += tail
            left = left[left.index(key) + 1 :]
            value = line[_place(line, key) + len(key) + 1 :]
            fields[key] = value[: value.rfind(behind)] if behind and behind in value else value
            last, tail, full = key, "", line
        elif last:
            tail = _continued(line[len(before) :] if len(line) > len(before) else "", full, widest, tail)
    return fields


def _place(line: str, key: str) -> int:
    """Where a field's key is in a line, on its own; -1 if it is not."""
    place = line.find(f"{key}:")
    while place > 0 and (line[place - 1].isalnum() or line[place - 1] in "_-"):
        place = line.find(f"{key}:", place + 1)
    return place


def _continued(line: str, above: str, widest: int, so_far: str) -> str:
    """The rest of a wrapped field, if the wrap is proven: its first word had no room in the line above.

    It only counts if the next field follows, and never where it may be a line of something else.
    """
    words = line.strip(_MARKS + "╷╵").split()
    if not words or len(words) > 4 or so_far or "=" in line or len(above) + len(words[0]) < widest:  # noqa: PLR2004
        return ""
    blank = "" if len(above) == widest and not above.endswith(" ") else " "
    return blank + " ".join(words)


def _from_one_line(text: str) -> Mapping[str, str]:
    """Where all lines were joined: each field ends where the next key in Terraform's order begins."""
    places: list[tuple[str, int]] = []
    start = 0
    for key in _KEYS:
        place = _place(text[start : start + 4 * _LONGEST], key)
        if place >= 0:
            places.append((key, start + place))
            start += place + len(key) + 1
    ends = [place for _, place in places[1:]] + [len(text)]
    return {key: text[place + len(key) + 1 : end] for (key, place), end in zip(places, ends, strict=False)}


def _lock(fields: Mapping[str, str], *, is_whole: bool = True) -> PastedLock | None:
    cut = {key: _value(text) for key, text in fields.items()}
    lock_id = _match(_NAME, cut.get("ID", ""))
    if (is_whole and not lock_id) or not ({"Who", "Path", "Operation"} & cut.keys()):
        return None
    is_hold = cut.get("Operation", "") == OPERATION
    return PastedLock(
        id=lock_id,
        path=cut.get("Path", ""),
        operation=cut.get("Operation", ""),
        who=_match(_WHO, cut.get("Who", "")) or _match(_LONE, cut.get("Who", "")),
        version=_match(_NAME, cut.get("Version", "")),
        created=instant(fields.get("Created", "")),
        hold=said_in(cut.get("Who", ""), cut.get("Info", "")) if is_hold else None,
    )


def _value(text: str) -> str:
    """A field's text without Markdown's marks and quotation marks; two blanks end it."""
    bold = _BOLD.match(text)
    bare = text[bold.end() if bold else 0 :].strip(_MARKS)[:_LONGEST]
    return bare.replace("\t", "  ").split("  ")[0].strip(_MARKS)


def _match(pattern: re.Pattern[str], text: str) -> str:
    found = pattern.match(text)
    return found[0].strip() if found else ""


def instant(text: str) -> datetime | None:
    """The first instant in a text that has its zone, as Go prints one or as JSON has it; CodeBuild's are in UTC."""
    found = _AT.search(text[:300]) or _CODEBUILD.match(text)
    if found is None:
        return None
    try:
        return parse_created(f"{found[1].replace('/', '-')} {found[2]} {found[3] or 'Z'}")
    except LockInfoInvalid:
        return None
