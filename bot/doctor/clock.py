"""This machine's clock, against the `Date` of those whose times the gate compares with it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from functools import partial

from bot.app.adapters import address_of
from bot.app.wiring import Wiring
from bot.aws.clients import AwsClients
from bot.config.models import EcsSection
from bot.config.settings import Config
from bot.core.phrase import duration
from bot.doctor.check import Area, Result
from bot.errors import UpstreamError
from bot.http.client import Client, Failed, Limits
from bot.ports.clock import Clock

_CLOCK = Area("clock")
_NOTICEABLE = timedelta(seconds=30)
_LIMITS = Limits(connect=5, read=5)
_FIX = "let this machine's clock follow NTP (chrony, systemd-timesyncd)"


async def checks(config: Config, wiring: Wiring) -> list[Result]:
    """Asks each address once, without credentials: every HTTP answer, a refusal too, has a date."""
    addresses = {ci.base_url: f"CI {name}" for name, ci in config.ci.items() if not isinstance(ci, EcsSection)}
    addresses |= await _endpoints(config, wiring.aws)
    clock, skew = wiring.world.clock, config.policy.clock_skew
    return list(await asyncio.gather(*(_compared(url, name, clock, skew) for url, name in addresses.items() if url)))


async def _endpoints(config: Config, clients: AwsClients) -> Mapping[str, str]:
    """The addresses of S3, by way of the clients that the bot uses. One that cannot be made is reported elsewhere."""
    found = dict[str, str]()
    for access in dict.fromkeys(address_of(settings.backend).access for settings in config.states.values()):
        try:
            await clients.warm([access])
        except UpstreamError:
            continue
        client = await clients.run(partial(clients.client, "s3", access))
        found[str(client.meta.endpoint_url)] = "AWS"
    return found


async def _compared(url: str, name: str, clock: Clock, skew: timedelta) -> Result:
    client = Client(name, url, headers=dict, errors=lambda _: {}, clock=clock, limits=_LIMITS)
    try:
        await client.send("GET", "", name, passing=lambda _: True, tries=1)
    except Failed:
        return _CLOCK.unproven(name, "could not be compared: no answer", "try again")
    finally:
        await client.aclose()
    if client.offset is None:
        return _CLOCK.unproven(name, "could not be compared: the answer has no date")
    # the header has whole seconds, cut off
    return _judged(name, -(client.offset.ahead + timedelta(seconds=0.5)), skew)


def _judged(name: str, offset: timedelta, skew: timedelta) -> Result:
    off = abs(offset)
    words = f"this machine's clock is {duration(off)} {'ahead' if offset > timedelta(0) else 'behind'}"
    if off > skew:
        return _CLOCK.fail(name, f"{words}, more than policy.clock_skew ({duration(skew)})", _FIX)
    if off > _NOTICEABLE:
        return _CLOCK.warn(name, words, _FIX)
    return _CLOCK.ok(name, f"within {duration(_NOTICEABLE)} of this machine's")
