"""What the lists of a busy workflow leave out: old runs that started again and are completed by now.

A re-run keeps its run's creation time, and no list of GitHub's is ordered by when something ended. So the completed
runs of all the time in question are read once for a lock, and those that were seen active are read one by one after.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from bot.core.evidence import Trouble
from bot.core.run import Pipeline
from bot.http.client import Absent, Failed, together
from bot.http.values import Json, instant, is_count

_LATER = timedelta(minutes=5)
"""What was completed so long after `since` is what may have held a lock since then, clocks differing."""
_AT_MOST_EVERY = timedelta(minutes=1)
_REMEMBERED_FOR = timedelta(days=1)
_MOST_REMEMBERED = 100


@dataclass(slots=True)
class _Known:
    """Of one workflow: the old runs that were seen active, the ends found of them, and the last full reading."""

    going_on: dict[int, datetime] = field(default_factory=dict)
    ended: dict[int, Json] = field(default_factory=dict)
    read_at: datetime | None = None
    read_since: datetime | None = None

    def is_read(self, since: datetime, now: datetime) -> bool:
        if self.read_at is None or self.read_since is None or self.read_since > since:
            return False
        return self.read_at >= since + _LATER or self.read_at > now - _AT_MOST_EVERY


class OldRuns:
    """Asks with `read_all` for every completed run of a workflow that is old, and with `read` for one run."""

    def __init__(self) -> None:
        self._known: dict[Pipeline, _Known] = {}

    def keep(self, pipelines: Collection[Pipeline]) -> None:
        """Forgets all others."""
        self._known = {pipeline: known for pipeline, known in self._known.items() if pipeline in pipelines}

    async def ended(
        self,
        pipeline: Pipeline,
        listed: Iterable[Json],
        *,
        since: datetime,
        young: datetime,
        now: datetime,
        read: Callable[[int], Awaitable[Json]],
        read_all: Callable[[], Awaitable[Iterable[Json]]],
    ) -> list[Json]:
        """The old runs that are completed and ended at or after `since`, as far as they can be known."""
        known = self._known.setdefault(pipeline, _Known())
        there = {entry["id"]: entry for entry in listed if is_count(entry.get("id"))}
        if not known.is_read(since, now):
            try:
                found = list(await read_all())
            except Failed as failed:
                if failed.trouble is not Trouble.TOO_MUCH:
                    raise
                found = []
            else:  # for what ended before, all is read again
                known.ended = {run_id: entry for run_id, entry in known.ended.items() if _ended_since(entry, since)}
            known.ended |= {entry["id"]: entry for entry in found if _ended_since(entry, since)}
            known.read_at, known.read_since = now, since
        self._remember(known, there, young, now)
        gone = [run_id for run_id in known.going_on if run_id not in there and run_id not in known.ended]
        known.ended |= {run_id: entry for run_id, entry in await _each(gone, read) if _is_completed(entry)}
        return [entry for run_id, entry in known.ended.items() if run_id not in there and _ended_since(entry, since)]

    def _remember(self, known: _Known, there: dict[int, Json], young: datetime, now: datetime) -> None:
        for run_id, entry in there.items():
            created = instant(entry.get("created_at"))
            if not _is_completed(entry) and created is not None and created < young:
                known.going_on[run_id] = now
                known.ended.pop(run_id, None)  # it is running again
        kept = sorted(known.going_on.items(), key=lambda seen: seen[1])[-_MOST_REMEMBERED:]
        known.going_on = {run_id: seen for run_id, seen in kept if seen > now - _REMEMBERED_FOR}


async def _each(ids: list[int], read: Callable[[int], Awaitable[Json]]) -> list[tuple[int, Json]]:
    async def one(run_id: int) -> tuple[int, Json]:
        try:
            return run_id, await read(run_id)
        except Absent:  # it was deleted
            return run_id, {}

    return await together(*(one(run_id) for run_id in ids))


def _is_completed(entry: Json) -> bool:
    return entry.get("status") == "completed"


def _ended_since(entry: Json, since: datetime) -> bool:
    """One that does not say when may have ended just now."""
    at = instant(entry.get("updated_at"))
    return at is None or at >= since
