"""A model of machines, processes, people and clocks that knows who holds the lock, against the gate.

It is told nothing of the gate's rules. Each world is played out in true time; what CI systems, logs, claims and the
store would then say is derived from it, through clocks that are wrong, answers that are missing, and names that come
again. The promise is judged on what is true in the end: is the process that took the lock alive?

`MODEL_WORLDS` says how many worlds are played: 2,000 in `make test`, 100,000 in `make nightly`.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest

from bot.core.evidence import Found, NotFound, Offset, Trouble, Unseen
from bot.core.gate.attribution import Claimed, Look, Taken, Tie, log_key
from bot.core.gate.case import Case, Ruling
from bot.core.gate.claim import Claim
from bot.core.gate.decide import decide
from bot.core.gate.tie import attribute
from bot.core.joblog.values import JobLog, LogEnd, Refusal, Work
from bot.core.lock import LockInfo, StateSeen
from bot.core.people import OwnerSays
from bot.core.policy import ByTime, Holders, KnownPerson, Policy
from bot.core.run import Conclusion, Job, Phase, Pipeline, Run, RunRef

WORLDS = int(os.environ.get("MODEL_WORLDS", "2000"))
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
SKEW = 120.0
LOCK = "6638e4a0-0000-4000-8000-0000000000aa"
PATH = "acme-tfstate/environments/staging/terraform.tfstate"
LONGEST_LIFE = {"success": 20, "failed": 55, "cancelled": 300, "timed out": 300}
"""How long a process may outlive what its CI system says of its job, in seconds: less than any settle time."""


@dataclass
class Machine:
    """A host and the names of the runners that work on it, which are labels and may be anything."""

    host: str
    runners: list[str]
    system: str


@dataclass
class Process:
    """Terraform under one job (or under a person), in true time: seconds before now. `until` 0 or less: it is alive."""

    machine: Machine
    user: str
    begins: float
    until: float
    run: str | None = None
    hears_lock: bool = False
    claim: str = ""


@dataclass
class TrueJob:
    run: str
    pipeline: Pipeline
    system: str
    machine: Machine
    runner: str
    begins: float
    ends: float | None
    how: str
    process: Process | None
    mapped: bool
    log_kept: bool
    readable: bool
    was_refused: bool = False
    claim: Claim | None = None
    works_elsewhere: bool = False


@dataclass
class World:
    """Everything that is true, and how far each clock is off."""

    holder: Process
    jobs: list[TrueJob]
    taken: float
    holder_clock: float
    ci_clock: float
    store_clock: float | None
    one_state: bool
    hidden: set[Pipeline] = field(default_factory=set)
    is_persons: bool = False
    host: str = ""
    owner_says_dead: bool = False


def at(ago: float, clock: float = 0.0) -> datetime:
    return NOON - timedelta(seconds=ago) + timedelta(seconds=clock)


def any_name(rng: random.Random) -> str:
    return f"{rng.randrange(16**12):012x}"


def machines(rng: random.Random) -> list[Machine]:
    found = [
        Machine("build-1", ["build-1", "terraform-runner-2"], "GitHub Actions"),
        Machine("build-2", ["build-2", "build-1"], "GitHub Actions"),  # a label that is another machine's name
        Machine(f"fv-az{rng.randint(1, 3)}-52{rng.randint(1, 3)}", ["GitHub Actions 7"], "GitHub Actions"),
        Machine("fv-az2-522", ["Hosted Agent"], "Azure DevOps"),
        Machine("runner-t3qyxf-project-7120-concurrent-0", ["shared-1"], "GitLab CI"),
        Machine("runner-t3qyxf-project-7121-concurrent-0", ["shared-1"], "GitLab CI"),
        Machine("ip-10-0-1-23", ["agent-7"], "Jenkins"),
        Machine(any_name(rng), ["docker"], "GitLab CI"),
    ]
    rng.shuffle(found)
    return found


USERS = {"GitHub Actions": ["runner", "root"], "Azure DevOps": ["vsts"], "GitLab CI": ["root"], "Jenkins": ["jenkins"]}
PIPELINES = {
    "GitHub Actions": ("github", (("repo", "acme/infra"), ("workflow", "deploy.yml"))),
    "Azure DevOps": ("azure", (("project", "infra"), ("definition", "42"))),
    "GitLab CI": ("gitlab", (("project", "7120"), ("ref", "main"))),
    "Jenkins": ("jenkins", (("job", "infra/deploy"),)),
}


def job(rng: random.Random, number: int, machine: Machine, taken: float) -> TrueJob:
    """A job around the time of the lock; dead or alive, mapped or not, of which much or little is known."""
    begins = taken + rng.choice([-90, -30, 1, 5, 30, 100, 600])
    ends = None if rng.random() < 0.3 else max(0.0, min(begins - 1, taken - rng.choice([-100, -40, 1, 30, 400, 3000])))
    how = rng.choice(["success", "failed", "failed", "cancelled", "timed out", "lost"])
    ci, fields = PIPELINES[machine.system]
    if machine.system == "GitLab CI":
        project = "7121" if "7121" in machine.host else "7120"
        fields = (("project", project), ("ref", "main"))
    pipeline = Pipeline(ci, fields)
    return TrueJob(
        run=str(number), pipeline=pipeline, system=machine.system, machine=machine, runner=rng.choice(machine.runners),
        begins=begins, ends=ends, how=how, process=None, mapped=rng.random() < 0.8, log_kept=rng.random() < 0.6,
        readable=rng.random() < 0.9,
    )  # fmt: skip


def process_of(rng: random.Random, of: TrueJob, taken: float) -> Process:
    """The job's Terraform, which may outlive the end that its CI system says."""
    user = rng.choice(USERS[of.system])
    begins = min(of.begins - 0.5, taken + rng.choice([0.2, 2, 20]))
    if of.ends is None:
        return Process(of.machine, user, begins, 0.0, of.run)
    if of.how == "lost":
        return Process(of.machine, user, begins, rng.choice([0.0, 0.0, of.ends]), of.run)
    return Process(of.machine, user, begins, max(of.ends - rng.uniform(0, LONGEST_LIFE[of.how]), 0.0), of.run)


