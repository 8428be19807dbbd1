"""Builders of cases, so that a test names only what it is about. The case that they make by default is allowed."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bot.core.account.story import Story
from bot.core.account.values import Account
from bot.core.codec import written
from bot.core.evidence import Found, NotFound, Observation, Offset, Trouble, Unseen
from bot.core.gate.attribution import Attribution, PipelineSeen, log_key
from bot.core.gate.case import Case, Rule
from bot.core.gate.contention import Contention, Loop
from bot.core.gate.decide import decide
from bot.core.gate.inspection import Inspection, Owner, StateName
from bot.core.gate.tie import attribute
from bot.core.joblog.values import JobLog, LockRefusal, Work
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
    StateAbsent,
    StateCheck,
    StateSeen,
    TableCapacity,
    TableSeen,
    TimeToLive,
)
from bot.core.people import Approval, Channel, Member, OwnerAnswer, OwnerSays, Standing
from bot.core.policy import Holders, Policy
from bot.core.record.evidence import Evidence, LockFacts, LoopFacts, VerdictFacts
from bot.core.record.incident import Incident
from bot.core.record.timeline import GENESIS, Entry, Kind
from bot.core.run import Conclusion, Job, Phase, Pipeline, Run, RunRef
from bot.core.systems import GITHUB

LOCK_ID = "6638e4a0-0000-4000-8000-000000000001"
HOSTED = "runner@fv-az881-525"
DEPLOY = Pipeline("github", (("repo", "acme/infra"), ("workflow", "deploy.yml")), GITHUB.name)
UPDATE = Pipeline("github", (("repo", "acme/infra"), ("workflow", "dependency-update.yml")), GITHUB.name)
POLICY = Policy()
CAN = Abilities(conditional=True, fence=Fence.NONE, shows_holder=True, versions=True, swap=False)
HOLDERS = Holders(run_id_hosts=("*@gha-{run}-{attempt}",))


@dataclass(frozen=True, repr=False)
class Make:
    """The morning of the incident: a deployment took the lock at 09:05 and timed out at 09:15; it is 11:54 now."""

    now: datetime = datetime(2026, 11, 21, 11, 54, tzinfo=UTC)
    created: datetime = datetime(2026, 11, 21, 9, 5, tzinfo=UTC)
    deploy: Pipeline = DEPLOY
    update: Pipeline = UPDATE
    policy: Policy = POLICY
    holders: Holders = HOLDERS
    lock_id: str = LOCK_ID

    def at(self, clock: str) -> datetime:
        """A time of that day, `09:15` or `09:15:30`."""
        return datetime.fromisoformat(f"2026-11-21T{clock}+00:00")

    def found(self, value: Any, at: datetime | None = None) -> Found[Any]:
        """What a system said whose clock is the bot's."""
        return Found(value, at or self.now, Offset(timedelta(0), timedelta(0)))

    def unseen(self, detail: str = "GitHub did not answer within 5 s", trouble: Trouble = Trouble.TIMED_OUT) -> Unseen:
        return Unseen("GitHub", trouble, detail, self.now)

    def not_found(self, what: str = "there is no such workflow") -> NotFound:
        return NotFound("GitHub", what, self.now)

    def job(self, start: str | None = "09:02", end: str | None = "09:15", **changes: Any) -> Job:
        job = Job(
            id="11",
            name="apply",
            attempt=1,
            phase=Phase.RUNNING if end is None else Phase.ENDED,
            conclusion=None if end is None else Conclusion.TIMED_OUT,
            started_at=start and self.at(start),
            ended_at=end and self.at(end),
            host="GitHub Actions 7",
        )
        return replace(job, **changes)

    def run(
        self,
        run_id: str = "1",
        start: str = "09:02",
        end: str | None = "09:15",
        *,
        pipeline: Pipeline | None = None,
        **changes: Any,
    ) -> Run:
        """A run with one job of the same times, both ended in a time-out or, without an end, running."""
        conclusion = changes.get("conclusion", None if end is None else Conclusion.TIMED_OUT)
        run = Run(
            ref=RunRef(pipeline or self.deploy, run_id, f"https://ci.example.com/{run_id}"),
            title="Deploy staging",
            actor="elliott",
            trigger="push",
            phase=Phase.RUNNING if end is None else Phase.ENDED,
            conclusion=conclusion,
            attempt=1,
            created_at=self.at(start),
            started_at=self.at(start),
            ended_at=end and self.at(end),
            jobs=(self.job(start, end, conclusion=conclusion),),
        )
        return replace(run, **changes)

    def look(
        self,
        *runs: Run,
        pipeline: Pipeline | None = None,
        listing: Observation[tuple[Run, ...]] | None = None,
        closer: dict[str, Observation[Run]] | None = None,
        logs: dict[str, JobLog] | None = None,
        system: str = "GitHub Actions",
        one_state: bool = True,
    ) -> PipelineSeen:
        """What a CI told of a pipeline: the list without jobs, and every run read again unless `closer` says how.

        `logs` are of the runs' jobs by the run's id; no other log could be read. The pipeline works on one state.
        """
        listed = listing or self.found(tuple(replace(run, jobs=None) for run in runs))
        read = {run.ref.id: self.found(run) for run in runs} | (closer or {})
        said = {
            log_key(run, job): self.found(log)
            for run in runs
            for job in run.jobs or ()
            if (log := (logs or {}).get(run.ref.id)) is not None
        }
        return PipelineSeen(pipeline or self.deploy, system, listed, read, said, one_state=one_state)

    def work(self, first: str = "09:05:04", last: str = "09:14", **changes: Any) -> Work:
        """Terraform at work under the lock of the incident until it was killed; it was told to run just before."""
        told = min(self.created, self.at(first)) - timedelta(seconds=2)
        return replace(Work(self.at(first), self.at(last), after=told), **changes)

    def log(self, *work: Work, **changes: Any) -> JobLog:
        """The whole log of a job in which Terraform was at work while the lock stood."""
        log = JobLog(
            is_whole=True, ran_terraform=True, has_worked=True, work=work or (self.work(),), begun_at=self.at("09:02")
        )
        return replace(log, **changes)

    def refused(self, lock_id: str = LOCK_ID, **changes: Any) -> JobLog:
        """The whole log of a job whose Terraform was refused this lock."""
        log = JobLog(is_whole=True, ran_terraform=True, refused=(LockRefusal(lock_id, self.at("09:06")),))
        return replace(log, **changes)

    def info(self, **changes: Any) -> LockInfo:
        info = LockInfo(
            id=self.lock_id,
            operation="OperationTypeApply",
            info="",
            who=HOSTED,
            version="1.11.0",
            created=self.created,
            path="acme-tfstate/environments/staging/terraform.tfstate",
        )
        return replace(info, **changes)

    def place(self, info: LockInfo | None, kind: PlaceKind = PlaceKind.ITEM, garbage: str | None = None) -> LockPlace:
        return LockPlace(kind, "acme-tf-locks", "fence", info, garbage)

    def seen(self, *places: LockPlace, unseen: tuple[tuple[PlaceKind, Unseen | NotFound], ...] = ()) -> LockSeen:
        return LockSeen(places, (), unseen, self.now)

    def state(self, **changes: Any) -> StateSeen:
        state = StateSeen(
            size=4096,
            last_written=self.at("09:14"),
            md5="d41d8cd98f00b204e9800998ecf8427e",
            serial=42,
            lineage="0ad2ffa5-6fa3-4f7e-8a44-2d9a7f1c1f11",
            terraform_version="1.11.0",
            fault=None,
        )
        return replace(state, **changes)

    def check(
        self, state: StateSeen | StateAbsent | Unseen | NotFound | None = None, digest: DigestSeen | None = None
    ) -> StateCheck:
        seen = state if isinstance(state, Unseen | NotFound) else self.found(state or self.state())
        return StateCheck(seen, digest or DigestSeen(DigestMatch.MATCHES))

    def member(self, user_id: str = "U0PARKER", name: str = "parker", **changes: Any) -> Member:
        member = Member(
            id=user_id,
            name=name,
            team_id="T0ACME",
            is_bot=False,
            is_guest=False,
            is_stranger=False,
            is_deleted=False,
            tz="Europe/Berlin",
            tz_offset=3600,
            email=f"{name}@example.com",
        )
        return replace(member, **changes)

    def standing(self, user_id: str = "U0PARKER", name: str = "parker", **changes: Any) -> Standing:
        """Somebody's standing in an incident channel. Changes to the member go by the member's own fields."""
        own = {
            key: changes.pop(key) for key in list(changes) if key.startswith(("is_b", "is_g", "is_s", "is_del", "team"))
        }
        standing = Standing(
            user_id=user_id,
            home_team="T0ACME",
            member=self.found(self.member(user_id, name, **own)),
            in_channel=self.found(True),  # noqa: FBT003 - the value that was observed
            in_groups=None,
            channel=self.found(Channel("C0STAGING", "inc-staging", is_direct=False, is_archived=False)),
            is_incident_channel=True,
        )
        return replace(standing, **changes)

    def answer(self, says: OwnerSays, lock_id: str = LOCK_ID, *, at: str = "11:30") -> OwnerAnswer:
        return OwnerAnswer(lock_id, "U0ELLIOTT", says, self.at(at))

    def approval(self, by: str = "U0QUINN", **changes: Any) -> Approval:
        approval = Approval(
            self.lock_id, self.standing(by, "quinn"), self.now - timedelta(minutes=1), covers=frozenset(Rule)
        )
        return replace(approval, **changes)

    def tie(
        self, *looks: PipelineSeen, named: tuple[Observation[Run], ...] = (), who: str = HOSTED, **changes: Any
    ) -> Attribution:
        """The attribution of a lock, by everything that the looks and the named run say."""
        lock = self.info(who=who, **changes)
        return attribute(lock, looks, holders=self.holders, skew=self.policy.clock_skew, named=named)

    def case(
        self,
        *runs: Run,
        who: str = HOSTED,
        looks: tuple[PipelineSeen, ...] | None = None,
        named: tuple[Observation[Run], ...] = (),
        **changes: Any,
    ) -> Case:
        """A case about one lock. Without runs, looks or other changes it is the incident's own, and is allowed.

        The log of run 1 shows that it held the lock of a hosted runner.
        """
        shown = {"1": self.log()} if who == HOSTED else {}
        seen = looks if looks is not None else (self.look(*(runs or (self.run(),)), logs=shown),)
        case = Case(
            can=CAN,
            lock_id=self.lock_id,
            lock=self.seen(self.place(self.info(who=who))),
            state=self.check(),
            looks=seen,
            attribution=self.tie(*seen, named=named, who=who),
            requester=self.standing(),
            owner=None,
            protected=False,
            policy=self.policy,
            holders=self.holders,
            owner_id="U0ELLIOTT",
        )
        return replace(case, **changes)


