"""The real command line in a directory of its own, and the real servers that it asks."""

from __future__ import annotations

import asyncio
import json
import os
import random
import secrets
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import pytest
import yaml

from bot.sandbox.machine.aws import CREDENTIALS, REGION, WrittenLock
from bot.sandbox.machine.proxy import FaultProxy, fault_proxy
from bot.store.connect import connect
from bot.store.embedded import redis_for
from bot.store.redis_journal import RedisJournal
from bot.store.redis_records import RedisRecords
from tests.backends.worlds import FIXTURES
from tests.worlds.aws import FullAws
from tests.worlds.ci.github import FullGitHub
from tests.worlds.clocks import WallClock
from tests.worlds.forked import fork_bot
from tests.worlds.logs import held
from tests.worlds.slack.workspace import FullWorkspace

globals().update(FIXTURES)

KEY = "environments/staging/terraform.tfstate"
GITHUB_TOKEN = "ghp-distinctive-4711"
SECRETS = ("distinctive", "xoxb-sandbox", "xapp-sandbox", "sandbox-signing-secret")


@dataclass(frozen=True)
class Ended:
    """What a command left: its exit code and both outputs."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        return json.loads(self.out)

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()


@dataclass
class CommandLine:
    """Runs `python -m bot` in a directory. No output of it may ever show one of the secrets."""

    home: Path
    settings: dict[str, Any]
    environ: dict[str, str]

    async def run(self, *words: str, **environ: str) -> Ended:
        (self.home / "tflock.yml").write_text(yaml.safe_dump(self.settings))
        path = {"PATH": os.environ["PATH"], "HOME": str(self.home)}
        with TemporaryFile() as out, TemporaryFile() as err:
            started = await fork_bot(
                sys.executable, "-m", "bot", *words,
                cwd=self.home, env=path | self.environ | environ, stdin=subprocess.DEVNULL, stdout=out, stderr=err,
            )  # fmt: skip
            async with asyncio.timeout(150):
                code = await started.wait()
            out.seek(0), err.seek(0)
            ended = Ended(code, out.read().decode(), err.read().decode())
        for secret in SECRETS:
            assert secret not in ended.out
            assert secret not in ended.err
        return ended


@dataclass
class Surroundings:
    """The world that the command line looks at: AWS behind a proxy, and GitHub with one workflow."""

    aws: FullAws
    proxy: FaultProxy
    github: FullGitHub

    async def hold(self, *, who: str = "runner@fv-az881-525", ended: str | None = "failure") -> WrittenLock:
        """A lock that was taken half an hour ago by a run that has ended since (or goes on, with None)."""
        taken = datetime.now(UTC) - timedelta(minutes=30)
        run = self.github.runs.start_run(
            "acme/infra", "deploy.yml", at=taken - timedelta(minutes=5), actor="elliott-ci"
        )
        if ended:
            self.github.runs.finish(run.id, ended, at=taken + timedelta(minutes=2))
        lock = WrittenLock(secrets.token_hex(16), taken, f"{self.aws.bucket}/{KEY}", who=who)
        await self.aws.hold(KEY, lock.text, item=True, file=True)
        held(run, lock)
        return lock

    async def still_held(self, lock: WrittenLock) -> bool:
        return await self.aws.lock_ids(KEY) == {"item": lock.id, "file": lock.id}


@pytest.fixture
def world_param(chosen):
    return chosen[1]


@pytest.fixture
def chosen_world(request, chosen):
    """The world of a backend that `tests.backends.worlds.each_but` has chosen."""
    return request.getfixturevalue(f"{chosen[0]}_world")


@pytest.fixture
async def around(own_aws):
    await own_aws.put_state(KEY)
    async with fault_proxy(own_aws.endpoint) as proxy, FullGitHub(token=GITHUB_TOKEN) as github:
        github.runs.add_workflow("acme/infra", "deploy.yml")
        yield Surroundings(own_aws, proxy, github)


@pytest.fixture
def terminal(around, tmp_path):
    """Configured for one state, `staging`, without Slack and without Redis."""
    backend = {
        "type": "s3",
        "bucket": around.aws.bucket,
        "key": KEY,
        "region": REGION,
        "dynamodb_table": around.aws.table,
        "use_lockfile": True,
        "endpoint_url": around.proxy.url,
    }
    settings = {
        "slack": {"incident_channels": ["inc-*", "C0STAGING"]},
        "ci": {"github": {"type": "github_actions", "base_url": around.github.base_url}},
        "states": {
            "staging": {
                "description": "Staging, all services",
                "backend": backend,
                "pipelines": [{"ci": "github", "repo": "acme/infra", "workflow": "deploy.yml"}],
            }
        },
        "holders": {"people": {"elliott": {"slack": "U0ELLIOTT", "github": "elliott-ci"}}},
        "policy": {"state_quiet": "0s"},
        "export": {"formats": ["markdown", "json"], "directory": "exports"},
    }
    environ = {
        **CREDENTIALS,
        "AWS_SECRET_ACCESS_KEY": "aws-distinctive-secret",
        "GITHUB_TOKEN": GITHUB_TOKEN,
    }
    return CommandLine(tmp_path, settings, environ)


@pytest.fixture
async def redis(tmp_path_factory):
    async with redis_for(None, tmp_path_factory.mktemp("r")) as url:
        yield url


@pytest.fixture
async def slack():
    async with FullWorkspace() as workspace:
        workspace.add_user("U0QUINN", "quinn")
        workspace.add_user("U0ELLIOTT", "elliott", tz="America/New_York")
        workspace.add_channel("C0STAGING", "ops-staging", ["U0QUINN"])
        workspace.add_channel("C0INC1", "inc-1", ["U0QUINN"])
        yield workspace


@dataclass(frozen=True)
class Store:
    journal: RedisJournal
    records: RedisRecords


@pytest.fixture
def store_at():
    """The journal and the records in the Redis at a URL, to be used inside `async with`."""

    class Opened:
        def __init__(self, url):
            self.client = connect(url)

        async def __aenter__(self):
            rng = random.Random()
            journal = RedisJournal(self.client, clock=WallClock(), rng=rng, retention=timedelta(days=400))
            return Store(journal, RedisRecords(self.client, rng=rng))

        async def __aexit__(self, *_):
            await self.client.aclose()

    return Opened


@pytest.fixture
def described():
    """The keys that a page of docs names in the first column of the tables under a heading."""

    def described(page: str, heading: str) -> set[str]:
        text = (Path(__file__).parents[2] / "docs" / page).read_text()
        section = text.split(f"## {heading}\n", 1)[1].split("\n## ")[0]
        cells = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
        return {name.strip("` ") for cell in cells for name in cell.split(",")}

    return described
