"""This machine's clock, against the `Date` of those whose times the gate compares with it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import timedelta

from bot.app import stores
from bot.app.wiring import Wiring
from bot.config.models import EcsSection
from bot.config.settings import Config
from bot.core.phrase import duration
from bot.doctor.check import Area, Result
from bot.http.client import Client, Failed, Limits
from bot.ports.clock import Clock

_CLOCK = Area("clock")
_NOTICEABLE = timedelta(seconds=30)
_LIMITS = Limits(connect=5, read=5)
_FIX = "let this machine's clock follow NTP (chrony, systemd-timesyncd)"


async def checks(config: Config, wiring: Wiring) -> list[Result]:
    """Asks each address once, without credentials: every HTTP answer, a refusal too, has a date."""
    addresses = {ci.base_url: f"CI {name}" for name, ci in config.ci.items() if not isinstance(ci, EcsSection)}
    addresses |= await _stores(config, wiring)
    clock, skew = wiring.world.clock, config.policy.clock_skew
    return list(await asyncio.gather(*(_compared(url, name, clock, skew) for url, name in addresses.items() if url)))


async def _stores(config: Config, wiring: Wiring) -> Mapping[str, str]:
    """The addresses of the stores, each once. One that cannot be found out is reported elsewhere."""
    made_with = stores.means(config, wiring.aws, wiring.world.records, wiring.world.clock)
    backends = [stores.opened(settings, made_with).backend for settings in config.states.values()]
    found = await asyncio.gather(*(backend.clock_address() for backend in backends))
    for close in made_with.closing:
        await close()
    return dict(filter(None, found))


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
