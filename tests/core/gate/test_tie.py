"""What ties a run to a lock, and what excludes one: each refusal beside a twin that differs in one thing."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from bot.core.evidence import Offset
from bot.core.gate.attribution import Claimed, Strength, Taken, Tie, log_key
from bot.core.gate.case import Rule, Ruling
from bot.core.gate.claim import Claim
from bot.core.gate.decide import decide
from bot.core.gate.exclusions import is_same_machine, may_be_one
from bot.core.gate.tie import attribute
from bot.core.joblog.values import UNKNOWN_STATE, JobLog, LockRefusal, LogEnd
from bot.core.people import OwnerSays
from bot.core.phrase import plain
from bot.core.policy import Holders, KnownPerson
from bot.core.run import Conclusion, Phase, Pipeline
from tests.core.conftest import HOSTED

OWN = "ci@build-1"


@pytest.fixture(scope="module")
def ids():
    return lambda tied: [candidate.run.ref.id for candidate in tied.candidates]


@pytest.fixture(scope="module")
def on(make):
    """A run whose one job was on a machine, by its runner's label `label`."""

    def _on(run_id, machine=None, end="09:15", *, label="build-1", **changes):
        return make.run(run_id, end=end, jobs=(make.job(end=end, host=label, machine=machine, **changes),))

    return _on


@pytest.fixture(scope="module")
def ruling(make):
    """What the gate makes of a lock with this `Who`."""

    def _ruling(*looks, who=OWN, **changes):
        return decide(make.case(looks=looks, who=who, **changes), make.now).ruling

    return _ruling


# machines and labels


def test_a_runners_label_is_no_machine_and_ties_by_time_alone(make, on, ruling):
    labelled, known = make.look(on("1")), make.look(on("1", "build-1"))

    assert make.tie(labelled, who=OWN).tie is Tie.BY_TIME
    assert make.tie(known, who=OWN).tie is Tie.SHOWN
    assert ruling(labelled) is Ruling.REFUSE  # a person can have this name
    assert ruling(known) is Ruling.ALLOW


def test_two_runners_of_one_machine_must_both_be_dead(make, on, ruling):
    """Runner build-1 is dead, terraform-runner-2 on the same machine lives and holds the lock."""
    dead = on("1", "build-1")

    alive = on("2", end=None, label="terraform-runner-2")
    assert ruling(make.look(dead, alive)) is Ruling.REFUSE
    assert ruling(make.look(dead, on("2", label="terraform-runner-2"))) is Ruling.ALLOW
    assert ruling(make.look(dead, replace(alive, jobs=(replace(alive.jobs[0], machine="build-2"),)))) is Ruling.ALLOW


@pytest.mark.parametrize("machine", ["build-1.example.com", "build-1-b", None])
def test_a_machine_that_may_be_the_locks_excludes_nobody(make, on, ids, machine):
    assert ids(make.tie(make.look(on("1", "build-1"), on("2", machine)), who=OWN)) == ["1", "2"]


def test_a_run_that_is_known_to_have_been_on_another_machine_is_out_and_said_to_be(make, on, ids):
    tied = make.tie(make.look(on("1", "build-1"), on("2", "build-12", end=None)), who=OWN)

    assert ids(tied) == ["1"]
    assert plain(tied.ruled_out[0]) == "deploy.yml in acme/infra #2 was on another machine, build-12"


def test_a_run_that_could_not_be_read_stays_a_possible_holder(make, on, ids, ruling):
    dead = on("1", "build-1")
    hidden = make.look(dead, on("2", "build-2"), closer={"2": make.unseen()})

    assert ids(make.tie(hidden, who=OWN)) == ["1", "2"]
    assert ruling(hidden) is Ruling.REFUSE
    assert ruling(make.look(dead, on("2", "build-2"))) is Ruling.ALLOW


def test_the_head_of_a_log_names_the_machine_on_which_its_terraform_was_at_work(make, on):
    def tie(who="runner@build-1", *, one_state=True, **log):
        killed = make.log(make.work(last="09:05:30"), machine="build-1")  # alone it shows nothing
        look = make.look(on("1"), logs={"1": replace(killed, **log)}, one_state=one_state)
        return make.tie(look, who=who).tie

    assert tie() is Tie.SHOWN
    assert tie(elsewhere=True) is Tie.SHOWN
    assert tie(is_whole=False) is Tie.BY_TIME
    assert tie(work=(make.work(last="09:05:30", is_ended=True),)) is Tie.BY_TIME  # it gave its lock back
    assert tie(machine=None) is Tie.BY_TIME
    assert tie(without_lock=True) is Tie.BY_TIME
    assert tie(work=(make.work(is_over=True),)) is Tie.BY_TIME  # it says what the job was at, and that it was done
    assert tie(work=(make.work(state="environments/other/terraform.tfstate"),)) is Tie.BY_TIME


@pytest.mark.parametrize(
    ("who", "tie"),
    [("runner@build-1", Tie.SHOWN), ("elliott@build-1", Tie.BY_TIME), ("root@build-1", Tie.BY_TIME)],
)
def test_where_two_clocks_disagree_a_person_at_work_on_the_machine_is_not_taken_for_its_job(make, on, who, tie):
    """One clock wrote the lock and the log, so that of the store does not matter."""
    look = make.look(on("1"), logs={"1": make.log(make.work("09:08"), machine="build-1")})

    assert tie_of(make, who, looks=(look,), taken=Taken.of(make.info(), make.at("09:07:30"))).tie is tie


@pytest.mark.parametrize(
    ("changes", "log"),
    [
        ({}, {"work": ()}),  # `make plan`: nobody knows what ran below it
        ({"one_state": False}, {}),
        ({}, {"has_several": True}),
        ({}, {"work": "told later"}),
    ],
)
def test_on_a_machine_of_several_jobs_one_that_nobody_mapped_may_hold_the_lock_under_the_same_account(
    make, on, ruling, changes, log
):
    """The dead job was there, too, at work on something else. On a machine of its own nobody else is."""
    work = make.work(last="09:05:30")
    log = {"work": (replace(work, after=make.at("09:05:20")),)} if log == {"work": "told later"} else log
    said = make.log(work, machine="build-1")

    look = make.look(on("1"), logs={"1": replace(said, **log)}, **changes)
    assert make.tie(look, who="runner@build-1").tie is Tie.BY_TIME
    assert ruling(look, who="gitlab-runner@build-1") is Ruling.REFUSE
    named = replace(work, state="acme-tfstate/environments/staging/terraform.tfstate")
    shown = make.look(on("1"), logs={"1": replace(said, work=(named,))}, **changes)
    assert make.tie(shown, who="runner@build-1").tie is Tie.SHOWN
    own = make.look(on("1", "build-1"), logs={"1": replace(said, work=())}, **changes)
    assert make.tie(own, who="runner@build-1").tie is Tie.SHOWN


def test_of_a_runs_jobs_only_those_count_that_nothing_excludes(make):
    there, elsewhere = make.job(id="1", machine="build-1"), make.job(id="2", machine="build-2")
    tied = make.tie(make.look(make.run(jobs=(there, elsewhere))), who=OWN)

    assert tied.candidates[0].jobs == (there,)
    ruled_out = make.tie(make.look(make.run(jobs=(elsewhere,))), who=OWN).ruled_out
    assert [plain(why) for why in ruled_out] == ["deploy.yml in acme/infra #1 was on another machine, build-2"]
    others = make.tie(make.look(make.run()), who="vsts@fv-az1-1").ruled_out
    assert [plain(why).partition(" is of ")[0] for why in others] == ["deploy.yml in acme/infra #1"]


@pytest.mark.parametrize("has_worked", [True, False])
def test_only_a_terraform_that_ran_elsewhere_outlives_the_job_that_was_cancelled(make, has_worked):
    log = make.log(elsewhere=True, has_worked=has_worked, work=(make.work(),) if has_worked else ())
    look = make.look(make.run(conclusion=Conclusion.CANCELLED), logs={"1": log})

    assert make.tie(look).candidates[0].is_declared is has_worked


def test_a_lock_without_a_host_was_taken_on_no_other_machine(make, on):
    def possible(who):
        return [one.run.ref.id for one in make.tie(make.look(on("1", "build-1")), who=who).possible]

    assert (possible("root@"), possible("root@build-2")) == (["1"], [])


def test_a_run_whose_own_claim_was_on_the_locks_host_was_there_whatever_its_log_says(make):
    look = make.look(make.run(), logs={"1": make.log(machine="build-7")})
    mine = claimed(make, make.run(), host="959fcba5e7a7")

    assert [one.run.ref.id for one in tie_of(make, "root@959fcba5e7a7", mine, looks=(look,)).possible] == ["1"]
    assert tie_of(make, "root@959fcba5e7a7", looks=(look,)).possible == ()


def test_another_machine_excludes_only_by_a_whole_log_of_a_job_that_ran_nowhere_else(make, on, ids):
    def possible(**log):
        untimed = JobLog(is_whole=True, ran_terraform=True, has_worked=True, machine="build-7")
        return ids(make.tie(make.look(on("1"), logs={"1": replace(untimed, **log)}), who=OWN))

    assert possible() == []
    assert possible(is_whole=False) == ["1"]
    assert possible(elsewhere=True) == ["1"]
    assert possible(machine="build-1") == ["1"]


@pytest.mark.parametrize(
    ("last", "is_ended", "how", "tie"),
    [
        ("09:05:30", False, Conclusion.TIMED_OUT, Tie.SHOWN),  # killed: nobody gave its lock back
        ("09:05:30", False, Conclusion.FAILED, Tie.SHOWN),
        ("09:05:30", True, Conclusion.FAILED, Tie.BY_TIME),
        ("09:05:30", False, Conclusion.SUCCESS, Tie.BY_TIME),
        ("09:06:59", True, Conclusion.FAILED, Tie.BY_TIME),
        ("09:07:00", True, Conclusion.FAILED, Tie.SHOWN),  # no clock within the allowance was so slow
        ("09:07:00", True, Conclusion.SUCCESS, Tie.SHOWN),
    ],
)
def test_terraform_that_came_to_its_own_end_may_have_had_an_earlier_lock(make, last, is_ended, how, tie):
    looks = (make.look(make.run(conclusion=how), logs={"1": make.log(make.work(last=last, is_ended=is_ended))}),)

    assert tie_of(make, HOSTED, looks=looks, taken=Taken.of(make.info(), make.created)).tie is tie


