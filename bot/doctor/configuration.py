"""The configuration: one that has problems never gets this far."""

from __future__ import annotations

from bot.app.wiring import Wiring
from bot.config.settings import Config
from bot.doctor.check import Area, Result


async def checks(config: Config, _: Wiring) -> list[Result]:
    understood = f"all of it is understood; states: {', '.join(config.states)}"
    return [Area("config").ok(config.path.name, understood)]
