"""Sums of instants that cannot overflow: a lock may carry Go's zero time, and a broken clock tells any other."""

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
