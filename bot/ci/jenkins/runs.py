"""Jenkins' JSON and console text as runs and jobs. Pure. A shape that is not known here never means "ended".

Source: the exported fields of hudson.model.Run, Queue.Item and their kin (`.../api/` of every Jenkins), and
org.jenkinsci.plugins.workflow.job.WorkflowRun for what a pipeline's console says of its end.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from bot.ci.ends import BROKEN_OFF, NOT_KNOWN, dated
from bot.core.joblog.ends import EndReader
from bot.core.joblog.lines import Lines
from bot.core.joblog.shapes import plain, stamped
from bot.core.joblog.values import LogEnd
from bot.core.run import Conclusion, Job, Phase, Pipeline, Run, RunRef
from bot.http.client import garbled
from bot.http.values import Json, inner, is_count, objects, text, words

QUEUED = "queue:"
"""Before the id of a queue item: a build gets its number only when it leaves the queue."""

BUILD = (
    "number,result,building,inProgress,timestamp,duration,queueId,fullDisplayName,builtOn,"
    "actions[_class,causes[_class,shortDescription,userId,upstreamProject,upstreamBuild],"
    "lastBuiltRevision[SHA1,branch[name]]]"
)
_CHANGES = "items[commitId,author[fullName],authorEmail]"
WHOLE_BUILD = f"{BUILD},changeSet[{_CHANGES}],changeSets[{_CHANGES}]"
"""One build with its commits: freestyle builds have `changeSet`, pipelines `changeSets`."""

OLDER_BUILD = "number,result,building,inProgress,timestamp,duration,queueId"
ITEM = "id,why,inQueueSince,cancelled,executable[number],task[name,url],actions[causes[_class,shortDescription,userId]]"

_ENDS: Mapping[str, Conclusion] = {
    "SUCCESS": Conclusion.SUCCESS,
    # it ran to its end with something amiss, which may have been Terraform
    "UNSTABLE": Conclusion.FAILED,
    "FAILURE": Conclusion.FAILED,
    "ABORTED": Conclusion.CANCELLED,
    # a build that a newer one superseded says this too, in the middle of whatever it was doing
    "NOT_BUILT": Conclusion.CANCELLED,
}
_TOLD = BROKEN_OFF | {Conclusion.SUCCESS}
_TIMEOUT = "ExceededTimeout"
_NODE_LINE = re.compile(r"(?:\[[^\]\n]*\] )*Running on (?P<agent>\S.*?) in (?:/|[A-Za-z]:\\).*$")
_BUILDING_LINE = re.compile(r"Building remotely on (?P<agent>\S+)(?: \(.*\))? in workspace ")
_TIMEOUT_LINE = re.compile(r"(?:Cancelling nested steps due to timeout|Build timed out \(after )")
_LAST_LINE = re.compile(r"Finished: [A-Z_]+\s*$")
_MOST_AGENTS = 20
_CONTROLLER = frozenset({"Jenkins", "Built-In Node", "built-in", "master", "the built-in node"})


@dataclass(frozen=True, slots=True)
class Console:
    """What a build's console says: on which agents it ran, and how it ended.

    `is_whole` is False where not all of it was read: then there may have been more agents, and another end.
    `is_final` tells that it ends with the build's own last line.
    """

    agents: tuple[str, ...] = ()
    is_whole: bool = False
    is_final: bool = False
    is_on_controller: bool = False
    is_timeout: bool = False
    end: LogEnd = LogEnd.UNKNOWN


class ConsoleReader:
    """Takes a console in pieces, keeps none of it, and says what it came to."""

    def __init__(self) -> None:
        self._lines = Lines()
        self._end = EndReader()
        self._agents: dict[str, None] = {}
        self._last = ""
        self._is_timeout = False

    def feed(self, chunk: bytes) -> None:
        for line in self._lines.feed(chunk):
            self._line(line)

    def gap(self) -> None:
        self._lines.gap()
        self._end.gap()

    def close(self, *, is_whole: bool) -> Console:
        for line in self._lines.close():
            self._line(line)
        return Console(
            agents=tuple(agent for agent in self._agents if agent not in _CONTROLLER),
            is_whole=is_whole,
            is_final=is_whole and _LAST_LINE.match(self._last) is not None,
            is_on_controller=any(agent in _CONTROLLER for agent in self._agents),
            is_timeout=self._is_timeout,
            end=self._end.of(),
        )

    def _line(self, raw: str) -> None:
        said = stamped(plain(raw).replace("\r", ""))[1]
        self._end.line(said)
        self._last = said if said.strip() else self._last
        self._is_timeout = self._is_timeout or _TIMEOUT_LINE.match(said) is not None
        may_name = "Running on " in said or said.startswith("Building ")
        found = _NODE_LINE.match(said) or _BUILDING_LINE.match(said) if may_name else None
        if found is not None and len(self._agents) <= _MOST_AGENTS:
            self._agents[found["agent"]] = None


def build_from(entry: Json, pipeline: Pipeline, url: str) -> Run:
    """One build, without jobs. Raises Failed (garbled) if it has no number or start."""
    number, started_at = entry.get("number"), _moment(entry.get("timestamp"))
    if not is_count(number) or started_at is None:
        raise garbled("Jenkins' answer names a build without its number or start")
    phase, conclusion, ended_at = dated(*_phase(entry), _end(entry, started_at))
    return Run(
        ref=RunRef(pipeline, str(number), f"{url}/{number}/"),
        title=text(entry.get("fullDisplayName")) or f"{pipeline.get('job')} #{number}",
        actor=_actor(entry),
        trigger=_trigger(entry),
        phase=phase,
        conclusion=conclusion,
        attempt=1,
        created_at=started_at,
        started_at=started_at,
        ended_at=ended_at,
        reported=_reported(entry),
        branch=_revision(entry)[0],
        commit=_revision(entry)[1],
        author=_author(entry)[0],
        author_email=_author(entry)[1],
        by_bot=not _actor(entry),
    )


def item_from(entry: Json, pipeline: Pipeline, url: str) -> Run:
    """What waits in the queue, as a run without jobs. Raises Failed (garbled) if it has no id or time."""
    item, queued_at = entry.get("id"), _moment(entry.get("inQueueSince"))
    if not is_count(item) or queued_at is None:
        raise garbled("Jenkins' queue has an item without its id or time")
    is_cancelled = entry.get("cancelled") is True
    return Run(
        ref=RunRef(pipeline, f"{QUEUED}{item}", f"{url}/"),
        title=f"{pipeline.get('job')}, in the queue",
        actor=_actor(entry),
        trigger=_trigger(entry),
        phase=Phase.ENDED if is_cancelled else Phase.WAITING,
        conclusion=Conclusion.SKIPPED if is_cancelled else None,
        attempt=1,
        created_at=queued_at,
        started_at=None,
        ended_at=None,
        reported="cancelled in the queue" if is_cancelled else text(entry.get("why")) or "queued",
        jobs=(),
    )


def completed(run: Run, entry: Json, console: Console) -> Run:
    """The build with its parts: one for each agent that it is known to have run on, all as long as the build.

    Where a further agent is possible, a part without a host stands for it.
    """
    conclusion = _told(run, entry, console)
    hosts = _hosts(entry, console)
    parts = tuple(
        Job(
            id=run.ref.id if len(hosts) == 1 else f"{run.ref.id}.{ordinal}",
            name=run.title,
            attempt=1,
            phase=run.phase,
            conclusion=conclusion,
            started_at=run.started_at,
            ended_at=run.ended_at,
            host=host,
            reported=run.reported,
            url=run.ref.url,
        )
        for ordinal, host in enumerate(hosts, start=1)
    )
    return replace(run, conclusion=conclusion, jobs=parts)


def is_freestyle(entry: Json) -> bool:
    return isinstance(entry.get("builtOn"), str)


def _hosts(entry: Json, console: Console) -> list[str | None]:
    """Freestyle builds name their agent, pipelines only in their console; the controller's own name is not known."""
    if is_freestyle(entry):
        return [text(entry.get("builtOn")) or None]
    agents = console.agents[:_MOST_AGENTS]
    may_be_more = not agents or agents != console.agents or not console.is_whole or console.is_on_controller
    return [*agents, *([None] if may_be_more else [])]


