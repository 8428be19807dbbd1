"""What stand-ins for CI systems share: a server on loopback, answers to be given instead, and loops of runs."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from types import TracebackType
from typing import Any, Protocol, Self

from aiohttp import web

Contend = Callable[[Any], Awaitable[None]]


class HasEnded(Protocol):
    @property
    def has_ended(self) -> bool: ...


@dataclass(slots=True)
class Answer:
    """What to say instead, to the next `times` requests that `matching` is found in."""

    matching: str
    status: int
    body: str | None
    headers: Mapping[str, str]
    delay: float
    times: int


@dataclass(slots=True)
class StandIn:
    """A server at `base_url` while it is entered. `asked` are the requests so far, `METHOD /path?query` each."""

    app: web.Application
    now: Callable[[], datetime]
    base_url: str = ""
    asked: list[str] = field(default_factory=list)
    _answers: list[Answer] = field(default_factory=list)
    _loops: dict[Any, asyncio.Task[None]] = field(default_factory=dict)
    _contending: set[asyncio.Task[None]] = field(default_factory=set)
    _stack: AsyncExitStack = field(default_factory=AsyncExitStack)

    def __post_init__(self) -> None:
        self.app.middlewares.insert(0, self._instead)

    def answer_next(
        self,
        matching: str,
        *,
        status: int = 200,
        body: str | None = None,
        headers: Mapping[str, str] | None = None,
        delay: float = 0,
        times: int = 1,
    ) -> None:
        """The next requests in whose `METHOD /path?query` the pattern is found get this answer, `delay` seconds late.

        Without a body a 200 is passed on to the real answer after the delay.
        """
        self._answers.append(Answer(matching, status, body, headers or {}, delay, times))

    def heal(self) -> None:
        """Answers as usual again, whatever `answer_next` said."""
        self._answers.clear()

    def loop(
        self,
        key: Any,
        start: Callable[[], HasEnded | None],
        finish: Callable[[Any], None],
        *,
        every: float,
        lasts: float,
        contend: Contend | None,
    ) -> None:
        """Calls `start` every so many seconds until `stop_loop(key)`; it returns a run, or None while it may not.

        A run lasts as long as `contend(run)` does, or `lasts` seconds, and is then finished. The `contend` of a run
        that ends before that is cancelled.
        """

        async def keep_starting() -> None:
            while True:
                run = start()
                if run is not None:
                    task = asyncio.create_task(self._live(run, finish, lasts, contend))
                    self._contending.add(task)
                    task.add_done_callback(self._contending.discard)
                await asyncio.sleep(every)

        self.stop_loop(key)
        self._loops[key] = asyncio.create_task(keep_starting())

    def stop_loop(self, key: Any) -> None:
        """Nothing is started any more; what runs goes on."""
        task = self._loops.pop(key, None)
        if task is not None:
            task.cancel()

    async def __aenter__(self) -> Self:
        runner = web.AppRunner(self.app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        self._stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        self.base_url = f"http://{host}:{port}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        tasks = [*self._loops.values(), *self._contending]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._stack.aclose()

    async def _live(self, run: HasEnded, finish: Callable[[Any], None], lasts: float, contend: Contend | None) -> None:
        act = asyncio.ensure_future(contend(run) if contend else asyncio.sleep(lasts))
        try:
            while not act.done():
                await asyncio.wait([act], timeout=0.05)
                if run.has_ended:
                    return
            finish(run)
        finally:
            act.cancel()
            await asyncio.gather(act, return_exceptions=True)

    @web.middleware
    async def _instead(self, request: web.Request, handler: Any) -> web.StreamResponse:
        line = f"{request.method} {request.rel_url.raw_path_qs}"
        self.asked.append(line)
        answer = next(
            (answer for answer in self._answers if answer.times > 0 and re.search(answer.matching, line)), None
        )
        if answer is not None:
            answer.times -= 1
            await asyncio.sleep(answer.delay)
            if answer.body is not None or answer.status != 200:
                return web.Response(status=answer.status, text=answer.body or "", headers=dict(answer.headers))
        response: web.StreamResponse = await handler(request)
        if not response.prepared:
            response.headers["Date"] = format_datetime(self.now(), usegmt=True)
        return response


def wall_clock(offset: timedelta) -> datetime:
    return datetime.now(UTC) + offset
