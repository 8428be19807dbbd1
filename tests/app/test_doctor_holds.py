"""The doctor on what a hold needs of its store, by way of a bot's own wiring."""

from __future__ import annotations

import pytest
import yaml

from bot.app.wiring import wired
from bot.config.load import load
from bot.doctor import locks
from bot.doctor.check import Level
from tests.backends.gcs.world import made as gcs_made
from tests.worlds.proxy import Deny

gcs_world = gcs_made


@pytest.fixture
def world_param():
    return ("default",)


@pytest.fixture
async def checked(gcs_world, tmp_path):
    backend = gcs_world.section.model_dump(exclude_none=True)
    (tmp_path / "tflock.yml").write_text(yaml.safe_dump({"states": {"staging": {"backend": backend}}}))
    environ = {gcs_world.section.access_token_env: gcs_world.storage.token}
    config = load(tmp_path / "tflock.yml", environ, need_slack=False)

    async def checked():
        async with wired(config, f"unix://{tmp_path}/nothing") as wiring:
            results = await locks.checks(config, wiring)
        return {result.subject: result for result in results if result.area == "staging"}

    return checked


@pytest.mark.parametrize("store", ["honours conditions", "ignores conditions", "denies writes"])
async def test_whether_a_store_can_hold_is_tried_and_stops_no_unlock(gcs_world, checked, store):
    await gcs_world.take(gcs_world.lock())
    await gcs_world.put_state()
    gcs_world.storage.ignores_conditions = store == "ignores conditions"
    if store == "denies writes":
        gcs_world.proxy.fault(gcs_world.puts(gcs_world.kinds[0]), Deny())
    before = dict(gcs_world.storage.live)

    found = (await checked())["hold in the lockfile"]

    levels = {"honours conditions": Level.OK, "ignores conditions": Level.WARN, "denies writes": Level.UNPROVEN}
    assert (found.level, found.stops) == (levels[store], False)
    words = {
        "honours conditions": "honours a conditional write",
        "ignores conditions": "writes although the condition does not hold, so nothing is held there",
        "denies writes": "storage.objects.create",
    }
    assert words[store] in found.detail
    assert gcs_world.storage.live == before
