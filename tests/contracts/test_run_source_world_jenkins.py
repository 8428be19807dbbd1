"""Jenkins' stand-in, driven by the suite in test_run_source.py."""

from __future__ import annotations

from contextlib import asynccontextmanager
from datetime import timedelta

from bot.ci.jenkins.source import Jenkins
from bot.core.evidence import Trouble
from bot.core.run import Conclusion, Pipeline
from tests.worlds.ci.jenkins.server import JenkinsStandIn
from tests.worlds.ci.sources import source_of

JOB = "infra/deploy"
TIMEOUT = "org.jenkinsci.plugins.workflow.steps.TimeoutStepExecution$ExceededTimeout"
WORDS = {
    Conclusion.SUCCESS: ("SUCCESS", ""),
    Conclusion.FAILED: ("FAILURE", ""),
    Conclusion.CANCELLED: ("ABORTED", "jenkins.model.CauseOfInterruption$UserInterruption"),
    Conclusion.TIMED_OUT: ("ABORTED", TIMEOUT),
}
ANSWERS = {
    Trouble.SERVER_ERROR: {"status": 503},
    Trouble.THROTTLED: {"status": 429, "headers": {"Retry-After": "30"}},
    Trouble.DENIED: {"status": 401},
    Trouble.GARBLED: {"body": '{"builds": [{"numb'},
}
LACKS = {"reruns", "tails"}  # every start of a Jenkins job is a build with a number of its own


def pipeline(job):
    return Pipeline("jenkins", (("job", job),))


class World:
    def __init__(self, stand_in):
        self.stand_in = stand_in
        self.pipeline, self.other, self.unknown = pipeline(JOB), pipeline("infra/plan"), pipeline("infra/gone")
        self.source = source_of(Jenkins, stand_in, self.pipeline, self.other)
        for known in (self.pipeline, self.other):
            stand_in.runs.add_job(known.get("job"))

    def start(self, at):
        return str(self.stand_in.runs.start_build(JOB, at=at).number)

    def start_waiting(self, at):
        return f"queue:{self.stand_in.runs.queue(JOB, at=at).id}"

    def finish(self, run_id, conclusion, at):
        result, interruption = WORDS[conclusion]
        self.stand_in.runs.finish(self.build(run_id), result, at=at, interruption=interruption)

    def write_log(self, run_id, lines):
        for at, line in lines:
            self.stand_in.runs.write(self.build(run_id), line, at)

    def stall_logs(self):
        self.stand_in.answer_next("/consoleText", delay=30, times=10**6)

    def url(self, run_id):
        return f"{self.stand_in.base_url}/job/infra/job/deploy/{run_id}/"

    def fail(self, trouble):
        self.stand_in.answer_next("/", times=10**6, **ANSWERS[trouble])

    def forbid_writes(self):
        self.stand_in.user, self.stand_in.reader = "", self.stand_in.user

    def is_on(self, known):
        return not self.stand_in.runs.job(known.get("job")).is_disabled

    def has_ended(self, run_id):
        return self.build(run_id).has_ended

    def build(self, run_id):
        (found,) = (build for build in self.stand_in.runs.job(JOB).builds if build.number == int(run_id))
        return found


@asynccontextmanager
async def world():
    async with JenkinsStandIn(cancel_delay=timedelta(seconds=0.2)) as stand_in:
        yield World(stand_in)
