"""Secrets in a list of rows without a rule below its names: CSV, and the same with semicolons, tabs or bars.

RFC 4180, as AWS's console, password stores and spreadsheets write it. The first line has the names of the columns and
nothing else but what a log puts before it. A line with more or fewer fields ends the list.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from bot.core.record.secrets.marking import MOST, REST, Later, Spans, Step, Table
from bot.core.record.secrets.names import is_named_secret
from bot.core.record.secrets.values import SLUG, STAYS, is_password

_WORDS = (
    "password",
    "passwort",
    "passwd",
    "passphrase",
    "passcode",
    "pass",
    "pwd",
    "pw",
    "psk",
    "secret",
    "token",
    "key",
)
_BEHIND_SIGN = rf"""["'\ ]{{0,2}}+ [a-z][\w.-]*+(?:\ [\w.-]++){{0,3}}+
    (?:{"|".join(f"(?<={word})" for word in _WORDS)})"""
_BEFORE_SIGN = r"""(?=["'\ ]{0,2}+[,;\t|¦])"""
_WAYS = (
    *(f"{sign}{_BEHIND_SIGN}" for sign in (",", ";", r"\t", r"\|", "¦")),
    *(f"{word}{_BEFORE_SIGN}" for word in _WORDS),
)
_HEADING = Later(rf"""(?:{"|".join(_WAYS)}) (?=["'\ ]{{0,2}}+(?:[,;\t|¦\r\n]|\Z))""")
"""A field that is named after a secret, behind a sign between two fields or before one. Each way begins with its own
letter or sign, so that the search jumps from one of them to the next.
"""
_WIDEST = 2_000
_NAME = re.compile(r"[\"' ]{0,3}[A-Za-z][\w.-]{0,30}+(?: [A-Za-z#(][\w.()-]{0,20}+){0,3}+[\"' ]{0,3}")
_NAME_AT_END = re.compile(rf"(?:[^\n]*[\s\]│┃|>+])?{_NAME.pattern}")
_CODE = re.compile(
    r"\b(?:select|insert|values|grant|revoke|from|returning|import|def|fn|func|for|in|the|an?|your|or|and)\b",
    re.IGNORECASE,
)
_LABEL = re.compile(r"[A-Za-z]: ")
_AROUND = " \t\r*`\"'"
_STAYS = re.compile(STAYS, re.VERBOSE | re.IGNORECASE)
_BETWEEN = {sign: re.compile(rf'"[^"\n]{{0,400}}+"|{re.escape(sign)}') for sign in ",;\t|"}
_BARS = "│┃¦"
_SIGNS = (*_BETWEEN, *_BARS)


class _Header(NamedTuple):
    """Between which sign the fields are, how many there are, the first one's number, and the names of the secrets.

    It is `strict` where nothing is around the sign, as in a file; in a sentence a blank is behind a comma.
    """

    sign: str
    width: int
    first: int
    names: dict[int, str]
    is_strict: bool


def _rows(text: str, found: re.Match[str]) -> Spans | None:
    begin = text.rfind("\n", max(0, found.start() - _WIDEST), found.start() + 1) + 1
    end = text.find("\n", found.end(), found.end() + _WIDEST)
    behind = text[found.end() : found.end() + 3].lstrip("\"' ")[:1]  # where the name is the first field
    header = _header(text[begin:end], found[0][0] if found[0][0] in _SIGNS else behind) if end > 0 else None
    if header is None:
        return None
    spans, place, left = Spans(), end + 1, 4 * MOST
    while place < len(text):
        end = text.find("\n", place, place + _WIDEST)
        end = end if end >= 0 else min(len(text), place + _WIDEST)
        fields = _fields(text[place:end], header.sign)
        if len(fields) != header.width:
            break
        for number, name in header.names.items():
            start, value = _value(text[place:end], *fields[number], is_first=number == header.first)
            if _is_secret(header, name, value):
                spans.append((place + start, place + start + len(value), "[secret removed]"))
        left -= 1
        if len(spans) > MOST or left < 0:
            place = spans[MOST][0] if len(spans) > MOST else place
            return [*spans[:MOST], (place, len(text), REST)]
        place = end + 1
    return [*spans, (min(place, len(text)), min(place, len(text)), "")]  # its rows are not read again as a header


def _header(line: str, sign: str) -> _Header | None:
    """What the line says of the rows below; None if it is a sentence, a program, or names no secret."""
    sign = "|" if sign in _BARS else sign
    if sign not in _BETWEEN:
        return None
    fields = [line[start:stop] for start, stop in _fields(line.rstrip("\r"), sign)]
    if len(fields) < (3 if sign == "|" else 2) or _CODE.search(line) is not None:
        return None
    first_one = max((number for number, field in enumerate(fields) if _NAME.fullmatch(field) is None), default=0)
    if _NAME_AT_END.fullmatch(fields[first_one]) is None or (first_one and sign != "\t"):
        return None  # only a log that has tabs itself has more than one field before the list
    names = {number: field.strip(_AROUND).lower() for number, field in enumerate(fields) if number >= first_one}
    telling = {number: name for number, name in names.items() if is_named_secret(name)}
    is_strict = sign == "\t" or (sign != "|" and not any(field[:1] == " " for field in fields[1:]))
    if not telling or (sign != "\t" and _LABEL.search(line) is not None):
        return None
    return _Header(sign, len(fields), first_one, telling, is_strict)


def _fields(line: str, sign: str) -> list[tuple[int, int]]:
    """Where the fields of a line are. A sign in quotation marks is a part of its field."""
    if sign == "|" and "|" not in line:  # with both, the other ones are the frame
        line = line.replace("│", "|").replace("┃", "|")
    places = [found.start() for found in _BETWEEN[sign].finditer(line) if found[0] == sign]
    return list(zip([0, *(place + 1 for place in places)], [*places, len(line)], strict=True))


def _value(line: str, start: int, stop: int, *, is_first: bool) -> tuple[int, str]:
    """Where the value of a field begins, and the value. Before the first one a log may have put its own words."""
    bare = line[start:stop].strip(_AROUND)
    value = bare.split()[-1] if is_first and bare else bare
    return start + line[start:stop].rfind(value), value.strip(_AROUND)


def _is_secret(header: _Header, name: str, value: str) -> bool:
    """What is below `token` or `secret` may as well be a count or a name, and two lines of a text a list."""
    if len(value) < _SHORTEST or _STAYS.fullmatch(value) is not None or is_named_secret(value.lower()):
        return False
    if header.is_strict and name not in {"token", "secret"}:
        return True
    is_loose = not header.is_strict and "pass" not in name and "pw" not in name
    return not is_loose and " " not in value and is_password(value) and SLUG.fullmatch(value) is None


_SHORTEST = 3

ROWS = Table(("\n",), (Step(("pass", "pw", "psk", "secret", "token", "key"), _HEADING, _rows),))