@pytest.mark.parametrize(("last", "tie"), [("09:07:59", Tie.BY_TIME), ("09:08:00", Tie.SHOWN)])
def test_terraform_that_came_to_its_own_end_has_to_last_longer_the_farther_two_clocks_are_apart(make, last, tie):
    """The holder's clock is a minute slow by the store's, and another one may be two."""
    work = make.work("09:06:00", last, is_ended=True)
    looks = (make.look(make.run(conclusion=Conclusion.FAILED), logs={"1": make.log(work)}),)

    assert tie_of(make, HOSTED, looks=looks, taken=Taken.of(make.info(), make.at("09:06:00"))).tie is tie


@pytest.mark.parametrize(("has_several", "tie"), [(True, Tie.BY_TIME), (False, Tie.SHOWN)])
def test_a_key_without_its_bucket_names_no_state_in_a_log_of_several(make, has_several, tie):
    work = make.work(state="environments/staging/terraform.tfstate")
    look = make.look(make.run(), logs={"1": make.log(work, has_several=has_several)})

    assert make.tie(look).tie is tie


@pytest.mark.parametrize(("who", "tie"), [("root@959fcba5e7a7", Tie.BY_TIME), (HOSTED, Tie.SHOWN)])
def test_the_clock_of_a_container_is_not_known_to_be_kept_because_its_job_was_on_a_hosted_machine(make, who, tie):
    """It was killed soon, and no store tells the time. The log is of a job that ran commands in containers."""
    run = make.run(end="09:05:40", conclusion=Conclusion.CANCELLED)
    log = make.log(make.work(last="09:05:30", is_last=True), machine="fv-az881-525", elsewhere=True)

    assert make.tie(make.look(run, logs={"1": log}), who=who).tie is tie


@pytest.mark.parametrize(
    ("changes", "how", "log"),
    [
        ({"is_ended": True}, Conclusion.FAILED, {}),
        ({"is_interrupted": True}, Conclusion.CANCELLED, {}),  # Terraform was asked to stop, and may have done so
        ({}, Conclusion.SUCCESS, {}),
        ({}, Conclusion.TIMED_OUT, {"is_whole": False}),  # nobody knows how it ended
    ],
)
@pytest.mark.parametrize(
    ("who", "machine"), [(HOSTED, None), ("runner@build-1", "build-1"), ("root@959fcba5e7a7", None)]
)
def test_without_the_stores_clock_a_command_that_may_have_given_its_lock_back_is_not_blamed_for_the_next_one(
    make, who, machine, changes, how, log
):
    """A job of a pipeline that nobody mapped began with it, waited (`-lock-timeout`), and has the lock now: alive."""

    def tied(stored=None, **given):
        given = {"how": Conclusion.TIMED_OUT, "log": {}, **given}
        work = make.work(is_last=True, **given.pop("changes", {}))
        run = make.run(conclusion=given["how"])
        looks = (make.look(run, logs={"1": make.log(work, machine=machine, **given["log"])}),)
        taken = Taken.of(make.info(), stored)
        case = make.case(looks=looks, who=who, attribution=tie_of(make, who, looks=looks, taken=taken))
        return case.attribution.tie, decide(case, make.now).ruling

    tie, said = tied(changes=changes, how=how, log=log)
    assert (tie, said is Ruling.ALLOW) == (Tie.BY_TIME, False)
    assert tied(make.at("09:14:30"), changes=changes, how=how, log=log)[0] is Tie.BY_TIME
    assert tied()[0] is Tie.SHOWN
    assert tied(make.created, changes=changes, how=how, log=log)[0] is Tie.SHOWN


@pytest.mark.parametrize(("end", "tie"), [("09:05", Tie.SHOWN), ("09:04:59", Tie.BY_TIME)])
def test_a_machine_shows_only_a_job_that_ran_when_the_lock_was_taken(make, on, end, tie):
    assert make.tie(make.look(on("1", "build-1", end)), who=OWN).tie is tie


@pytest.mark.parametrize("host", ["fv-az881-525", "runnervmmklqx"])
def test_a_machines_name_that_many_share_shows_nothing(make, on, host):
    assert make.tie(make.look(on("1", host)), who=f"runner@{host}").tie is Tie.BY_TIME


def test_a_task_is_on_its_host_with_or_without_the_domain(make, on):
    task = make.look(on("1", "ip-10-0-1-23.eu-west-1.compute.internal"), system="ECS")

    assert make.tie(task, who="root@ip-10-0-1-23").tie is Tie.SHOWN
    assert make.tie(task, who="root@ip-10-0-1-23.us-east-1.compute.internal").tie is None


def test_a_machine_does_not_show_a_lock_of_somebody_whom_the_configuration_knows(make, on):
    holders = replace(make.holders, people=(KnownPerson("quinn", who=("quinn@*",)),))
    look = make.look(on("1", "build-1"))

    def tie(user):
        lock = make.info(who=f"{user}@build-1")
        return attribute(lock, (look,), holders=holders, skew=make.policy.clock_skew).tie

    assert tie("quinn") is Tie.BY_TIME
    assert tie("ci") is Tie.SHOWN


# logs


def test_a_log_shows_its_run_and_the_run_that_was_refused_this_lock_is_out(make, ids):
    looks = make.look(make.run("1"), make.run("2"), logs={"1": make.log(), "2": make.refused()})

    tied = make.tie(looks)

    assert (tied.strength, tied.tie, ids(tied)) == (Strength.LOG, Tie.SHOWN, ["1"])
    assert "#2 was refused this very lock: the log of job apply shows it" in plain(tied.ruled_out[0])


def test_the_run_that_failed_on_the_lock_is_not_its_holder(make, ruling):
    """The likeliest run to be blamed for the lock of a pipeline that is not in the configuration."""
    hosted = "runner@fv-az881-525"

    assert ruling(make.look(make.run(), logs={"1": make.refused()}), who=hosted) is Ruling.REFUSE
    assert ruling(make.look(make.run(), logs={"1": make.refused("another")}), who=hosted) is Ruling.NEEDS_APPROVAL


def test_a_live_run_is_excluded_by_its_log_and_not_by_the_lack_of_one(make, ruling):
    runs = make.run("1"), make.run("2", end=None)
    unfinished = replace(make.refused(), is_whole=False)
    hosted = "runner@fv-az881-525"

    assert ruling(make.look(*runs, logs={"1": make.log()}), who=hosted) is Ruling.REFUSE
    assert ruling(make.look(*runs, logs={"1": make.log(), "2": unfinished}), who=hosted) is Ruling.REFUSE
    assert ruling(make.look(*runs, logs={"1": make.log(), "2": make.refused()}), who=hosted) is Ruling.ALLOW


@pytest.mark.parametrize(
    ("changes", "is_out"),
    [({}, True), ({"is_whole": False}, False), ({"ran_terraform": True}, False), ({"elsewhere": True}, False)],
)
def test_only_a_whole_log_without_terraform_rules_its_run_out(make, ids, changes, is_out):
    log = replace(JobLog(is_whole=True), **changes)

    assert (ids(make.tie(make.look(make.run(), logs={"1": log}))) == []) is is_out


@pytest.mark.parametrize(
    ("work", "tie"),
    [
        ({}, Tie.SHOWN),
        ({"first": "09:04:59"}, Tie.BY_TIME),
        ({"is_over": True}, Tie.BY_TIME),
        ({"is_begun": False}, Tie.BY_TIME),
    ],
)
def test_a_log_shows_only_work_that_began_under_this_lock_and_was_not_done(make, work, tie):
    first = work.get("first", "09:05:04")
    span = make.work(first, **{key: value for key, value in work.items() if key != "first"})

    assert make.tie(make.look(make.run(), logs={"1": make.log(span)})).tie is tie


@pytest.mark.parametrize(
    ("one_state", "named", "tie"),
    [
        (True, None, Tie.SHOWN),
        (False, None, Tie.BY_TIME),
        (False, "environments/staging/terraform.tfstate", Tie.BY_TIME),  # of a bucket that the log does not name
        (True, "environments/staging/terraform.tfstate", Tie.SHOWN),
        (True, UNKNOWN_STATE, Tie.BY_TIME),
        (False, "acme-tfstate/environments/staging/terraform.tfstate", Tie.SHOWN),
        (False, "g/terraform.tfstate", Tie.BY_TIME),
        (True, "environments/production/terraform.tfstate", Tie.BY_TIME),
    ],
)
def test_a_log_shows_nothing_of_a_state_that_it_may_not_mean(make, one_state, named, tie):
    look = make.look(make.run(), logs={"1": make.log(make.work(state=named))}, one_state=one_state)

    assert make.tie(look).tie is tie


@pytest.fixture(scope="module")
def after_a_cancel(make):
    """A run ended at 09:02; another one began at 09:04 and failed at 09:06. The lock of 09:05, as it is seen then."""

    def case(now, *, how=Conclusion.CANCELLED, system="GitHub Actions", who=HOSTED, logs=None):
        then, pipeline = replace(make, now=make.at(now)), replace(make.deploy, system=system)
        gone = make.run("1", start="08:40", end="09:02", pipeline=pipeline, conclusion=how)
        failed = make.run("2", start="09:04", end="09:06", pipeline=pipeline, conclusion=Conclusion.FAILED)
        look = then.look(gone, failed, pipeline=pipeline, system=system, logs=logs)
        state, named = then.check(make.state(last_written=make.at("09:00"))), (then.found(failed),)
        return then.case(looks=(look,), who=who, state=state, named=named if "gha-" in who else ())

    return case


