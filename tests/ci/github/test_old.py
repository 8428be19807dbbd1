"""What is remembered of old runs of a busy workflow."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from bot.ci.github.old import OldRuns
from bot.core.instants import stamp
from bot.core.run import Pipeline
from bot.core.systems import GITHUB

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
PIPELINE = Pipeline("github", (("repo", "acme/infra"), ("workflow", "deploy.yml")), GITHUB.name)


async def test_the_ends_of_old_runs_do_not_pile_up_from_lock_to_lock_and_an_older_lock_still_hears_of_all():
    old, github = OldRuns(), list[dict[str, object]]()

    async def read_all():
        return list(github)

    async def ended(since):
        now = since + 2 * HOUR
        asked = {"since": since, "young": since - 72 * HOUR, "now": now, "read": None, "read_all": read_all}
        return sorted([entry["id"] for entry in await old.ended(PIPELINE, [], **asked)])

    for number in range(200):
        at = NOON + number * 3 * HOUR
        github.append({"id": number, "status": "completed", "updated_at": stamp(at + HOUR)})
        assert await ended(at) == [number]

    assert len(old._known[PIPELINE].ended) == 1
    assert await ended(NOON + 30 * HOUR) == list(range(10, 200))
