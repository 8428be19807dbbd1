"""Block Kit as HTML, as Slack shows it (docs.slack.dev/reference/block-kit). What someone wrote is always escaped.

What can be pressed carries `data-act`: the JSON of what a click sends. `data-confirm` is the dialog in front of it, and
`data-url` the page that the click opens as well.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from markupsafe import Markup, escape

from bot.sandbox.page import rich
from bot.sandbox.page.inputs import drawn_input
from bot.sandbox.page.mrkdwn import Reader, formatted, with_emoji

Json = Mapping[str, Any]

_STYLES = ("primary", "danger")
_NOTHING = Markup()


def drawn(blocks: Iterable[Json], reader: Reader) -> Markup:
    """All blocks, one below the other."""
    return Markup().join(Markup('<div class="block">{}</div>').format(_block(block, reader)) for block in blocks)


def text(part: Json | None, reader: Reader) -> Markup:
    """A text object."""
    said = str((part or {}).get("text", ""))
    return formatted(said, reader) if part and part.get("type") == "mrkdwn" else with_emoji(said)


def confirmation(confirm: Json, reader: Reader) -> Markup:
    """What a confirm dialog shows. Its buttons have the values `yes` and `no`."""
    return Markup(
        '<h2>{}</h2><div class="said">{}</div><div class="foot">'
        '<button class="button" value="no">{}</button><button class="button {}" value="yes">{}</button></div>'
    ).format(
        text(confirm.get("title"), reader),
        text(confirm.get("text"), reader),
        text(confirm.get("deny"), reader),
        f"filled {confirm['style']}" if confirm.get("style") in _STYLES else "filled primary",
        text(confirm.get("confirm"), reader),
    )


def _block(block: Json, reader: Reader) -> Markup:
    draw = _DRAWN.get(str(block.get("type")))
    if draw is None:
        words = '<div class="unknown">A block of the type “{}”, which is not drawn here.</div>'
        return Markup(words).format(block.get("type"))
    return draw(block, reader)


def _context(block: Json, reader: Reader) -> Markup:
    parts = Markup().join(_small(element, reader) for element in block.get("elements", ()))
    return Markup('<div class="context">{}</div>').format(parts)


def _actions(block: Json, reader: Reader) -> Markup:
    made = Markup().join(_element(element, block, reader) for element in block.get("elements", ()))
    return Markup('<div class="actions">{}</div>').format(made)


def _header(block: Json, reader: Reader) -> Markup:
    return Markup('<h3 class="header">{}</h3>').format(text(block.get("text"), reader))


def _divider(_block: Json, _reader: Reader) -> Markup:
    return Markup("<hr>")


def _markdown(block: Json, _reader: Reader) -> Markup:
    """Its lines as they are: the bot sends none, and a person can still read them."""
    lines = Markup("<br>").join(escape(line) for line in str(block.get("text", "")).split("\n"))
    return Markup('<div class="text">{}</div>').format(lines)


def _section(block: Json, reader: Reader) -> Markup:
    said = Markup('<div class="text">{}</div>').format(text(block["text"], reader)) if block.get("text") else _NOTHING
    fields = Markup().join(Markup("<div>{}</div>").format(text(part, reader)) for part in block.get("fields", ()))
    if fields:
        said += Markup('<div class="fields">{}</div>').format(fields)
    beside = _element(block["accessory"], block, reader) if block.get("accessory") else _NOTHING
    if beside:
        beside = Markup('<div class="beside">{}</div>').format(beside)
    return Markup('<div class="section"><div class="main">{}</div>{}</div>').format(said, beside)


def _small(element: Json, reader: Reader) -> Markup:
    if element.get("type") == "image":
        return _image(element, "small")
    return Markup("<span>{}</span>").format(text(element, reader))


def _figure(block: Json, reader: Reader) -> Markup:
    title = Markup("<figcaption>{}</figcaption>").format(text(block["title"], reader)) if block.get("title") else ""
    return Markup("<figure>{}{}</figure>").format(title, _image(block, "large"))


def _image(element: Json, size: str) -> Markup:
    url, alt = str(element.get("image_url", "")), str(element.get("alt_text", ""))
    if not url.startswith(("https://", "http://", "/")):
        return Markup('<span class="unknown">{}</span>').format(alt)
    return Markup('<img class="{}" src="{}" alt="{}">').format(size, url, alt)


def _container(block: Json, reader: Reader) -> Markup:
    title = text(block.get("title"), reader)
    if block.get("rich_text_title"):
        title = rich.drawn(block["rich_text_title"], reader)
    if block.get("subtitle"):
        title += Markup('<span class="sub">{}</span>').format(text(block["subtitle"], reader))
    inside = drawn((child for child in block.get("child_blocks", ()) if isinstance(child, Mapping)), reader)
    if not block.get("is_collapsible"):
        return Markup('<div class="container"><div class="title">{}</div>{}</div>').format(title, inside)
    return Markup('<details class="container"{}><summary class="title">{}</summary>{}</details>').format(
        "" if block.get("default_collapsed") else Markup(" open"), title, inside
    )


def _table(block: Json, reader: Reader) -> Markup:
    """The first row is the header in both kinds of table. A `data_table` has a caption and row headers as well."""
    head = block.get("row_header_column_index", 0) if block.get("type") == "data_table" else None
    settings = [one or {} for one in block.get("column_settings", ())]
    rows = []
    for at, row in enumerate(block.get("rows", ())):
        kinds = ["col" if at == 0 else "row" if n == head else "" for n in range(len(row))]
        of = [settings[n] if n < len(settings) else {} for n in range(len(row))]
        cells = (_cell(*cell, reader) for cell in zip(row, of, kinds, strict=True))
        rows.append(Markup("<tr>{}</tr>").format(Markup().join(cells)))
    caption = Markup("<caption>{}</caption>").format(block["caption"]) if block.get("caption") else ""
    return Markup(
        '<div class="table" tabindex="0" role="group" aria-label="{}"><table>{}<thead>{}</thead><tbody>{}</tbody>'
        "</table></div>"
    ).format(block.get("caption") or "Table", caption, Markup().join(rows[:1]), Markup().join(rows[1:]))


def _cell(cell: Json, setting: Json, heads: str, reader: Reader) -> Markup:
    """A cell; `heads` is what it is the header of, `col` or `row`, or empty."""
    rich_text, raw = cell.get("type") == "rich_text", str(cell.get("text", cell.get("value", "")))
    align = setting.get("align") or ("right" if cell.get("type") == "raw_number" else "")
    of = Markup(' class="{}"').format(align) if align in ("center", "right") else _NOTHING
    made = Markup('<th scope="{}"{{}}>{{}}</th>').format(heads) if heads else Markup("<td{}>{}</td>")
    return made.format(of, rich.drawn(cell, reader) if rich_text else raw)


def _element(element: Json, block: Json, reader: Reader) -> Markup:
    match element.get("type"):
        case "button":
            return _button(element, block, reader)
        case "static_select" | "users_select" | "datepicker" | "timepicker":
            return _chooser(element, block, reader)
        case "overflow":
            return _overflow(element, block, reader)
        case "image":
            return _image(element, "thumb")
        case other:
            return Markup('<span class="unknown">{}</span>').format(other)


def _button(element: Json, block: Json, reader: Reader) -> Markup:
    style = element.get("style") if element.get("style") in _STYLES else ""
    label = element.get("accessibility_label")
    named = Markup(' aria-label="{}"').format(label) if label else _NOTHING
    if str(element.get("url", "")).startswith(("https://", "http://")):
        named += Markup(' data-url="{}"').format(element["url"])
    return Markup('<button type="button" class="button {}"{}{}>{}</button>').format(
        style, named, act(element, block, reader), text(element.get("text"), reader)
    )


def _overflow(element: Json, block: Json, reader: Reader) -> Markup:
    options = Markup().join(
        Markup('<li><button type="button"{}>{}</button></li>').format(
            act(element, block, reader, chosen=str(option.get("value", ""))), text(option.get("text"), reader)
        )
        for option in element.get("options", ())
    )
    return Markup(
        '<details class="overflow"><summary class="button" aria-label="More actions">'
        '<span aria-hidden="true">⋯</span></summary><ul>{}</ul></details>'
    ).format(options)


def _chooser(element: Json, block: Json, reader: Reader) -> Markup:
    """A menu that acts when something is chosen in it."""
    return drawn_input(
        {"element": element, "block_id": block.get("block_id", "")}, reader, acts=act(element, block, reader)
    )


def act(element: Json, block: Json, reader: Reader, *, chosen: str | None = None) -> Markup:
    """What a click on the element sends, as attributes. `chosen` is an option's value."""
    sends = {"block": block.get("block_id", ""), "action": element.get("action_id", "")}
    if chosen is not None or "value" in element:
        sends["value"] = chosen if chosen is not None else element["value"]
    made = Markup(' data-act="{}"').format(json.dumps(sends))
    if element.get("confirm"):
        made += Markup(' data-confirm="{}"').format(str(confirmation(element["confirm"], reader)))
    return made


_DRAWN: Mapping[str, Callable[[Json, Reader], Markup]] = {
    "section": _section,
    "context": _context,
    "actions": _actions,
    "header": _header,
    "divider": _divider,
    "image": _figure,
    "container": _container,
    "table": _table,
    "data_table": _table,
    "rich_text": rich.drawn,
    "input": drawn_input,
    "markdown": _markdown,
}
