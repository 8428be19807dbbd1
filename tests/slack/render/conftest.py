from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest

from bot.core.evidence import Found, Offset, Trouble, Unseen
from bot.core.gate.attribution import PipelineSeen, log_key
from bot.core.gate.case import Case, Effect, Finding, Rule, Ruling, Verdict
from bot.core.gate.contention import Contention, Loop
from bot.core.gate.decide import decide
from bot.core.gate.inspection import Inspection, Owner, StateName
from bot.core.gate.tie import attribute
from bot.core.joblog.values import JobLog, Work
from bot.core.lock import (
    Abilities,
    DigestMatch,
    DigestSeen,
    Fence,
    LockInfo,
    LockPlace,
    LockSeen,
    PlaceKind,
    StateCheck,
    StateSeen,
)
from bot.core.people import Channel, Member, Standing
from bot.core.policy import Holders, Policy
from bot.core.reports.kill import KillRequest, KillTarget, Stake
from bot.core.reports.unlock import UnlockRequest
from bot.core.run import Conclusion, Job, Phase, Pipeline, Run, RunRef
from bot.core.systems import GITHUB
from bot.sandbox.slack.text import flat
from tests.worlds.slack.blocks import problems, size

CAN = Abilities(conditional=True, fence=Fence.NONE, shows_holder=True, versions=True, swap=False)
NOW = datetime(2026, 11, 21, 11, 5, tzinfo=UTC)
DEPLOY = Pipeline("github", (("repo", "acme/infra"), ("workflow", "deploy.yml")), GITHUB.name)
_WORK = Work(NOW - timedelta(hours=2) + timedelta(seconds=4), NOW - timedelta(minutes=111))
_SHOWS = JobLog(is_whole=True, ran_terraform=True, has_worked=True, work=(_WORK,))
UPDATE = Pipeline("github", (("repo", "acme/infra"), ("workflow", "dependency-update.yml")), GITHUB.name)


