"""Instants as texts, and sums of them that cannot overflow: a lock may carry Go's zero time, and a broken clock any."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

_FIRST = datetime.min.replace(tzinfo=UTC)
_LAST = datetime.max.replace(tzinfo=UTC)


def shifted(at: datetime, span: timedelta) -> datetime:
    """The instant `span` after `at`, or the nearest one that there is."""
    try:
        return at + span
    except OverflowError:
        return _LAST if span > timedelta(0) else _FIRST


def stamp(at: datetime) -> str:
    """An instant as the timeline spells it: ISO 8601, UTC, microseconds, `Z`."""
    utc = at if at.tzinfo is UTC else at.astimezone(UTC)
    return f"{utc.isoformat(timespec='microseconds')[:-6]}Z"
