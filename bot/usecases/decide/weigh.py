"""Brings together all evidence for one decision about one lock, and decides."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime

from bot.core.evidence import NotFound, Observation, Trouble, Unseen
from bot.core.gate.attribution import Attribution
from bot.core.gate.case import Case, Verdict
from bot.core.gate.decide import RULES, Table, decide
from bot.core.gate.eligibility import why_not_eligible
from bot.core.gate.inspection import Inspection
from bot.core.people import BOT, Approval, Automatic, OwnerAnswer, Standing
from bot.core.record.evidence import Evidence, VerdictFacts, verdict_words
from bot.core.record.facts import GateDecided, draft_of
from bot.core.record.timeline import Draft
from bot.core.reports.unlock import UnlockRequest
from bot.usecases.decide.automatic import automatic
from bot.usecases.decide.inspect import inspect
from bot.usecases.decide.owner import answer_about, started_by
from bot.usecases.world import State, World

_NOBODY = Attribution(None, (), ("there is no lock",))
_PASSING = frozenset({Trouble.THROTTLED, Trouble.TIMED_OUT, Trouble.SERVER_ERROR, Trouble.NO_CONNECTION})


@dataclass(frozen=True, slots=True)
class Decision:
    """A verdict with everything that it rests on: on the `case`, the gate decides again at any later time."""

    inspection: Inspection
    verdict: Verdict
    answer: OwnerAnswer | None
    case: Case

    @property
    def is_free(self) -> bool:
        """Whether there is no lock at all, and both places were read."""
        return self.inspection.seen.is_free

    def is_gone(self, lock_id: str) -> bool:
        """Whether every place was read, and none holds this lock: not even one that cannot be distinguished from it."""
        seen = self.inspection.seen
        return not seen.unseen and not seen.garbage and all(info.id != lock_id for info in seen.locks)

    @property
    def store_is_busy(self) -> bool:
        """Whether the store that holds the lock could not be read for a reason that passes: then asking again helps."""
        unread: list[Observation[object]] = [seen for _, seen in self.inspection.seen.unseen]
        unread.append(self.inspection.check.state)
        troubles = [seen.trouble for seen in unread if isinstance(seen, Unseen)]
        return bool(troubles) and all(trouble in _PASSING for trouble in troubles)

    @property
    def store_trouble(self) -> NotFound | Unseen | None:
        """What the store said, if it could not be read."""
        for _, seen in self.inspection.seen.unseen:
            return seen
        state = self.inspection.check.state
        return state if isinstance(state, Unseen) else None


@dataclass(frozen=True, slots=True)
class Consent:
    """A second person's click on "approve", as it was written down. `covers` are the rules that wanted it then."""

    user: str
    lock_id: str
    at: datetime
    covers: frozenset[str] = frozenset()


async def weigh(
    world: World,
    state: State,
    *,
    lock_id: str | None,
    user: str,
    channel: str,
    consent: Consent | None = None,
    dry_run: bool = False,
) -> Decision:
    """Looks at everything afresh and decides on the lock (the one that is there, if `lock_id` is None).

    Where only a try to lock the state shows its lock, one is made if someone who may unlock asks; not for a dry run.
    The standing of a second person who consented is looked up again with the rest. The `user` may be `BOT`: nobody.
    Raises JournalAway: without the owner's answer there is no decision.
    """
    may_try = not (state.backend.can.shows_lock or dry_run) and await _is_eligible(world, user, channel)
    inspection, standing, approval, answer = await asyncio.gather(
        inspect(world, state, lock_id=lock_id, by_trying=may_try),
        _standing(world, user, channel),
        approval_of(world, state.name.name, consent, channel),
        # what is answered while the rest is being looked at is heard before anything is deleted
        _answer(world, state, lock_id),
    )
    standing_there = "" if inspection.lock is None else inspection.lock.id
    meant = standing_there if lock_id is None else lock_id
    if lock_id is None:
        answer = await _answer(world, state, meant)
    requester = standing or await automatic(world, state.name.name, meant)
    return conclude(world, inspection, requester, meant, answer, approval)


async def _answer(world: World, state: State, lock_id: str | None) -> OwnerAnswer | None:
    return await answer_about(world, state.name.name, lock_id) if lock_id else None


async def _standing(world: World, user: str, channel: str) -> Standing | None:
    return None if user == BOT else await world.standing(user, channel)


async def _is_eligible(world: World, user: str, channel: str) -> bool:
    standing = await _standing(world, user, channel)
    return standing is not None and why_not_eligible(standing, world.policy) is None


def conclude(
    world: World,
    inspection: Inspection,
    requester: Standing | Automatic,
    lock_id: str,
    answer: OwnerAnswer | None,
    approval: Approval | None = None,
    *,
    table: Table = RULES,
) -> Decision:
    """Decides on evidence that is at hand."""
    case = Case(
        lock_id=lock_id,
        lock=inspection.seen,
        state=inspection.check,
        looks=inspection.looks,
        attribution=inspection.attribution or _NOBODY,
        requester=requester,
        owner=answer,
        protected=inspection.state.protected,
        policy=world.policy,
        holders=world.holders,
        approval=approval,
        approvers=world.approvers(inspection.state.name),
        owner_id=inspection.owner.slack_id if inspection.owner is not None and inspection.owner.is_certain else None,
        starters=started_by(world, inspection.attribution),
        can=inspection.can,
    )
    return Decision(inspection, decide(case, world.clock.now(), table), answer, case)


async def record_decision(world: World, request: UnlockRequest, decision: Decision, *, once: str) -> None:
    """Writes the verdict with its evidence to the timeline, and counts its refusals: a free state has none to count.

    Raises JournalAway.
    """
    for finding in () if decision.is_free else decision.verdict.refusals:
        world.meter.refusal(str(finding.rule))
    if request.incident:
        await world.journal.append(request.incident, decided(world, request, decision, once=once))


def decided(world: World, request: UnlockRequest, decision: Decision, *, once: str) -> Draft:
    """The verdict with its evidence, for the timeline."""
    facts = GateDecided(
        request=request.id,
        state=request.state,
        lock_id=request.lock_id,
        asked="unlock",
        verdict=VerdictFacts.of(decision.verdict),
        evidence=Evidence.of(decision.inspection),
    )
    text = f"{request.state} is free" if decision.is_free else verdict_words(request.state, decision.verdict)
    return draft_of(facts, world.clock.now(), "tflock", text, once=once)


async def approval_of(world: World, state: str, consent: Consent | None, channel: str) -> Approval | None:
    """The consent with what Slack says now of the person who gave it."""
    if consent is None:
        return None
    groups = world.approvers(state).groups
    standing, in_group = await asyncio.gather(
        world.standing(consent.user, channel), world.in_groups(consent.user, groups)
    )
    return Approval(consent.lock_id, standing, consent.at, in_group, consent.covers)
