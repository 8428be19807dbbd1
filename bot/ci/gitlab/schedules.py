"""Stopping and starting what GitLab starts on its own: the pipeline schedules of a ref.

A schedule that is stopped here is marked in its description, for people to see and so that only those are started
again that were stopped here. Source: https://docs.gitlab.com/api/pipeline_schedules/.
"""

from __future__ import annotations

from collections.abc import Iterable

from bot.ci.gitlab.api import listing, project_path
from bot.ci.gitlab.runs import same_ref
from bot.core.evidence import Trouble
from bot.core.run import Pipeline, Switched, SwitchResult
from bot.http.client import Absent, Client, Failed, garbled
from bot.http.values import Json, text

MARK = " (stopped by tflock)"


async def switch(client: Client, pipeline: Pipeline, *, on: bool) -> Switched:
    """Raises Failed or Absent if the schedules cannot be read, or not be read again after a change that failed."""
    schedules = await _schedules(client, pipeline)
    wanting = [schedule for schedule in schedules if _is_to_change(schedule, on=on)]
    if not wanting:
        return _nothing_to_do(schedules, pipeline, on=on)
    refusal = None
    for schedule in wanting:
        try:
            await _change(client, pipeline, schedule, on=on)
        except (Absent, Failed) as error:
            refusal = refusal or error
    if refusal is None:
        return Switched(SwitchResult.DONE, _titles(wanting))
    left = [schedule for schedule in await _schedules(client, pipeline) if _is_to_change(schedule, on=on)]
    if not left:  # the answer was lost, the change was not
        return Switched(SwitchResult.DONE, _titles(wanting))
    return _refused(refusal, len(wanting) - len(left), left, on=on)


async def _schedules(client: Client, pipeline: Pipeline) -> list[Json]:
    project = pipeline.get("project") or ""
    found = await listing(client, f"{project_path(project)}/pipeline_schedules", f"the schedules of {project}", {})
    mine = [schedule for schedule in found if same_ref(pipeline.get("ref"), text(schedule.get("ref")))]
    if not all(isinstance(schedule.get("active"), bool) for schedule in mine):
        raise garbled(f"GitLab does not say which schedules of {project} are active")
    return mine


def _is_to_change(schedule: Json, *, on: bool) -> bool:
    return _is_marked(schedule) if on else schedule["active"] is True


def _is_marked(schedule: Json) -> bool:
    return text(schedule.get("description")).endswith(MARK)


async def _change(client: Client, pipeline: Pipeline, schedule: Json, *, on: bool) -> None:
    title = _title(schedule)
    await client.send(
        "PUT",
        f"{project_path(pipeline.get('project') or '')}/pipeline_schedules/{schedule['id']}",
        f"the schedule {title!r}",
        doing="starting" if on else "stopping",
        json={"active": on, "description": title if on else title + MARK},
    )


def _nothing_to_do(schedules: Iterable[Json], pipeline: Pipeline, *, on: bool) -> Switched:
    settled = [schedule for schedule in schedules if (schedule["active"] is True if on else _is_marked(schedule))]
    if settled:
        return Switched(SwitchResult.DONE, _titles(settled))
    where = " ".join(filter(None, (pipeline.get("ref"), "in", pipeline.get("project"))))
    if on:
        return Switched(SwitchResult.NOT_FOUND, f"no schedule of {where} was stopped by tflock")
    detail = f"no active schedule starts {where}: pushes, merge requests, triggers or retries do"
    return Switched(SwitchResult.NOT_FOUND, detail)


def _refused(refusal: Absent | Failed, done: int, left: list[Json], *, on: bool) -> Switched:
    progress = f"{done} of {done + len(left)} schedules {'started' if on else 'stopped'}, not {_titles(left)}"
    if isinstance(refusal, Absent):
        return Switched(SwitchResult.NOT_FOUND, f"{progress}, which GitLab does not know any more")
    if refusal.trouble is not Trouble.DENIED:
        return Switched(SwitchResult.NOT_KNOWN, f"{progress}: {refusal.detail}")
    own = "; only its owner can change a schedule: take ownership of it first"
    return Switched(SwitchResult.DENIED, f"{progress}: {refusal.detail}{own}")


def _titles(schedules: Iterable[Json]) -> str:
    return ", ".join(repr(_title(schedule)) for schedule in schedules)


def _title(schedule: Json) -> str:
    return text(schedule.get("description")).removesuffix(MARK) or str(schedule["id"])
