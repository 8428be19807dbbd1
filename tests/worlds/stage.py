"""The demo's stage with all else that tests do on it, and its AWS with what they change."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from bot.sandbox.github.runs import RunRecord
from bot.sandbox.machine.aws import WrittenLock
from bot.sandbox.slack.team import TeamMessage
from bot.sandbox.stage import DEPLOY, REPO, Stage
from bot.sandbox.stage import stage as demo_stage
from bot.store.connect import connect
from bot.store.embedded import redis_for
from tests.worlds.aws import FullAws
from tests.worlds.ci.github import FullGitHub
from tests.worlds.key_families import without_bound
from tests.worlds.logs import held


class FullStage(Stage):
    """The demo's stage, and what no demo does on it."""

    aws_kind = FullAws
    is_bounded = False
    """Whether what is left in Redis at its end has to run out, or have a bound."""
    _oldest = datetime.max.replace(tzinfo=UTC)

    def oldest(self, ago: timedelta) -> datetime:
        """So long ago, and longer than any before: no command of a run can have had the lock of an earlier test."""
        self._oldest = min(datetime.now(UTC) - ago, self._oldest - timedelta(seconds=10))
        return self._oldest

    async def dead_lock(
        self, state: str = "staging", *, conclusion: str = "timed_out", who: str = "runner@fv-az881-525", **run: Any
    ) -> tuple[WrittenLock, RunRecord]:
        """The lock of a deployment that ended over an hour ago: a whole state, the lock, and its run with its log.

        `run` is as for `GitHubRuns.start_run`.
        """
        await self.aws.put_state(self.states[state].key)
        created = self.oldest(timedelta(hours=2))
        lock = await self.take_lock(state, who=who, created=created)
        record = self.runs.start_run(
            REPO, DEPLOY, **{"at": created - timedelta(minutes=3), "actor": "elliott-ci", "title": "Deploy", **run}
        )
        self.runs.finish(record.id, conclusion, at=created + timedelta(minutes=10))
        return lock, held(record, lock)

    async def whispered(
        self, user: str, *words: str, after: TeamMessage | None = None, within: float = 60.0
    ) -> TeamMessage:
        """The newest message that only this user sees and that has all these words."""
        return await self.found(lambda: self.slack.ephemerals(user), words, after, within)

    async def aclose(self) -> None:
        """As the demo's. Raises AssertionError if it should be bounded and something in Redis is not."""
        if not self.is_bounded:
            await super().aclose()
            return
        async with redis_for(self.environment.get("REDIS_URL"), self.var) as url:
            await super().aclose()  # first: a job that is just ending would look like one that was forgotten
            client = connect(url)
            growing = await without_bound(client)
            await client.aclose()
        if growing:
            raise AssertionError(f"keys of Redis that neither run out nor have a bound: {growing}")


def stage(directory: Path, **facts: Any) -> AbstractAsyncContextManager[FullStage]:
    """As `bot.sandbox.stage.stage`."""
    return demo_stage(directory, **{"kind": FullStage, "github": FullGitHub(), **facts})
