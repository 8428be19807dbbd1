"""What became of a request to a ticket system, as a value: of a look, of filing, of asking for rights."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog
from httpx import codes

from bot.core.account.ticket import FileResult, Filing, TicketReadiness
from bot.core.evidence import Observation, Trouble
from bot.http.client import Client, Errors, Failed, Limits, Refusal, denied, garbled, observe, wait_named
from bot.ports.clock import Clock

log = structlog.get_logger()

LIMITS = Limits(overall=20.0)
_FILE_SECONDS = 12.0


def errors(no: Refusal) -> Errors:
    """How every ticket system says no; a system's own table goes before it."""
    wait = wait_named(no.response.headers, no.now)
    return {
        codes.TOO_MANY_REQUESTS: Failed(Trouble.THROTTLED, f"{no.system} asks for patience", retry_after=wait),
        3: denied(f"{no.system} is elsewhere (HTTP {no.status})", "correct tickets.base_url"),
        4: denied(f"{no.system} refused (HTTP {no.status})", "correct tickets in the configuration"),
        5: Failed(Trouble.SERVER_ERROR, f"{no.system} answered with an error of its own (HTTP {no.status})"),
    }


def page_of(value: object, system: str) -> str:
    """The address of a ticket. Raises Failed for what is none."""
    if not isinstance(value, str) or not value.startswith(("http://", "https://")):
        raise garbled(f"{system}'s answer does not say where the ticket is")
    return value


async def found(look: Callable[[], Awaitable[str]], client: Client, clock: Clock) -> Observation[str]:
    """A look for a ticket. Never raises for what the system did."""
    return await observe(look, system=client.system, clock=clock, limit=LIMITS.overall, event="tickets.unseen")


async def filed(send: Callable[[], Awaitable[str]], client: Client, *, limit: float = _FILE_SECONDS) -> Filing:
    """What became of filing. Never raises for what the system did."""
    system = client.system
    try:
        async with asyncio.timeout(limit):
            url = await send()
    except Failed as failed:
        log.warning("tickets.not_filed", system=system, trouble=failed.trouble.value, detail=failed.detail)
        return Filing(_result(failed), detail=failed.words, retry_after=failed.retry_after)
    except TimeoutError:
        return Filing(FileResult.NOT_KNOWN, detail=f"{system} did not answer within {limit:g} s")
    log.info("tickets.filed", system=system, url=url)
    return Filing(FileResult.FILED, url)


async def ready(look: Callable[[], Awaitable[TicketReadiness]], client: Client) -> TicketReadiness:
    """What a look at rights and settings brought. Never raises for what the system did."""
    fix = f"see whether {client.system} is up"
    try:
        async with asyncio.timeout(LIMITS.overall):
            return await look()
    except Failed as failed:
        return TicketReadiness(is_ready=False, detail=failed.detail, fix=failed.fix or fix)
    except TimeoutError:
        return TicketReadiness(is_ready=False, detail=f"{client.system} did not answer in time", fix=fix)


def _result(failed: Failed) -> FileResult:
    if failed.trouble is Trouble.DENIED:
        return FileResult.REFUSED
    if failed.trouble is Trouble.THROTTLED or not failed.was_sent:
        return FileResult.LATER
    return FileResult.NOT_KNOWN
