"""What an incident leaves in Redis, from its first command to its export: nothing that is there for ever."""

from __future__ import annotations

import pytest

from bot.store.connect import connect
from bot.store.embedded import attached_url
from bot.store.jobs import DOCKET

pytestmark = pytest.mark.asyncio(loop_scope="module")

PARKED = f"{DOCKET}:*"
BOUNDED = {
    "tflock:incidents": "the incidents that are kept: `tidy` takes off what the retention has ended",
    "tflock:incidents:open": "the open incidents: closed by quiet",
    "tflock:channel:*": "one for each channel with an open incident",
    "tflock:{*}:log": "of an open incident: closed by quiet, and then kept as long as the retention says",
    "tflock:{*}:head": "as its log",
    "tflock:{*}:once": "as its log",
    f"{DOCKET}:stream": "the jobs that are due: taken out when they are done",
    f"{DOCKET}:queue": "the jobs that are to come",
    f"{DOCKET}:workers": "the workers, without those that have been silent",
    f"{DOCKET}:stream-id:*": "as its job under `runs`",
    f"{DOCKET}:known:*": "as its job under `runs`",
    f"{DOCKET}:progress:*": "the jobs that are under way: taken out when they are done",
    f"{DOCKET}:runs:*": "the jobs that are to come or under way; those that are done have a TTL",
    f"{DOCKET}:strikes": "empty: no job is struck",
    f"{DOCKET}:task-workers:*": "one for each kind of job",
    PARKED: "the jobs that are in `queue`, each with its arguments",
}
"""The families of keys without a TTL, each with what bounds it."""

FLEETING = {"tflock:{*}:log", "tflock:{*}:head", "tflock:{*}:once"}
"""Those that are no longer among them once the incident is closed."""


def family(key: str) -> str:
    """The pattern of `BOUNDED` that the key belongs to; the key itself for none."""
    for pattern in BOUNDED:
        before, _, after = pattern.partition("*")
        if key == pattern or ("*" in pattern and key.startswith(before) and key.endswith(after)):
            return pattern
    return key


async def without_ttl(stage) -> dict[str, set[str]]:
    """The keys that Redis keeps until somebody deletes them, by family."""
    client = connect(stage.environment.get("REDIS_URL") or attached_url(stage.var))
    try:
        found = dict[str, set[str]]()
        async for key in client.scan_iter(count=1000):
            if await client.ttl(key) == -1:
                found.setdefault(family(key), set()).add(key)
        coming = {f"{DOCKET}:{job}" for job in await client.zrange(f"{DOCKET}:queue", 0, -1)}
        assert found.get(PARKED, set()) <= coming
        return found
    finally:
        await client.aclose()


async def test_after_an_incident_every_key_has_a_ttl_or_a_bound_that_is_known(scene):
    await scene.stage.dead_lock()
    await scene.types("status staging")
    await scene.types("watch staging")
    await scene.types("note the deployment is stuck")
    checklist = await scene.checklist("unlock staging because it is dead", "safe to unlock")
    await scene.click(checklist, "unlock.confirm")
    await scene.becomes(checklist, "staging is unlocked")
    during = await without_ttl(scene.stage)
    await scene.types("close")
    await scene.has_recorded("export.made")

    after = await without_ttl(scene.stage)

    assert during.keys() - BOUNDED.keys() == set()
    assert after.keys() - BOUNDED.keys() == set()
    assert during.keys() >= FLEETING
    assert FLEETING & after.keys() == set()
