"""Lists that a server gives page by page: whole, or not at all."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from typing import TypeVar

from bot.core.evidence import Trouble
from bot.http.client import Failed

T = TypeVar("T")
At = TypeVar("At")

MOST_PAGES = 40
"""The bound on foreign lists: what is longer is too much, never a part."""
MOST_PAGES_OF_STATES = 200
"""Its twin for lists of all states that a team has: 20,000 of them."""


async def every_page(
    page: Callable[[At], Awaitable[tuple[Collection[T], At | None]]],
    first: At,
    *,
    too_much: Callable[[int], str],
    until: Callable[[T], bool] = lambda _: False,
    most: int = MOST_PAGES,
) -> list[T]:
    """What all pages hold, up to the page with the first entry that `until` looks for.

    `page` reads one and says where the next one is, None after the last. Raises Failed for a list with more than
    `most`, in the words of `too_much` for as many entries as were read.
    """
    found: list[T] = []
    at = first
    for _ in range(most):
        entries, following = await page(at)
        found += entries
        if following is None or any(map(until, entries)):
            return found
        at = following
    raise Failed(Trouble.TOO_MUCH, too_much(len(found)))
