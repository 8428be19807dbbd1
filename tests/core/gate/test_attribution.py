"""Which run holds a lock, by each strength of evidence."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from bot.core.evidence import Offset, Trouble, Unseen
from bot.core.gate.attribution import Strength, Taken, Tie, holds_instant, in_time, may_hold, suspected
from bot.core.gate.case import Ruling
from bot.core.gate.decide import decide
from bot.core.phrase import plain
from bot.core.policy import Policy
from bot.core.run import Conclusion, Phase

SKEW = timedelta(seconds=120)
MINE = "runner@gha-1-1"
BUILD_1 = "elliott@build-1"


@pytest.fixture(scope="module")
def ids():
    """The ids of an attribution's candidates."""
    return lambda tied: [candidate.run.ref.id for candidate in tied.candidates]


@pytest.fixture(scope="module")
def on(make):
    """A run whose one job ran on a host."""
    return lambda run_id, host, end="09:15": make.run(run_id, end=end, jobs=(make.job(end=end, host=host),))


# window


@pytest.mark.parametrize(
    ("start", "end", "how", "holds"),
    [
        ("09:02", "09:15", Conclusion.FAILED, True),
        ("09:02", None, None, True),
        ("09:07", "09:15", Conclusion.FAILED, True),  # within the skew
        ("09:07:01", "09:15", Conclusion.FAILED, False),
        ("08:50", "09:03", Conclusion.FAILED, True),  # within the skew
        ("08:50", "09:02:59", Conclusion.FAILED, False),
        ("08:40", "08:57:30", Conclusion.CANCELLED, True),  # its process may have gone on until 09:03
        ("08:40", "08:57:29", Conclusion.CANCELLED, False),
        ("08:40", "08:52:00", Conclusion.LOST, True),
        ("08:40", "08:51:59", Conclusion.LOST, False),
    ],
)
def test_a_job_holds_the_lock_if_it_or_its_process_went_on_when_the_lock_was_taken(make, start, end, how, holds):
    run = make.run(start="08:40", conclusion=Conclusion.FAILED, jobs=(make.job(start, end, conclusion=how),))

    tied = make.tie(make.look(run))

    assert bool(tied.possible) is holds
    assert bool(tied.candidates) is (holds and how not in {Conclusion.CANCELLED, Conclusion.LOST})  # nobody blames it


@pytest.mark.parametrize(
    ("changes", "holds"),
    [
        ({"started_at": None}, True),
        ({"ended_at": None}, True),
        ({"started_at": None, "ended_at": None}, True),
        ({"phase": Phase.UNKNOWN, "started_at": None}, True),
        ({"phase": Phase.RUNNING, "started_at": None}, True),
        ({"phase": Phase.WAITING, "started_at": None}, False),
        ({"conclusion": Conclusion.SKIPPED}, False),
        ({"conclusion": Conclusion.SKIPPED, "phase": Phase.RUNNING}, True),
        ({"conclusion": Conclusion.CANCELLED, "started_at": None}, True),
        ({"ended_at": datetime(2026, 11, 21, 9, 2, tzinfo=UTC)}, False),
        ({"ended_at": datetime(2026, 11, 21, 9, 2, tzinfo=UTC), "phase": Phase.ENDING}, True),
    ],
)
def test_a_job_with_gaps_in_what_is_known_may_hold_any_instant_unless_it_never_ran(make, changes, holds):
    job = replace(make.job(), **changes)

    assert holds_instant(job, make.run(), Taken(make.created, make.created), SKEW) is holds


def test_a_run_is_read_again_if_any_attempt_may_have_gone_on_then(make):
    taken = Taken(make.created, make.created)

    assert may_hold(make.run(), taken, SKEW)
    assert may_hold(make.run(start="09:07"), taken, SKEW)
    assert may_hold(make.run(start="08:00", end="09:03"), taken, SKEW)
    assert not may_hold(make.run(start="09:07:01"), taken, SKEW)
    assert not may_hold(make.run(start="08:00", end="09:02:59"), taken, SKEW)
    assert may_hold(make.run(start="08:00", end="09:02:59", ended_at=None), taken, SKEW)
    assert may_hold(make.run(start="08:00", end="09:02:59", phase=Phase.UNKNOWN), taken, SKEW)


CUT, LONG = timedelta(seconds=30), timedelta(minutes=10)


