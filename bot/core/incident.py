"""An incident: one episode in one channel."""

from __future__ import annotations

import random
import re
import unicodedata
from dataclasses import dataclass
from datetime import UTC, datetime

_TAIL_LETTERS = "23456789abcdefghjkmnpqrstuvwxyz"
"""Without those that are taken for one another when read out."""


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


def incident_id(title: str, at: datetime, rng: random.Random) -> str:
    """A new id: the day in UTC, the title's first letters and digits, five random letters.

    Safe in file names, URLs and Redis keys whatever the title says.
    """
    bare = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    slug = "-".join(re.findall(r"[a-z0-9]+", bare))[:24].strip("-") or "incident"
    tail = "".join(rng.choices(_TAIL_LETTERS, k=5))
    return f"inc-{at.astimezone(UTC):%Y%m%d}-{slug}-{tail}"
