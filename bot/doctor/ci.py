"""The CI systems: can the runs of every mapped pipeline be listed, their logs be read, and may they be cancelled."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from bot.app.wiring import Wiring
from bot.config.settings import Config
from bot.core.evidence import Found, Unseen
from bot.core.run import CancelResult, Phase, Pipeline, RunRef
from bot.doctor.check import Area, Level, Result, trouble_of, why_not
from bot.ports.clock import Clock
from bot.ports.runs import RunSource

_BACK = timedelta(hours=1)
_BACK_FOR_LOGS = timedelta(days=1)
_MOST_RUNS = 3
_FOR_LOGS = "give the credentials that right (docs/job-logs.md): else only the time ties locks to runs"
_NO_RUN = "0"
"""An id that no run has: asking for its end tells whether the token may ask, and ends nothing."""


async def checks(config: Config, wiring: Wiring) -> list[Result]:
    """Lists the runs of the last hour of each pipeline, and asks once per CI system to cancel what is not there."""
    sources, clock = wiring.world.sources, wiring.world.clock
    pipelines = dict.fromkeys(pipeline for state in config.states.values() for pipeline in state.pipelines)
    first = {pipeline.ci: pipeline for pipeline in reversed(pipelines)}
    listed = await asyncio.gather(*(_listed(sources[pipeline.ci], pipeline, clock) for pipeline in pipelines))
    logs = await asyncio.gather(*(_logged(sources[name], pipeline, clock) for name, pipeline in first.items()))
    rights = await asyncio.gather(*(_may_cancel(sources[name], pipeline) for name, pipeline in first.items()))
    detail = "no pipeline is mapped: a lock that CI holds cannot be tied to a run, and is not released"
    fix = "name everything that may run Terraform on it"
    unmapped = (state.name for state in config.states.values() if not state.pipelines)
    unasked = [Area(name).warn("pipelines", detail, fix) for name in unmapped]
    return [*listed, *logs, *rights, *unasked]


async def _listed(source: RunSource, pipeline: Pipeline, clock: Clock) -> Result:
    seen = await source.runs(pipeline, since=clock.now() - _BACK)
    if isinstance(seen, Found):
        return Area(source.name).ok("runs", f"{pipeline.title}: {source.system} lists its runs")
    detail = seen.detail if isinstance(seen, Unseen) else f"{source.system} does not know {seen.what}"
    fix = "correct the token, its rights, or the pipeline: its states can be unlocked only when all runs are seen"
    return Area(source.name).unanswered(
        "runs", trouble_of(seen), f"{pipeline.title}: {detail}", fix, otherwise=Level.FAIL, essential=True
    )


async def _logged(source: RunSource, pipeline: Pipeline, clock: Clock) -> Result:
    """Reads the log of one job that ended recently."""
    area, listed = Area(source.name), await source.runs(pipeline, since=clock.now() - _BACK_FOR_LOGS)
    if not isinstance(listed, Found):
        return area.unproven(
            "logs", f"none was tried: {pipeline.title}: {why_not(listed)}", "ask again once its runs are listed"
        )
    ended = [run for run in listed.value if run.phase is Phase.ENDED]
    for run in ended[:_MOST_RUNS]:
        seen = await source.with_jobs(run)
        jobs = seen.value.jobs or () if isinstance(seen, Found) else ()
        for job in [job for job in jobs if job.started_at is not None][:1]:
            log = await source.log(run, job)
            if isinstance(log, Found):
                return area.ok("logs", f"{source.system} shows the log of a job of {pipeline.title}")
            if isinstance(log, Unseen):
                return area.unanswered("logs", log.trouble, log.detail, _FOR_LOGS, otherwise=Level.WARN)
    detail = f"none was tried: {pipeline.title} has no job that ended in the last day and kept its log"
    return area.unproven("logs", detail, "ask again once one has ended")


async def _may_cancel(source: RunSource, pipeline: Pipeline) -> Result:
    answer = await source.cancel(RunRef(pipeline, _NO_RUN), force=False)
    if answer.result is CancelResult.DENIED:
        fix = "give the token that right, or leave it: only kill-job needs it"
        return Area(source.name).warn("kill-job", answer.detail, fix)
    if answer.result is CancelResult.NOT_FOUND:
        detail = "nothing speaks against cancelling: it answers that a run that does not exist is not there"
        return Area(source.name).ok("kill-job", detail)
    return Area(source.name).unproven("kill-job", f"whether it may cancel is not known: {answer.detail}", "try again")
