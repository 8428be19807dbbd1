"""Whether a run is over, how it ended and when that may be believed, at the level of its jobs."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from bot.core.gate.attribution import Candidate
from bot.core.gate.claim import Exited
from bot.core.gate.ending import (
    end_words,
    ended_badly,
    how_it_ended,
    is_lost,
    is_over,
    run_name,
    seen_to_end_at,
    settled_at,
    short_name,
    why_alive,
)
from bot.core.phrase import Linked, plain
from bot.core.run import Conclusion, Phase

BAD = (Conclusion.FAILED, Conclusion.CANCELLED, Conclusion.TIMED_OUT, Conclusion.LOST)


@pytest.fixture(scope="module")
def ended(make):
    """A run of these jobs (how each ended, and when), of which those at `held` may have had the lock."""

    def _ended(*jobs, held=(), run=Conclusion.FAILED, offset=True, exited=None, **changes):
        parts = tuple(make.job(end=end, conclusion=how, id=f"{number}") for number, (how, end) in enumerate(jobs))
        read = replace(make.run(conclusion=run, jobs=parts), **changes)
        seen = make.found(read) if offset else replace(make.found(read), offset=None)
        return Candidate(read, seen, tuple(parts[number] for number in held), exited=exited)

    return _ended


@pytest.mark.parametrize("how", BAD)
def test_the_jobs_that_may_have_had_the_lock_say_how_it_ended_and_without_any_the_run_does(ended, how):
    good, bad = (Conclusion.SUCCESS, "09:10"), (how, "09:15")

    assert ended_badly(ended(good, bad, held=(0, 1))) is True
    assert ended_badly(ended(good, bad, held=(0,))) is False
    assert ended_badly(ended(good, run=how)) is True
    assert ended_badly(ended(good, run=Conclusion.SUCCESS)) is False


@pytest.mark.parametrize(("code", "is_bad", "how"), [(0, False, Conclusion.SUCCESS), (1, True, Conclusion.FAILED)])
def test_what_a_sealed_process_reported_counts_whatever_became_of_its_run(make, ended, code, is_bad, how):
    at = make.at("09:12")
    one = ended((Conclusion.LOST, "09:15"), held=(0,), run=Conclusion.LOST, exited=Exited(code, at))

    assert (is_over(one), is_lost(one), ended_badly(one), seen_to_end_at(one)) == (True, False, is_bad, at)
    believed = settled_at(one, make.policy, taken=make.created)
    assert (believed.at, believed.conclusion, believed.settle, believed.reported) == (at, how, timedelta(0), True)


def test_a_sealed_process_is_over_whatever_its_run_does(make, ended):
    job = (Conclusion.FAILED, "09:15")

    assert is_over(ended(job, phase=Phase.RUNNING, exited=Exited(0, make.at("09:12"))))
    assert not is_over(ended(job, phase=Phase.RUNNING))
    assert is_over(ended(job))


def test_a_job_that_was_lost_counts_where_it_may_have_had_the_lock(ended):
    lost, failed = (Conclusion.LOST, "09:15"), (Conclusion.FAILED, "09:15")

    assert is_lost(ended(failed, lost, held=(0, 1))) is True
    assert is_lost(ended(failed, lost, held=(0,))) is False
    assert is_lost(ended(failed, lost)) is True  # nobody knows which
    assert is_lost(ended(failed, failed)) is False
    assert is_lost(ended(run=Conclusion.LOST)) is True
    assert is_lost(ended(jobs=None)) is False


def test_an_end_counts_from_the_last_of_all_jobs_with_the_longer_settle_time(make, ended):
    def at(candidate):
        believed = settled_at(candidate, make.policy, taken=make.created)
        return None if believed is None else believed.at

    failed, slow = make.policy.settle_time(Conclusion.FAILED, ""), make.policy.settle_time(Conclusion.TIMED_OUT, "")
    assert at(ended((Conclusion.FAILED, "09:10"), (Conclusion.FAILED, "09:15"), held=(0,))) == make.at("09:15") + failed
    assert at(ended((Conclusion.TIMED_OUT, "09:15"))) == make.at("09:15") + slow
    assert at(ended((Conclusion.FAILED, "09:15"), run=Conclusion.TIMED_OUT)) == make.at("09:15") + slow
    assert at(ended()) == make.at("09:15") + failed  # without jobs, the run's own end
    assert at(ended((Conclusion.FAILED, "09:15"), offset=False)) == make.at("09:15") + failed + make.policy.clock_skew
    assert at(ended((Conclusion.FAILED, "09:15"), phase=Phase.RUNNING)) is None
    assert slow > failed


def test_it_was_seen_to_end_with_the_first_job_that_may_have_had_the_lock(make, ended):
    early, late = (Conclusion.FAILED, "09:10"), (Conclusion.FAILED, "09:15")

    assert seen_to_end_at(ended(early, late, held=(1,))) == make.at("09:15")
    assert seen_to_end_at(ended(early, late, held=(0, 1))) == make.at("09:10")
    assert seen_to_end_at(ended(early, late)) == make.at("09:10")
    assert seen_to_end_at(ended((Conclusion.SKIPPED, "09:01"), late)) == make.at("09:15")
    assert seen_to_end_at(ended()) == make.at("09:15")
    assert seen_to_end_at(ended(early, late, phase=Phase.RUNNING)) is None
    assert seen_to_end_at(ended(early, (Conclusion.LOST, "09:15"))) is None
    assert seen_to_end_at(ended(early, (None, "09:15"))) is None


def test_an_end_without_a_time_was_not_seen(make, ended):
    one = ended((Conclusion.FAILED, "09:10"), (Conclusion.FAILED, "09:15"))
    untimed = replace(one.run, jobs=(one.run.jobs[0], replace(one.run.jobs[1], ended_at=None)))
    unknown = replace(one, seen=make.found(untimed))

    assert is_over(unknown)
    assert seen_to_end_at(unknown) is None
    assert settled_at(unknown, make.policy, taken=make.created) is None


def test_the_words_name_the_last_end_of_any_job(make, ended):
    def times(candidate):
        return [part for part in how_it_ended(candidate) if isinstance(part, datetime)]

    both = ended((Conclusion.FAILED, "09:10"), (Conclusion.FAILED, "09:20"), held=(0,))
    assert times(both) == [make.at("09:20")]
    assert times(ended()) == [make.at("09:15")]


@pytest.mark.parametrize(
    ("jobs", "held", "run", "words"),
    [
        ([(Conclusion.SUCCESS, "09:10"), (Conclusion.TIMED_OUT, "09:15")], (0, 1), Conclusion.FAILED, "timed out"),
        ([(Conclusion.SUCCESS, "09:15"), (Conclusion.CANCELLED, "09:10")], (0,), Conclusion.FAILED, "failed"),
        ([(Conclusion.SUCCESS, "09:15")], (0,), Conclusion.SUCCESS, "succeeded"),
        ([], (), Conclusion.CANCELLED, "was cancelled"),
    ],
)
def test_how_a_run_ended_is_said_by_the_worst_of_its_jobs_and_else_by_its_own_word(ended, jobs, held, run, words):
    candidate = ended(*jobs, held=held, run=run)

    assert plain(end_words(candidate)).startswith(f"{words} at ")
    assert f"#1 {words} at " in plain(how_it_ended(candidate))


def test_a_run_whose_jobs_are_not_known_ended_when_it_says_so(make):
    run = replace(make.run(conclusion=Conclusion.FAILED), jobs=None)

    assert make.at("09:15") in end_words(Candidate(run, make.found(run), ()))
    assert end_words(Candidate(replace(run, ended_at=None), make.unseen(), ())) == ("failed",)


def test_a_run_is_named_with_its_page_where_it_has_one(make):
    run = make.run("7")
    bare = replace(run, ref=replace(run.ref, url=""))

    assert run_name(run) == Linked("deploy.yml in acme/infra #7", "https://ci.example.com/7")
    assert run_name(bare) == Linked("deploy.yml in acme/infra #7", None)
    assert short_name(run) == Linked("deploy.yml #7", "https://ci.example.com/7")
    assert short_name(bare) == Linked("deploy.yml #7", None)


def test_since_when_a_job_runs_is_said_where_its_system_says_so(make):
    def words(start):
        run = make.run(end=None, jobs=(make.job(start, None),))
        return why_alive(Candidate(run, make.found(run), ()))

    assert words("09:02")[-2:] == (" since ", make.at("09:02"))
    assert " since " not in words(None)
