"""The order of the files, and what tests want of the machine, apart from Python: each need is one fixture.

Where it is missing, its tests are skipped, in one line that says what to install. In CI (`CI` is set) they fail.
"""

import asyncio
import gc
import logging
import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from zlib import crc32

import pytest
import structlog
from hypothesis import HealthCheck, settings
from stamina.instrumentation import set_on_retry_hooks

from bot.app.logs import QUIET, SILENT
from bot.sandbox.machine import process
from bot.sandbox.machine.aws import CREDENTIALS, fresh_moto
from bot.sandbox.machine.terraform import find_terraform
from bot.store import connect
from tests.worlds.aws import FullAws
from tests.worlds.forked import fork_bot

ROOT = Path(__file__).parent
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


LONGEST = ("test_demo.py", "test_people_machine.py")


def pytest_collection_modifyitems(items):
    """The longest files come first, the others shuffled: so that those that wait and those that work are mixed."""
    items.sort(key=lambda item: (item.path.name not in LONGEST, crc32(str(item.path.relative_to(ROOT)).encode())))


def pytest_configure():
    """The workers of xdist, which start later, take their place for files from here."""
    if "PYTEST_XDIST_WORKER" not in os.environ and "TMPDIR" not in os.environ and (place := _place_in_memory()):
        os.environ["TMPDIR"] = tempfile.tempdir = str(place)


def pytest_collection_finish():
    """The tests are half a million objects: a collection that looks at them stops everything for 0.4 s."""
    gc.collect()
    gc.freeze()


def _place_in_memory() -> Path | None:
    """Each Redis here syncs each write: where others write to the same disk, such a write may wait for seconds.

    None where there is no such place, or a small one, or one that runs no programs, as in most containers.
    """
    place = Path("/dev/shm")
    try:
        if shutil.disk_usage(place).free < _ROOM:
            return None
        with tempfile.TemporaryDirectory(dir=place) as folder:
            program = Path(folder, "true")
            program.write_text("#!/bin/sh\n")
            program.chmod(0o700)
            subprocess.run([program], check=True)
    except OSError:
        return None
    return place


_ROOM = 4 * 1024**3


# Hypothesis measures examples by the clock: what is slow here says more about the machine than about the code.
settings.register_profile("any machine", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")


class Missing(pytest.skip.Exception):
    """The machine does not have what a test needs."""


def missing(need):
    if os.environ.get("CI"):
        pytest.fail(f"{need}. In CI this test must run", pytrace=False)
    raise Missing(need)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(call):
    report = yield
    if call.excinfo and isinstance(call.excinfo.value, Missing):
        report.longrepr = (__file__, None, str(call.excinfo.value))  # one place for all of them: pytest counts by place
    return report


@pytest.fixture(autouse=True)
def redis_deadline(monkeypatch) -> None:
    """A machine with many tests on it can be late, and is no absent Redis."""
    for name in ("DEADLINE", "SOCKET_TIMEOUT"):
        monkeypatch.setattr(connect, name, 10.0)


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    """A command that runs in the tests' process sets up logging for all of it."""
    config, handlers = structlog.get_config(), list(logging.getLogger().handlers)
    levels = {name: logging.getLogger(name).level for name in (None, *QUIET, *SILENT)}
    yield
    structlog.configure(**config)
    logging.getLogger().handlers[:] = handlers
    for name, level in levels.items():
        if (logger := logging.getLogger(name)).level != level:  # setting it costs a look at every logger there is
            logger.setLevel(level)
    set_on_retry_hooks(None)


@pytest.fixture(autouse=True, scope="session")
def _bots_are_forked() -> None:
    """Imports are most of what a short process of the bot costs."""
    process.create_subprocess_exec = fork_bot


@pytest.fixture
def directory() -> Iterator[Path]:
    """A directory whose name is short enough for a socket."""
    made = Path(tempfile.mkdtemp(prefix="tf-"))
    yield made
    shutil.rmtree(made, ignore_errors=True)


@pytest.fixture(scope="session")
def terraform() -> Path:
    return find_terraform() or missing("needs terraform on PATH: install Terraform 1.11 or newer")


@pytest.fixture(scope="session")
def namespaces() -> None:
    """The right to give a command a host name of its own (UTS namespace)."""
    unshare = shutil.which("unshare")
    if not unshare or subprocess.run([unshare, "--uts", "true"], check=False, capture_output=True).returncode:
        missing("needs Linux and the right to make a UTS namespace: run as root, in a container with SYS_ADMIN")


@pytest.fixture(scope="session")
def shared_aws():
    """One moto for all tests of the session, each of which takes a bucket and a table of its own."""
    with fresh_moto() as endpoint:
        aws = FullAws(endpoint)
        yield aws
        asyncio.run(aws.aclose())


@pytest.fixture
async def own_aws(shared_aws, monkeypatch):
    """A bucket and a lock table of the test's own, and the credentials for them in its environment."""
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    token = secrets.token_hex(4)
    aws = shared_aws.beside(bucket=f"acme-tfstate-{token}", table=f"acme-tf-locks-{token}")
    await aws.create()
    return aws


@pytest.fixture(scope="session")
def chromium() -> str:
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    return found or missing(f"needs a browser on PATH ({', '.join(BROWSERS)}): install Chromium")
