"""A ticket system as `bot.ports.tickets.Tickets`: the system has its requests and its JSON, the frame the rest.

A new system is a module beside this one with a class like `TicketSystem`, a line in the makers of `bot.app.adapters`,
and a stand-in for the contract suite (tests/contracts/test_tickets.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import httpx
import structlog
from httpx import codes

from bot.core.account.ticket import FileResult, Filing, Ticket, TicketReadiness
from bot.core.evidence import Observation, Trouble
from bot.http.client import Absent, Client, Errors, Failed, Limits, Refusal, denied, garbled, observe, wait_named
from bot.http.pages import every_page
from bot.http.values import Json

log = structlog.get_logger()

LABEL = "tflock"
LIMITS = Limits(overall=20.0)
_FILE_SECONDS = 12.0
_PER_PAGE = 100


class TicketSystem(Protocol):
    """One project of a ticket system. Its methods raise Failed, `look` also Absent."""

    place: str
    """The repository or project, as people name it."""

    client: Client

    async def look(self, marker: str, since: datetime) -> str:
        """The page of the ticket with this marker."""
        ...

    async def send(self, ticket: Ticket) -> str:
        """Files it with one request; its page."""
        ...

    async def rights(self) -> TicketReadiness: ...


@dataclass(frozen=True, slots=True)
class Tracker:
    """Asks a ticket system, within limits, and makes a value of whatever it does."""

    of: TicketSystem

    @property
    def system(self) -> str:
        return self.of.client.system

    @property
    def place(self) -> str:
        return self.of.place

    async def find(self, marker: str, *, since: datetime) -> Observation[str]:
        return await observe(
            lambda: self.of.look(marker, since),
            system=self.system,
            clock=self.of.client.clock,
            limit=LIMITS.overall,
            event="tickets.unseen",
        )

    async def file(self, ticket: Ticket) -> Filing:
        try:
            async with asyncio.timeout(_FILE_SECONDS):
                url = await self.of.send(ticket)
        except Failed as failed:
            log.warning("tickets.not_filed", system=self.system, trouble=failed.trouble.value, detail=failed.detail)
            return Filing(_result(failed), detail=failed.words, retry_after=failed.retry_after)
        except TimeoutError:
            return Filing(FileResult.NOT_KNOWN, detail=f"{self.system} did not answer within {_FILE_SECONDS:g} s")
        log.info("tickets.filed", system=self.system, url=url)
        return Filing(FileResult.FILED, url)

    async def ready(self) -> TicketReadiness:
        fix = f"see whether {self.system} is up"
        try:
            async with asyncio.timeout(LIMITS.overall):
                return await self.of.rights()
        except Failed as failed:
            return TicketReadiness(is_ready=False, detail=failed.detail, fix=failed.fix or fix)
        except TimeoutError:
            return TicketReadiness(is_ready=False, detail=f"{self.system} did not answer in time", fix=fix)

    async def aclose(self) -> None:
        await self.of.client.aclose()


def errors(no: Refusal) -> Errors:
    """How every ticket system says no; a system's own table goes before it."""
    wait = wait_named(no.response.headers, no.now)
    return {
        codes.TOO_MANY_REQUESTS: Failed(Trouble.THROTTLED, f"{no.system} asks for patience", retry_after=wait),
        3: denied(f"{no.system} is elsewhere (HTTP {no.status})", "correct tickets.base_url"),
        4: denied(f"{no.system} refused (HTTP {no.status})", "correct tickets in the configuration"),
        5: Failed(Trouble.SERVER_ERROR, f"{no.system} returned an error (HTTP {no.status})"),
    }


async def issue_marked(
    client: Client,
    path: str,
    place: str,
    params: Mapping[str, str],
    *,
    is_marked: Callable[[Json], bool],
    has_next: Callable[[httpx.Response], bool],
    too_much: Callable[[int], str],
) -> Json:
    """The issue of a list that has the marker. Raises Absent if none has, Failed if that cannot be known."""

    async def page(number: int) -> tuple[list[Json], int | None]:
        asked = {**params, "per_page": str(_PER_PAGE), "page": str(number)}
        response = await client.send("GET", path, place, params=asked)
        issues = client.objects(client.document(response), f"the issues of {place}")
        return issues, number + 1 if has_next(response) else None

    listed = await every_page(page, 1, too_much=too_much, until=is_marked)
    found = next(filter(is_marked, listed), None)
    if found is None:
        raise Absent("no such ticket")
    return found


def page_of(issue: object, key: str, system: str) -> str:
    """The address of a ticket. Raises Failed for what is none."""
    value = issue.get(key) if isinstance(issue, Mapping) else None
    if not isinstance(value, str) or not value.startswith(("http://", "https://")):
        raise garbled(f"{system}'s answer does not say where the ticket is")
    return value


def _result(failed: Failed) -> FileResult:
    if failed.trouble is Trouble.DENIED:
        return FileResult.REFUSED
    if failed.trouble is Trouble.THROTTLED or not failed.was_sent:
        return FileResult.LATER
    return FileResult.NOT_KNOWN
