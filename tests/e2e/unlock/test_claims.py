"""A real `terraform apply` under `tflock claim`, against the real bot: its own end counts, whatever its run does."""

from __future__ import annotations

import asyncio
import os
import signal
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


def below(pid):
    """Every process that the wrapper has started, its listener (a copy of itself) apart, by name."""
    found, line = {}, Path(f"/proc/{pid}/cmdline").read_bytes()
    for status in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            start, _, rest = status.read_text().rpartition(")")
            own, state, parent = int(start.split()[0]), *rest.split()[:2]
            if state != "Z" and not (int(parent) == pid and (status.parent / "cmdline").read_bytes() == line):
                found[own] = (start.partition("(")[2], int(parent))
    mine = {pid}
    while grown := {own for own, (_, parent) in found.items() if parent in mine and own not in mine}:
        mine |= grown
    return {own: found[own][0] for own in mine - {pid}}


@pytest.fixture
async def applied(terraform, scene, job, tmp_path):
    """Starts `tflock claim -- terraform apply` in a run of GitHub's, and returns the wrapper once it has the lock."""
    stage, state = scene.stage, scene.stage.states["staging"]
    workspace = write_workspace(
        terraform, tmp_path, endpoint=stage.aws.endpoint, bucket=stage.aws.bucket, key=state.key,
        table=stage.aws.table, lockfile=state.file,
    )  # fmt: skip
    await workspace.init()
    started = []

    async def applied(*words, under=("{terraform}",)):
        run = stage.runs.start_run("acme/infra", "deploy.yml", actor="elliott-ci")
        program = [word.format(terraform=f"{workspace.binary} apply -auto-approve -var=hold=600") for word in under]
        started.append(await asyncio.create_subprocess_exec(
            sys.executable, "-m", "bot", "claim", "--state", "staging", *words, "--", "sh", "-c", *program,
            cwd=tmp_path, env=job(run), start_new_session=True,
            stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
        ))  # fmt: skip
        await scene.until(stage.lock_stands)
        return started[-1]

    yield applied
    for each in started:
        for pid in (each.pid, *(below(each.pid) if each.returncode is None else ())):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        sys.stderr.write((await each.stderr.read()).decode())  # for whom a test fails


@pytest.mark.timeout(240)
async def test_a_killed_apply_is_released_at_once_when_its_wrapper_says_that_nothing_is_left(
    scene, applied, namespaces
):
    """First Terraform dies and leaves its provisioner; only when that is gone too does its end count."""
    stage = scene.stage
    applying = await applied(under=("exec {terraform}",))
    host = (await applying.stderr.readline()).decode().split()[-1]
    alive = await scene.checklist("unlock staging", "is locked")
    assert f"root@{host}" in flat(alive)
    assert host.startswith("tflock-")

    await scene.until(lambda: "sleep" in below(applying.pid).values())  # the lock is there before the provisioner is
    (binary,) = (pid for pid, name in below(applying.pid).items() if name == "terraform")
    provisioner = [pid for pid, name in below(applying.pid).items() if name in {"sh", "sleep"}]
    os.kill(binary, signal.SIGKILL)
    await scene.until(lambda: binary not in below(applying.pid))
    await scene.checklist("unlock staging", "is locked")
    assert await stage.lock_stands()
    assert applying.returncode is None
    for pid in provisioner:
        os.kill(pid, signal.SIGKILL)
    assert await applying.wait() == -signal.SIGKILL

    checklist = await scene.checklist("unlock staging", "safe to unlock", "exit code -9")
    assert await stage.lock_stands()
    await scene.click(checklist, "unlock.confirm")
    await scene.becomes(checklist, "staging is unlocked")
    assert not await stage.lock_stands()


@pytest.mark.timeout(240)
async def test_a_shell_that_dies_of_a_signal_does_not_end_the_terraform_below_it(scene, applied, namespaces):
    stage = scene.stage
    applying = await applied(under=("{terraform} & wait",))
    (binary,) = (pid for pid, name in below(applying.pid).items() if name == "terraform")
    shell = min(pid for pid, name in below(applying.pid).items() if name == "sh")

    applying.send_signal(signal.SIGTERM)
    await scene.until(lambda: shell not in below(applying.pid))
    await scene.checklist("unlock staging", "is locked")
    assert binary in below(applying.pid)
    assert applying.returncode is None
    assert await stage.lock_stands()
    os.kill(binary, signal.SIGTERM)

    # Terraform stops gracefully, saves the state and releases its own lock; what its provisioner started lives on
    await scene.until(lambda: binary not in below(applying.pid))
    assert applying.returncode is None
    for pid in below(applying.pid):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    assert await asyncio.wait_for(applying.wait(), 60) == -signal.SIGTERM
    assert not await stage.lock_stands()


async def test_the_running_bot_takes_claims_with_its_token_only(scene):
    url = f"{scene.stage.url}/api/v1/claims"
    body = {"state": "staging", "host": "build-1", "run_url": "https://ci.example.com/1", "attempt": 1}
    async with aiohttp.ClientSession() as session:
        async with session.post(url, json=body, headers={"Authorization": f"Bearer {TOKEN}"}) as taken:
            assert taken.status == 201
        async with session.post(url, json=body) as refused:
            assert refused.status == 401
