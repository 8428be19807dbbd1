"""What becomes of a job whose last try fails: somebody is told, and nothing stays as it is for ever."""

from __future__ import annotations

import inspect
from dataclasses import replace
from datetime import timedelta

import pytest

from bot.core.gate.stages import UnlockStage
from bot.core.phrase import plain
from bot.core.policy import Policy
from bot.core.reports.report import Notice
from bot.core.reports.unlock import UnlockReport
from bot.core.run import Conclusion
from bot.errors import Denied, JournalAway, NotReplicated, Unreachable
from bot.usecases.unlock import unlock
from bot.worker import JOBS
from tests.worlds.memory.world import CHANNEL, STATE

QUEUED_BY_THE_FIRST_VERSION = {
    "release": ("id1",),
    "armed": ("id1", "0"),
    "auto_release": ("id1",),
    "recheck": ("id1", "0"),
    "pending": ("id1", "2026-07-06T09:00:00+00:00", "0"),
    "kill": ("id1", "0"),
    "remind": ("id1", "1"),
    "step": ("Fx1", "staging", "C0INC", "a reason"),
    "step_look": ("Fx1", "0"),
    "letter": ("staging", "lock-1", "U0ELLIOTT"),
    "ask_owner_again": ("staging", "lock-1"),
    "owner_answered": ("staging", "lock-1", "U0ELLIOTT", "running", "2026-07-06T09:00:00+00:00"),
    "capture": ("C0INC", "1700000000.000100", "U0QUINN", "marked", "Ev1"),
    "backfill": ("id1", "0"),
    "archived": ("C0INC",),
    "export": ("inc-1",),
    "reissue": ("inc-1", "7"),
    "deliver": ("inc-1", "hash", "s3"),
    "followups": ("inc-1", "hash"),
    "ticket": ("inc-1", "key", "U0QUINN"),
    "answer": ("C0INC", "U0QUINN", "", "Slack didn't respond as expected", "Nothing was changed."),
    "waiting": ("staging",),
    "hold": ("id1",),
}


@pytest.fixture
def confirmed(make_paper):
    """A lock whose run failed long ago, and a click that wants it released."""
    paper = make_paper(policy=Policy(release_deadline=timedelta(milliseconds=200)))
    paper.take_lock()
    paper.ci.end("1001", Conclusion.FAILED)
    paper.pass_time(300)
    wish = unlock.UnlockCommand(STATE, "U0QUINN", CHANNEL, paper.incident.id)
    paper.request = paper.run(unlock.ask(paper.ports, wish)).request.id
    paper.run(unlock.confirm(paper.ports, paper.request, lock_id="lock-1", user="U0QUINN"))
    return paper


def last_words(paper):
    return [(notice.headline, notice.reference) for notice in paper.messenger.all(Notice)]


@pytest.mark.parametrize("name", QUEUED_BY_THE_FIRST_VERSION)
def test_a_job_that_an_earlier_version_queued_fits_what_it_starts_now(name):
    job = JOBS[name]
    given = job.read(QUEUED_BY_THE_FIRST_VERSION[name], worker="w1", is_last_try=False)

    inspect.signature(job.work).bind(None, **given)
    assert job.subject(QUEUED_BY_THE_FIRST_VERSION[name])


def test_no_job_is_without_an_example_of_what_was_queued():
    assert QUEUED_BY_THE_FIRST_VERSION.keys() == JOBS.keys()


def test_a_use_case_that_asks_for_the_worker_or_the_last_try_is_told_of_it():
    for job in JOBS.values():
        wanted = inspect.signature(job.work).parameters
        assert (job.knows_worker, job.knows_last_try) == ("worker" in wanted, "is_last_try" in wanted), job.name


def test_a_release_that_cannot_be_written_down_by_its_last_try_says_so_below_its_message(confirmed):
    confirmed.fail(JournalAway("no replica has it"), "append")

    confirmed.pass_time(600)

    assert last_words(confirmed) == [("The release could not be finished", confirmed.request)]
    assert set(confirmed.store.texts) == set(confirmed.kinds)


def test_a_job_about_a_state_that_is_no_longer_configured_says_just_that(confirmed):
    confirmed.ports = replace(confirmed.ports, states={})

    confirmed.pass_time(600)

    (notice,) = confirmed.messenger.all(Notice)
    assert (notice.headline, notice.reference) == ("The release could not be finished", confirmed.request)
    assert "unknown state 'staging'" in plain(notice.lines[0])
    assert set(confirmed.store.texts) == set(confirmed.kinds)


def test_a_job_about_a_state_that_the_next_worker_knows_is_done_by_that_one(confirmed):
    states = confirmed.ports.states
    confirmed.ports = replace(confirmed.ports, states={})
    confirmed.pass_time(5)
    confirmed.ports = replace(confirmed.ports, states=states)

    confirmed.pass_time(600)

    assert not confirmed.messenger.all(Notice)
    assert not confirmed.store.texts


def test_a_release_whose_intent_no_replica_confirms_deletes_nothing_and_says_so(confirmed):
    confirmed.fail(NotReplicated("the write did not reach a replica of Redis"), "secure")

    confirmed.pass_time(600)

    report = confirmed.messenger.all(UnlockReport)[-1]
    assert report.stage is UnlockStage.REFUSED
    assert "no replica of Redis has confirmed the intent" in plain(report.note)
    assert confirmed.outcomes() == ["refused"]
    assert set(confirmed.store.texts) == set(confirmed.kinds)


def test_a_release_whose_intent_a_replica_confirms_late_is_carried_out(confirmed):
    confirmed.fail(NotReplicated("the write did not reach a replica of Redis"), "secure", times=1)

    confirmed.pass_time(60)

    assert confirmed.outcomes() == ["released"]
    assert not confirmed.store.texts


def test_a_release_whose_end_slack_did_not_take_by_the_last_try_is_told_when_slack_is_back(confirmed):
    confirmed.fail(Unreachable("Slack", "no answer"), "tell ", "notice", "letter")
    confirmed.pass_time(600)
    assert not confirmed.store.texts
    assert all(report.stage is not UnlockStage.RELEASED for report in confirmed.messenger.all(UnlockReport))

    confirmed.switchboard.fault = None
    confirmed.pass_time(600)

    assert confirmed.messenger.all(UnlockReport)[-1].stage is UnlockStage.RELEASED
    assert confirmed.outcomes() == ["released"]
    assert last_words(confirmed) == []
    assert len(confirmed.messenger.rung) == 1
    assert not [key for key in confirmed.jobs.waiting if key.startswith("release")]


def test_a_job_whose_last_words_slack_refuses_for_good_is_given_up(confirmed):
    confirmed.fail(Denied("Slack", "the channel is archived"), "tell ", "notice")

    confirmed.pass_time(3600)

    assert not [key for key in confirmed.jobs.waiting if key.startswith("release")]
    assert confirmed.outcomes() == ["released"]
