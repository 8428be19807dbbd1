"""What a look has found while Redis or Slack was away is written down and shown once they are back."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bot.core.gate.stages import KillStage, UnlockStage
from bot.core.people import OwnerAnswer, OwnerSays
from bot.core.reports.kill import KillReport, KillRequest
from bot.core.reports.unlock import UnlockReport
from bot.core.run import Conclusion
from bot.errors import Denied, JournalAway, NotPermitted, Throttled
from bot.usecases.decide.owner import record_answer
from bot.usecases.request import approval
from bot.usecases.request.record import KILLS, UNLOCKS, KillRecord
from bot.usecases.unlock import unlock
from tests.worlds.memory.world import CHANNEL, DEPLOY, STATE

QUINN, PARKER, ELLIOTT = "U0QUINN", "U0PARKER", "U0ELLIOTT"


@pytest.fixture
def asked(make_paper):
    """An unlock of a lock whose run failed long ago; of a `protected` state it waits for a second person."""

    def make(**settings):
        paper = make_paper(**settings)
        paper.take_lock()
        paper.ci.end("1001", Conclusion.FAILED)
        paper.pass_time(300)
        wish = unlock.UnlockCommand(STATE, QUINN, CHANNEL, paper.incident.id)
        paper.request = paper.run(unlock.ask(paper.ports, wish)).request.id
        return paper

    return make


def goes(paper):
    paper.store.texts.clear()


def objects(paper):
    answer = OwnerAnswer("lock-1", ELLIOTT, OwnerSays.RUNNING, paper.clock.now())
    paper.run(record_answer(paper.ports, STATE, answer, incident=paper.incident.id))


def nothing(paper):
    pass


@pytest.mark.parametrize(
    ("happens", "stage"),
    [(nothing, UnlockStage.EXPIRED), (goes, UnlockStage.ALREADY_FREE), (objects, UnlockStage.REFUSED)],
    ids=["nobody approves", "the lock goes", "the owner objects"],
)
@pytest.mark.parametrize(
    ("error", "name", "times"),
    [
        (Throttled("Slack", "asks for patience", retry_after=60), "tell ", 4),
        (JournalAway("away"), "append unlock.withdrawn", 3),
        (None, "", 0),
    ],
    ids=["without Slack", "without Redis", "undisturbed"],
)
def test_the_end_of_a_request_that_waits_is_told_once_slack_and_redis_are_back(
    asked, happens, stage, error, name, times
):
    paper = asked(protected=True)
    happens(paper)
    if times:
        paper.fail(error, name, times=times)

    paper.pass_time(15 * 60 + 180 if happens is nothing else 180)

    assert {report.stage for report in paper.messenger.now(UnlockReport).values()} == {stage}
    written = [entry for entry in paper.journal.logs[paper.incident.id] if entry.kind == "unlock.withdrawn"]
    assert [entry.facts["outcome"] for entry in written] == [str(stage)]
    assert paper.run(UNLOCKS.get(paper.ports, paper.request)).untold == ""
    with pytest.raises(NotPermitted):
        paper.run(approval.approve(paper.ports, paper.request, lock_id="lock-1", user=PARKER, covers="protected"))


def archive(paper):
    """The channel takes no message any more; Slack's other channels do."""
    messenger = paper.messenger
    post, update = messenger.post, messenger.update

    async def refused(to, *args, **more):
        if to == CHANNEL:
            raise Denied("Slack", "the channel is archived (is_archived)")
        return await post(to, *args, **more)

    async def not_updated(posted, what):
        if posted.channel == CHANNEL:
            raise Denied("Slack", "the channel is archived (is_archived)")
        await update(posted, what)

    messenger.post, messenger.update = refused, not_updated


@pytest.mark.parametrize("is_archived", [True, False])
def test_an_outcome_that_its_channel_does_not_take_any_more_is_told_to_the_asker_and_to_all_others(asked, is_archived):
    paper = asked()
    paper.ports = replace(paper.ports, alerts_channel="C0ALERTS")
    paper.run(unlock.confirm(paper.ports, paper.request, lock_id="lock-1", user=QUINN))
    paper.store.on_delete = lambda _kind, _text: archive(paper) if is_archived and len(paper.store.texts) == 1 else None

    paper.pass_time(60)

    assert paper.store.texts == {}
    told = [to for to, report in paper.messenger.posted(UnlockReport) if report.stage is UnlockStage.RELEASED]
    assert told == ([QUINN] if is_archived else [])
    assert "C0ALERTS" in [to for to, _ in paper.messenger.posts]
    assert ELLIOTT in [to for to, _ in paper.messenger.rung]
    assert paper.run(UNLOCKS.get(paper.ports, paper.request)).phase == "done"


def test_an_outcome_that_slack_takes_nowhere_now_is_tried_again(asked):
    """A token that was revoked may be replaced."""
    paper = asked()
    paper.run(unlock.confirm(paper.ports, paper.request, lock_id="lock-1", user=QUINN))
    paper.fail(Denied("Slack", "token_revoked"), "tell ", times=8)

    paper.pass_time(400)

    assert UnlockStage.RELEASED in {report.stage for report in paper.messenger.now(UnlockReport).values()}


@pytest.mark.parametrize("times", [0, 3])
def test_a_reminder_that_slack_does_not_take_at_first_is_given_once(make_paper, times):
    """The source of a loop is still off: the next reminder comes only after a day."""
    paper = make_paper()
    request = KillRequest("k1", STATE, "", "", CHANNEL, QUINN, paper.clock.now())
    record = KillRecord(request=request, ci=DEPLOY.ci, system=DEPLOY.system, fields=DEPLOY.fields)
    paper.run(KILLS.put(paper.ports, "k1", record))
    paper.run(paper.jobs.start("remind", "k1", "0", key="remind:k1:0"))
    paper.fail(Throttled("Slack", "asks for patience"), "tell still off", times=times)

    paper.pass_time(120)

    assert [report.stage for _, report in paper.messenger.posted(KillReport)] == [KillStage.STILL_OFF]
    assert "remind:k1:1" in paper.jobs.waiting
