"""Texts of which a part is only known when a pipeline runs: `envs/{env}/{inputs.stack}`.

A part that is not known is a hole with a name, between two characters that no file has.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

EDGE = "\x00"
"""Before and after a hole."""

_HOLE = re.compile(f"{EDGE}([^{EDGE}]*){EDGE}")


def hole(name: str) -> str:
    """What stands for a part that is not known. A script's words are split at spaces, so the name has none."""
    return f"{EDGE}{name_of(name)}{EDGE}"


def name_of(name: str) -> str:
    """The name that a hole has: that of a variable or an expression, in signs that fit in a word of a script."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "_", name).strip("_")[:60] or "unknown"


def is_known(text: str) -> bool:
    return EDGE not in text


def holes_in(text: str) -> tuple[str, ...]:
    """The names of what is not known, each once."""
    return tuple(dict.fromkeys(_HOLE.findall(text)))


def shown(text: str) -> str:
    """The text for people, with `{name}` for each hole."""
    return _HOLE.sub(r"{\1}", text)


def filled(text: str, values: Mapping[str, str]) -> str:
    """The text with the holes filled whose values are known."""
    return _HOLE.sub(lambda found: values.get(found[1], found[0]), text)


def replaced(text: str, pattern: re.Pattern[str], value: Callable[[re.Match[str]], str]) -> str:
    """As `re.sub`, which must not read the holes of a value as escapes."""
    return pattern.sub(value, text)


def bound(text: str, actual: str, *, with_slashes: bool = False) -> dict[str, str] | None:
    """What the holes have to be for the text to be `actual`; None if it cannot be. A hole has no slash in it,
    unless it is all of the text, or that is allowed.
    """
    if is_known(text):
        return {} if text == actual else None
    names, expression, end = list[str](), "", 0
    is_all = with_slashes or _HOLE.fullmatch(text) is not None
    for found in _HOLE.finditer(text):
        expression += re.escape(text[end : found.start()])
        if found[1] in names:
            expression += f"(?P=h{names.index(found[1])})"
        else:
            expression += f"(?P<h{len(names)}>{'.+' if is_all else '[^/]+'})"
            names.append(found[1])
        end = found.end()
    match = re.fullmatch(expression + re.escape(text[end:]), actual)
    return None if match is None else {name: match[f"h{index}"] for index, name in enumerate(names)}
