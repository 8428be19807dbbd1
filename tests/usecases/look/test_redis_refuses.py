"""A Redis that answers and refuses is not called away: what is shown says what it refuses, and heals with it."""

from __future__ import annotations

from bot.core.gate.case import Ruling
from bot.sandbox.slack.text import flat
from bot.slack.render.home import home_view, status_view
from bot.slack.render.plain import overview_lines, status_lines
from bot.slack.render.status import overview_message, status_message
from bot.usecases.look import home_tab
from bot.usecases.look.status import Question, everything, status
from tests.usecases.conftest import CHANNEL

USER = "U0QUINN"
INSIDE, OUTSIDE = Question(USER, CHANNEL, "status"), Question(USER, "C0RANDOM", "status")


async def shown(ports) -> list[str]:
    """All that says whether something can be unlocked: in the incident, elsewhere, of all states, at home."""
    inside, outside = [await status(ports, "staging", question) for question in (INSIDE, OUTSIDE)]
    overview = await everything(ports, OUTSIDE)
    home, check = await home_tab.home(ports, USER), await home_tab.check(ports, USER, "staging")
    said = [flat({"blocks": m.blocks, "text": m.text}) for m in (status_message(inside), overview_message(overview))]
    views = [flat({"blocks": view["blocks"]}) for view in (home_view(home), status_view(check))]
    return [*said, *views, "\n".join(overview_lines(overview)), "\n".join(status_lines(outside))]


async def test_what_redis_refuses_is_said_wherever_it_stops_an_unlock_and_no_longer_than_it_does(scene):
    lock, _ = await scene.dead_lock()

    await scene.redis.config_set("maxmemory", "1")
    full = await shown(scene.ports)
    await scene.redis.config_set("maxmemory", "0")
    await scene.redis.execute_command("ACL", "SETUSER", "default", "-@write")
    denied = [(await status(scene.ports, "staging", question)).journal_trouble for question in (INSIDE, OUTSIDE)]
    await scene.redis.execute_command("ACL", "SETUSER", "default", "+@all")
    healed = await shown(scene.ports)

    assert all("Redis's memory is full." in said and "away" not in said for said in full), full
    assert denied == ["Redis refuses a right to tflock's user (NOPERM)"] * 2
    assert not any("can be unlocked now: " in said for said in healed), healed
    assert (await status(scene.ports, "staging", INSIDE)).verdict.ruling is Ruling.ALLOW
    assert await scene.stands(lock)