@pytest.mark.parametrize(
    ("end", "how", "more", "may"),
    [
        ("08:57:30", Conclusion.CANCELLED, {}, True),
        ("08:57:29", Conclusion.CANCELLED, {}, False),
        ("09:02:30", Conclusion.CANCELLED, {"policy": Policy(settle={Conclusion.CANCELLED: CUT})}, True),
        ("09:02:29", Conclusion.CANCELLED, {"policy": Policy(settle={Conclusion.CANCELLED: CUT})}, False),
        ("08:53:00", Conclusion.TIMED_OUT, {"policy": Policy(settle={Conclusion.TIMED_OUT: LONG})}, True),
        ("08:52:00", Conclusion.LOST, {}, True),
        ("08:51:59", Conclusion.LOST, {}, False),
        ("08:52:00", None, {}, True),  # nobody knows how it ended
        ("08:51:59", None, {}, False),
        ("09:02:59", Conclusion.FAILED, {}, False),
        ("09:02:59", Conclusion.SUCCESS, {}, False),
        # until its process is gone, by the longest that it may live, and by what clocks may differ
        ("08:57:30", Conclusion.CANCELLED, {"now": "09:12:30"}, True),
        ("08:57:30", Conclusion.CANCELLED, {"now": "09:12:31"}, False),
        ("09:03:00", Conclusion.CANCELLED, {"now": "09:12:31"}, True),  # it may have been active itself
    ],
)
def test_a_process_may_take_locks_after_its_run_was_broken_off_as_long_as_it_may_live(make, end, how, more, may):
    more = {**more, "now": make.at(more["now"])} if "now" in more else more
    taken = Taken.of(make.info(), **more)
    run = make.run(start="08:00", end=end, conclusion=how)

    assert may_hold(run, taken, SKEW) is may
    assert (in_time(run, make.found(run), taken, SKEW) is not None) is may


@pytest.mark.parametrize(
    ("how", "jobs", "may"),
    [
        (Conclusion.FAILED, None, True),
        (Conclusion.CANCELLED, None, True),
        (Conclusion.SUCCESS, None, False),
        (Conclusion.FAILED, (), False),
        (Conclusion.FAILED, (Conclusion.FAILED, Conclusion.LOST), True),
        (Conclusion.FAILED, (Conclusion.FAILED, Conclusion.SUCCESS), False),
        (Conclusion.CANCELLED, (Conclusion.CANCELLED,), False),
    ],
)
def test_a_run_that_did_not_succeed_is_read_again_since_a_list_does_not_say_how_its_jobs_ended(make, how, jobs, may):
    """One may have been lost, and live for twice as long."""
    parts = None if jobs is None else tuple(make.job("08:40", "08:53", id=str(each), conclusion=each) for each in jobs)
    run = make.run(start="08:40", end="08:53", conclusion=how, jobs=parts)

    assert may_hold(run, Taken.of(make.info()), SKEW) is may


@pytest.mark.parametrize(("job", "may"), [(Conclusion.FAILED, True), (Conclusion.SUCCESS, False)])
def test_a_job_that_succeeded_left_no_process_though_its_run_was_cancelled(make, job, may):
    run = make.run(start="08:40", end="09:02", conclusion=Conclusion.CANCELLED, jobs=())

    part = make.job("08:40", "09:02", conclusion=job)
    assert holds_instant(part, run, Taken.of(make.info()), SKEW) is may


def test_every_run_whose_jobs_went_on_then_is_a_candidate(make, ids):
    looks = (make.look(make.run("1"), make.run("2", end=None)), make.look(make.run("3", pipeline=make.update)))

    tied = make.tie(*looks)

    assert tied.strength is Strength.WINDOW
    assert ids(tied) == ["1", "2", "3"]


def test_a_run_between_whose_jobs_the_lock_was_taken_is_out(make):
    run = make.run(start="08:00", jobs=(make.job("08:00", "08:10"), make.job("09:30", None)))

    assert make.tie(make.look(run)).candidates == ()


def test_a_run_that_started_later_is_a_contender_and_no_holder(make, ids):
    runs = (make.run("1"), make.run("2", start="09:50", end=None), make.run("3", start="10:50", end=None))

    tied = make.tie(make.look(*runs))

    assert ids(tied) == ["1"]
    assert [run.ref.id for run in tied.contenders] == ["3", "2"]


