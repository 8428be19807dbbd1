"""A real `terraform apply` under `tflock claim`, against the real bot: its own end counts, whatever its run does."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path

import aiohttp
import pytest

from bot.sandbox.machine.terraform import _environment, write_workspace
from bot.sandbox.slack.text import flat

pytestmark = pytest.mark.asyncio(loop_scope="module")

TOKEN = "claims-e2e-token"
FAR = "600s"


@pytest.fixture(scope="module")
def staged():
    return {
        "environment": {"TFLOCK_CLAIM_TOKEN": TOKEN},
        "settings": {"policy": {"settle": dict.fromkeys(("failed", "cancelled", "timed_out", "lost"), FAR)}},
    }


@pytest.fixture
def job(scene, tmp_path):
    """The environment of a job of a run, with an initialised Terraform in its directory."""

    def job(run):
        return _environment(tmp_path) | {
            "TFLOCK_URL": scene.stage.url,
            "TFLOCK_CLAIM_TOKEN": TOKEN,
            "GITHUB_SERVER_URL": scene.stage.github.base_url,
            "GITHUB_REPOSITORY": "acme/infra",
            "GITHUB_RUN_ID": str(run.id),
        }

    return job


def child_of(pid):
    """Terraform itself: of the wrapper's two children the other is its listener."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return next(int(each) for each in children if Path(f"/proc/{each}/comm").read_text().strip() == "terraform")


@pytest.mark.timeout(240)
async def test_a_killed_apply_is_released_at_once_by_its_own_reported_end(terraform, scene, job, tmp_path):
    stage, state = scene.stage, scene.stage.states["staging"]
    workspace = write_workspace(
        terraform, tmp_path, endpoint=stage.aws.endpoint, bucket=stage.aws.bucket, key=state.key,
        table=stage.aws.table, lockfile=state.file,
    )  # fmt: skip
    await workspace.init()
    run = stage.runs.start_run("acme/infra", "deploy.yml", actor="elliott-ci")
    applying = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bot", "claim", "--state", "staging", "--",
        workspace.binary, "apply", "-auto-approve", "-var=hold=600",
        cwd=tmp_path, env=job(run), start_new_session=True, stdout=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        await scene.until(stage.lock_stands)
        alive = await scene.checklist("unlock staging", "refused", "claimed the state before")
        assert socket.gethostname() in flat(alive)

        os.kill(child_of(applying.pid), signal.SIGKILL)
        assert await applying.wait() == -signal.SIGKILL
    finally:
        with suppress(ProcessLookupError):
            os.killpg(applying.pid, signal.SIGKILL)

    checklist = await scene.checklist("unlock staging", "allowed", "exit code -9")
    assert await stage.lock_stands()
    await scene.click(checklist, "unlock.confirm")

    await scene.becomes(checklist, "staging is unlocked")
    assert not await stage.lock_stands()


async def test_the_running_bot_takes_claims_with_its_token_only(scene):
    url = f"{scene.stage.url}/api/v1/claims"
    body = {"state": "staging", "host": "build-1", "run_url": "https://ci.example.com/1", "attempt": 1}
    async with aiohttp.ClientSession() as session:
        async with session.post(url, json=body, headers={"Authorization": f"Bearer {TOKEN}"}) as taken:
            assert taken.status == 201
        async with session.post(url, json=body) as refused:
            assert refused.status == 401
