"""Texts with `{variables}`: one entry of the configuration that means many states. Pure.

A variable stands for one or more characters without a slash. It is the same wherever it occurs in an entry. A name
that can be read in two ways is none of the pattern's: nobody could say whose pipelines and protection are its.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Mapping
from functools import lru_cache
from itertools import combinations

from bot.config.models import StateSection
from bot.config.text import Finding, KeyPath

_VARIABLE = re.compile(r"\{([a-z][a-z0-9_]*)\}")
_ANY = ""
"""Stands for a variable where two patterns are compared."""


def is_pattern(name: str) -> bool:
    """Whether a state's name is one for many."""
    return "{" in name


def variables(text: str) -> tuple[str, ...]:
    """The names of the variables, each once."""
    return tuple(dict.fromkeys(_VARIABLE.findall(text)))


def filled(text: str, values: Mapping[str, str]) -> str:
    """The text with each variable's value."""
    return _VARIABLE.sub(lambda found: values.get(found[1], found[0]), text)


@lru_cache(maxsize=1024)
def expression(text: str, *, shortest: bool = False) -> re.Pattern[str]:
    """What matches the texts that the pattern means, with a group for each variable: the earlier ones as long as
    possible, or as short.
    """
    made, end, seen = "", 0, set[str]()
    for found in _VARIABLE.finditer(text):
        made += re.escape(text[end : found.start()])
        made += f"(?P={found[1]})" if found[1] in seen else f"(?P<{found[1]}>[^/]+{'?' if shortest else ''})"
        seen.add(found[1])
        end = found.end()
    return re.compile(made + re.escape(text[end:]))


def readings(text: str, name: str) -> tuple[Mapping[str, str], ...]:
    """The variables' values in a name that the pattern means: none if it does not, two of several ways to read it."""
    found = (expression(text, shortest=shortest).fullmatch(name) for shortest in (False, True))
    values = [each.groupdict() for each in found if each is not None]
    return tuple(values[:1] if values[:1] == values[1:] else values)


def beginning(text: str) -> str:
    """What all texts that the pattern means begin with."""
    found = _VARIABLE.search(text)
    return text if found is None else text[: found.start()]


def common(one: str, other: str) -> str | None:
    """The shortest text that both patterns may mean, None if there is none. That a variable is the same everywhere is
    not looked at: two patterns that differ only by that are too much alike.
    """
    first, second = _pieces(one), _pieces(other)
    waiting, seen = deque([(0, 0, "")]), {(0, 0)}
    while waiting:
        here, there, text = waiting.popleft()
        if here == len(first) and there == len(second):
            return text
        if here == len(first) or there == len(second):
            continue
        letter = _both(first[here], second[there])
        if letter is None:
            continue
        steps_here = (here, here + 1) if first[here] == _ANY else (here + 1,)
        steps_there = (there, there + 1) if second[there] == _ANY else (there + 1,)
        for step in ((a, b) for a in steps_here for b in steps_there):
            if step not in seen:
                seen.add(step)
                waiting.append((*step, text + letter))
    return None


def _pieces(text: str) -> list[str]:
    pieces, end = list[str](), 0
    for found in _VARIABLE.finditer(text):
        pieces += [*text[end : found.start()], _ANY]
        end = found.end()
    return [*pieces, *text[end:]]


def _both(one: str, other: str) -> str | None:
    """A character that both may be."""
    if one == other:
        return one or "x"
    if _ANY not in {one, other}:
        return None
    letter = one or other
    return None if letter == "/" else letter


def findings(states: Mapping[str, StateSection]) -> Iterator[Finding]:
    """What is wrong with entries for many states, each for itself and together with all others."""
    for name, state in states.items():
        yield from _entry(("states", name), name, state)
    yield from _double(states)


def _entry(path: KeyPath, name: str, state: StateSection) -> Iterator[Finding]:
    if not is_pattern(name):
        if state.discover:
            yield (*path, "discover"), "is for a name with {variables}, one for each in the key"
        if not isinstance(state.protected, bool):
            yield (*path, "protected"), "must be true or false: only a name with {variables} has a choice"
        return
    if not state.discover:
        yield (*path, "discover"), "must be true for a name with {variables}"
        return
    listing = state.backend.listing
    if listing is None:
        yield (
            (*path, "discover"),
            f"is not possible with the backend {state.backend.type}: tflock cannot list its states",
        )
        return
    known = variables(listing.name)
    for each in sorted({found for text in (*listing.container, listing.part) for found in variables(text)}):
        yield path, f"has {{{each}}} in what is listed, and can have it only in the names that a list shows"
    for each in known:
        if each not in variables(name):
            yield path, f"lacks {{{each}}}, which the key has: two states would have one name"
    used = {each for entry in state.pipelines for value in entry.values() for each in variables(value)}
    used |= {*variables(name), *variables(state.description)}
    used |= set() if isinstance(state.protected, bool) else state.protected.keys()
    for each in sorted(used - set(known)):
        yield path, f"uses {{{each}}}, which the backend's key does not have"


def _double(states: Mapping[str, StateSection]) -> Iterator[Finding]:
    """Two entries for one state, each of them a pattern or one a pattern and the other fixed."""
    listed = {name: state.backend.listing for name, state in states.items()}
    many = {name: listing for name, listing in listed.items() if listing is not None and is_pattern(name)}
    for (one, first), (other, second) in combinations(many.items(), 2):
        shared = None if first.is_apart_from(second) else common(first.place[-1], second.place[-1])
        if shared is not None:
            yield ("states", other), f"can mean the same state as {one} ({shared}, say): give keys that tell them apart"
    for pattern, wanted in many.items():
        for name, listing in listed.items():
            if listing is None or is_pattern(name) or listing.is_apart_from(wanted):
                continue
            if len(readings(wanted.place[-1], listing.place[-1])) == 1:
                yield ("states", name), f"is found by {pattern}, too: remove one of the two, or narrow the pattern"
