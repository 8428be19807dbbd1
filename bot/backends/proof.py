"""Whether the stores behind endpoints of one's own honour the condition of a delete: tried once, and remembered.

The clouds' own services are known to. Anything else that speaks their language may ignore the condition (`If-Match`,
`ConditionExpression`, `ifGenerationMatch` …), and would then delete a lock that someone has taken since.
"""

from __future__ import annotations

from datetime import timedelta

from bot.core.lock import PlaceProbe
from bot.ports.clock import Clock
from bot.ports.records import Records

KEPT_FOR = timedelta(days=30)
"""After that it is tried again: software behind an address changes."""

_KIND = "conditional-store"


class Proofs:
    """What was tried, in the Records, so that all processes know it. Raises JournalAway as they do."""

    def __init__(self, records: Records, clock: Clock) -> None:
        self._records = records
        self._clock = clock

    async def knows(self, store: str) -> bool:
        return await self._records.get(_KIND, store) is not None

    async def learn(self, store: str, probe: PlaceProbe) -> None:
        """Remembers a store that has passed; forgets one that has not."""
        if probe.is_proven:
            tried = {"at": self._clock.now().isoformat(), "place": probe.place}
            await self._records.put(_KIND, store, tried, ttl=KEPT_FOR)
        elif probe.is_conditional is False:
            await self._records.forget(_KIND, store)