@pytest.fixture(scope="session")
def make() -> Make:
    return Make()


class Chronicle:
    """A timeline being written: entries as the journal would give them back, at times of that day."""

    def __init__(self, make: Make) -> None:
        self.make = make
        self.entries: list[Entry] = []
        self.incident = Incident("inc-1", "C0STAGING", "staging", make.at("11:02"), "U0QUINN")

    def add(self, clock: str, kind: str, actor: str = "tflock", text: str = "", **facts: Any) -> Entry:
        at, plain = self.make.at(clock), json.loads(json.dumps(facts))
        entry = Entry(str(len(self.entries) + 1), at, at, kind, actor, text or kind, plain, GENESIS, "0")
        self.entries.append(entry)
        return entry

    def look(self, clock: str, **changes: Any) -> Entry:
        """A verdict with its evidence. Changes are those of an `Inspection`."""
        inspection = self.inspection(clock, **changes)
        lock = inspection.lock
        verdict = decide(self.make.case(), self.make.at(clock))
        return self.add(
            clock,
            Kind.GATE_DECIDED,
            text="unlock of staging: refuse",
            lock_id=lock.id if lock else "",
            verdict=written(VerdictFacts.of(verdict)),
            evidence=written(Evidence.of(inspection)),
        )

    def inspection(self, clock: str, **changes: Any) -> Inspection:
        """The lock of the incident, held by a deployment that timed out; nobody else wants it."""
        make = self.make
        look = make.look(make.run())
        inspection = Inspection(
            can=CAN,
            state=StateName("staging", "Staging", protected=False),
            seen=make.seen(make.place(make.info())),
            check=make.check(),
            looks=(look,),
            lock=make.info(),
            attribution=make.tie(look),
            contention=Contention((), ()),
            owner=Owner("elliott", "U0ELLIOTT", ("started the run",)),
            at=make.at(clock),
            table=self.table(),
        )
        return replace(inspection, **changes)

    def free(self, clock: str, **changes: Any) -> Inspection:
        seen = LockSeen((), (PlaceKind.ITEM,), (), self.make.at(clock))
        return self.inspection(clock, **{"seen": seen, "lock": None, "attribution": None, "owner": None, **changes})

    def crowd(self, clock: str, count: int = 47, minutes: int = 120) -> Contention:
        """So many runs of the dependency update, which has been started every minute for so long."""
        now, make = self.make.at(clock), self.make
        runs = tuple(
            make.run(
                str(900 - n), pipeline=make.update, end=None, actor="renovate[bot]", created_at=now, started_at=now
            )
            for n in range(count)
        )
        loop = Loop(
            pipeline=make.update, starts=15, first=now - timedelta(minutes=15), last=now, every=timedelta(minutes=1),
            trigger="push", actor="renovate[bot]", runs=runs, since=now - timedelta(minutes=minutes), total=minutes + 1,
        )  # fmt: skip
        return Contention(runs, (loop,))

    def table(self, *, refused: int = 0, billing: Billing = Billing.PROVISIONED, ttl: str = "") -> TableSeen:
        found = self.make.found
        return TableSeen(
            name="acme-tf-locks",
            capacity=found(TableCapacity(billing, 5, 5, "ACTIVE")),
            ttl=found(TimeToLive(enabled=bool(ttl), attribute=ttl)),
            refused=found(Refusals(0, refused, timedelta(minutes=15))),
        )

    def tell_scenario(self) -> None:
        """The incident that this program exists for, with the bot in the channel."""
        quinn, parker, lock = "U0QUINN", "U0PARKER", {"state": "staging", "lock_id": LOCK_ID}
        self.add("11:02", Kind.INCIDENT_OPENED, quinn)
        self.add("11:02", Kind.COMMAND_RECEIVED, quinn, "/tflock status staging")
        self.look("11:02")
        self.look("11:45", contention=self.crowd("11:45"), table=self.table(refused=312))
        self.add("11:54", Kind.COMMAND_RECEIVED, parker, "/tflock kill-job staging")
        loop = {"request": "k1", "state": "staging", "stop_source": True}
        self.add(
            "11:55",
            Kind.KILL_REQUESTED,
            quinn,
            **loop,
            loop=written(LoopFacts.of(self.crowd("11:55", 2, 125).loops[0])),
        )
        ended = {"ended": True, "count": 47, "switched": "done", "pipeline": "dependency-update.yml in acme/infra"}
        self.add("11:56", Kind.KILL_CONFIRMED, quinn, "47 runs ended", request="k1", state="staging", **ended, runs=[])
        self.add("12:06", Kind.COMMAND_RECEIVED, parker, "/tflock unlock staging")
        self.look("12:06", table=self.table(refused=40))
        self.add("12:06:30", Kind.OWNER_ANSWERED, "U0ELLIOTT", "says that it is dead", **lock, says="dead")
        self.add("12:07", Kind.UNLOCK_REQUESTED, parker, **lock)
        self.add("12:07:01", Kind.UNLOCK_RELEASING, parker, **lock, lock=written(LockFacts.of(self.make.info())))
        done = {"outcome": "released", "approver": "", "tries": 3, "throttled": 2, "took_seconds": 8.0}
        self.add("12:07:08", Kind.UNLOCK_RELEASED, parker, "released the lock (staging)", **lock, **done)

    def account(self, names: dict[str, str] | None = None) -> Account:
        story = Story(self.incident)
        for entry in self.entries:
            story.learn(entry)
        return story.account(now=self.make.at("12:30"), names=names or {})


@pytest.fixture
def chronicle(make: Make) -> Chronicle:
    return Chronicle(make)
