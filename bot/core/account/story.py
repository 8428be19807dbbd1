"""Makes the account of an incident from its entries, one by one: the one fold that all formats are written from.

Memory grows with locks, runs and corrections, not with the number of entries. Facts of older versions, of exports made
by hand and of hostile size are read as far as they can be, and never raise (`bot.core.record.untrusted`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime

from bot.core.account.followup import earlier, propose
from bot.core.account.marks import Marks
from bot.core.account.participants import Parts
from bot.core.account.samples import Looks
from bot.core.account.spans import Locks, Loops, Runs
from bot.core.account.summary import EMPTY, summarize
from bot.core.account.values import Account, Answer, FollowUp, Kill, LockEnd, Release
from bot.core.gate.stages import UnlockStage
from bot.core.record.incident import Incident
from bot.core.record.revision import Revisions
from bot.core.record.timeline import Entry, Kind
from bot.core.record.untrusted import Facts, count, length, part, rows, says, seconds, text
from bot.core.run import SwitchResult

_MOST = 1_000
"""Of each of releases, kills, answers and follow-ups: more than any incident has."""

_ENDS = {
    UnlockStage.RELEASED: LockEnd.RELEASED,
    UnlockStage.ALREADY_FREE: LockEnd.GONE,
    UnlockStage.HOLDER_CHANGED: LockEnd.REPLACED,
}
"""What an unlock's outcome says of the lock; the other ones leave it open."""


