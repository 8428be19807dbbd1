"""Files of exports in memory: in channels, at a target, and an exporter that writes none."""

# ruff: noqa: ARG002 - signatures are the ports'

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from bot.core.account.proposals import propose
from bot.core.account.values import Account, Cause, Summary, Table
from bot.core.record.incident import Incident
from bot.errors import JournalAway, Missing
from bot.ports.files import Written
from bot.ports.journal import Journal
from tests.worlds.memory.memory import Switchboard


@dataclass
class MemoryFiles:
    """`bot.ports.files.Files`. `shown` has the titles of the files in order, `contents` what can be read."""

    switchboard: Switchboard = field(default_factory=Switchboard)
    shown: list[tuple[str, ...]] = field(default_factory=list)
    contents: dict[str, bytes] = field(default_factory=dict)
    _staged: dict[str, bool] = field(default_factory=dict)

    async def stage(self, path: Path) -> str:
        await self.switchboard.pass_through(f"stage {path.suffix}")
        file_id = f"F{len(self._staged) + 1:08}"
        self._staged[file_id] = False
        return file_id

    async def share(self, channel: str, file_ids: Mapping[str, str], *, thread: str) -> None:
        await self.switchboard.pass_through("share files")
        if not file_ids.keys() <= self._staged.keys():
            raise Missing("Slack", "there is no such file")
        self._staged |= dict.fromkeys(file_ids, True)
        self.shown.append(tuple(file_ids.values()))
        await self.switchboard.pass_through("shared files")

    async def is_shared(self, channel: str, file_id: str) -> bool | None:
        await self.switchboard.pass_through("look for file")
        return self._staged.get(file_id)

    async def read(self, file_id: str, *, most: int) -> bytes | None:
        await self.switchboard.pass_through("read file")
        content = self.contents.get(file_id)
        if content is None:
            raise Missing("Slack", "there is no such file")
        return content if len(content) <= most else None


@dataclass
class MemoryExporter:
    """`bot.ports.files.Exporter` that has only the account, with these lock tables in it."""

    journal: Journal
    tables: tuple[Table, ...] = ()

    async def write(
        self,
        incident: Incident,
        names: Mapping[str, str],
        zone: str,
        *,
        until: str | None = None,
        directory: Path | None = None,
    ) -> Written:
        tail = await self.journal.tail(incident.id, 1)
        if not tail:
            raise JournalAway(f"there is no incident {incident.id}")
        summary = Summary((), None, None, (Cause.UNKNOWN,), (), 0, ())
        account = Account(incident, tail[0].at, tail[0], 0, 0, 0, summary, tables=self.tables, names=names, zone=zone)
        return Written(replace(account, followups=propose(account)), ())


@dataclass
class MemoryTarget:
    """`bot.ports.files.Target`: `held` has the bytes of each file by incident and name."""

    name: str = "s3"
    switchboard: Switchboard = field(default_factory=Switchboard)
    held: dict[str, bytes] = field(default_factory=dict)

    def place(self, incident_id: str) -> str:
        return f"{self.name}://memory/{incident_id}/"

    async def deliver(self, incident_id: str, paths: Sequence[Path]) -> None:
        for path in paths:
            await self.switchboard.pass_through(f"put {path.suffix}")
            self.held[f"{incident_id}/{path.name}"] = path.read_bytes()
            await self.switchboard.pass_through(f"put away {path.suffix}")