def make_world(rng: random.Random) -> World:
    taken = float(rng.choice([150, 400, 900, 4000, 10_000]))
    there = machines(rng)
    # most often a few jobs share one or two machines
    pool = there[: rng.choice([1, 2, 3])]
    jobs = [job(rng, n, rng.choice(pool), taken) for n in range(1, rng.randint(2, 5))]
    for each in jobs:
        each.process = process_of(rng, each, taken)
    able = [j for j in jobs if j.begins >= taken and (j.ends is None or j.process.until <= taken)]
    is_persons = not able or rng.random() < 0.12
    if is_persons:
        host = rng.choice(["elliotts-macbook", "ip-10-0-0-7", "build-1", any_name(rng)])
        user = rng.choice(["elliott", "root", "jenkins", "ec2-user"])
        holder = Process(Machine(host, [], ""), user, taken, rng.choice([0.0, taken - 20]))
    else:
        chosen = rng.choice(able)
        holder = chosen.process
        holder.begins = max(holder.begins, taken)
        if holder.until > taken:
            holder.until = taken - 1
    for each in jobs:
        if each.process is holder:
            continue
        # the others wanted the lock and were refused it, ran on another state, or did not run Terraform at all
        each.was_refused = each.begins < taken + 60 and rng.random() < 0.5
        each.works_elsewhere = not each.was_refused and rng.random() < 0.3
    world = World(
        holder=holder, jobs=jobs, taken=taken, holder_clock=rng.choice([0, 0, 1, -1, 30, -30, -900]),
        ci_clock=rng.choice([0, 0, 2, -2, 50, -50]), store_clock=rng.choice([0, 0, 1]),
        one_state=rng.random() < 0.8, is_persons=is_persons, host=holder.machine.host,
        owner_says_dead=is_persons and holder.until > 0 and rng.random() < 0.5,
    )  # fmt: skip
    world.hidden = {each.pipeline for each in jobs if rng.random() < 0.06}
    for each in jobs:
        claim_of(rng, world, each)
    return world


