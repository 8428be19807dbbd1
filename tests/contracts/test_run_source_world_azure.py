"""Azure DevOps's stand-in, driven by the suite in test_run_source.py."""

from __future__ import annotations

from contextlib import asynccontextmanager
from datetime import timedelta

from bot.ci.azure.source import AzureDevOps
from bot.core.evidence import Trouble
from bot.core.run import Conclusion, Pipeline
from tests.worlds.ci.azure.server import AzureStandIn
from tests.worlds.ci.sources import source_of

LACKS = {"tails"}
PROJECT = "infra"
WORDS = {
    Conclusion.SUCCESS: {"result": "succeeded"},
    Conclusion.FAILED: {"result": "failed"},
    Conclusion.CANCELLED: {"result": "canceled"},
    Conclusion.TIMED_OUT: {"result": "canceled", "timed_out": True},
}
ANSWERS = {
    Trouble.SERVER_ERROR: {"status": 503},
    Trouble.THROTTLED: {"status": 429, "headers": {"Retry-After": "30"}},
    Trouble.DENIED: {"status": 203, "body": "<html>Sign In</html>"},
    Trouble.GARBLED: {"body": '{"count": 1, "val'},
}


def pipeline(project, definition):
    return Pipeline("azure", (("project", project), ("definition", definition)))


class Azure:
    def __init__(self, stand_in):
        self.stand_in = stand_in
        self.pipeline, self.other = pipeline(PROJECT, "42"), pipeline(PROJECT, "43")
        self.unknown = pipeline(PROJECT, "44")
        self.source = source_of(AzureDevOps, stand_in, self.pipeline, self.other)
        for known in (self.pipeline, self.other):
            stand_in.runs.add_definition(PROJECT, int(known.get("definition")))

    def start(self, at):
        return str(self.stand_in.runs.start_run(PROJECT, 42, at=at).id)

    def start_waiting(self, at):
        return str(self.stand_in.runs.start_run(PROJECT, 42, at=at, queued=True).id)

    def finish(self, run_id, conclusion, at):
        self.stand_in.runs.finish(int(run_id), **WORDS[conclusion], at=at)

    def rerun(self, run_id, at):
        self.stand_in.runs.rerun(int(run_id), at=at)

    def write_log(self, run_id, lines):
        text = "\r\n".join(f"{at:%Y-%m-%dT%H:%M:%S}.1234567Z {line}" for at, line in lines)
        self.stand_in.runs.write_log(int(run_id), text)

    def stall_logs(self):
        self.stand_in.answer_next("/logs/", delay=30, times=10**6)

    def url(self, run_id):
        return f"{self.stand_in.base_url}/{PROJECT}/_build/results?buildId={run_id}&view=results"

    def fail(self, trouble):
        self.stand_in.answer_next("/_apis/", times=10**6, **ANSWERS[trouble])

    def forbid_writes(self):
        self.stand_in.token, self.stand_in.reading_token = "", self.stand_in.token

    def is_on(self, known):
        return self.stand_in.runs.definition(PROJECT, int(known.get("definition"))).queue_status == "enabled"

    def has_ended(self, run_id):
        return self.stand_in.runs.run(int(run_id)).has_ended


@asynccontextmanager
async def world():
    async with AzureStandIn(cancel_delay=timedelta(seconds=0.2)) as stand_in:
        yield Azure(stand_in)
