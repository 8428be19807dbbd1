"""The other tests of the command line fork it: what they see has to be what the command itself does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from asyncio.subprocess import create_subprocess_exec

import pytest

from tests.worlds.forked import fork_bot

WAYS = pytest.mark.parametrize("start", [create_subprocess_exec, fork_bot], ids=["executed", "forked"])


@WAYS
@pytest.mark.parametrize(
    ("words", "code", "out", "err"),
    [
        (["--version"], 0, "tflock ", ""),
        (["statuus"], 2, "", "Usage: python -m bot [OPTIONS] COMMAND"),
        (["status"], 2, "", "tflock.yml"),
        (["verify", "nowhere.json"], 1, "", "nowhere.json"),
    ],
)
async def test_a_command_that_is_forked_prints_and_returns_what_it_does_itself(start, words, code, out, err, tmp_path):
    ended = await started(start, words, tmp_path)
    assert await ended.wait() == code
    assert out in (tmp_path / "out").read_text()
    assert err in (tmp_path / "err").read_text()
    assert bool(out) == bool((tmp_path / "out").read_text())
    assert bool(err) == bool((tmp_path / "err").read_text())


@WAYS
async def test_one_that_is_forked_leads_a_session_of_its_own_and_dies_of_a_signal(start, tmp_path):
    os.mkfifo(tmp_path / "tflock.yml")  # it waits for somebody who writes there
    running = await started(start, ["status"], tmp_path)
    assert os.getsid(running.pid) == running.pid
    assert running.returncode is None
    running.send_signal(signal.SIGKILL)
    assert await running.wait() == -signal.SIGKILL


async def started(start, words, directory):
    with (directory / "out").open("wb") as out, (directory / "err").open("wb") as err:
        return await start(
            sys.executable, "-m", "bot", *words,
            cwd=directory, env={"PATH": os.environ["PATH"], "HOME": str(directory)},
            stdin=subprocess.DEVNULL, stdout=out, stderr=err, start_new_session=True,
        )  # fmt: skip
