"""Which configured states a message speaks of: by the `Path` of a pasted lock, its ID, or a state's name. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from bot.core.explain.pasted import pasted

_PARTS_OF_NAMES = r"A-Za-z0-9_/.-"
_MOST = 100


def states_spoken_of(
    text: str, states: Collection[str], paths: Mapping[str, str], locks: Mapping[str, str]
) -> list[str]:
    """The states in question, the surest first: one of a pasted lock alone, else all that are named, in order.

    `paths` are states by the `Path` that their locks carry, `locks` those that are locked now, by lock ID.
    """
    found = pasted(text)
    if found.lock is not None:
        known = paths.get(found.lock.path) or locks.get(found.lock.id)
        if known is not None:
            return [known]
    by_id = [state for lock_id, state in locks.items() if lock_id and lock_id in found.words]
    by_path = [state for path, state in paths.items() if path and _has_word(found.words, path)]
    named = [state for state in states if _has_word(found.words, state)]
    return list(dict.fromkeys([*by_id, *by_path, *_longest(named, found.words)]))[:_MOST]


def _has_word(words: str, wanted: str) -> bool:
    """Whether it stands there by itself, and not as a part of a longer name; a full stop may follow."""
    parts = re.escape(wanted)
    return re.search(rf"(?<![{_PARTS_OF_NAMES}]){parts}(?=$|[^{_PARTS_OF_NAMES}]|[.](?:\s|$))", words) is not None


def _longest(named: list[str], words: str) -> list[str]:
    """In the order in which they stand in the text."""
    return sorted(named, key=words.find)
