"""The rules of the gate, one function each: `(case, now) -> Finding`. Pure, total, and each on its own.

Every rule says in plain words what it saw, so that the checklist is the proof. A rule that cannot tell refuses.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from bot.core.case import Case, Effect, Finding, Rule
from bot.core.eligibility import named, why_not_eligible
from bot.core.evidence import Found, NotFound, Unseen
from bot.core.life import ended_well, how_it_ended, is_over, run_name, settled_at, why_alive
from bot.core.lock import DigestMatch, LockInfo, StateAbsent
from bot.core.people import Approval, OwnerSays
from bot.core.phrase import Person, Phrase, Quoted, joined


def same_lock(case: Case, now: datetime) -> Finding:
    rule = Rule.SAME_LOCK
    if case.lock.unseen:
        words = joined(((f"the {kind} could not be read: ", *_trouble(seen)) for kind, seen in case.lock.unseen), "; ")
        return Finding(rule, Effect.REFUSES, words, waits=True)
    if case.lock.garbage:
        half = case.lock.garbage[0]
        why = half.garbage or "it is not lock info"
        return Finding(rule, Effect.REFUSES, ("the ", half.kind, " holds a lock that cannot be read: ", Quoted(why)))
    others = tuple(info for info in case.lock.locks if info.id != case.lock_id)
    if case.target is None and others:
        return Finding(rule, Effect.REFUSES, ("the lock has changed hands: ", *_held_by(others[0])))
    if case.target is None:
        return Finding(rule, Effect.REFUSES, ("the lock is not there any more: the state is free",))
    if others:
        return Finding(rule, Effect.WARNS, ("the other half holds another lock, which stays: ", *_held_by(others[0])))
    return Finding(rule, Effect.HOLDS, ("it is still lock ", Quoted(case.lock_id)))


def requester(case: Case, now: datetime) -> Finding:
    reason = why_not_eligible(case.requester)
    if reason is not None:
        unseen = any(isinstance(seen, Unseen) for seen in case.requester.observations)
        return Finding(Rule.REQUESTER, Effect.REFUSES, reason, waits=unseen)
    return Finding(Rule.REQUESTER, Effect.HOLDS, (named(case.requester), " is a full member of this incident channel"))


def attributed(case: Case, now: datetime) -> Finding:
    rule, tied = Rule.ATTRIBUTED, case.attribution
    if tied.candidates:
        return Finding(
            rule, Effect.HOLDS, (*joined((run_name(c.run),) for c in tied.candidates[:3]), ": ", *tied.reason)
        )
    if tied.unseen:
        return Finding(rule, Effect.REFUSES, ("unknown holder: ", *_unanswered(tied.unseen)), waits=True)
    if not case.from_ci and case.owner_says_dead:
        return Finding(rule, Effect.HOLDS, ("a person holds it, and no mapped run was going on",))
    return Finding(rule, Effect.REFUSES, ("unknown holder: ", *tied.reason))


def dead(case: Case, now: datetime) -> Finding:
    rule, tied = Rule.DEAD, case.attribution
    alive = tuple(candidate for candidate in tied.candidates if not is_over(candidate))
    if alive:
        return Finding(rule, Effect.REFUSES, joined((why_alive(c) for c in alive[:3]), "; "), waits=True)
    if tied.unseen:
        return Finding(rule, Effect.REFUSES, _unanswered(tied.unseen), waits=True)
    if not tied.candidates:
        return _dead_person(case)
    if all(ended_well(candidate) for candidate in tied.candidates):
        return Finding(rule, Effect.WANTS_APPROVAL, ("every run that could hold the lock ended in success",))
    return Finding(rule, Effect.HOLDS, joined((how_it_ended(c) for c in tied.candidates[:3]), "; "))


def _dead_person(case: Case) -> Finding:
    if not case.from_ci and case.owner_says_dead:
        return Finding(Rule.DEAD, Effect.HOLDS, ("the owner says that it is dead",))
    return Finding(Rule.DEAD, Effect.REFUSES, ("nothing shows that the holder has ended",))


def settled(case: Case, now: datetime) -> Finding:
    rule, candidates = Rule.SETTLED, case.attribution.candidates
    if not candidates and not case.from_ci and case.owner_says_dead:
        return Finding(rule, Effect.HOLDS, ("there is no run to wait for",))
    if not candidates:
        return Finding(rule, Effect.REFUSES, ("no end is known to count from",), waits=bool(case.attribution.unseen))
    ends = [settled_at(candidate, case.policy) for candidate in candidates]
    known = [end for end in ends if end is not None]
    if len(known) < len(ends):
        return Finding(rule, Effect.REFUSES, ("no end is known yet to count from",), waits=True)
    until, conclusion = max(known)
    settle = case.policy.settle_time(conclusion)
    if until > now:
        why: Phrase = (f"a run that ended as {conclusion} may live on for ", settle, " after the CI says so")
        return Finding(rule, Effect.REFUSES, why, until=until, waits=True)
    return Finding(rule, Effect.HOLDS, ("it ended longer ago than the ", settle, f" that {conclusion} wants"))


def quiet(case: Case, now: datetime) -> Finding:
    rule, seen = Rule.QUIET, case.state.state
    if not isinstance(seen, Found):
        return Finding(rule, Effect.REFUSES, ("the state could not be read: ", *_trouble(seen)), waits=True)
    if isinstance(seen.value, StateAbsent):
        return Finding(rule, Effect.HOLDS, ("there is no state object that could be written",))
    until = seen.value.last_written + case.policy.state_quiet
    if until > now:
        return Finding(
            rule, Effect.REFUSES, ("the state was written at ", seen.value.last_written), until=until, waits=True
        )
    return Finding(rule, Effect.HOLDS, ("the state was last written ", now - seen.value.last_written, " ago"))


def whole(case: Case, now: datetime) -> Finding:
    rule, seen = Rule.WHOLE, case.state.state
    if not isinstance(seen, Found):
        return Finding(rule, Effect.REFUSES, ("the state could not be read: ", *_trouble(seen)), waits=True)
    state = seen.value
    if isinstance(state, StateAbsent) and not state.traces:
        return Finding(rule, Effect.HOLDS, ("no state has ever been written here",))
    if isinstance(state, StateAbsent):
        gone: Phrase = ("the state object is gone: ", Quoted("; ".join(state.traces)))
        return Finding(rule, Effect.WANTS_APPROVAL, (*gone, *_last_good(state.last_good_version)))
    if state.fault is not None:
        broken: Phrase = ("the state is broken: ", Quoted(state.fault))
        return Finding(rule, Effect.WANTS_APPROVAL, (*broken, *_last_good(state.last_good_version)))
    return Finding(rule, Effect.HOLDS, (f"serial {state.serial}, lineage ", Quoted(state.lineage or "")))


def digest(case: Case, now: datetime) -> Finding:
    rule, seen = Rule.DIGEST, case.state.digest
    match seen.match:
        case DigestMatch.MATCHES:
            return Finding(rule, Effect.HOLDS, ("the digest item matches the state",))
        case DigestMatch.NO_ITEM | DigestMatch.NO_TABLE:
            return Finding(rule, Effect.HOLDS, (f"nothing to compare: {seen.match}",))
        case DigestMatch.UNSEEN:
            return Finding(rule, Effect.WARNS, ("the digest item could not be read: ", Quoted(seen.detail or "")))
        case DigestMatch.DIFFERS:
            return Finding(rule, Effect.WARNS, _digest_mend(seen.key or "", seen.actual))


def _digest_mend(key: str, actual: str | None) -> Phrase:
    fault: Phrase = (
        "the digest item does not match the state, and Terraform will refuse to read it; unlocking does not ",
    )
    if actual is None:
        return (*fault, "cure that. Remove item ", Quoted(key), " if the state is meant to be gone")
    return (*fault, "cure that. Set Digest of item ", Quoted(key), " to ", Quoted(actual))


def owner(case: Case, now: datetime) -> Finding:
    answer = case.owner
    if answer is None or answer.lock_id != case.lock_id or answer.says is OwnerSays.LATER:
        return Finding(Rule.OWNER, Effect.HOLDS, ("the owner has not objected",))
    if answer.says is OwnerSays.RUNNING:
        return Finding(Rule.OWNER, Effect.REFUSES, (Person(answer.owner_id, ""), " says that it is still running"))
    return Finding(Rule.OWNER, Effect.HOLDS, (Person(answer.owner_id, ""), " says that it is dead"))


def human_held(case: Case, now: datetime) -> Finding:
    rule, target = Rule.HUMAN_HELD, case.target
    who = Quoted(target.who if target is not None else "")
    if case.from_ci:
        return Finding(rule, Effect.HOLDS, ("a CI host holds it: ", who))
    if case.owner_says_dead:
        return Finding(rule, Effect.WANTS_APPROVAL, (who, " is a person's machine; its owner says that it is dead"))
    return Finding(rule, Effect.REFUSES, (who, " does not look like CI: only the owner can say whether it is dead"))


def protected(case: Case, now: datetime) -> Finding:
    if case.protected:
        return Finding(Rule.PROTECTED, Effect.WANTS_APPROVAL, ("the state is protected",))
    return Finding(Rule.PROTECTED, Effect.HOLDS, ("the state is not protected",))


def fresh(case: Case, now: datetime) -> Finding:
    age = now - case.oldest_evidence
    if age > case.policy.evidence_max_age or age < -case.policy.evidence_max_age:
        return Finding(Rule.FRESH, Effect.REFUSES, ("the evidence is ", abs(age), " old: look again"), waits=True)
    return Finding(Rule.FRESH, Effect.HOLDS, ("all evidence is younger than ", case.policy.evidence_max_age))


def approver(case: Case, approval: Approval, now: datetime) -> Finding:
    rule, who = Rule.APPROVER, named(approval.standing)
    if approval.lock_id != case.lock_id:
        return Finding(rule, Effect.REFUSES, (who, " approved the release of another lock"))
    if approval.standing.user_id == case.requester.user_id:
        return Finding(rule, Effect.REFUSES, (who, " asked for the unlock: a second member must approve it"))
    if now - approval.at > case.policy.approval_timeout:
        return Finding(rule, Effect.REFUSES, ("the approval of ", who, " has expired"))
    reason = why_not_eligible(approval.standing)
    if reason is not None:
        return Finding(rule, Effect.REFUSES, reason)
    return Finding(rule, Effect.HOLDS, (who, " approved"))


def _trouble(seen: NotFound | Unseen) -> Phrase:
    said = seen.what if isinstance(seen, NotFound) else seen.detail
    return (Quoted(said),)


def _unanswered(unseen: Sequence[NotFound | Unseen]) -> Phrase:
    return joined(((f"{seen.system} gave no answer that counts: ", *_trouble(seen)) for seen in unseen[:3]), "; ")


def _held_by(info: LockInfo) -> Phrase:
    return ("it is now held by ", Quoted(info.who), " since ", info.created, ", lock ", Quoted(info.id))


def _last_good(version: str | None) -> Phrase:
    return ("; the last good version is ", Quoted(version)) if version else ("; no good older version was found",)
