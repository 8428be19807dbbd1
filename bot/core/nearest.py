"""The word that was probably meant."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

_LONGEST = 80
_LIKENESS = 0.5


def did_you_mean(word: str, known: Iterable[str]) -> str | None:
    """The known word that is most like this one, upper and lower case being the same; None if none is like it."""
    spellings = {name.lower(): name for name in known}
    close = get_close_matches(word[:_LONGEST].lower(), list(spellings), n=1, cutoff=_LIKENESS)
    return spellings[close[0]] if close else None
