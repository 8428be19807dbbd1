"""The record of the incident in `scenario.yml` at the times of that day, as the bot would have written it.

    python -m tests.worlds.that_day DIRECTORY

exports it in all formats, to be looked at. The pictures in the README are of these files.
"""

from __future__ import annotations

import asyncio
import random
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from bot.core.codec import written
from bot.core.evidence import Found, Trouble, Unseen
from bot.core.gate.attribution import PipelineSeen
from bot.core.gate.case import Case, Verdict
from bot.core.gate.contention import Contention, Loop
from bot.core.gate.decide import decide
from bot.core.gate.inspection import Inspection, Owner, StateName
from bot.core.gate.tie import attribute
from bot.core.lock import (
    Abilities,
    Billing,
    DigestMatch,
    DigestSeen,
    Fence,
    LockInfo,
    LockPlace,
    LockSeen,
    PlaceKind,
    Refusals,
    StateCheck,
    StateSeen,
    TableCapacity,
    TableSeen,
    TimeToLive,
)
from bot.core.people import Channel, Member, Standing
from bot.core.phrase import instant
from bot.core.policy import Holders, Policy
from bot.core.record.evidence import Evidence, LockFacts, LoopFacts, RunFacts, SeenFacts, VerdictFacts, verdict_words
from bot.core.record.timeline import Draft, Kind
from bot.core.run import Conclusion, Job, Phase, Pipeline, Run, RunRef
from bot.core.systems import GITHUB
from bot.export.exporter import WRITERS, FileExporter
from bot.store.connect import connect
from bot.store.embedded import redis_for
from bot.store.redis_journal import RedisJournal

QUINN, PARKER, ELLIOTT, CHANNEL = "U0QUINN", "U0PARKER", "U0ELLIOTT", "C0STAGING"
NAMES = {QUINN: "quinn", PARKER: "parker", ELLIOTT: "elliott", CHANNEL: "#inc-staging"}
ZONE = "Europe/Berlin"
TITLE = "Staging is locked, all deployments are blocked"

_DAY = "2026-11-20"
_LOCK = "8ea904d4-4c2a-793b-3d30-48e6a4f2bc50"
_WHO = "runner@fv-az881-525"
_TABLE = "acme-tf-locks"
_REPO = (("repo", "acme/infra"),)
_DEPLOY = Pipeline("github", (*_REPO, ("workflow", "deploy.yml")), GITHUB.name)
_UPDATE = Pipeline("github", (*_REPO, ("workflow", "dependency-update.yml")), GITHUB.name)
_POLICY = Policy()
_CAN = Abilities(conditional=True, fence=Fence.NONE, shows_holder=True, versions=True, swap=False)
_CROWD = 47


def at(clock: str) -> datetime:
    """A time of that day: `09:15` or `12:07:08`."""
    return datetime.fromisoformat(f"{_DAY}T{clock}+00:00")


@dataclass(slots=True)
class Clock:
    """Says what it was set to."""

    time: datetime

    def now(self) -> datetime:
        return self.time

    def running(self) -> float:
        return self.time.timestamp()


async def export_that_day(directory: Path) -> tuple[Path, ...]:
    """Writes the incident into a private Redis, and all its exports into the directory."""
    with tempfile.TemporaryDirectory(prefix="tf-") as var:
        async with redis_for(None, Path(var)) as url:
            client = connect(url)
            try:
                clock = Clock(at("11:00"))
                return await _export(RedisJournal(client, clock=clock, rng=random.Random(4)), clock, directory)
            finally:
                await client.aclose()


async def _export(journal: RedisJournal, clock: Clock, directory: Path) -> tuple[Path, ...]:
    incident, _ = await journal.open(channel=CHANNEL, title=TITLE, by=QUINN, at=clock.now())
    for recorded, draft in drafts():
        clock.time = recorded
        await journal.append(incident.id, draft)
    clock.time = at("12:46")
    closed = await journal.close(incident.id, by=PARKER, at=clock.time) or incident
    written = await FileExporter(journal, directory, tuple(WRITERS)).write(closed, NAMES, ZONE)
    return written.paths


def drafts() -> Iterator[tuple[datetime, Draft]]:
    """Each entry after the opening, with the time at which it was written down."""
    for draft in (*_found(), *_tried(), *_killed(), *_released()):
        yield draft.at, draft
    for recorded, clock, who, words in _SAID:
        yield at(recorded), _said(clock, who, words)
    noted = Draft(
        at("10:52"), Kind.NOTE_ADDED, PARKER, "The deployment of checkout had the same error", {"back_dated": True}
    )
    yield at("12:32"), noted


_SAID = (
    ("11:01", "11:00", QUINN, "Deployments to staging fail: Error acquiring the state lock. Is anybody applying?"),
    ("11:06", "11:05", PARKER, "elliott is on leave until Monday, so they will not answer."),
    ("12:11", "12:10", QUINN, "The deployment to staging went through."),
)


def _said(clock: str, who: str, words: str) -> Draft:
    page = "https://acme.slack.com/archives/C0STAGING/p1763636400000100"
    return Draft(
        at(clock),
        Kind.MESSAGE_CAPTURED,
        who,
        words,
        {"author": who, "by": PARKER, "permalink": page, "how": "reaction"},
    )


