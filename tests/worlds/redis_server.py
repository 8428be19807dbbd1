"""A real redis-server that tests stop and start, and a way to it that holds what a test names."""

from __future__ import annotations

import asyncio
import subprocess
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from redis import Redis
from redis.exceptions import RedisError

from bot.store.embedded import find_binary, redis_for


@asynccontextmanager
async def own_redis() -> AsyncIterator[str]:
    """The URL of a Redis of one's own."""
    with tempfile.TemporaryDirectory(prefix="tf-") as directory:  # a name that is short enough for a socket
        async with redis_for(None, Path(directory)) as url:
            yield url


@dataclass
class Server:
    """A redis-server with an append-only file, on a port of its own."""

    directory: Path
    port: int
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        binary = find_binary()
        assert binary is not None
        words = [str(binary), "--port", str(self.port), "--dir", str(self.directory), "--save", ""]
        words += ["--appendonly", "yes", "--appendfsync", "always", "--maxmemory-policy", "noeviction"]
        self.process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def permit(self, right: str) -> None:
        """Of the user that the bot is."""
        with Redis(port=self.port, socket_timeout=5) as client:
            client.execute_command("ACL", "SETUSER", "default", right)

    def answers(self) -> bool:
        with Redis(port=self.port, socket_timeout=1) as client:
            try:
                return bool(client.ping())
            except (RedisError, OSError):
                return False


@dataclass
class Gate:
    """A port before a Redis. A request with the `held` words in it does not pass, nor does what its connection sends
    after it, as long as there is a `held`; `reached` is set when one has come.
    """

    server: int
    held: bytes = b""
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    port: int = 0
    _listening: asyncio.Server | None = None
    _going: set[asyncio.Task[None]] = field(default_factory=set)

    async def open(self) -> None:
        self._listening = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._listening.sockets[0].getsockname()[1]

    async def close(self) -> None:
        if self._listening is not None:
            self._listening.close()
        for task in self._going:
            task.cancel()
        await asyncio.gather(*self._going, return_exceptions=True)

    def hold(self, words: bytes) -> None:
        self.reached.clear()
        self.held = words

    def let_go(self) -> None:
        """What was held is lost with its sender; what comes from now on passes."""
        self.held = b""

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._going.add(task)
        there_reader, there = await asyncio.open_connection("127.0.0.1", self.server)
        try:
            answers = asyncio.create_task(_copy(there_reader, writer))
            while chunk := await reader.read(65536):
                if self.held and self.held in chunk:
                    self.reached.set()
                    await reader.read(-1)  # until its sender is gone
                    break
                there.write(chunk)
                await there.drain()
            answers.cancel()
        except OSError:
            pass
        finally:
            self._going.discard(task)
            for end in (there, writer):
                with suppress(OSError):
                    end.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while chunk := await reader.read(65536):
            writer.write(chunk)
            await writer.drain()