@pytest.mark.parametrize(
    ("how", "system", "now", "wanted"),
    [
        (Conclusion.CANCELLED, "GitHub Actions", "09:10:29", Ruling.REFUSE),
        (Conclusion.CANCELLED, "GitHub Actions", "09:10:30", Ruling.NEEDS_APPROVAL),
        (Conclusion.TIMED_OUT, "GitLab CI", "09:16:09", Ruling.REFUSE),
        (Conclusion.TIMED_OUT, "GitLab CI", "09:16:10", Ruling.NEEDS_APPROVAL),
        (Conclusion.LOST, "GitHub Actions", "09:15:59", Ruling.REFUSE),
        (Conclusion.LOST, "GitHub Actions", "09:16:00", Ruling.NEEDS_APPROVAL),
        (Conclusion.FAILED, "GitHub Actions", "09:10:29", Ruling.NEEDS_APPROVAL),
    ],
)
def test_a_process_that_outlived_its_run_may_have_taken_the_lock_after_that(
    make, after_a_cancel, ids, how, system, now, wanted
):
    """Its next command did. The other run only wanted the lock; its log could not be read."""
    who = "root@runner-t3qyxf-project-7120-concurrent-0" if system == "GitLab CI" else HOSTED
    case = after_a_cancel(now, how=how, system=system, who=who)
    verdict = decide(case, make.at(now))

    assert (case.attribution.tie, ids(case.attribution)) == (Tie.BY_TIME, ["2"])
    assert verdict.ruling is wanted
    assert [finding.rule for finding in verdict.refusals] == ([Rule.SETTLED] if wanted is Ruling.REFUSE else [])
    if wanted is Ruling.REFUSE:
        assert plain(verdict[Rule.SETTLED].reason).startswith("deploy.yml in acme/infra #1: after")


@pytest.mark.parametrize("how", [Conclusion.CANCELLED, Conclusion.LOST])
@pytest.mark.parametrize("is_shown", [True, False])
def test_what_shows_the_holder_is_enough_for_one_member_once_that_process_is_gone(
    make, after_a_cancel, ids, is_shown, how
):
    """However it ended: a run that was lost, and then did not get the lock, does not call for a second member."""
    logs = {"2": make.log(make.work("09:05:04", "09:05:50"), begun_at=make.at("09:04"))} if is_shown else {}
    early, late = (after_a_cancel(now, how=how, logs=logs) for now in ("09:10:29", "09:16:00"))

    assert ids(late.attribution) == ["2"]
    assert late.attribution.tie is (Tie.SHOWN if is_shown else Tie.BY_TIME)
    assert decide(early, make.at("09:10:29")).ruling is Ruling.REFUSE
    assert decide(late, make.at("09:16:00")).ruling is (Ruling.ALLOW if is_shown else Ruling.NEEDS_APPROVAL)


@pytest.mark.parametrize(("who", "wanted"), [("runner@gha-2-1", Ruling.ALLOW), (HOSTED, Ruling.REFUSE)])
def test_a_lock_that_names_its_run_waits_for_no_other_process(make, after_a_cancel, who, wanted):
    case = after_a_cancel("09:09", who=who)

    assert case.attribution.tie is (Tie.SEALED if wanted is Ruling.ALLOW else Tie.BY_TIME)
    assert decide(case, make.at("09:09")).ruling is wanted


@pytest.mark.parametrize(("end", "is_out"), [("09:02", False), ("09:15", True)])
def test_what_a_process_does_that_outlived_its_job_is_in_no_log(make, end, is_out):
    """The job was cancelled before its script came to Terraform."""
    run = make.run(start="08:40", end=end, conclusion=Conclusion.CANCELLED)
    tied = make.tie(make.look(run, logs={"1": JobLog(is_whole=True)}))

    assert [bool(tied.possible), bool(tied.ruled_out), tied.candidates] == [not is_out, is_out, ()]


@pytest.mark.parametrize("log", [{"refused": True}, {"machine": "build-2", "is_whole": True}])
@pytest.mark.parametrize("how", [Conclusion.CANCELLED, Conclusion.FAILED])
def test_a_process_is_where_its_job_was_and_had_no_lock_that_was_refused_to_it(make, how, log):
    said = make.refused() if "refused" in log else JobLog(ran_terraform=True, **log)
    run = make.run(start="08:40", end="09:02", conclusion=how)

    assert make.tie(make.look(run, logs={"1": said}), who="runner@build-1").possible == ()
    assert bool(make.tie(make.look(run), who="runner@build-1").possible) is (how is Conclusion.CANCELLED)


def test_a_run_that_was_over_is_blamed_for_nothing_though_its_process_may_have_the_lock(make):
    tied = make.tie(make.look(make.run(start="08:40", end="09:02", conclusion=Conclusion.CANCELLED)))

    assert (tied.tie, tied.candidates) == (None, ())
    assert "#1 had ended before, and at most its process can have taken it" in plain(tied.reason)
    assert [one.run.ref.id for one in tied.possible] == ["1"]


def test_two_logs_that_both_show_work_cannot_both_be_right(make):
    look = make.look(make.run("1"), make.run("2"), logs={"1": make.log(), "2": make.log()})

    assert make.tie(look).tie is Tie.BY_TIME


@pytest.mark.parametrize(
    ("beside", "one_state", "named", "tie"),
    [
        ("refused", True, None, Tie.BY_TIME),
        ("works", True, None, Tie.BY_TIME),
        ("worked for a moment", True, None, Tie.BY_TIME),
        ("worked before", True, None, Tie.BY_TIME),
        ("worked before", False, "acme-tfstate/environments/staging/terraform.tfstate", Tie.SHOWN),
        ("refused", False, "acme-tfstate/environments/staging/terraform.tfstate", Tie.SHOWN),
        ("refused another lock", True, None, Tie.SHOWN),
        ("had come to its end", True, None, Tie.SHOWN),
        ("did not lock", True, None, Tie.SHOWN),
        ("writes the same log", True, None, Tie.SHOWN),
    ],
)
def test_a_run_that_works_on_several_states_at_once_is_not_shown_by_the_job_of_another_one(
    make, ruling, beside, one_state, named, tie
):
    """A matrix, of which one state is configured: the job of that one waits for a holder whom nobody has mapped."""
    mine = make.log(make.work(state=named))
    log = {
        "refused": make.refused(),
        "works": make.log(make.work("09:05:06")),
        "worked for a moment": make.log(make.work(last="09:05:10")),
        "worked before": make.log(make.work("09:03", "09:08")),
        "refused another lock": make.refused(lock_id="6638e4a0-0000-4000-8000-0000000000ff"),
        "had come to its end": make.log(make.work("09:03", "09:05:30")),
        "did not lock": make.log(make.work("09:03", "09:08"), without_lock=True),
        "writes the same log": mine,
    }[beside]
    run = make.run(jobs=(make.job(), make.job(id="12", name="apply (network)")))
    look = make.look(run, logs={"1": mine}, one_state=one_state)
    look = replace(look, logs=look.logs | {log_key(run, run.jobs[1]): make.found(log)})

    assert make.tie(look).tie is tie
    assert ruling(look, who=HOSTED) is (Ruling.ALLOW if tie is Tie.SHOWN else Ruling.NEEDS_APPROVAL)


@pytest.mark.parametrize(("machine", "tie"), [("build-1", Tie.BY_TIME), ("build-2", Tie.SHOWN)])
def test_of_two_jobs_at_work_on_the_locks_machine_neither_is_shown(make, machine, tie):
    runs = make.run("1"), make.run("2")
    logs = {"1": make.log(machine="build-1"), "2": make.log(make.work(last="09:05:50"), machine=machine)}

    assert make.tie(make.look(*runs, logs=logs), who="runner@build-1").tie is tie


@pytest.mark.parametrize(
    ("who", "tie"),
    [
        ("runner@fv-az881-525", Tie.SHOWN),
        ("root@959fcba5e7a7", Tie.SHOWN),
        ("alice@thinkpad", Tie.BY_TIME),
        ("alice@build-1", Tie.SHOWN),  # the job's own machine
        ("deploy@bastion", Tie.BY_TIME),
        ("atlantis@atlantis-0", None),
        ("AzDevOps@pool-7", None),
        ("jenkins@build-1", None),
        ("root@ip-10-0-0-7.ec2.internal", None),
    ],
)
def test_work_in_a_log_outweighs_a_name_that_a_job_can_have_and_no_other(make, ruling, who, tie):
    """Another process holds the lock, beside a hosted job that was at work without one or on something else."""
    machine = "build-1" if who == "alice@build-1" else None
    run = make.run(jobs=(make.job(host="GitHub Actions 7", machine=machine),))
    look = make.look(run, logs={"1": make.log()})

    assert make.tie(look, who=who).tie is tie
    assert (ruling(look, who=who) is Ruling.ALLOW) is (tie is Tie.SHOWN)


@pytest.mark.parametrize(("machine", "tie"), [("thinkpad", Tie.SHOWN), ("build-1", Tie.BY_TIME)])
def test_a_persons_name_is_a_jobs_only_on_the_jobs_own_machine(make, machine, tie):
    """A job that runs commands elsewhere as well is excluded by no machine."""
    look = make.look(make.run(), logs={"1": make.log(machine=machine, elsewhere=True)})

    assert make.tie(look, who="alice@thinkpad").tie is tie


@pytest.mark.parametrize(
    ("who", "actor", "tie"),
    [
        ("alice@", "Alice", Tie.SHOWN),  # a job's token has the account of who started the run
        ("alice@", "bob", Tie.BY_TIME),
        ("alice@thinkpad", "alice", Tie.BY_TIME),  # a machine is named, and it is none of the job's
        ("@", "", Tie.SHOWN),
    ],
)
def test_an_account_without_a_machine_is_a_jobs_if_it_started_the_run(make, ruling, who, actor, tie):
    look = make.look(make.run(actor=actor), logs={"1": make.log()})

    assert make.tie(look, who=who).tie is tie
    assert (ruling(look, who=who) is Ruling.ALLOW) is (tie is Tie.SHOWN)


def test_a_known_persons_account_is_a_jobs_only_if_it_started_the_run(make):
    holders = replace(make.holders, people=(KnownPerson("alice", who=("alice@*",)),))
    looks = {actor: make.look(make.run(actor=actor), logs={"1": make.log()}) for actor in ("alice", "bob")}

    lock, skew = make.info(who="alice@"), make.policy.clock_skew
    tied = {actor: attribute(lock, [look], holders=holders, skew=skew).tie for actor, look in looks.items()}
    anyone = replace(make.holders, people=(KnownPerson("ops", who=("*",)),))
    nobodys = attribute(
        make.info(who="@"), [make.look(make.run(actor=""), logs={"1": make.log()})], holders=anyone, skew=skew
    )
    assert nobodys.tie is Tie.BY_TIME

    assert tied == {"alice": Tie.SHOWN, "bob": Tie.BY_TIME}


