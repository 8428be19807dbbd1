"""The rules of the gate, one function each: `(case, now) -> Finding`. Pure, total, and each on its own.

Every rule says in plain words what it saw, so that the checklist is the proof. A rule that cannot tell refuses.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from bot.core.evidence import LASTING, Found, NotFound, Trouble, Unseen
from bot.core.gate.approval import why_not_by_policy, why_not_second
from bot.core.gate.attribution import Candidate
from bot.core.gate.case import Case, Effect, Finding, Rule
from bot.core.gate.eligibility import named, why_not_eligible
from bot.core.gate.ending import (
    ended_badly,
    how_it_ended,
    is_lost,
    is_over,
    run_name,
    said,
    seen_to_end_at,
    settled_at,
    unanswered,
    why_alive,
)
from bot.core.hold import held_by, words_of
from bot.core.instants import shifted
from bot.core.lock import DigestMatch, LockInfo, PlaceKind, StateAbsent
from bot.core.people import Approval, Automatic, OwnerSays
from bot.core.phrase import Exact, Person, Phrase, Quoted, joined, one_line, quoted
from bot.core.policy import ByTime
from bot.core.run import Conclusion

_SHOWN = 3
"""So many runs or systems are named one by one in a sentence."""


def same_lock(case: Case, now: datetime) -> Finding:
    rule = Rule.SAME_LOCK
    if case.lock.unseen:
        words = joined((_unread(kind, seen) for kind, seen in case.lock.unseen), "; ")
        return Finding(rule, Effect.REFUSES, words, waits=_all_pass(seen for _, seen in case.lock.unseen))
    if case.lock.garbage:
        place = case.lock.garbage[0]
        why = quoted(place.garbage, "not valid Terraform lock data")
        return Finding(rule, Effect.REFUSES, (f"the lock entry in the {place.kind} is unreadable: ", why))
    others = tuple(info for info in case.lock.locks if info.id != case.lock_id)
    if case.target is None and others:
        return Finding(rule, Effect.REFUSES, ("the lock has a new holder: it is now ", *_held_by(others[0])))
    if case.target is None:
        return Finding(rule, Effect.REFUSES, ("the lock is gone; the state is free",))
    return _still_there(case, others)


def _still_there(case: Case, others: Sequence[LockInfo]) -> Finding:
    same: Phrase = ("it is still lock ", Quoted(case.lock_id))
    if not case.can.conditional:
        # between this look and the release another writer may take the lock, and the store would release theirs
        blind = ", but this backend releases whatever lock is there by then: nothing makes the release conditional"
        return Finding(Rule.SAME_LOCK, Effect.WANTS_APPROVAL, (*same, blind))
    if others:
        words: Phrase = ("the other place has another lock, which stays: ", *_held_by(others[0]))
        return Finding(Rule.SAME_LOCK, Effect.WARNS, words)
    return Finding(Rule.SAME_LOCK, Effect.HOLDS, same)


def _unread(kind: PlaceKind, seen: Unseen | NotFound) -> Phrase:
    if kind.is_in_table and isinstance(seen, Unseen) and seen.trouble is Trouble.THROTTLED:
        return ("the lock table is throttled, so the lock can't be read: ", said(seen))
    if isinstance(seen, Unseen) and seen.trouble is Trouble.NOT_SHOWN:
        return (f"the {kind} is not shown: ", said(seen))
    return (f"the {kind} could not be read: ", said(seen))


def requester(case: Case, now: datetime) -> Finding:
    if isinstance(case.requester, Automatic):
        return _automatic(case, case.requester)
    reason = why_not_eligible(case.requester, case.policy)
    if reason is not None:
        unseen = [seen for seen in case.requester.observations if isinstance(seen, Unseen)]
        waits = _all_pass(unseen) if unseen else case.requester.home_team is None
        return Finding(Rule.REQUESTER, Effect.REFUSES, reason, waits=waits)
    return Finding(Rule.REQUESTER, Effect.HOLDS, (named(case.requester), " is a full member of this incident channel"))


def _automatic(case: Case, asked: Automatic) -> Finding:
    """Nobody asked: then the configuration has to, nobody may have said no, and the holder must be known by proof."""
    rule = Rule.REQUESTER
    if not asked.is_configured:
        return Finding(rule, Effect.REFUSES, ("the configuration (auto_release) does not ask for it",))
    if asked.stopped_by:
        stopped: Phrase = (Person(asked.stopped_by, ""), " stopped the automatic release of this lock")
        return Finding(rule, Effect.REFUSES, stopped)
    if not case.is_tied_exactly:
        why = "nothing shows which run holds the lock, so someone has to ask for its release"
        return Finding(rule, Effect.REFUSES, (why,))
    return Finding(rule, Effect.HOLDS, ("nobody asked: the configuration (auto_release) does",))


def tied(case: Case, now: datetime) -> Finding:
    """What ties a run to the lock. The time is not proof: then a second person has to agree."""
    rule, found = Rule.TIED, case.attribution
    if not found.candidates and found.unseen:
        words: Phrase = ("we can't tell which run holds it: ", *_unanswered(found.unseen))
        return Finding(rule, Effect.REFUSES, words, waits=_all_pass(found.unseen))
    if not case.from_ci and case.owner_says_dead:
        return Finding(rule, Effect.HOLDS, ("a person holds it, whatever run was active",))
    if not found.candidates:
        return Finding(rule, Effect.REFUSES, ("we don't know which run holds it: ", *found.reason))
    names = _some([(run_name(candidate.run),) for candidate in found.candidates], ", ")
    reason: Phrase = (*names, ": ", *found.reason, *_clocks(case))
    if found.is_exact:
        return Finding(rule, Effect.HOLDS, reason)
    if case.policy.by_time is ByTime.REFUSE:
        refused = "; only the timing fits, and the policy (policy.by_time: refuse) requires proof"
        return Finding(rule, Effect.REFUSES, (*reason, refused))
    return Finding(rule, Effect.WANTS_APPROVAL, (*reason, "; only the timing fits"))


def _clocks(case: Case) -> Phrase:
    taken = case.attribution.taken
    if taken is None or not taken.is_doubtful(case.policy.clock_skew):
        return ()
    both: Phrase = ("; the holder's clock and the store's differ by ", taken.apart)
    said: Phrase = (*both, ", so every run between the two counts")
    ends = [seen_to_end_at(candidate) for candidate in case.attribution.candidates]
    if case.attribution.is_exact or any(end is None or end > taken.last for end in ends):
        return said
    return (*said, ". By the store's clock, that had ended before the lock was taken")


def dead(case: Case, now: datetime) -> Finding:
    rule, tied = Rule.DEAD, case.attribution
    alive = tuple(candidate for candidate in tied.possible if not is_over(candidate))
    if alive:
        words = _some([why_alive(candidate) for candidate in alive], "; ")
        return Finding(rule, Effect.REFUSES, words, waits=all(_may_end(candidate) for candidate in alive))
    if tied.unseen:
        return Finding(rule, Effect.REFUSES, _unanswered(tied.unseen), waits=_all_pass(tied.unseen))
    if not tied.candidates:
        return _dead_person(case)
    ends = _some([how_it_ended(candidate) for candidate in tied.candidates], "; ")
    # what shows the holder speaks against a process that at most outlived its run, however that ended
    lost = tuple(one for one in (tied.candidates if tied.is_exact else tied.possible) if is_lost(one))
    if lost:
        why = "only CI's server declared this end, so the process may still be running: "
        return Finding(rule, Effect.WANTS_APPROVAL, (why, *_some([how_it_ended(one) for one in lost], "; ")))
    if not any(ended_badly(candidate) for candidate in tied.candidates):
        return Finding(
            rule, Effect.WANTS_APPROVAL, ("no run that could hold the lock is known to have failed: ", *ends)
        )
    return Finding(rule, Effect.HOLDS, ends)


def _may_end(candidate: Candidate) -> bool:
    return isinstance(candidate.seen, Found) or _passes(candidate.seen)


def _dead_person(case: Case) -> Finding:
    if not case.from_ci and case.owner_says_dead:
        return Finding(Rule.DEAD, Effect.HOLDS, ("the owner says it's dead",))
    return Finding(Rule.DEAD, Effect.REFUSES, ("nothing shows that the holder has ended",))


def settled(case: Case, now: datetime) -> Finding:
    rule, candidates = Rule.SETTLED, case.attribution.possible
    unseen = case.attribution.unseen
    if not candidates and not unseen and not case.from_ci and case.owner_says_dead:
        return Finding(rule, Effect.HOLDS, ("there is no run to wait for",))
    if not candidates:
        return Finding(rule, Effect.REFUSES, ("we don't know when it ended",), waits=_all_pass(unseen))
    taken = datetime.min.replace(tzinfo=UTC) if case.target is None else case.target.created
    ends = [settled_at(candidate, case.policy, taken=taken) for candidate in candidates]
    known = [end for end in ends if end is not None]
    if len(known) < len(ends):
        open_ended = (candidate for candidate, end in zip(candidates, ends, strict=True) if end is None)
        waits = all(_may_end(candidate) for candidate in open_ended)
        return Finding(rule, Effect.REFUSES, ("it has not ended yet, as far as we know",), waits=waits)
    which, last = max(zip(candidates, known, strict=True), key=lambda each: each[1].at)
    if last.reported:
        return _reported(last.at, now)
    settle = Exact.of(last.settle)
    if last.at > now:
        why: Phrase = (f"{_AFTER[last.conclusion]}, the process may keep running for up to ", settle)
        if which not in case.attribution.candidates:  # no other line names it
            why = (run_name(which.run), ": ", *why)
        return Finding(rule, Effect.REFUSES, why, until=last.at, waits=True)
    return Finding(rule, Effect.HOLDS, ("CI reported the end more than ", settle, " ago"))


_AFTER = {
    Conclusion.SUCCESS: "after a success",
    Conclusion.FAILED: "after a failure",
    Conclusion.CANCELLED: "after a cancel",
    Conclusion.TIMED_OUT: "after a timeout",
    Conclusion.LOST: "after CI lost the run",
    Conclusion.SKIPPED: "after a skipped run",
    None: "after an unknown end",
}


def _reported(at: datetime, now: datetime) -> Finding:
    rule = Rule.SETTLED
    if at > now:
        return Finding(rule, Effect.REFUSES, ("the job reported an end that lies in the future",), until=at, waits=True)
    return Finding(
        rule, Effect.HOLDS, ("the job itself reported that its Terraform ended: there is nothing to wait for",)
    )


def quiet(case: Case, now: datetime) -> Finding:
    rule, seen = Rule.QUIET, case.state.state
    if not isinstance(seen, Found):
        return Finding(rule, Effect.REFUSES, ("the state could not be read: ", said(seen)), waits=_passes(seen))
    if isinstance(seen.value, StateAbsent):
        return Finding(rule, Effect.HOLDS, ("there is no state file that could be written",))
    until = shifted(seen.value.last_written, case.policy.state_quiet)
    if until > now:
        how = "the state may have been written until " if seen.value.is_upper_bound else "the state was written at "
        return Finding(rule, Effect.REFUSES, (how, seen.value.last_written), until=until, waits=True)
    span = now - seen.value.last_written
    if seen.value.is_upper_bound:
        return Finding(rule, Effect.HOLDS, ("the state has not changed in the last ", span))
    return Finding(rule, Effect.HOLDS, ("the state was last written ", span, " ago"))


def whole(case: Case, now: datetime) -> Finding:
    rule, seen = Rule.WHOLE, case.state.state
    if not isinstance(seen, Found):
        return Finding(rule, Effect.REFUSES, ("the state could not be read: ", said(seen)), waits=_passes(seen))
    state = seen.value
    if isinstance(state, StateAbsent) and not state.traces:
        return Finding(rule, Effect.HOLDS, ("no state has ever been written here",))
    if isinstance(state, StateAbsent):
        gone: Phrase = ("the state file is gone: ", quoted("; ".join(state.traces), "it was there once"))
        return Finding(rule, Effect.WANTS_APPROVAL, (*gone, *_last_good(state.last_good_version)))
    if state.fault is not None or state.serial is None or not one_line(state.lineage or ""):
        broken: Phrase = ("the state file is broken: ", quoted(state.fault, "it has no serial or no lineage"))
        return Finding(rule, Effect.WANTS_APPROVAL, (*broken, *_last_good(state.last_good_version)))
    encrypted = "encrypted by OpenTofu, " if state.is_encrypted else ""
    return Finding(rule, Effect.HOLDS, (f"{encrypted}serial {state.serial}, lineage ", quoted(state.lineage, "")))


def digest(case: Case, now: datetime) -> Finding:
    rule, seen = Rule.DIGEST, case.state.digest
    match seen.match:
        case DigestMatch.MATCHES:
            return Finding(rule, Effect.HOLDS, ("the digest item matches the state",))
        case DigestMatch.NO_ITEM | DigestMatch.NO_TABLE:
            return Finding(rule, Effect.HOLDS, (f"nothing to compare: {seen.match}",))
        case DigestMatch.UNSEEN:
            detail = quoted(seen.detail, "the store does not say why")
            return Finding(rule, Effect.WARNS, ("the digest item could not be read: ", detail))
        case DigestMatch.DIFFERS:
            return Finding(rule, Effect.WARNS, _digest_mend(seen.key, seen.actual))


def _digest_mend(key: str | None, actual: str | None) -> Phrase:
    item = quoted(key, "the digest item")
    fault: Phrase = (
        "the digest item does not match the state, and Terraform will refuse to read it; unlocking won't fix this. ",
    )
    if not actual:
        return (*fault, "Remove ", item, " if the state is meant to be gone")
    return (*fault, "Set Digest of ", item, " to ", Quoted(actual))


def owner(case: Case, now: datetime) -> Finding:
    """The answer "still running" counts until that person withdraws it, or CI reports that the run ended later.

    The end of a run counts against it only where it is known which run it is, and never for a person's own lock.
    """
    rule, answer = Rule.OWNER, case.owner
    if answer is None or answer.lock_id != case.lock_id or answer.says is OwnerSays.LATER:
        return Finding(rule, Effect.HOLDS, ("the owner has not objected",))
    name = next((person.name for person in case.holders.people if person.slack == answer.owner_id), "")
    who = Person(answer.owner_id, name)
    if answer.says is OwnerSays.DEAD and not case.owner_says_dead:
        return Finding(rule, Effect.HOLDS, (who, " says it's dead, but does not seem to be its owner"))
    if answer.says is OwnerSays.DEAD:
        return Finding(rule, Effect.HOLDS, (who, " says it's dead"))
    end = _seen_to_end(case)
    if end is not None and end > shifted(answer.at, case.policy.clock_skew):
        words: Phrase = (who, " said at ", answer.at, " that it's still running; it ended at ", end)
        return Finding(rule, Effect.HOLDS, words)
    waits = case.is_tied_exactly and any(not is_over(candidate) for candidate in case.attribution.candidates)
    return Finding(rule, Effect.REFUSES, (who, " says it's still running"), waits=waits)


def _seen_to_end(case: Case) -> datetime | None:
    """The earliest instant at which something that may have the lock was seen to end; None unless all of it was.

    Not an end that the CI's server only declared, having lost the job, or of which nobody knows how it came: a
    person who says that it is still running may well see the process there.
    """
    if not case.is_tied_exactly or case.attribution.unseen:
        return None
    ends = [seen_to_end_at(candidate) for candidate in case.attribution.candidates]
    known = [end for end in ends if end is not None]
    return min(known, default=None) if len(known) == len(ends) else None


def human_held(case: Case, now: datetime) -> Finding:
    rule, target = Rule.HUMAN_HELD, case.target
    said = None if target is None else words_of(target)
    if said is not None:  # no run has it: it ends at its time, or when someone lifts it
        return Finding(rule, Effect.REFUSES, ("it is ", *held_by(said, now=now), ", and no run has it"))
    if target is None:
        waits = _all_pass(seen for _, seen in case.lock.unseen)
        words = ("we couldn't read the lock, so we don't know which machine took it",)
        return Finding(rule, Effect.REFUSES, words, waits=waits)
    who = _who(target)
    if case.from_ci:
        return Finding(rule, Effect.HOLDS, ("a CI host holds it: ", who))
    if case.owner_says_dead:
        return Finding(rule, Effect.WANTS_APPROVAL, (who, " doesn't look like CI; the owner says it's dead"))
    return Finding(rule, Effect.REFUSES, (who, " doesn't look like CI: only the owner can say whether it's dead"))


def protected(case: Case, now: datetime) -> Finding:
    if case.protected:
        return Finding(Rule.PROTECTED, Effect.WANTS_APPROVAL, ("the state is protected",))
    return Finding(Rule.PROTECTED, Effect.HOLDS, ("the state is not protected",))


def fresh(case: Case, now: datetime) -> Finding:
    rule, times, target = Rule.FRESH, case.evidence_times, case.target
    stale = _stale(times, case, now)
    if stale is not None:
        return Finding(rule, Effect.REFUSES, stale, waits=True)
    if target is not None and min(times) < target.created:
        why: Phrase = ("the lock was taken at ", target.created, ", after some of the evidence: check again")
        return Finding(rule, Effect.REFUSES, why, until=target.created, waits=True)
    return Finding(rule, Effect.HOLDS, ("no evidence is older than ", Exact.of(case.policy.evidence_max_age)))


def _stale(times: Sequence[datetime], case: Case, now: datetime) -> Phrase | None:
    limit = case.policy.evidence_max_age
    if now - min(times) > limit:
        return ("some of the evidence is ", now - min(times), " old: check again")
    if max(times) - now > limit:
        return ("some of the evidence lies ", max(times) - now, " in the future: check again")
    return None


def approver(case: Case, approval: Approval, now: datetime) -> Finding:
    rule, who = Rule.APPROVER, named(approval.standing)
    if isinstance(case.requester, Automatic):
        return Finding(rule, Effect.REFUSES, ("nobody asked for this, so nobody can approve it",))
    if approval.lock_id != case.lock_id:
        return Finding(rule, Effect.REFUSES, (who, " approved the release of another lock"))
    if now - approval.at > case.policy.approval_timeout:
        return Finding(rule, Effect.REFUSES, ("the approval of ", who, " has expired"))
    if approval.at - now > case.policy.evidence_max_age:
        return Finding(rule, Effect.REFUSES, ("the approval of ", who, " lies in the future"))
    times = [seen.at for seen in approval.standing.observations]
    reason = (
        why_not_second(approval, case.requester, case.holders)
        or why_not_eligible(approval.standing, case.policy)
        or why_not_by_policy(approval, case.approvers, owner_id=case.owner_id, starters=case.starters)
        or _stale([*times, approval.in_group.at] if approval.in_group else times, case, now)
    )
    if reason is not None:
        return Finding(rule, Effect.REFUSES, reason)
    return Finding(rule, Effect.HOLDS, (who, " approved"))


def not_covered(approval: Approval, wanted: Iterable[Rule]) -> Finding | None:
    """A finding for what wants approval now and did not when it was given; None if there is no such thing."""
    new = [rule for rule in wanted if rule not in approval.covers]
    if not new:
        return None
    names = ", ".join(new)
    why: Phrase = (named(approval.standing), f" approved before this changed ({names}), so it needs a new approval")
    return Finding(Rule.APPROVER, Effect.REFUSES, why)


def _passes(seen: NotFound | Unseen) -> bool:
    """Whether a look-up that brought nothing may bring something when it is made again."""
    return isinstance(seen, Unseen) and seen.trouble not in LASTING


def _all_pass(unseen: Iterable[NotFound | Unseen]) -> bool:
    """Whether there are such look-ups, and each may bring something when it is made again."""
    unseen = tuple(unseen)
    return bool(unseen) and all(map(_passes, unseen))


def _unanswered(unseen: Sequence[NotFound | Unseen]) -> Phrase:
    return _some([unanswered(seen) for seen in unseen], "; ")


def _some(phrases: Sequence[Phrase], separator: str) -> Phrase:
    more = len(phrases) - _SHOWN
    return (*joined(phrases[:_SHOWN], separator), *((f" and {more} more",) if more > 0 else ()))


def _who(info: LockInfo) -> Quoted:
    return quoted(info.who, "someone without a name")


def _held_by(info: LockInfo) -> Phrase:
    since: Phrase = (" since ", info.created) if info.is_since_known else ()
    return ("held by ", _who(info), *since, ", lock ", Quoted(info.id))


def _last_good(version: str | None) -> Phrase:
    return ("; the last good version is ", Quoted(version)) if version else ("; no good older version was found",)
