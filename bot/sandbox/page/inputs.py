"""What can be filled in or chosen, as HTML: Block Kit's input blocks, and the menus in other places."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from markupsafe import Markup, escape

from bot.sandbox.page.mrkdwn import Reader, with_emoji

Json = Mapping[str, Any]

_PICKERS = {"datepicker": ("date", "initial_date"), "timepicker": ("time", "initial_time")}


def drawn_input(block: Json, reader: Reader, *, acts: Markup | None = None) -> Markup:
    """An input block with its label; with `acts`, a single element, which sends what is chosen in it at once.

    An element's name is its block's id and its action's, so that a form says what goes where.
    """
    element = block["element"]
    name = f"{block.get('block_id', '')} {element.get('action_id', '')}"
    named = Markup(' name="{}"').format(name)
    if acts is not None:
        placeholder = _words(element.get("placeholder")) or "Choose"
        return _control(element, named + Markup(' aria-label="{}"').format(placeholder) + acts, reader)
    ident = f"input-{name.replace(' ', '-')}"
    if not block.get("optional"):
        named += Markup(" required")
    optional = Markup(' <span class="optional">(optional)</span>') if block.get("optional") else ""
    hint = Markup('<p class="hint">{}</p>').format(_words(block["hint"])) if block.get("hint") else ""
    return Markup('<div class="input"><label for="{}">{}{}</label>{}{}<p class="error" role="alert"></p></div>').format(
        ident,
        with_emoji(_words(block.get("label"))),
        optional,
        _control(element, named + Markup(' id="{}"').format(ident), reader),
        hint,
    )


def _control(element: Json, facts: Markup, reader: Reader) -> Markup:
    match str(element.get("type")):
        case "plain_text_input":
            return _text(element, facts)
        case "datepicker" | "timepicker" as kind:
            shape, initial = _PICKERS[kind]
            return Markup('<input type="{}" data-kind="{}" value="{}"{}>').format(
                shape, kind, element.get(initial, ""), facts
            )
        case "users_select":
            people = [(key, name) for key, name in reader.names.items() if key.startswith(("U", "W"))]
            return _select(element, people, str(element.get("initial_user", "")), facts)
        case "static_select":
            chosen = str((element.get("initial_option") or {}).get("value", ""))
            return _select(element, list(_options(element)), chosen, facts)
        case other:
            return Markup('<span class="unknown">{}</span>').format(other)


def _text(element: Json, facts: Markup) -> Markup:
    facts += Markup(' data-kind="plain_text_input" placeholder="{}"').format(_words(element.get("placeholder")))
    if "max_length" in element:
        facts += Markup(' maxlength="{}"').format(element["max_length"])
    value = str(element.get("initial_value", ""))
    if element.get("multiline"):
        return Markup('<textarea rows="4"{}>\n{}</textarea>').format(facts, value)
    return Markup('<input type="text" autocomplete="off" value="{}"{}>').format(value, facts)


def _select(element: Json, options: Sequence[tuple[str, str]], chosen: str, facts: Markup) -> Markup:
    made = Markup().join(
        Markup('<option value="{}"{}>{}</option>').format(value, Markup(" selected") if value == chosen else "", label)
        for value, label in options
    )
    first = escape(_words(element.get("placeholder")) or "Choose")
    return Markup('<select class="button" data-kind="{}"{}><option value="" {}>{}</option>{}</select>').format(
        element["type"], facts, "" if chosen else "selected", first, made
    )


def _options(element: Json) -> Iterator[tuple[str, str]]:
    groups = [element, *element.get("option_groups", ())]
    for option in (option for group in groups for option in group.get("options", ())):
        yield str(option.get("value", "")), _words(option.get("text"))


def _words(part: Json | None) -> str:
    return str(part.get("text", "")) if part else ""
