r"""Secrets that take up lines: private keys, whole or cut off at either end, a Kubernetes Secret, a table's column.

PEM is RFC 7468, the older headers RFC 1421, OpenPGP's RFC 9580; PuTTY's file is its own format. Each line may have a
log's frame or clock before it, and line breaks may be spelled out as `\\n`.
"""

from __future__ import annotations

import re
from itertools import islice

from bot.core.record.secrets.marking import MOST, REST
from bot.core.record.secrets.names import is_named_secret
from bot.core.record.secrets.values import SLUG, STAYS, is_deeper, is_password

_HEAD = re.compile(
    r"-----BEGIN (?:[A-Z0-9]{1,12} ){0,4}PRIVATE KEY(?: BLOCK)?-----|---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----"
)
_TAIL = re.compile(
    r"-----END (?:[A-Z0-9]{1,12} ){0,4}PRIVATE KEY(?: BLOCK)?-----|---- END SSH2 ENCRYPTED PRIVATE KEY ----"
)
_PUTTY = re.compile(r"Private-Lines: \d{1,4}\r?\n")
_BREAK = re.compile(r"\\r\\n|\\n|\r?\n|%0[Aa]")
_OF_KEY = re.compile(r"[A-Za-z0-9+/]{16,}+={0,2}|[A-Za-z0-9+/]{1,80}+={0,2}(?=\s*+\Z)")
_AROUND = " \t\r\v\f│┃|>\"',`\\"
_HEADERS = ("Proc-Type:", "DEK-Info:", "Version:", "Comment:", "Hash:", "Charset:")
_MARK = "[private key removed]"
"""A key's lines carry no other text: a frame, a clock or a job's name before them, and quotes or commas around."""


def without_keys(text: str) -> str:
    """The text without private keys."""
    if "PRIVATE KEY" not in text and "Private-Lines" not in text:
        return text
    done, place = list[str](), 0
    marks = sorted((*_HEAD.finditer(text), *_TAIL.finditer(text), *_PUTTY.finditer(text)), key=re.Match.start)
    for number, mark in enumerate(marks):
        if mark.start() < place:
            continue
        if number >= MOST:
            return "".join([*done, text[place : mark.start()], REST])
        if _TAIL.match(mark[0]):
            begin = _back(text, place, mark.start())
            done += [text[place:begin], _MARK]
            place = mark.end()
            continue
        following = marks[number + 1] if number + 1 < len(marks) else None
        if following is not None and _TAIL.match(following[0]):
            end = following.end()
        else:
            end = _on(text, mark.start(), mark.end(), following.start() if following else len(text))
        done += [text[place : mark.start()], _MARK]
        place = end
    return "".join([*done, text[place:]])


def _on(text: str, head: int, begin: int, most: int) -> int:
    """Where the lines of a key that has lost its end are over."""
    end, place, column = begin, begin, _column(text, head)
    while place < most:
        stop = _BREAK.search(text, place, most)
        line_end = stop.start() if stop else most
        key = _key_in(text[place:line_end], column if place > begin else 0)
        if key is None:
            break
        end = place + key[1] if key[1] else end
        place = stop.end() if stop else most
    return end


def _back(text: str, begin: int, end: int) -> int:
    """Where the lines of a key that has lost its head begin. No line before `begin` is looked at."""
    lines, place = list[tuple[int, int]](), max(begin, end - _LONGEST)
    while place < end:
        stop = _BREAK.search(text, place, end)
        lines.append((place, stop.start() if stop else end))
        place = stop.end() if stop else end
    first = end
    column = _column(text, end)
    for number, (start, stop_at) in enumerate(reversed(lines)):
        key = _key_in(text[start:stop_at], column)
        if key is None and number == 0:
            continue  # a clock before the last line of the key
        if key is None:
            break
        first = start + key[0] if key[1] else first
    return first


_LONGEST = 20_000
"""Characters: no private key is longer."""


def _column(text: str, place: int) -> int:
    """How much comes before it in the line: a frame, a clock, a job's name. The same comes before the next lines."""
    begin = text.rfind("\n", max(0, place - _WIDEST), place) + 1
    return place - begin if begin or place < _WIDEST else 0


_WIDEST = 120


def _key_in(line: str, column: int) -> tuple[int, int] | None:
    """Where in the line the key's characters are; nowhere (0, 0) in an empty line; None if the line is not a key's."""
    bare = line.strip(_AROUND)
    after = line[column:].strip(_AROUND)
    if not bare.split() or not after:
        return (0, 0)
    if after.startswith(_HEADERS):
        place = line.rindex(after)
        return (place, place + len(after))
    last = bare.rsplit(None, 1)[-1]
    if _OF_KEY.fullmatch(last) is None or (len(last) < 16 and last != bare):  # noqa: PLR2004  a whole line of a key
        return None
    place = line.rindex(last)
    return (place, place + len(last))


