"""Where runs are: one port for every CI system."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Protocol

from bot.core.evidence import Observation
from bot.core.joblog.values import JobChanges, JobLog
from bot.core.run import Cancelled, Job, Pipeline, Run, RunRef, Switched


class RunSource(Protocol):
    """One configured CI system. `name` is its key in the configuration, `system` its proper name (`GitHub Actions`)."""

    @property
    def name(self) -> str: ...

    @property
    def system(self) -> str: ...

    @property
    def escalate_after(self) -> timedelta:
        """How long the system itself takes over a polite end, before an end by force is called for."""
        ...

    async def runs(self, pipeline: Pipeline, *, since: datetime) -> Observation[tuple[Run, ...]]:
        """Every run of the pipeline with any attempt that may have been active at or after `since`, newest first,
        as the list tells it: without jobs. Runs that are active now are always among them.

        An incomplete list is never `Found`: if a page or too much of the history could not be read, it is `Unseen`.
        One exception: of a GitHub workflow with more than 4,000 runs in 65 days, a run created more than three days
        before `since` that is completed by now (a re-run, or a run that took days) and was never seen active.
        """
        ...

    async def with_jobs(self, run: Run) -> Observation[Run]:
        """A listed run, read afresh, with the jobs of all its attempts.

        The list may be stale: what is returned is the fresh run. Where the run and its jobs disagree on whether
        something is still running, the run has not ended. A run whose jobs could not be read has `jobs=None` and
        `jobs_missing`, and has not ended either.
        """
        ...

    async def run(self, ref: RunRef) -> Observation[Run]:
        """One run with the jobs of all its attempts, read now, as `with_jobs` does.

        The returned run's `ref` names the configured pipeline that the run belongs to, if there is one.
        """
        ...

    async def log(self, run: Run, job: Job) -> Observation[JobLog]:
        """What the log of one job in its attempt says, read within bounds and never kept.

        `NotFound`: the system keeps none, or none yet. Of a job that is over the answer is remembered.
        """
        ...

    async def changes(self, run: Run, job: Job) -> Observation[JobChanges]:
        """What each Terraform command in the log of one job changed: addresses and ids, within bounds, never kept."""
        ...

    def ref_from_url(self, url: str) -> RunRef | None:
        """The run that a URL of this system means, if it belongs to a configured pipeline's scope; else None.

        Makes no request. The pipeline's fields beyond the scope may be unknown until the run has been read.
        """
        ...

    async def cancel(self, ref: RunRef, *, force: bool) -> Cancelled:
        """Asks for the end of a run, or with `force` for an end that does not wait for the runner."""
        ...

    async def switch(self, pipeline: Pipeline, *, on: bool) -> Switched:
        """Stops the pipeline from being started (or lets it be started again)."""
        ...

    async def aclose(self) -> None: ...
