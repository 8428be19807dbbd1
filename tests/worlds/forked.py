"""`python -m bot`, forked from a process that has done the imports: they are most of a short command's work.

In all that a test can see it is a process of its own: pid, session, directory, environment, outputs, signals, exit
code. The imports are not tried this way: `tests/app`, `tests/claims` and `tests/packaging` start the real command.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import struct
import subprocess
import sys
import tempfile
import weakref
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import IO, Any

ROOT = Path(__file__).resolve().parents[2]
NUMBER = struct.Struct("!i")


class Forked:
    """A forked command, with what the tests use of `asyncio.subprocess.Process`."""

    def __init__(self, pid: int, told: socket.socket) -> None:
        self.pid = pid
        self._told = told
        weakref.finalize(self, told.close)  # who started a process does not always wait for its end
        self._exit_code: int | None = None

    @property
    def returncode(self) -> int | None:
        """The exit code, -N after signal N; None while it runs."""
        if self._exit_code is None:
            with suppress(BlockingIOError):
                self._exit_code = _number(self._told)
        return self._exit_code

    async def wait(self) -> int:
        while (code := self.returncode) is None:  # noqa: ASYNC110 - `returncode` reads the answer itself
            await asyncio.sleep(0.01)
        return code

    def send_signal(self, number: int) -> None:
        if self.returncode is None:
            os.kill(self.pid, number)


async def fork_bot(*command: str, cwd: Path, env: Mapping[str, str], stdout: IO[bytes], **rest: Any) -> Forked:
    """As `asyncio.create_subprocess_exec` with `python -m bot …`, outputs to files, and no input."""
    assert command[:3] == (sys.executable, "-m", "bot")
    assert rest.pop("stdin") == subprocess.DEVNULL
    stderr, is_leader = rest.pop("stderr"), rest.pop("start_new_session", False)
    assert not rest
    ours, theirs = socket.socketpair()
    ours.settimeout(120)
    with theirs, tempfile.TemporaryFile() as order:
        order.write(json.dumps([command[3:], str(cwd), dict(env), is_leader]).encode())
        order.flush()
        files = (order.fileno(), stdout.fileno(), stderr.fileno(), theirs.fileno())
        socket.send_fds(_server()[0], [b"!"], files)
    pid = await asyncio.to_thread(_number, ours)
    ours.settimeout(0)
    return Forked(pid, ours)


def _number(told: socket.socket) -> int:
    answer = told.recv(NUMBER.size)
    assert answer, "the fork server died"
    return int(NUMBER.unpack(answer)[0])


@cache
def _server() -> tuple[socket.socket, subprocess.Popen[bytes]]:
    """The line to the server, which ends when this process does; what it forked goes on, as other children do."""
    ours, theirs = socket.socketpair()
    with theirs:
        return ours, subprocess.Popen(
            [sys.executable, "-m", "tests.worlds.fork_server", str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)},
            start_new_session=True,
        )
