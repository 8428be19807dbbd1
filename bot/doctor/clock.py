"""The doctor's look at the clock, against the `Date` of those whose times the gate compares with it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import partial
from urllib.parse import urlsplit

import httpx

from bot.app.adapters import address_of
from bot.aws.clients import AwsClients
from bot.config.models import EcsSection
from bot.config.settings import Config
from bot.core.phrase import duration
from bot.doctor.check import Check, Level
from bot.errors import UpstreamError
from bot.ports.clock import Clock

_NOTICEABLE = timedelta(seconds=30)
_SECONDS = 5.0
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}
_MEND = "let this machine's clock follow NTP (chrony, systemd-timesyncd)"


async def clock_checks(config: Config, clients: AwsClients, clock: Clock) -> list[Check]:
    """Asks each address once, without credentials: every HTTP answer, a refusal too, has a date."""
    addresses = {ci.base_url: f"CI {name}" for name, ci in config.ci.items() if not isinstance(ci, EcsSection)}
    addresses |= await _endpoints(config, clients)
    skew = config.policy.clock_skew
    return list(await asyncio.gather(*(_compared(url, name, clock, skew) for url, name in addresses.items() if url)))


async def _endpoints(config: Config, clients: AwsClients) -> Mapping[str, str]:
    """The addresses of S3, by way of the clients that the bot uses. One that cannot be made is told elsewhere."""
    found = dict[str, str]()
    for access in dict.fromkeys(address_of(settings.backend).access for settings in config.states.values()):
        try:
            await clients.warm([access])
        except UpstreamError:
            continue
        client = await clients.run(partial(clients.client, "s3", access))
        found[str(client.meta.endpoint_url)] = "AWS"
    return found


async def _compared(url: str, name: str, clock: Clock, skew: timedelta) -> Check:
    local = urlsplit(url).hostname in _LOOPBACK
    try:
        async with httpx.AsyncClient(timeout=_SECONDS, trust_env=not local, follow_redirects=False) as client:
            before = clock.now()
            answer = await client.get(url)
            middle = before + (clock.now() - before) / 2
    except (httpx.HTTPError, httpx.InvalidURL):
        return Check("clock", name, Level.WARN, "could not be compared: no answer")
    told = _date(answer)
    if told is None:
        return Check("clock", name, Level.WARN, "could not be compared: the answer has no date")
    # the header has whole seconds, cut off
    return _judged(name, middle - (told + timedelta(seconds=0.5)), skew)


def _date(answer: httpx.Response) -> datetime | None:
    try:
        at = parsedate_to_datetime(answer.headers.get("date", ""))
    except ValueError:
        return None
    return at.replace(tzinfo=at.tzinfo or UTC)


def _judged(name: str, offset: timedelta, skew: timedelta) -> Check:
    off = abs(offset)
    words = f"this machine's clock is {duration(off)} {'ahead' if offset > timedelta(0) else 'behind'}"
    if off > skew:
        return Check("clock", name, Level.FAIL, f"{words}, more than policy.clock_skew ({duration(skew)})", _MEND)
    if off > _NOTICEABLE:
        return Check("clock", name, Level.WARN, words, _MEND)
    return Check("clock", name, Level.OK, f"within {duration(_NOTICEABLE)} of this machine's")
