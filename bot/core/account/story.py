"""Makes the account of an incident from its entries, one by one: the one fold that all formats are written from.

Memory grows with locks, runs and corrections, not with the number of entries. Whatever the facts of an entry say,
nothing here raises: what cannot be read of them is not there (`bot.core.codec`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from bot.core.account.marks import Marks
from bot.core.account.participants import Participants
from bot.core.account.proposals import earlier, propose
from bot.core.account.samples import Samples
from bot.core.account.spans import Locks, Loops, Runs
from bot.core.account.summary import EMPTY, summarize
from bot.core.account.values import Account, FollowUp, Kill, LockEnd, Release, Reply
from bot.core.codec import Omitted
from bot.core.gate.case import Rule
from bot.core.gate.stages import UnlockStage
from bot.core.hold import OPERATION
from bot.core.record.evidence import Evidence
from bot.core.record.facts import (
    Facts,
    FollowUpFiled,
    FollowUpProposed,
    GateDecided,
    HoldEnded,
    HoldPlaced,
    KillConfirmed,
    KillRequested,
    LockObserved,
    NoteAdded,
    OwnerAnswered,
    RecoveryLooked,
    UnlockFailed,
    UnlockReleased,
    UnlockReleasing,
    facts_of,
)
from bot.core.record.incident import Incident
from bot.core.record.revision import Revisions
from bot.core.record.timeline import Entry
from bot.core.run import SwitchResult

_MOST = 1_000
"""Of each of releases, kills, replies and follow-ups: more than any incident has."""

_ABOUT = ("impact", "review")
"""What the closing dialog asks for: the last note of each is a part of the record."""

_ENDS: Mapping[str, LockEnd] = {
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
        self._revisions, self._marks, self._participants = Revisions(), Marks(), Participants()
        self._locks, self._runs, self._loops, self._samples = Locks(), Runs(), Loops(), Samples()
        self._releases: list[tuple[Entry, Release]] = []
        self._kills: list[Kill] = []
        self._replies: list[Reply] = []
        self._turned = Counter[str]()
        self._asked: dict[str, tuple[str, bool]] = {}
        self._earlier: dict[str, FollowUp] = {}
        self._tickets: dict[str, str] = {}
        self._noted: dict[str, Entry] = {}
        self._recoveries: dict[str, RecoveryLooked] = {}
        self._on_hold: set[str] = set()
        self._intended_at: datetime | None = None
        self._recorded = 0
        self._last: Entry | None = None

    def learn(self, entry: Entry) -> None:
        """Takes the next entry. Never raises for what its facts say."""
        facts = facts_of(entry)
        self._recorded, self._last = self._recorded + 1, entry
        self._revisions.learn(entry)
        self._marks.learn(entry, facts)
        self._participants.learn(entry, facts)
        self._locks_and_runs(facts, entry)
        self._holds(facts)
        self._people(facts, entry)

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
            samples=self._samples.shown, tables=self._samples.tables, digests=self._samples.digests,
            releases=self._as_corrected(), kills=tuple(self._kills), replies=tuple(self._replies),
            turned_away=dict(self._turned), recoveries=tuple(self._recoveries.values()),
            on_hold=frozenset(self._on_hold),
            marks=self._marks.shown(self._revisions), key_moments=self._revisions.key_moments,
            impact=self._said("impact"), review=self._said("review"), names=dict(names), zone=zone,
        )  # fmt: skip
        account = replace(bare, summary=summarize(bare, self._participants.shown))
        return replace(account, followups=self._followups(account))

    def _locks_and_runs(self, facts: Facts | None, entry: Entry) -> None:
        match facts:
            case LockObserved():
                self._locks.sees(facts.state, facts.seen, entry.at)
            case GateDecided(evidence=Evidence() as evidence):
                self._decided(facts, evidence, entry.at)
            case UnlockReleasing():
                self._locks.stands(facts.state, facts.lock, entry.at)
                self._intended_at = entry.at
            case UnlockReleased():
                self._released(facts, entry)
            case UnlockFailed():
                self._turned_away(facts, entry.at)
                if end := _ENDS.get(facts.outcome):
                    self._locks.ends(facts.state, facts.lock_id, entry.at, end)
            case KillRequested():
                self._kill_asked(facts, entry.at)
            case KillConfirmed(restarted=False):
                self._killed(facts, entry)

    def _holds(self, facts: Facts | None) -> None:
        match facts:
            case HoldPlaced(state=state) if len(self._on_hold) < _MOST:
                self._on_hold.add(state)
            case HoldEnded(state=state):
                self._on_hold.discard(state)

    def _people(self, facts: Facts | None, entry: Entry) -> None:
        match facts:
            case OwnerAnswered():
                if len(self._replies) < _MOST:
                    self._replies.append(Reply(entry.at, facts.state, entry.actor, facts.says))
            case FollowUpProposed(key=key):
                followup = earlier(facts)
                if followup is not None and (key in self._earlier or len(self._earlier) < _MOST):
                    self._earlier[key] = followup
            case NoteAdded(about=about) if about in _ABOUT:
                self._noted[about] = entry
            case RecoveryLooked(state=state, compared=True):
                if state in self._recoveries or len(self._recoveries) < _MOST:
                    self._recoveries[state] = facts
            case FollowUpFiled(key=key, url=url):
                if key and url and (key in self._tickets or len(self._tickets) < _MOST):
                    self._tickets[key] = url

    def _decided(self, facts: GateDecided, evidence: Evidence, at: datetime) -> None:
        state, lock_id = evidence.state or facts.state, evidence.lock_id or facts.lock_id
        findings = facts.verdict.findings if facts.verdict is not None else ()
        on_hold = any(lock.id == lock_id and lock.operation == OPERATION for lock in evidence.lock.locks)
        human_held = not on_hold and any(
            found.rule == Rule.HUMAN_HELD and found.effect != "holds" for found in findings
        )
        self._locks.sees(state, evidence.lock, at)
        self._locks.belongs(state, lock_id, evidence.owner, human_held=human_held)
        self._runs.hold(state, lock_id, evidence.holder, at)
        self._runs.contend(state, evidence, at)
        for loop in (*evidence.loops, *(evidence.crowd.loops if evidence.crowd is not None else ())):
            self._loops.sees(loop.state or state, loop, at)
        self._samples.take(state, evidence, at)

    def _released(self, facts: UnlockReleased, entry: Entry) -> None:
        self._turned_away(facts, entry.at)
        self._locks.ends(facts.state, facts.lock_id, entry.at, LockEnd.RELEASED)
        if len(self._releases) < _MOST:
            release = Release(
                state=facts.state, lock_id=facts.lock_id, at=entry.at, actor=entry.actor,
                approver=facts.approver or "", tries=facts.tries or 0, throttled=facts.throttled or 0, took=facts.took,
            )  # fmt: skip
            self._releases.append((replace(entry, text="", facts={}), release))

    def _turned_away(self, facts: UnlockReleased | UnlockFailed, at: datetime) -> None:
        """The tries to release that the table refused came between the intent and the outcome."""
        if facts.throttled:
            self._samples.refused(facts.state, self._intended_at or at)
            if facts.state in self._turned or len(self._turned) < _MOST:
                self._turned[facts.state] += facts.throttled
        self._intended_at = None

    def _kill_asked(self, facts: KillRequested, at: datetime) -> None:
        if facts.request and len(self._asked) < _MOST:
            self._asked[facts.request] = facts.state, facts.stop_source
        if facts.loop is not None:
            self._loops.sees(facts.state, facts.loop, at)
        self._runs.are_read(facts.state, facts.runs, at)

    def _killed(self, facts: KillConfirmed, entry: Entry) -> None:
        asked_of, stop_source = self._asked.get(facts.request, ("", False))
        runs, ended = facts.runs or (), facts.ended is True
        pipeline = facts.pipeline or next((run.pipeline for run in runs), "")
        # the first version did not say what was switched: there it is what was asked for
        stopped = stop_source if facts.switched is Omitted.ABSENT else facts.switched == SwitchResult.DONE
        self._runs.are_read(facts.state or asked_of, runs, entry.at)
        if ended and stopped:
            self._loops.stops(pipeline, entry.at)
        if len(self._kills) < _MOST:
            number = len(runs) if facts.count is None else facts.count
            self._kills.append(Kill(entry.at, entry.actor, pipeline, number, ended=ended, stopped=stopped))

    def _as_corrected(self) -> tuple[Release, ...]:
        moved = (replace(release, at=self._revisions.seen(entry).entry.at) for entry, release in self._releases)
        return tuple(sorted(moved, key=lambda release: release.at))

    def _said(self, about: str) -> str:
        """The last note about it as it is to be shown; empty if there is none, or it is hidden."""
        shown = self._revisions.shown(self._noted[about]) if about in self._noted else None
        return "" if shown is None else shown.entry.text

    def _followups(self, account: Account) -> tuple[FollowUp, ...]:
        """What the facts call for, then what was proposed earlier and is not called for any more; with tickets."""
        now = {followup.key: followup for followup in propose(account)}
        return tuple(
            replace(followup, ticket=self._tickets.get(key))
            for key, followup in (now | {key: one for key, one in self._earlier.items() if key not in now}).items()
        )
