"""The timelines of the incidents in Redis. How one of them lies there is in `bot.store.chain`.

Next to them are `tflock:channel:<channel>`, which names the incident that is open in the channel, and two indexes by
the time of opening: `tflock:incidents` of all incidents and `tflock:incidents:open` of those that are open.
Which of two that want one channel at once gets it is in `bot.store.reservation`.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from bot.core.instants import stamp
from bot.core.phrase import one_line
from bot.core.record.facts import IncidentClosed, IncidentOpened, IncidentRenamed, IncidentReopened, draft_of
from bot.core.record.incident import Incident, closing_key, incident_id, is_safe_id, opening_key
from bot.core.record.revision import CORRECTIONS
from bot.core.record.timeline import Draft, Entry, clean_text
from bot.errors import ChainBroken, JournalAway, NotPermitted
from bot.ports.clock import Clock
from bot.ports.journal import Appended
from bot.store import scripts
from bot.store.chain import Recorder, Stale, Tail, entry_of, head_key, head_of, log_key
from bot.store.connect import Client, answering
from bot.store.replicas import reach_a_replica
from bot.store.reservation import Reservation, channel_key
from bot.store.restoring import Staging

_ALL = "tflock:incidents"
_OPEN = "tflock:incidents:open"
_PAGE = 100
_TIDIED = 20
"""Pages of old names that one round goes through."""

_ATTEMPTS = 20
_RESERVED = timedelta(days=1)
"""How long a channel may hold the name of an incident that was never begun: a crash in between is made good, once."""
_DIGITS = 16


class RedisJournal:
    """`bot.ports.journal.Journal`. What Redis does not do in time is JournalAway, never an error of redis-py."""

    def __init__(self, client: Client, *, clock: Clock, rng: random.Random, retention: timedelta | None = None) -> None:
        self._client = client
        self._rng = rng
        self._clock = clock
        self._retention = retention
        self._keep = str(round(retention.total_seconds() * 1000) if retention else 0)
        self._recorder = Recorder(client, clock=clock, rng=rng, retention=retention)
        self._delete_if = client.register_script(scripts.DELETE_IF)

    async def open(self, *, channel: str, title: str, by: str, at: datetime) -> tuple[Incident, bool]:
        """The channel's open incident, or a new one; True if it is new. Two callers at once get the same one.

        The channel's key reserves the incident before it is begun; a caller that finds a reservation without an
        incident (its maker died) begins it.
        """
        title, at = one_line(clean_text(title)), at.astimezone(UTC)
        async with answering():
            for _ in range(_ATTEMPTS):
                new = Incident(incident_id(title, at, self._rng), channel, title, at, clean_text(by))
                held = await self._reserve(Reservation(new, 1, new.opened_by, at))
                open_now, begun = await self._carry_out(held, at, opens=True)
                if open_now is not None:
                    return open_now, begun and Reservation.read(held).is_new
        raise JournalAway("the channel's incident changes too fast")

    async def current(self, channel: str) -> Incident | None:
        async with answering():
            held = await self._client.get(channel_key(channel))
            known = await self._look_up(Reservation.read(str(held)).incident.id) if held else None
        return known if known and known.is_open else None

    async def find(self, incident_id: str) -> Incident | None:
        async with answering():
            return await self._look_up(incident_id)

    async def find_all(self, incident_ids: Sequence[str]) -> tuple[Incident, ...]:
        found = list[Incident | None]()
        for start in range(0, len(incident_ids), _PAGE):
            async with answering():
                found += await self._look_up_all(incident_ids[start : start + _PAGE])
        return tuple([incident for incident in found if incident is not None])

    async def open_ids(self) -> tuple[str, ...]:
        async with answering():
            names = await self._client.zrange(_OPEN, 0, -1, desc=True)
        return tuple([str(name) for name in names])

    async def incidents(self, *, open_only: bool = False, limit: int = 100) -> tuple[Incident, ...]:
        """What the index names and no longer exists (or is no longer open) is taken out of it."""
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
                await self._unlist(index, gone)
        return tuple(found[:limit])

    async def latest(self, incident_ids: Sequence[str]) -> Mapping[str, datetime]:
        found = dict[str, datetime]()
        for start in range(0, len(incident_ids), _PAGE):
            some = incident_ids[start : start + _PAGE]
            async with answering(), self._client.pipeline(transaction=False) as pipe:
                for name in some:
                    pipe.hget(head_key(name), "tail")
                tails = await pipe.execute()
            for name, tail in zip(some, tails, strict=True):
                with suppress(ValueError, AttributeError):
                    found[name] = Tail.read(tail).recorded_at
        return found

    async def tidy(self) -> None:
        """Takes the names of incidents that Redis has forgotten out of the index, the oldest first, a few at a time.

        A timeline lives for `retention` after its last entry, so that none that was opened later can be gone.
        """
        if self._retention is None:
            return
        until = (self._clock.now() - self._retention).timestamp()
        start = 0
        for _ in range(_TIDIED):
            async with answering():
                found = await self._client.zrange(_ALL, "-inf", until, byscore=True, offset=start, num=_PAGE)
                names = [str(name) for name in found]
                gone = [name for name, one in zip(names, await self._look_up_all(names), strict=True) if one is None]
                if gone:
                    await self._unlist(_ALL, gone)
            start += len(names) - len(gone)
            if len(names) < _PAGE:
                return

    async def append(self, incident_id: str, draft: Draft) -> Appended:
        """Adds an entry to the chain, once. Secrets are taken out of its text and facts first.

        Raises JournalAway, also if the incident is unknown; ValueError or TypeError for facts that are not JSON.
        """
        async with answering():
            return await self._recorder.record(incident_id, draft)

    async def append_all(self, incident_id: str, drafts: Sequence[Draft]) -> tuple[Appended, ...]:
        """As `append` for each in turn, in one script."""
        async with answering():
            return await self._recorder.record_all(incident_id, drafts)

    async def secure(self, incident_id: str, entry_id: str) -> Entry | None:
        key, at = log_key(incident_id), f"{entry_id}-0"
        items = await reach_a_replica(self._client, key, "XRANGE", key, at, at)
        for item_id, fields in items:
            # a node of a cluster answers in the raw form
            said = fields if isinstance(fields, Mapping) else dict(zip(fields[::2], fields[1::2], strict=True))
            return entry_of((item_id, said))
        return None

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
        return await self.page(incident_id, before=None, count=count)

    async def page(self, incident_id: str, *, before: str | None, count: int) -> tuple[Entry, ...]:
        if count <= 0 or (before is not None and not _is_ordinal(before)):
            return ()
        end = "+" if before is None else f"{max(0, int(before) - 1)}-1"
        async with answering():
            items: Any = await self._client.xrevrange(log_key(incident_id), end, "-", count=count)
        return tuple(entry_of(item) for item in reversed(items))

    async def entry(self, incident_id: str, entry_id: str) -> Entry | None:
        if not _is_ordinal(entry_id):
            return None
        async with answering():
            items: Any = await self._client.xrange(log_key(incident_id), f"{entry_id}-0", f"{entry_id}-0")
        return entry_of(items[0]) if items else None

    async def corrections(self, incident_id: str) -> tuple[Entry, ...]:
        found = list[Entry]()
        async with answering():
            ordinals = str(await self._client.hget(head_key(incident_id), "corrections") or "").split()
        for start in range(0, len(ordinals), _PAGE):
            async with answering(), self._client.pipeline(transaction=False) as pipe:
                for ordinal in ordinals[start : start + _PAGE]:
                    pipe.xrange(log_key(incident_id), f"{ordinal}-0", f"{ordinal}-0")
                found += [entry_of(item) for items in await pipe.execute() for item in items]
        return tuple(entry for entry in found if entry.kind in CORRECTIONS)

    async def end(self, incident_id: str) -> tuple[str, str] | None:
        """Id and hash of the last entry as the head says it. Raises ChainBroken if it says nothing that is a tail."""
        async with answering():
            head = await self._head(incident_id)
        if not head:
            return None
        try:
            tail = Tail.read(head["tail"])
        except (KeyError, ValueError) as error:
            raise ChainBroken("?", "the incident's head does not say where its timeline ends") from error
        return str(tail.ordinal), tail.hash

    async def close(self, incident_id: str, *, by: str, at: datetime, if_last: str | None = None) -> Incident | None:
        """Closes the incident with its `incident.closed` entry; None if it was closed already, or is not there.

        With `if_last`, only while that entry is the last one. From now on its keys live as long as the retention says.
        """
        at = at.astimezone(UTC)
        async with answering():
            head = await self._head(incident_id)
            incident = _incident(incident_id, head)
            if incident is None:
                return None
            once = closing_key(_life(head))
            draft = draft_of(IncidentClosed(incident=incident_id), at, by, "Incident closed", once=once)
            marks = {"closed_at": stamp(at), "closed_by": clean_text(by)}
            if if_last is not None:
                marks["=tail"] = head["tail"]
            if if_last is not None and not head["tail"].startswith(f"{if_last} "):
                return None
            try:
                closed = await self._recorder.record(incident_id, draft, marks=marks)
            except Stale:
                return None
            await self._unlist(_OPEN, [incident_id])
            held = await self._client.get(channel_key(incident.channel))
            if held and Reservation.read(str(held)).is_of(incident_id, until=_life(head)):
                await self._delete_if([channel_key(incident.channel)], [held])
        return replace(incident, closed_at=at) if closed.added else None

    async def reopen(self, incident_id: str, *, by: str, at: datetime) -> Incident | None:
        at = at.astimezone(UTC)
        async with answering():
            for _ in range(_ATTEMPTS):
                head = await self._head(incident_id)
                incident = _incident(incident_id, head)
                if incident is None or incident.is_open:
                    return None
                mine = Reservation(
                    replace(incident, closed_at=None), _life(head) + 1, clean_text(by), at, self._token()
                )
                held = await self._reserve(mine)
                open_now, added = await self._carry_out(held, at)
                if added and held == mine.spelled():
                    return mine.incident
                if open_now is not None:
                    return open_now if held == mine.spelled() else None
        raise JournalAway("the channel's incident changes too fast")

    async def rename(self, incident_id: str, title: str, *, by: str, at: datetime) -> Incident | None:
        title = one_line(clean_text(title))
        async with answering():
            for _ in range(_ATTEMPTS):
                incident = await self._look_up(incident_id)
                if incident is None or incident.title == title:
                    return incident
                facts = IncidentRenamed(title=title, before=incident.title)
                draft = draft_of(facts, at, by, f"Incident renamed: {title}")
                try:
                    await self._recorder.record(incident_id, draft, marks={"=title": incident.title, "title": title})
                except Stale:
                    continue
                return replace(incident, title=title)
        raise JournalAway("the incident's title changes too fast")

    async def restore(self, incident: Incident, entries: AsyncIterator[Entry]) -> bool:
        """Puts back an exported timeline, entry by entry with its exact hashes, in bounded memory.

        The entries are staged, and made the incident's in one step; what was staged and left is gone after an hour.
        Idempotency keys are not exported: of those only the openings' and closings' are put back.
        """
        if not is_safe_id(incident.id):
            raise ChainBroken("1", "opens an incident whose id is none")
        async with answering():
            if await self._look_up(incident.id) is not None:
                await self._client.zadd(_ALL, {incident.id: incident.opened_at.timestamp()})
                return False
        staging = Staging(self._client, incident, token=self._token(), keep=self._keep)
        async for entry in entries:
            await staging.add(entry)
        life = await staging.finish()
        async with answering():
            if incident.is_open:
                return await self._restore_open(staging, life)
            added = await staging.publish()
            await self._client.zadd(_ALL, {incident.id: incident.opened_at.timestamp()})
        return added

    async def _restore_open(self, staging: Staging, life: int) -> bool:
        """Publishes what is staged if the channel is free for it."""
        incident = staging.incident
        mine = Reservation(incident, life, incident.opened_by, incident.opened_at, staging.token, staged=True)
        for _ in range(_ATTEMPTS):
            held = await self._reserve(mine)
            open_now, begun = await self._carry_out(held, incident.opened_at)
            if held == mine.spelled() and (begun or open_now):
                return True
            if open_now is not None or await self._look_up(incident.id) is not None:
                break
        else:
            raise JournalAway("the channel's incident changes too fast")
        await staging.drop()
        if open_now is None or open_now.id == incident.id:
            return False
        raise NotPermitted(f"{open_now.id} is open in the channel {open_now.channel}: close it first")

    async def ping(self) -> None:
        """Raises JournalAway if Redis does not answer or does not take writes (a replica, full, a failing disk)."""
        async with answering():
            await self._client.set("tflock:ping", "1", px=1000)

    def _token(self) -> str:
        return f"{self._rng.getrandbits(64):016x}"

    async def _reserve(self, new: Reservation) -> str:
        """Writes the reservation on the channel, or returns the one that is there."""
        key, text = channel_key(new.incident.channel), new.spelled()
        for _ in range(_ATTEMPTS):
            held = await self._client.get(key)
            if held:
                return str(held)
            if await self._client.set(key, text, nx=True):
                return text
        raise JournalAway("the channel's incident changes too fast")

    async def _carry_out(self, held: str, now: datetime, *, opens: bool = False) -> tuple[Incident | None, bool]:
        """Does what the reservation says, if nobody has; the incident that is open by it, and whether we made it so.

        A reservation whose time is over is taken away: None. Only who `opens` begins another's new incident, so that
        one of them learns that it is new.
        """
        wanted = Reservation.read(held)
        name = wanted.incident.id
        head = await self._head(name)
        added = False
        if not head and wanted.is_new and not opens and now - wanted.at <= _RESERVED:
            return wanted.incident, False
        if wanted.life > _life(head) and (head or wanted.staged or wanted.is_new):
            added = await self._begin(wanted, now)
            head = await self._head(name)
        known = _incident(name, head)
        if known is None or not known.is_open or _life(head) != wanted.life:
            await self._delete_if([channel_key(wanted.incident.channel)], [held])
            return None, added
        await self._list(known)
        return known, added

    async def _begin(self, wanted: Reservation, now: datetime) -> bool:
        """Begins the life that was reserved, once; False if it was begun already, or may not be begun any more."""
        incident = wanted.incident
        if wanted.staged:
            return await Staging(self._client, incident, token=wanted.token, keep=self._keep).publish()
        once = opening_key(wanted.life)
        if wanted.life > 1:
            reopened = IncidentReopened(incident=incident.id)
            draft = draft_of(reopened, wanted.at, wanted.by, "Incident reopened", once=once)
            marks = {"life": str(wanted.life), "-closed_at": "", "-closed_by": ""}
            return (await self._recorder.record(incident.id, draft, marks=marks)).added
        if now - wanted.at > _RESERVED:
            return False
        facts = IncidentOpened(incident=incident.id, channel=incident.channel, title=incident.title)
        text = f"Incident opened: {incident.title}" if incident.title else "Incident opened"
        draft = draft_of(facts, incident.opened_at, incident.opened_by, text, once=once)
        return (await self._recorder.record(incident.id, draft, marks=head_of(incident), creates=True)).added

    async def _list(self, incident: Incident) -> None:
        """Puts the incident into both indexes, again and again, since a crash may have come before the first time."""
        place = {incident.id: incident.opened_at.timestamp()}
        async with self._client.pipeline(transaction=False) as pipe:
            pipe.zadd(_ALL, place)
            pipe.zadd(_OPEN, place)
            await pipe.execute()

    async def _unlist(self, index: str, names: Sequence[str]) -> None:
        """Takes incidents out of an index, and puts back those that have come (again) meanwhile."""
        await self._client.zrem(index, *names)
        there = [one for one in await self._look_up_all(names) if one and (one.is_open or index == _ALL)]
        if there:
            await self._client.zadd(index, {one.id: one.opened_at.timestamp() for one in there})

    async def _names(self, index: str, start: int) -> list[str]:
        return [str(name) for name in await self._client.zrange(index, start, start + _PAGE - 1, desc=True)]

    async def _look_up(self, name: str) -> Incident | None:
        return _incident(name, await self._head(name))

    async def _head(self, name: str) -> Mapping[Any, Any]:
        return await self._client.hgetall(head_key(name))

    async def _look_up_all(self, names: Sequence[str]) -> list[Incident | None]:
        async with self._client.pipeline(transaction=False) as pipe:
            for name in names:
                pipe.hgetall(head_key(name))
            return [_incident(name, fields) for name, fields in zip(names, await pipe.execute(), strict=True)]


def _life(head: Mapping[Any, Any]) -> int:
    """How often the incident was opened; of one that is not there 0. Before it could be reopened this was not said."""
    return int(head.get("life", 1)) if head else 0


def _is_ordinal(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < _DIGITS


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
