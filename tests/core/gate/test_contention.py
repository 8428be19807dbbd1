"""Who else wants the lock, and which pipelines are started again and again."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.evidence import Trouble
from bot.core.gate.contention import LoopSource, contention, source_of, starts_of
from bot.core.gate.tie import attribute
from bot.core.lock import PlaceKind
from bot.core.policy import Holders, LoopRule
from bot.core.run import Conclusion, Phase

RULE = LoopRule(starts=5, within=timedelta(minutes=15))
SKEW = timedelta(seconds=120)
MINUTE = timedelta(minutes=1)


@pytest.fixture(scope="module")
def started(make):
    """Runs of the dependency update that were started at these times and failed 20 s later."""

    def _started(*times, **changes):
        return tuple(
            make.run(
                str(1000 + n),
                pipeline=make.update,
                conclusion=Conclusion.FAILED,
                created_at=at,
                started_at=at,
                ended_at=at + timedelta(seconds=20),
                actor="dependency-bot",
                trigger="schedule",
                jobs=None,
                **changes,
            )
            for n, at in enumerate(times)
        )

    return _started


@pytest.fixture(scope="module")
def around(make):
    """What goes on around the incident's lock."""

    def _around(*runs, now=None, rule=RULE, free=False):
        look = make.look(*runs, pipeline=make.update)
        tied = None if free else attribute(make.info(), (look,), holders=Holders(), skew=SKEW)
        possible = [] if tied is None else [candidate.run.ref for candidate in tied.possible]
        return contention((look,), possible=possible, now=now or make.now, rule=rule)

    return _around


# loops


def test_the_incidents_dependency_update_every_minute_for_two_hours_is_a_loop(make, around, started):
    first = make.at("09:50")
    times = [first + MINUTE * n for n in range(125)]
    runs = list(started(*times))
    runs[-1] = replace(runs[-1], phase=Phase.RUNNING, conclusion=None, ended_at=None)

    found = around(make.run(), *runs)

    (loop,) = found.loops
    assert loop.pipeline == make.update
    assert (loop.since, loop.total) == (first, 125)
    assert (loop.starts, loop.first, loop.last) == (16, make.at("11:39"), make.at("11:54"))
    assert loop.every == MINUTE
    assert (loop.trigger, loop.actor) == ("schedule", "dependency-bot")
    assert [run.ref.id for run in loop.runs] == [str(1124 - n) for n in range(16)]
    assert [run.ref.id for run in found.active] == ["1124"]


def test_as_many_starts_as_the_rule_says_within_its_time_are_a_loop_and_one_less_is_none(make, around, started):
    times = [make.now - timedelta(minutes=15) + timedelta(minutes=15) / 4 * n for n in range(5)]

    assert len(around(*started(*times)).loops) == 1
    assert around(*started(*times[1:])).loops == ()
    assert around(*started(times[0] - timedelta(seconds=1), *times[1:])).loops == ()


def test_a_loop_that_stopped_longer_ago_than_the_rules_time_is_none_now(make, around, started):
    last = make.now - RULE.within
    runs = started(*(last - MINUTE * n for n in range(5)))

    assert len(around(*runs).loops) == 1
    assert around(*runs, now=make.now + timedelta(seconds=1)).loops == ()


def test_attempts_of_one_run_are_starts_too(make, around, started):
    (run,) = started(make.now - timedelta(minutes=8), attempt=5)

    found = around(replace(run, started_at=make.now))

    (loop,) = found.loops
    assert (loop.starts, loop.every, len(loop.runs)) == (5, timedelta(minutes=2), 1)


def test_a_series_goes_back_to_the_last_long_gap(make, around, started):
    recent = [make.now - MINUTE * n for n in range(20)]
    before = [recent[-1] - timedelta(minutes=6) - MINUTE * n for n in range(20)]

    (loop,) = around(*started(*recent, *before)).loops

    assert (loop.since, loop.total) == (recent[-1], 20)