def test_a_log_shows_no_slot_of_another_project(make):
    def tie(project):
        pipeline = Pipeline("gitlab", (("project", project),))
        run = make.run(pipeline=pipeline)
        look = make.look(run, pipeline=pipeline, system="GitLab CI", logs={"1": make.log()})
        return make.tie(look, who="root@runner-t3qyxf-project-7120-concurrent-0").tie

    assert (tie("7120"), tie("999")) == (Tie.SHOWN, None)


def killed_after(make, seconds, *, who="runner@fv-az881-525", stored=None, after="09:04:58", **changes):
    """A job at work from 09:05:04 until it was killed so many seconds later, with another lock: somebody broke that
    one, and by the clock of the one who took the next, it is of 09:05. `stored` is what the store's clock says.
    """
    last = make.at("09:05:04") + timedelta(seconds=seconds)
    work = replace(make.work(), last=last, after=after and make.at(after))
    taken = Taken.of(make.info(), stored and make.at(stored))
    run = make.run(jobs=(make.job(host="ubuntu-1"),))
    looks = (make.look(run, logs={"1": make.log(work, **changes)}),)
    return tie_of(make, who, looks=looks, taken=taken).tie


@pytest.mark.parametrize("seconds", [20, 500])
@pytest.mark.parametrize("who", ["runner@fv-az881-525", "root@959fcba5e7a7", "runner@build-1"])
def test_a_lock_that_the_store_wrote_after_the_work_had_begun_is_another_ones(make, seconds, who):
    """The next holder's clock is slow, or it had waited for the lock (`-lock-timeout`)."""
    machine = "build-1" if who.endswith("build-1") else None

    assert killed_after(make, seconds, who=who, stored="09:05:05", machine=machine) is Tie.SHOWN
    assert killed_after(make, seconds, who=who, stored="09:05:06", machine=machine) is Tie.BY_TIME
    assert killed_after(make, seconds, who=who, stored="10:05:00", machine=machine) is Tie.BY_TIME


@pytest.mark.parametrize(
    ("who", "how", "tie"),
    [
        ("runner@fv-az881-525", {}, Tie.SHOWN),
        ("runner@fv-az881-525", {"after": None}, Tie.BY_TIME),
        ("runner@fv-az881-525", {"after": "09:05:06"}, Tie.BY_TIME),  # the job's own lock is of then
        ("root@959fcba5e7a7", {}, Tie.BY_TIME),  # on a machine whose clock nobody knows
        ("root@959fcba5e7a7", {"stored": "09:05:00"}, Tie.SHOWN),
        ("root@959fcba5e7a7", {"machine": "959fcba5e7a7"}, Tie.SHOWN),
        ("root@959fcba5e7a7", {"machine": "959fcba5e7a7", "after": None}, Tie.BY_TIME),
    ],
)
def test_without_the_stores_clock_a_job_that_was_killed_soon_is_shown_where_one_clock_or_a_kept_one_says_so(
    make, who, how, tie
):
    assert killed_after(make, 20, who=who, **how) is tie
    assert killed_after(make, 115, who=who, **how) is tie
    is_told_too_late = how.get("after") == "09:05:06"
    assert killed_after(make, 116, who=who, **how) is (Tie.BY_TIME if is_told_too_late else Tie.SHOWN)


@pytest.mark.parametrize(
    ("changes", "job", "tie"),
    [
        ({}, {}, Tie.SHOWN),
        ({"is_last": False}, {}, Tie.BY_TIME),  # the job did something else until its end
        ({"is_ended": True}, {}, Tie.BY_TIME),
        ({}, {"end": "09:07"}, Tie.SHOWN),
        ({}, {"end": "09:06:59"}, Tie.BY_TIME),
        ({}, {"ended_at": None}, Tie.BY_TIME),
        ({}, {"end": None}, Tie.SHOWN),
        ({"is_last": False}, {"end": None}, Tie.BY_TIME),
    ],
)
def test_a_silent_command_that_was_killed_went_on_until_its_job_ended(make, changes, job, tie):
    """Without the store's clock, on a machine that nobody knows."""
    work = make.work(last="09:05:15", **{"is_last": True, **changes})
    run = make.run(
        jobs=(replace(make.job(end=job.get("end", "09:15")), **{k: v for k, v in job.items() if k != "end"}),)
    )

    assert make.tie(make.look(run, logs={"1": make.log(work)}), who="root@959fcba5e7a7").tie is tie


@pytest.mark.parametrize(("end", "tie"), [("09:08:59", Tie.BY_TIME), ("09:09", Tie.SHOWN)])
def test_a_job_ended_no_earlier_than_by_the_slowest_clock_that_its_ci_system_may_have(make, end, tie):
    run = make.run(end=end)
    unmeasured = replace(make.found(run), offset=None)
    look = make.look(run, closer={"1": unmeasured}, logs={"1": make.log(make.work(last="09:05:15", is_last=True))})

    assert make.tie(look, who="root@959fcba5e7a7").tie is tie


def test_of_a_log_that_was_not_read_to_its_end_only_what_was_read_counts(make):
    work = make.work(last="09:05:15", is_last=True)

    def tie(**log):
        look = make.look(make.run(), logs={"1": make.log(work, **log)})
        return tie_of(make, "root@959fcba5e7a7", looks=(look,)).tie

    assert tie(is_whole=False, is_read=True) is Tie.SHOWN
    assert tie(is_whole=False) is Tie.BY_TIME


@pytest.mark.parametrize(
    ("changes", "log", "tie"),
    [
        ({}, {}, Tie.SHOWN),
        ({}, {"is_whole": False, "is_read": True}, Tie.SHOWN),
        ({}, {"is_whole": False}, Tie.BY_TIME),
        ({"is_ended": True}, {}, Tie.BY_TIME),
        ({"is_ended": True, "after": "09:04:58"}, {}, Tie.BY_TIME),
        ({"is_last": False, "after": "09:04:58"}, {}, Tie.SHOWN),
    ],
)
def test_on_the_locks_machine_too_a_command_goes_on_until_its_job_ends_only_if_nothing_ended_it(
    make, on, changes, log, tie
):
    """Nobody knows when it was told to run, unless the log says so."""
    after = changes.get("after")
    work = make.work(last="09:05:15", **{"is_last": True, **changes, "after": after and make.at(after)})
    look = make.look(on("1"), logs={"1": make.log(work, machine="build-1", **log)})

    assert make.tie(look, who="runner@build-1").tie is tie


@pytest.mark.parametrize(("machine", "tie"), [("959fcba5e7a7", Tie.SHOWN), ("build-1", Tie.BY_TIME)])
def test_the_clock_of_another_machine_is_not_the_locks(make, machine, tie):
    """What runs in a container of its own has another name than the machine."""
    assert killed_after(make, 20, who="root@959fcba5e7a7", machine=machine, elsewhere=True) is tie


def test_a_slots_name_is_on_many_machines_and_says_nothing_of_a_clock(make):
    slot = "runner-t3qyxf-project-7120-concurrent-0"
    look = make.look(
        make.run(), system="GitLab CI",
        logs={"1": make.log(make.work(last="09:05:30", after=make.at("09:04:58")), machine=slot)},
    )  # fmt: skip

    assert make.tie(look, who=f"root@{slot}").tie is Tie.BY_TIME
    assert tie_of(make, f"root@{slot}", looks=(look,), taken=Taken.of(make.info(), make.created)).tie is Tie.SHOWN


@pytest.mark.parametrize(
    ("who", "log", "changes", "tie"),
    [
        ("runner@build-1", {"begun_at": "09:02:05"}, {}, Tie.SHOWN),
        ("runner@build-1", {"begun_at": "09:02:06"}, {}, Tie.BY_TIME),
        ("root@959fcba5e7a7", {"begun_at": "09:02:05", "machine": None}, {}, Tie.SHOWN),
        ("root@959fcba5e7a7", {"begun_at": "09:02:06", "machine": None}, {}, Tie.BY_TIME),
        ("runner@build-1", {"begun_at": "09:01:30"}, {}, Tie.SHOWN),  # it is slow
        ("runner@build-1", {"begun_at": None}, {}, Tie.BY_TIME),
        ("runner@build-1", {"begun_at": "09:02:05"}, {"started_at": None}, Tie.BY_TIME),
        ("runner@build-1", {"begun_at": "09:02:05"}, {"offset": None}, Tie.BY_TIME),
        (
            "runner@build-1",
            {"begun_at": "09:02:05"},
            {"offset": Offset(timedelta(0), timedelta(seconds=1))},
            Tie.BY_TIME,
        ),
        ("runner@fv-az881-525", {"begun_at": "09:02:50", "machine": None}, {}, Tie.SHOWN),  # those clocks are kept
        ("runner@fv-az881-525", {"begun_at": "09:02:50", "machine": "fv-az881-525"}, {}, Tie.SHOWN),
        ("runner@fv-az881-525", {"begun_at": "09:02:50", "is_whole": False}, {}, Tie.BY_TIME),  # not that of build-1
    ],
)
def test_a_log_that_seems_to_begin_late_may_have_a_fast_clock_and_shows_nothing_near_the_stores_time(
    make, who, log, changes, tie
):
    """Its own lock was broken seconds after its first line. By its clock, that was after this lock was stored."""
    log = {"machine": "build-1", **log, "begun_at": log["begun_at"] and make.at(log["begun_at"])}
    job = replace(make.job(), **{key: value for key, value in changes.items() if key != "offset"})
    run = make.run(jobs=(job,))
    read = replace(make.found(run), **{key: value for key, value in changes.items() if key == "offset"})
    looks = (make.look(run, closer={"1": read}, logs={"1": make.log(**log)}),)
    tied = tie_of(make, who, looks=looks, taken=Taken.of(make.info(), make.created))

    assert tied.tie is tie
    assert (decide(make.case(looks=looks, who=who, attribution=tied), make.now).ruling is Ruling.ALLOW) is (
        tie is Tie.SHOWN
    )


