"""What Slack takes as Block Kit, for the local workspace and for the tests of rendered messages.

Numbers are those of docs.slack.dev/reference/block-kit (blocks, block elements, composition objects). The total of a
message is not documented: Slack has refused 11,341 characters and taken 11,000 (slackapi/bolt-js#2867).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias
from urllib.parse import urlsplit

MESSAGE_BLOCKS = 50
VIEW_BLOCKS = 100
MESSAGE_CHARACTERS = 11_000
ID_CHARACTERS = 255

Check: TypeAlias = Callable[[Any, str], Iterator[str]]


@dataclass(frozen=True, slots=True)
class Shape:
    """The fields that an object must and may have. A field of neither kind is a fault."""

    required: Mapping[str, Check]
    optional: Mapping[str, Check] = field(default_factory=dict)
    one_of: tuple[str, ...] = ()
    """At least one of these optional fields must be there."""


def problems(blocks: Any, *, limit: int = MESSAGE_BLOCKS) -> list[str]:
    """Everything that Slack would refuse in these blocks, each with its JSON pointer. Empty: Slack takes them."""
    return [*malformed(blocks, limit=limit), *_too_long(blocks)]


def malformed(blocks: Any, *, limit: int = MESSAGE_BLOCKS) -> list[str]:
    """What makes Slack answer `invalid_blocks`: all problems but the total length."""
    if not isinstance(blocks, Sequence) or isinstance(blocks, str | bytes):
        return ["blocks must be an array"]
    found = [fault for number, block in enumerate(blocks) for fault in _block(block, f"/blocks/{number}")]
    if len(blocks) > limit:
        found.append(f"no more than {limit} items allowed, got {len(blocks)} [json-pointer:/blocks]")
    found.extend(_repeated(blocks))
    return found


def view_faults(view: Any, *, kind: str) -> list[str]:
    """Everything that Slack would refuse in a view of this kind, `modal` or `home`."""
    if not isinstance(view, Mapping) or view.get("type") != kind:
        return [f"must be a view of the type {kind} [json-pointer:/view]"]
    found = [*_fields({**view, "blocks": None}, "/view", VIEWS[kind])]
    found += malformed(view.get("blocks"), limit=VIEW_BLOCKS)
    has_input = any(isinstance(block, Mapping) and block.get("type") == "input" for block in view.get("blocks") or ())
    if kind == "modal" and has_input and "submit" not in view:
        found.append("missing required field: submit, since there is an input block [json-pointer:/view]")
    return found


def size(blocks: Any) -> int:
    """The characters of all texts, as far as Slack is known to count them for a whole message."""
    if isinstance(blocks, Mapping):
        own = blocks.get("text")
        return (len(own) if isinstance(own, str) else 0) + sum(size(value) for value in blocks.values())
    if isinstance(blocks, Sequence) and not isinstance(blocks, str | bytes):
        return sum(size(item) for item in blocks)
    return 0


def _too_long(blocks: Any) -> Iterator[str]:
    total = size(blocks)
    if total > MESSAGE_CHARACTERS:
        yield f"msg_blocks_too_long: {total} characters of text, {MESSAGE_CHARACTERS} are safe [json-pointer:/blocks]"


def _repeated(blocks: Sequence[Any]) -> Iterator[str]:
    ids = Counter(block["block_id"] for block in blocks if isinstance(block, Mapping) and "block_id" in block)
    for block_id, times in ids.items():
        if times > 1:
            yield f"block_id {block_id!r} already exists [json-pointer:/blocks]"


def _block(block: Any, at: str) -> Iterator[str]:
    yield from _typed(block, at, BLOCKS, "block")


def _typed(thing: Any, at: str, shapes: Mapping[str, Shape], word: str) -> Iterator[str]:
    if not isinstance(thing, Mapping):
        yield f"must be an object [json-pointer:{at}]"
        return
    kind = thing.get("type")
    if not isinstance(kind, str) or kind not in shapes:
        yield f"unsupported type of {word}: {kind!r} [json-pointer:{at}/type]"
        return
    yield from _fields(thing, at, shapes[kind])


def _fields(thing: Mapping[str, Any], at: str, shape: Shape) -> Iterator[str]:
    for name, check in shape.required.items():
        if name in thing:
            yield from check(thing[name], f"{at}/{name}")
        else:
            yield f"missing required field: {name} [json-pointer:{at}]"
    for name in thing.keys() - shape.required.keys() - {"type"}:
        if name in shape.optional:
            yield from shape.optional[name](thing[name], f"{at}/{name}")
        else:
            yield f"invalid additional property: {name} [json-pointer:{at}]"
    if shape.one_of and not any(name in thing for name in shape.one_of):
        yield f"must define one of {', '.join(shape.one_of)} [json-pointer:{at}]"


def _anything(_value: Any, _at: str) -> Iterator[str]:
    yield from ()


def _boolean(value: Any, at: str) -> Iterator[str]:
    if not isinstance(value, bool):
        yield f"must be a boolean [json-pointer:{at}]"


def _string(most: int, *, least: int = 1) -> Check:
    def check(value: Any, at: str) -> Iterator[str]:
        if not isinstance(value, str):
            yield f"must be a string [json-pointer:{at}]"
        elif len(value) > most:
            yield f"must be less than {most + 1} characters, got {len(value)} [json-pointer:{at}]"
        elif len(value) < least:
            yield f"must be more than {least - 1} characters [json-pointer:{at}]"

    return check


def _word(*words: str) -> Check:
    def check(value: Any, at: str) -> Iterator[str]:
        if value not in words:
            yield f"must be one of {', '.join(words)} [json-pointer:{at}]"

    return check


def _number(least: int, most: int) -> Check:
    def check(value: Any, at: str) -> Iterator[str]:
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            yield f"must be a number from {least} to {most} [json-pointer:{at}]"

    return check


def _fitting(pattern: str, form: str) -> Check:
    def check(value: Any, at: str) -> Iterator[str]:
        if not isinstance(value, str) or not re.fullmatch(pattern, value):
            yield f"must be of the form {form} [json-pointer:{at}]"

    return check


def _address(value: Any, at: str) -> Iterator[str]:
    yield from _string(3000)(value, at)
    if isinstance(value, str) and not (urlsplit(value).scheme and (urlsplit(value).netloc or urlsplit(value).path)):
        yield f"invalid url [json-pointer:{at}]"


def _text(most: int, *, plain: bool = False) -> Check:
    """A text object; with `plain` only `plain_text`."""
    kinds = {"plain_text": Shape({"text": _string(most)}, {"emoji": _boolean})}
    if not plain:
        kinds["mrkdwn"] = Shape({"text": _string(most)}, {"verbatim": _boolean})

    def check(value: Any, at: str) -> Iterator[str]:
        yield from _typed(value, at, kinds, "text")

    return check


def _listed(most: int, check_item: Check) -> Check:
    def check(value: Any, at: str) -> Iterator[str]:
        if not isinstance(value, Sequence) or isinstance(value, str | bytes):
            yield f"must be an array [json-pointer:{at}]"
            return
        if not value:
            yield f"no less than 1 items allowed [json-pointer:{at}]"
        if len(value) > most:
            yield f"no more than {most} items allowed, got {len(value)} [json-pointer:{at}]"
        for number, item in enumerate(value):
            yield from check_item(item, f"{at}/{number}")

    return check


def _object(shape: Shape) -> Check:
    def check(value: Any, at: str) -> Iterator[str]:
        if isinstance(value, Mapping):
            yield from _fields(value, at, shape)
        else:
            yield f"must be an object [json-pointer:{at}]"

    return check


def _element(*kinds: str) -> Check:
    def check(value: Any, at: str) -> Iterator[str]:
        yield from _typed(value, at, {kind: ELEMENTS[kind] for kind in kinds}, "element")

    return check


def _context_item(value: Any, at: str) -> Iterator[str]:
    is_image = isinstance(value, Mapping) and value.get("type") == "image"
    yield from (_element("image") if is_image else _text(3000))(value, at)


def _actions(value: Any, at: str) -> Iterator[str]:
    yield from _listed(25, _element("button", "static_select", "users_select", "overflow", *_PICKERS))(value, at)
    if isinstance(value, Sequence):
        ids = Counter(item["action_id"] for item in value if isinstance(item, Mapping) and "action_id" in item)
        for action_id, times in ids.items():
            if times > 1:
                yield f"action_id {action_id!r} already exists [json-pointer:{at}]"


_ID = _string(ID_CHARACTERS)
_OPTION = _object(Shape({"text": _text(75), "value": _string(150)}, {"description": _text(75), "url": _address}))
_CONFIRM = _object(
    Shape(
        {
            "title": _text(100, plain=True),
            "text": _text(300),
            "confirm": _text(30, plain=True),
            "deny": _text(30, plain=True),
        },
        {"style": _word("primary", "danger")},
    )
)
_OPTION_GROUP = _object(Shape({"label": _text(75, plain=True), "options": _listed(100, _OPTION)}))
_CHOOSER: Mapping[str, Check] = {
    "action_id": _ID,
    "placeholder": _text(150, plain=True),
    "confirm": _CONFIRM,
    "focus_on_load": _boolean,
}

ELEMENTS: Mapping[str, Shape] = {
    "button": Shape(
        {"text": _text(75, plain=True)},
        {
            "action_id": _ID,
            "value": _string(2000),
            "url": _address,
            "style": _word("primary", "danger"),
            "confirm": _CONFIRM,
            "accessibility_label": _string(75),
        },
    ),
    "static_select": Shape(
        {},
        {
            **_CHOOSER,
            "options": _listed(100, _OPTION),
            "option_groups": _listed(100, _OPTION_GROUP),
            "initial_option": _OPTION,
        },
        one_of=("options", "option_groups"),
    ),
    "users_select": Shape({}, {**_CHOOSER, "initial_user": _string(255)}),
    "overflow": Shape({"options": _listed(5, _OPTION)}, {"action_id": _ID, "confirm": _CONFIRM}),
    "image": Shape({"alt_text": _string(2000)}, {"image_url": _address}, one_of=("image_url",)),
    "plain_text_input": Shape(
        {},
        {
            "action_id": _ID,
            "placeholder": _text(150, plain=True),
            "initial_value": _string(3000, least=0),
            "multiline": _boolean,
            "min_length": _number(0, 3000),
            "max_length": _number(1, 3000),
            "focus_on_load": _boolean,
        },
    ),
    "datepicker": Shape({}, {**_CHOOSER, "initial_date": _fitting(r"\d{4}-\d{2}-\d{2}", "YYYY-MM-DD")}),
    "timepicker": Shape(
        {}, {**_CHOOSER, "initial_time": _fitting(r"([01]\d|2[0-3]):[0-5]\d", "HH:mm"), "timezone": _string(255)}
    ),
}

_PICKERS = ("datepicker", "timepicker")
_BLOCK_ID: Mapping[str, Check] = {"block_id": _ID}

BLOCKS: dict[str, Shape] = {
    "section": Shape(
        {},
        {
            **_BLOCK_ID,
            "text": _text(3000),
            "fields": _listed(10, _text(2000)),
            "accessory": _element("button", "static_select", "users_select", "overflow", "image", *_PICKERS),
            "expand": _boolean,
        },
        one_of=("text", "fields"),
    ),
    "header": Shape({"text": _text(150, plain=True)}, _BLOCK_ID),
    "divider": Shape({}, _BLOCK_ID),
    "context": Shape({"elements": _listed(10, _context_item)}, _BLOCK_ID),
    "actions": Shape({"elements": _actions}, _BLOCK_ID),
    "image": Shape(
        {"alt_text": _string(2000)},
        {**_BLOCK_ID, "image_url": _address, "title": _text(2000, plain=True)},
        one_of=("image_url",),
    ),
    "markdown": Shape({"text": _string(12_000)}, _BLOCK_ID),
    "rich_text": Shape({"elements": _listed(1000, _anything)}, _BLOCK_ID),
    "input": Shape(
        {
            "label": _text(2000, plain=True),
            "element": _element("plain_text_input", "static_select", "users_select", *_PICKERS),
        },
        {**_BLOCK_ID, "hint": _text(2000, plain=True), "optional": _boolean, "dispatch_action": _boolean},
    ),
}

_IN_A_CONTAINER = ("actions", "context", "divider", "header", "image", "input", "rich_text", "section", "table")


def _child(value: Any, at: str) -> Iterator[str]:
    yield from _typed(value, at, {kind: BLOCKS[kind] for kind in _IN_A_CONTAINER}, "block")


def _rows(least: int, most: int, *kinds: str) -> Check:
    def check(value: Any, at: str) -> Iterator[str]:
        cells = _listed(20, lambda cell, where: _typed(cell, where, {kind: _CELLS[kind] for kind in kinds}, "cell"))
        yield from _listed(most, cells)(value, at)
        if isinstance(value, Sequence) and len(value) < least:
            yield f"no less than {least} items allowed [json-pointer:{at}]"
        if isinstance(value, Sequence) and len({len(row) for row in value if isinstance(row, Sequence)}) > 1:
            yield f"every row must have as many cells as the first [json-pointer:{at}]"

    return check


_CELLS: Mapping[str, Shape] = {
    "raw_text": Shape({"text": _string(3000)}),
    "raw_number": Shape({"value": _anything}, {"text": _string(3000)}),
    "rich_text": Shape({"elements": _listed(1000, _anything)}, _BLOCK_ID),
}
_COLUMN = _object(Shape({}, {"align": _word("left", "center", "right"), "is_wrapped": _boolean}))

NEWER_BLOCKS: dict[str, Shape] = {
    "container": Shape(
        {"child_blocks": _listed(10, _child)},
        {
            **_BLOCK_ID,
            "title": _text(150, plain=True),
            "rich_text_title": _anything,
            "subtitle": _text(150),
            "width": _word("narrow", "standard", "wide", "full"),
            "icon": _element("image"),
            "is_collapsible": _boolean,
            "default_collapsed": _boolean,
            "has_header_divider": _boolean,
        },
        one_of=("title", "rich_text_title"),
    ),
    "table": Shape(
        {"rows": _rows(1, 100, "raw_text", "rich_text", "raw_number")},
        {**_BLOCK_ID, "column_settings": _listed(20, _COLUMN)},
    ),
    "data_table": Shape(
        {"caption": _string(3000), "rows": _rows(2, 201, "raw_text", "rich_text", "raw_number")},
        {**_BLOCK_ID, "page_size": _number(1, 100), "row_header_column_index": _number(0, 19)},
    ),
}
"""Blocks that Slack has had since 2025 and 2026 (container-block, table-block, data-table-block). Not every workspace
takes them yet.
"""
BLOCKS.update(NEWER_BLOCKS)

_VIEW: Mapping[str, Check] = {
    "private_metadata": _string(3000, least=0),
    "callback_id": _string(255, least=0),
    "external_id": _string(255, least=0),
}

VIEWS: Mapping[str, Shape] = {
    "modal": Shape(
        {"title": _text(24, plain=True), "blocks": _anything},
        {
            **_VIEW,
            "close": _text(24, plain=True),
            "submit": _text(24, plain=True),
            "clear_on_close": _boolean,
            "notify_on_close": _boolean,
            "submit_disabled": _boolean,
        },
    ),
    "home": Shape({"blocks": _anything}, _VIEW),
}
