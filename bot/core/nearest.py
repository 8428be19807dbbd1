"""The word that was probably meant."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from difflib import SequenceMatcher

_LONGEST = 80
_LIKE_ENOUGH = 0.5
_ONLY_A_BEGINNING = 0.05


def known_as(word: str, known: Collection[str]) -> str | None:
    """The known word that this is, or else the only one that differs from it only by upper and lower case."""
    if word in known:
        return word
    same = [name for name in known if name.casefold() == word.casefold()]
    return same[0] if len(same) == 1 else None


def did_you_mean(word: str, known: Iterable[str]) -> str | None:
    """The known word that is most like this one, upper and lower case being the same; None if none is like it.

    A word that is like the beginning of a known one is nearly as good as one that is like all of it.
    """
    typed = word[:_LONGEST].lower()
    letters, best, nearest = Counter(typed), 0.0, None
    for name in known:
        lower = name.lower()
        # most of ten thousand names have too few letters in common for a closer look
        if (limit := _at_most(typed, letters, lower)) >= _LIKE_ENOUGH and limit > best:
            likeness = _likeness(typed, lower)
            best, nearest = (likeness, name) if likeness > best else (best, nearest)
    return nearest if best >= _LIKE_ENOUGH else None


def _at_most(typed: str, letters: Counter[str], name: str) -> float:
    """What `_likeness` cannot exceed, by the letters that both have."""
    common = sum(min(count, name.count(letter)) for letter, count in letters.items())
    short = min(len(name), len(typed) + 1)
    if not common:
        return 0.0
    return max(2 * common / (len(typed) + len(name)), 2 * min(common, short) / (len(typed) + short))


def _likeness(typed: str, name: str) -> float:
    """From 0, nothing in common, to 1, the same."""
    beginning = name[: len(typed) + 1]
    return max(_ratio(typed, name), _ratio(typed, beginning) - _ONLY_A_BEGINNING)


def _ratio(one: str, other: str) -> float:
    return SequenceMatcher(None, one, other).ratio()
