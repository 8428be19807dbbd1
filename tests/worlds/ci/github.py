"""GitHub's stand-in as the demo plays it, with all else that tests do to it and its runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from bot.sandbox.github.runs import GitHubRuns
from bot.sandbox.github.server import GitHubStandIn
from tests.worlds.stand_in import FaultyCi


class FullRuns(GitHubRuns):
    def rerun(self, run_id: int, *, at: datetime | None = None, queued: bool = False, runner: str | None = None) -> int:
        """Starts the run again under its id and creation time; returns the new attempt's ordinal."""
        run, at = self._runs[run_id], at or self.now()
        run.attempt += 1
        run.status, run.conclusion, run.started_at, run.updated_at = "queued", None, at, at
        run.runner = runner or run.runner
        self._queue_jobs(run, at)
        if not queued:
            self.begin(run_id, at=at)
        return run.attempt

    def forget(self) -> None:
        """All runs are gone; ids are not used again."""
        self._runs.clear()


@dataclass(kw_only=True)
class FullGitHub(FaultyCi, GitHubStandIn):
    """The demo's GitHub, and what no demo does to it."""

    runs: FullRuns = field(init=False)

    def __post_init__(self) -> None:
        self.runs = FullRuns(self.now, cancel_delay=self.cancel_delay)
