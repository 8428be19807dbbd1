"""What a record is called: as people called the incident, or else by what happened."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta

from bot.core.account.values import Cause, StateSummary

AUTOMATIC = frozenset({"", "Terraform incident", "Terraform locks", "Terraform run"})
"""Titles that an incident has from tflock, beside the name of a state: nobody chose them, and they say little."""

_HOUR, _DAYS = timedelta(hours=1), timedelta(days=2)
_BY: Mapping[str, str] = {
    Cause.TIMED_OUT: " by a timed-out run",
    Cause.CANCELLED: " by a cancelled run",
    Cause.LOST: " by a run that lost its runner",
    Cause.FAILED: " by a failed run",
    Cause.LAPTOP: " from someone's own machine",
    Cause.LOOP: " while a pipeline ran in a loop",
    Cause.THROTTLING: " while its lock table was throttled",
    Cause.RUNNING: " by a run that was still running",
}


def record_title(title: str, states: Sequence[StateSummary], causes: Sequence[str]) -> str:
    """`staging locked 2 h by a timed-out run`, where nobody gave the incident a title; else that title."""
    locked = [(state.locked_for, state.state) for state in states if state.locked_for is not None]
    if not locked or title not in AUTOMATIC | {name for _, name in locked}:
        return title
    longest, name = max(locked)
    more = f" and {len(locked) - 1} more" if len(locked) > 1 else ""
    return f"{name}{more} locked {_about(longest)}{_BY.get(causes[0], '') if causes else ''}"


def _about(span: timedelta) -> str:
    """In whole days, hours or minutes: a title needs no more."""
    if span >= _DAYS:
        return f"{round(span / timedelta(days=1))} d"
    return f"{round(span / _HOUR)} h" if span >= _HOUR else f"{max(1, round(span / timedelta(minutes=1)))} min"
