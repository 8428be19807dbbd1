"""The CSV export, for auditors: every entry, hidden ones and corrections too, in the order of the chain.

RFC 4180: CRLF, each cell quoted, UTF-8. It begins with a byte order mark, since Excel takes a file without one for the
machine's old code page, and all other readers ignore it (Python: `utf-8-sig`).
No cell can be a formula, whichever separator a spreadsheet assumes (owasp.org/www-community/attacks/CSV_Injection).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from datetime import datetime, tzinfo
from functools import lru_cache
from pathlib import Path

from bot.core.record.timeline import canonical
from bot.export.files import write
from bot.export.material import Material, Record
from bot.export.values import local, zone_of

COLUMNS = (
    "id",
    "at_utc",
    "at_local",
    "local_offset",
    "recorded_at_utc",
    "kind",
    "actor",
    "actor_name",
    "text",
    "key_moment",
    "hidden",
    "edited",
    "edited_text",
    "edited_at_utc",
    "redacted",
    "facts",
    "prev",
    "hash",
)
"""Public: new columns come last, none is renamed."""

LONGEST = 32_000
"""Characters of a cell. Excel takes 32,767 and puts what is more into the next cell, where it might be a formula."""

_FORMULA = r"[=+\-@\u2212\uff1d\uff0b\uff0d\uff20\ufe62\ufe63\ufe66\ufe6b]"
"""What begins a formula: in ASCII, and in the wide and small forms that spreadsheets read alike."""

_BLANK = r"[\s\"'`\u2018-\u201f\uff02\uff07\ufeff\u200b-\u200f\u2060]*"
"""What may come before it and be ignored."""

_DANGEROUS = re.compile(rf"(\A|[;|\t\r\n])(?={_BLANK}{_FORMULA})|\A(?=[\t\r\n])")


def write_csv(material: Material, path: Path) -> Path:
    return write(path, _lines(material))


def safe(text: str) -> str:
    """A cell that spreadsheets show as text: what could be a formula gets an apostrophe before it.

    Control characters become pictures; those that turn the direction of writing are taken out.
    """
    seen = text if text.isprintable() else "".join(map(_visible, text.replace("\r\n", "\n").replace("\r", "\n")))
    kept = seen if len(seen) <= LONGEST else f"{seen[:LONGEST]}… (cut; the JSON export has all {len(seen)} characters)"
    if kept[:1].isalnum() and _SEPARATOR.search(kept) is None:
        return kept
    return _DANGEROUS.sub(r"\1'", kept)


_SEPARATOR = re.compile(r"[;|\t\r\n]")
"""Behind one of these a spreadsheet may begin another cell; without any only the beginning counts."""

_safe_again = lru_cache(maxsize=1024)(safe)
"""Kinds and people come again and again."""


def _lines(material: Material) -> Iterator[str]:
    names, zone = material.account.names, zone_of(material.account.zone)
    yield f"\ufeff{_line(COLUMNS)}"
    for record in material.records():
        yield _line(_cells(record, names.get(record.entry.actor, ""), zone))


def _line(cells: Iterable[str]) -> str:
    """Written here, since the csv module takes three times as long where every cell is quoted."""
    said = '","'.join([cell.replace('"', '""') if '"' in cell else cell for cell in cells])
    return f'"{said}"\r\n'


def _cells(record: Record, name: str, zone: tzinfo) -> tuple[str, ...]:
    entry, shown = record.entry, record.shown.entry
    there = local(entry.at, zone)
    return (
        safe(entry.id),
        _time(entry.at),
        _time(there),
        f"UTC{there.isoformat(timespec='seconds')[len('2026-11-21T12:00:00') :]}",
        _time(entry.recorded_at),
        _safe_again(entry.kind),
        _safe_again(entry.actor),
        _safe_again(name),
        safe(entry.text),
        _yes(said=record.shown.is_key),
        _yes(said=record.is_hidden),
        _yes(said=record.shown.edited),
        safe(shown.text) if shown.text != entry.text else "",
        _time(shown.at) if shown.at != entry.at else "",
        _yes(said=record.redacted),
        _facts(entry.facts),
        safe(entry.prev),
        safe(entry.hash),
    )


def _facts(facts: object) -> str:
    """As JSON that programs read alike: what could split the cell or begin a formula in it is escaped."""
    text = canonical(facts)
    if len(text) > LONGEST:
        return canonical({"too_long_for_a_cell": len(text)})
    if not text.isascii():
        odd = {char for char in set(text) if unicodedata.category(char) in {"Cf", "Zl", "Zp"} and char <= "\uffff"}
        text = text.translate({ord(char): f"\\u{ord(char):04x}" for char in odd})
    return text.replace(";", "\\u003b").replace("|", "\\u007c")


def _visible(char: str) -> str:
    """Control characters as their pictures, which Unicode has 0x2400 higher."""
    if char in "\n\t" or char.isprintable():
        return char
    if char < " ":
        return chr(0x2400 + ord(char))
    match unicodedata.category(char):
        case "Zl" | "Zp":
            return "\n"
        case "Zs":
            return " "
        case "Cf":
            return ""
        case _:
            return "\ufffd"


def _time(at: datetime) -> str:
    """As every spreadsheet reads an instant, to the second."""
    return at.isoformat(" ", "seconds")[:19]


def _yes(*, said: bool) -> str:
    return "yes" if said else "no"
