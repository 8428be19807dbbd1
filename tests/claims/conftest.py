"""A bot's world on real servers (Redis, AWS, GitHub), with the claims' HTTP face in front of it."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import socket
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import pytest
import yaml
from aiohttp import web
from pydantic import SecretStr

from bot.app.wiring import wired
from bot.config.load import load
from bot.config.settings import Config
from bot.core.evidence import Found
from bot.core.lock import parse_lock_info
from bot.core.people import Channel, Member, Standing
from bot.sandbox.machine.aws import CREDENTIALS, REGION, WrittenLock
from bot.store.embedded import redis_for
from bot.usecases.decide.inspect import inspect
from bot.usecases.decide.weigh import conclude
from bot.usecases.world import World
from handlers.claims_http import claim_routes
from tests.worlds.aws import FullAws
from tests.worlds.ci.github import FullGitHub

KEY = "environments/staging/terraform.tfstate"
TOKEN = "claims-distinctive-4711"


@dataclass
class Answer:
    status: int
    body: Any
    headers: Any

    @property
    def error(self) -> str:
        return self.body["error"]


@dataclass
class Bot:
    """The world, and its claims over HTTP at `url`."""

    world: World
    aws: FullAws
    github: FullGitHub
    session: aiohttp.ClientSession
    url: str
    config: Config
    off: str = ""
    token: str = TOKEN

    async def ask(self, method, path, *, json=None, data=None, token=TOKEN, headers=None, url=None):
        given = {"Authorization": f"Bearer {token}"} if token is not None else {}
        given |= {"Content-Type": "application/json"} if data is not None else {}
        async with self.session.request(
            method, (url or self.url) + path, json=json, data=data, headers=given | (headers or {})
        ) as answer:
            return Answer(answer.status, await answer.json(), answer.headers)

    def body(self, run=None, **changes):
        number = 1 if run is None else run.id
        return {
            "state": "staging",
            "host": "fv-az881-525",
            "run_url": f"{self.github.base_url}/acme/infra/actions/runs/{number}",
            "attempt": 1,
        } | changes

    async def claim(self, run=None, **changes):
        answer = await self.ask("POST", "/api/v1/claims", json=self.body(run, **changes))
        assert answer.status == 201, answer.body
        return answer.body["id"]

    async def tell(self, claim_id, **news):
        return await self.ask("PATCH", f"/api/v1/claims/{claim_id}", json=news)

    def start_run(self, workflow="deploy.yml", *, ago=timedelta(minutes=10), actor="elliott-ci"):
        return self.github.runs.start_run("acme/infra", workflow, at=datetime.now(UTC) - ago, actor=actor)

    async def hold(self, *, host="fv-az881-525", created=None):
        """A lock that is taken now."""
        path = f"{self.aws.bucket}/{KEY}"
        lock = WrittenLock(secrets.token_hex(16), created or datetime.now(UTC), path, who=f"runner@{host}")
        await self.aws.hold(KEY, lock.text, item=True, file=False)
        return lock

    def info(self, lock):
        return parse_lock_info(lock.text)

    async def still_held(self, lock):
        return (await self.aws.lock_ids(KEY))["item"] == lock.id

    async def decide(self):
        """What an eligible member's unlock would meet, and what it rests on."""
        inspection = await inspect(self.world, self.world.state("staging"))
        now = self.world.clock.now()
        member = Member("U0QUINN", "quinn", "T0", False, False, False, False, "UTC", 0)  # noqa: FBT003 - in order
        channel = Channel("C0INC", "inc-1", is_direct=False, is_archived=False)
        standing = Standing(
            "U0QUINN", "T0", Found(member, now), Found(value=True, at=now), None, Found(channel, now),
            is_incident_channel=True,
        )  # fmt: skip
        verdict = conclude(self.world, inspection, standing, inspection.lock.id, None).verdict
        return verdict, inspection


async def _serve(stack, routes):
    app = web.Application()
    app.add_routes(routes)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    stack.append(runner)
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    return f"http://127.0.0.1:{runner.addresses[0][1]}"