@pytest.mark.parametrize(("ahead", "tie"), [(0, Tie.SHOWN), (1, Tie.SHOWN), (2, Tie.BY_TIME)])
def test_a_log_whose_clock_is_fast_by_that_of_its_ci_system_shows_nothing(make, ahead, tie):
    """By its own clock the job was at work after its end. So its work may have begun before this lock was taken."""
    work = replace(make.work(), last=make.at("09:15") + timedelta(seconds=ahead))

    assert make.tie(make.look(make.run(), logs={"1": make.log(work)})).tie is tie


@pytest.mark.parametrize(("ahead", "tie"), [(121, Tie.SHOWN), (122, Tie.BY_TIME)])
def test_where_the_ci_systems_clock_was_not_measured_it_may_be_as_slow_as_clocks_may(make, ahead, tie):
    run = make.run()
    work = replace(make.work(), last=make.at("09:15") + timedelta(seconds=ahead))
    unmeasured = replace(make.found(run), offset=None)

    assert make.tie(make.look(run, closer={"1": unmeasured}, logs={"1": make.log(work)})).tie is tie


def test_a_job_that_goes_on_has_no_end_to_measure_its_clock_by(make):
    log = make.log(is_whole=False)

    for ended in (None, make.at("09:06")):  # a step's, and not the job's
        goes_on = make.run(end=None, jobs=(make.job(end=None, ended_at=ended),))
        assert make.tie(make.look(goes_on, logs={"1": log})).tie is Tie.SHOWN
    over = make.run(jobs=(make.job(ended_at=make.at("09:06")),))
    assert make.tie(make.look(over, logs={"1": log})).tie is Tie.BY_TIME


@pytest.mark.parametrize(
    ("elsewhere", "how", "wanted"),
    [
        (True, Conclusion.CANCELLED, Ruling.NEEDS_APPROVAL),
        (True, Conclusion.TIMED_OUT, Ruling.NEEDS_APPROVAL),
        (True, Conclusion.FAILED, Ruling.ALLOW),
        (False, Conclusion.CANCELLED, Ruling.ALLOW),
    ],
)
def test_what_ran_on_another_machine_or_in_a_container_may_outlive_a_job_that_was_broken_off(
    make, ruling, elsewhere, how, wanted
):
    """`ssh bastion terraform apply`, `docker run …`: only the client of it dies with the job."""
    run = make.run(conclusion=how, jobs=(make.job(conclusion=how),))

    assert ruling(make.look(run, logs={"1": make.log(elsewhere=elsewhere)}), who="root@959fcba5e7a7") is wanted


# runs by number

NUMBERED = "ci@gha-100-1"
JOB_A, JOB_B = (Pipeline("jenkins", (("job", name),)) for name in "ab")


@pytest.mark.parametrize(("is_alive", "wanted"), [(True, Ruling.REFUSE), (False, Ruling.ALLOW)])
def test_every_run_of_the_number_must_be_dead_also_where_its_list_gave_no_answer(make, ruling, is_alive, wanted):
    dead = make.run("100", pipeline=JOB_A)
    other = make.run("100", end=None if is_alive else "09:15", pipeline=JOB_B)
    looks = (
        make.look(dead, pipeline=JOB_A, system="Jenkins"),
        make.look(pipeline=JOB_B, listing=make.unseen(), system="Jenkins"),
    )

    assert ruling(*looks, who=NUMBERED, named=(make.found(dead), make.found(other))) is wanted


@pytest.mark.parametrize(("is_listed", "wanted"), [(False, Ruling.REFUSE), (True, Ruling.ALLOW)])
def test_a_job_that_cannot_be_seen_at_all_may_have_a_run_of_the_number(make, ruling, is_listed, wanted):
    """Jenkins says 404 where Job/Read is missing."""
    dead = make.run("100", pipeline=JOB_A)
    listing = None if is_listed else make.not_found()
    looks = (
        make.look(dead, pipeline=JOB_A, system="Jenkins"),
        make.look(pipeline=JOB_B, listing=listing, system="Jenkins"),
    )

    assert ruling(*looks, who=NUMBERED, named=(make.found(dead), make.not_found())) is wanted


@pytest.mark.parametrize("is_listed", [True, False])
@pytest.mark.parametrize(("seconds", "wanted"), [(400, Ruling.REFUSE), (700, Ruling.ALLOW)])
def test_a_run_that_was_found_by_its_number_settles_as_its_system_does(make, ruling, seconds, wanted, is_listed):
    """gitlab-runner kills 610 s after a cancel."""
    pipeline = Pipeline("gitlab", (("project", "acme/infra"),))
    ended = make.now - timedelta(seconds=seconds)
    run = make.run("100", pipeline=pipeline, conclusion=Conclusion.CANCELLED)
    run = replace(run, ended_at=ended, jobs=tuple(replace(job, ended_at=ended) for job in run.jobs))
    look = make.look(*([run] if is_listed else []), pipeline=pipeline, system="GitLab CI")

    assert ruling(look, who=NUMBERED, named=(make.found(run),)) is wanted


@pytest.mark.parametrize("is_listed", [True, False])
@pytest.mark.parametrize(
    ("end", "ahead", "wanted"),
    [
        ("09:05:01", None, Ruling.ALLOW),
        ("09:04:59", None, Ruling.NEEDS_APPROVAL),
        ("09:03:01", None, Ruling.NEEDS_APPROVAL),
        ("09:02:59", None, Ruling.REFUSE),
        ("09:05:04", 1, Ruling.ALLOW),  # measured: the CI's clock is a second ahead, give or take one
        ("09:05:01", 1, Ruling.NEEDS_APPROVAL),
    ],
)
def test_a_name_that_outlived_its_run_may_be_that_of_the_next_job_on_the_machine(
    make, ruling, end, ahead, wanted, is_listed
):
    """`sudo hostname` on a machine that is used again. The next job is of a pipeline that nobody mapped, and lives."""
    offset = None if ahead is None else Offset(timedelta(seconds=ahead), timedelta(seconds=1))
    run = make.run("100", end=end, pipeline=JOB_A, conclusion=Conclusion.FAILED)
    seen = replace(make.found(run), offset=offset)
    look = make.look(*([run] if is_listed else []), pipeline=JOB_A, closer={"100": seen}, system="Jenkins")

    assert ruling(look, who=NUMBERED, named=(seen,)) is wanted


@pytest.mark.parametrize(("stored", "wanted"), [("09:05:30", Ruling.NEEDS_APPROVAL), ("09:05:09", Ruling.ALLOW)])
def test_a_name_outlived_its_run_also_if_only_the_stores_clock_says_so(make, stored, wanted):
    """The next job's clock is slow."""
    run = make.run("100", end="09:05:10", pipeline=JOB_A)
    look, lock = make.look(run, pipeline=JOB_A, system="Jenkins"), make.info(who=NUMBERED)
    tied = attribute(
        lock, (look,), holders=make.holders, skew=make.policy.clock_skew, named=(make.found(run),),
        taken=Taken.of(lock, make.at(stored)),
    )  # fmt: skip

    assert decide(make.case(looks=(look,), who=NUMBERED, attribution=tied), make.now).ruling is wanted


@pytest.mark.parametrize(("end", "wanted"), [(None, Ruling.REFUSE), ("09:15", Ruling.NEEDS_APPROVAL)])
def test_where_a_name_may_have_outlived_its_run_every_other_possible_holder_must_be_dead(make, ruling, end, wanted):
    run = make.run("100", end="09:04:59", pipeline=JOB_A)
    other = make.run("101", end=end, pipeline=JOB_A)
    look = make.look(run, other, pipeline=JOB_A, system="Jenkins")
    mute = make.look(pipeline=JOB_B, listing=make.unseen(), system="Jenkins")

    assert ruling(look, who=NUMBERED, named=(make.found(run),)) is wanted
    assert ruling(look, mute, who=NUMBERED, named=(make.found(run),)) is Ruling.REFUSE
    tied = make.tie(look, who=NUMBERED, named=(make.found(run),))
    assert [one.run.ref.id for one in tied.possible] == ["100", "101"]


@pytest.mark.parametrize(("end", "tie"), [("09:15", Tie.SEALED), ("09:04:59", Tie.BY_TIME)])
def test_of_two_runs_of_the_number_one_that_was_there_is_enough(make, end, tie):
    runs = [make.run("100", end="09:04:59", pipeline=JOB_A), make.run("100", end=end, pipeline=JOB_B)]
    looks = [make.look(run, pipeline=run.ref.pipeline, system="Jenkins") for run in runs]
    tied = make.tie(*looks, who=NUMBERED, named=tuple(map(make.found, runs)))

    assert (tied.tie, len(tied.candidates)) == (tie, 2)


# whose names


@pytest.mark.parametrize(
    ("who", "system", "is_blamed"),
    [
        ("runner@fv-az881-525", "GitHub Actions", True),
        ("runner@fv-az881-525", "Jenkins", False),
        ("vsts@fv-az881-525", "Azure DevOps", True),
        ("vsts@fv-az881-525", "GitHub Actions", False),
        ("root@fv-az881-525", "GitHub Actions", True),
        ("root@fv-az881-525", "GitLab CI", False),
        ("root@runner-t3qyxf-project-7120-concurrent-0", "GitLab CI", True),
        ("root@runner-t3qyxf-project-7120-concurrent-0", "GitHub Actions", False),
        ("vsts@elliott-thinkpad", "GitHub Actions", False),
        ("circleci@b7d68aa09910", "GitHub Actions", False),
        ("root@26971319d02b", "GitHub Actions", True),
        ("@terraformer-5b465fc77-2crvx", "Jenkins", True),
    ],
)
def test_a_name_that_belongs_to_another_system_is_blamed_on_nobody(make, ruling, who, system, is_blamed):
    look = make.look(make.run(), system=system)

    assert (make.tie(look, who=who).tie is not None) is is_blamed
    assert is_blamed or ruling(look, who=who) is Ruling.REFUSE


def test_a_live_run_is_out_where_only_another_systems_machines_have_that_name(make):
    """A name that a person can have as well excludes nobody: the run has to be dead."""
    look = make.look(make.run(end=None))
    out, kept = make.tie(look, who="vsts@fv-az881-525"), make.tie(look, who="vsts@elliott-thinkpad")

    assert (out.possible, kept.others[0].run.ref.id) == ((), "1")
    assert "vsts@fv-az881-525 is how Azure DevOps calls its machines" in plain(out.ruled_out[0])
    assert kept.ruled_out == ()


