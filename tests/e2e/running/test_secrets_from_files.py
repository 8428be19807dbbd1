"""Secrets in files: a rotation reaches a running bot by a signal, without a restart."""

import json
import os
import signal
import urllib.error
import urllib.request
from urllib.request import Request

from bot.store.embedded import redis_for
from tests.worlds.slack.workspace import FullWorkspace
from tests.worlds.stage import stage

CHANNEL, PARKER = "C0STAGING", "U0PARKER"


def move_into_files(made, tmp_path, *names):
    """Takes the secrets out of the environment of the bot, into files."""
    for name in names:
        (tmp_path / name).write_text(made.environment.pop(name) + "\n")
        made.environment[f"{name}_FILE"] = str(tmp_path / name)


async def hang_up(made, tmp_path, **secrets):
    """New secrets, and the signal; what the bot logs about it."""
    for name, value in secrets.items():
        (tmp_path / name).write_text(value)
    bot = made.bots["serve"]
    before = len(bot.events("secrets.read"))
    os.kill(bot.pid, signal.SIGHUP)
    (*_, event) = await made.slack.wait_for(lambda: bot.events("secrets.read")[before:])
    return event


def claim_status(made, token):
    request = Request(
        f"{made.url}/api/v1/claims", data=b"{}", headers={"Authorization": f"Bearer {token}"}, method="POST"
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status
    except urllib.error.HTTPError as refused:
        return refused.code


async def test_tokens_and_the_signing_secret_that_changed_are_used_without_a_restart(tmp_path):
    names = ("SLACK_BOT_TOKEN", "SLACK_SIGNING_SECRET", "GITHUB_TOKEN", "TFLOCK_CLAIM_TOKEN")
    async with stage(
        tmp_path, slack=FullWorkspace(), processes=(), environment={"TFLOCK_CLAIM_TOKEN": "claims-1"}
    ) as made:
        move_into_files(made, tmp_path, *names)
        await made.start()
        await made.dead_lock()
        await made.slack.command(PARKER, CHANNEL, "status staging")
        await made.whispered(PARKER, "dead run")

        made.slack._server.bot_token, made.github.token = "xoxb-rotated", "ghp-rotated"
        event = await hang_up(
            made,
            tmp_path,
            SLACK_BOT_TOKEN="xoxb-rotated",
            SLACK_SIGNING_SECRET="signing-rotated",
            GITHUB_TOKEN="ghp-rotated",
            TFLOCK_CLAIM_TOKEN="claims-2",
        )
        assert sorted(event["changed"]) == sorted(names)

        old = await made.slack.command(PARKER, CHANNEL, "unlock staging")
        assert old.status == 401
        with made.slack.signing(secret="signing-rotated"):
            await made.slack.command(PARKER, CHANNEL, "unlock staging")
            await made.slack.click(PARKER, await made.posted("safe to unlock"), "unlock.confirm")
            await made.posted("staging is unlocked")
        assert not await made.lock_stands()
        assert [claim_status(made, token) for token in ("claims-1", "claims-2")] == [401, 415]
        assert "rotated" not in made.bots["serve"].log


async def test_a_file_that_is_gone_changes_nothing_and_is_logged(tmp_path):
    async with stage(tmp_path, slack=FullWorkspace(), processes=()) as made:
        move_into_files(made, tmp_path, "SLACK_BOT_TOKEN", "SLACK_SIGNING_SECRET", "GITHUB_TOKEN")
        await made.start()
        (tmp_path / "GITHUB_TOKEN").unlink()

        event = await hang_up(made, tmp_path)

        assert event["changed"] == []
        (unread,) = made.bots["serve"].events("secrets.unread")
        assert (unread["variable"], unread["kept"]) == ("GITHUB_TOKEN", "the value from before")
        await made.dead_lock()
        await made.slack.command(PARKER, CHANNEL, "status staging")
        await made.whispered(PARKER, "dead run")


async def test_socket_mode_comes_back_with_the_newest_app_token(tmp_path):
    slack = FullWorkspace()
    async with stage(tmp_path, slack=slack, processes=(), environment={"SLACK_APP_TOKEN": slack.app_token}) as made:
        move_into_files(made, tmp_path, "SLACK_APP_TOKEN")
        await made.start()
        await slack.wait_for(lambda: slack.sockets.open)
        slack._server.app_token = "xapp-rotated"
        await hang_up(made, tmp_path, SLACK_APP_TOKEN="xapp-rotated")

        (first,) = slack.sockets.open
        await slack.sockets.disconnect()

        await slack.wait_for(lambda: slack.sockets.open and slack.sockets.open != [first])
        await slack.command(PARKER, CHANNEL, "status staging")
        await made.whispered(PARKER, "free")


async def test_a_new_address_of_redis_waits_for_a_restart_and_the_log_says_so(tmp_path):
    async with (
        redis_for(None, tmp_path / "redis") as redis,
        stage(tmp_path, slack=FullWorkspace(), processes=(), environment={"REDIS_URL": redis}) as made,
    ):
        move_into_files(made, tmp_path, "REDIS_URL")
        await made.start()

        await hang_up(made, tmp_path, REDIS_URL="redis://127.0.0.1:1/0")

        (event,) = await made.slack.wait_for(lambda: made.bots["serve"].events("secrets.need_restart"))
        assert json.dumps(event["variables"]) == '["REDIS_URL"]'
