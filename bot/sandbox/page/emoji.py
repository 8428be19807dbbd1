"""Emoji as pictures, as Slack draws them: the same on every machine, whatever fonts it has."""

from __future__ import annotations

import re
from functools import cache
from importlib import resources

from markupsafe import Markup
from rich.emoji import Emoji


@cache
def sprite() -> Markup:
    """The drawings, to be put into a page once. Each is a `symbol` that has the emoji's name as its id."""
    return Markup(resources.files("bot.sandbox.page").joinpath("emoji.svg").read_text("utf-8"))


@cache
def emoji(name: str) -> Markup | None:
    """One emoji by its name; None if there is none. Those that are not drawn here are left to the reader's fonts."""
    words = name.replace("_", " ")
    if name in _drawn():
        return Markup(
            '<svg class="emoji" role="img" aria-label="{}" viewBox="0 0 20 20"><use href="#emoji-{}"/></svg>'
        ).format(words, name)
    found = Emoji.replace(f":{name}:")
    if found == f":{name}:":
        return None
    return Markup('<span class="emoji" role="img" aria-label="{}">{}</span>').format(words, found)


@cache
def _drawn() -> frozenset[str]:
    return frozenset(re.findall(r'id="emoji-([a-z0-9_+-]+)"', sprite()))
