"""Exports with the real bot: into its directory, its channel and a bucket, whatever happens to its process."""

from __future__ import annotations

import pytest

from bot.sandbox.slack.text import flat
from tests.worlds.proxy import Delay, Deny

pytestmark = pytest.mark.asyncio(loop_scope="module")

PREFIX = "tflock/exports/"


@pytest.fixture(scope="module")
def staged():
    return {"processes": (), "settings": {"export": {"s3": {"bucket": "acme-tfstate", "prefix": PREFIX}}}}


async def exported(scene, times: int = 1):
    """The last note of an export, when there are so many."""

    async def made():
        entries = [entry for entry in await scene.journal() if entry.kind == "export.made"]
        return entries if len(entries) >= times else None

    entries = await scene.until(made)
    assert len(entries) == times
    return entries[-1]


async def is_everywhere_once(scene) -> None:
    """In the directory, in the bucket and in the channel: the same files, shown in one message below one summary."""
    here = {path.name for path in scene.stage.exports.iterdir()}
    stored = {key.rpartition("/")[2] for key in await scene.stage.aws.objects() if key.startswith(PREFIX)}
    shared = [upload.filename for upload in scene.slack.files(scene.channel)]
    assert stored == set(shared)
    assert stored <= here
    assert len(shared) == len(set(shared)) >= 2
    [summary] = [post for post in scene.posts("export of") if not post.thread_ts]
    in_thread = scene.slack.messages(scene.channel, thread_ts=summary.ts)
    assert len([message for message in in_thread if message.files]) == 1


async def test_an_export_on_request_reaches_every_target_and_asking_again_makes_no_second_one(scene, bots):
    await bots.start()
    await scene.types("open Staging is stuck")
    await scene.shown("incident opened")

    await scene.types("export", user="U0GUEST")
    await scene.told("full members", user="U0GUEST")
    await scene.types("export")
    await scene.told("export is being made")
    entry = await exported(scene)

    assert entry.facts["targets"] == {"directory": "ok", "channel": "ok", "s3": "ok"}
    assert (entry.actor, entry.facts["failed"]) == ("U0PARKER", {})
    await is_everywhere_once(scene)
    await scene.types("export")
    assert "archives" in flat(await scene.told("nothing has changed"))
    await is_everywhere_once(scene)


async def test_killed_while_files_go_out_the_restarted_bot_brings_the_export_to_its_end_once(scene, bots):
    bot = await bots.start()
    await scene.types("open")
    await scene.shown("incident opened")
    scene.slack.slow("files.completeUploadExternal", seconds=10)
    scene.stage.proxy.fault("s3:PutObject", Delay(5), times=1)
    before = sum(call.method == "files.getUploadURLExternal" for call in scene.slack.calls)
    await scene.types("close")
    await scene.until(lambda: sum(call.method == "files.getUploadURLExternal" for call in scene.slack.calls) > before)
    await bot.kill()
    scene.slack.heal()

    await bots.start()

    entry = await exported(scene)
    assert entry.facts["targets"] == {"directory": "ok", "channel": "ok", "s3": "ok"}
    await is_everywhere_once(scene)


async def test_with_s3_denied_and_uploads_switched_off_the_closing_goes_on_and_both_are_told(scene, bots):
    await bots.start()
    await scene.types("open")
    await scene.shown("incident opened")
    scene.slack.refuse("files.getUploadURLExternal", "file_uploads_disabled", times=None)
    deny = scene.stage.proxy.fault("s3:PutObject", Deny())

    await scene.types("close")

    await scene.shown("incident closed")
    await scene.shown("could not be put into this channel", "file uploads")
    deny.lift()
    scene.slack.heal()
    entry = await exported(scene)
    assert entry.facts["targets"] == {"directory": "ok", "channel": "failed", "s3": "failed"}
    await scene.types("export")
    again = await exported(scene, 2)
    assert again.facts["targets"] == {"directory": "ok", "channel": "ok", "s3": "ok"}
    assert len(scene.slack.files(scene.channel)) >= 2