_SECRET = re.compile(r"kind[\"']?: *[\"']?Secret\b")
_DATA = re.compile(r"[^\n]{0,120}?(?<![\w.-])(?P<name>[\"']?(?:data|stringData)[\"']?:)[ \t]*+\r?\n?\Z")
_ENTRY = re.compile(
    r"(?P<keep>[ \t]*+[\"']?[\w.-]++[\"']?: *+[\"']?)(?P<value>(?![|>][+-]?[ \t]*\r?\n)[^\s\"'\[{$<(*][^\r\n\"']*+)"
)


def without_kubernetes(text: str) -> str:
    """The text without the values of a `kind: Secret`, whatever they are called."""
    if "kind" not in text or "ata" not in text or _SECRET.search(text) is None:
        return text
    lines, column = text.splitlines(keepends=True), -1
    for number, line in enumerate(lines):
        if "ata" in line and (data := _DATA.match(line)):
            column = data.start("name")
        elif column >= 0 and is_deeper(line, column):
            lines[number] = line[:column] + _ENTRY.sub(r"\g<keep>[secret removed]", line[column:], count=1)
        else:
            column = -1
    return "".join(lines)


_RULE = re.compile(r"[-─═][-─═]{2}[ \t:|+┼╪╬┤╡╣│║─═-]*+\r?(?=\n)")
_TELLING = re.compile("p[aAwWsS]|P[aAwWsS]|ecret|ECRET|oken|OKEN|k[eE][yY]|K[eE][yY]")
_CELL = re.compile(r"[^|│┃║\n\r]+")
_DASHES = re.compile(r"-+")
_NOTHING = re.compile(rf"(?:{STAYS})?", re.VERBOSE | re.IGNORECASE)
_RULES = ("---", "───", "═══")
_MOST_RULES = 10 * MOST


def without_columns(text: str) -> str:
    """The text without what a table has in a column of passwords: Markdown's, psql's, mysql's, `az … --output table`.

    A rule of dashes is below the names of the columns. The next rule, or a line without that column, ends the table.
    """
    if not any(rule in text for rule in _RULES) or _TELLING.search(text) is None:
        return text
    done, copied, place, left = list[str](), 0, 0, MOST
    for rule in islice(_RULE.finditer(text), _MOST_RULES):
        begin = text.rfind("\n", place, rule.start()) + 1
        head = text.rfind("\n", place, max(begin - 1, place)) + 1 or place
        if begin == 0 or begin - head > _WIDEST_ROW or _TELLING.search(text, head, begin) is None:
            continue
        left -= 1
        if left < 0:
            return "".join([*done, text[copied:begin], REST])
        dashes = text[begin : rule.end()]
        heads = [_name(text[slice(*cell)]) for cell in _cells(text, head, begin - 1, dashes)]
        columns = [number for number, name in enumerate(heads) if is_named_secret(name)]
        place = rule.end() + 1
        while columns and place < len(text):
            end = text.find("\n", place) + 1 or len(text)
            cells = _cells(text, place, end, dashes)
            if (
                len(cells) <= columns[-1]
                or end - place > _WIDEST_ROW
                or any(rule in text[place:end] for rule in _RULES)
            ):
                break
            for name, (start, stop) in ((heads[number], _value_in(text, *cells[number])) for number in columns):
                if _is_in_column(name, text[start:stop]):
                    done += (text[copied:start], "[secret removed]")
                    copied, left = stop, left - 1
            if left < 0:
                return "".join([*done, REST])
            place = end
        place = rule.end()
    return "".join([*done, text[copied:]]) if done else text


_WIDEST_ROW = 2_000


def _cells(text: str, begin: int, end: int, dashes: str) -> list[tuple[int, int]]:
    """Where the cells of a row are: between its bars, or, without any, below the dashes of the rule."""
    if any(bar in text[begin:end] for bar in "|│║"):
        return [cell.span() for cell in _CELL.finditer(text, begin, end)]
    if " removed]" in text[begin:end]:
        return []  # what was put there is not as wide as the column
    columns = [column.span() for column in _DASHES.finditer(dashes)]
    return [(begin + a, min(begin + b, end)) for a, b in columns if begin + a < end]


def _is_in_column(name: str, value: str) -> bool:
    """Below `Secret` or `Token` there may as well be its name."""
    if not value or _NOTHING.fullmatch(value) is not None:
        return False
    return name not in {"secret", "token"} or (is_password(value) and SLUG.fullmatch(value) is None)


def _name(cell: str) -> str:
    return cell.strip(" \t\r*`\"'_").lower()


def _value_in(text: str, start: int, stop: int) -> tuple[int, int]:
    cell = text[start:stop]
    bare = cell.strip(" \t\r\n*`\"'")
    start += cell.find(bare)
    return start, start + len(bare)
