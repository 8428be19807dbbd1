"""What people are shown, as values. The use cases make them, `slack.render` and the command line put them in words."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from bot.core.gate.case import Verdict
from bot.core.gate.inspection import Inspection, StateName
from bot.core.lock import LockSeen
from bot.core.people import OwnerAnswer, Standing
from bot.core.phrase import Phrase
from bot.core.record.incident import Incident
from bot.core.record.revision import ShownEntry
from bot.core.reports.button import ButtonValue
from bot.core.reports.in_flight import RequestInFlight


@dataclass(frozen=True, slots=True)
class StatusReport:
    """`verdict` is what an unlock by the asker would meet; None if there is no lock to speak of.

    `journal_trouble` says why the timeline cannot be used: then reading works and unlocking does not. `waiting`
    counts the people who want to hear when it is free. `requests` are those in flight for the state. `standing` is the
    asker's, and `incident` the one that it was asked in, as they were seen for this answer.
    """

    inspection: Inspection
    verdict: Verdict | None
    answer: OwnerAnswer | None = None
    journal_trouble: str = ""
    waiting: int = 0
    requests: tuple[RequestInFlight, ...] = ()
    standing: Standing | None = None
    incident: str = ""


@dataclass(frozen=True, slots=True)
class Checklist:
    """Every check of a decision with what it found. `verdict` is None if there is no lock to speak of."""

    inspection: Inspection
    verdict: Verdict | None
    answer: OwnerAnswer | None = None


@dataclass(frozen=True, slots=True)
class Overview:
    """All states at a glance, in the order of the configuration."""

    states: tuple[tuple[StateName, LockSeen], ...]
    at: datetime
    journal_trouble: str = ""


@dataclass(frozen=True, slots=True)
class TimelineReport:
    """One page of an incident's timeline: what is to be shown of it, in the order in which it was recorded.

    `total` counts all entries that were recorded, `corrections` those that correct others and are not shown themselves;
    `hidden` are the ids of all that are hidden. `older` is the entry before which the next older page ends, `newer` the
    one behind which the next newer page begins; None where there is none. `size` is how many entries a page has.
    """

    incident: Incident
    shown: tuple[ShownEntry, ...]
    total: int
    hidden: tuple[str, ...]
    size: int
    older: str | None = None
    newer: str | None = None
    corrections: int = 0


@dataclass(frozen=True, slots=True)
class Corrected:
    """What a correction made of an entry. With `changed` False it was so already, and nothing was written down."""

    incident: Incident
    before: ShownEntry
    after: ShownEntry
    is_hidden: bool
    changed: bool


@dataclass(frozen=True, slots=True)
class Offer:
    """A button below a notice: its words, and what it does."""

    label: str
    action: str
    value: ButtonValue


REVIEW = "incident.review"
"""The button that asks for what only people know of an incident, and its dialog."""


def review_offer(incident: str) -> Offer:
    return Offer("Add impact and review notes", REVIEW, ButtonValue("", "", incident))


@dataclass(frozen=True, slots=True)
class Notice:
    """A short answer in words: what happened, whether anything was changed, what to do next."""

    headline: str
    lines: tuple[Phrase, ...] = field(default_factory=tuple)
    reference: str = ""
    offers: tuple[Offer, ...] = ()
