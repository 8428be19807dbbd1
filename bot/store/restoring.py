"""An exported timeline on its way back into Redis: staged where nobody reads it, then published in one step.

tflock:{<incident>}:restored:<token>:log, …:head, …:once      as they shall be; gone an hour after the last entry
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from bot.core.instants import stamp
from bot.core.record.incident import Course, Incident, closing_key, opening_key
from bot.core.record.revision import CORRECTIONS
from bot.core.record.timeline import Entry, Kind, body_of_entry
from bot.store import scripts
from bot.store.chain import Tail, head_key, head_of, log_key, once_key
from bot.store.connect import Client, answering

_STAGED = timedelta(hours=1)
_TOGETHER = 200


class Staging:
    """One attempt to put a timeline back. `token` is its own; `keep` is the retention, in milliseconds."""

    def __init__(self, client: Client, incident: Incident, *, token: str, keep: str) -> None:
        self._client = client
        self.incident = incident
        self.token = token
        self._keep = keep
        self._course = Course()
        self._rows: list[str] = []
        self._first = 1
        self._once: dict[str, str] = {}
        self._corrections: list[str] = []
        front = f"tflock:{{{incident.id}}}:restored:{token}"
        self._staged = [f"{front}:log", f"{front}:head", f"{front}:once"]
        self._stage = client.register_script(scripts.STAGE)
        self._publish = client.register_script(scripts.PUBLISH)

    async def add(self, entry: Entry) -> None:
        """Raises ChainBroken for an entry that does not follow the one before it."""
        course = self._course
        course.learn(entry)
        if course.count == 1 or entry.kind == Kind.INCIDENT_REOPENED:
            self._once[opening_key(course.life)] = f"{entry.id}-0"
        elif entry.kind == Kind.INCIDENT_CLOSED:
            self._once[closing_key(course.life)] = f"{entry.id}-0"
        if entry.kind in CORRECTIONS:
            self._corrections.append(entry.id)
        self._rows += [entry.prev, entry.hash, body_of_entry(entry)]
        if course.count - self._first + 1 == _TOGETHER:
            await self._flush()

    async def finish(self) -> int:
        """Stages what is left; which life of the incident it is. Raises ChainBroken if the entries are another's."""
        self._course.agree(self.incident)
        await self._flush()
        lived = round(_STAGED.total_seconds() * 1000)
        head: Any = self._head()
        once: Any = self._once
        async with answering(), self._client.pipeline(transaction=False) as pipe:
            pipe.hset(self._staged[1], mapping=head)
            pipe.hset(self._staged[2], mapping=once)
            for key in self._staged:
                pipe.pexpire(key, lived)
            await pipe.execute()
        return self._course.life

    async def publish(self) -> bool:
        """Makes it the incident's timeline, unless there is one; whether it is this one that is there."""
        name = self.incident.id
        keys = [log_key(name), head_key(name), once_key(name), *self._staged]
        return int(await self._publish(keys, [self.token, self._keep])) == 1

    async def drop(self) -> None:
        await self._client.delete(*self._staged)

    def _head(self) -> dict[str, str]:
        course, closing, last = self._course, self._course.closing, self._course.last
        closed = {} if closing is None else {"closed_at": stamp(closing.at), "closed_by": closing.actor}
        tail = {} if last is None else {"tail": Tail.of(course.count, course.hash, last.recorded_at).text}
        own = {"life": str(course.life), "restored": self.token}
        own["corrections"] = "".join(f"{ordinal} " for ordinal in self._corrections)
        return {**head_of(self.incident), **closed, **tail, **own}

    async def _flush(self) -> None:
        if self._rows:
            async with answering():
                await self._stage(self._staged[:1], [round(_STAGED.total_seconds() * 1000), self._first, *self._rows])
        self._first, self._rows = self._course.count + 1, []
