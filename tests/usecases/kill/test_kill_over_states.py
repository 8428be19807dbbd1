"""`kill-job` on a pipeline of several states: whichever was asked for, the strictest of them counts."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bot.core.gate.inspection import StateName
from bot.core.gate.stages import KillStage
from bot.core.lock import LockInfo, PlaceKind
from bot.core.policy import ApprovalPolicy, Approvers
from bot.core.reports.kill import KillReport, Stake, StateStake, not_covered
from bot.core.run import Cancelled, CancelResult, Conclusion, Phase, Pipeline, RunRef
from bot.errors import NotPermitted
from bot.slack.render import kill_message
from bot.usecases.kill import kill_job
from bot.usecases.world import State
from tests.worlds.memory.ci import MemoryCI
from tests.worlds.memory.memory import MemoryLockBackend, MemoryStore, lock_text
from tests.worlds.memory.world import CHANNEL, DEPLOY

QUINN, PARKER = "U0QUINN", "U0PARKER"
REORDERED = Pipeline("github", (("workflow", "deploy.yml"), ("repo", "Acme/Infra")))
WITH_BRANCH = Pipeline("github", (*DEPLOY.fields, ("branch", "main")))
BY_NUMBER, BY_PATH, OTHER_PATH = (
    Pipeline("github", (("repo", "acme/infra"), ("workflow", workflow)))
    for workflow in ("12345", ".github/workflows/deploy.yml", ".github/workflows/other.yml")
)
RENAMED = Pipeline("github-2", DEPLOY.fields)
OTHER = Pipeline("github", (("repo", "acme/infra"), ("workflow", "other.yml")))


class StubbornCI(MemoryCI):
    """Takes a cancellation and goes on; `asked` says by which means, `answers` what it says before it accepts."""

    asked: list[str]
    answers: list[CancelResult]

    async def cancel(self, ref, *, force):  # noqa: ARG002 - the port's signature
        self.asked.append("force" if force else "cancel")
        return Cancelled(self.answers.pop(0) if force and self.answers else CancelResult.ACCEPTED)


@pytest.fixture
def city(make_paper):
    """`staging`, and `production` with a store of its own, both mapped to one pipeline. Its run goes on."""

    def make(*, protected=False, mapped=DEPLOY, approvers=None):
        paper = make_paper()
        paper.production = MemoryStore((PlaceKind.FILE,))
        backend = MemoryLockBackend(paper.production, paper.clock, paper.switchboard)
        name = StateName("production", "", protected)
        state = State(name, backend, "memory", (mapped,), approvers=approvers)
        paper.ci = StubbornCI(paper.clock, (DEPLOY,), switchboard=paper.switchboard)
        paper.ci.asked, paper.ci.answers = [], []
        paper.ports.sources["github"] = paper.ci
        paper.ports = replace(paper.ports, states={**paper.ports.states, "production": state})
        paper.ci.start("1001", DEPLOY, host="runner-1", actor="elliott-ci")
        paper.pass_time(60)
        return paper

    return make


def lock(paper, store, lock_id="lock-1", who="runner@fv-az1-1"):
    info = LockInfo(lock_id, "OperationTypeApply", "", who, "1.9.8", paper.clock.now(), "p")
    for kind in store.kinds:
        store.write(kind, lock_text(info))


def ask(paper, target="staging"):
    return paper.run(kill_job.ask(paper.ports, kill_job.KillCommand(target, QUINN, CHANNEL, paper.incident.id)))


def click(paper, report, user=QUINN):
    work = kill_job.confirm(paper.ports, report.request.id, report.chosen.key, user=user, stop_source=False)
    paper.run(work)
    paper.pass_time(5)


def approve(paper, report, user=PARKER):
    paper.run(kill_job.approve(paper.ports, report.request.id, report.chosen.key, user=user))
    paper.pass_time(5)


def stage(paper):
    return paper.messenger.all(KillReport)[-1].stage


def goes_on(paper):
    return paper.ci.known["1001"].phase is Phase.RUNNING and not paper.ci.asked


@pytest.mark.parametrize("mapped", [DEPLOY, REORDERED, WITH_BRANCH, BY_NUMBER, BY_PATH])
@pytest.mark.parametrize("target", ["staging", "1001"])
def test_one_click_asked_through_one_state_does_not_end_the_run_that_may_hold_anothers_lock(city, mapped, target):
    paper = city(mapped=mapped)
    lock(paper, paper.production)

    report = ask(paper, target)
    click(paper, report)

    assert stage(paper) is KillStage.APPROVAL
    assert goes_on(paper)
    assert paper.production.texts
    assert {tie.state: tie.tie for tie in report.chosen.ties}["production"] is Stake.HOLDS
    assert "production" in str(kill_message(report).blocks)

    approve(paper, report)
    assert paper.ci.asked == ["cancel"]


@pytest.mark.parametrize("protected", [False, True])
def test_where_no_state_of_it_is_locked_one_click_ends_it(city, protected):
    paper = city(protected=protected)

    click(paper, ask(paper))

    assert paper.ci.asked == ["cancel"]


@pytest.mark.parametrize("mapped", [OTHER, OTHER_PATH])
def test_the_lock_of_a_state_of_another_pipeline_does_not_count(city, mapped):
    paper = city(mapped=mapped)
    lock(paper, paper.production)

    click(paper, ask(paper))

    assert paper.ci.asked == ["cancel"]
    assert paper.production.texts


@pytest.mark.parametrize("protected", [True, False])
def test_the_policy_of_a_protected_state_counts_even_if_only_another_one_is_locked(city, protected):
    policy = ApprovalPolicy(by=Approvers.GROUP, groups=("S0LEADS",))
    paper = city(protected=protected, approvers=policy)
    lock(paper, paper.store)
    report = ask(paper)
    click(paper, report)
    assert stage(paper) is KillStage.APPROVAL
    assert ("(protected)" in str(kill_message(report).blocks)) is protected

    if protected:
        with pytest.raises(NotPermitted, match="not in a group that may approve"):
            approve(paper, report)
        assert goes_on(paper)
        paper.directory.groups["S0LEADS"] = [PARKER]
    approve(paper, report)

    assert paper.ci.asked == ["cancel"]


def test_a_lock_that_cannot_be_read_may_be_the_runs(city):
    paper = city()
    paper.production.write(PlaceKind.FILE, "no lock info")

    click(paper, ask(paper))

    assert stage(paper) is KillStage.APPROVAL
    assert goes_on(paper)


@pytest.mark.parametrize("who", ["jenkins@build-1", "root@gha-999"], ids=["not blamed", "not known"])
@pytest.mark.parametrize("which", ["1001", "1002"])
def test_whatever_may_hold_a_lock_whose_holder_is_not_known_takes_two(city, who, which):
    paper = city()
    paper.ports = replace(paper.ports, holders=replace(paper.ports.holders, run_id_hosts=("*@gha-{run}",)))
    lock(paper, paper.production, who=who)
    paper.pass_time(3600)
    paper.ci.start("1002", DEPLOY, host="runner-2", actor="elliott-ci")  # too late to be the holder
    paper.pass_time(60)

    report = ask(paper, which)
    click(paper, report)

    if which == "1001":
        assert stage(paper) is KillStage.APPROVAL
        assert goes_on(paper)
        approve(paper, report)
    assert paper.ci.asked == ["cancel"]
    assert paper.production.texts


def half(paper, kind, run):
    info = LockInfo(f"lock-{kind}", "OperationTypeApply", "", f"root@gha-{run}", "1.9.8", paper.clock.now(), "p")
    paper.store.write(kind, lock_text(info))


@pytest.mark.parametrize("which", ["1001", "1002", "1003"])
def test_the_holder_of_either_of_two_locks_takes_two(city, which):
    paper = city()
    paper.ports = replace(paper.ports, holders=replace(paper.ports.holders, run_id_hosts=("*@gha-{run}",)))
    for run in ("1002", "1003"):
        paper.ci.start(run, DEPLOY, host="runner-2", actor="elliott-ci")
    paper.pass_time(60)
    half(paper, PlaceKind.FILE, "1001")
    half(paper, PlaceKind.ITEM, "1002")

    report = ask(paper, which)
    click(paper, report)

    if which != "1003":
        assert stage(paper) is KillStage.APPROVAL
        assert not paper.ci.asked
        assert len(paper.store.texts) == 2
        approve(paper, report)
    assert paper.ci.asked == ["cancel"]
    assert len(paper.store.texts) == 2


HALVES = (PlaceKind.FILE, PlaceKind.ITEM)


@pytest.mark.parametrize("kind", HALVES)
@pytest.mark.parametrize("is_readable", [False, True])
def test_what_stands_in_the_other_place_and_cannot_be_read_may_be_the_runs(city, kind, is_readable):
    paper = city()
    paper.ports = replace(paper.ports, holders=replace(paper.ports.holders, run_id_hosts=("*@gha-{run}",)))
    paper.ci.start("1002", DEPLOY, host="runner-2", actor="elliott-ci")
    paper.pass_time(60)
    for place in HALVES:
        half(paper, place, "1001")
    if not is_readable:
        paper.store.write(kind, "no lock info")

    report = ask(paper, "1002")
    click(paper, report)

    if not is_readable:
        assert stage(paper) is KillStage.APPROVAL
        assert not paper.ci.asked
        assert len(paper.store.texts) == 2
        approve(paper, report)
    assert paper.ci.asked == ["cancel"]
    assert len(paper.store.texts) == 2


@pytest.mark.parametrize(
    ("policy", "words"),
    [
        (ApprovalPolicy(by=Approvers.NOBODY), "lets nobody approve"),
        (ApprovalPolicy(by=Approvers.GROUP, groups=("S0LEADS",)), "not in a group that may approve"),
        (ApprovalPolicy(by=Approvers.OWNER), "owner of the lock"),
    ],
)
def test_the_approval_policy_of_every_state_counts(city, policy, words):
    paper = city(approvers=policy)
    lock(paper, paper.production)
    report = ask(paper)

    async def both():
        clicked = (paper.ports, report.request.id, report.chosen.key)
        await kill_job.confirm(*clicked, user=QUINN, stop_source=False)
        await kill_job.approve(*clicked, user=PARKER)

    with pytest.raises(NotPermitted, match=words):
        paper.run(both())

    paper.pass_time(5)
    assert goes_on(paper)
    assert paper.production.texts


def test_a_second_member_whom_the_policy_of_every_state_allows_ends_it(city):
    paper = city(approvers=ApprovalPolicy(by=Approvers.GROUP, groups=("S0LEADS",)))
    paper.directory.groups["S0LEADS"] = [PARKER]
    lock(paper, paper.production)
    report = ask(paper)
    click(paper, report)

    approve(paper, report)

    assert paper.ci.asked == ["cancel"]


@pytest.mark.parametrize(
    ("policy", "words"),
    [
        (ApprovalPolicy(by=Approvers.OWNER), "the owner of the lock of production"),
        (ApprovalPolicy(by=Approvers.GROUP, groups=("S0LEADS",)), "a member of the approval group of production"),
        (ApprovalPolicy(), "Anyone else in this channel can approve"),
    ],
)
def test_the_message_says_whom_the_policies_let_approve(city, policy, words):
    paper = city(approvers=policy)
    lock(paper, paper.production)
    click(paper, ask(paper))

    shown = str(kill_message(paper.messenger.all(KillReport)[-1]).blocks)

    assert words in shown
    assert ("Anyone else in this channel" in shown) == (policy.by is Approvers.MEMBER)


def test_whoever_started_the_run_may_not_approve_its_end_where_the_policy_says_so(city):
    paper = city(approvers=ApprovalPolicy(not_by_run_actor=True))
    lock(paper, paper.production)
    report = ask(paper)
    click(paper, report)

    with pytest.raises(NotPermitted, match="started the run"):
        approve(paper, report, user="U0ELLIOTT")

    assert goes_on(paper)
    approve(paper, report)
    assert paper.ci.asked == ["cancel"]


def test_an_approval_is_refused_if_the_run_may_hold_one_more_lock_by_then(city):
    paper = city(protected=True)
    lock(paper, paper.store)
    report = ask(paper)
    click(paper, report)
    lock(paper, paper.production)

    with pytest.raises(NotPermitted, match="may now hold the lock of production"):
        approve(paper, report)

    assert goes_on(paper)
    assert paper.production.texts


# ── every step looks again


def test_force_minutes_later_stops_in_words_if_the_run_has_become_a_possible_holder(city):
    paper = city()
    click(paper, ask(paper))
    lock(paper, paper.production)

    paper.pass_time(400)

    assert paper.ci.asked == ["cancel"]
    assert stage(paper) is KillStage.STOPPED
    shown = str(kill_message(paper.messenger.all(KillReport)[-1]).blocks)
    assert "may now hold the lock of `production`" in shown
    assert "second person" in shown
    assert paper.production.texts


def test_force_minutes_later_goes_on_if_nothing_has_changed(city):
    paper = city()
    click(paper, ask(paper))

    paper.pass_time(400)

    assert paper.ci.asked == ["cancel", "force"]


def test_force_that_is_not_possible_yet_is_asked_for_again_and_what_is_not_possible_is_not(city):
    paper = city()
    click(paper, ask(paper))
    paper.ci.answers = [CancelResult.NOT_YET, CancelResult.NOT_YET, CancelResult.NOT_POSSIBLE]

    paper.pass_time(400)

    assert paper.ci.asked == ["cancel", "force", "force", "force"]


def test_force_goes_on_against_the_holder_whose_end_two_have_agreed_to(city):
    paper = city()
    lock(paper, paper.production)
    report = ask(paper)
    click(paper, report)
    approve(paper, report)

    paper.pass_time(400)

    assert paper.ci.asked == ["cancel", "force"]


def test_force_stops_if_the_holder_has_another_lock_than_the_one_that_was_agreed_to(city):
    paper = city()
    lock(paper, paper.production)
    report = ask(paper)
    click(paper, report)
    approve(paper, report)
    lock(paper, paper.production, "lock-2")

    paper.pass_time(400)

    assert paper.ci.asked == ["cancel"]
    assert stage(paper) is KillStage.STOPPED


def test_a_kill_that_waited_in_the_queue_looks_before_its_first_step(city):
    paper = city()
    report = ask(paper)
    work = kill_job.confirm(paper.ports, report.request.id, report.chosen.key, user=QUINN, stop_source=False)
    paper.run(work)
    lock(paper, paper.production)

    paper.pass_time(5)

    assert paper.ci.asked == []
    assert stage(paper) is KillStage.STOPPED


def loop(paper):
    """Five starts of the pipeline within minutes; all but the first have ended."""
    for number in range(1002, 1006):
        paper.ci.start(str(number), DEPLOY, host="runner-1", actor="elliott-ci")
        paper.ci.end(str(number), Conclusion.FAILED)
        paper.pass_time(20)


def stop_loop(paper):
    report = ask(paper)
    assert report.chosen.loop is not None
    work = kill_job.confirm(paper.ports, report.request.id, report.chosen.key, user=QUINN, stop_source=True)
    paper.run(work)


def test_a_loops_source_is_left_on_if_a_run_of_it_has_become_a_possible_holder(city):
    paper = city()
    loop(paper)
    stop_loop(paper)
    lock(paper, paper.production)

    paper.pass_time(5)

    assert paper.ci.off == set()
    assert goes_on(paper)
    assert stage(paper) is KillStage.STOPPED
    assert paper.production.texts


def test_a_loops_source_is_switched_off_if_nothing_has_changed(city):
    paper = city()
    loop(paper)
    stop_loop(paper)

    paper.pass_time(5)

    assert paper.ci.off == {DEPLOY}
    assert paper.ci.asked == ["cancel"]


@pytest.mark.parametrize(
    ("tie", "covers", "is_covered"),
    [
        (StateStake("s", Stake.HOLDS, lock_ids=("1",)), {"holds s 1"}, True),
        (StateStake("s", Stake.HOLDS, lock_ids=("1",)), {"holds s "}, True),
        (StateStake("s", Stake.HOLDS, lock_ids=("1",)), {"holds s 2"}, False),
        (StateStake("s", Stake.HOLDS, lock_ids=("1",)), {"holds st 1"}, False),
        (StateStake("s", Stake.HOLDS, lock_ids=("1", "2")), {"holds s 1"}, False),
        (StateStake("s", Stake.HOLDS), {"holds s 1"}, True),
        (StateStake("s", Stake.HOLDS), set(), False),
        (StateStake("s", Stake.UNREAD), set(), False),
        (StateStake("s", Stake.CONTENDS), set(), True),
        (StateStake("s", Stake.NO_LOCK, protected=True), set(), True),
        (StateStake("s", Stake.HOLDS, protected=True, lock_ids=("1",)), {"protected s"}, False),
    ],
)
def test_a_consent_is_for_the_locks_that_it_was_given_for(tie, covers, is_covered):
    assert (not_covered([tie], covers, is_loop=False) == ()) is is_covered


@pytest.mark.parametrize(
    ("one", "other", "do"),
    [
        (DEPLOY, REORDERED, True),
        (DEPLOY, WITH_BRANCH, True),
        (DEPLOY, OTHER, False),
        (WITH_BRANCH, Pipeline("github", (*DEPLOY.fields, ("branch", "dev"))), False),
        (DEPLOY, RENAMED, True),
        (DEPLOY, Pipeline("gitlab", DEPLOY.fields), False),
    ],
)
def test_entries_of_one_pipeline_are_told_by_their_keys_and_their_system(city, one, other, do):
    paper = city()
    paper.ports.sources["github-2"] = MemoryCI(paper.clock, (RENAMED,), name="github-2")
    paper.ports.sources["gitlab"] = MemoryCI(paper.clock, (), name="gitlab", system="GitLab CI")

    assert paper.ports.may_share_runs(one, other) is paper.ports.may_share_runs(other, one) is do


@pytest.mark.parametrize("target", ["staging", "1001"])
@pytest.mark.parametrize("system", ["GitHub Actions", "GitLab CI"])
def test_a_system_under_two_names_is_one_system(city, target, system):
    paper = city(mapped=RENAMED)
    second = MemoryCI(paper.clock, (RENAMED,), name="github-2", system=system, switchboard=paper.switchboard)
    paper.ports.sources["github-2"] = second
    if system == "GitHub Actions":
        second.known = {
            key: replace(run, ref=RunRef(RENAMED, run.ref.id, run.ref.url)) for key, run in paper.ci.known.items()
        }
    lock(paper, paper.production)

    report = ask(paper, target)
    click(paper, report)

    if system == "GitHub Actions":
        assert stage(paper) is KillStage.APPROVAL
        assert goes_on(paper)
        approve(paper, report)
    assert paper.ci.asked == ["cancel"]
    assert paper.production.texts
