"""The configuration: one that has problems never gets this far."""

from __future__ import annotations

from bot.app.discovery import Discovery
from bot.app.wiring import Wiring
from bot.config.settings import Config
from bot.doctor.check import Area, Level, Result

_NAMED = 10


async def checks(config: Config, wiring: Wiring) -> list[Result]:
    area = Area("config")
    discovery = wiring.discovery
    patterns = [_of_pattern(discovery, name, len(states)) for name, states in discovery.found.items()]
    fix = "correct the pattern, or the names"
    left_out = [area.fail("patterns", problem, fix) for problem in discovery.left_out]
    return [_understood(config), *patterns, *left_out]


def _of_pattern(discovery: Discovery, name: str, count: int) -> Result:
    not_listed = discovery.unlisted.get(name)
    if not_listed is not None:
        fix = "correct the pattern, or its store's rights"
        return Area("config").unanswered(
            "patterns", not_listed.trouble, not_listed.problem, fix, otherwise=Level.FAIL, essential=True
        )
    if not count:
        fix = "compare its key with the names in the store"
        return Area("config").warn("patterns", f"{name} means no state that its store lists", fix)
    return Area("config").ok("patterns", f"{name} means {count} state{'' if count == 1 else 's'}")


def _understood(config: Config) -> Result:
    count = len(config.states)
    named = ", ".join(list(config.states)[:_NAMED]) + (f" and {count - _NAMED} more" if count > _NAMED else "")
    understood = f"all of it is understood; {count} state{'' if count == 1 else 's'}: {named}"
    return Area("config").ok(config.path.name, understood)