def test_a_series_bears_a_gap_half_as_long_again_as_the_rules_pace(make, around, started):
    recent = [make.now - MINUTE * n for n in range(20)]
    before = recent[-1] - timedelta(minutes=15) / 4 * 1.5

    (loop,) = around(*started(*recent, before)).loops

    assert (loop.since, loop.total) == (before, 21)


def test_each_pipeline_counts_for_itself(make, started):
    times = [make.now - MINUTE * n for n in range(5)]
    updates = started(*times[:4])
    deploys = tuple(make.run(str(n), created_at=at, jobs=None) for n, at in enumerate(times))
    looks = (make.look(*updates, pipeline=make.update), make.look(*deploys))

    found = contention(looks, now=make.now, rule=RULE)

    assert [loop.pipeline for loop in found.loops] == [make.deploy]


def test_the_busiest_loop_comes_first(make, started):
    updates = started(*(make.now - MINUTE * n for n in range(12)))
    deploys = tuple(make.run(str(n), created_at=make.now - MINUTE * n, jobs=None) for n in range(6))
    looks = (make.look(*deploys), make.look(*updates, pipeline=make.update))

    found = contention(looks, now=make.now, rule=RULE)

    assert [loop.pipeline for loop in found.loops] == [make.update, make.deploy]


def test_a_run_that_two_lists_tell_of_is_one_start(make, started):
    runs = started(*(make.now - MINUTE * n for n in range(4)))
    look = make.look(*runs, pipeline=make.update)

    assert contention((look, look), now=make.now, rule=RULE).loops == ()


def test_a_loop_has_the_trigger_and_the_actor_of_most_of_its_runs(make, around, started):
    runs = started(*(make.now - MINUTE * n for n in range(6)))
    by_hand = replace(runs[0], trigger="workflow_dispatch", actor="quinn")

    (loop,) = around(by_hand, *runs[1:]).loops

    assert (loop.trigger, loop.actor) == ("schedule", "dependency-bot")


@pytest.mark.parametrize("starts", [-1, 0, 1])
def test_one_start_is_no_loop_whatever_the_rule_says(make, around, started, starts):
    rule = LoopRule(starts, timedelta(minutes=15))

    assert around(*started(make.now), rule=rule).loops == ()
    assert len(around(*started(make.now, make.now - MINUTE), rule=rule).loops) == 1


def test_a_list_that_could_not_be_read_shows_nothing(make):
    look = make.look(pipeline=make.update, listing=make.unseen())

    found = contention((look,), now=make.now, rule=RULE)

    assert (found.active, found.loops) == ((), ())


# starts


def test_the_times_of_the_attempts_between_come_from_the_jobs_where_they_are_known(make):
    jobs = (make.job("09:02"), make.job("09:20", attempt=2, id="12"), make.job("09:21", attempt=2, id="13"))
    run = make.run(attempt=4, started_at=make.at("10:00"), jobs=jobs)

    assert starts_of(run) == tuple(map(make.at, ("09:02", "09:20", "09:40", "10:00")))


def test_neither_a_runs_first_start_nor_its_newest_is_its_jobs_nor_is_that_of_a_job_without_a_start(make):
    jobs = (make.job("09:01"), make.job("09:00", attempt=3, id="12"), make.job(None, attempt=2, id="13"))
    run = make.run(attempt=3, started_at=make.at("10:02"), jobs=jobs)

    assert starts_of(run) == tuple(map(make.at, ("09:02", "09:32", "10:02")))
    assert starts_of(replace(run, attempt=2)) == tuple(map(make.at, ("09:02", "10:02")))


@pytest.mark.parametrize("attempt", [0, 1])
def test_a_first_attempt_starts_when_its_run_was_made(make, attempt):
    run = make.run(attempt=attempt, started_at=make.at("09:10"))

    assert starts_of(run) == (make.at("09:02"),)