def claim_of(rng: random.Random, world: World, each: TrueJob) -> None:
    """Some jobs claim the state; of those some have a seal, and some have a host of their own."""
    if rng.random() > 0.35:
        return
    claim_id = f"c{each.run}"
    is_container = each.machine.runners == ["docker"] and [one.machine for one in world.jobs].count(each.machine) == 1
    sealed = rng.random() < 0.4
    if sealed and each.process is world.holder:
        world.host = f"tflock-{claim_id}"
    process = each.process
    is_over = process.until > 0
    # without a seal the wrapper may tell of its command's end while Terraform lives on
    told = (is_over and rng.random() < 0.7) or (not is_over and not sealed and rng.random() < 0.4)
    ended = process.until if is_over else max(world.taken - 10, 1.0)
    each.claim = Claim(
        id=claim_id, state="staging", host=each.machine.host, run_url=f"https://ci.example.com/{each.run}", attempt=1,
        made_at=at(max(each.begins - 0.2, process.begins)), lock_id=rng.choice([None, None, LOCK]),
        exit_code=rng.choice([0, 1, -15]) if told else None, ended_at=at(ended) if told else None,
        processes_left=(0 if sealed and is_over else rng.choice([None, 1])) if told else None,
        private_host=is_container and rng.random() < 0.7,
    )  # fmt: skip


# what the bot is told


def run_of(world: World, each: TrueJob) -> Run:
    clock, ended = world.ci_clock, each.ends is not None
    times = {"started_at": at(each.begins, clock), "ended_at": at(each.ends, clock) if ended else None}
    phase, how = (Phase.ENDED, Conclusion(each.how)) if ended else (Phase.RUNNING, None)
    machine = each.machine.host if each.system == "ECS" else None
    part = Job(each.run, "apply", 1, phase, how, host=each.runner, machine=machine, **times)
    return Run(
        ref=RunRef(each.pipeline, each.run, f"https://ci.example.com/{each.run}"), title="", actor="elliott",
        trigger="push", phase=phase, conclusion=how, attempt=1, created_at=at(each.begins + 1, clock), jobs=(part,),
        **times,
    )  # fmt: skip


def log_of(world: World, each: TrueJob) -> JobLog:
    """The lines that the job's Terraform wrote, by its machine's clock: the holder's for the holder."""
    clock = world.holder_clock if each.machine is world.holder.machine else 0.0
    whole = each.ends is not None
    prints_machine = each.runner not in {"GitHub Actions 7", "docker"} and each.system != "Jenkins"
    said = JobLog(
        machine=each.machine.host if prints_machine else None, is_whole=whole, ran_terraform=True,
        end=LogEnd.DECLARED if each.how == "lost" and whole else LogEnd.REPORTED,
    )  # fmt: skip
    last = each.ends if each.ends is not None else 0.0
    if each.process is world.holder:
        first = min(world.taken - 0.5, max(world.taken - 3, last))
        is_over = False  # the lock still stands: it never said that it had released it
        return replace(said, has_worked=True, work=(Work(at(first, clock), at(last, clock), None, is_over=is_over),))
    if each.was_refused:
        seen = max(min(each.begins - 1, world.taken - 1), last)
        return replace(said, refused=(Refusal(LOCK, at(seen, clock)),)) if seen <= world.taken else said
    if each.works_elsewhere:
        # another state, which a pipeline of this one state does not have; it names it, or is one of several
        work = Work(at(world.taken - 5, clock), at(last, clock), "environments/other/terraform.tfstate")
        return replace(said, has_worked=True, work=(work,))
    return replace(said, ran_terraform=False) if int(each.run) % 2 else said


def looks_of(world: World, rng: random.Random) -> tuple[Look, ...]:
    offset = Offset(timedelta(seconds=world.ci_clock), timedelta(seconds=1))
    mapped = sorted({each.pipeline for each in world.jobs if each.mapped})
    found = []
    for pipeline in mapped:
        mine = [each for each in world.jobs if each.pipeline == pipeline]
        system = mine[0].system
        away = Unseen(system, Trouble.TIMED_OUT, "it did not answer", NOON)
        if pipeline in world.hidden:
            found.append(Look(pipeline, system, away))
            continue
        runs = {each.run: run_of(world, each) for each in mine}
        closer = {each.run: Found(runs[each.run], NOON, offset) if each.readable else away for each in mine}
        logs = {}
        for each in mine:
            if each.readable:
                key = log_key(runs[each.run], runs[each.run].jobs[0])
                logs[key] = Found(log_of(world, each), NOON) if each.log_kept else rng.choice(
                    [away, NotFound(system, "the log", NOON)]
                )  # fmt: skip
        listed = tuple(replace(run, jobs=None) for run in runs.values())
        found.append(Look(pipeline, system, Found(listed, NOON, offset), closer, logs, one_state=world.one_state))
    return tuple(found)


