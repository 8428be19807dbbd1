"""Which configured states a message speaks of: by the `Path` of a pasted lock, its ID, or a state's name. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from bot.core.explain.block import lock_in
from bot.core.explain.decode import lines_of
from bot.core.explain.prefix import bare

_PARTS_OF_NAMES = r"A-Za-z0-9_/.-"
_WORD = re.compile(f"[{_PARTS_OF_NAMES}]+")
_MOST = 100


def states_spoken_of(
    text: str, states: Collection[str], paths: Mapping[str, str], locks: Mapping[str, str]
) -> list[str]:
    """The states in question, the surest first: only the one of a pasted lock, else all that are named, in order.

    `paths` are states by the `Path` that their locks carry, `locks` those that are locked now, by lock ID.
    """
    lines, _ = lines_of(text)
    lock = lock_in(lines)
    if lock is not None:
        known = paths.get(lock.path) or locks.get(lock.id)
        if known is not None:
            return [known]
    said = " ".join(bare(line) for line in lines)
    by_id = [state for lock_id, state in locks.items() if lock_id and lock_id in said]
    words = _words_in(said)
    by_path = [state for path, state in paths.items() if path and _has_word(said, words, path)]
    named = [state for state in states if _has_word(said, words, state)]
    return list(dict.fromkeys([*by_id, *by_path, *_longest(named, said)]))[:_MOST]


def _words_in(text: str) -> frozenset[str]:
    """What is there on its own, also without the full stop at its end: read once, however many states there are."""
    words = frozenset(_WORD.findall(text))
    return words | {word[:-1] for word in words if word.endswith(".")}


def _has_word(text: str, words: Collection[str], wanted: str) -> bool:
    """Whether it is there on its own, and not as a part of a longer name; a full stop may follow."""
    if _WORD.fullmatch(wanted) or wanted not in text:
        return wanted in words
    parts = re.escape(wanted)  # a path may have any character in it
    return re.search(rf"(?<![{_PARTS_OF_NAMES}]){parts}(?=$|[^{_PARTS_OF_NAMES}]|[.](?:\s|$))", text) is not None


def _longest(named: list[str], words: str) -> list[str]:
    """In the order of the text."""
    return sorted(named, key=words.find)