def test_an_absurd_number_of_attempts_stays_bounded(make):
    assert len(starts_of(make.run(attempt=10**9, started_at=make.at("10:00")))) == 1000


# runs that are going on


@pytest.mark.parametrize("phase", [Phase.RUNNING, Phase.WAITING, Phase.ENDING, Phase.UNKNOWN])
def test_a_run_that_started_after_the_lock_and_goes_on_is_active(make, around, started, phase):
    (run,) = started(make.at("11:50"), phase=phase)

    assert around(run).active == (run,)


def test_a_run_that_ended_is_not_active(make, around, started):
    assert around(*started(make.at("11:50"))).active == ()


def test_a_run_that_may_hold_the_lock_is_not_counted_beside_it(make, around):
    holder = make.run(end=None)

    assert around(holder).active == ()
    assert around(replace(holder, jobs=None)).active == ()


def test_around_a_free_state_everything_that_goes_on_is_active(make, around):
    runs = (make.run("1", "09:02", None), make.run("2", "11:00", None), make.run("3"))

    assert [run.ref.id for run in around(*runs, free=True).active] == ["2", "1"]


def test_a_run_from_before_the_lock_none_of_whose_jobs_went_on_then_is_active(make, around):
    run = make.run(start="08:00", end=None, jobs=(make.job("08:00", "08:10"), make.job("11:50", None)))

    assert [active.ref.id for active in around(run).active] == ["1"]


def test_the_newest_reading_of_a_run_says_whether_it_goes_on(make):
    listed = replace(make.run(start="08:00", end=None), jobs=None)
    read = make.run(start="08:00", end="08:30")
    look = replace(make.look(listed), closer={"1": make.found(read)})

    assert contention((look,), now=make.now, rule=RULE).active == ()


# properties


starts = st.lists(st.integers(0, 4 * 3600), max_size=60)
rules = st.builds(LoopRule, st.integers(0, 8), st.integers(0, 3600).map(lambda n: timedelta(seconds=n)))


@given(seconds=starts, rule=rules)
def test_a_loop_is_what_its_own_numbers_say(make, around, started, seconds, rule):
    times = sorted(make.now - timedelta(seconds=n) for n in seconds)

    for loop in around(*started(*times), rule=rule).loops:
        window = [at for at in times if times[-1] - rule.within <= at]
        assert loop.starts == len(window) >= max(rule.starts, 2)
        assert (loop.first, loop.last) == (window[0], window[-1])
        assert loop.since in times
        assert loop.since <= loop.first
        assert loop.total == sum(at >= loop.since for at in times) or times.count(loop.since) > 1
        assert timedelta(0) <= loop.every <= max(rule.within, rule.within / (max(rule.starts, 2) - 1) * 1.5)
        assert loop.runs[0].created_at == loop.last
        assert make.now - loop.last <= rule.within


@given(seconds=starts, rule=rules)
def test_a_pipeline_with_enough_recent_starts_is_always_a_loop(make, around, started, seconds, rule):
    times = [make.now - timedelta(seconds=n) for n in seconds]
    newest = max(times, default=None)
    near = [at for at in times if newest - at <= rule.within]
    expected = len(near) >= max(rule.starts, 2) and make.now - newest <= rule.within

    assert bool(around(*started(*times), rule=rule).loops) is expected


@given(order=st.permutations(range(12)))
def test_the_order_of_the_list_does_not_matter(make, around, started, order):
    runs = started(*(make.now - MINUTE * n for n in range(12)))

    assert around(*(runs[n] for n in order)) == around(*runs)


# what starts a loop


