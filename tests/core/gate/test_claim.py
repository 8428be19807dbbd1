"""What a claim proves: by each way in which it can fit a lock, and by each in which it must not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bot.core.gate.attribution import Claimed, Strength
from bot.core.gate.case import Rule, Ruling
from bot.core.gate.claim import Claim, Exited, exit_for, is_certain, is_private, is_sealed, names, sealed_id
from bot.core.gate.decide import decide
from bot.core.gate.tie import attribute
from bot.core.phrase import plain
from bot.core.policy import Holders
from bot.core.run import Conclusion, Phase

HOSTED = "fv-az881-525"
URL = "https://ci.example.com/1"
IMAGE = "runnervmmklqx"
SEALED = "root@tflock-c1"


@pytest.fixture
def claim(make):
    """A claim of run 1, made before the lock was taken, without any news since."""

    def claim(host=HOSTED, made="09:04", ended=None, code=None, **changes):
        given = {"ended_at": ended and make.at(ended), "exit_code": code} | changes
        return Claim(id="c1", state="staging", host=host, run_url=URL, attempt=1, made_at=make.at(made), **given)

    return claim


@pytest.fixture
def tie(make):
    """The attribution of the lock of a host, by claims (each with what its run is) and by what the CI lists."""

    def tie(*claimed, looks=(), who=f"runner@{HOSTED}", **changes):
        claims = tuple(Claimed(one, seen) for one, seen in claimed)
        lock = make.info(who=who, **changes)
        return attribute(lock, looks, holders=make.holders, skew=make.policy.clock_skew, claims=claims)

    return tie


@pytest.fixture
def ruling(make):
    """The gate's verdict on an attribution."""
    return lambda tied, **changes: decide(make.case(looks=(), attribution=tied, **changes), make.now)


def test_a_sealed_claim_names_the_holder_whatever_else_ran(make, claim, tie, ruling):
    others = make.look(make.run("1"), make.run("2", end=None))
    mine = (claim(), make.found(make.run("1")))

    sealed, open_ = tie(mine, looks=(others,), who=SEALED), tie(mine, looks=(others,))

    assert (sealed.strength, open_.strength) == (Strength.CLAIM, Strength.CLAIM)
    assert [candidate.run.ref.id for candidate in sealed.candidates] == ["1"]
    assert plain(sealed.reason) == (
        "the lock has the host name tflock-c1, which only a job that claimed it at 2026-11-21 09:04:00 UTC had"
    )
    assert ruling(sealed).ruling is Ruling.ALLOW
    assert ruling(open_).ruling is Ruling.REFUSE


@pytest.mark.parametrize(
    ("who", "fits"),
    [
        (SEALED, True),
        ("elliott@tflock-c1", True),
        ("root@tflock-C1", False),
        ("root@tflock-c1.example.com", False),
        ("root@tflock-c10", False),
        ("root@tflock-", False),
        ("root@c1", False),
    ],
)
def test_a_seal_is_the_claims_own_id_to_the_letter(make, claim, who, fits):
    assert is_sealed(claim(), make.info(who=who)) is fits


def test_a_claim_without_an_id_seals_nothing(make, claim):
    assert not is_sealed(replace(claim(), id=""), make.info(who="root@tflock-"))
    assert (sealed_id("tflock-c1"), sealed_id("tflock-"), sealed_id("build-1")) == ("c1", None, None)


def test_a_seal_ties_whatever_the_clocks_say(make, claim, tie, ruling):
    """The holder's clock is two hours slow: by time its run began long after."""
    late = claim(made="11:04", ended="11:10", code=1, processes_left=0)

    tied = tie((late, make.found(make.run("1", start="11:03", end="11:10"))), who=SEALED)

    assert tied.strength is Strength.CLAIM
    assert ruling(tied).ruling is Ruling.ALLOW


@pytest.mark.parametrize(
    ("changes", "who", "proves"),
    [
        ({"processes_left": 0}, SEALED, True),
        ({"processes_left": 1}, SEALED, False),
        ({"processes_left": None}, SEALED, False),  # a wrapper of before, or one `curl`
        ({"processes_left": 0}, f"runner@{HOSTED}", False),  # a later process on that host may have taken it
        ({"processes_left": 0, "private_host": True}, f"runner@{HOSTED}", False),
        ({"processes_left": 0, "lock_id": "the lock's"}, f"runner@{HOSTED}", False),
    ],
)
def test_an_end_proves_a_death_only_sealed_and_with_nothing_left(make, claim, changes, who, proves):
    if changes.get("lock_id"):
        changes = {**changes, "lock_id": make.lock_id}

    exited = exit_for(claim(ended="09:20", code=1, **changes), make.info(who=who))

    assert exited == (Exited(1, make.at("09:20")) if proves else None)


