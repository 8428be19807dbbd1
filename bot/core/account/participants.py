"""Who took part in an incident, and what each did."""

from __future__ import annotations

from dataclasses import dataclass, field

from bot.core.account.values import Participant
from bot.core.people import BOT
from bot.core.record.facts import Facts, KillConfirmed
from bot.core.record.kinds import meaning_of
from bot.core.record.timeline import Entry

_MOST_PEOPLE = 2_000

_OUTCOMES = {"asked to kill": "killed", "tried to kill": "killed", "confirmed": "unlocked"}
"""Words that say no more once the other one is there."""


@dataclass(slots=True)
class Participants:
    """By actor, in the order in which they first did something. Grows with people."""

    _entries: dict[str, int] = field(default_factory=dict)
    _did: dict[str, dict[str, None]] = field(default_factory=dict)

    def learn(self, entry: Entry, facts: Facts | None) -> None:
        actor = entry.actor
        if actor == BOT or not actor or (actor not in self._did and len(self._did) >= _MOST_PEOPLE):
            return
        self._entries[actor] = self._entries.get(actor, 0) + 1
        did = self._did.setdefault(actor, {})
        word = _word(entry, facts)
        if word:
            did.setdefault(word)

    @property
    def shown(self) -> tuple[Participant, ...]:
        """Without the words whose outcome is among them."""
        return tuple(
            Participant(actor, self._entries[actor], tuple(word for word in did if _OUTCOMES.get(word) not in did))
            for actor, did in self._did.items()
        )


def _word(entry: Entry, facts: Facts | None) -> str:
    """In short what the entry says its actor did; empty if it is nothing worth a word."""
    match facts:
        case KillConfirmed(restarted=True):
            return "restarted"
        case KillConfirmed(ended=False):
            return "tried to kill"
        case _:
            return meaning_of(entry.kind).did