def test_an_attempt_in_the_window_makes_its_run_a_candidate_though_a_newer_attempt_started_later(make):
    again = make.job("11:50", None, attempt=2)
    run = make.run(phase=Phase.RUNNING, attempt=2, started_at=make.at("11:50"), jobs=(make.job(), again))

    (candidate,) = make.tie(make.look(run)).candidates

    assert candidate.jobs == (make.job(),)


@pytest.mark.parametrize("reading", ["unseen", "not found", "no jobs", "not read"])
def test_a_listed_run_that_is_not_known_closely_stays_a_candidate(make, ids, reading):
    run = make.run()
    closer = {
        "unseen": {"1": make.unseen()},
        "not found": {"1": make.not_found()},
        "no jobs": {"1": make.found(make.run(jobs=None))},
        "not read": {},
    }[reading]

    tied = make.tie(replace(make.look(run), closer=closer))

    assert ids(tied) == ["1"]
    assert tied.candidates[0].jobs == ()


def test_a_run_that_ended_without_a_single_job_goes_by_its_own_time(make, ids):
    assert ids(make.tie(make.look(make.run(jobs=())))) == ["1"]


def test_a_listed_run_whose_time_does_not_fit_is_out_without_being_read(make, ids):
    assert ids(make.tie(replace(make.look(make.run()), closer={}))) == ["1"]
    assert ids(make.tie(replace(make.look(make.run(start="08:00", end="08:10")), closer={}))) == []


def test_a_first_attempt_that_waits_without_a_job_never_ran(make, ids):
    waiting = make.run(end=None, phase=Phase.WAITING, jobs=())

    assert ids(make.tie(make.look(waiting))) == []
    assert ids(make.tie(make.look(replace(waiting, attempt=2)))) == ["1"]
    assert ids(make.tie(make.look(replace(waiting, conclusion=Conclusion.FAILED)))) == ["1"]


def test_a_list_that_could_not_be_read_is_kept_as_unseen(make):
    away = make.unseen()

    tied = make.tie(make.look(make.run()), make.look(pipeline=make.update, listing=away))

    assert tied.unseen == (away,)
    assert plain(tied.reason).startswith("it was the only configured run active")


def test_without_any_run_nobody_holds_the_lock(make):
    tied = make.tie()

    assert (tied.strength, tied.candidates, tied.unseen) == (None, (), ())


@pytest.mark.parametrize("created", [datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)])
def test_a_lock_with_gos_zero_time_or_an_absurd_one_is_attributed_without_an_error(make, created):
    for who in ("", MINE, BUILD_1):
        tied = make.tie(make.look(make.run(), make.run("2", end=None)), created=created, who=who)

        assert tied.reason


# run id in the host name


def test_the_run_that_the_host_names_decides_alone(make, ids):
    looks = (
        make.look(make.run("1"), make.run("2", end=None)),
        make.look(pipeline=make.update, listing=make.unseen()),
    )

    tied = make.tie(*looks, who=MINE)

    assert (tied.strength, ids(tied), tied.unseen) == (Strength.RUN_ID, ["1"], ())
    assert plain(tied.reason) == "the host name says run 1"


def test_a_named_run_that_was_not_listed_is_looked_up_once_for_all_its_pipelines(make, ids):
    found = make.found(make.run("1"))

    tied = make.tie(make.look(make.run("2")), who=MINE, named=(found, found, make.not_found()))

    assert (tied.strength, ids(tied)) == (Strength.RUN_ID, ["1"])


@pytest.mark.parametrize("answers", ["none", "not found", "unseen"])
def test_a_named_run_that_nobody_knows_is_an_unknown_holder_and_never_falls_back_to_the_window(make, answers):
    named = {"none": (), "not found": (make.not_found(),), "unseen": (make.unseen(),)}[answers]

    tied = make.tie(make.look(make.run("2")), who=MINE, named=named)

    assert (tied.strength, tied.candidates) == (None, ())
    assert len(tied.unseen) == (answers == "unseen")
    assert plain(tied.reason) == "the host name says run 1, which no configured pipeline knows"


@pytest.mark.parametrize(("start", "end"), [("08:00", "08:30"), ("09:30", "09:40"), ("09:30", None)])
@pytest.mark.parametrize("jobs", ["known", None, ()])
def test_a_named_run_that_did_not_go_on_then_is_not_the_holder(make, start, end, jobs):
    run = make.run("1", start, end)
    tied = make.tie(who=MINE, named=(make.found(run if jobs == "known" else replace(run, jobs=jobs)),))

    assert (tied.strength, tied.candidates) == (None, ())
    assert plain(tied.reason) == "the host name says run 1, which was not running when the lock was taken"


