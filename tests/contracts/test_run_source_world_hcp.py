"""HCP Terraform's stand-in, driven by the suite in test_run_source.py."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from datetime import timedelta

from bot.ci.hcp.source import HcpTerraform
from bot.core.evidence import Trouble
from bot.core.run import Conclusion, Pipeline
from tests.worlds.ci.hcp.server import HcpStandIn
from tests.worlds.ci.sources import source_of

LACKS = {"reruns", "time-outs", "switch", "tails"}
ORGANIZATION = "acme"
WORDS = {
    Conclusion.SUCCESS: "planned_and_finished",
    Conclusion.FAILED: "errored",
    Conclusion.CANCELLED: "canceled",
}
ANSWERS = {
    Trouble.SERVER_ERROR: {"status": 502},
    Trouble.THROTTLED: {"status": 429, "headers": {"Retry-After": "9"}},
    Trouble.DENIED: {"status": 401, "body": '{"errors":[{"status":"401","title":"unauthorized"}]}'},
    Trouble.GARBLED: {"body": '{"data": [{"id": "run-'},
}


def pipeline(workspace, organization=ORGANIZATION):
    return Pipeline("hcp", (("organization", organization), ("workspace", workspace)))


class World:
    def __init__(self, stand_in):
        self.stand_in = stand_in
        self.pipeline, self.other, self.unknown = pipeline("network"), pipeline("data"), pipeline("gone")
        self.source = source_of(HcpTerraform, stand_in, self.pipeline, self.other)
        self.workspace, _ = (stand_in.runs.add_workspace(ORGANIZATION, name) for name in ("network", "data"))

    def start(self, at):
        return self.stand_in.runs.start_run(self.workspace, at=at).id

    def start_waiting(self, at):
        return self.stand_in.runs.start_run(self.workspace, at=at, queued=True).id

    def finish(self, run_id, conclusion, at):
        self.stand_in.runs.finish(self._run(run_id), WORDS[conclusion], at=at)

    def write_log(self, run_id, lines):
        said = [{"@level": "info", "@message": line, "@timestamp": f"{at:%Y-%m-%dT%H:%M:%S.%f}Z"} for at, line in lines]
        self._run(run_id).plan.log = "".join(f"{json.dumps(line)}\n" for line in said)

    def stall_logs(self):
        self.stand_in.answer_next("/_archivist/", delay=30, times=10**6)

    def url(self, run_id):
        return self.stand_in.url(self._run(run_id))

    def fail(self, trouble):
        self.stand_in.answer_next("/api/v2/", times=10**6, **ANSWERS[trouble])

    def forbid_writes(self):
        self.stand_in.token, self.stand_in.reading_token = "", self.stand_in.token

    def is_on(self, _):
        return True

    def has_ended(self, run_id):
        return self._run(run_id).has_ended

    def _run(self, run_id):
        return self.stand_in.runs.all[run_id]


@asynccontextmanager
async def world():
    async with HcpStandIn(cancel_delay=timedelta(seconds=0.2)) as stand_in:
        yield World(stand_in)
