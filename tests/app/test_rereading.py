"""SIGHUP reads secrets again, except where it says that the terminal is gone."""

import os
import pty
import signal
import subprocess
import sys

SCRIPT = """
import asyncio, fcntl, termios
from types import SimpleNamespace
from bot.app.rereading import heeding_hangups

fcntl.ioctl(0, termios.TIOCSCTTY, 0)

async def main():
    stop = asyncio.Event()
    async with heeding_hangups(SimpleNamespace(secret_files=()), stop):
        print("ready", flush=True)
        await asyncio.wait_for(stop.wait(), 30)

asyncio.run(main())
"""


def begun():
    """A process at a terminal of its own; the terminal's other end, and the process."""
    ours, its = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT],
        stdin=its,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    os.close(its)
    assert process.stdout.readline() == b"ready\n"
    return ours, process


def test_a_process_ends_in_order_when_its_terminal_is_closed():
    terminal, process = begun()

    os.close(terminal)

    _, said = process.communicate(timeout=20)
    assert (process.returncode, b"Traceback" in said) == (0, False)


def test_a_signal_at_a_terminal_that_is_there_only_reads_the_secrets_again():
    terminal, process = begun()

    process.send_signal(signal.SIGHUP)
    while b"secrets.read" not in process.stdout.readline():
        assert process.poll() is None

    assert process.poll() is None
    os.close(terminal)
    process.communicate(timeout=20)
    assert process.returncode == 0
