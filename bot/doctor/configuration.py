"""The configuration: one that has problems never gets this far."""

from __future__ import annotations

from bot.app.wiring import Wiring
from bot.config.settings import Config
from bot.doctor.check import Area, Result

_NAMED = 10


async def checks(config: Config, wiring: Wiring) -> list[Result]:
    area = Area("config")
    found = [_understood(config), *(_of_pattern(name, len(states)) for name, states in wiring.discovery.found.items())]
    fix = "correct the pattern, its store's rights, or the names"
    return [*found, *(area.fail("patterns", problem, fix) for problem in wiring.discovery.problems)]


def _of_pattern(name: str, count: int) -> Result:
    if not count:
        fix = "compare its key with the names in the store"
        return Area("config").warn("patterns", f"{name} means no state that its store lists", fix)
    return Area("config").ok("patterns", f"{name} means {count} state{'' if count == 1 else 's'}")


def _understood(config: Config) -> Result:
    count = len(config.states)
    named = ", ".join(list(config.states)[:_NAMED]) + (f" and {count - _NAMED} more" if count > _NAMED else "")
    understood = f"all of it is understood; {count} state{'' if count == 1 else 's'}: {named}"
    return Area("config").ok(config.path.name, understood)