def test_without_an_end_nothing_is_proved(make, claim):
    assert exit_for(claim(), make.info(who=SEALED)) is None
    assert exit_for(claim(processes_left=0), make.info(who=SEALED)) is None
    assert exit_for(claim(processes_left=0, code=1), make.info(who=SEALED)) is None
    assert exit_for(claim(processes_left=0, ended="09:20"), make.info(who=SEALED)) is None


@pytest.mark.parametrize(
    ("made", "who", "certain"),
    [
        ("09:05", f"runner@{HOSTED}", True),
        ("09:05:01", f"runner@{HOSTED}", False),
        ("09:05", "runner@another", False),
        ("10:00", SEALED, True),
    ],
)
def test_a_claim_is_certain_without_any_allowance_for_clocks_or_by_its_seal(make, claim, made, who, certain):
    assert is_certain(claim(made=made), make.info(who=who)) is certain


def test_a_lock_without_an_id_is_named_by_no_claim(make, claim):
    def named(lock_id):
        return names(claim(lock_id=lock_id), make.info(id=lock_id, who=f"runner@{HOSTED}"), make.policy.clock_skew)

    assert (named("x"), named("")) == (True, False)


@pytest.mark.parametrize(
    ("changes", "who", "private"),
    [
        ({"private_host": True}, "root@959fcba5e7a7", True),
        ({}, "root@959fcba5e7a7", False),
        ({"private_host": True}, "root@959fcba5e7a8", False),
        ({"private_host": True, "ended": "09:02:59", "code": 0}, "root@959fcba5e7a7", False),
        ({"private_host": True, "made": "09:07:01"}, "root@959fcba5e7a7", False),
    ],
)
def test_a_private_host_is_one_that_the_job_called_so_and_had_at_that_time(make, claim, changes, who, private):
    said = claim(host="959fcba5e7a7", **changes)

    assert is_private(said, make.info(who=who), make.policy.clock_skew) is private


@pytest.mark.parametrize(
    ("changes", "named"),
    [({}, True), ({"host": "another"}, False), ({"made": "10:00"}, False), ({"lock_id": "another"}, False)],
)
def test_a_claim_names_its_lock_only_from_where_it_was_taken(make, claim, changes, named):
    given = {"lock_id": make.lock_id} | changes

    assert names(claim(**given), make.info(), make.policy.clock_skew) is named


def test_a_pipeline_that_cannot_be_seen_may_hide_a_job_on_the_claimants_machine(make, claim, tie, ruling):
    hidden = make.look(pipeline=make.update, listing=make.unseen())

    tied = tie((claim(), make.found(make.run("1"))), looks=(make.look(make.run("1")), hidden))

    assert tied.strength is Strength.CLAIM
    assert ruling(tied).ruling is Ruling.REFUSE


def test_a_claim_of_a_live_run_refuses(make, claim, tie, ruling):
    tied = tie((claim(), make.found(make.run("1", end=None))), looks=(make.look(make.run("2")),))

    assert ruling(tied)[Rule.DEAD].effect.name == "REFUSES"


def test_silence_after_a_heartbeat_proves_nothing(make, claim, tie, ruling):
    quiet = claim(heartbeat_at=make.at("09:06"))

    verdict = ruling(tie((quiet, make.found(make.run("1", end=None)))))

    assert verdict.ruling is Ruling.REFUSE


@pytest.fixture
def over(claim):
    """A claim whose wrapper reported its end, with nothing left."""
    return lambda at="09:20", code=1: claim(ended=at, code=code, processes_left=0)


@pytest.mark.parametrize("reading", ["unseen", "not_found"])
def test_a_claimed_run_that_cannot_be_seen_refuses_unless_its_end_was_reported(make, claim, over, tie, ruling, reading):
    seen = getattr(make, reading)()

    silent = ruling(tie((claim(), seen), who=SEALED))
    ended = ruling(tie((over(), seen), who=SEALED))

    assert silent.ruling is Ruling.REFUSE
    assert "could not be read" in plain(silent[Rule.DEAD].reason)
    assert ended.ruling is Ruling.ALLOW