def test_a_slot_works_for_the_project_in_its_name(make):
    slot, pipeline = "root@runner-t3qyxf-project-7120-concurrent-0", Pipeline("gitlab", (("project", "acme/infra"),))

    def tie(project):
        look = make.look(make.run(pipeline=pipeline, project=project), pipeline=pipeline, system="GitLab CI")
        return make.tie(look, who=slot).tie

    assert [tie("7120"), tie("7121"), tie("")] == [Tie.BY_TIME, None, Tie.BY_TIME]


def test_a_run_on_hosted_runners_is_not_blamed_for_a_lock_from_ec2(make, on):
    who = "root@ip-10-0-1-23"

    assert make.tie(make.look(make.run()), who=who).tie is None
    assert make.tie(make.look(on("1", label="build-1")), who=who).tie is Tie.BY_TIME


def test_a_run_that_was_on_a_machine_of_its_own_in_one_job_may_have_a_lock_from_ec2(make):
    hosted, own = make.job(), make.job(id="12", host="build-1")
    who = "root@ip-10-0-1-23"

    assert make.tie(make.look(make.run(jobs=(hosted, hosted))), who=who).tie is None
    assert make.tie(make.look(make.run(jobs=(hosted, own))), who=who).tie is Tie.BY_TIME


def test_a_run_whose_jobs_are_not_known_may_have_been_on_a_machine_of_its_own(make):
    assert make.tie(make.look(make.run(jobs=())), who="root@ip-10-0-1-23").tie is Tie.BY_TIME
    assert make.tie(make.look(make.run()), who="root@ip-10-0-1-23").tie is None


def test_a_host_that_is_no_slot_works_for_no_project(make):
    pipeline = Pipeline("gitlab", (("project", "7121"),))
    look = make.look(make.run(pipeline=pipeline), pipeline=pipeline, system="GitLab CI")

    assert make.tie(look, who="root@959fcba5e7a7").tie is Tie.BY_TIME
    assert make.tie(look, who="root@runner-t3qyxf-project-7120-concurrent-0").tie is None


@pytest.mark.parametrize(
    ("who", "whose"),
    [
        ("circleci@b7d68aa09910", "a system that tflock does not read"),
        ("jenkins@build-1", "ECS or Jenkins"),
        ("vsts@elliott-thinkpad", "Azure DevOps"),
    ],
)
def test_whose_name_it_is_is_said_where_nobody_is_blamed(make, who, whose):
    assert f"{who} is how {whose} calls its machines" in plain(make.tie(make.look(make.run()), who=who).reason)


def test_only_ec2_names_one_machine_with_and_without_a_domain():
    assert is_same_machine("ip-10-0-1-23", "ip-10-0-1-23.eu-west-1.compute.internal")
    assert not is_same_machine("ip-10-0-1-23", "ip-10-0-1-24.eu-west-1.compute.internal")
    assert not is_same_machine("build-1", "build-1.example.com")
    assert not is_same_machine("ip-10-0-1-23.a.internal", "ip-10-0-1-23.b.internal")
    assert not is_same_machine("ip-10-0-1-23", "ip-10-0-1-23.no_host")
    assert not is_same_machine("ip-10-0-1-23.no_host", "ip-10-0-1-23")


def test_a_run_that_is_not_blamed_must_be_dead_all_the_same(make, ruling):
    """The name speaks against it, and proves nothing."""
    who, given_up = "vsts@elliott-thinkpad", {"owner": make.answer(OwnerSays.DEAD), "owner_id": "U0ELLIOTT"}

    assert ruling(make.look(make.run(end=None)), who=who, **given_up) is Ruling.REFUSE
    assert ruling(make.look(make.run()), who=who, **given_up) is Ruling.NEEDS_APPROVAL


# seals


def claimed(make, run, *, host, claim_id="c1", **changes):
    claim = Claim(
        id=claim_id, state="staging", host=host, run_url=run.ref.url, attempt=1, made_at=make.at("09:04"), **changes
    )
    return Claimed(claim, make.found(run))


def tie_of(make, who, *claims, looks=(), **changes):
    lock = make.info(who=who)
    return attribute(lock, looks, holders=make.holders, skew=make.policy.clock_skew, claims=claims, **changes)


def test_a_seal_needs_nobody_else_excluded(make, ids):
    others = make.look(make.run("2", end=None), pipeline=make.update), make.look(listing=make.unseen())

    tied = tie_of(make, "root@tflock-c1", claimed(make, make.run("1"), host="build-1"), looks=others)

    assert (tied.tie, ids(tied), tied.unseen) == (Tie.SEALED, ["1"], ())


def test_a_seal_of_no_claim_of_this_state_is_blamed_on_nobody(make):
    mine, looks = claimed(make, make.run(), host="build-1"), (make.look(make.run()),)

    assert tie_of(make, "root@tflock-c2", mine, looks=looks).tie is None
    assert tie_of(make, "root@tflock-c1", mine, looks=looks).tie is Tie.SEALED


@pytest.mark.parametrize(
    ("host", "changes", "tie"),
    [
        ("6f9c2a1b7d34", {"private_host": True}, Tie.SEALED),
        ("6f9c2a1b7d34", {}, Tie.BY_TIME),
        ("fv-az881-525", {"private_host": True}, Tie.BY_TIME),
        ("runner-t3qyxf-project-7120-concurrent-0", {"private_host": True}, Tie.BY_TIME),
    ],
)
def test_a_private_host_seals_unless_it_is_known_to_be_used_again(make, host, changes, tie):
    assert tie_of(make, f"root@{host}", claimed(make, make.run(), host=host, **changes)).tie is tie


def test_a_private_host_that_two_runs_claimed_is_not_private(make):
    claims = [
        claimed(make, make.run(number), host="pod-1", claim_id=number, private_host=True) for number in ("1", "2")
    ]

    assert tie_of(make, "root@pod-1", claims[0]).tie is Tie.SEALED
    assert tie_of(make, "root@pod-1", *claims).tie is Tie.BY_TIME


def test_a_private_host_on_which_another_run_was_is_not_private(make, on):
    """An agent in a container has one name for all its jobs."""
    mine = claimed(make, make.run("1"), host="pod-1", private_host=True)

    def tie(beside):
        return tie_of(make, "root@pod-1", mine, looks=(make.look(make.run("1"), beside),)).tie

    assert tie(on("2", "pod-1")) is Tie.SHOWN
    assert tie(on("2", "pod-2")) is Tie.SEALED
    assert tie(on("2", "pod-1-b")) is Tie.SEALED  # it may have been there, and nothing says that it was


def test_a_private_host_of_a_run_that_was_refused_this_lock_is_not_private(make):
    mine = claimed(make, make.run(), host="pod-1", private_host=True)

    def tie(lock_id):
        return tie_of(make, "root@pod-1", mine, looks=(make.look(make.run(), logs={"1": make.refused(lock_id)}),)).tie

    assert tie(make.lock_id) is None
    assert tie("another") is Tie.SEALED


@pytest.mark.parametrize(
    ("jobs", "tie"),
    [
        (("09:02", "09:15"), Tie.SEALED),
        (("09:02", "09:05"), Tie.SEALED),
        (("09:02", "09:04:59"), Tie.BY_TIME),
        (("09:05", None), Tie.SEALED),
        (("09:05:01", None), Tie.BY_TIME),
    ],
)
def test_a_private_host_is_of_a_job_that_ran_at_that_time_without_any_allowance(make, jobs, tie):
    start, end = jobs
    run = make.run(start="09:02", end=end, jobs=(make.job(start, end),))

    assert tie_of(make, "root@pod-1", claimed(make, run, host="pod-1", private_host=True)).tie is tie


@pytest.mark.parametrize(("end", "tie"), [("09:05", Tie.SEALED), ("09:04:59", Tie.BY_TIME)])
def test_a_private_host_of_a_run_whose_jobs_are_not_known_goes_by_the_runs_own_times(make, end, tie):
    for jobs in ((), None):
        run = make.run(end=end, jobs=jobs)
        assert tie_of(make, "root@pod-1", claimed(make, run, host="pod-1", private_host=True)).tie is tie


def test_a_private_host_of_a_run_that_cannot_be_seen_stays_private_since_it_is_not_over_either(make):
    mine = replace(claimed(make, make.run(), host="pod-1", private_host=True), seen=make.unseen())
    tied = tie_of(make, "root@pod-1", mine)

    assert tied.tie is Tie.SEALED
    assert decide(make.case(looks=(), attribution=tied), make.now).ruling is Ruling.REFUSE


def test_a_private_host_that_another_claim_names_as_its_own_is_not_private(make):
    mine = claimed(make, make.run("1"), host="pod-1", private_host=True)
    others = claimed(make, make.run("2"), host="pod-1", claim_id="c2")

    assert tie_of(make, "root@pod-1", mine).tie is Tie.SEALED
    assert tie_of(make, "root@pod-1", mine, others).tie is Tie.BY_TIME


@pytest.mark.parametrize(("end", "tie"), [("09:15", Tie.SEALED), ("09:04:30", Tie.BY_TIME)])
def test_a_private_host_that_one_run_claimed_twice_is_sealed_only_if_both_readings_say_it_was_there(make, end, tie):
    once = claimed(make, make.run(), host="pod-1", private_host=True)
    again = claimed(make, make.run(end=end), host="pod-1", claim_id="c2", private_host=True)

    assert tie_of(make, "root@pod-1", once, again).tie is tie


def test_a_private_host_on_which_nobody_knows_the_other_runs_machine_stays_private(make, on):
    mine = claimed(make, make.run("1"), host="pod-1", private_host=True)

    assert tie_of(make, "root@pod-1", mine, looks=(make.look(make.run("1"), on("2")),)).tie is Tie.SEALED


@pytest.mark.parametrize(("end", "wanted"), [(LogEnd.DECLARED, Ruling.NEEDS_APPROVAL), (LogEnd.REPORTED, Ruling.ALLOW)])
def test_an_end_that_by_the_log_only_the_server_declared_wants_a_second_person(make, ruling, end, wanted):
    look = make.look(make.run(), logs={"1": make.log(end=end)})

    assert ruling(look, who="runner@fv-az881-525") is wanted


