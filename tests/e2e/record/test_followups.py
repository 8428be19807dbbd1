"""Follow-ups with the real bot: from the lock of a dead run to one ticket, whoever clicks and whatever is killed."""

from __future__ import annotations

import asyncio

import pytest
import pytest_asyncio

from bot.sandbox.slack.text import flat
from bot.sandbox.stage import REPO
from tests.worlds.tickets import GitHubIssues

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="module")
def staged():
    return {"processes": ()}


@pytest_asyncio.fixture(loop_scope="module")
async def github(scene):
    """Issues of the repository, which the bot of this stage files into."""
    async with GitHubIssues() as made:
        scene.stage.environment["TICKET_TOKEN"] = made.token
        scene.stage.settings["tickets"] = {
            "type": "github",
            "repo": REPO,
            "base_url": made.base_url,
            "token_env": "TICKET_TOKEN",
        }
        yield made
        for bot in scene.stage.bots.values():
            await bot.kill()
        scene.stage.bots.clear()


async def filed(scene):
    return [entry for entry in await scene.journal() if entry.kind == "followup.filed"]


async def test_a_worker_that_is_killed_while_the_ticket_is_being_taken_is_followed_by_one_that_files_no_second_one(
    scene, github
):
    bot = await scene.stage.start()
    await scene.stage.dead_lock("staging")
    await scene.types("status staging")
    await scene.told("staging")
    await scene.types("close")
    await scene.click(await scene.told("close this incident now", "staging is still locked"), "incident.close")
    message = await scene.shown("follow-ups of", "file a ticket")
    assert message.thread_ts in {post.ts for post in scene.posts("export of")}
    buttons = flat(message).count("File a ticket")

    await scene.click(message, "followup.file", user="U0GUEST")
    await scene.told("full members", user="U0GUEST")
    assert github.issues == []

    github.holds = 60
    await asyncio.gather(
        scene.click(message, "followup.file", user="U0PARKER"), scene.click(message, "followup.file", user="U0QUINN")
    )
    await scene.told("being filed")
    await scene.until(lambda: github.issues)
    await bot.kill()
    github.holds = 0
    await scene.stage.start()

    await scene.becomes(message, "filed: ", "the ticket in github")
    (issue,) = github.issues
    (entry,) = await scene.has_recorded("followup.filed")
    assert entry.facts["url"].endswith(f"/issues/{issue.number}")
    assert "[the export in Slack](<http" in issue.text
    assert flat(message).count("File a ticket") == buttons - 1
    assert github.token not in scene.log_tail()
    assert len(await filed(scene)) == 1
