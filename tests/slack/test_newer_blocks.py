"""Blocks that not every workspace takes: tried, and from the first refusal on said in those that every one does."""

from __future__ import annotations

import json

import pytest

from bot.core.gate.case import Effect, Finding, Ruling, Verdict
from bot.core.reports.report import Notice, StatusReport
from bot.errors import Rejected
from bot.ports.messenger import Message
from bot.slack.render import status_message
from bot.slack.render.verdict import tally
from tests.slack.render.conftest import NOW, Scene

SECTION = {"type": "section", "text": {"type": "mrkdwn", "text": "staging is locked"}}
NEW = {"type": "container", "title": {"type": "plain_text", "text": "12 of 12"}, "child_blocks": [SECTION]}
OLD = {"type": "context", "elements": [{"type": "mrkdwn", "text": "12 of 12"}]}


@pytest.fixture
def folded():
    return Message("staging is locked", [SECTION, NEW], [SECTION, OLD])


def kinds(message):
    return [block["type"] for block in message.blocks]


async def test_a_workspace_that_takes_them_gets_the_newest_blocks(workspace, messenger, folded):
    posted = await messenger.post("C0INC", folded)
    await messenger.update(posted, folded)

    [message] = workspace.messages("C0INC")
    assert kinds(message) == ["section", "container"]


async def test_a_workspace_that_refuses_them_gets_the_same_in_older_ones_and_is_not_asked_again(
    workspace, messenger, folded
):
    workspace.refuse("chat.postMessage", "invalid_blocks", times=1)

    first = await messenger.post("C0INC", folded)
    second = await messenger.post("C0INC", folded)
    await messenger.update(second, folded)
    await messenger.whisper("C0INC", "U0QUINN", folded)

    assert [kinds(message) for message in workspace.messages("C0INC")] == [["section", "context"]] * 2
    assert first != second


async def test_a_message_that_no_workspace_takes_leaves_the_newer_blocks_untouched(workspace, messenger, folded):
    workspace.refuse("chat.postMessage", "invalid_blocks", times=2)
    with pytest.raises(Rejected):
        await messenger.post("C0INC", folded)

    await messenger.post("C0INC", folded)

    assert [kinds(message) for message in workspace.messages("C0INC")] == [["section", "container"]]


async def test_what_has_no_older_form_is_not_sent_twice(workspace, messenger):
    workspace.refuse("chat.postMessage", "invalid_blocks", times=1)
    with pytest.raises(Rejected):
        await messenger.post("C0INC", Notice("No"))
    assert workspace.messages("C0INC") == []


@pytest.fixture
def scene():
    return Scene()


def visible(blocks):
    """All that is read without a tap."""
    shown = [{**block, "child_blocks": []} if block["type"] == "container" else block for block in blocks]
    return json.dumps(shown, ensure_ascii=False)


RULINGS = {
    Effect.WARNS: Ruling.ALLOW,
    Effect.WANTS_APPROVAL: Ruling.NEEDS_APPROVAL,
    Effect.REFUSES: Ruling.REFUSE,
}


@pytest.mark.parametrize("effect", RULINGS)
def test_a_check_that_warns_or_fails_is_never_folded(scene, effect):
    inspection = scene.inspection()
    held = scene.verdict(inspection)
    for number, finding in enumerate(held.findings):
        changed = Finding(finding.rule, effect, (f"reason {number} of it",), waits=number % 2 == 0)
        findings = (*held.findings[:number], changed, *held.findings[number + 1 :])
        verdict = Verdict(RULINGS[effect], findings)
        message = status_message(StatusReport(inspection, verdict))

        for blocks in (message.blocks, message.plain):
            assert f"reason {number} of it" in visible(blocks)
            assert str(finding.rule) in visible(blocks)
            assert "11 of 12 checks passed" in visible(blocks)
        assert finding.rule in tally(verdict, NOW)


def test_what_is_folded_is_the_whole_checklist(scene):
    inspection = scene.inspection()
    verdict = scene.verdict(inspection)

    message = status_message(StatusReport(inspection, verdict))

    [fold] = [block for block in message.blocks if block["type"] == "container"]
    inside = json.dumps(fold["child_blocks"])
    assert all(f"*{finding.rule}:*" in inside for finding in verdict.findings)
    assert "12 of 12 checks passed" in visible(message.plain)
    assert "status.checklist" in visible(message.plain)
