"""ECS's stand-in, driven by the suite in test_run_source.py.

The retention is made long, so that ECS's forgetting does not hide what the suite asks for; tests/ci/ecs has it.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import timedelta

from bot.ci.ecs.source import Ecs
from bot.core.evidence import Trouble
from bot.core.run import Conclusion, Pipeline
from tests.worlds.ci.ecs.server import EcsStandIn
from tests.worlds.ci.sources import ecs_client, made_of

LACKS = {"reruns", "time-outs", "switch"}
CLUSTER = "terraform"
REFUSALS = {
    Trouble.SERVER_ERROR: {"status": 500, "body": '{"__type": "ServerException", "message": "try later"}'},
    Trouble.THROTTLED: {"status": 400, "body": '{"__type": "ThrottlingException", "message": "Rate exceeded"}'},
    Trouble.DENIED: {"status": 400, "body": '{"__type": "AccessDeniedException", "message": "no"}'},
    Trouble.GARBLED: {"body": '{"taskArns": ["arn:aws:ecs:eu-w'},
}


def pipeline(cluster, family):
    return Pipeline("ecs", (("cluster", cluster), ("family", family)))


class EcsRuns:
    def __init__(self, stand_in):
        self.stand_in = stand_in
        address = stand_in.base_url
        self.clients = {key: ecs_client(address, key) for key in (stand_in.access_key, stand_in.reading_key)}
        self.logs = {key: ecs_client(address, key, "logs") for key in self.clients}
        self.key = stand_in.access_key
        self.pipeline, self.other = pipeline(CLUSTER, "production"), pipeline(CLUSTER, "staging")
        self.unknown = pipeline("gone", "production")
        self.source = made_of(
            Ecs,
            self.pipeline,
            self.other,
            region=stand_in.region,
            client=lambda: self.clients[self.key],
            logs=lambda _: self.logs[self.key],
            run=asyncio.to_thread,
            relist_delay=timedelta(0),
        )
        for known in (self.pipeline, self.other):
            stand_in.runs.add_family(CLUSTER, known.get("family"))

    def start(self, at):
        return self.stand_in.runs.start_run(CLUSTER, "production", at=at).id

    def start_waiting(self, at):
        return self.stand_in.runs.start_run(CLUSTER, "production", at=at, queued=True).id

    def finish(self, run_id, conclusion, at):
        if conclusion is Conclusion.CANCELLED:
            task = self.stand_in.runs.run(run_id)
            self.stand_in.runs.stop(run_id)
            task.due = at
        else:
            self.stand_in.runs.finish(run_id, 0 if conclusion is Conclusion.SUCCESS else 1, at=at)

    def write_log(self, run_id, lines):
        self.stand_in.runs.run(run_id).log = list(lines)

    def stall_logs(self):
        self.stand_in.answer_next("GetLogEvents", delay=30, times=10**6)

    def url(self, run_id):
        return self.stand_in.url(self.stand_in.runs.run(run_id))

    def fail(self, trouble):
        self.stand_in.answer_next("", times=10**6, **REFUSALS[trouble])

    def forbid_writes(self):
        self.key = self.stand_in.reading_key

    def is_on(self, _):
        return True

    def has_ended(self, run_id):
        return self.stand_in.runs.run(run_id).has_ended


@asynccontextmanager
async def world():
    async with EcsStandIn(stop_delay=timedelta(seconds=0.2), retention=timedelta(days=60)) as stand_in:
        made = EcsRuns(stand_in)
        yield made
        for client in (*made.clients.values(), *made.logs.values()):
            client.close()