def test_a_reported_end_needs_no_settle_time_though_the_run_goes_on(make, over, tie, ruling):
    verdict = ruling(tie((over("11:53:59"), make.found(make.run("1", end=None))), who=SEALED))

    assert verdict.ruling is Ruling.ALLOW
    assert "exit code 1" in plain(verdict[Rule.DEAD].reason)
    assert "reported that its Terraform ended" in plain(verdict[Rule.SETTLED].reason)


@pytest.mark.parametrize(
    ("changes", "who"),
    [({"processes_left": 2}, SEALED), ({"processes_left": None}, SEALED), ({"processes_left": 0}, f"runner@{HOSTED}")],
)
def test_the_end_of_a_command_is_not_that_of_its_terraform(make, claim, tie, ruling, changes, who):
    ended, seen = claim(ended="09:20", code=1, **changes), make.found(make.run("1", end=None))

    assert ruling(tie((ended, seen), who=who)).ruling is Ruling.REFUSE


def test_a_reported_end_in_success_wants_a_second_member(make, over, tie, ruling):
    assert ruling(tie((over(code=0), make.unseen()), who=SEALED)).ruling is Ruling.NEEDS_APPROVAL


def test_a_death_by_signal_is_a_bad_end(make, over, tie, ruling):
    assert ruling(tie((over(code=-9), make.unseen()), who=SEALED)).ruling is Ruling.ALLOW


def test_the_other_rules_still_apply_to_a_reported_end(make, over, tie, ruling):
    tied = tie((over(), make.unseen()), who=SEALED)

    busy = ruling(tied, state=make.check(make.state(last_written=make.now)))
    guarded = ruling(tied, protected=True)

    assert busy.ruling is Ruling.REFUSE
    assert guarded.ruling is Ruling.NEEDS_APPROVAL


def test_an_exit_a_moment_before_the_lock_is_not_the_holders(make, claim, tie, ruling):
    """A plan that ended with changes to make, and an apply in the same job that claimed nothing."""
    plan = claim(ended="09:04:50", code=2)

    tied = tie((plan, make.found(make.run("1", end=None))))

    assert tied.strength is Strength.CLAIM
    assert ruling(tied).ruling is Ruling.REFUSE


@pytest.mark.parametrize(
    ("changes", "fits"),
    [
        ({}, True),
        ({"made": "09:07"}, True),  # within the skew
        ({"made": "09:07:01"}, False),
        ({"ended": "09:03", "code": 1}, True),  # within the skew
        ({"ended": "09:02:59", "code": 1}, False),
        ({"host": HOSTED.upper()}, True),
        ({"host": "another"}, False),
        ({"lock_id": "another"}, True),
        ({"host": "another", "lock_id": "the lock's"}, False),
        ({"made": "10:00", "lock_id": "the lock's"}, False),
    ],
)
def test_a_claim_fits_by_host_and_time_whatever_lock_it_names(make, claim, tie, changes, fits):
    if changes.get("lock_id") == "the lock's":
        changes = {**changes, "lock_id": make.lock_id}

    tied = tie((claim(**changes), make.unseen()))

    assert (tied.strength is Strength.CLAIM) is fits


def test_a_lock_without_a_host_is_nobodys_by_host(make, claim, tie):
    assert tie((claim(host=""), make.unseen()), who="").strength is None
    assert tie((claim(host="", lock_id=make.lock_id), make.unseen()), who="").strength is None


def test_of_two_claims_that_fit_both_must_be_dead(make, claim, tie, ruling):
    other = replace(claim(), id="c2", run_url="https://ci.example.com/2")

    tied = tie((claim(), make.found(make.run("1"))), (other, make.found(make.run("2", end=None))))

    assert plain(tied.reason) == "2 jobs claimed the state there at that time, and any of them may hold it"
    assert ruling(tied).ruling is Ruling.REFUSE


def test_an_old_claim_of_a_slot_that_is_used_again_is_not_the_holders(make, claim, tie):
    slot = "runner-t3qyxf-project-7120-concurrent-0"
    yesterday = make.run("1", start="07:00", end="07:30")

    tied = tie((claim(host=slot, made="07:01"), make.found(yesterday)), who=f"root@{slot}")

    assert tied.strength is None


