"""A message of the bot as a page of its own: for pictures, and for measuring how tall it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from typing import Any

from markupsafe import Markup

from bot.sandbox.page.blocks import drawn
from bot.sandbox.page.emoji import emoji, sprite
from bot.sandbox.page.mrkdwn import Reader

PHONE, DESKTOP = 390, 1280
"""Widths in CSS pixels. Up to 600 the page is laid out as on a phone."""


def page_of(
    blocks: Sequence[Mapping[str, Any]], width: int = PHONE, *, reader: Reader | None = None, note: str = ""
) -> str:
    """A whole HTML page with one message in it, as Slack shows it in a window so wide. It loads nothing.

    The message is the element `#message`. `note` is above it: `Only visible to you`.
    """
    who = reader or Reader()
    at = who.now.astimezone(who.zone)
    said = drawn(blocks, who)
    shown = message("tflock", f"{at:%-I:%M %p}", said, is_app=True, note=note)
    return str(document(Markup('<main id="message" style="width:{}px">{}</main>').format(width, shown), title="tflock"))


def message(author: str, at: str, body: Markup, *, is_app: bool, note: str = "", facts: str = "") -> Markup:
    """One message: avatar, name, time, and what it says. `facts` are attributes of its element."""
    app = Markup('<span class="app">APP</span>') if is_app else ""
    face = emoji("lock") if is_app else author[:1].upper()
    private = Markup('<p class="note">{}</p>').format(note) if note else ""
    return Markup(
        '<article class="message"{}>{}<div class="avatar {}" aria-hidden="true">{}</div><div class="said">'
        '<p class="by"><b>{}</b>{}<span class="at">{}</span></p>{}</div></article>'
    ).format(facts, private, "bot" if is_app else "", face, author, app, at, body)


def document(body: Markup, *, title: str, head: str = "") -> Markup:
    """An HTML page with the styles and the emoji in it."""
    return Markup(
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1"><title>{}</title><style>{}</style>{}</head>'
        "<body>{}{}</body></html>"
    ).format(title, Markup(styles()), head, sprite(), body)


@cache
def styles() -> str:
    return resources.files("bot.sandbox.page").joinpath("look.css").read_text("utf-8")
