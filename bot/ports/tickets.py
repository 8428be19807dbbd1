"""Where follow-ups are filed."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from bot.core.account.ticket import Filing, Ticket, TicketReadiness
from bot.core.evidence import Observation


class Tickets(Protocol):
    """Where follow-ups are filed. `system` is its proper name (`GitHub`), `place` the repository or project there.

    None of these systems takes a ticket "once": `find` is what keeps it from being filed twice.
    """

    @property
    def system(self) -> str: ...

    @property
    def place(self) -> str: ...

    async def find(self, marker: str, *, since: datetime) -> Observation[str]:
        """The page of the ticket with this marker, if it was filed since. Open and closed ones are looked at.

        The system may show a ticket some seconds after it took it. An incomplete look is `Unseen`, never `NotFound`.
        """
        ...

    async def file(self, ticket: Ticket) -> Filing:
        """Files a ticket: one request, which is not repeated. Never raises for what the system did."""
        ...

    async def ready(self) -> TicketReadiness:
        """Whether a ticket could be filed. Files and changes nothing."""
        ...

    async def aclose(self) -> None: ...
