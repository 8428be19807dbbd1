"""Stores that nobody has to try first."""

from __future__ import annotations

from bot.backends.proof import Proofs
from bot.core.lock import PlaceProbe


class Trusted(Proofs):
    """moto is known to honour conditions: with this, a test's calls are those that it is about."""

    def __init__(self) -> None:
        pass

    async def knows(self, store: str) -> bool:
        return bool(store)

    async def learn(self, store: str, probe: PlaceProbe) -> None:
        pass