def _found() -> Iterator[Draft]:
    """11:00, the question what is going on."""
    yield _typed("11:00", QUINN, "status staging")
    seen = _seen(at("11:00"))
    lock = f"staging has been locked by {_WHO} since {instant(_info().created)}, for apply"
    yield Draft(
        at("11:00"),
        Kind.LOCK_OBSERVED,
        "tflock",
        lock,
        {"state": "staging", "seen": written(SeenFacts.of(seen)), "before": None},
    )
    yield _decided("11:00", "status", _look("11:00"))
    yield _told("11:00", "was notified: somebody asks about your lock")


def _tried() -> Iterator[Draft]:
    """11:32 to 11:45: the release meets the throttled table."""
    yield _typed("11:32", PARKER, "unlock staging --when-safe")
    yield _decided("11:32", "unlock", _look("11:32"))
    yield Draft(at("11:32:10"), Kind.UNLOCK_REQUESTED, PARKER, "confirmed the unlock of staging", _request("u1"))
    yield _releasing("11:32:11", "u1")
    facts = _request("u1") | {"outcome": "still throttled", "tries": 14, "throttled": 14}
    words = "did not release the lock of staging: still throttled"
    yield Draft(at("11:35:11"), Kind.UNLOCK_FAILED, PARKER, words, facts)
    yield _typed("11:40", PARKER, "status staging")
    yield _decided("11:40", "status", _throttled(_look("11:40", refused=2810)))
    yield _typed("11:45", PARKER, "kill-job staging")


def _killed() -> Iterator[Draft]:
    """11:54 to 11:58, the loop."""
    loop = _loop("11:54")
    asked = {
        "request": "k1",
        "state": "staging",
        "lock_id": _LOCK,
        "stop_source": True,
        "loop": written(LoopFacts.of(loop)),
    }
    words = f"asked to end the loop of {_UPDATE.title} ({_CROWD} active runs)"
    yield Draft(
        at("11:54"),
        Kind.KILL_REQUESTED,
        QUINN,
        words,
        asked | {"runs": [written(run) for run in RunFacts.of_all(loop.runs)], "count": _CROWD},
    )
    ended = tuple(
        replace(run, phase=Phase.ENDED, conclusion=Conclusion.CANCELLED, ended_at=at("11:57")) for run in loop.runs
    )
    facts = {
        "request": "k1", "state": "staging", "pipeline": _UPDATE.title, "system": "GitHub Actions", "count": _CROWD,
        "runs": [written(run) for run in RunFacts.of_all(ended)], "ended": True, "switched": "done", "approver": "",
    }  # fmt: skip
    words = f"ended {_CROWD} runs of {_UPDATE.title}; disabled it"
    yield Draft(at("11:58"), Kind.KILL_CONFIRMED, QUINN, words, facts)


def _released() -> Iterator[Draft]:
    """12:07: unlocked."""
    yield _typed("12:06", PARKER, "unlock staging")
    yield _decided("12:06", "unlock", replace(_look("12:06"), contention=Contention((), ())))
    yield Draft(at("12:06:30"), Kind.UNLOCK_REQUESTED, PARKER, "confirmed the unlock of staging", _request("u2"))
    yield _releasing("12:06:31", "u2")
    done = {"outcome": "released", "approver": "", "tries": 3, "throttled": 2, "took_seconds": 30.0}
    yield Draft(at("12:07"), Kind.UNLOCK_RELEASED, PARKER, "released the lock of staging", _request("u2") | done)
    yield _told("12:07", "was notified: your lock was released")


def _typed(clock: str, who: str, words: str) -> Draft:
    return Draft(at(clock), Kind.COMMAND_RECEIVED, who, f"/tflock {words}", {"channel": CHANNEL})


def _told(clock: str, words: str) -> Draft:
    facts = {"state": "staging", "lock_id": _LOCK, "owner": ELLIOTT}
    return Draft(at(clock), Kind.OWNER_NOTIFIED, "tflock", f"the owner of the lock of staging {words}", facts)


def _request(request: str) -> dict[str, object]:
    return {"request": request, "state": "staging", "lock_id": _LOCK}


def _releasing(clock: str, request: str) -> Draft:
    facts = _request(request) | {"lock": written(LockFacts.of(_info()))}
    return Draft(at(clock), Kind.UNLOCK_RELEASING, PARKER, "began to release the lock of staging", facts)


def _decided(clock: str, asked: str, inspection: Inspection) -> Draft:
    verdict = _verdict(inspection)
    facts = {
        "asked": asked, "state": "staging", "lock_id": _LOCK,
        "verdict": written(VerdictFacts.of(verdict)), "evidence": written(Evidence.of(inspection)),
    }  # fmt: skip
    return Draft(at(clock), Kind.GATE_DECIDED, "tflock", verdict_words("staging", verdict), facts)