def _phase(entry: Json) -> tuple[Phase, Conclusion | None]:
    """`result` may be set while the build runs on, and `building` may be over while it is still in progress."""
    building, in_progress, result = entry.get("building"), entry.get("inProgress", False), entry.get("result")
    if building is True or in_progress is True:
        return Phase.RUNNING, None
    if building is False and in_progress is False and isinstance(result, str) and result in _ENDS:
        return Phase.ENDED, _ENDS[result]
    return NOT_KNOWN


def _told(run: Run, entry: Json, console: Console) -> Conclusion | None:
    """How a build really ended, as far as its console and its actions tell.

    What only the controller declared is lost; of a build that broke off, so is one whose console may say that.
    """
    if run.phase is not Phase.ENDED or run.conclusion not in _TOLD:
        return run.conclusion
    if console.end is LogEnd.DECLARED or (run.conclusion in BROKEN_OFF and not console.is_whole):
        return Conclusion.LOST
    if run.conclusion is not Conclusion.CANCELLED:
        return run.conclusion
    is_timeout = console.is_timeout or any(text(c.get("_class")).endswith(_TIMEOUT) for c in _causes(entry))
    return Conclusion.TIMED_OUT if is_timeout else Conclusion.CANCELLED


def _end(entry: Json, started_at: datetime) -> datetime | None:
    """A build that broke with its controller has no duration: when it ended is then not known."""
    duration = entry.get("duration")
    if not is_count(duration):
        return None
    try:
        return started_at + timedelta(milliseconds=duration)
    except OverflowError:
        return None


