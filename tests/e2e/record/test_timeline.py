"""The timeline in Slack, with the bot as it runs: pages, menu and dialog over signed HTTP."""

from __future__ import annotations

import json

import pytest

from bot.core.record.revision import CORRECTIONS
from bot.core.record.timeline import verify
from bot.sandbox.slack.text import flat

pytestmark = pytest.mark.asyncio(loop_scope="module")

PARKER, QUINN = "U0PARKER", "U0QUINN"


async def page(scene, words="timeline"):
    await scene.types(words)
    return await scene.told("timeline of")


async def choose(scene, message, what, entry, *, user=PARKER):
    """A choice in the menu beside an entry."""
    value = next(
        option["value"]
        for block in message.blocks
        for option in block.get("accessory", {}).get("options", ())
        if f" {what}.{entry}." in option["value"]
    )
    assert (await scene.slack.choose(user, message, "timeline.entry", value)).is_acked


async def test_an_entry_is_put_right_from_its_page_and_the_raw_log_keeps_what_it_said(scene):
    for number in range(2, 14):
        await scene.types(f"note number {number}")
        await scene.until(
            lambda wanted=f"entry {number}.": any(wanted in flat(m) for m in scene.slack.ephemerals(PARKER))
        )
    shown = await page(scene, "timeline 5")
    assert "number 13" in flat(shown)
    await scene.click(shown, "timeline.older")
    await scene.becomes(shown, "number 8")
    await scene.click(shown, "timeline.newer")
    await scene.becomes(shown, "number 13")

    await choose(scene, shown, "edit", 13)
    view = await scene.until(
        lambda: next((view for view in scene.slack.dialogs(PARKER) if view["callback_id"] == "timeline.edit"), None)
    )
    refused = await scene.slack.fill_in(PARKER, view, {"date": "2999-01-01"})
    assert json.loads(refused.body)["response_action"] == "errors"
    sent = await scene.slack.fill_in(PARKER, view, {"text": "the runner was dead", "why": "typo"})
    assert sent.is_acked
    await scene.slack.again(sent)
    await scene.becomes(shown, "the runner was dead", "because typo")
    assert scene.slack.dialogs(PARKER) == []

    await choose(scene, shown, "hide", 12)
    await scene.becomes(shown, "1 hidden")
    assert "number 12" not in flat(shown)
    await scene.settles()
    entries = await scene.journal()
    assert verify(entries) == len(entries) == 15
    assert [(e.kind, e.facts["entry"]) for e in entries if e.kind in CORRECTIONS] == [
        ("entry.edited", "13"),
        ("entry.hidden", "12"),
    ]
    assert entries[12].text == "number 13"


async def test_a_closed_incident_is_corrected_by_command_and_exported_anew(scene):
    await scene.types("note the aply is dead")
    await scene.told("noted")
    await scene.types("close")
    await scene.shown("incident closed")
    await scene.types("edit 2 the apply is dead because typo")
    told = flat(await scene.told("entry 2 is corrected"))
    assert "exports are made again" in told
    assert "/tflock edit 2 the aply is dead" in told
    assert "the apply is dead" in flat(await page(scene))