@dataclass(frozen=True)
class Scene:
    """The incident of the scenario at 11:05, and what varies about it."""

    now: datetime = NOW

    @property
    def lock(self):
        return LockInfo(
            id="6f9f0e8e-7f3a-4c6d-9d3e-9a1f0d2b7c11",
            operation="OperationTypeApply",
            info="",
            who="runner@fv-az881-525",
            version="1.11.0",
            created=NOW - timedelta(hours=2),
            path="acme-tfstate/environments/staging/terraform.tfstate",
        )

    def run(self, number=123, *, pipeline=DEPLOY, phase=Phase.ENDED, conclusion=Conclusion.TIMED_OUT):
        started, ended = NOW - timedelta(minutes=123), NOW - timedelta(minutes=110)
        over = phase is Phase.ENDED
        job = Job(
            "9", "terraform", 1, phase, conclusion if over else None, started, ended if over else None, "fv-az881-525"
        )
        return Run(
            ref=RunRef(pipeline, str(number), f"https://github.com/acme/infra/actions/runs/{number}"),
            title="Deploy to staging",
            actor="elliott-ci",
            trigger="push",
            phase=phase,
            conclusion=conclusion if over else None,
            attempt=1,
            created_at=started,
            started_at=started,
            ended_at=ended if over else None,
            jobs=(job,),
        )

    def contenders(self, count):
        return tuple(
            replace(
                self.run(200 + number, pipeline=UPDATE, phase=Phase.RUNNING),
                started_at=NOW - timedelta(minutes=number % 60),
                actor="dependency-bot",
                trigger="schedule",
            )
            for number in range(count)
        )

    @property
    def loop(self):
        quarter = NOW - timedelta(minutes=15)
        return Loop(
            UPDATE, 15, quarter, NOW, timedelta(minutes=1), "schedule", "dependency-bot", self.contenders(3),
            NOW - timedelta(minutes=75), 76,
        )  # fmt: skip

    def seen(self, *places):
        places = places or (LockPlace(PlaceKind.ITEM, "acme-tf-locks / acme-tfstate/x", "fence", self.lock),)
        return LockSeen(places, (), (), NOW)

    @property
    def free(self):
        return LockSeen((), (PlaceKind.ITEM,), (), NOW)

    @property
    def unreadable(self):
        away = Unseen("DynamoDB", Trouble.TIMED_OUT, "DynamoDB did not answer within 10 s", NOW)
        return LockSeen((), (), ((PlaceKind.ITEM, away),), NOW)

    @property
    def stored(self):
        state = StateSeen(48_123, NOW - timedelta(minutes=112), "0cc1", 42, "5e1b", "1.11.0", None)
        return StateCheck(Found(state, NOW), DigestSeen(DigestMatch.MATCHES, "x-md5", "0cc1", "0cc1"))

    def inspection(self, seen=None, *, run=None, check=None, contended=True, protected=False):
        seen, run, lock = seen or self.seen(), run or self.run(), (seen or self.seen()).lock
        read = Found(run, NOW, Offset(timedelta(0), timedelta(0)))
        logs = {log_key(run, job): Found(_SHOWS, NOW) for job in run.jobs or ()}
        look = PipelineSeen(DEPLOY, "GitHub Actions", Found((run,), NOW), {run.ref.id: read}, logs, one_state=True)
        tied = None if lock is None else attribute(lock, (look,), holders=Holders(), skew=timedelta(minutes=2))
        return Inspection(
            can=CAN,
            state=StateName("staging", "Staging, all services", protected),
            seen=seen,
            check=check or self.stored,
            looks=(look,),
            lock=lock,
            attribution=tied,
            contention=Contention(self.contenders(47), (self.loop,)) if contended else Contention((), ()),
            owner=Owner("elliott", "U0ELLIOTT", ("the run was started as elliott-ci",)) if lock else None,
            at=NOW,
        )

    def verdict(self, inspection, *, owner=None, at=NOW):
        case = Case(
            can=CAN,
            lock_id=inspection.lock.id if inspection.lock else self.lock.id,
            lock=inspection.seen,
            state=inspection.check,
            looks=inspection.looks,
            attribution=inspection.attribution,
            requester=self.standing("U0QUINN", "quinn"),
            owner=owner,
            protected=inspection.state.protected,
            policy=Policy(),
            holders=Holders(),
        )
        return decide(case, at)

    def standing(self, user, name):
        here = Channel("C0STAGING", "inc-staging", is_direct=False, is_archived=False)
        return Standing(
            user_id=user,
            home_team="T1",
            member=Found(self.member(user, name), NOW),
            in_channel=Found(value=True, at=NOW),
            in_groups=None,
            channel=Found(here, NOW),
            is_incident_channel=True,
        )

    def member(self, user, name):
        return Member(
            id=user,
            name=name,
            team_id="T1",
            is_bot=False,
            is_guest=False,
            is_stranger=False,
            is_deleted=False,
            tz="Europe/Paris",
            tz_offset=3600,
        )

    def refusal(self, *, waits, until=None):
        reason = ("the state was written at ", NOW - timedelta(seconds=30))
        finding = Finding(Rule.QUIET, Effect.REFUSES, reason, until=until, waits=waits)
        return Verdict(Ruling.REFUSE, (finding,))

    @property
    def unlock_request(self):
        return UnlockRequest("r7k2", "staging", self.lock.id, "C0STAGING", "U0QUINN", NOW, "deployments are blocked")

    @property
    def kill_request(self):
        return KillRequest("k3m9", "staging", self.lock.id, "staging", "C0STAGING", "U0QUINN", NOW)

    @property
    def loop_target(self):
        return KillTarget("loop:0", self.contenders(3), Stake.CONTENDS, self.loop)

    def run_target(self, tie=Stake.HOLDS, number=123):
        return KillTarget(f"run:{number}", (self.run(number, phase=Phase.RUNNING),), tie)


@pytest.fixture(scope="session")
def scene():
    return Scene()


@pytest.fixture(scope="session")
def written():
    """A message as a person reads it, with what each button carries."""

    def write(message):
        controls = [line for block in message.blocks for line in _controls(block)]
        return "\n".join([f"({message.text})", flat({"blocks": message.blocks}), *controls])

    return write


def _controls(block):
    for element in block.get("elements", ()):
        if "action_id" in element:
            yield f"{element['action_id']} = {element.get('value', '')} {element.get('style', '')}".rstrip()
            for option in element.get("options", ()):
                yield f"    {option['text']['text']} = {option['value']}"
            if confirm := element.get("confirm"):
                yield f"    {' | '.join(confirm[part]['text'] for part in ('title', 'text', 'confirm', 'deny'))}"


@pytest.fixture(scope="session")
def sound():
    """Checks that Slack takes a message, and that it says something in a notification."""

    def check(message):
        for blocks in (message.blocks, message.plain or message.blocks):
            assert problems(blocks) == []
            assert size(blocks) + len(message.text) <= 11_000
        assert message.text.strip()
        assert message.blocks

    return check
