"""Local times beside UTC."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo


def zone_of(name: str) -> tzinfo:
    """The time zone by its IANA name; UTC where this machine does not know it."""
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, KeyError):
        return UTC


def local(at: datetime, zone: tzinfo) -> datetime:
    """The instant on the clocks of the zone; as it is where the calendar ends."""
    try:
        return at.astimezone(zone)
    except OverflowError:
        return at
