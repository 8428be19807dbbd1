"""Draws a Slack message in a terminal, much as Slack would show it.

Every text goes through `rich.text.Text`, so that nothing in a message is taken for rich's own markup or for a
terminal's control codes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from html import unescape
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.emoji import Emoji
from rich.errors import StyleSyntaxError
from rich.padding import Padding
from rich.panel import Panel
from rich.rule import Rule
from rich.style import Style
from rich.table import Table
from rich.text import Text

from bot.sandbox.slack.mrkdwn import TOKEN, dated

_MENTION = re.compile(r"<([@#])([A-Z0-9]+)>")
_BUTTONS = {"danger": "bold white on red", "primary": "bold white on green"}
_MOST_OPTIONS = 8


def draw(
    console: Console,
    author: str,
    text: str,
    blocks: Sequence[Mapping[str, Any]],
    *,
    names: Mapping[str, str] | None = None,
) -> None:
    """Prints the message in a frame with its author; `text` is shown where there are no blocks.

    `names` are those of users and channels by id.
    """
    named = _named((text, *blocks), names or {})
    body = [drawn for block in named[1:] for drawn in _block(block)] or [styled(named[0])]
    console.print(Panel(Group(*body), title=Text(_clean(author), style="bold"), title_align="left", padding=(0, 1)))


def _named(thing: Any, names: Mapping[str, str]) -> Any:
    """The same with every mention of a known id given its name."""
    if isinstance(thing, str):
        return _MENTION.sub(lambda found: f"<{found[1]}{found[2]}|{names.get(found[2], found[2])}>", thing)
    if isinstance(thing, Mapping):
        return {key: _named(value, names) for key, value in thing.items()}
    return [_named(item, names) for item in thing] if isinstance(thing, list | tuple) else thing


def styled(mrkdwn: str) -> Text:
    """Slack's mrkdwn as styled text: bold, code, links, mentions, emoji, and dates by this machine's clock."""
    written = Text()
    end = 0
    for found in TOKEN.finditer(mrkdwn):
        written.append(_plain(mrkdwn[end : found.start()]))
        written.append_text(_token(found))
        end = found.end()
    return written.append(_plain(mrkdwn[end:]))


def _token(found: re.Match[str]) -> Text:
    value = found.groupdict(default="")
    for style in ("bold", "italic", "strike"):
        if value[style]:
            inner = styled(value[style])
            inner.stylize(style)
            return inner
    if value["url"]:
        return Text(_plain(value["label"] or value["url"]), style=_link(_plain(value["url"])))
    return _word(value)


def _word(value: Mapping[str, str]) -> Text:
    if value["code"]:
        return Text(_plain(value["code"]), style="bold cyan")
    if value["unix"]:
        return Text(_date(int(value["unix"]), value["form"], value["fallback"]), style="magenta")
    if value["mark"]:
        return Text(_mention(value["mark"], value["target"], value["said"]), style="bold blue")
    return Text(_emoji(value["emoji"]) if value["emoji"] else "\n")


def _link(url: str) -> Style:
    try:
        return Style(underline=True, link=url)
    except (StyleSyntaxError, ValueError):
        return Style(underline=True)


def _mention(mark: str, target: str, said: str) -> str:
    sign = "#" if mark == "#" else "@"
    return f"{sign}{_plain(said or target)}"


def _date(unix: int, form: str, fallback: str) -> str:
    try:
        at = datetime.fromtimestamp(unix, UTC).astimezone()
    except (OverflowError, ValueError, OSError):
        return _plain(fallback)
    now = datetime.now(UTC).astimezone()
    return _plain(dated(form, at, now, clock="%H:%M{}"))


def _emoji(name: str) -> str:
    found = Emoji.replace(f":{name}:")
    return {"grey_question": "❔", "octagonal_sign": "🛑"}.get(name, found)


def _plain(text: str) -> str:
    return _clean(unescape(text))


def _clean(text: str) -> str:
    """Without control codes, which a terminal would obey."""
    return "".join(character if character.isprintable() or character == "\n" else " " for character in text)


def _block(block: Mapping[str, Any]) -> Iterator[RenderableType]:
    match block.get("type"):
        case "header":
            yield Text(_clean(str(block["text"]["text"])), style="bold underline")
        case "divider":
            yield Rule(style="dim")
        case "context":
            for element in block.get("elements", ()):
                small = _text(element)
                small.stylize("dim")
                yield small
        case "actions":
            yield from _elements(block.get("elements", ()))
        case "section":
            yield from _section(block)
        case "container":
            yield Text(f"▸ {_clean(str(block['title']['text']))}", style="bold")
        case "table":
            yield _table(block)


def _table(block: Mapping[str, Any]) -> RenderableType:
    head, *rows = block["rows"]
    drawn = Table(box=None, pad_edge=False)
    for cell in head:
        drawn.add_column(_cell(cell))
    for row in rows:
        drawn.add_row(*map(_cell, row))
    return drawn


def _cell(cell: Any) -> Text:
    """The words of a cell, or of whatever is in it."""
    if isinstance(cell, Mapping):
        own = cell.get("text")
        inside = cell.get("elements") or ()
        return Text(_clean(own)) if isinstance(own, str) else Text().join(map(_cell, inside))
    return Text("")


def _section(block: Mapping[str, Any]) -> Iterator[RenderableType]:
    if block.get("text"):
        yield _text(block["text"])
    for part in block.get("fields", ()):
        yield _text(part)
    if block.get("accessory"):
        yield from _elements([block["accessory"]])


def _elements(elements: Iterable[Mapping[str, Any]]) -> Iterator[RenderableType]:
    """Buttons side by side, lists one below the other."""
    row = Text()
    for element in elements:
        if element.get("type") == "button":
            row.append(f"[ {_label(element)} ]", style=_BUTTONS.get(str(element.get("style")), "reverse")).append("  ")
        elif element.get("type") == "static_select":
            yield from _list(element)
    if row:
        yield Padding(row, (1, 0, 0, 0))


def _list(element: Mapping[str, Any]) -> Iterator[RenderableType]:
    options = list(element.get("options", ()))
    yield Text(f"[ {_clean(str(element.get('placeholder', {}).get('text', 'Choose')))} ▾ ]", style="reverse")
    for option in options[:_MOST_OPTIONS]:
        yield Text(f"   · {_label(option)}")
    if len(options) > _MOST_OPTIONS:
        yield Text(f"   · … and {len(options) - _MOST_OPTIONS} more", style="dim")


def _label(element: Mapping[str, Any]) -> str:
    return _clean(str(element.get("text", {}).get("text", "")))


def _text(part: Mapping[str, Any]) -> Text:
    said = str(part.get("text", ""))
    return styled(said) if part.get("type") == "mrkdwn" else Text(_clean(said))
