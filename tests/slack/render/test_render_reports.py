"""Reports of use cases in Slack, over HTTP against the local workspace."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from bot.core.gate.inspection import StateName
from bot.core.gate.stages import KillStage, UnlockStage
from bot.core.people import OwnerAnswer, OwnerSays
from bot.core.reports.kill import KillReport
from bot.core.reports.owner_message import Nudge, OwnerMessage, OwnerNews
from bot.core.reports.report import Notice
from bot.core.reports.unlock import UnlockReport
from bot.errors import Missing, Unreachable, UpstreamError
from bot.sandbox.slack.text import actions, flat
from bot.usecases.request.record import show


@pytest.fixture
def request_here(scene):
    return replace(scene.unlock_request, channel="C0INC")


async def test_an_unlock_is_one_message_from_the_checklist_to_the_outcome(workspace, messenger, scene, request_here):
    inspection = scene.inspection()
    checked = UnlockReport(request_here, UnlockStage.CHECKED, inspection, scene.verdict(inspection))
    posted = await show(messenger, checked)
    assert actions(workspace.message(posted.channel, posted.ts)) == ("unlock.confirm", "unlock.decline")

    shown = replace(checked, request=replace(request_here, ts=posted.ts), stage=UnlockStage.RELEASED)
    assert await show(messenger, shown) == posted

    [message] = workspace.messages("C0INC")
    assert "staging is unlocked" in flat(message)
    assert actions(message) == ("recover.look",)


async def test_an_outcome_is_told_anew_where_its_message_is_gone(workspace, messenger, request_here):
    gone = replace(request_here, ts="1700000000.000100")

    posted = await show(messenger, UnlockReport(gone, UnlockStage.RELEASED, None, None))

    [message] = workspace.messages("C0INC")
    assert message.ts == posted.ts != gone.ts
    assert "staging is unlocked" in flat(message)


async def test_progress_is_not_posted_anew_and_nothing_is_while_slack_is_away(workspace, messenger, request_here):
    gone = replace(request_here, ts="1700000000.000100")
    with pytest.raises(Missing):
        await show(messenger, UnlockReport(gone, UnlockStage.RELEASING, None, None))
    workspace.refuse("chat.update", "internal_error", times=None)
    with pytest.raises(Unreachable):
        await show(messenger, UnlockReport(gone, UnlockStage.RELEASED, None, None))

    assert workspace.messages("C0INC") == []


async def test_a_request_from_a_thread_is_answered_there(workspace, messenger, scene, request_here):
    root = workspace.say("U0QUINN", "C0INC", "staging is locked")
    report = UnlockReport(replace(request_here, thread=root.ts), UnlockStage.FAILED, None, None)
    posted = await show(messenger, report)
    assert [message.ts for message in workspace.messages("C0INC", thread_ts=root.ts)] == [posted.ts]


async def test_a_kill_is_posted_and_then_updated(workspace, messenger, scene):
    request = replace(scene.kill_request, channel="C0INC")
    found = KillReport(request, KillStage.FOUND, (scene.loop_target,))
    posted = await show(messenger, found)
    ended = replace(found, request=replace(request, ts=posted.ts), stage=KillStage.REFUSED)
    await show(messenger, ended)
    [message] = workspace.messages("C0INC")
    assert "Nothing was ended" in flat(message)


async def test_an_owner_gets_a_letter_whose_buttons_go_when_he_answers(workspace, messenger, scene):
    state = StateName("staging", "", protected=False)
    letter = OwnerMessage(OwnerNews.ASKED, state, scene.lock, "U0QUINN", "C0INC", "r7k2")
    posted = await messenger.post("U0ELLIOTT", letter)
    assert actions(workspace.message(posted.channel, posted.ts)) == ("owner.dead", "owner.running", "owner.later")

    answer = OwnerAnswer(scene.lock.id, "U0ELLIOTT", OwnerSays.RUNNING, scene.now)
    await messenger.update(posted, replace(letter, answer=answer))
    message = workspace.message(posted.channel, posted.ts)
    assert actions(message) == ("owner.undo",)
    assert "still running" in flat(message)
    mark = "staging/lock/U0ELLIOTT/RELEASED"
    nudge = Nudge("U0ELLIOTT", replace(letter, news=OwnerNews.RELEASED))
    said = await messenger.post("U0ELLIOTT", nudge, thread=posted.ts, mark=mark)
    assert said.ts != posted.ts
    since = datetime.now(UTC)
    assert await messenger.find("U0ELLIOTT", mark=mark, since=since, thread=posted.ts) == said
    assert await messenger.find("U0ELLIOTT", mark="another", since=since, thread=posted.ts) is None


async def test_a_notice_is_said_to_the_channel(workspace, messenger):
    await messenger.post("C0INC", Notice("The timeline is away.", (("Nothing was changed.",),), "7f3a9c"))
    [message] = workspace.messages("C0INC")
    assert "Nothing was changed." in flat(message)
    assert "7f3a9c" in flat(message)


async def test_what_slack_does_not_take_is_an_error(messenger):
    with pytest.raises(UpstreamError):
        await messenger.post("C0NOWHERE", Notice("Nobody reads this."))
