"""The ticket system: are the credentials good, and may issues be created there."""

from __future__ import annotations

from bot.app.wiring import Wiring
from bot.config.settings import Config
from bot.doctor.check import Level, Result


async def checks(_: Config, wiring: Wiring) -> list[Result]:
    """Reads rights and settings; nothing is filed. An unlock needs no tickets, so that nothing here is a failure."""
    tickets = wiring.world.tickets
    if tickets is None:
        return []
    seen = await tickets.ready()
    level = Level.OK if seen.is_ready else Level.WARN
    return [Result("tickets", f"{tickets.system} {tickets.place}", level, seen.detail, seen.fix)]
