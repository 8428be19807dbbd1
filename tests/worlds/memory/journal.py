"""A timeline and records in memory, beside `tests.worlds.memory.memory`."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from bot.core.phrase import one_line
from bot.core.record.incident import Course, Incident, is_safe_id
from bot.core.record.revision import CORRECTIONS
from bot.core.record.timeline import GENESIS, Draft, Entry, Kind, body_of, clean_text, link, recordable
from bot.errors import ChainBroken, JournalAway, NotPermitted, NotReplicated
from bot.ports.clock import Clock
from bot.ports.journal import Appended
from bot.ports.records import TakenUp
from tests.worlds.memory.memory import Switchboard


@dataclass
class MemoryJournal:
    """`bot.ports.journal.Journal` in memory. A fault that raises JournalAway is a Redis that does not answer."""

    clock: Clock
    switchboard: Switchboard = field(default_factory=Switchboard)
    kept: dict[str, Incident] = field(default_factory=dict)
    logs: dict[str, list[Entry]] = field(default_factory=dict)
    _once: dict[tuple[str, str], Entry] = field(default_factory=dict)

    async def open(self, *, channel: str, title: str, by: str, at: datetime) -> tuple[Incident, bool]:
        await self.switchboard.pass_through("open")
        there = self._current(channel)
        if there is not None:
            return there, False
        made = Incident(f"inc-{len(self.kept) + 1}", channel, title, at, by)
        self.kept[made.id], self.logs[made.id] = made, []
        facts = {"incident": made.id, "channel": channel, "title": title}
        self._add(made.id, Draft(at, Kind.INCIDENT_OPENED, by, title, facts))
        return made, True

    async def current(self, channel: str) -> Incident | None:
        await self.switchboard.pass_through("current")
        return self._current(channel)

    async def find(self, incident_id: str) -> Incident | None:
        await self.switchboard.pass_through("find")
        return self.kept.get(incident_id)

    async def find_all(self, incident_ids: Sequence[str]) -> tuple[Incident, ...]:
        await self.switchboard.pass_through("find")
        return tuple(self.kept[name] for name in incident_ids if name in self.kept)

    async def open_ids(self) -> tuple[str, ...]:
        await self.switchboard.pass_through("incidents")
        return tuple(name for name, one in reversed(self.kept.items()) if one.is_open)

    async def incidents(self, *, open_only: bool = False, limit: int = 100) -> tuple[Incident, ...]:
        await self.switchboard.pass_through("incidents")
        found = [one for one in reversed(self.kept.values()) if one.is_open or not open_only]
        return tuple(found[:limit])

    async def latest(self, incident_ids: Sequence[str]) -> Mapping[str, datetime]:
        await self.switchboard.pass_through("latest")
        return {name: self.logs[name][-1].recorded_at for name in incident_ids if self.logs.get(name)}

    async def tidy(self) -> None:
        await self.switchboard.pass_through("tidy")

    async def append(self, incident_id: str, draft: Draft) -> Appended:
        await self.switchboard.pass_through(f"append {draft.kind}")
        if incident_id not in self.kept:
            raise JournalAway(f"there is no incident {incident_id}")
        appended = self._once_added(incident_id, draft)
        if appended.added:
            await self.switchboard.pass_through(f"appended {draft.kind}")
        return appended

    async def append_all(self, incident_id: str, drafts: Sequence[Draft]) -> tuple[Appended, ...]:
        kinds = " ".join(str(draft.kind) for draft in reversed(drafts))  # the last is what the others are for
        await self.switchboard.pass_through(f"append {kinds}")
        if incident_id not in self.kept:
            raise JournalAway(f"there is no incident {incident_id}")
        added = tuple([self._once_added(incident_id, draft) for draft in drafts])
        await self.switchboard.pass_through(f"appended {kinds}")
        return added

    async def secure(self, incident_id: str, entry_id: str) -> Entry | None:
        await self.switchboard.pass_through("secure timeline")
        return next((entry for entry in self.logs.get(incident_id, ()) if entry.id == entry_id), None)

    async def entries(self, incident_id: str, *, after: str | None = None) -> AsyncIterator[Entry]:
        await self.switchboard.pass_through("entries")
        for entry in list(self.logs.get(incident_id, ())):
            if after is None or int(entry.id) > int(after):
                yield entry

    async def tail(self, incident_id: str, count: int) -> tuple[Entry, ...]:
        await self.switchboard.pass_through("tail")
        log = self.logs.get(incident_id, [])
        return tuple(log[max(0, len(log) - count) :])

    async def corrections(self, incident_id: str) -> tuple[Entry, ...]:
        await self.switchboard.pass_through("corrections")
        return tuple(entry for entry in self.logs.get(incident_id, ()) if entry.kind in CORRECTIONS)

    async def page(self, incident_id: str, *, before: str | None, count: int) -> tuple[Entry, ...]:
        await self.switchboard.pass_through("page")
        if before is not None and not before.isdecimal():
            return ()
        earlier = self.logs.get(incident_id, [])[: None if before is None else max(0, int(before) - 1)]
        return tuple(earlier[max(0, len(earlier) - count) :])

    async def entry(self, incident_id: str, entry_id: str) -> Entry | None:
        await self.switchboard.pass_through("entry")
        return next((entry for entry in self.logs.get(incident_id, ()) if entry.id == entry_id), None)

    async def end(self, incident_id: str) -> tuple[str, str] | None:
        await self.switchboard.pass_through("end")
        log = self.logs.get(incident_id)
        return (log[-1].id, log[-1].hash) if log else None

    async def close(self, incident_id: str, *, by: str, at: datetime, if_last: str | None = None) -> Incident | None:
        await self.switchboard.pass_through("close")
        incident = self.kept.get(incident_id)
        if incident is None or not incident.is_open or if_last not in {None, self.logs[incident_id][-1].id}:
            return None
        self.kept[incident_id] = replace(incident, closed_at=at)
        self._add(incident_id, Draft(at, Kind.INCIDENT_CLOSED, by, "closed", {"incident": incident_id}))
        return self.kept[incident_id]

    async def reopen(self, incident_id: str, *, by: str, at: datetime) -> Incident | None:
        await self.switchboard.pass_through("reopen")
        incident = self.kept.get(incident_id)
        if incident is None or incident.is_open or self._current(incident.channel):
            return None
        self.kept[incident_id] = replace(incident, closed_at=None)
        self._add(incident_id, Draft(at, Kind.INCIDENT_REOPENED, by, "reopened", {"incident": incident_id}))
        return self.kept[incident_id]

    async def rename(self, incident_id: str, title: str, *, by: str, at: datetime) -> Incident | None:
        await self.switchboard.pass_through("rename")
        incident, title = self.kept.get(incident_id), one_line(clean_text(title))
        if incident is None or incident.title == title:
            return incident
        self.kept[incident_id] = replace(incident, title=title)
        self._add(incident_id, Draft(at, Kind.INCIDENT_RENAMED, by, title, {"title": title, "before": incident.title}))
        return self.kept[incident_id]

    async def restore(self, incident: Incident, entries: AsyncIterator[Entry]) -> bool:
        await self.switchboard.pass_through("restore")
        if not is_safe_id(incident.id):
            raise ChainBroken("1", "opens an incident whose id is none")
        if incident.id in self.kept:
            return False
        course, staged = Course(), list[Entry]()
        async for entry in entries:
            course.learn(entry)
            staged.append(entry)
        course.agree(incident)
        there = self._current(incident.channel)
        if incident.is_open and there is not None:
            raise NotPermitted(f"{there.id} is open in the channel {there.channel}: close it first")
        self.kept[incident.id], self.logs[incident.id] = incident, staged
        return True

    async def ping(self) -> None:
        await self.switchboard.pass_through("ping")

    def _current(self, channel: str) -> Incident | None:
        return next((one for one in self.kept.values() if one.channel == channel and one.is_open), None)

    def _once_added(self, incident_id: str, draft: Draft) -> Appended:
        earlier = self._once.get((incident_id, draft.once or ""))
        return Appended(earlier or self._add(incident_id, draft), added=earlier is None)

    def _add(self, incident_id: str, draft: Draft) -> Entry:
        log, said, now = self.logs[incident_id], recordable(draft), self.clock.now()
        prev, entry_id = (log[-1].hash, str(len(log) + 1)) if log else (GENESIS, "1")
        digest = link(prev, body_of(entry_id, said, now))
        entry = Entry(entry_id, said.at, now, str(said.kind), said.actor, said.text, said.facts, prev, digest)
        log.append(entry)
        if draft.once is not None:
            self._once[incident_id, draft.once] = entry
        return entry


@dataclass
class MemoryRecords:
    """`bot.ports.records.Records` in memory. A fault that raises JournalAway is a Redis that does not answer."""

    clock: Clock
    switchboard: Switchboard = field(default_factory=Switchboard)
    _kept: dict[tuple[str, str, str], tuple[str, datetime]] = field(default_factory=dict)
    _waiting: dict[str, datetime] = field(default_factory=dict)

    async def put(self, kind: str, key: str, value: Mapping[str, Any], *, ttl: timedelta) -> None:
        await self.switchboard.pass_through(f"put {kind}")
        self._set("record", kind, key, json.dumps(dict(value)), ttl)

    async def get(self, kind: str, key: str) -> dict[str, Any] | None:
        await self.switchboard.pass_through(f"get {kind}")
        return self._record(kind, key)

    async def get_all(self, kind: str, keys: Sequence[str]) -> dict[str, dict[str, Any]]:
        await self.switchboard.pass_through(f"get {kind}")
        found = {key: self._record(kind, key) for key in keys}
        return {key: record for key, record in found.items() if record is not None}

    async def update(
        self,
        kind: str,
        key: str,
        changes: Mapping[str, Any],
        *,
        only_if: tuple[str, Sequence[object]] | None = None,
        and_is: Mapping[str, object] | None = None,
        durably: bool = False,
    ) -> dict[str, Any] | None:
        await self.switchboard.pass_through(f"update {kind}")
        record = self._record(kind, key)
        if record is None or (only_if is not None and record.get(only_if[0]) not in only_if[1]):
            return None
        if any(name not in record or record[name] != value for name, value in (and_is or {}).items()):
            return None
        _, until = self._kept["record", kind, key]
        self._kept["record", kind, key] = json.dumps(record | dict(changes)), until
        await self.switchboard.pass_through(f"updated {kind}")
        if not durably:
            return self._record(kind, key)
        kept, said = await self.secure(kind, key), json.loads(json.dumps(dict(changes)))
        if kept is None or kept | said != kept:
            raise NotReplicated("a fail-over of Redis has lost what was written")
        return kept

    async def swap(self, kind: str, key: str, value: Mapping[str, Any], *, was: str, ttl: timedelta) -> bool:
        await self.switchboard.pass_through(f"swap {kind}")
        there = str((self._record(kind, key) or {}).get("version", ""))
        if there not in {was, value["version"]}:
            return False
        if there != value["version"]:
            self._set("record", kind, key, json.dumps(dict(value)), ttl)
            await self.switchboard.pass_through(f"swapped {kind}")
        return True

    async def secure(self, kind: str, key: str) -> dict[str, Any] | None:
        await self.switchboard.pass_through(f"secure {kind}")
        return self._record(kind, key)

    async def forget(self, kind: str, key: str) -> None:
        await self.switchboard.pass_through(f"forget {kind}")
        self._kept.pop(("record", kind, key), None)

    async def once(self, kind: str, key: str, *, ttl: timedelta) -> bool:
        await self.switchboard.pass_through(f"once {kind}")
        if self._get("once", kind, key) is not None:
            return False
        self._set("once", kind, key, "taken", ttl)
        return True

    async def take(self, kind: str, key: str, *, holder: str, ttl: timedelta) -> bool:
        await self.switchboard.pass_through(f"take {kind}")
        if self._get("lease", kind, key) not in {None, holder}:
            return False
        self._set("lease", kind, key, holder, ttl)
        return True

    async def take_and_get(
        self, kind: str, key: str, *, holder: str, ttl: timedelta, record: tuple[str, str]
    ) -> tuple[bool, dict[str, Any] | None]:
        return await self.take(kind, key, holder=holder, ttl=ttl), self._record(*record)

    async def renew(self, kind: str, key: str, *, holder: str, ttl: timedelta) -> bool:
        await self.switchboard.pass_through(f"renew {kind}")
        if self._get("lease", kind, key) != holder:
            return False
        self._set("lease", kind, key, holder, ttl)
        return True

    async def give_back(self, kind: str, key: str, *, holder: str) -> None:
        await self.switchboard.pass_through(f"give back {kind}")
        if self._get("lease", kind, key) == holder:
            del self._kept["lease", kind, key]

    async def enlist(self, kind: str, key: str, member: str, *, at: datetime, ttl: timedelta) -> None:
        await self.switchboard.pass_through(f"enlist {kind}")
        members = {**self._listed(kind, key), member: at.isoformat()}
        kept = {name: when for name, when in members.items() if datetime.fromisoformat(when) >= at - ttl}
        self._set("list", kind, key, json.dumps(kept), ttl)

    async def enlisted(self, kind: str, key: str, *, since: datetime, until: datetime, limit: int) -> tuple[str, ...]:
        await self.switchboard.pass_through(f"enlisted {kind}")
        found = {name: datetime.fromisoformat(when) for name, when in self._listed(kind, key).items()}
        within = [name for name, when in found.items() if since <= when <= until]
        return tuple(sorted(within, key=lambda name: found[name], reverse=True)[:limit])

    async def enlisted_all(
        self, kind: str, keys: Sequence[str], *, since: datetime, until: datetime, limit: int
    ) -> dict[str, tuple[str, ...]]:
        found = {key: await self.enlisted(kind, key, since=since, until=until, limit=limit) for key in keys}
        return {key: members for key, members in found.items() if members}

    async def lists_with(self, kind: str, keys: Sequence[str], member: str, *, since: datetime) -> tuple[str, ...]:
        await self.switchboard.pass_through(f"enlisted {kind}")
        put = {key: self._listed(kind, key).get(member) for key in keys}
        return tuple(key for key, at in put.items() if at is not None and datetime.fromisoformat(at) >= since)

    async def accept(self, name: str, what: Mapping[str, Any], *, lease: timedelta, ttl: timedelta) -> bool:
        await self.switchboard.pass_through("accept")
        if self._get("delivery", "", name) is not None:
            return False
        now = self.clock.now()
        said = {"what": dict(what), "at": now.isoformat(), "takes": 0}
        self._set("delivery", "", name, json.dumps(said), ttl)
        self._waiting[name] = now + lease
        await self.switchboard.pass_through("accepted")
        return True

    async def settle(self, name: str, *, remember: timedelta) -> None:
        await self.switchboard.pass_through("settle")
        self._waiting.pop(name, None)
        self._set("delivery", "", name, "{}", remember)

    async def take_up(self, *, kept: Collection[str], lease: timedelta, limit: int) -> tuple[TakenUp, ...]:
        await self.switchboard.pass_through("take up")
        now, taken = self.clock.now(), list[TakenUp]()
        self._waiting |= {name: now + lease for name in kept if name in self._waiting}
        for name in [name for name, until in self._waiting.items() if until <= now][:limit]:
            text = self._get("delivery", "", name)
            if text is None:
                del self._waiting[name]
                continue
            said = json.loads(text)
            said["takes"] += 1
            _, until = self._kept["delivery", "", name]
            self._kept["delivery", "", name] = json.dumps(said), until
            self._waiting[name] = now + lease
            taken.append(TakenUp(name, said["what"], now - datetime.fromisoformat(said["at"]), said["takes"]))
        return tuple(taken)

    def _listed(self, kind: str, key: str) -> dict[str, str]:
        members: dict[str, str] = json.loads(self._get("list", kind, key) or "{}")
        return members

    def _record(self, kind: str, key: str) -> dict[str, Any] | None:
        text = self._get("record", kind, key)
        record: dict[str, Any] | None = None if text is None else json.loads(text)
        return record

    def _get(self, use: str, kind: str, key: str) -> str | None:
        text, until = self._kept.get((use, kind, key), (None, self.clock.now()))
        return text if until > self.clock.now() else None

    def _set(self, use: str, kind: str, key: str, text: str, ttl: timedelta) -> None:
        self._kept[use, kind, key] = text, self.clock.now() + ttl
