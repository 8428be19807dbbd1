"""Exports in memory, beside `tests.worlds.memory.memory`: a channel, a target, and an exporter that writes nothing."""

# ruff: noqa: ARG002 - signatures are the ports'

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from bot.core.account.edition import ExportReport
from bot.core.account.followup import propose
from bot.core.account.values import Account, Cause, Summary, Table
from bot.core.record.incident import Incident
from bot.core.reports.alert import Bulletin
from bot.core.reports.followups import FollowUpsReport
from bot.core.reports.queue import QueueNews
from bot.core.reports.report import Notice
from bot.errors import JournalAway, Missing
from bot.ports.files import Written
from bot.ports.journal import Journal
from bot.ports.messenger import Posted
from tests.worlds.memory.memory import Switchboard


@dataclass
class MemorySharing:
    """`bot.ports.Sharing`. `summaries` and `proposals` have what each message shows now.

    `shown` has the titles of the files in order.
    """

    switchboard: Switchboard = field(default_factory=Switchboard)
    summaries: dict[Posted, ExportReport] = field(default_factory=dict)
    proposals: dict[Posted, FollowUpsReport] = field(default_factory=dict)
    bulletins: dict[Posted, Bulletin] = field(default_factory=dict)
    notices: list[Notice] = field(default_factory=list)
    calls: list[tuple[str, QueueNews]] = field(default_factory=list)
    shown: list[tuple[str, ...]] = field(default_factory=list)
    _marks: dict[str, Posted] = field(default_factory=dict)
    _staged: dict[str, bool] = field(default_factory=dict)

    async def post(self, report: ExportReport, *, thread: str = "") -> Posted:
        await self.switchboard.pass_through("post summary")
        posted = self._place(report.edition.incident.channel, report.edition.mark)
        self.summaries[posted] = report
        await self.switchboard.pass_through("posted summary")
        return posted

    async def find(self, report: ExportReport, *, thread: str, since: datetime) -> Posted | None:
        await self.switchboard.pass_through("find summary")
        return self._marks.get(report.edition.mark)

    async def redraw(self, report: ExportReport, posted: Posted) -> None:
        await self.switchboard.pass_through("redraw summary")
        self.summaries[posted] = report

    async def tell(self, channel: str, notice: Notice, *, mark: str, thread: str = "") -> Posted:
        await self.switchboard.pass_through("tell export")
        self.notices.append(notice)
        posted = self._place(channel, mark)
        await self.switchboard.pass_through("told export")
        return posted

    async def room(self, user: str) -> str:
        await self.switchboard.pass_through("open room")
        return f"D{user}"

    async def call(self, channel: str, news: QueueNews, *, mark: str, thread: str = "") -> Posted:
        await self.switchboard.pass_through("call")
        self.calls.append((channel, news))
        posted = self._place(channel, mark)
        await self.switchboard.pass_through("called")
        return posted

    async def told(self, channel: str, *, mark: str, thread: str, since: datetime) -> Posted | None:
        await self.switchboard.pass_through("look for telling")
        return self._marks.get(mark)

    async def propose(self, report: FollowUpsReport, *, mark: str, thread: str) -> Posted:
        await self.switchboard.pass_through("propose")
        posted = self._place(report.incident.channel, mark)
        self.proposals[posted] = report
        await self.switchboard.pass_through("proposed")
        return posted

    async def redraw_proposals(self, report: FollowUpsReport, posted: Posted) -> None:
        await self.switchboard.pass_through("redraw proposals")
        self.proposals[posted] = report

    async def alert(self, channel: str, bulletin: Bulletin, *, mark: str) -> Posted:
        await self.switchboard.pass_through("tell alert")
        posted = self._place(channel, mark)
        self.bulletins[posted] = bulletin
        await self.switchboard.pass_through("told alert")
        return posted

    async def redraw_alerts(self, bulletin: Bulletin, posted: Posted) -> None:
        await self.switchboard.pass_through("redraw alerts")
        self.bulletins[posted] = bulletin

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

    async def link(self, posted: Posted) -> str:
        return f"https://example.slack.com/archives/{posted.channel}/p{posted.ts.replace('.', '')}"

    def _place(self, channel: str, mark: str) -> Posted:
        self._marks[mark] = Posted(channel, f"1800000000.{len(self._marks) + 1:06}")
        return self._marks[mark]


@dataclass
class MemoryExporter:
    """`bot.ports.Exporter` that has only the account, with these lock tables in it."""

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
    """`bot.ports.Target`: `held` has the bytes of each file by incident and name."""

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
