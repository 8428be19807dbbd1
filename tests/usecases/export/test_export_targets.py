"""An export on its way to the directory, the channel and a target, with everything that may go wrong on it."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

import pytest

from bot.core.account.edition import ExportReport
from bot.core.account.values import Account, Cause, Summary
from bot.core.record.timeline import Draft, Kind
from bot.core.reports.report import Notice
from bot.errors import Denied, JournalAway, Throttled, Unreachable, UpstreamError
from bot.ports.files import Written
from bot.usecases.export import incident_export
from bot.usecases.lease import Busy
from bot.usecases.record.lifecycle import close
from bot.usecases.world import World
from bot.worker import TRIES, run_job
from tests.worlds.memory.files import MemoryFiles, MemoryTarget
from tests.worlds.memory.journal import MemoryJournal, MemoryRecords
from tests.worlds.memory.memory import EPOCH, WORKER, Killed, Switchboard
from tests.worlds.memory.messenger import MemoryMessenger
from tests.worlds.memory.people import MemoryDirectory, MemoryJobs
from tests.worlds.memory.world import MemoryWorld

CHANNEL = "C0INC"
FILES = ["inc-1.json", "inc-1.md"]


class StandingClock:
    def __init__(self) -> None:
        self.at = EPOCH

    def now(self):
        return self.at

    def forward(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


@dataclass
class PaperExporter:
    """Writes what the last entry says, into files as small as can be. `full` are the directories without room."""

    journal: MemoryJournal
    directory: Path
    switchboard: Switchboard
    full: set[Path] = field(default_factory=set)
    writes: int = 0

    async def write(self, incident, names, zone, *, until=None, directory=None):
        await self.switchboard.pass_through("write files")
        if (directory or self.directory) in self.full:
            raise OSError(28, "No space left on device")
        self.writes += 1
        entries = [entry async for entry in self.journal.entries(incident.id)]
        held = [entry for entry in entries if until is None or int(entry.id) <= int(until)]
        paths = []
        for suffix in (".json", ".md"):
            path = (directory or self.directory) / f"{incident.id}{suffix}"
            path.parent.mkdir(exist_ok=True)
            path.write_text(f"{held[-1].hash} {sorted(names.items())} {zone}")
            paths.append(path)
        await self.switchboard.pass_through("wrote files")
        summary = Summary((), None, None, (Cause.UNKNOWN,), (), 0, ())
        return Written(Account(incident, held[-1].at, held[-1], len(held), 0, 0, summary), tuple(paths))


@dataclass
class Desk:
    """Exports with a worker that may be killed and a queue that gives its jobs to the next one."""

    directory: Path
    template: World

    def __post_init__(self) -> None:
        self.clock, self.switchboard = StandingClock(), Switchboard()
        self.journal = MemoryJournal(self.clock, self.switchboard)
        self.exporter = PaperExporter(self.journal, self.directory, self.switchboard)
        self.messenger, self.files = MemoryMessenger(self.switchboard), MemoryFiles(self.switchboard)
        self.s3 = MemoryTarget("s3", self.switchboard)
        self.jobs = MemoryJobs(self.clock, self.switchboard)
        people = MemoryDirectory(self.clock)
        people.add("U0QUINN", "quinn", CHANNEL)
        people.add("U0PARKER", "parker", CHANNEL)
        ids = itertools.count(1)
        self.ports = replace(
            self.template,
            journal=self.journal,
            records=MemoryRecords(self.clock, self.switchboard),
            directory=people,
            exporter=self.exporter,
            messenger=self.messenger,
            files=self.files,
            targets={"s3": self.s3},
            jobs=self.jobs,
            clock=self.clock,
            new_id=lambda: f"id{next(ids)}",
        )
        self.deaths = 0
        self.incident = ""

    async def open(self) -> None:
        made, _ = await self.journal.open(channel=CHANNEL, title="staging", by="U0QUINN", at=self.clock.now())
        self.incident = made.id

    async def close(self) -> None:
        assert await close(self.ports, await self.journal.find(self.incident), user="U0QUINN")

    async def add(self, kind: Kind, actor: str = "U0PARKER", **facts) -> None:
        await self.journal.append(self.incident, Draft(self.clock.now(), kind, actor, "…", facts))

    async def work(self, *, limit: int = 300) -> None:
        """Runs jobs until none is left, as the durable queue does; time passes as they ask for."""
        for _ in range(limit):
            if not self.jobs.waiting:
                return
            job = self.jobs.due()
            if job is None:
                self.clock.at = min(waiting.at for waiting in self.jobs.waiting.values())
                continue
            await self.run(job)
        raise AssertionError(f"no end: {self.jobs.waiting}")

    async def run(self, job) -> None:
        token = WORKER.set(f"w{self.deaths}")
        try:
            await run_job(self.ports, job.name, job.args, attempt=job.attempt, worker=WORKER.get())
        except (JournalAway, UpstreamError, Busy, OSError):
            if job.attempt < TRIES:
                self.again(replace(job, attempt=job.attempt + 1), 2.0**job.attempt)
        except Killed:
            self.deaths += 1
            self.clock.forward(16)  # nobody takes up what it left before its leases have run out
            self.again(job, 0)
        finally:
            WORKER.reset(token)

    def again(self, job, seconds: float) -> None:
        self.jobs.waiting.setdefault(job.key, replace(job, at=self.clock.now() + timedelta(seconds=seconds)))

    def kill_at(self, call: int) -> None:
        async def fault(_name: str) -> None:
            worker = WORKER.get()
            if worker and self.switchboard.calls == call:
                self.switchboard.dead.add(worker)

        self.switchboard.calls, self.switchboard.fault = 0, fault

    def break_down(self, *names: str, error: Exception, times: int | None = None) -> None:
        left = itertools.count() if times is None else iter(range(times))

        async def fault(name: str) -> None:
            if any(name.startswith(one) for one in names) and next(left, None) is not None:
                raise error

        self.switchboard.fault = fault

    def made(self):
        return [entry for entry in self.journal.logs[self.incident] if entry.kind == Kind.EXPORT_MADE]

    @property
    def latest(self):
        """The summary that no newer one has replaced."""
        (one,) = [report for report in self.messenger.now(ExportReport).values() if not report.newer]
        return one


@pytest.fixture(scope="module")
def template():
    """A whole world, of which the desk takes what exports do not touch. It has a loop of its own."""
    paper = MemoryWorld()
    paper.close()
    return paper.ports


@pytest.fixture
async def desk(tmp_path, template):
    made = Desk(tmp_path / "exports", template)
    await made.open()
    return made


async def test_closing_brings_the_export_to_every_target_and_says_so_once(desk):
    await desk.close()

    await desk.work()

    assert sorted(path.name for path in desk.directory.iterdir()) == FILES
    assert sorted(desk.s3.held) == [f"inc-1/{name}" for name in FILES]
    assert [sorted(shown) for shown in desk.files.shown] == [FILES]
    assert len(desk.messenger.now(ExportReport)) == 1
    (made,) = desk.made()
    assert made.facts["targets"] == {"directory": "ok", "channel": "ok", "s3": "ok"}
    assert (made.facts["failed"], made.facts["files"]) == ({}, FILES)
    assert desk.exporter.writes == 1
    assert not desk.messenger.all(Notice)


async def test_wherever_a_worker_is_killed_nothing_is_lost_and_nothing_is_done_twice(tmp_path, template):
    steps = 0
    for call in itertools.count(1):
        desk = Desk(tmp_path / f"{call}", template)
        await desk.open()
        await desk.close()
        desk.kill_at(call)

        await desk.work()

        if not desk.deaths:
            break
        steps = call
        assert sorted(path.name for path in desk.directory.iterdir()) == FILES, call
        assert sorted(desk.s3.held) == [f"inc-1/{name}" for name in FILES], call
        assert [sorted(shown) for shown in desk.files.shown] == [FILES], call
        assert len(desk.messenger.now(ExportReport)) == len(desk.made()) == 1, call
        assert {path.read_bytes() for path in desk.directory.iterdir()} == set(desk.s3.held.values()), call
    assert steps > 40


async def test_wherever_a_worker_is_killed_a_late_correction_reaches_every_target_once(tmp_path, template):
    for call in itertools.count(1):
        desk = Desk(tmp_path / f"{call}", template)
        await desk.open()
        await desk.close()
        await desk.work()
        await desk.add(Kind.ENTRY_EDITED, entry="1")
        await incident_export.reissue_if_late(desk.ports, desk.incident)
        desk.kill_at(call)

        await desk.work()

        if not desk.deaths:
            break
        assert [entry.facts["targets"] for entry in desk.made()] == [
            dict.fromkeys(("directory", "channel", "s3"), "ok")
        ] * 2
        assert {path.read_bytes() for path in desk.directory.iterdir()} == set(desk.s3.held.values()), call
        assert [sorted(shown) for shown in desk.files.shown] == [FILES, FILES], call
        assert [bool(report.newer) for report in desk.messenger.now(ExportReport).values()] == [True, False], call
    assert call > 40


async def test_workers_that_are_killed_again_and_again_still_come_to_the_end(desk):
    await desk.close()
    deaths = itertools.count(1)

    async def fault(_name: str) -> None:
        if WORKER.get() and desk.switchboard.calls % 23 == 0 and next(deaths) < 12:
            desk.switchboard.dead.add(WORKER.get())

    desk.switchboard.fault = fault
    await desk.work()

    assert desk.deaths > 3
    assert [sorted(shown) for shown in desk.files.shown] == [FILES]
    assert len(desk.messenger.now(ExportReport)) == len(desk.made()) == 1


async def test_two_workers_that_meet_in_one_delivery_share_once(desk):
    await desk.close()
    job = desk.jobs.due()
    await desk.run(job)
    await desk.run(job)

    await desk.work()

    assert len(desk.files.shown) == len(desk.messenger.now(ExportReport)) == len(desk.made()) == 1


async def test_a_target_that_fails_for_a_while_is_tried_again_and_does_not_hold_up_the_others(desk):
    await desk.close()
    desk.break_down("put .", error=Unreachable("S3", "no connection to S3"), times=3)

    await desk.work()

    assert sorted(desk.s3.held) == [f"inc-1/{name}" for name in FILES]
    (made,) = desk.made()
    assert made.facts["targets"] == {"directory": "ok", "channel": "ok", "s3": "ok"}
    assert not desk.messenger.all(Notice)


async def test_a_target_that_stays_away_is_reported_once_and_the_next_export_tries_it_alone(desk):
    await desk.close()
    desk.break_down("put .", error=Throttled("S3", "S3 throttles s3:PutObject"))
    await desk.work()
    (first,) = desk.made()
    (told,) = desk.messenger.all(Notice)
    desk.switchboard.fault = None

    asked = await incident_export.ask(desk.ports, await desk.journal.find(desk.incident), user="U0PARKER")
    await desk.work()

    assert first.facts["targets"] == {"directory": "ok", "channel": "ok", "s3": "failed"}
    assert first.facts["failed"] == {"s3": "S3 throttles s3:PutObject"}
    assert "S3" in told.headline
    assert "/tflock export" in str(told.lines)
    assert asked.is_making
    assert sorted(desk.s3.held) == [f"inc-1/{name}" for name in FILES]
    assert [entry.facts["targets"]["s3"] for entry in desk.made()] == ["failed", "ok"]
    assert len(desk.files.shown) == len(desk.messenger.now(ExportReport)) == 1


async def test_what_a_target_refuses_is_reported_at_once(desk):
    await desk.close()
    desk.break_down("put .", error=Denied("S3", "S3 denies s3:PutObject on bucket acme"))

    await desk.work()

    assert desk.clock.now() - EPOCH < timedelta(seconds=30)
    assert desk.made()[0].facts["failed"] == {"s3": "S3 denies s3:PutObject on bucket acme"}
    assert len(desk.messenger.all(Notice)) == 1


async def test_a_full_disk_stops_neither_the_channel_nor_s3(desk):
    desk.exporter.full.add(desk.directory)
    await desk.close()

    await desk.work()

    assert sorted(desk.s3.held) == [f"inc-1/{name}" for name in FILES]
    assert len(desk.files.shown) == 1
    (made,) = desk.made()
    assert made.facts["targets"] == {"directory": "failed", "channel": "ok", "s3": "ok"}
    assert made.facts["failed"] == {"directory": "No space left on device"}
    (told,) = desk.messenger.all(Notice)
    assert "directory" in told.headline


async def test_an_archived_channel_is_told_of_on_the_timeline_and_stops_no_other_target(desk):
    await desk.close()
    error = Denied("Slack", "Slack refused while posting a message: the channel is archived (is_archived)")
    desk.break_down("post summary", "notice", error=error)

    await desk.work()

    (made,) = desk.made()
    assert made.facts["targets"] == {"directory": "ok", "channel": "failed", "s3": "ok"}
    assert "archived" in made.facts["failed"]["channel"]
    assert sorted(desk.s3.held) == [f"inc-1/{name}" for name in FILES]
    assert not desk.jobs.waiting


async def test_files_of_one_version_are_the_same_on_a_machine_that_has_to_make_them_again(desk):
    await desk.close()
    await desk.run(desk.jobs.due())
    here = {path.name: path.read_bytes() for path in desk.directory.iterdir()}
    for path in desk.directory.iterdir():
        path.unlink()
    await desk.add(Kind.COMMAND_RECEIVED)
    await desk.add(Kind.EXPORT_MADE, "tflock")

    await desk.work()

    assert {name.removeprefix("inc-1/"): content for name, content in desk.s3.held.items()} == here


async def test_asking_again_without_a_change_delivers_nothing_and_says_so(desk):
    await desk.close()
    await desk.work()

    asked = await incident_export.ask(desk.ports, await desk.journal.find(desk.incident), user="U0PARKER")
    await desk.work()

    assert not asked.is_making
    assert len(desk.made()) == len(desk.files.shown) == 1


async def test_an_open_incident_is_exported_when_somebody_asks_and_once_more_when_it_closes(desk):
    asked = await incident_export.ask(desk.ports, await desk.journal.find(desk.incident), user="U0PARKER")
    await desk.work()
    assert asked.is_making
    assert desk.latest.edition.by == "U0PARKER"
    await desk.close()
    await desk.work()

    assert len(desk.messenger.now(ExportReport)) == len(desk.made()) == 2
    assert desk.latest.edition.incident.closed_at is not None
    assert [report.newer != "" for report in desk.messenger.now(ExportReport).values()] == [True, False]


async def test_late_corrections_within_a_minute_make_one_new_export_that_says_what_changed(desk):
    await desk.close()
    await desk.work()
    for kind in (Kind.ENTRY_EDITED, Kind.ENTRY_EDITED, Kind.ENTRY_HIDDEN):
        desk.clock.forward(20)
        await desk.add(kind, entry="1")
        await incident_export.reissue_if_late(desk.ports, desk.incident)
    last = desk.clock.now()

    await desk.work()

    assert desk.clock.now() - last >= timedelta(seconds=59)
    assert [(change.kind, change.count, change.by) for change in desk.latest.changes] == [
        ("entry.edited", 2, ("U0PARKER",)),
        ("entry.hidden", 1, ("U0PARKER",)),
    ]
    first, second = desk.messenger.now(ExportReport)
    assert desk.messenger.now(ExportReport)[first].newer.endswith(second.ts.replace(".", ""))
    assert len(desk.files.shown) == len(desk.made()) == 2
    assert len(set(desk.s3.held.values())) == 1


async def test_corrections_of_an_open_incident_wait_for_its_closing(desk):
    await desk.add(Kind.ENTRY_EDITED, entry="1")

    await incident_export.reissue_if_late(desk.ports, desk.incident)

    assert not desk.jobs.waiting


async def test_an_older_version_never_takes_the_place_of_a_newer_one(desk):
    await desk.close()
    desk.break_down("put .", error=Unreachable("S3", "no connection to S3"), times=4)
    for _ in range(3):
        await desk.run(desk.jobs.due())
    await desk.add(Kind.ENTRY_EDITED, entry="1")
    await incident_export.export(desk.ports, desk.incident)

    await desk.work()

    newest = {path.read_bytes() for path in desk.directory.iterdir()}
    assert set(desk.s3.held.values()) == newest
    assert {entry.facts["targets"]["s3"] for entry in desk.made()} == {"left to a later version", "ok"}


async def test_without_a_way_to_look_a_summary_is_posted_rather_twice_than_never(desk):
    await desk.close()
    denied = Denied("Slack", "the app lacks the scope channels:history (missing_scope)")
    states = iter([Unreachable("Slack", "no answer")])

    async def fault(name: str) -> None:
        if name == "look for message":
            raise denied
        if name == "post summary" and (error := next(states, None)):
            raise error

    desk.switchboard.fault = fault
    await desk.work()

    assert len(desk.messenger.now(ExportReport)) == 1
    assert desk.made()[0].facts["targets"]["channel"] == "ok"
