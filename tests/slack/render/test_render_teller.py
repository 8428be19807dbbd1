"""The teller, over HTTP against the local workspace."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from bot.core.gate.inspection import StateName
from bot.core.gate.stages import KillStage, UnlockStage
from bot.core.people import OwnerAnswer, OwnerSays
from bot.core.reports.kill import KillReport
from bot.core.reports.letter import OwnerLetter, OwnerNews
from bot.core.reports.report import Notice
from bot.core.reports.unlock import UnlockReport
from bot.errors import Missing, Unreachable, UpstreamError
from bot.sandbox.slack.text import actions, flat
from bot.slack.teller import SlackTeller


@pytest.fixture
def teller(notifier):
    return SlackTeller(notifier)


@pytest.fixture
def request_here(scene):
    return replace(scene.unlock_request, channel="C0INC")


async def test_an_unlock_is_one_message_from_the_checklist_to_the_outcome(workspace, teller, scene, request_here):
    inspection = scene.inspection()
    checked = UnlockReport(request_here, UnlockStage.CHECKED, inspection, scene.verdict(inspection))
    posted = await teller.unlock(checked)
    assert actions(workspace.message(posted.channel, posted.ts)) == ("unlock.confirm",)

    shown = replace(checked, request=replace(request_here, ts=posted.ts), stage=UnlockStage.RELEASED)
    assert await teller.unlock(shown) == posted

    [message] = workspace.messages("C0INC")
    assert "staging is unlocked" in flat(message)
    assert actions(message) == ()


async def test_an_outcome_is_told_anew_where_its_message_is_gone(workspace, teller, request_here):
    gone = replace(request_here, ts="1700000000.000100")

    posted = await teller.unlock(UnlockReport(gone, UnlockStage.RELEASED, None, None))

    [message] = workspace.messages("C0INC")
    assert message.ts == posted.ts != gone.ts
    assert "staging is unlocked" in flat(message)


async def test_progress_is_not_posted_anew_and_nothing_is_while_slack_is_away(workspace, teller, request_here):
    gone = replace(request_here, ts="1700000000.000100")
    with pytest.raises(Missing):
        await teller.unlock(UnlockReport(gone, UnlockStage.RELEASING, None, None))
    workspace.refuse("chat.update", "internal_error", times=None)
    with pytest.raises(Unreachable):
        await teller.unlock(UnlockReport(gone, UnlockStage.RELEASED, None, None))

    assert workspace.messages("C0INC") == []


async def test_a_request_from_a_thread_is_answered_there(workspace, teller, scene, request_here):
    root = workspace.say("U0QUINN", "C0INC", "staging is locked")
    report = UnlockReport(replace(request_here, thread=root.ts), UnlockStage.FAILED, None, None)
    posted = await teller.unlock(report)
    assert [message.ts for message in workspace.messages("C0INC", thread_ts=root.ts)] == [posted.ts]


async def test_a_kill_is_posted_and_then_updated(workspace, teller, scene):
    request = replace(scene.kill_request, channel="C0INC")
    found = KillReport(request, KillStage.FOUND, (scene.loop_target,))
    posted = await teller.kill(found)
    ended = replace(found, request=replace(request, ts=posted.ts), stage=KillStage.REFUSED)
    await teller.kill(ended)
    [message] = workspace.messages("C0INC")
    assert "Nothing was ended" in flat(message)


async def test_an_owner_gets_a_letter_whose_buttons_go_when_he_answers(workspace, teller, scene):
    state = StateName("staging", "", protected=False)
    letter = OwnerLetter(OwnerNews.ASKED, state, scene.lock, "U0QUINN", "C0INC", "r7k2")
    posted = await teller.letter("U0ELLIOTT", letter)
    assert actions(workspace.message(posted.channel, posted.ts)) == ("owner.dead", "owner.running", "owner.later")

    answer = OwnerAnswer(scene.lock.id, "U0ELLIOTT", OwnerSays.RUNNING, scene.now)
    assert await teller.letter("U0ELLIOTT", replace(letter, answer=answer), posted=posted) == posted
    message = workspace.message(posted.channel, posted.ts)
    assert actions(message) == ("owner.undo",)
    assert "still running" in flat(message)
    mark = "staging/lock/U0ELLIOTT/RELEASED"
    said = await teller.nudge("U0ELLIOTT", replace(letter, news=OwnerNews.RELEASED), posted, mark=mark)
    assert said.ts != posted.ts
    since = datetime.now(UTC)
    assert await teller.find_letter("U0ELLIOTT", mark=mark, since=since, thread=posted.ts) == said
    assert await teller.find_letter("U0ELLIOTT", mark="another", since=since, thread=posted.ts) is None


async def test_a_notice_is_said_to_the_channel(workspace, teller):
    await teller.notice("C0INC", Notice("The timeline is away.", (("Nothing was changed.",),), "7f3a9c"))
    [message] = workspace.messages("C0INC")
    assert "Nothing was changed." in flat(message)
    assert "7f3a9c" in flat(message)


async def test_what_slack_does_not_take_is_an_error(teller):
    with pytest.raises(UpstreamError):
        await teller.notice("C0NOWHERE", Notice("Nobody reads this."))