class Story:
    """What the entries learned so far tell. Give it every entry, in the order of the chain, then ask for the account.

    An entry that was made a key moment long after it was recorded may be among `missing`: give it to `recall`, if the
    entries can be read once more, or its mark is not shown.
    """

    def __init__(self, incident: Incident) -> None:
        self._incident = incident
        self._revisions, self._marks, self._parts = Revisions(), Marks(), Parts()
        self._locks, self._runs, self._loops, self._looks = Locks(), Runs(), Loops(), Looks()
        self._releases: list[tuple[Entry, Release]] = []
        self._kills: list[Kill] = []
        self._answers: list[Answer] = []
        self._turned = Counter[str]()
        self._asked: dict[str, Facts] = {}
        self._earlier: dict[str, FollowUp] = {}
        self._tickets: dict[str, str] = {}
        self._intended_at: datetime | None = None
        self._recorded = 0
        self._last: Entry | None = None
        self._by_kind: Mapping[str, Callable[[Entry], None]] = {
            Kind.UNLOCK_RELEASING: self._releasing,
            Kind.UNLOCK_RELEASED: self._released,
            Kind.UNLOCK_FAILED: self._not_released,
            Kind.KILL_REQUESTED: self._kill_asked,
            Kind.KILL_CONFIRMED: self._killed,
            Kind.OWNER_ANSWERED: self._answered,
            Kind.FOLLOWUP_PROPOSED: self._proposed,
            Kind.FOLLOWUP_FILED: self._filed,
        }

    def learn(self, entry: Entry) -> None:
        """Takes the next entry. Never raises for what its facts say."""
        self._recorded, self._last = self._recorded + 1, entry
        self._revisions.learn(entry)
        self._marks.learn(entry)
        self._parts.learn(entry)
        self._sightings(entry)
        self._by_kind.get(entry.kind, _nothing)(entry)

    @property
    def missing(self) -> frozenset[str]:
        """Ids of key moments whose entries lie too far back to be remembered."""
        return self._marks.missing

    def recall(self, entry: Entry) -> None:
        """Takes an entry that is `missing`, once more; every other one is passed over."""
        self._marks.recall(entry)

    def account(self, *, now: datetime, names: Mapping[str, str], zone: str = "UTC") -> Account:
        """Everything told so far. Raises ValueError if there was no entry at all: no incident is without one."""
        if self._last is None:
            raise ValueError("an incident without entries")
        bare = Account(
            incident=self._incident, now=now, last=self._last, recorded=self._recorded,
            edited=self._revisions.edited, hidden=self._revisions.hidden, summary=EMPTY,
            locks=self._locks.spans(), runs=self._runs.spans(), loops=self._loops.spans(),
            samples=self._looks.samples, tables=self._looks.tables, digests=self._looks.digests,
            releases=self._as_corrected(), kills=tuple(self._kills), answers=tuple(self._answers),
            turned_away=dict(self._turned),
            marks=self._marks.shown(self._revisions), key_moments=self._revisions.key_moments,
            names=dict(names), zone=zone,
        )  # fmt: skip
        account = replace(bare, summary=summarize(bare, self._parts.shown))
        return replace(account, followups=self._followups(account))

    def _sightings(self, entry: Entry) -> None:
        """What the entry tells of a look at a state, whatever its kind."""
        facts, evidence = entry.facts, part(entry.facts, "evidence")
        if "seen" in facts:
            self._locks.sees(text(facts, "state"), part(facts, "seen"), entry.at)
        if evidence:
            self._evidence(facts, evidence, entry.at)

    def _evidence(self, facts: Facts, evidence: Facts, at: datetime) -> None:
        state, holder = text(evidence, "state") or text(facts, "state"), part(evidence, "holder")
        lock_id = text(evidence, "lock_id") or text(facts, "lock_id")
        self._locks.sees(state, part(evidence, "lock"), at)
        self._locks.belongs(state, lock_id, part(evidence, "owner"), human_held=_human_held(facts))
        self._runs.hold(state, lock_id, holder, at)
        self._runs.contend(state, evidence, at)
        for told in rows(evidence, "loops"):
            self._loops.sees(state, told, at)
        for told in rows(part(evidence, "crowd"), "loops"):
            self._loops.sees(text(told, "state") or state, told, at)
        self._looks.take(state, evidence, at)

    def _releasing(self, entry: Entry) -> None:
        self._locks.is_told(text(entry.facts, "state"), part(entry.facts, "lock"), entry.at)
        self._intended_at = entry.at

    def _released(self, entry: Entry) -> None:
        facts, at = entry.facts, entry.at
        state, lock_id = text(facts, "state"), text(facts, "lock_id")
        self._turned_away(entry)
        self._locks.ends(state, lock_id, at, LockEnd.RELEASED)
        if len(self._releases) < _MOST:
            release = Release(
                state=state, lock_id=lock_id, at=at, actor=entry.actor, approver=text(facts, "approver"),
                tries=count(facts, "tries") or 0, throttled=count(facts, "throttled") or 0,
                took=seconds(facts, "took_seconds"),
            )  # fmt: skip
            self._releases.append((replace(entry, text="", facts={}), release))

    def _turned_away(self, entry: Entry) -> None:
        """The tries to release that the table refused came between the intent and the outcome."""
        if count(entry.facts, "throttled"):
            self._looks.refused(text(entry.facts, "state"), self._intended_at or entry.at)
            state = text(entry.facts, "state")
            if state in self._turned or len(self._turned) < _MOST:
                self._turned[state] += count(entry.facts, "throttled") or 0
        self._intended_at = None

    def _not_released(self, entry: Entry) -> None:
        facts, outcome = entry.facts, text(entry.facts, "outcome")
        self._turned_away(entry)
        end = _ENDS.get(UnlockStage(outcome)) if outcome in set(UnlockStage) else None
        if end is not None:
            self._locks.ends(text(facts, "state"), text(facts, "lock_id"), entry.at, end)

    def _kill_asked(self, entry: Entry) -> None:
        facts = entry.facts
        if text(facts, "request") and len(self._asked) < _MOST:
            wanted = {"state": text(facts, "state"), "stop_source": says(facts, "stop_source")}
            self._asked[text(facts, "request")] = wanted
        if part(facts, "loop"):
            self._loops.sees(text(facts, "state"), part(facts, "loop"), entry.at)
        self._runs.are_read(text(facts, "state"), rows(facts, "runs"), entry.at)

    def _killed(self, entry: Entry) -> None:
        facts, asked = entry.facts, self._asked.get(text(entry.facts, "request"), {})
        if says(facts, "restarted"):
            return
        runs, state = rows(facts, "runs"), text(facts, "state") or text(asked, "state")
        pipeline = text(facts, "pipeline") or next((text(run, "pipeline") for run in runs), "")
        ended, switched = says(facts, "ended"), text(facts, "switched")
        stopped = switched == SwitchResult.DONE or ("switched" not in facts and says(asked, "stop_source"))
        self._runs.are_read(state, runs, entry.at)
        if ended and stopped:
            self._loops.stops(pipeline, entry.at)
        if len(self._kills) < _MOST:
            number = count(facts, "count")
            number = length(facts, "runs") if number is None else number
            self._kills.append(Kill(entry.at, entry.actor, pipeline, number, ended=ended, stopped=stopped))

    def _answered(self, entry: Entry) -> None:
        if len(self._answers) < _MOST:
            facts = entry.facts
            self._answers.append(Answer(entry.at, text(facts, "state"), entry.actor, text(facts, "says")))

    def _proposed(self, entry: Entry) -> None:
        told = earlier(entry.facts)
        if told is not None and (told.key in self._earlier or len(self._earlier) < _MOST):
            self._earlier[told.key] = told

    def _filed(self, entry: Entry) -> None:
        key, url = text(entry.facts, "key"), text(entry.facts, "url", 2_000)
        if key and url and (key in self._tickets or len(self._tickets) < _MOST):
            self._tickets[key] = url

    def _as_corrected(self) -> tuple[Release, ...]:
        moved = ((self._revisions.seen(entry).entry.at, release) for entry, release in self._releases)
        return tuple(sorted((replace(release, at=at) for at, release in moved), key=lambda release: release.at))

    def _followups(self, account: Account) -> tuple[FollowUp, ...]:
        """What the facts call for, then what was proposed earlier and is not called for any more; with tickets."""
        now = {followup.key: followup for followup in propose(account)}
        return tuple(
            replace(followup, ticket=self._tickets.get(key) or followup.ticket)
            for key, followup in {**now, **{key: told for key, told in self._earlier.items() if key not in now}}.items()
        )


def _human_held(facts: Facts) -> bool:
    """Whether the gate found nothing that shows a CI to hold the lock."""
    findings = rows(part(facts, "verdict"), "findings")
    return any(text(finding, "rule") == "human-held" and text(finding, "effect") != "holds" for finding in findings)


def _nothing(_: Entry) -> None:
    """Most kinds tell of no lock and no run."""
