"""An incident: one episode in one channel."""

from __future__ import annotations

import random
import re
import unicodedata
from dataclasses import dataclass
from datetime import UTC, datetime

from bot.core.record.facts import IncidentOpened, IncidentRenamed, facts_of
from bot.core.record.timeline import GENESIS, Entry, Kind, check, check_place
from bot.errors import ChainBroken

_TAIL_LETTERS = "23456789abcdefghjkmnpqrstuvwxyz"
"""Without those that are taken for one another when read out."""

_SAFE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


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


def is_safe_id(text: str) -> bool:
    """Whether a text from elsewhere can be an incident's id: in file names, URLs and Redis keys it means no other."""
    return _SAFE_ID.fullmatch(text) is not None


@dataclass(slots=True)
class Course:
    """What the entries learned so far, one by one and in order, say of the incident itself.

    `life` counts its openings. Memory does not grow with the entries.
    """

    hash: str = GENESIS
    count: int = 0
    life: int = 0
    title: str = ""
    opening: Entry | None = None
    closing: Entry | None = None
    last: Entry | None = None

    def learn(self, entry: Entry, *, redacted: bool = False) -> None:
        """Raises ChainBroken for an entry that does not follow the one before it, or says something else.

        Of a `redacted` one only the place is checked: its words are not those that its hash covers.
        """
        if entry.id != str(self.count + 1):
            raise ChainBroken(entry.id, f"is at place {self.count + 1}")
        verified = check_place if redacted else check
        self.hash, self.count, self.last = verified(entry, prev=self.hash), self.count + 1, entry
        facts = facts_of(entry) if entry.kind in {Kind.INCIDENT_OPENED, Kind.INCIDENT_RENAMED} else None
        if self.count == 1:
            self.opening, self.life = entry, 1
            self.title = facts.title if isinstance(facts, IncidentOpened) else ""
        elif isinstance(facts, IncidentRenamed):
            self.title = facts.title
        elif entry.kind == Kind.INCIDENT_CLOSED:
            self.closing = entry
        elif entry.kind == Kind.INCIDENT_REOPENED:
            self.closing, self.life = None, self.life + 1

    def agree(self, incident: Incident) -> None:
        """Raises ChainBroken unless the incident is the one of these entries."""
        first = self.opening
        facts = None if first is None else facts_of(first)
        if first is None or not isinstance(facts, IncidentOpened):
            raise ChainBroken("1", "does not open an incident")
        opened = (incident.id, incident.channel, incident.opened_by, incident.opened_at)
        if opened != (facts.incident, facts.channel, first.actor, first.at):
            raise ChainBroken("1", "does not open the incident that the export names")
        if incident.title != self.title:
            raise ChainBroken(str(self.count), "the incident and its entries differ on the title")
        if incident.closed_at != (self.closing.at if self.closing else None):
            raise ChainBroken(str(self.count), "the incident and its entries differ on the closing")


def opening_key(life: int) -> str:
    """The idempotency key of the entry that began the incident's first, second, … life."""
    return "opened" if life == 1 else f"reopened:{life}"


def closing_key(life: int) -> str:
    """The idempotency key of the entry that ended it. The first one's is older than the others."""
    return "closed" if life == 1 else f"closed:{life}"
