"""The timelines of the incidents in Redis. How one of them lies there is in `bot.store.chain`.

Beside them are `tflock:channel:<channel>`, which names the incident that is open in the channel, and two indexes by
the time of opening: `tflock:incidents` of all incidents and `tflock:incidents:open` of those that are open.
"""

from __future__ import annotations

import json
import random
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from bot.core.incident import Incident, incident_id
from bot.core.phrase import one_line
from bot.core.timeline import Draft, Entry, Kind, canonical, clean_text, stamp
from bot.errors import JournalAway
from bot.ports import Appended, Clock
from bot.store import scripts
from bot.store.chain import Recorder, entry_of, head_key, log_key
from bot.store.connect import Client, answering

_ALL = "tflock:incidents"
_OPEN = "tflock:incidents:open"
_PAGE = 100
_ATTEMPTS = 20
_RESERVED = timedelta(days=1)
"""How long a channel may hold the name of an incident that was never begun: a crash in between is made good, once."""


class RedisJournal:
    """Implements `bot.ports.Journal`. What Redis does not do in time is JournalAway, never an error of redis-py."""

    def __init__(self, client: Client, *, clock: Clock, rng: random.Random, retention: timedelta | None = None) -> None:
        self._client = client
        self._rng = rng
        self._recorder = Recorder(client, clock=clock, rng=rng, retention=retention)
        self._delete_if = client.register_script(scripts.DELETE_IF)

    async def open(self, *, channel: str, title: str, by: str, at: datetime) -> tuple[Incident, bool]:
        """The channel's open incident, or a new one; True if it is new. Two callers at once get the same one.

        The channel's key reserves the incident before it is begun; whoever finds a reservation without an incident
        (its maker died) begins it.
        """
        title, at = one_line(clean_text(title)), at.astimezone(UTC)
        async with answering():
            for _ in range(_ATTEMPTS):
                held = await self._client.get(_channel_key(channel)) or await self._reserve(channel, title, by, at)
                wanted = _reserved(held)
                known = await self._look_up(wanted.id)
                outlived = at - wanted.opened_at > _RESERVED if known is None else not known.is_open
                if not outlived:
                    added = known is None and await self._begin(wanted)
                    await self._list(known or wanted)
                    return known or wanted, added
                await self._delete_if([_channel_key(channel)], [held])
        raise JournalAway("the channel's incident changes too fast")

    async def current(self, channel: str) -> Incident | None:
        """The channel's open incident."""
        async with answering():
            held = await self._client.get(_channel_key(channel))
            known = await self._look_up(_reserved(held).id) if held else None
        return known if known and known.is_open else None

    async def find(self, incident_id: str) -> Incident | None:
        async with answering():
            return await self._look_up(incident_id)

    async def incidents(self, *, open_only: bool = False, limit: int = 100) -> tuple[Incident, ...]:
        """Newest first. What the index names and no longer exists (or is no longer open) is taken out of it."""
        index, found, gone, start = _OPEN if open_only else _ALL, list[Incident](), list[str](), 0
        async with answering():
            while len(found) < limit and (names := await self._names(index, start)):
                for name, incident in zip(names, await self._look_up_all(names), strict=True):
                    if incident is None or (open_only and not incident.is_open):
                        gone.append(name)
                    else:
                        found.append(incident)
                start += _PAGE
            if gone:
                await self._client.zrem(index, *gone)
        return tuple(found[:limit])

    async def append(self, incident_id: str, draft: Draft) -> Appended:
        """Adds an entry to the chain, once. Secrets are taken out of its text and facts first.

        Raises JournalAway, also if the incident is unknown; ValueError or TypeError for facts that are not JSON.
        """
        async with answering():
            return await self._recorder.record(incident_id, draft)

    async def entries(self, incident_id: str, *, after: str | None = None) -> AsyncIterator[Entry]:
        """All entries in order, from behind the entry `after`, a page at a time. Raises ChainBroken for a non-entry."""
        last = after or "0"
        while True:
            async with answering():
                page: Any = await self._client.xrange(log_key(incident_id), f"{int(last) + 1}-0", "+", count=_PAGE)
            for item in page:
                entry = entry_of(item)
                last = entry.id
                yield entry
            if len(page) < _PAGE:
                return

    async def tail(self, incident_id: str, count: int) -> tuple[Entry, ...]:
        """The last `count` entries in order."""
        if count <= 0:
            return ()
        async with answering():
            items: Any = await self._client.xrevrange(log_key(incident_id), "+", "-", count=count)
        return tuple(entry_of(item) for item in reversed(items))

    async def close(self, incident_id: str, *, by: str, at: datetime) -> Incident | None:
        """Closes the incident with its `incident.closed` entry; None if it was closed already, or is not there.

        From now on its keys live as long as the retention says.
        """
        at = at.astimezone(UTC)
        draft = Draft(at, Kind.INCIDENT_CLOSED, by, "Incident closed", {"incident": incident_id}, once="closed")
        async with answering():
            incident = await self._look_up(incident_id)
            if incident is None:
                return None
            marks = {"closed_at": stamp(at), "closed_by": clean_text(by)}
            closed = await self._recorder.record(incident_id, draft, marks=marks)
            await self._client.zrem(_OPEN, incident_id)
            held = await self._client.get(_channel_key(incident.channel))
            if held and _reserved(held).id == incident_id:
                await self._delete_if([_channel_key(incident.channel)], [held])
        return replace(incident, closed_at=at) if closed.added else None

    async def ping(self) -> None:
        """Raises JournalAway if Redis does not answer or does not take writes (a replica, full, a failing disk)."""
        async with answering():
            await self._client.set("tflock:ping", "1", px=1000)

    async def _reserve(self, channel: str, title: str, by: str, at: datetime) -> str:
        """Writes a new incident's name on the channel, or returns what another has just written."""
        new = Incident(incident_id(title, at, self._rng), channel, title, at, clean_text(by))
        text = canonical({"id": new.id, **_head(new)})
        if await self._client.set(_channel_key(channel), text, nx=True):
            return text
        return str(await self._client.get(_channel_key(channel)) or text)

    async def _begin(self, incident: Incident) -> bool:
        facts = {"incident": incident.id, "channel": incident.channel, "title": incident.title}
        text = f"Incident opened: {incident.title}" if incident.title else "Incident opened"
        draft = Draft(incident.opened_at, Kind.INCIDENT_OPENED, incident.opened_by, text, facts, once="opened")
        return (await self._recorder.record(incident.id, draft, marks=_head(incident), creates=True)).added

    async def _list(self, incident: Incident) -> None:
        """Puts the incident into both indexes, again and again, since a crash may have come before the first time."""
        place = {incident.id: incident.opened_at.timestamp()}
        await self._client.zadd(_ALL, place)
        await self._client.zadd(_OPEN, place)

    async def _names(self, index: str, start: int) -> list[str]:
        return [str(name) for name in await self._client.zrange(index, start, start + _PAGE - 1, desc=True)]

    async def _look_up(self, name: str) -> Incident | None:
        return _incident(name, await self._client.hgetall(head_key(name)))

    async def _look_up_all(self, names: Sequence[str]) -> list[Incident | None]:
        async with self._client.pipeline(transaction=False) as pipe:
            for name in names:
                pipe.hgetall(head_key(name))
            return [_incident(name, fields) for name, fields in zip(names, await pipe.execute(), strict=True)]


def _channel_key(channel: str) -> str:
    return f"tflock:channel:{channel}"


def _head(incident: Incident) -> dict[str, str]:
    return {
        "channel": incident.channel,
        "title": incident.title,
        "opened_at": stamp(incident.opened_at),
        "opened_by": incident.opened_by,
    }


def _reserved(text: Any) -> Incident:
    fields = json.loads(text)
    return Incident(
        fields["id"],
        fields["channel"],
        fields["title"],
        datetime.fromisoformat(fields["opened_at"]),
        fields["opened_by"],
    )


def _incident(name: str, fields: Mapping[Any, Any]) -> Incident | None:
    if not fields:
        return None
    closed_at = fields.get("closed_at")
    return Incident(
        name,
        fields["channel"],
        fields["title"],
        datetime.fromisoformat(fields["opened_at"]),
        fields["opened_by"],
        datetime.fromisoformat(closed_at) if closed_at else None,
    )