def _moment(value: object) -> datetime | None:
    if not is_count(value):
        return None
    try:
        return datetime.fromtimestamp(value // 1000, UTC) + timedelta(milliseconds=value % 1000)
    except (ValueError, OverflowError, OSError):
        return None


def _reported(entry: Json) -> str:
    flags = (("building", "building"), ("inProgress", "in progress"))
    return words(entry.get("result"), *(word for key, word in flags if entry.get(key) is True))


def _actor(entry: Json) -> str:
    return next((text(c.get("userId")) for c in _causes(entry) if text(c.get("userId"))), "")


def _trigger(entry: Json) -> str:
    """What started it, by the class of its first cause: `TimerTrigger`, `SCMTrigger`, `UserId`, `Upstream`."""
    kinds = (text(cause.get("_class")) for cause in _causes(entry))
    kind = next((kind for kind in kinds if kind and not kind.endswith(_TIMEOUT)), "")
    return re.split(r"[.$]", kind)[-1].removesuffix("Cause")


def _causes(entry: Json) -> Iterable[Json]:
    for action in objects(entry.get("actions")):
        yield from objects(action.get("causes"))


def _author(entry: Json) -> tuple[str, str]:
    """Name and address of who wrote the commit that was built, if that commit is new in this build."""
    sets = [inner(entry, "changeSet"), *objects(entry.get("changeSets"))]
    commit = _revision(entry)[1]
    for change in (change for each in sets for change in objects(each.get("items"))):
        if commit and change.get("commitId") == commit:
            return text(inner(change, "author").get("fullName")), text(change.get("authorEmail"))
    return "", ""


def _revision(entry: Json) -> tuple[str, str]:
    for action in objects(entry.get("actions")):
        revision = inner(action, "lastBuiltRevision")
        if revision:
            names = [text(branch.get("name")) for branch in objects(revision.get("branch"))]
            return next(iter(names), "").removeprefix("refs/remotes/origin/"), text(revision.get("SHA1"))
    return "", ""
