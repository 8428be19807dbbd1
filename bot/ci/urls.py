"""URLs that people paste, taken apart with care. Pure; makes no request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias
from urllib.parse import SplitResult, urlsplit

Place: TypeAlias = tuple[str, str | None, int | None]
"""Scheme, host and port."""

_DEFAULT_PORTS = {"https": 443, "http": 80}
LONGEST = 2048


@dataclass(frozen=True, slots=True)
class RunUrl:
    """What a URL means: the repository, project or cluster as it is spelled there, and the run's id."""

    scope: str
    run_id: str


def split(url: str) -> SplitResult | None:
    """A URL in its parts; None for a text that is none, is odd or names a user."""
    if len(url) > LONGEST or not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        return None
    try:
        parts = urlsplit(url)
        place(parts)
    except ValueError:
        return None
    return None if "@" in parts.netloc else parts


def place(parts: SplitResult) -> Place:
    """Raises ValueError for a port that is none."""
    return parts.scheme, parts.hostname, _DEFAULT_PORTS.get(parts.scheme) if parts.port is None else parts.port
