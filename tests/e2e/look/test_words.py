"""Commands and mentions in words: the same in threads, forgiving to typos, deaf to edits, safe with hostile texts."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from bot.sandbox.slack.team import BOT_USER
from bot.sandbox.slack.text import flat
from tests.worlds.logs import held

pytestmark = pytest.mark.asyncio(loop_scope="module")

PARKER, QUINN, ELLIOTT = "U0PARKER", "U0QUINN", "U0ELLIOTT"
HOSTILE = "<!channel> <!here> <@U0QUINN> `x` *b* <https://evil.example.com|click> & <!subteam^S1> @here"


@pytest.fixture(scope="module")
def staged():
    return {"settings": {"holders": {"ci_hosts": ["runner@*"]}}}


# mentions


async def test_a_mention_in_a_thread_answers_there_and_does_what_the_command_does(scene):
    await scene.stage.dead_lock()
    thread = scene.began.ts

    await scene.slack.mention(PARKER, scene.channel, "unlock staging because quinn waits", thread_ts=thread)
    checklist = await scene.shown("safe to unlock", "quinn waits")
    assert checklist.thread_ts == thread
    await scene.click(checklist, "unlock.confirm")

    await scene.becomes(checklist, "staging is unlocked")
    assert not await scene.stage.lock_stands()
    assert [m for m in scene.posts() if m.thread_ts != thread] == []


async def test_a_mention_in_a_thread_that_asks_for_the_status_is_answered_there_to_the_asker_alone(scene):
    await scene.stage.dead_lock()

    await scene.slack.mention(PARKER, scene.channel, "status staging", thread_ts=scene.began.ts)

    assert (await scene.told("staging is locked")).thread_ts == scene.began.ts


async def test_a_mention_in_the_channel_is_answered(scene):
    await scene.stage.dead_lock()

    await scene.slack.mention(PARKER, scene.channel, "who staging")
    await scene.told(f"<@{ELLIOTT}>")
    await scene.slack.mention(PARKER, scene.channel, "")

    await scene.told("/tflock unlock")


async def test_an_edited_mention_and_one_of_a_bot_are_ignored(scene):
    lock, _ = await scene.stage.dead_lock()
    mention = {"type": "app_mention", "channel": scene.channel, "text": f"<@{BOT_USER}> unlock staging"}

    for more in (
        {"user": PARKER, "ts": "1.1", "edited": {"user": PARKER, "ts": "2.2"}},
        {"bot_id": "B0OTHER", "ts": "1.2"},
        {"user": PARKER, "bot_id": "B0OTHER", "ts": "1.3"},
        {"user": PARKER, "subtype": "message_changed", "ts": "1.4"},
        {"user": BOT_USER, "ts": "1.5"},
    ):
        assert (await scene.slack.event({**mention, **more})).is_acked
    await scene.settles()

    assert scene.posts() == []
    assert scene.slack.ephemerals(PARKER, scene.channel) == []
    assert await scene.stands(lock)


async def test_a_doubled_mention_is_answered_once(scene):
    await scene.stage.dead_lock()

    delivery = await scene.slack.mention(PARKER, scene.channel, "unlock staging")
    await scene.slack.again(delivery)
    await scene.shown("safe to unlock")
    await scene.slack.again(delivery)
    await scene.settles()

    assert len([message for message in scene.posts() if not message.thread_ts]) == 1


async def test_a_mention_by_whoever_may_not_is_refused_privately(scene):
    lock, _ = await scene.stage.dead_lock()

    await scene.slack.mention("U0GUEST", scene.channel, "unlock staging")

    assert "[Unlock staging]" not in flat(await scene.told("is locked", "guest", user="U0GUEST"))
    assert await scene.stands(lock)
    assert scene.posts() == []
    assert scene.letters() == []


# words


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("unlok staging", ("did you mean", "/tflock unlock")),
        ("unlock stagin", ("did you mean", "staging")),
        ("unlock", ("usage", "/tflock unlock STATE")),
        ("unlock staging --wen-safe", ("did you mean", "--when-safe")),
        ("unlock staging production", ("usage",)),
        ("unlock staging because", ("reason",)),
        ("status nowhere", ("no state called", "staging")),
        ("frobnicate", ("I don't know", "/tflock help")),
        ("timeline many", ("usage",)),
        ("kill-job", ("usage",)),
        ("note", ("usage",)),
        ("help unlok", ("did you mean",)),
    ],
)
async def test_what_is_not_understood_is_answered_and_changes_nothing(scene, typed, words):
    lock, _ = await scene.stage.dead_lock()

    await scene.types(typed)

    told = flat(await scene.told(*words))
    assert "Nothing was changed" in told
    assert scene.posts() == []
    assert await scene.stands(lock)


async def test_help_shows_every_command_and_help_of_one_its_usage(scene):
    await scene.types("")
    everything = flat(await scene.told("/tflock unlock"))
    for word in ("status", "who", "unlock", "kill-job", "timeline", "note", "open", "close", "help"):
        assert f"/tflock {word}" in everything
    await scene.types("help kill-job")

    assert "STATE" in flat(await scene.told("/tflock kill-job"))


@pytest.mark.parametrize(
    "typed", ["UNLOCK staging", "unlock  “staging”", "unlock staging —dry-run", "/tflock unlock staging"]
)
async def test_what_phones_do_to_a_command_is_understood(scene, typed):
    lock, _ = await scene.stage.dead_lock()

    await scene.types(typed)

    await (scene.told("dry run") if "run" in typed else scene.shown("safe to unlock"))
    assert await scene.stands(lock)


# dry run


async def test_a_dry_run_shows_the_checklist_to_the_asker_alone_without_a_button(scene):
    lock, _ = await scene.stage.dead_lock()

    await scene.types("unlock staging --dry-run")

    told = await scene.told("dry run", "safe to unlock", "never changes anything")
    assert not [b for b in told.blocks if b["type"] == "actions"]
    await scene.settles()
    assert scene.posts() == []
    assert not [letter for letter in scene.letters() if lock.id in flat(letter)]
    assert await scene.stands(lock)


async def test_a_dry_run_works_in_any_channel(scene):
    lock, _ = await scene.stage.dead_lock()

    await scene.types("unlock staging --dry-run --when-safe", channel="C0RANDOM")

    await scene.told("dry run")
    assert await scene.stands(lock)


async def test_status_can_be_shared_with_the_channel(scene):
    await scene.stage.dead_lock()
    await scene.types("status staging")
    status = await scene.told("staging is locked")

    await scene.click(status, "status.share")

    await scene.shown("staging is locked")


# hostile texts


async def test_hostile_texts_ping_nobody_and_break_nothing(scene):
    created = scene.stage.oldest(timedelta(hours=2))
    await scene.stage.aws.put_state(scene.stage.states["staging"].key)
    lock = await scene.stage.take_lock(
        who="runner@fv-<!channel> `x` <https://evil.example.com|y>", operation=HOSTILE, created=created
    )
    run = scene.stage.runs.start_run(
        "acme/infra", "deploy.yml", at=created, actor=HOSTILE, title=HOSTILE, jobs=(HOSTILE,), branch=HOSTILE
    )
    held(run, lock)
    await scene.types("status staging")
    await scene.told("staging is locked")
    await scene.types("who staging")
    await scene.types("kill-job staging because " + HOSTILE.replace("<", "&lt;").replace(">", "&gt;"))
    await scene.shown(str(run.id), "[end this run]")
    scene.stage.runs.finish(run.id, "failure", at=created + timedelta(minutes=5))
    checklist = await scene.checklist("unlock staging because <!channel> look `here`", "safe to unlock")
    await scene.click(checklist, "unlock.confirm")
    await scene.becomes(checklist, "staging is unlocked")
    await scene.types(f"note {HOSTILE}")
    await scene.types(f"open {HOSTILE}")
    await scene.types("timeline 100")
    await scene.told("timeline of")
    await scene.settles()

    mine = [m for m in scene.slack.team.messages if m.by_bot and m.ts > scene.began.ts]
    assert len(mine) > 5
    for message in mine:
        for piece in texts_in({"blocks": message.blocks, "text": message.text}):
            assert not re.search(r"<!(channel|here|everyone|subteam)", piece), piece
            assert "<https://evil" not in piece
    assert not await scene.stage.lock_stands()


def texts_in(thing):
    """Every text of a message that Slack would read marks in."""
    if isinstance(thing, dict):
        if thing.get("type") in {"mrkdwn", "section", "context"} or "blocks" in thing:
            yield from (v for k, v in thing.items() if k == "text" and isinstance(v, str))
        yield from (piece for value in thing.values() for piece in texts_in(value))
    elif isinstance(thing, list | tuple):
        yield from (piece for item in thing for piece in texts_in(item))


async def test_a_hostile_word_in_a_command_is_shown_as_it_was_typed_and_pings_nobody(scene):
    for typed in ("unlock &lt;!channel&gt;", "&lt;!here&gt;", "unlock <!channel>", "status `x` <@U0QUINN>"):
        before = scene.slack.ephemerals(PARKER)[-1:] or [scene.began]
        await scene.types(typed)
        told = await scene.told("nothing was changed", after=before[0])
        assert not any(
            re.search(r"<!(channel|here)", piece) for piece in texts_in({"blocks": told.blocks, "text": told.text})
        )


# the incident


async def test_an_incident_is_opened_noted_in_closed_and_exported_and_the_next_one_is_another(scene):
    await scene.types("open Staging is <stuck>")
    await scene.shown("incident opened")
    await scene.types("open again")
    await scene.told("open here already")
    begun = datetime.now(UTC)
    await scene.types("note quinn called the runner's owner -12m")
    await scene.told("noted")
    local = datetime.now(UTC).astimezone(ZoneInfo("Europe/Berlin")) - timedelta(hours=2)
    await scene.types(f"note first report at {local:%H:%M}")
    await scene.told("first report")
    noted = datetime.now(UTC)
    await scene.types("timeline")
    shown = flat(await scene.told("timeline of"))
    assert "first report" in shown
    assert "called the runner" in shown
    assert shown.index("first report") < shown.index("called the runner")
    notes = [entry for entry in await scene.journal() if entry.kind == "note.added"]
    assert begun <= notes[0].at + timedelta(minutes=12, seconds=1) <= noted + timedelta(seconds=1)
    assert begun <= notes[1].at + timedelta(hours=2, minutes=1) <= noted + timedelta(minutes=1)

    await scene.types("close")
    await scene.shown("incident closed")
    await scene.until(lambda: len(scene.slack.files(scene.channel)) >= 2)
    incident = re.search(r"inc-[0-9a-z-]+", flat(await scene.shown("incident closed")))[0]
    files = {path.name: path for path in scene.stage.exports.iterdir() if path.stem == incident}
    assert {f"{incident}.json", f"{incident}.md"} <= set(files)
    exported = json.loads(files[f"{incident}.json"].read_text())
    assert [entry["kind"] for entry in exported["entries"]][:2] == ["incident.opened", "note.added"]
    assert {"id", "at", "recorded_at", "kind", "actor", "text", "facts", "prev", "hash"} <= set(exported["entries"][0])
    assert "first report" in files[f"{incident}.md"].read_text()
    code, printed = await scene.stage.command_line("verify", str(files[f"{incident}.json"]))
    assert (code, "whole" in printed) == (0, True), printed
    exported["entries"][1]["text"] = "nothing happened"
    forged = scene.stage.directory / "forged.json"
    forged.write_text(json.dumps(exported))
    code, printed = await scene.stage.command_line("verify", str(forged))
    assert code == 1, printed

    await scene.types("close")
    await scene.told("no incident is open")
    await scene.types("open another")
    await scene.shown("incident opened", "another")
    await scene.types("note after the end")
    await scene.told("after the end")
    second = await scene.journal()
    assert [entry.kind for entry in second] == ["incident.opened", "note.added"]


async def test_a_guest_may_neither_note_nor_close(scene):
    await scene.types("open")
    await scene.shown("incident opened")

    await scene.types("close", user="U0GUEST")
    await scene.told("full members", user="U0GUEST")
    await scene.types("note x", user="U0GUEST")

    assert await scene.kinds() == ["incident.opened"]


async def test_an_export_that_cannot_be_uploaded_does_not_stop_the_closing(scene):
    await scene.types("open")
    await scene.shown("incident opened")
    scene.slack.refuse("files.getUploadURLExternal", "missing_scope", times=None, needed="files:write")

    await scene.types("close")

    await scene.shown("incident closed")
    await scene.shown("could not be put into this channel", "files:write")
    await scene.has_recorded("export.made")


async def test_the_first_command_about_a_lock_opens_the_incident(scene):
    await scene.stage.dead_lock()
    await scene.types("status staging")
    await scene.told("staging is locked")

    entries = await scene.has_recorded("lock.observed")
    assert (await scene.kinds())[:2] == ["incident.opened", "command.received"]
    assert "runner@fv-az881-525" in entries[0].text


async def test_a_note_and_a_reason_with_a_secret_are_recorded_and_shown_without_it(scene):
    await scene.types("note token ghp_0123456789abcdefghijklmnopqrstuvwxyzAB was in the log")
    await scene.told("noted")

    await scene.types("unlock staging because password=hunter2hunter2")
    await scene.shown("asked: `")

    note = (await scene.has_recorded("note.added"))[0]
    assert "hunter2" not in flat(await scene.shown("asked: `"))
    assert "ghp_0123" not in note.text
    assert "ghp_0123" not in flat(await scene.told("noted"))
