"""A request that is being carried out or waits for someone, as a value: what, whose, and where its message is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from bot.core.people import BOT
from bot.core.phrase import Linked, Person, Phrase


class Flight(StrEnum):
    """How far a request in flight has come, in the words that people read."""

    APPROVAL = "waiting for approval"
    ARMED = "armed"
    CONFIRMED = "confirmed"
    RELEASING = "releasing"
    FINISHING = "finishing"
    CANCELLING = "ending runs"


@dataclass(frozen=True, slots=True)
class RequestInFlight:
    """One such request. `link` is empty where Slack did not give the message's address."""

    id: str
    state: str
    lock_id: str
    is_unlock: bool
    flight: Flight
    by: str
    since: datetime
    link: str = ""


def in_flight_words(found: RequestInFlight) -> Phrase:
    """As a sentence: what, how far, whose, since when, and the link."""
    kind = "unlock" if found.is_unlock else "kill-job"
    what = f"{kind} of {found.state}" if found.state else kind
    whose: Phrase = ("asked by nobody (auto_release)",) if found.by == BOT else ("by ", Person(found.by, ""))
    there: Phrase = (": ", Linked("its message", found.link)) if found.link else ()
    return (f"{what}: {found.flight}, ", *whose, " at ", found.since, *there, ".")