def test_a_slot_that_changed_hands_just_before_needs_every_pipeline(make, claim, tie, ruling):
    slot = "runner-t3qyxf-project-7120-concurrent-0"
    before = make.run("1", start="08:00", end="09:04")
    hidden = make.look(listing=make.unseen())

    tied = tie((claim(host=slot, made="08:01"), make.found(before)), looks=(hidden,), who=f"root@{slot}")

    assert tied.strength is Strength.CLAIM
    assert ruling(tied).ruling is Ruling.REFUSE


def test_another_run_on_the_claimants_own_host_must_be_dead_too(make, claim, tie, ruling):
    """Two executors of one agent: one claimed, the other did not."""
    beside = make.run("2", end=None, jobs=(make.job(end=None, host="build-1"),))

    tied = tie(
        (claim(host="build-1"), make.found(make.run("1"))), looks=(make.look(make.run("1"), beside),), who="j@build-1"
    )

    assert [candidate.run.ref.id for candidate in tied.candidates] == ["1", "2"]
    assert plain(tied.reason).endswith("so may another run that was active then")
    assert ruling(tied).ruling is Ruling.REFUSE


@pytest.mark.parametrize(
    ("label", "end", "wanted"),
    [
        ("build-1", None, Ruling.REFUSE),
        ("build-1", "09:15", Ruling.NEEDS_APPROVAL),
        ("terraform-runner-2", None, Ruling.REFUSE),
        ("terraform-runner-2", "09:15", Ruling.NEEDS_APPROVAL),
        (None, "09:15", Ruling.REFUSE),  # its jobs could not be read
    ],
)
def test_a_claimant_that_failed_on_the_lock_leaves_whoever_is_beside_it_to_be_dead(
    make, claim, tie, ruling, label, end, wanted
):
    """Two runners of one machine: the run that claimed reports exit 1, for the other one holds the lock."""
    failed = claim(host="build-1", ended="09:06", code=1, processes_left=0)
    beside = make.run("2", end=end, jobs=(make.job(end=end, host=label),))
    mine = make.run("1", end="09:06", conclusion=Conclusion.FAILED)
    look = make.look(mine, beside, closer={} if label else {"2": make.unseen()})

    tied = tie((failed, make.found(mine)), looks=(look,), who="ci@build-1")
    assert ruling(tied, who="ci@build-1", holders=Holders(ci_hosts=("ci@*",))).ruling is wanted


def test_where_every_machine_has_that_name_every_run_must_be_dead_and_seen(make, claim, tie, ruling):
    mine, beside = (claim(host=IMAGE), make.found(make.run("1"))), make.run("2", end=None)
    hidden = make.look(pipeline=make.update, listing=make.unseen())
    who = f"runner@{IMAGE}"

    alone = ruling(tie(mine, looks=(make.look(make.run("1")),), who=who))
    with_another = ruling(tie(mine, looks=(make.look(make.run("1"), beside),), who=who))
    with_a_hidden = ruling(tie(mine, looks=(make.look(make.run("1")), hidden), who=who))

    assert alone.ruling is Ruling.NEEDS_APPROVAL
    assert with_another.ruling is Ruling.REFUSE
    assert with_a_hidden.ruling is Ruling.REFUSE


def test_a_claim_that_names_the_lock_makes_no_other_run_harmless(make, claim, tie, ruling):
    named = (claim(lock_id=make.lock_id), make.found(make.run("1")))

    alone = tie(named, looks=(make.look(make.run("1")),))
    beside = tie(named, looks=(make.look(make.run("1"), make.run("2", end=None)),))

    assert "said that it holds this lock" in plain(alone.reason)
    assert ruling(alone).ruling is Ruling.NEEDS_APPROVAL
    assert ruling(beside).ruling is Ruling.REFUSE


def test_a_claim_of_another_host_does_not_make_a_laptops_lock_a_jobs(make, claim, tie, ruling):
    """A job that was refused the lock may name it: Terraform prints its ID."""
    named = (claim(host="build-1", lock_id=make.lock_id), make.found(make.run("1")))

    tied = tie(named, who="elliott@laptop")

    assert tied.strength is None
    assert ruling(tied).ruling is Ruling.REFUSE


def test_a_claimed_run_counts_in_every_attempt(make, claim, tie, ruling):
    again = make.run("1", phase=Phase.RUNNING, attempt=2, jobs=(make.job(), make.job("11:50", None, attempt=2)))

    assert ruling(tie((claim(), make.found(again)))).ruling is Ruling.REFUSE