@pytest.mark.parametrize(
    ("trigger", "actor", "source"),
    [
        ("schedule", "quinn", LoopSource.SCHEDULE),
        ("schedule", "dependency-bot", LoopSource.SCHEDULE),
        ("TimerTrigger", "", LoopSource.SCHEDULE),
        ("pull_request", "renovate[bot]", LoopSource.BOT),
        ("push", "dependency-bot", LoopSource.BOT),
        ("push", "abbott", LoopSource.UNTOLD),
        ("workflow_run", "quinn", LoopSource.PIPELINE),
        ("buildCompletion", "quinn", LoopSource.PIPELINE),
        ("parent_pipeline", "quinn", LoopSource.PIPELINE),
        ("repository_dispatch", "quinn", LoopSource.REQUEST),
        ("api", "quinn", LoopSource.REQUEST),
        ("push", "quinn", LoopSource.UNTOLD),
        ("", "", LoopSource.UNTOLD),
    ],
)
def test_what_starts_a_loop_is_told_by_the_systems_own_words(make, around, started, trigger, actor, source):
    runs = started(*(make.now - n * MINUTE for n in range(10)))
    (loop,) = around(*(replace(run, trigger=trigger, actor=actor) for run in runs)).loops

    assert source_of(loop) is source


def test_a_loop_of_further_attempts_is_told_as_re_runs_whatever_its_trigger(make, around, started):
    (run,) = started(make.now - 10 * MINUTE)
    (loop,) = around(replace(run, attempt=9, started_at=make.now)).loops

    assert source_of(loop) is LoopSource.RETRIES


@pytest.mark.parametrize(
    ("attempts", "are_retries"), [((3, 1), True), ((2, 1), False), ((2, 2, 1), False), ((), False)]
)
def test_a_loop_is_one_of_re_runs_if_at_least_half_of_its_starts_were_further_attempts(
    make, around, started, attempts, are_retries
):
    (run,) = started(make.now - 10 * MINUTE)
    (loop,) = around(replace(run, attempt=9, started_at=make.now)).loops
    runs = tuple(replace(run, ref=replace(run.ref, id=str(n)), attempt=each) for n, each in enumerate(attempts))

    assert (source_of(replace(loop, runs=runs)) is LoopSource.RETRIES) is are_retries


def test_a_further_attempt_without_a_start_began_with_its_run(make):
    run = replace(make.run(), attempt=3, started_at=None, jobs=None)

    assert set(starts_of(run)) == {run.created_at}


@pytest.mark.parametrize("is_read", [True, False])
def test_a_run_that_could_not_be_read_again_counts_as_it_was_listed(make, is_read):
    run = make.run(end=None)
    look = make.look(run, closer={"1": make.found(make.run()) if is_read else make.unseen()})

    assert bool(contention((look,), now=make.now, rule=RULE).active) is not is_read


def test_the_loop_with_most_starts_comes_first_and_of_two_the_longer_one(make, started):
    """The deployment has been at it for longer; of late both start as often, or the update a little more."""
    recent = [make.now - MINUTE * n for n in range(16)]
    longer = started(*recent, *(recent[-1] - MINUTE * n for n in range(1, 5)))
    longer = tuple(replace(run, ref=replace(run.ref, pipeline=make.deploy)) for run in longer)

    def order(*times):
        looks = make.look(*longer, pipeline=make.deploy), make.look(*started(*times), pipeline=make.update)
        return [loop.pipeline for loop in contention(looks, now=make.now, rule=RULE).loops]

    assert make.update < make.deploy
    assert order(*recent) == [make.deploy, make.update]
    assert order(*recent, make.now) == [make.update, make.deploy]


@pytest.mark.parametrize("is_read", [True, False])
@pytest.mark.parametrize("refused", [0, 312, None])
def test_a_table_is_throttled_if_it_refuses_the_bot_or_has_refused_anyone(make, chronicle, is_read, refused):
    away = make.unseen(trouble=Trouble.THROTTLED)
    seen = make.seen(make.place(make.info())) if is_read else make.seen(unseen=((PlaceKind.ITEM, away),))
    table = None if refused is None else chronicle.table(refused=refused)

    assert chronicle.inspection("11:00", seen=seen, table=table).is_throttled is (not is_read or refused == 312)
