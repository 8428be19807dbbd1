"""The configuration: one that has problems never gets this far."""

from __future__ import annotations

from bot.app.wiring import Wiring
from bot.config.settings import Config
from bot.doctor.check import Area, Result

_NAMED = 10


async def checks(config: Config, _: Wiring) -> list[Result]:
    count = len(config.states)
    named = ", ".join(list(config.states)[:_NAMED]) + (f" and {count - _NAMED} more" if count > _NAMED else "")
    understood = f"all of it is understood; {count} state{'' if count == 1 else 's'}: {named}"
    return [Area("config").ok(config.path.name, understood)]