def _verdict(inspection: Inspection) -> Verdict:
    attribution = inspection.attribution or attribute(
        _info(), inspection.looks, holders=Holders(), skew=_POLICY.clock_skew
    )
    case = Case(
        can=_CAN,
        lock_id=_LOCK, lock=inspection.seen, state=inspection.check, looks=inspection.looks, attribution=attribution,
        requester=_standing(inspection.at), owner=None, protected=False, policy=_POLICY, holders=Holders(),
    )  # fmt: skip
    return decide(case, inspection.at)


def _look(clock: str, *, refused: int = 0) -> Inspection:
    """What one look that day brought: the dead deployment's lock, and the loop on it."""
    now = at(clock)
    run = _lost()
    look = PipelineSeen(
        _DEPLOY, "GitHub Actions", Found((replace(run, jobs=None),), now), {run.ref.id: Found(run, now)}
    )
    written = StateSeen(
        size=48_213, last_written=at("09:13:40"), md5="d41d8cd98f00b204e9800998ecf8427e", serial=412,
        lineage="0ad2ffa5-6fa3-4f7e-8a44-2d9a7f1c1f11", terraform_version="1.11.4", fault=None,
    )  # fmt: skip
    loop = _loop(clock)
    table = TableSeen(
        name=_TABLE, capacity=Found(TableCapacity(Billing.PROVISIONED, 5, 5, "ACTIVE"), now),
        ttl=Found(TimeToLive(enabled=False, attribute=""), now),
        refused=Found(Refusals(0, refused, timedelta(minutes=15)), now),
    )  # fmt: skip
    return Inspection(
        can=_CAN,
        state=StateName("staging", "Staging, all services", protected=False), seen=_seen(now),
        check=StateCheck(Found(written, now), DigestSeen(DigestMatch.MATCHES)), looks=(look,), lock=_info(),
        attribution=attribute(_info(), (look,), holders=Holders(), skew=_POLICY.clock_skew),
        contention=Contention(loop.runs, (loop,)), owner=Owner("elliott", ELLIOTT, ("started the run",)), at=now,
        table=table,
    )  # fmt: skip


def _throttled(inspection: Inspection) -> Inspection:
    """The same, where the table refused to be read."""
    why = Unseen("DynamoDB", Trouble.THROTTLED, f"table {_TABLE} refused to be read", inspection.at)
    unread = LockSeen((), (), ((PlaceKind.ITEM, why),), inspection.at)
    return replace(inspection, seen=unread)


def _info() -> LockInfo:
    path = "acme-tfstate/environments/staging/terraform.tfstate"
    return LockInfo(_LOCK, "OperationTypeApply", "", _WHO, "1.11.4", at("09:05"), path)


def _seen(now: datetime) -> LockSeen:
    return LockSeen((LockPlace(PlaceKind.ITEM, _TABLE, "fence", _info(), None),), (), (), now)


def _lost() -> Run:
    start, end = at("09:02"), at("09:15")
    job = Job("11", "terraform", 1, Phase.ENDED, Conclusion.TIMED_OUT, start, end, "fv-az881-525")
    return _run(
        _DEPLOY,
        "11900000002",
        start,
        actor="elliott",
        ended_at=end,
        conclusion=Conclusion.TIMED_OUT,
        phase=Phase.ENDED,
        jobs=(job,),
    )


def _loop(clock: str) -> Loop:
    """One start a minute since 09:50; of the runs so many go on at once."""
    now = at(clock)
    runs = tuple(
        _run(_UPDATE, str(11900000200 - n), now - timedelta(minutes=n), actor="dependency-bot") for n in range(_CROWD)
    )
    starts = int((now - at("09:50")).total_seconds() // 60) + 1
    return Loop(
        pipeline=_UPDATE, starts=15, first=now - timedelta(minutes=15), last=now, every=timedelta(minutes=1),
        trigger="schedule", actor="dependency-bot", runs=runs, since=at("09:50"), total=starts,
    )  # fmt: skip


def _run(pipeline: Pipeline, run_id: str, started: datetime, **changes: object) -> Run:
    ref = RunRef(pipeline, run_id, f"https://github.com/acme/infra/actions/runs/{run_id}")
    run = Run(
        ref=ref, title=pipeline.title, actor="", trigger="push", phase=Phase.RUNNING, conclusion=None, attempt=1,
        created_at=started, started_at=started, ended_at=None, jobs=None,
    )  # fmt: skip
    return replace(run, **changes)  # type: ignore[arg-type]  # the fields of a run, which the callers above name


def _standing(now: datetime) -> Standing:
    member = Member(
        id=PARKER, name="parker", team_id="T0ACME", is_bot=False, is_guest=False, is_stranger=False, is_deleted=False,
        tz=ZONE, tz_offset=3600,
    )  # fmt: skip
    return Standing(
        user_id=PARKER, home_team="T0ACME", member=Found(member, now), in_channel=Found(value=True, at=now),
        in_groups=None, channel=Found(Channel(CHANNEL, "inc-staging", is_direct=False, is_archived=False), now),
        is_incident_channel=True,
    )  # fmt: skip


if __name__ == "__main__":
    for made in asyncio.run(export_that_day(Path(sys.argv[1]))):
        sys.stdout.write(f"{made}\n")
