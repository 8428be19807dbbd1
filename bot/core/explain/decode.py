"""A paste brought back to the text that Terraform wrote: bytes, escapes, colours, entities and JSON logs undone. Pure.

Sources: Terraform's `internal/command/views/json` (`-json`), Docker's json-file log, CloudWatch's and Google's log
entries, GitHub's workflow commands (`%0A`), Slack's message text, rsyslog's escapes (`#012`).
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator, Mapping
from urllib.parse import unquote

LONGEST = 1_048_576
"""Characters of a paste that are read."""

_HEAD = 262_144
_MOST_LINES, _HEAD_LINES = 20_000, 5_000
_LONG_LINE = 200
_LONGEST_PREFIX = 60
_LONGEST_JSON = 262_144

_ANSI = re.compile(
    r"\x1b(?:\[[0-9;?]{0,60}[ -/]{0,4}[@-~]|\][^\x07\x1b\n]{0,500}(?:\x07|\x1b\\)?|[()][A-Z0-9]|[=>78cM])"
)
_LOST_COLOUR = re.compile(r"\[[0-9]{1,3}(?:;[0-9]{1,3}){0,6}m")
_LOST_ESCAPE = (
    *("\\\\\\\\u001b", "\\\\u001b"),  # in a JSON text within another one: the longest first, or a backslash stays
    *("\\u001b", "\\x1b", "\\033", "\\e", "#033", "&#27;", "&#x1b;", "\u241b", "^[", "\ufffd"),
)
_LINK = re.compile(r"<(?:mailto:|tel:|(?=https?://))([^<>|\s]{1,2000})(?:\|([^<>\n]{0,2000}))?>")
_ADDRESS = re.compile(r"\[([^\[\]|\s]{1,200})(?:\]\(mailto:[^()\s]{1,200}\)|\|mailto:[^\[\]\s]{1,200}\])")
_ENTITIES = (
    *(("&amp;", "&"), ("&lt;", "<"), ("&gt;", ">"), ("&quot;", '"'), ("&#34;", '"'), ("&#39;", "'"), ("&#x27;", "'")),
    *(("&nbsp;", " "), ("&#10;", "\n"), ("&#xA;", "\n")),
)
_FRAMES = (
    # box characters whose UTF-8 was read as Windows-1252, Latin-1, code page 437, 850 or 1251
    *(("\u00e2\u201d\u201a", "│"), ("\u00e2\u2022\u00b7", "╷"), ("\u00e2\u2022\u00b5", "╵")),
    *(("\u00e2\u0094\u0082", "│"), ("\u00e2\u0095\u00b7", "╷"), ("\u00e2\u0095\u00b5", "╵")),
    *(("\u0393\u00f6\u00e9", "│"), ("\u0393\u00f2\u2556", "╷"), ("\u0393\u00f2\u2561", "╵")),
    *(("\u00d4\u00f6\u00e9", "│"), ("\u00d4\u00f2\u00c0", "╷"), ("\u00d4\u00f2\u00c1", "╵")),
    *(("\u0432\u201d\u201a", "│"), ("\u0432\u2022\u00b7", "╷"), ("\u0432\u2022\u00b5", "╵")),
)
_ESCAPES: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = (
    ("&", _ENTITIES),
    ("<br", (("<br>", "\n"), ("<br/>", "\n"), ("<br />", "\n"))),
    ("</p>", (("</p>", "\n"), ("<p>", ""))),
    ("</div>", (("</div>", "\n"), ("<div>", ""))),
    ("\\n' +", (("\\n' +\n", "\\n"),)),  # Node prints a text of several lines as a sum of them
    ("%0A", (("%0D%0A", "\n"), ("%0A", "\n"), ("%25", "%"))),  # workflow commands
    ("#012", (("#012", "\n"), ("#011", "\t"))),  # rsyslog
    ("##teamcity[", (("|n", "\n"), ("|r", ""), ("|'", "'"), ("|[", "["), ("|]", "]"), ("||", "|"))),
    (":", (("**Error:**", "Error:"), ("*Error:*", "Error:"), ("**:", ":"), ("`:", ":"))),  # marks of Markdown, Slack
)
"""What each carrier writes for a character, by a mark that its texts have."""

_ODD_CHARACTERS = (
    *((char, "") for char in "\0\ufeff\u200b\u200c\u200d\u2060"),
    *(
        ("\u00a0", " "),
        ("\u2018", "'"),
        ("\u2019", "'"),
        ("\u201c", '"'),
        ("\u201d", '"'),
        ("\u2028", "\n"),
        ("\x85", "\n"),
    ),
)
_ERROR_SIGNS = ("rror:", "rror ", "ailed to ", "Lock Info:")
_HEX_BYTES = re.compile(r"(?:\\x[0-9a-fA-F]{2}){1,64}")
_OCTAL_BYTES = re.compile(r"\\342(?:\\[0-3][0-7]{2}){2}")
_CODE_POINT = re.compile(r"\\{1,4}u([0-9a-fA-F]{4})")
_BREAKS = (("\\\\r\\\\n", "\n"), ("\\\\n", "\n"), ("\\r\\n", "\n"), ("\\n", "\n"), ("\\t", "\t"), ("\\'", "'"))
_ERROR_INSIDE = re.compile(r"(?<=[^A-Za-z│|>]) (?=(?:│ )?Error: )")

_TOLD = ("@message", "message", "log", "msg", "textPayload", "MESSAGE", "line", "content", "output", "stderr", "body")
_TELLING = ('"summary"', *(f'"{key}"' for key in _TOLD))
_JSON = json.JSONDecoder(strict=False)
_WHEN = ("@timestamp", "timestamp", "time", "ts")


def text_of(raw: bytes) -> str:
    """The text of bytes in UTF-8 or UTF-16, with or without a byte order mark. Never raises."""
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return raw.decode("utf-16", "replace")
    sample = raw[:4096]
    for encoding, first in (("utf-16-le", 1), ("utf-16-be", 0)):
        if len(sample) > 1 and sample[first::2].count(0) * 2 > len(sample[first::2]):
            return raw.decode(encoding, "replace")
    return raw.decode("utf-8-sig", "replace")


def lines_of(text: str) -> tuple[list[str], bool]:
    """The lines that Terraform and what ran it wrote, and whether all was read: of a long text the middle is left out.

    Never raises, and takes time in proportion to the text.
    """
    is_whole = len(text) <= LONGEST
    if not is_whole:
        text = f"{text[:_HEAD]}\n{text[_HEAD - LONGEST :]}"
    for char, plain in (*_FRAMES, *_ODD_CHARACTERS):  # the frames first: curly quotes are a part of broken ones
        text = text.replace(char, plain)
    text = _without_colours(text.replace("\r\n", "\n").replace("\r", "\n"))
    text = _unescaped(text)
    lines = _ends(_from_document(text) or _ends(text.split("\n")))
    lines = _ends(list(_from_lines(lines)))
    return lines, is_whole and text.count("\n") < _MOST_LINES


def _ends(lines: list[str]) -> list[str]:
    """All lines, or of too many the first and the last ones."""
    return lines if len(lines) <= _MOST_LINES else lines[:_HEAD_LINES] + lines[_HEAD_LINES - _MOST_LINES :]


def _without_colours(text: str) -> str:
    if "\x1b" in text:
        text = _ANSI.sub("", text).replace("\x1b", "")
    if "[" in text:
        plain = _LOST_COLOUR.sub("", text)
        if plain != text:
            for escape in _LOST_ESCAPE:
                plain = plain.replace(escape, "") if escape in plain else plain
        text = plain
    return text


def _unescaped(text: str) -> str:
    if "<" in text:
        text = _LINK.sub(lambda found: (found[2] or found[1]).removeprefix("mailto:"), text)
    if "mailto:" in text:  # Markdown's and Jira's links
        text = _ADDRESS.sub(r"\1", text)
    if "%0A" in text and "%20" in text:
        text = unquote(text, errors="replace").replace("\r\n", "\n")
    for mark, pairs in _ESCAPES:
        if mark in text:
            for escape, char in pairs:
                text = text.replace(escape, char)
    return text


def _from_document(text: str) -> list[str]:
    """What a paste says that is one complete JSON document: `[{"message": …}]`, or an object over several lines."""
    return _told_by(text.strip(), whole=True) if text.lstrip()[:1] in {"{", "[", '"'} else []


def _from_lines(lines: list[str]) -> Iterator[str]:
    """The lines, those of a JSON log as what they tell, and those that escapes joined as several."""
    for line in lines:
        if len(line) < _LONG_LINE and "\\" not in line and "{" not in line:
            yield line
            continue
        told = _told_by(line[line.find("{") :]) if "{" in line[:200] and any(key in line for key in _TELLING) else []
        for each in told or [line]:
            yield from _broken(each)


def _broken(line: str) -> list[str]:
    """One line as the lines that were joined in it: by escapes, or by blanks in a text that holds several errors."""
    if "\\n" in line and any(sign in line for sign in _ERROR_SIGNS):
        for escape, char in _BREAKS:
            line = line.replace(escape, char) if escape in line else line
        line = _HEX_BYTES.sub(_bytes, line) if "\\x" in line else line
        line = _OCTAL_BYTES.sub(_octal, line) if "\\342" in line else line
        line = _CODE_POINT.sub(lambda found: chr(int(found[1], 16)), line) if "\\u" in line else line
        line = _without_colours(line)
    return [part for each in line.split("\n") for part in _errors_apart(each)]


def _errors_apart(line: str) -> list[str]:
    """A long line in which several errors were joined by blanks, each error on its own."""
    if len(line) < _LONG_LINE or "Error: " not in line:
        return [line]
    return _ERROR_INSIDE.sub(lambda found: "\n" if found.start() > _LONGEST_PREFIX else " ", line).split("\n")


def _bytes(found: re.Match[str]) -> str:
    return bytes.fromhex(found[0].replace("\\x", "")).decode("utf-8", "replace")


def _octal(found: re.Match[str]) -> str:
    return bytes(int(byte, 8) for byte in found[0].split("\\")[1:]).decode("utf-8", "replace")


def _told_by(text: str, *, whole: bool = False) -> list[str]:
    """What a JSON document tells, in lines; nothing if it is none, or tells nothing that is known here.

    Unless it is the `whole` text, something may follow it.
    """
    if len(text) > _LONGEST_JSON:
        return []
    try:
        document, end = _JSON.raw_decode(text)
    except (ValueError, RecursionError):
        return []
    if whole and end < len(text):
        return []
    return [line for said in _sayings(document, 0, is_error=_is_error(text)) for line in said.split("\n")]


def _sayings(document: object, depth: int, *, is_error: bool) -> Iterator[str]:
    """`is_error`: an error is somewhere in it, and below a message that is none there may be one."""
    if depth > 6:  # noqa: PLR2004 - no log nests its messages as deep as that
        return
    if isinstance(document, str) and depth == 0:
        yield document
    elif isinstance(document, list) and [type(part) for part in document] == [str, str]:
        yield str(document[1])  # Loki's pair of a time and a line
    elif isinstance(document, list):
        for part in document:
            yield from _sayings(part, depth + 1, is_error=is_error)
    elif isinstance(document, Mapping):
        said = _said(document)
        if said:
            when = next((document[key] for key in _WHEN if isinstance(document.get(key), str)), "")
            lines = (part for line in said.rstrip("\n").split("\n") for part in _broken(line))
            yield "\n".join(f"{when} {line}" if when else line for line in lines)
        if not said or (is_error and not _is_error(said)):
            inner = (each for part in document.values() for each in _sayings(part, depth + 1, is_error=is_error))
            yield from (each for each in inner if not said or _is_error(each))


def _said(document: Mapping[str, object]) -> str:
    diagnostic = document.get("diagnostic")
    told = diagnostic if isinstance(diagnostic, Mapping) else document
    summary, detail = told.get("summary"), told.get("detail")
    if isinstance(summary, str) and told.get("severity") in {"error", "warning"}:
        head = "Error" if told["severity"] == "error" else "Warning"
        return f"{head}: {summary}\n\n{detail if isinstance(detail, str) else ''}"
    said = [text for key in _TOLD if isinstance(text := document.get(key), str) and text]
    if not said:
        return ""
    # `{"msg": "apply failed", "error": "… Error: …"}`: the message only says that there is more
    errors = dict.fromkeys(text for text in (*said, *document.values()) if isinstance(text, str) and _is_error(text))
    return "\n".join("\n".join(_told_by(text)) or text for text in errors or said[:1])


def _is_error(text: str) -> bool:
    return "Error: " in text or "Lock Info:" in text