def claims_of(world: World) -> tuple[Claimed, ...]:
    offset = Offset(timedelta(seconds=world.ci_clock), timedelta(seconds=1))
    known = [each for each in world.jobs if each.claim is not None]
    away = Unseen("CI", Trouble.TIMED_OUT, "it did not answer", NOON)
    return tuple(
        Claimed(each.claim, Found(run_of(world, each), NOON, offset) if each.readable else away) for each in known
    )


HOLDERS = Holders(people=(KnownPerson("elliott", "U0ELLIOTT", who=("elliott@*",)),))


def case_of(make, world: World, rng: random.Random, policy: Policy) -> Case:
    lock = LockInfo(
        LOCK, "OperationTypeApply", "", f"{world.holder.user}@{world.host}", "1.11.0",
        at(world.taken, world.holder_clock), PATH,
    )  # fmt: skip
    looks = looks_of(world, rng)
    stored = None if world.store_clock is None else at(world.taken, world.store_clock)
    taken = Taken.of(lock, stored)
    tied = attribute(
        lock, looks, holders=HOLDERS, skew=timedelta(seconds=SKEW), claims=claims_of(world), taken=taken
    )  # fmt: skip
    base: Case = make.case(looks=looks)
    state = replace(base.state.state, value=replace(base.state.state.value, last_written=at(world.taken - 1)), at=NOON)
    assert isinstance(state.value, StateSeen)
    standing = make.standing()
    fresh = {
        name: replace(getattr(standing, name), at=NOON) for name in ("member", "in_channel", "channel")
    }  # fmt: skip
    return replace(
        base, lock_id=LOCK, lock=replace(base.lock, held=(make.place(lock),), at=NOON),
        state=replace(base.state, state=state), attribution=tied, requester=replace(standing, **fresh),
        holders=HOLDERS, policy=policy,
        owner=make.answer(OwnerSays.DEAD, LOCK) if world.owner_says_dead else None,
        owner_id="U0ELLIOTT" if world.owner_says_dead else None,
    )  # fmt: skip


def is_alive(world: World) -> bool:
    return world.holder.until <= 0.0


def is_known(world: World) -> bool:
    """Whether the holder is a job that the bot can see at all: mapped, or claimed."""
    return any(each.process is world.holder and (each.mapped or each.claim is not None) for each in world.jobs)


def play(make, seed: int, policy: Policy) -> tuple[World, Case, Ruling]:
    rng = random.Random(seed)
    world = make_world(rng)
    case = case_of(make, world, rng, policy)
    return world, case, decide(case, NOON).ruling


@pytest.mark.parametrize("part", range(4))
def test_a_live_holders_lock_is_never_released_by_fewer_people_than_the_design_says(make, part):
    seen: Counter[str] = Counter()
    for seed in range(part, WORLDS, 4):
        world, case, ruling = play(make, seed, Policy())
        seen[f"{ruling} {case.attribution.tie}"] += 1
        if not is_alive(world):
            continue
        holder = next((each for each in world.jobs if each.process is world.holder), None)
        is_lost = holder is not None and holder.how == "lost" and holder.ends is not None
        told = (seed, world.host, case.attribution.tie, case.attribution.reason, holder)
        # One member never releases a living process's lock, but for a person's who sits at a job's own machine: the
        # design takes its name for that job's.
        there = [one.machine.host for one in world.jobs if one.mapped and one.begins >= world.taken - SKEW]
        sits_there = world.is_persons and case.attribution.tie is Tie.SHOWN and world.host in there
        assert ruling is not Ruling.ALLOW or sits_there, told
        # Two do so only where the bot cannot see the holder (or that it lives), and says that only the time speaks.
        if ruling is Ruling.NEEDS_APPROVAL:
            assert not is_known(world) or is_lost, told
            assert case.attribution.tie is not Tie.SEALED or is_lost, told
    assert seen["allow shown"], seen
    assert seen["allow sealed"], seen
    assert seen["needs approval by_time"], seen
    assert seen["refuse None"], seen


def test_where_the_policy_refuses_the_time_alone_no_lock_is_released_by_it(make):
    strict = Policy(by_time=ByTime.REFUSE)
    for seed in range(0, WORLDS, 10):
        _, case, ruling = play(make, seed, strict)
        if case.attribution.tie is Tie.BY_TIME and case.from_ci:
            assert ruling is Ruling.REFUSE
