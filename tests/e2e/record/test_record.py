"""The record of an incident with real processes: what is captured, corrected, exported, and exported again."""

from __future__ import annotations

import json
from importlib import resources

import pytest
from jsonschema import Draft202012Validator

from bot.export.json.read import verify_json
from bot.sandbox.slack.text import flat

pytestmark = pytest.mark.asyncio(loop_scope="module")

SUFFIXES = [".csv", ".html", ".json", ".md", ".png"]


@pytest.fixture(scope="module")
def staged():
    return {"settings": {"export": {"formats": ["markdown", "html", "json", "csv"]}}}


async def exported(scene, times: int = 1):
    async def made():
        entries = [entry for entry in await scene.journal() if entry.kind == "export.made"]
        return entries if len(entries) >= times else None

    return (await scene.until(made))[-1]


def files_of(scene):
    """The incident's files in the bot's directory, by their endings."""
    names = {upload.filename for upload in scene.slack.files(scene.channel)}
    return {path.suffix: path for path in scene.stage.exports.iterdir() if path.name in names}


async def recorded(scene):
    """An incident with a marked message, a note that was earlier, a lock that was released, and a closing."""
    await scene.stage.dead_lock()
    await scene.types("open Staging is stuck")
    await scene.shown("incident opened")
    said = await scene.slack.speak("U0QUINN", scene.channel, "Deployments to staging fail =1+1 <b>")
    await scene.slack.react("U0PARKER", said, "pushpin")
    await scene.has_recorded("message.captured")
    await scene.types("note the same error in checkout -12m")
    await scene.told("noted")
    checklist = await scene.checklist("unlock staging")
    await scene.becomes(checklist, "safe to unlock")
    await scene.click(checklist, "unlock.confirm")
    await scene.shown("is unlocked")
    await scene.types("close")
    return await exported(scene)


async def test_a_closed_incident_leaves_five_files_that_agree_and_a_late_correction_makes_them_anew(scene, tmp_path):
    entry = await recorded(scene)

    assert entry.facts["targets"] == {"directory": "ok", "channel": "ok"}
    first = files_of(scene)
    assert sorted(first) == SUFFIXES
    before = first[".json"].read_bytes()
    note = next(entry for entry in await scene.journal() if entry.kind == "note.added")

    await scene.types(f"edit {note.id} the same error in the canary because it was not checkout")
    await scene.told("is corrected")
    await scene.types("export")  # by itself it waits a minute for more corrections
    await exported(scene, 2)

    again = await scene.shown("new export", "changed since the last one")
    assert "1 entry edited" in flat(again)
    newest = files_of(scene)
    document = json.loads(newest[".json"].read_bytes())
    Draft202012Validator(schema()).validate(document)
    assert newest[".json"].read_bytes() != before
    assert verify_json(newest[".json"]).entries == len(document["entries"])
    assert "canary" in newest[".md"].read_text("utf-8")
    code, words = await scene.stage.command_line("export", str(newest[".json"]), "--output", str(tmp_path))
    assert code == 0, words
    for path in tmp_path.iterdir():
        assert path.read_bytes() == newest[path.suffix].read_bytes(), path.suffix
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".csv", ".html", ".md", ".png"]


def schema():
    return json.loads(resources.files("bot.export").joinpath("timeline.schema.json").read_text("utf-8"))
