"""The process that `tests/worlds/forked.py` has commands forked from. It ends when the tests' process does."""

from __future__ import annotations

import gc
import json
import os
import pkgutil
import runpy
import select
import signal
import socket
import sys
import threading
from contextlib import suppress
from importlib import import_module

import bot
from bot.core.record.redact import redact
from bot.core.record.secrets.marking import Later
from tests.worlds.forked import NUMBER

LEFT_OUT = ("bot.__main__", "bot.worker", "bot.sandbox")
IMPORTED_LATE = ("aiohttp.web", "boto3", "docket", "httpcore", "anyio._backends._asyncio")


def _import_all() -> None:
    for module in pkgutil.walk_packages(bot.__path__, "bot."):
        if not module.name.startswith(LEFT_OUT):
            import_module(module.name)
    for name in IMPORTED_LATE:
        import_module(name)
    for pattern in [made for made in gc.get_objects() if isinstance(made, Later)]:
        pattern.compiled  # noqa: B018 - all of redaction's patterns take longer than the imports
    redact("ghp_" + "0" * 36)
    assert threading.active_count() == 1  # a fork keeps one thread, and the locks of all
    gc.freeze()


def _serve(orders: socket.socket) -> None:
    woken, waker = socket.socketpair()
    waker.settimeout(0)
    signal.set_wakeup_fd(waker.fileno())
    signal.signal(signal.SIGCHLD, lambda *_: None)
    running: dict[int, socket.socket] = {}
    while True:
        ready = select.select([orders, woken], [], [])[0]
        if woken in ready:
            woken.recv(4096)
            _tell_ended(running)
        if orders in ready:
            order, files, *_ = socket.recv_fds(orders, 1, 4)
            if not order:
                return
            pid = os.fork()
            if not pid:
                _become(*files)
                return
            for file in files[:3]:
                os.close(file)
            running[pid] = socket.socket(fileno=files[3])


def _tell_ended(running: dict[int, socket.socket]) -> None:
    with suppress(ChildProcessError):
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            with running.pop(ended[0]) as telling, suppress(OSError):
                telling.sendall(NUMBER.pack(os.waitstatus_to_exitcode(ended[1])))


def _become(order: int, stdout: int, stderr: int, telling: int) -> None:
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    with open(order, "rb", closefd=False) as file:
        file.seek(0)
        words, directory, environment, is_leader = json.load(file)
    if is_leader:
        os.setsid()
    os.write(telling, NUMBER.pack(os.getpid()))
    os.dup2(stdout, 1)
    os.dup2(stderr, 2)
    os.closerange(3, 256)
    os.chdir(directory)
    os.environ.clear()
    os.environ.update(environment)
    if environment.get("PYTHONUNBUFFERED"):
        sys.stdout.reconfigure(write_through=True)  # type: ignore[union-attr]
    sys.argv[1:] = words
    runpy.run_module("bot", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    _import_all()
    _serve(socket.socket(fileno=int(sys.argv[1])))
