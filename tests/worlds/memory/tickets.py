"""A ticket system in memory, beside `tests.worlds.memory.memory`."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from bot.core.account.ticket import FileResult, Filing, Ticket, TicketReadiness
from bot.core.evidence import Found, NotFound, Observation, Unseen
from bot.ports.clock import Clock
from tests.worlds.memory.memory import Switchboard


@dataclass
class MemoryTickets:
    """`bot.ports.tickets.Tickets`. `filed` are the tickets in order, with the instant.

    The next filings come to `answers`, and take the ticket all the same where that says NOT_KNOWN and `takes` is set.
    `trouble` is what every look meets while it is set. What was filed can be found `lag` later.
    """

    clock: Clock
    switchboard: Switchboard = field(default_factory=Switchboard)
    filed: list[tuple[datetime, Ticket]] = field(default_factory=list)
    answers: list[Filing] = field(default_factory=list)
    takes: bool = True
    trouble: Unseen | None = None
    lag: timedelta = timedelta(0)
    system: str = "Memory"
    place: str = "acme/infra"

    async def find(self, marker: str, *, since: datetime) -> Observation[str]:
        await self.switchboard.pass_through("find ticket")
        now = self.clock.now()
        if self.trouble is not None:
            return self.trouble
        for number, (at, ticket) in enumerate(self.filed, 1):
            if ticket.marker == marker and since <= at <= now - self.lag:
                return Found(self._url(number), now)
        return NotFound(self.system, "no such ticket", now)

    async def file(self, ticket: Ticket) -> Filing:
        await self.switchboard.pass_through("file ticket")
        answer = self.answers.pop(0) if self.answers else None
        if answer is None or (answer.result is FileResult.NOT_KNOWN and self.takes):
            self.filed.append((self.clock.now(), ticket))
        await self.switchboard.pass_through("filed ticket")
        return answer or Filing(FileResult.FILED, self._url(len(self.filed)))

    async def ready(self) -> TicketReadiness:
        return TicketReadiness(is_ready=True, detail=f"{self.place} takes issues")

    async def aclose(self) -> None:
        """Nothing is open."""

    def _url(self, number: int) -> str:
        return f"https://tickets.example.com/{self.place}/{number}"
