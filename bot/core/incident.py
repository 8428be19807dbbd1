"""An incident: one episode in one channel."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Incident:
    """`id` is safe in file names and URLs (`inc-20261121-staging-7f3a`). `closed_at` is None while it is open."""

    id: str
    channel: str
    title: str
    opened_at: datetime
    opened_by: str
    closed_at: datetime | None = None

    @property
    def is_open(self) -> bool:
        return self.closed_at is None
