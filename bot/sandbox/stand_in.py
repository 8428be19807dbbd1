"""What the stand-ins for web services share: routes, refusals, pages, the clock, and loops of runs.

A stand-in is a table of routes and what it lets pass; a handler returns JSON or text, or raises Refused.
"""

from __future__ import annotations

import asyncio
import inspect
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from types import TracebackType
from typing import Any, NamedTuple, Self, TypeAlias, TypeVar

from aiohttp import web

T = TypeVar("T")
Serve: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]
Contend: TypeAlias = Callable[[Any], Awaitable[None]]


class Refused(Exception):
    """The answer to a request that is not granted."""

    def __init__(self, status: int, body: Any, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status, body)
        self.status, self.body, self.headers = status, body, headers


class Page(NamedTuple):
    """One page of a numbered list. `following` is the next page's number, empty at the end; `link` its header."""

    shown: list[Any]
    number: int
    size: int
    following: str
    link: dict[str, str]


@dataclass(kw_only=True)
class StandInServer(ABC):
    """A server on loopback while it is entered. `offset` shifts its clock against the real one.

    `origin` is its address, `base_url` the one of its API, below `prefix`. `asked` are the requests so far,
    `METHOD /path?query` each.
    """

    offset: timedelta = timedelta(0)
    prefix: str = ""
    json_type: str = field(default="application/json", init=False)
    origin: str = field(default="", init=False)
    asked: list[str] = field(default_factory=list, init=False)
    _running: AsyncExitStack = field(default_factory=AsyncExitStack, init=False)

    @abstractmethod
    def routes(self) -> Mapping[str, Callable[[web.Request], Any]]:
        """Handlers by `METHOD /path`. They return JSON, text, None (204) or a whole response, or raise Refused."""

    async def guard(self, request: web.Request, serve: Serve) -> web.StreamResponse:
        """Lets a request pass, or raises Refused."""
        return await serve(request)

    async def line(self, request: web.Request) -> str:
        """A request as `asked` has it."""
        return f"{request.method} {request.rel_url.raw_path_qs}"

    @property
    def base_url(self) -> str:
        return self.origin + self.prefix

    def now(self) -> datetime:
        return datetime.now(UTC) + self.offset

    def running(self) -> float:
        return self.now().timestamp()

    async def meet(self, _line: str, request: web.Request, serve: Serve) -> web.StreamResponse:
        """Answers a request."""
        try:
            return await self.guard(request, serve)
        except Refused as refused:
            return self.answer(refused.body, refused.status, refused.headers)

    def answer(self, body: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
        """Text as text, anything else as JSON."""
        if isinstance(body, str):
            return web.Response(text=body, status=status, headers=headers)
        return web.json_response(body, status=status, headers=headers, content_type=self.json_type)

    async def __aenter__(self) -> Self:
        app = web.Application(middlewares=[self._answered])
        app.on_response_prepare.append(self._dated)
        for line, handler in self.routes().items():
            method, _, path = line.partition(" ")
            app.router.add_route(method, path, self._served(handler))
        self.origin = await self._running.enter_async_context(serving(app))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._running.aclose()

    def _served(self, handler: Callable[[web.Request], Any]) -> Serve:
        async def serve(request: web.Request) -> web.StreamResponse:
            try:
                body = handler(request)
                body = await body if inspect.isawaitable(body) else body
            except Refused as refused:
                return self.answer(refused.body, refused.status, refused.headers)
            if isinstance(body, web.StreamResponse):
                return body
            return web.Response(status=204) if body is None else self.answer(body)

        return serve

    @web.middleware
    async def _answered(self, request: web.Request, handler: Serve) -> web.StreamResponse:
        line = await self.line(request)
        self.asked.append(line)
        return await self.meet(line, request, handler)

    async def _dated(self, _: web.Request, response: web.StreamResponse) -> None:
        response.headers["Date"] = format_datetime(self.now(), usegmt=True)


@dataclass(kw_only=True)
class CiStandIn(StandInServer):
    """A CI system: `runs` are what it knows, driven by plain calls; loops start runs on their own."""

    runs: Any = field(init=False)
    _loops: dict[tuple[str, ...], asyncio.Task[None]] = field(default_factory=dict, init=False)
    _living: set[asyncio.Task[None]] = field(default_factory=set, init=False)

    @abstractmethod
    def fail(self, run: Any) -> None:
        """Ends a run that has lived its time."""

    def live(self, run: Any, *, lasts: float = 30.0, contend: Contend | None = None) -> None:
        """The run lasts as long as `contend(run)` does, or `lasts` seconds, and then fails.

        The `contend` of a run that ends before that is cancelled.
        """
        task = asyncio.create_task(self._live(run, lasts, contend))
        self._living.add(task)
        task.add_done_callback(self._living.discard)

    def keep_starting(
        self, *key: object, start: Callable[[], Any], every: float, lasts: float, contend: Contend | None
    ) -> None:
        """Calls `start` every so many seconds until `stop_loop(*key)`. It returns a run to live, or None."""

        async def loop() -> None:
            while True:
                if (run := start()) is not None:
                    self.live(run, lasts=lasts, contend=contend)
                await asyncio.sleep(every)

        self.stop_loop(*key)
        self._loops[_folded(key)] = asyncio.create_task(loop())

    def stop_loop(self, *key: object) -> None:
        """Nothing is started any more; what runs continues."""
        task = self._loops.pop(_folded(key), None)
        if task is not None:
            task.cancel()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        tasks = [*self._loops.values(), *self._living]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await super().__aexit__(kind, error, trace)

    async def _live(self, run: Any, lasts: float, contend: Contend | None) -> None:
        act = asyncio.ensure_future(contend(run) if contend else asyncio.sleep(lasts))
        try:
            while not act.done():
                await asyncio.wait([act], timeout=0.05)
                self.runs.settle()
                if run.has_ended:
                    return
            self.fail(run)
        finally:
            act.cancel()
            await asyncio.gather(act, return_exceptions=True)


@asynccontextmanager
async def serving(app: web.Application, *, port: int = 0, patience: float = 0.1) -> AsyncIterator[str]:
    """Serves on loopback and yields the address. A request that is open at the end has `patience` seconds."""
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=patience)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def paged(request: web.Request, entries: Sequence[Any], *, usual: int) -> Page:
    """The page of a list that `page` and `per_page` ask for; a page has 100 entries at most, or the `usual`."""
    size = max(1, min(100, int(request.query.get("per_page", usual))))
    number = max(1, int(request.query.get("page", "1")))
    shown, after = cut(entries, (number - 1) * size, size)
    following = str(number + 1) if after else ""
    link = {"Link": f'<{request.url.update_query(page=following)}>; rel="next"'} if following else {}
    return Page(shown, number, size, following, link)


def cut(entries: Sequence[T], first: int, size: int) -> tuple[list[T], str]:
    """So many entries from the first on, and where the next ones begin, empty at the end."""
    return list(entries[first : first + size]), str(first + size) if first + size < len(entries) else ""


def given(found: T | None, refusal: Refused) -> T:
    """What was found. Raises the refusal if that is nothing."""
    if found is None:
        raise refusal
    return found


def _folded(key: tuple[object, ...]) -> tuple[str, ...]:
    return tuple(str(part).casefold() for part in key)
