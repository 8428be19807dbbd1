"""GitLab's stand-in, driven by the suite in test_run_source.py."""

from __future__ import annotations

from contextlib import asynccontextmanager
from datetime import timedelta

from bot.ci.gitlab.source import GitLab
from bot.core.evidence import Trouble
from bot.core.run import Conclusion, Pipeline
from tests.worlds.ci.gitlab.server import GitLabStandIn
from tests.worlds.ci.sources import source_of

LACKS = {"tails"}
PROJECT = "acme/infra"
WORDS = {
    Conclusion.SUCCESS: ("success", ""),
    Conclusion.FAILED: ("failed", "script_failure"),
    Conclusion.CANCELLED: ("canceled", ""),
    Conclusion.TIMED_OUT: ("failed", "job_execution_timeout"),
}
ANSWERS = {
    Trouble.SERVER_ERROR: {"status": 502},
    Trouble.THROTTLED: {"status": 429, "body": "Retry later\n"},
    Trouble.DENIED: {"status": 401, "body": '{"message":"401 Unauthorized"}'},
    Trouble.GARBLED: {"body": '[{"id": 1, "sta'},
}


def pipeline(ref, project=PROJECT):
    return Pipeline("gitlab", (("project", project), ("ref", ref)))


class World:
    def __init__(self, stand_in):
        self.stand_in = stand_in
        self.pipeline, self.other, self.unknown = pipeline("main"), pipeline("plans"), pipeline("main", "acme/gone")
        self.source = source_of(GitLab, stand_in, self.pipeline, self.other)
        self.schedules = {
            known: stand_in.runs.add_schedule(PROJECT, known.get("ref"), f"Nightly {known.get('ref')}")
            for known in (self.pipeline, self.other)
        }

    def start(self, at):
        return str(self.stand_in.runs.start_pipeline(PROJECT, at=at).id)

    def start_waiting(self, at):
        return str(self.stand_in.runs.start_pipeline(PROJECT, at=at, queued=True).id)

    def finish(self, run_id, conclusion, at):
        status, reason = WORDS[conclusion]
        self.stand_in.runs.finish(int(run_id), status, reason=reason, at=at)

    def rerun(self, run_id, at):
        self.stand_in.runs.retry(int(run_id), at=at)

    def write_log(self, run_id, lines):
        text = "".join(f"{at:%Y-%m-%dT%H:%M:%S}.123456Z 01O {line}\n" for at, line in lines)
        self.stand_in.runs.pipeline(int(run_id)).jobs[-1].trace = text

    def stall_logs(self):
        self.stand_in.answer_next("/trace", delay=30, times=10**6)

    def url(self, run_id):
        return f"{self.stand_in.origin}/{PROJECT}/-/pipelines/{run_id}"

    def fail(self, trouble):
        self.stand_in.answer_next("/projects/", times=10**6, **ANSWERS[trouble])

    def forbid_writes(self):
        self.stand_in.token, self.stand_in.reading_token = "", self.stand_in.token

    def is_on(self, known):
        return self.schedules[known].active

    def has_ended(self, run_id):
        return self.stand_in.runs.pipeline(int(run_id)).has_ended


@asynccontextmanager
async def world():
    async with GitLabStandIn(cancel_delay=timedelta(seconds=0.2)) as stand_in:
        yield World(stand_in)
