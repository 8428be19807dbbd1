"""Work that must survive a restart."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol


class Jobs(Protocol):
    """Work that must survive a restart. Arguments are plain strings; a key that is known already adds nothing."""

    async def start(self, name: str, *args: str, key: str, at: datetime | None = None) -> None:
        """Raises JournalAway if the queue cannot take it."""
        ...
