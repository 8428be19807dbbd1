"""GitHub's stand-in, driven by the suite in test_run_source.py."""

from __future__ import annotations

from contextlib import asynccontextmanager
from datetime import timedelta

from bot.ci.github.source import GitHubActions
from bot.core.evidence import Trouble
from bot.core.run import Conclusion, Pipeline
from tests.worlds.ci.github import FullGitHub
from tests.worlds.ci.sources import source_of

REPO = "acme/infra"
WORDS = {
    Conclusion.SUCCESS: "success",
    Conclusion.FAILED: "failure",
    Conclusion.CANCELLED: "cancelled",
    Conclusion.TIMED_OUT: "timed_out",
}
ANSWERS = {
    Trouble.SERVER_ERROR: {"status": 502},
    Trouble.THROTTLED: {"status": 429, "headers": {"Retry-After": "30"}},
    Trouble.DENIED: {"status": 401},
    Trouble.GARBLED: {"body": '{"total_count": 1, "workflow_'},
}


def pipeline(workflow):
    return Pipeline("github", (("repo", REPO), ("workflow", workflow)))


class GitHub:
    def __init__(self, stand_in):
        self.stand_in = stand_in
        self.pipeline, self.other, self.unknown = map(pipeline, ("deploy.yml", "plan.yml", "gone.yml"))
        self.source = source_of(GitHubActions, stand_in, self.pipeline, self.other)
        for known in (self.pipeline, self.other):
            stand_in.runs.add_workflow(REPO, known.get("workflow"))

    def start(self, at):
        return str(self.stand_in.runs.start_run(REPO, "deploy.yml", at=at).id)

    def start_waiting(self, at):
        return str(self.stand_in.runs.start_run(REPO, "deploy.yml", at=at, queued=True).id)

    def finish(self, run_id, conclusion, at):
        self.stand_in.runs.finish(int(run_id), WORDS[conclusion], at=at)

    def rerun(self, run_id, at):
        self.stand_in.runs.rerun(int(run_id), at=at)

    def write_log(self, run_id, lines):
        job = self.stand_in.runs.run(int(run_id)).jobs[-1]
        job.log = "\r\n".join(f"{at:%Y-%m-%dT%H:%M:%S}.1234567Z {line}" for at, line in lines) + "\r\n"

    def stall_logs(self):
        self.stand_in.answer_next("/logs", delay=30, times=10**6)

    def url(self, run_id):
        return f"{self.stand_in.base_url}/{REPO}/actions/runs/{run_id}"

    def fail(self, trouble):
        self.stand_in.answer_next("/repos/", times=10**6, **ANSWERS[trouble])

    def forbid_writes(self):
        self.stand_in.token, self.stand_in.reading_token = "", self.stand_in.token

    def is_on(self, known):
        return self.stand_in.runs.workflow(REPO, known.get("workflow")).state == "active"

    def has_ended(self, run_id):
        return self.stand_in.runs.run(int(run_id)).has_ended


@asynccontextmanager
async def world():
    async with FullGitHub(cancel_delay=timedelta(seconds=0.2)) as stand_in:
        yield GitHub(stand_in)