@pytest.fixture
async def redis(tmp_path_factory):
    async with redis_for(None, tmp_path_factory.mktemp("r")) as url:
        yield url


@pytest.fixture
async def github():
    async with FullGitHub() as github:
        for workflow in ("deploy.yml", "dependency-update.yml"):
            github.runs.add_workflow("acme/infra", workflow)
        yield github


@pytest.fixture(scope="session", autouse=True)
def heeds_interrupts():
    """A shell that starts the tests in the background has SIGINT ignored, and with it all that they start."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def aws(own_aws):
    return own_aws


@pytest.fixture
def config(aws, github, tmp_path):
    backend = {
        "type": "s3",
        "bucket": aws.bucket,
        "key": KEY,
        "region": REGION,
        "dynamodb_table": aws.table,
        "endpoint_url": aws.endpoint,
    }
    settings = {
        "ci": {"github": {"type": "github_actions", "base_url": github.base_url}},
        "states": {
            "staging": {
                "backend": backend,
                "pipelines": [
                    {"ci": "github", "repo": "acme/infra", "workflow": name}
                    for name in ("deploy.yml", "dependency-update.yml")
                ],
            },
            "production": {"backend": backend | {"key": KEY.replace("staging", "production")}},
        },
    }
    path = tmp_path / "tflock.yml"
    path.write_text(yaml.safe_dump(settings))
    return load(path, {**CREDENTIALS, "GITHUB_TOKEN": github.token}, need_slack=False)


@pytest.fixture
async def bot(config, aws, github, redis):
    runners = []
    async with wired(config, redis) as wiring, aiohttp.ClientSession() as session:
        url = await _serve(runners, claim_routes(wiring.world, SecretStr(TOKEN)))
        off = await _serve(runners, claim_routes(wiring.world, None))
        yield Bot(wiring.world, aws, github, session, url, config, off)
        for runner in runners:
            await runner.cleanup()


@pytest.fixture
async def bot_without_redis(config, aws, github, tmp_path):
    runners = []
    async with wired(config, f"unix://{tmp_path}/nothing") as wiring, aiohttp.ClientSession() as session:
        url = await _serve(runners, claim_routes(wiring.world, SecretStr(TOKEN)))
        yield Bot(wiring.world, aws, github, session, url, config)
        for runner in runners:
            await runner.cleanup()


@dataclass(frozen=True)
class Ended:
    code: int
    out: str
    err: str


@pytest.fixture
def start(tmp_path):
    """Starts `python -m bot …` in an empty directory, with an environment of its own."""

    async def start(*words, within=(), short="", **environ):
        path = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "COVERAGE": ""}
        program = ("-c", SHORT.format(short)) if short else ("-m", "bot")
        return await asyncio.create_subprocess_exec(
            *within, sys.executable, *program, *words, cwd=tmp_path, env=path | environ, start_new_session=True,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip

    return start


SHORT = "from bot.cli import child, claim; {}; from bot.__main__ import main; main()"
"""The program with less patience."""


@pytest.fixture
def run(start):
    """Runs `python -m bot …` to its end. No output may show the token."""

    async def run(*words, given=b"", **environ):
        started = await start(*words, **environ)
        async with asyncio.timeout(150):
            out, err = await started.communicate(given)
        assert TOKEN.encode() not in out + err
        return Ended(started.returncode, out.decode(), err.decode())

    return run


@pytest.fixture
def in_github(bot):
    """The environment of a job of a run on GitHub, with the bot's address and the token."""

    def in_github(record, **changes):
        return {
            "TFLOCK_URL": bot.url,
            "TFLOCK_CLAIM_TOKEN": TOKEN,
            "GITHUB_SERVER_URL": bot.github.base_url,
            "GITHUB_REPOSITORY": "acme/infra",
            "GITHUB_RUN_ID": str(record.id),
            "GITHUB_RUN_ATTEMPT": "1",
        } | changes

    return in_github


@pytest.fixture
def own_host():
    return socket.gethostname()
