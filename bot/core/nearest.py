"""The word that was probably meant."""

from __future__ import annotations

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
    ranked = [(_likeness(typed, name.lower()), name) for name in known]
    likeness, name = max(ranked, key=lambda pair: pair[0], default=(0.0, None))
    return name if likeness >= _LIKE_ENOUGH else None


def _likeness(typed: str, name: str) -> float:
    """From 0, nothing in common, to 1, the same."""
    beginning = name[: len(typed) + 1]
    return max(_ratio(typed, name), _ratio(typed, beginning) - _ONLY_A_BEGINNING)


def _ratio(one: str, other: str) -> float:
    return SequenceMatcher(None, one, other).ratio()
