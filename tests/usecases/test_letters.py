"""The message to the owner of a lock: one for each lock, told once, answered at once, whatever dies meanwhile."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from bot.core.gate.case import Rule
from bot.core.gate.stages import UnlockStage
from bot.core.people import OwnerAnswer, OwnerSays, Presence, Whereabouts
from bot.core.policy import KnownPerson
from bot.core.reports.owner_message import OwnerMessage, OwnerMessageStatus, OwnerNews
from bot.core.reports.report import Notice
from bot.core.reports.unlock import UnlockReport
from bot.core.run import Conclusion
from bot.errors import Denied, NotPermitted, Unreachable
from bot.usecases.decide.inspect import inspect
from bot.usecases.decide.owner import answer_about, record_answer
from bot.usecases.look.status import Question, tell_owner
from bot.usecases.owner import post as letter_post
from bot.usecases.owner.tell import write_to_owner
from bot.usecases.unlock import owner_answers as answers
from bot.usecases.unlock import unlock
from tests.worlds.memory.memory import WORKER
from tests.worlds.memory.world import CHANNEL, STATE

OWNER = "U0ELLIOTT"
STEPS = 60
"""More calls than any of the jobs about a letter makes here."""


@pytest.fixture
def held(make_paper):
    """A lock whose run goes on, on a runner that the lock names."""

    def make(**settings):
        paper = make_paper(**settings)
        paper.take_lock(host="build-1", who="runner@build-1")
        paper.pass_time(300)
        return paper

    return make


def ask(paper, *, user="U0QUINN", **wish):
    wish = unlock.UnlockCommand(STATE, user, CHANNEL, paper.incident.id, **wish)
    return paper.run(unlock.ask(paper.ports, wish)).request.id


def tell(paper, news, *, asker="U0QUINN"):
    async def work():
        seen = await inspect(paper.ports, paper.ports.state(STATE))
        await write_to_owner(paper.ports, news, seen, asker=asker, channel=CHANNEL, incident=paper.incident.id)

    paper.run(work())


def answer(paper, says, *, user=OWNER):
    name = paper.ports.state(STATE).name
    paper.run(
        answers.take_answer(paper.ports, state=name, lock_id="lock-1", user=user, says=says, at=paper.clock.now())
    )


def take_back(paper, *, user=OWNER):
    name = paper.ports.state(STATE).name
    paper.run(answers.take_back(paper.ports, state=name, lock_id="lock-1", user=user, at=paper.clock.now()))


def message(paper):
    """The one message that there is, beside the lines below it."""
    assert len(paper.messenger.now(OwnerMessage)) == 1
    return next(iter(paper.messenger.now(OwnerMessage).values()))


def rung(paper):
    """What the owner was notified of, in order."""
    return [letter.news for _, letter in paper.messenger.rung]


def entries(paper, kind):
    return [entry for entry in paper.journal.logs[paper.incident.id] if entry.kind == kind]


def snoozed(paper, seconds):
    until = paper.clock.now() + timedelta(seconds=seconds)
    paper.directory.where[OWNER] = Whereabouts(Presence.AWAY, "", "", None, until)


def free(paper):
    paper.store.texts.clear()


@pytest.mark.parametrize(("user", "is_told"), [("U0QUINN", True), ("U0GUEST", False)])
@pytest.mark.parametrize("how", ["asks", "unlocks"])
def test_the_owner_is_messaged_because_of_members_and_never_because_of_a_guest(held, how, user, is_told):
    paper = held()
    if how == "unlocks":
        ask(paper, user=user, when_safe=True)
    else:
        seen = paper.run(inspect(paper.ports, paper.ports.state(STATE)))
        paper.run(tell_owner(paper.ports, seen, Question(user, CHANNEL, "status")))
    paper.pass_time(1)

    assert bool(paper.messenger.now(OwnerMessage)) is is_told


def test_all_news_about_a_lock_stand_in_one_message_and_what_matters_rings_once(held):
    paper = held()
    tell(paper, OwnerNews.ASKED)
    paper.pass_time(1)
    paper.ci.end("1001", Conclusion.FAILED)
    tell(paper, OwnerNews.ASKED, asker="U0PARKER")
    paper.pass_time(1)
    first = ask(paper)
    paper.pass_time(1)
    second = ask(paper)
    paper.pass_time(1)

    assert rung(paper) == [OwnerNews.ASKED, OwnerNews.UNLOCK_WANTED]
    letter = message(paper)
    assert letter.news is OwnerNews.UNLOCK_WANTED
    assert letter.request == second != first
    assert {told.news for told in letter.history} >= {OwnerNews.ASKED, OwnerNews.RUN_DIED, OwnerNews.UNLOCK_WANTED}
    assert letter.link.startswith("https://")


def test_a_release_is_the_last_update_and_rings(held):
    paper = held()
    paper.ci.end("1001", Conclusion.FAILED)
    paper.pass_time(300)
    request = ask(paper)
    paper.pass_time(1)

    paper.run(unlock.confirm(paper.ports, request, lock_id="lock-1", user="U0QUINN"))
    paper.pass_time(5)

    assert paper.store.texts == {}
    assert rung(paper) == [OwnerNews.UNLOCK_WANTED, OwnerNews.RELEASED]
    assert message(paper).news is OwnerNews.RELEASED


def test_still_running_blocks_until_it_is_taken_back(held):
    paper = held()
    paper.ci.end("1001", Conclusion.FAILED)
    paper.pass_time(300)
    request = ask(paper)
    paper.pass_time(1)

    answer(paper, OwnerSays.RUNNING)
    paper.pass_time(1)

    assert paper.messenger.all(UnlockReport)[-1].verdict[Rule.OWNER].effect.name == "REFUSES"
    assert "still running" in paper.messenger.all(Notice)[-1].headline
    assert message(paper).answer.says is OwnerSays.RUNNING
    paper.run(unlock.confirm(paper.ports, request, lock_id="lock-1", user="U0QUINN"))
    paper.pass_time(5)
    assert paper.messenger.all(UnlockReport)[-1].stage is UnlockStage.REFUSED
    assert set(paper.store.texts) == set(paper.kinds)

    take_back(paper)
    paper.pass_time(1)

    assert [entry.facts["says"] for entry in entries(paper, "owner.answered")] == ["running", "taken back"]
    assert message(paper).answer is None
    assert paper.messenger.all(UnlockReport)[-1].verdict[Rule.OWNER].effect.name == "HOLDS"
    with pytest.raises(NotPermitted):
        take_back(paper)


def test_still_running_is_over_when_the_run_is_seen_to_end(held):
    paper = held()
    ask(paper, when_safe=True)
    paper.pass_time(1)
    answer(paper, OwnerSays.RUNNING)
    paper.pass_time(300)
    assert set(paper.store.texts) == set(paper.kinds)

    paper.ci.end("1001", Conclusion.FAILED)
    paper.pass_time(300)

    assert paper.store.texts == {}
    assert message(paper).news is OwnerNews.RELEASED


def test_an_armed_unlock_hears_an_answer_at_once(held):
    paper = held()
    paper.ci.end("1001", Conclusion.FAILED)
    ask(paper, when_safe=True)  # the settle time is still to pass
    paper.pass_time(1)

    answer(paper, OwnerSays.RUNNING)
    paper.pass_time(0.5)

    assert paper.messenger.all(UnlockReport)[-1].stage is UnlockStage.REFUSED
    assert set(paper.store.texts) == set(paper.kinds)


@pytest.mark.parametrize("says", OwnerSays)
def test_a_doubled_click_is_one_answer(held, says):
    paper = held()
    ask(paper)
    paper.pass_time(1)

    answer(paper, says)
    answer(paper, says)
    paper.pass_time(5)

    assert [entry.facts["says"] for entry in entries(paper, "owner.answered")] == [says]
    assert set(paper.store.texts) == set(paper.kinds)


def test_whoever_asks_for_time_is_asked_again_once(held):
    paper = held()
    ask(paper)
    paper.pass_time(1)
    answer(paper, OwnerSays.LATER)
    paper.pass_time(590)
    assert rung(paper) == [OwnerNews.UNLOCK_WANTED]

    paper.pass_time(3600)

    assert rung(paper) == [OwnerNews.UNLOCK_WANTED] * 2
    assert message(paper).answer is None


def test_a_question_put_again_that_slack_does_not_take_by_the_last_try_is_told_of_in_the_channel(held):
    paper = held()
    ask(paper)
    paper.pass_time(1)
    answer(paper, OwnerSays.LATER)
    paper.pass_time(590)

    async def away(name):
        if name.startswith("letter"):
            raise Unreachable("Slack", "no answer")

    paper.switchboard.fault = away
    paper.pass_time(400)

    assert paper.messenger.all(Notice)[-1].headline == "The owner of the lock of staging could not be notified"
    assert paper.run(letter_post.untold(paper.ports, STATE, "lock-1")) == "no answer"


def test_whoever_asks_for_time_reads_that_the_lock_is_gone_meanwhile(held):
    paper = held()
    ask(paper)
    paper.pass_time(1)
    answer(paper, OwnerSays.LATER)
    free(paper)

    paper.pass_time(700)

    assert rung(paper) == [OwnerNews.UNLOCK_WANTED]
    assert message(paper).status is OwnerMessageStatus.GONE


def test_do_not_disturb_is_kept_and_all_is_told_at_its_end(held):
    paper = held()
    snoozed(paper, 3600)
    tell(paper, OwnerNews.ASKED)
    paper.pass_time(60)
    ask(paper)
    paper.pass_time(3400)
    assert paper.messenger.now(OwnerMessage) == {}
    (noted,) = entries(paper, "owner.notified")
    assert "no message until" in noted.text

    paper.pass_time(300)

    assert rung(paper) == [OwnerNews.UNLOCK_WANTED]
    assert len(message(paper).history) == 2


def test_after_do_not_disturb_nothing_is_told_of_a_lock_that_is_gone(held):
    paper = held()
    snoozed(paper, 3600)
    tell(paper, OwnerNews.ASKED)
    paper.pass_time(60)
    free(paper)

    paper.pass_time(4000)

    assert paper.messenger.now(OwnerMessage) == {}


def test_a_protected_state_does_not_wait_for_the_end_of_do_not_disturb(held):
    paper = held(protected=True)
    snoozed(paper, 3600)
    tell(paper, OwnerNews.ASKED)
    paper.pass_time(1)

    assert message(paper).disturbs


def test_an_owner_whom_slack_refuses_changes_nothing_and_is_told_of_in_the_channel_once(held):
    paper = held()
    paper.ci.end("1001", Conclusion.FAILED)
    paper.pass_time(300)

    async def refuse(name):
        if name.startswith("letter"):
            raise Denied("Slack", "cannot_dm_bot")

    paper.switchboard.fault = refuse
    ask(paper)
    ask(paper)
    paper.pass_time(600)

    assert all(
        report.verdict[Rule.OWNER].effect.name == "HOLDS"
        for report in paper.messenger.all(UnlockReport)
        if report.verdict
    )
    assert [notice.headline for notice in paper.messenger.all(Notice)] == [
        "The owner of the lock of staging could not be notified"
    ]
    assert paper.run(letter_post.untold(paper.ports, STATE, "lock-1")) == "cannot_dm_bot"
    assert paper.jobs.waiting.keys() == {key for key in paper.jobs.waiting if not key.startswith("letter")}


def test_while_slack_is_away_the_letter_waits_for_it(held):
    paper = held()
    away = [True]

    async def fault(name):
        if name.startswith("letter") and away:
            raise Unreachable("Slack", "no answer")

    paper.switchboard.fault = fault
    ask(paper)
    paper.pass_time(10)
    away.clear()
    paper.pass_time(60)

    assert rung(paper) == [OwnerNews.UNLOCK_WANTED]


def test_the_answer_of_a_deactivated_account_is_refused(held):
    paper = held()
    ask(paper)
    paper.pass_time(1)
    paper.directory.people[OWNER] = replace(paper.directory.people[OWNER], is_deleted=True)

    with pytest.raises(NotPermitted, match="deactivated"):
        answer(paper, OwnerSays.DEAD)

    assert entries(paper, "owner.answered") == []
    assert set(paper.store.texts) == set(paper.kinds)


def kill_at(paper, step):
    """The process of a job dies at its `step`th call."""
    count = [0]

    async def kill(_):
        if WORKER.get():
            count[0] += 1
            if count[0] == step:
                paper.switchboard.dead.add(WORKER.get())

    paper.switchboard.fault = kill


@pytest.mark.parametrize("pause", [60, 1], ids=["news after the job was done again", "news before"])
@pytest.mark.parametrize("step", range(1, STEPS))
def test_wherever_a_worker_is_killed_each_thing_is_told_once(held, step, pause):
    paper = held()
    tell(paper, OwnerNews.ASKED)
    kill_at(paper, step)
    paper.pass_time(pause)
    ask(paper)
    paper.pass_time(60)

    both = [OwnerNews.ASKED, OwnerNews.UNLOCK_WANTED]
    assert rung(paper) in ([both] if pause == 60 else [both, both[1:]])
    assert message(paper).news is OwnerNews.UNLOCK_WANTED


@pytest.mark.parametrize("step", range(1, STEPS * 2, 2))
def test_wherever_a_worker_is_killed_an_answer_is_told_once_and_the_question_put_again_once(held, step):
    paper = held()
    ask(paper)
    paper.pass_time(1)
    answer(paper, OwnerSays.LATER)
    kill_at(paper, step)

    paper.pass_time(800)

    assert rung(paper) == [OwnerNews.UNLOCK_WANTED] * 2
    assert [notice.headline for notice in paper.messenger.all(Notice)] == [
        "The owner of the lock of staging asks for time"
    ]
    assert paper.run(answer_about(paper.ports, STATE, "lock-1")) is None


@pytest.mark.parametrize("news", [OwnerNews.ASKED, OwnerNews.UNLOCK_WANTED])
def test_two_workers_at_once_write_one_message(held, news):
    paper = held()
    tell(paper, news)

    paper.pass_time(60, workers=("w1", "w2"))

    assert rung(paper) == [news]


def test_who_says_that_it_still_runs_is_heard_though_somebody_else_counts_as_the_owner_by_then(held):
    paper = held()
    paper.ci.end("1001", Conclusion.FAILED)
    paper.pass_time(700)
    request = ask(paper)
    paper.pass_time(1)
    answer(paper, OwnerSays.RUNNING)
    owner_is(paper, "U0PARKER")

    for says in (OwnerSays.DEAD, OwnerSays.LATER):
        paper.run(record(paper, says, "U0PARKER"))
        paper.run(unlock.confirm(paper.ports, request, lock_id="lock-1", user="U0QUINN"))
        paper.pass_time(30)
        assert paper.messenger.all(UnlockReport)[-1].stage is UnlockStage.REFUSED
        assert set(paper.store.texts) == set(paper.kinds)

    take_back(paper)
    paper.run(unlock.confirm(paper.ports, request, lock_id="lock-1", user="U0QUINN"))
    paper.pass_time(30)
    assert paper.messenger.all(UnlockReport)[-1].stage is UnlockStage.RELEASED


def test_what_one_says_later_or_takes_back_leaves_the_word_of_another(held):
    paper = held()
    for user in (OWNER, "U0PARKER"):
        paper.run(record(paper, OwnerSays.RUNNING, user))
        paper.pass_time(1)

    take_back(paper, user="U0PARKER")

    heard = paper.run(answer_about(paper.ports, STATE, "lock-1"))
    assert (heard.owner_id, heard.says) == (OWNER, OwnerSays.RUNNING)
    take_back(paper)
    assert paper.run(answer_about(paper.ports, STATE, "lock-1")) is None


def record(paper, says, user):
    said = OwnerAnswer("lock-1", user, says, paper.clock.now())
    return record_answer(paper.ports, STATE, said, incident=paper.incident.id)


def owner_is(paper, user):
    """From now on the run counts as this person's."""
    person = KnownPerson("parker", user, github="elliott-ci")
    paper.ports = replace(paper.ports, holders=replace(paper.ports.holders, people=(person,)))