def test_a_private_host_that_outlived_its_run_is_not_sealed(make):
    old = make.run(end="09:04:30")

    assert tie_of(make, "root@pod-1", claimed(make, old, host="pod-1", private_host=True)).tie is Tie.BY_TIME


# clocks


@pytest.mark.parametrize("minutes", [-14, 14])
def test_a_lock_was_taken_between_the_earlier_and_the_later_of_two_clocks(make, minutes):
    lock = make.info()
    stored = lock.created + timedelta(minutes=minutes)

    assert Taken.of(lock, stored) == Taken(min(lock.created, stored), max(lock.created, stored), is_stored=True)
    assert Taken.of(lock) == Taken(lock.created, lock.created)


def test_where_the_stores_clock_disagrees_every_run_between_the_two_counts(make, ids):
    """The holder's clock is slow: by its own word an earlier run, which is dead, would have the lock."""
    looks = (make.look(make.run("1"), make.run("2", start="09:18", end=None)),)
    by_the_store = Taken(make.created, make.created + timedelta(minutes=14))

    assert ids(tie_of(make, "runner@fv-az881-525", looks=looks)) == ["1"]
    tied = tie_of(make, "runner@fv-az881-525", looks=looks, taken=by_the_store)
    assert (ids(tied), tied.taken) == (["1", "2"], by_the_store)


def test_a_claim_counts_also_where_only_the_stores_clock_shows_that_it_came_before_the_lock(make, on):
    """The holder's clock is slow: by it the job claimed the state long after it took the lock."""
    early = claimed(make, make.run("1", "09:19", None), host="build-1")
    mine = replace(early, claim=replace(early.claim, made_at=make.at("09:19")))

    def possible(stored):
        taken = Taken(make.created, make.at(stored))
        lock = make.info(who="runner@build-1")
        return attribute(
            lock, (), holders=make.holders, skew=make.policy.clock_skew, claims=(mine,), taken=taken
        ).possible

    assert [candidate.run.ref.id for candidate in possible("09:20")] == ["1"]
    assert possible("09:06") == ()


@pytest.mark.parametrize(
    ("name", "is_it"),
    [("build-1", True), ("BUILD-1.example.com", True), ("build-1-b", True), ("build-12", False), ("build-1x-b", False)],
)
def test_a_longer_name_may_mean_the_same_machine_only_after_a_break(name, is_it):
    assert may_be_one("build-1", name) is may_be_one(name, "build-1") is is_it


@pytest.mark.parametrize(("fields", "tie"), [({"project": "7121"}, None), ({"ref": "7121"}, Tie.BY_TIME)])
def test_only_the_project_of_a_pipeline_speaks_against_the_project_in_a_slots_name(make, fields, tie):
    pipeline = Pipeline("gitlab", (*fields.items(), ("group", "acme")))
    look = make.look(make.run(pipeline=pipeline), pipeline=pipeline, system="GitLab CI")

    assert make.tie(look, who="root@runner-t3qyxf-project-7120-concurrent-0").tie is tie


@pytest.mark.parametrize(("end", "wanted"), [("09:02:59", 0), ("09:03:01", 1)])
@pytest.mark.parametrize("jobs", [(), None])
def test_a_claimed_run_without_known_jobs_is_no_holder_if_it_ended_before_the_lock(make, jobs, end, wanted):
    run = make.run("9", start="08:00", end=end, jobs=jobs, conclusion=Conclusion.SUCCESS)

    assert len(tie_of(make, OWN, claimed(make, run, host="build-1")).possible) == wanted


@pytest.mark.parametrize(("end", "wanted"), [("09:02:59", 0), ("09:03:01", 1)])
def test_a_claimed_run_that_goes_on_is_no_holder_if_its_job_ended_before_the_lock(make, end, wanted):
    run = make.run("9", start="08:00", end=None, jobs=(make.job("08:00", end, conclusion=Conclusion.FAILED),))

    assert len(tie_of(make, OWN, claimed(make, run, host="build-1")).possible) == wanted


@pytest.mark.parametrize("who", ["root@tflock-c1", OWN])
def test_a_claimed_run_is_its_ci_systems_and_of_whom_the_claim_names(make, who):
    mine = replace(claimed(make, make.run("9"), host="build-1", actor="quinn"), system="GitLab CI")
    mapped = make.look(make.run("9"), system="GitLab CI")

    for looks in ((), (mapped,)):
        (one,) = tie_of(make, who, mine, looks=looks).possible
        assert (one.run.ref.id, one.system, one.actor) == ("9", "GitLab CI", "quinn")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "claimed the state before, at 2026-11-21 09:04:00 UTC"),
        ({"heartbeat_at": "09:10"}, "claimed the state before, at 2026-11-21 09:04:00 UTC"),
        ({"lock_id": True}, "said that it holds this lock, at 2026-11-21 09:04:00 UTC"),
        ({"lock_id": True, "heartbeat_at": "09:10"}, "said that it holds this lock, at 2026-11-21 09:10:00 UTC"),
    ],
)
def test_what_the_claim_said_is_said_with_when_it_did(make, changes, words):
    said = {"lock_id": make.lock_id} if changes.get("lock_id") else {}
    said |= {"heartbeat_at": make.at(changes["heartbeat_at"])} if "heartbeat_at" in changes else {}

    reason = plain(tie_of(make, OWN, claimed(make, make.run(), host="build-1", **said)).reason)
    assert reason == f"a job on host build-1 {words}"


@pytest.mark.parametrize(("end", "words"), [("09:15", " to 2026-11-21 09:15:00 UTC"), (None, "")])
def test_whose_machine_it_was_is_said_with_how_long_the_job_ran(make, on, end, words):
    (job,) = on("1", "build-1", end).jobs
    reason = plain(make.tie(make.look(on("1", "build-1", end)), who=OWN).reason)

    assert reason == f"host build-1 is the machine of job {job.name}, which ran from 2026-11-21 09:02:00 UTC{words}"


def test_a_hold_is_no_runs_whatever_ran_when_it_was_placed(make):
    look = make.look(make.run("1", end=None), make.run("2", start="09:08", end=None), logs={"1": make.log()})
    lock = make.info(operation="tflock hold")

    def tied(lock, stored=None):
        return attribute(lock, (look,), holders=make.holders, skew=make.policy.clock_skew, taken=stored)

    assert tied(make.info()).tie is Tie.SHOWN
    assert (tied(lock).tie, tied(lock).possible, tied(lock).taken) == (None, (), Taken.of(lock))
    assert [run.ref.id for run in tied(lock).contenders] == ["2"]
    later = Taken.of(lock, make.at("09:07"))
    assert (tied(lock, later).taken, tied(lock, later).contenders) == (later, ())


@pytest.mark.parametrize(("machine", "label", "tie"), [("build-1", "x", Tie.SHOWN), (None, "build-1", Tie.BY_TIME)])
def test_work_on_a_tasks_own_machine_shows_its_lock_whatever_other_clocks_say(make, on, machine, label, tie):
    """By the store's clock the lock was written after the work began: on a machine that others use it may be theirs."""
    lock = make.info(who=OWN)
    taken = Taken.of(lock, make.at("09:05:30"))

    def tied(*states):
        log = make.log(*(make.work(state=state) for state in states), machine="build-1")
        return tie_of(make, OWN, looks=(make.look(on("1", machine, label=label), logs={"1": log}),), taken=taken).tie

    dev = "environments/dev/terraform.tfstate"
    assert (tied(None), tied(lock.path), tied(dev, None), tied(dev)) == (tie, tie, tie, Tie.BY_TIME)


@pytest.mark.parametrize(("who", "tie"), [("@959fcba5e7a7", Tie.SHOWN), ("ada@959fcba5e7a7", Tie.BY_TIME)])
def test_a_container_without_a_user_may_be_the_jobs_own(make, who, tie):
    assert make.tie(make.look(make.run(), logs={"1": make.log()}), who=who).tie is tie


@pytest.mark.parametrize(("hosts", "tie"), [(("deploy@*",), Tie.SHOWN), ((), Tie.BY_TIME)])
def test_an_account_that_the_team_calls_cis_is_the_jobs(make, hosts, tie):
    lock, looks = make.info(who="deploy@c0ffee"), (make.look(make.run(), logs={"1": make.log()}),)
    tied = attribute(lock, looks, holders=Holders(ci_hosts=hosts), skew=make.policy.clock_skew)

    assert tied.tie is tie


def test_how_many_runs_only_the_time_ties_is_said(make):
    one, two = make.run("1"), make.run("2")

    assert "the only configured run" in plain(make.tie(make.look(one)).reason)
    assert "2 configured runs were active" in plain(make.tie(make.look(one, two)).reason)


@pytest.mark.parametrize("one_state", [True, False])
@pytest.mark.parametrize("machine", [None, "build-1"])
def test_a_lock_without_a_path_is_of_no_state_that_a_log_leaves_unknown(make, on, machine, one_state):
    """Terraform writes no `Path` where a state is behind an address (http, GitLab). The job worked on another state and
    was killed; a pipeline that nobody mapped has this lock, and lives.
    """
    who = OWN if machine else HOSTED
    run = on("1", machine) if machine else make.run()

    def tie(state):
        look = make.look(run, logs={"1": make.log(make.work(state=state))}, one_state=one_state)
        return make.tie(look, who=who, path="").tie

    assert tie(UNKNOWN_STATE) is Tie.BY_TIME
    assert tie("acme/key") is Tie.BY_TIME
    assert tie(None) is (Tie.SHOWN if machine or one_state else Tie.BY_TIME)


STORED = "run-CZcmD7eagjhyX0vN"


def test_a_run_that_only_the_locks_store_names_and_nobody_knows_is_no_holder(make):
    assert make.tie(make.look(make.run()), who=f"@{STORED}").tie is None


