"""A platform that stops and starts the bot's processes in the middle of a release."""

from tests.worlds.proxy import Throttle
from tests.worlds.slack.workspace import FullWorkspace
from tests.worlds.stage import stage


async def test_worker_that_is_told_to_stop_in_the_middle_of_a_release_leaves_it_to_the_next(tmp_path):
    async with stage(tmp_path, slack=FullWorkspace(), processes=("serve --no-worker", "worker")) as made:
        await made.dead_lock()
        busy = made.proxy.fault("dynamodb:DeleteItem", Throttle())
        await made.slack.command("U0PARKER", "C0STAGING", "unlock staging")
        await made.slack.click("U0PARKER", await made.posted("safe to unlock"), "unlock.confirm")
        await made.posted("throttled")

        assert await made.bots["worker"].stop() == 0
        assert await made.lock_stands()

        busy.lift()
        await made.start("worker", name="next worker")
        await made.posted("is unlocked")
        assert not await made.lock_stands()
        settled = await made.slack.wait_for(lambda: made.bots["next worker"].events("unlock.settled"))
        assert [event["outcome"] for event in settled] == ["released"]


async def test_bot_started_anew_knows_the_requests_of_before(tmp_path):
    async with stage(tmp_path, slack=FullWorkspace()) as made:
        await made.dead_lock()
        await made.slack.command("U0PARKER", "C0STAGING", "unlock staging")
        checklist = await made.posted("safe to unlock")

        await made.bots["serve"].kill()
        await made.start()
        await made.slack.click("U0PARKER", checklist, "unlock.confirm")

        await made.posted("is unlocked")
        assert not await made.lock_stands()
