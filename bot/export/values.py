"""What several formats write alike: local times, and the URLs that may be linked."""

from __future__ import annotations

import re
from datetime import UTC, datetime, tzinfo
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

_URL = re.compile(r"https?://[!-~]{1,2000}", re.IGNORECASE)
_PLAIN_URL = re.compile(r"https?://[A-Za-z0-9.-]*[A-Za-z0-9](?::[0-9]{1,5})?(?:[/?#]|\Z)")
"""The beginning of one with nothing but a host before its path: nearly all are such, and `urlsplit` takes longer."""


def zone_of(name: str) -> tzinfo:
    """The time zone by its IANA name; UTC where this machine does not know it."""
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, KeyError):
        return UTC


def local(at: datetime, zone: tzinfo) -> datetime:
    """The instant by the zone's clock; unchanged where the calendar ends."""
    try:
        return at.astimezone(zone)
    except OverflowError:
        return at


def clock(at: datetime) -> str:
    """The time of day as its own clock shows it, to the second."""
    return at.isoformat(" ", "seconds")[11:19]


def linkable(url: object) -> str | None:
    """The URL, if it may be linked: http or https, with a host, and without a name or password before it."""
    if not isinstance(url, str) or not _URL.fullmatch(url):
        return None
    if _PLAIN_URL.match(url):
        return url
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    return url if parts.hostname and "@" not in parts.netloc else None