@pytest.mark.parametrize(
    ("who", "run_id", "jobs", "words"),
    [
        (f"@{STORED}", STORED, ["11", "12"], f"the lock's store names {STORED}"),
        (NUMBERED, "100", ["12"], "the host name says run 100"),
    ],
)
def test_all_of_a_run_holds_the_lock_that_its_store_says_is_the_runs(make, who, run_id, jobs, words):
    """A plan of HCP Terraform has ended before its apply begins, under one lock."""
    run = make.run(run_id, start="08:00", jobs=(make.job("08:00", "08:10"), make.job(id="12")))
    tied = make.tie(make.look(run), who=who, named=(make.found(run),))
    (one,) = tied.candidates

    assert (tied.tie, [job.id for job in one.jobs], plain(tied.reason)) == (Tie.SEALED, jobs, words)
    bare = make.found(replace(run, jobs=None))
    (one,) = make.tie(make.look(run, closer={run_id: bare}), who=who, named=(bare,)).candidates
    assert one.jobs == ()


@pytest.mark.parametrize(("who", "run_id", "tie"), [(f"@{STORED}", STORED, Tie.SEALED), (NUMBERED, "100", Tie.BY_TIME)])
def test_the_word_of_a_store_needs_no_time_and_that_of_a_name_does(make, who, run_id, tie):
    run = make.run(run_id, end="09:04:59")
    tied = make.tie(make.look(run), who=who, named=(make.found(run),))

    assert tied.tie is tie
    assert plain(tied.reason).startswith(("the lock's store names", "the host name says run 100, which was running"))


@pytest.mark.parametrize(("end", "tie"), [("09:15", Tie.SEALED), ("09:04:59", Tie.BY_TIME)])
def test_a_numbered_run_that_could_not_be_read_was_there_by_its_listing(make, end, tie):
    look = make.look(make.run("100", end=end), closer={"100": make.unseen()})

    assert make.tie(look, who=NUMBERED, named=(make.unseen(),)).tie is tie


@pytest.mark.parametrize(("end", "tie"), [("09:15", Tie.SEALED), ("08:10", None)])
def test_a_numbered_run_none_of_whose_jobs_ran_then_is_no_holder(make, end, tie):
    run = make.run("100", start="08:00", jobs=(make.job("08:00", end),))

    assert make.tie(make.look(), who=NUMBERED, named=(make.found(run),)).tie is tie


@pytest.mark.parametrize(
    ("person", "tie"),
    [
        (KnownPerson("ops", who=("root@*",)), Tie.BY_TIME),
        (KnownPerson("sam", github="root"), Tie.BY_TIME),
        (KnownPerson("sam", github="sam", who=("sam@*",)), Tie.SHOWN),
    ],
)
def test_nothing_shows_a_lock_of_a_person_whom_the_configuration_knows_by_pattern_or_by_name(make, person, tie):
    looks = (make.look(make.run(), logs={"1": make.log()}),)
    tied = attribute(
        make.info(who="root@959fcba5e7a7"), looks, holders=Holders(people=(person,)), skew=make.policy.clock_skew
    )

    assert tied.tie is tie


@pytest.mark.parametrize(
    ("first", "changes", "tie"),
    [
        ("09:05:04", {}, Tie.SHOWN),
        ("09:05:04", {"without_lock": True}, Tie.BY_TIME),
        ("09:04:00", {}, Tie.BY_TIME),  # it was at work before this lock: it had another one
    ],
)
def test_a_tasks_own_log_may_speak_against_its_machine(make, on, first, changes, tie):
    log = make.log(make.work(first), **changes)

    assert make.tie(make.look(on("1", "build-1"), logs={"1": log}), who=OWN).tie is tie


@pytest.mark.parametrize(("machines", "tie"), [(("pod-1", None), Tie.SHOWN), (("pod-2", None), Tie.SEALED)])
def test_a_private_host_is_another_runs_too_if_any_of_its_jobs_was_there(make, machines, tie):
    mine = claimed(make, make.run("1"), host="pod-1", private_host=True)
    jobs = tuple(make.job(id=f"{n}", machine=each, host="x") for n, each in enumerate(machines))
    others = make.look(make.run("1"), make.run("2", jobs=jobs))

    assert tie_of(make, "root@pod-1", mine, looks=(others,)).tie is tie


@pytest.mark.parametrize(("end", "tie"), [("09:15", Tie.SEALED), ("09:04:30", Tie.BY_TIME)])
def test_a_private_host_is_of_a_run_of_which_any_job_was_at_work(make, end, tie):
    run = make.run(jobs=(make.job("09:02", "09:03"), make.job("09:02", end, id="12")))

    assert tie_of(make, "root@pod-1", claimed(make, run, host="pod-1", private_host=True)).tie is tie


def test_a_sealed_run_may_hold_its_lock_in_the_jobs_of_that_time(make):
    jobs = make.job("08:00", "08:10"), make.job(id="12")
    (one,) = tie_of(make, "root@tflock-c1", claimed(make, make.run(jobs=jobs), host="build-1")).candidates

    assert [job.id for job in one.jobs] == ["12"]


@pytest.mark.parametrize(
    ("url", "name"), [("https://ci.example.com/7/", "7"), ("https://ci.example.com/7", "7"), ("", "c1")]
)
def test_a_claimed_run_that_cannot_be_read_is_named_by_its_address(make, url, name):
    mine = claimed(make, make.run(), host="build-1")
    mine = replace(mine, claim=replace(mine.claim, run_url=url), seen=make.unseen())
    (one,) = tie_of(make, "root@tflock-c1", mine).candidates

    assert one.run.ref.id == name


def test_only_logs_that_gave_no_answer_are_called_unread(make):
    one, two, three = make.run("1"), make.run("2"), make.run("3")
    look = make.look(one, two, three, logs={"1": make.log()})
    away, gone = make.unseen("the log did not come"), make.not_found("the log")
    keys = {run.ref.id: log_key(run, run.jobs[0]) for run in (two, three)}
    look = replace(look, logs={**look.logs, keys["2"]: away, keys["3"]: gone})

    assert make.tie(look).unread == (away,)
    assert make.tie(look, who="root@ip-10-0-1-23").candidates == ()
    assert make.tie(look, who="root@ip-10-0-1-23").unread == (away,)
    assert make.tie(make.look(one, logs={"1": make.log()})).unread == ()


@pytest.mark.parametrize(
    ("host", "machine", "tie"),
    [("", None, Tie.BY_TIME), ("", "build-1", Tie.BY_TIME), ("build-1", "build-1", Tie.SHOWN)],
)
def test_a_lock_without_a_host_is_of_no_machine_known_or_not(make, on, host, machine, tie):
    """Only the machine would show it: two clocks are in doubt, so that the log does not."""
    look = make.look(on("1", machine), logs={"1": make.log()})
    taken = Taken.of(make.info(), make.at("09:08"))

    assert tie_of(make, f"runner@{host}", looks=(look,), taken=taken).tie is tie


@pytest.mark.parametrize(("lock_id", "tie"), [(True, Tie.BY_TIME), (False, Tie.SHOWN)])
def test_a_log_that_names_this_lock_as_anothers_at_no_known_time_shows_nothing(make, lock_id, tie):
    """It went on after a refusal: which of its work came before that is not known."""
    refusal = LockRefusal(make.lock_id if lock_id else "another", None, is_first=False)

    assert make.tie(make.look(make.run(), logs={"1": make.log(refused=(refusal,))})).tie is tie


@pytest.mark.parametrize(
    ("machine", "start", "tie"),
    [
        ("build-1", "09:02", Tie.SHOWN),
        ("build-1-b", "09:02", Tie.BY_TIME),  # it may be the same machine, which excludes nobody and shows nobody
        ("build-1", None, Tie.BY_TIME),
    ],
)
def test_a_machine_shows_a_job_that_surely_was_on_it_at_that_time(make, machine, start, tie):
    run = make.run(jobs=(make.job(start, machine=machine, host="x"),))

    assert make.tie(make.look(run), who=OWN).tie is tie


@pytest.mark.parametrize(("phase", "tie"), [(Phase.RUNNING, Tie.SHOWN), (Phase.ENDED, Tie.BY_TIME)])
def test_a_job_that_goes_on_is_on_its_machine_whatever_end_its_system_names(make, phase, tie):
    run = make.run(end=None, jobs=(make.job(end="09:04", phase=phase, machine="build-1", host="x"),))

    assert make.tie(make.look(run), who=OWN).tie is tie


@pytest.mark.parametrize(("without_lock", "tie"), [(True, Tie.BY_TIME), (False, Tie.SHOWN)])
def test_a_task_that_was_not_to_lock_has_no_lock_also_if_its_log_shows_no_work(make, on, without_lock, tie):
    log = replace(make.refused("another"), without_lock=without_lock)

    assert make.tie(make.look(on("1", "build-1"), logs={"1": log}), who=OWN).tie is tie


@pytest.mark.parametrize(
    ("states", "tie"),
    [
        ((None, "environments/dev/terraform.tfstate"), Tie.SHOWN),
        (("acme-tfstate/environments/staging/terraform.tfstate",), Tie.SHOWN),
        (("acme-tfstate/environments/dev/terraform.tfstate",), Tie.BY_TIME),
    ],
)
def test_one_command_of_a_task_on_the_locks_state_is_enough(make, on, states, tie):
    log = make.log(*(make.work(state=state) for state in states))

    assert make.tie(make.look(on("1", "build-1"), logs={"1": log}), who=OWN).tie is tie


def test_other_runs_are_spoken_of_only_beside_one_that_claimed_the_host(make):
    one, two = make.run("1"), make.run("2")
    mine = claimed(make, one, host="fv-az881-525")

    assert "so may another run" not in plain(make.tie(make.look(one)).reason)
    assert "so may another run" not in plain(tie_of(make, HOSTED, mine, looks=(make.look(one),)).reason)
    beside = plain(tie_of(make, HOSTED, mine, looks=(make.look(one, two),)).reason)
    assert beside == (
        "a job on host fv-az881-525 claimed the state before, at 2026-11-21 09:04:00 UTC"
        "; so may another run that was active then"
    )


def test_a_claimed_job_without_a_start_began_with_its_run(make):
    run = make.run(jobs=(make.job(None),))

    assert tie_of(make, "root@pod-1", claimed(make, run, host="pod-1", private_host=True)).tie is Tie.SEALED
    late = replace(run, created_at=make.at("09:05:01"))
    assert tie_of(make, "root@pod-1", claimed(make, late, host="pod-1", private_host=True)).tie is Tie.BY_TIME