def test_a_system_that_gave_no_answer_may_know_another_run_of_the_same_id(make, ids):
    away = make.unseen()

    tied = make.tie(who=MINE, named=(make.found(make.run("1")), away))

    assert (ids(tied), tied.unseen) == (["1"], (away,))


def test_a_named_run_whose_jobs_are_not_known_is_a_candidate_that_is_not_over(make, ids):
    tied = make.tie(who=MINE, named=(make.found(make.run("1", jobs=None)),))

    assert ids(tied) == ["1"]


@pytest.mark.parametrize(
    ("start", "ahead", "within", "holds"),
    [
        ("09:07", 0, 0, True),
        ("09:07:01", 0, 0, False),
        ("09:10", 200, 1, True),  # the CI's clock is 200 s ahead: it began at 09:06:40
        ("09:10:20", 200, 1, False),
        ("09:10", 200, 150, False),  # so much is not sure
    ],
)
def test_a_ci_clock_that_was_measured_to_be_off_widens_the_search(make, start, ahead, within, holds):
    offset = Offset(timedelta(seconds=ahead), timedelta(seconds=within))
    run = make.run(start=start, end=None)
    look = make.look(run)
    read = replace(
        look, listing=replace(look.listing, offset=offset), closer={"1": replace(make.found(run), offset=offset)}
    )

    tied = make.tie(read)

    assert bool(tied.candidates) is holds
    assert [one.ref.id for one in tied.contenders] == ([] if holds else ["1"])


def test_a_machine_shows_no_job_that_a_ci_clock_ahead_makes_go_on_too_long(make):
    def tie(ahead):
        job = make.job(end="09:08", machine="task-1")
        run = make.run(end="09:08", jobs=(job,))
        offset = Offset(timedelta(seconds=ahead), timedelta(0))
        look = make.look(run, system="ECS", closer={"1": replace(make.found(run), offset=offset)})
        return make.tie(look, who="root@task-1").tie

    assert tie(170) is Tie.SHOWN
    assert tie(190) is Tie.BY_TIME


def test_clocks_are_in_doubt_only_if_they_differ_by_more_than_they_may(make):
    assert not Taken(make.created, make.created + SKEW).is_doubtful(SKEW)
    assert Taken(make.created, make.created + SKEW + timedelta(seconds=1)).is_doubtful(SKEW)


@pytest.mark.parametrize(
    ("changes", "may"),
    [
        ({"phase": Phase.WAITING}, False),
        ({"phase": Phase.RUNNING}, True),
        ({"phase": Phase.WAITING, "attempt": 2}, True),
        ({"phase": Phase.WAITING, "ended": True}, True),
        ({"phase": Phase.WAITING, "conclusion": Conclusion.FAILED}, True),
    ],
)
def test_a_run_without_jobs_is_out_only_if_it_never_ran(make, changes, may):
    ended = make.at("09:15") if changes.pop("ended", False) else None
    run = replace(make.run(end=None), jobs=(), ended_at=ended, **changes)

    assert (in_time(run, make.found(run), Taken.of(make.info()), SKEW) is not None) is may


@pytest.mark.parametrize(("start", "holds"), [("09:02", True), (None, False), ("09:30", False)])
def test_a_job_that_waits_again_may_have_run_before(make, start, holds):
    job = make.job(start, None, phase=Phase.WAITING)

    assert holds_instant(job, make.run(), Taken.of(make.info()), SKEW) is holds


def test_a_listed_run_that_was_not_read_again_is_not_known_to_be_over(make):
    look = replace(make.look(make.run()), closer={})
    (one,) = suspected(look, Taken.of(make.info()), SKEW)

    assert one.seen == Unseen("GitHub Actions", Trouble.TOO_MUCH, "the run was listed, but not read again", make.now)
    assert decide(make.case(looks=(look,)), make.now).ruling is Ruling.REFUSE


def test_a_log_says_of_which_run_it_is_only_beside_other_runs(make):
    one, two = make.run("1"), make.run("2")

    assert plain(make.tie(make.look(one, logs={"1": make.log()})).reason).startswith("the log of job apply")
    beside = make.tie(make.look(one, two, logs={"1": make.log()}))
    assert plain(beside.reason).startswith("deploy.yml in acme/infra #1: the log of job apply")
