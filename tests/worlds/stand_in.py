"""Stand-ins for web services that can be made to fail."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from aiohttp import web

from bot.sandbox.stand_in import CiStandIn, Serve, StandInServer


@dataclass(slots=True)
class Fault:
    """What to say instead, to the next `times` requests that `matching` is found in."""

    matching: str
    status: int
    body: str | None
    headers: Mapping[str, str]
    delay: float
    times: int


@dataclass(kw_only=True)
class FaultyStandIn(StandInServer):
    """Answers as it is told to, until it is told nothing more."""

    _faults: list[Fault] = field(default_factory=list, init=False)

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
        """The next requests in whose line the pattern is found get this answer, `delay` seconds late.

        Without a body a 200 is passed on to the real answer after the delay.
        """
        self._faults.append(Fault(matching, status, body, headers or {}, delay, times))

    def heal(self) -> None:
        """Answers as usual again, whatever `answer_next` said."""
        self._faults.clear()

    async def meet(self, line: str, request: web.Request, serve: Serve) -> web.StreamResponse:
        fault = next((one for one in self._faults if one.times > 0 and re.search(one.matching, line)), None)
        if fault is not None:
            fault.times -= 1
            await asyncio.sleep(fault.delay)
            if fault.body is not None or fault.status != 200:
                return web.Response(status=fault.status, text=fault.body or "", headers=fault.headers)
        return await super().meet(line, request, serve)


@dataclass(kw_only=True)
class FaultyCi(FaultyStandIn, CiStandIn):
    """A CI system that can be made to fail."""
