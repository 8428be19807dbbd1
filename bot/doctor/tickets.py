"""The doctor's look at the ticket system: are the credentials good, and may issues be created there."""

from __future__ import annotations

from bot.doctor.check import Check, Level
from bot.ports.tickets import Tickets


async def ticket_checks(tickets: Tickets | None) -> list[Check]:
    """Reads rights and settings; nothing is filed. An unlock needs no tickets, so that nothing here is a failure."""
    if tickets is None:
        return []
    seen = await tickets.ready()
    level = Level.OK if seen.is_ready else Level.WARN
    return [Check("tickets", f"{tickets.system} {tickets.place}", level, seen.detail, seen.mend)]
