"""What is known of a state, in words: labelled sentences for Slack and the terminal alike.

A fact's label is ours (it may contain a state's name); everything that others wrote is in the phrase.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from bot.core.evidence import Found, NotFound, Trouble, Unseen
from bot.core.gate.attribution import Candidate, Tie
from bot.core.gate.contention import Contention, Loop, LoopSource, source_of
from bot.core.gate.ending import end_words, how_it_ended, is_over, run_name, short_name, why_alive
from bot.core.gate.inspection import Inspection, Owner
from bot.core.hold import held_by, words_of
from bot.core.lock import (
    OPERATIONS,
    Abilities,
    DigestMatch,
    Fence,
    LockInfo,
    StateAbsent,
    StateCheck,
    StateSeen,
    age,
    operation_word,
)
from bot.core.people import OwnerAnswer, OwnerSays
from bot.core.phrase import Command, Linked, Person, Phrase, Quoted, joined, pace, quoted
from bot.core.reports.concern import usual_time
from bot.core.run import ENDED, Phase, Run
from bot.core.who import is_ci
from bot.slack.render.icons import Icon

_FEW = 3
_THOUSAND = 1_000
_UNITS = ("kB", "MB", "GB", "TB")
_NEVER_WRITTEN = "nothing has been written here yet."
_AGAIN = "Try again. If it keeps failing, ask whoever runs tflock to run "
_DOCTOR = Quoted("tflock doctor")


@dataclass(frozen=True, slots=True)
class Fact:
    """A label in bold, and words. Where the label is a whole sentence it may have values in it."""

    label: str | Phrase
    phrase: Phrase = ()
    icon: Icon = Icon.NONE


_TIES = {
    Tie.SEALED: "proven: only this job can have taken it",
    Tie.SHOWN: "shown by the job's log or its machine",
    Tie.BY_TIME: "weak: only the timing fits",
}
_SAYS = {
    OwnerSays.DEAD: "says it's dead",
    OwnerSays.RUNNING: "says it's still running",
    OwnerSays.LATER: "wants to be asked later",
}

PHASES = {
    Phase.WAITING: "waiting to run",
    Phase.RUNNING: "running",
    Phase.ENDING: "being cancelled",
    Phase.UNKNOWN: "in a state that CI does not report",
}


def command(words: str) -> Command:
    """A command of tflock's, for the reader."""
    return Command(f"/tflock {words}")


SINCE_UNKNOWN = "Since when is not known"
NO_REQUEST = "This backend has no request that reads a lock"
"""Of a lock that is not shown to those who only look."""


def headline(inspection: Inspection) -> Fact:
    """Whether the state is locked: the sentence that everyone reads first."""
    name, seen = inspection.state.name, inspection.seen
    if (on_hold := hold_headline(inspection)) is not None:
        return on_hold
    if inspection.lock is not None:
        return Fact(f"{name} is locked.", (" ", *held(inspection)), Icon.LOCKED)
    if seen.is_free:
        return Fact(f"{name} is free.", (" Go ahead.",), Icon.FREE)
    if seen.garbage:
        broken = " Its lock entry is unreadable (it isn't valid Terraform lock data)."
        return Fact(f"{name} is locked.", (broken,), Icon.LOCKED)
    if seen.is_throttled:
        words = " We can't tell whether the state is locked. The lock itself is not the problem."
        return Fact(f"DynamoDB is throttling the lock table of {name}.", (words,), Icon.WARNING)
    why = f" {NO_REQUEST}: only an unlock can look." if seen.is_unshown else " The lock could not be read."
    return Fact(f"We can't tell whether {name} is locked.", (why,), Icon.UNKNOWN)


def hold_headline(inspection: Inspection) -> Fact | None:
    """That the lock is a hold: by whom and until when; None for a lock that is none."""
    said = None if inspection.lock is None else words_of(inspection.lock)
    if said is None:
        return None
    return Fact((f"{inspection.state.name} is ", *held_by(said, now=inspection.at), "."), (), Icon.LOCKED)


def hold(inspection: Inspection) -> Iterable[Fact]:
    """What there is to say of a hold: who, until when, why, and how it ends. Nothing for any other lock."""
    said, head = None if inspection.lock is None else words_of(inspection.lock), hold_headline(inspection)
    if said is None or head is None:
        return
    yield head
    why: Phrase = (Quoted(said.reason), ". ") if said.reason else ("No reason was given. ",)
    there: Phrase = (Linked("Its message", said.link), ".") if said.link else ()
    yield Fact("Why:", (*why, *there))
    off = command(f"hold {inspection.state.name} off")
    yield Fact("", ("No run has it, and nobody can apply. It ends at its time; to end it now: ", off, "."))


def held(inspection: Inspection, *, by_person: bool = False) -> Phrase:
    """How long the lock has been held, by which run, and who started it. `by_person`: by whom, and no run is named."""
    lock, tied = inspection.lock, inspection.attribution
    if lock is None:
        return ()
    begun: Phrase = ("Held ", age(lock, inspection.at))
    if not lock.is_since_known:
        begun = (f"{SINCE_UNKNOWN}. Held",)
    candidates = tied.candidates if tied is not None and not by_person else ()
    match candidates:
        case ():
            return (*begun, " by ", *who(lock), *purpose(lock), ".")
        case (_,):
            return (*begun, " by ", *holding(inspection))
        case _:
            shown = joined([_with_fate(one, inspection) for one in candidates[:_FEW]], "; ")
            more = f"; and {len(candidates) - _FEW} more" if len(candidates) > _FEW else ""
            return (*begun, f" by one of {len(candidates)} runs: ", *shown, f"{more}.")


def holding(inspection: Inspection) -> Phrase:
    """The only run that may hold the lock, what it is doing, and who started it; empty where there is not one."""
    tied = inspection.attribution
    if tied is None or len(tied.candidates) != 1:
        return ()
    return (*_with_fate(tied.candidates[0], inspection), *_starter(inspection), ".")


def _with_fate(candidate: Candidate, inspection: Inspection) -> Phrase:
    is_going = candidate.exited is None and isinstance(candidate.seen, Found) and not is_over(candidate)
    said = fate(candidate, inspection)
    return (short_name(candidate.run), *((", ", *said) if is_going else (" (", *said, ")")))


def fate(candidate: Candidate, inspection: Inspection) -> Phrase:
    """What a run is doing, or how it ended, in a few words."""
    if candidate.exited is not None:
        return (f"its Terraform exited with code {candidate.exited.code} at ", candidate.exited.at)
    if not isinstance(candidate.seen, Found):
        return ("could not be read",)
    run = candidate.seen.value
    if is_over(candidate):
        ended, *at = end_words(candidate)
        return (str(ended).removeprefix("was "), *at)
    going = next((job for job in run.jobs or () if job.phase is not Phase.ENDED), None)
    job: Phrase = ("job ", quoted(going.name, going.id), " ") if going is not None else ()
    phase, since = going.phase if going is not None else run.phase, going.started_at if going is not None else None
    return (*job, PHASES.get(phase, "ending"), *_lasting(since or run.started_at, run, inspection))


def _lasting(since: datetime | None, run: Run, inspection: Inspection) -> Phrase:
    if since is None:
        return ()
    usual = usual_time(run.ref.pipeline, inspection)
    usually: Phrase = ("; usually ", usual) if usual is not None else ()
    return (" since ", since, " (", inspection.at - since, *usually, ")")


def _starter(inspection: Inspection) -> Phrase:
    found, tied = inspection.owner, inspection.attribution
    if found is not None:
        is_starter = found.source[:1] == ("started the run as ",)
        return (", started by " if is_starter else ", owner ", Person(found.slack_id, found.name))
    actors = [candidate.run.actor for candidate in (tied.candidates if tied else ()) if candidate.run.actor]
    return (", started by ", Quoted(actors[0])) if actors else ()


def who(info: LockInfo) -> Phrase:
    """Without the `@` of an account whose machine is not known."""
    named = info.who.removesuffix("@")
    return (Quoted(named),) if named.strip("@ ") else ("someone the lock does not name",)


def purpose(info: LockInfo) -> Phrase:
    """`, for apply`; nothing of a lock that does not say (GitLab keeps no operation)."""
    return (", for ", *operation(info.operation)) if info.operation else ()


def operation(name: str) -> Phrase:
    return (operation_word(name),) if name in OPERATIONS else (Quoted(name),)


def places(inspection: Inspection) -> Iterable[Fact]:
    """The places of the lock, if not all is in order."""
    seen = inspection.seen
    held, lock = seen.held, inspection.lock
    for place in seen.garbage:
        kind, where, why = f"the {place.kind.words} in ", Quoted(place.where), place.garbage
        end = ". tflock can't release it: look there."
        yield Fact("Not readable:", (kind, where, ": ", Quoted(why or "not Terraform lock data"), end), Icon.WARNING)
    for half, unseen in seen.unseen:
        if isinstance(unseen, Unseen) and unseen.trouble is Trouble.THROTTLED and half.is_in_table:
            continue  # the facts about the table say so, since nothing is wrong with the lock
        what = f"the {half.words}: "
        again: Phrase = () if seen.is_unshown else (" ", _AGAIN, _DOCTOR, ".")
        yield Fact("Not seen:", (what, *trouble(unseen), ".", *again), Icon.WARNING)
    if len(seen.locks) > 1:
        each: list[Phrase] = [
            (f"the {place.kind.words} holds ", Quoted(place.info.id), " of ", *who(place.info))
            for place in held
            if place.info is not None
        ]
        yield Fact("Two locks:", (*joined(each, "; "), "."), Icon.WARNING)
    elif lock is not None and len(held) == 1 and seen.free:
        left, gone = held[0].kind.words, seen.free[0].words
        yield Fact("Half a lock:", (f"only the {left} is left; the {gone} is already gone.",), Icon.WARNING)


def trouble(seen: NotFound | Unseen) -> Phrase:
    """Why a look-up found nothing."""
    return (Quoted(f"not found: {seen.what}" if isinstance(seen, NotFound) else seen.detail),)


def holder(inspection: Inspection) -> Iterable[Fact]:
    """The runs that may hold the lock, what became of them, and how they were matched to it."""
    tied = inspection.attribution
    if tied is None:
        return
    for candidate in tied.candidates[:_FEW]:
        ended = how_it_ended(candidate) if is_over(candidate) else why_alive(candidate)
        by: Phrase = (", started by ", Quoted(candidate.run.actor)) if candidate.run.actor else ()
        yield Fact("Run:", (*ended, *by, "."))
    if len(tied.candidates) > _FEW:
        yield Fact("Runs:", (f"{len(tied.candidates) - _FEW} more may hold the lock.",))
    if tied.tie is not None:
        yield Fact("Match:", (_TIES[tied.tie], " (", *tied.reason, ")."))
    else:
        yield Fact("Run: unknown.", (" ", *tied.reason, "."), Icon.UNKNOWN)
    for why in tied.ruled_out[:_FEW]:
        yield Fact("Not the holder:", (*why, "."))


def unread_logs(inspection: Inspection) -> Iterable[Fact]:
    """The first job's log that could not be read."""
    for log in inspection.attribution.unread[:1] if inspection.attribution is not None else ():
        yield Fact("Log not read:", (*trouble(log), ". It decides nothing."), Icon.WARNING)


def claim_advice(inspection: Inspection) -> Phrase:
    """How the holder would be certain next time; empty where it is, or where no job holds the lock."""
    tied, lock = inspection.attribution, inspection.lock
    if tied is None or tied.is_exact or not (tied.possible or (lock is not None and is_ci(lock.who))):
        return ()
    return ("Next time, wrap the job's Terraform with ", Quoted("tflock claim"), " to be certain (docs/claims.md).")


def is_hidden(inspection: Inspection) -> bool:
    """Whether what blocks is not a run that is seen to run, but one that cannot be seen."""
    tied = inspection.attribution
    if tied is None:
        return False
    blocking = [candidate for candidate in tied.candidates if not is_over(candidate)]
    unread = [each for each in blocking if not isinstance(each.seen, Found) or each.seen.value.jobs is None]
    return len(unread) == len(blocking) and bool(unread or tied.unseen)


def owner(found: Owner | None, answer: OwnerAnswer | None) -> Iterable[Fact]:
    """The owner of the lock, and what they said."""
    if found is not None:
        yield Fact("Owner:", (Person(found.slack_id, found.name), " (", *found.source, ")."))
    if answer is not None:
        mark = Icon.BAD if answer.says is OwnerSays.RUNNING else Icon.NONE
        yield Fact("Answer:", (Person(answer.owner_id, ""), f" {_SAYS[answer.says]} (", answer.at, ")."), mark)


def owners(found: Sequence[Owner]) -> Iterable[Fact]:
    """The possible owners, where it is not known who it is."""
    if not found:
        return
    named = joined([(Person(one.slack_id, one.name), " (", *one.source, ")") for one in found[:_FEW]])
    more = f" and {len(found) - _FEW} more" if len(found) > _FEW else ""
    said = "perhaps " if len(found) == 1 else "not known. Perhaps "
    yield Fact("Owner:", (said, *named, f"{more}. Not asked, because we aren't certain."), Icon.UNKNOWN)


def fence(can: Abilities) -> Fact:
    """Whether the store itself stops a writer whose lock is released."""
    return Fact("fence:", (f"{can.fence}; {_FENCES[can.fence]}",))


def holders_info(inspection: Inspection) -> Iterable[Fact]:
    """What the store does not say about a lock."""
    if not inspection.can.shows_holder:
        lock = inspection.lock
        when, less = ("", "the time, ") if lock is not None and not lock.is_since_known else (" and the time", "")
        words = f"this backend names the account that took the lock{when}, not {less}the machine nor the operation."
        yield Fact("lock info:", (words,))


_FENCES = {
    Fence.ENFORCED: "the store refuses what a writer writes whose lock is released.",
    Fence.NONE: "a writer whose lock is released could still write.",
    Fence.NOT_KNOWN: "a writer whose lock is released may still be able to write.",
}


def stored(check: StateCheck, now: datetime) -> Iterable[Fact]:
    """The state object: whether it is quiet and valid."""
    if not isinstance(check.state, Found):
        words: Phrase = ("it could not be read: ", *trouble(check.state), ". ", _AGAIN, _DOCTOR, ".")
        yield Fact("State file:", words, Icon.WARNING)
    elif isinstance(check.state.value, StateAbsent):
        absent = check.state.value
        gone: Phrase = ("the object is gone: ", Quoted("; ".join(absent.traces)), *_good(absent), ".")
        yield Fact("State file:", gone, Icon.WARNING) if absent.traces else Fact("State file:", (_NEVER_WRITTEN,))
    else:
        yield _state(check.state.value, now)
    if check.digest.match is DigestMatch.UNSEEN:
        why: Phrase = (": ", Quoted(check.digest.detail)) if check.digest.detail else ()
        yield Fact("Digest:", ("the digest item could not be read", *why, "."), Icon.WARNING)
    if check.digest.match is DigestMatch.DIFFERS:
        yield Fact("Digest:", (*digest_advice(check), "."), Icon.WARNING)


def _state(state: StateSeen, now: datetime) -> Fact:
    said = "unchanged since " if state.is_upper_bound else "last written "
    last: Phrase = (said, state.last_written, " (", now - state.last_written, " ago)")
    if state.fault is not None:
        broken: Phrase = ("it is broken: ", Quoted(state.fault), *_good(state), "; ", *last, ".")
        return Fact("State file:", broken, Icon.WARNING)
    serial = "no serial" if state.serial is None else f"serial {state.serial}"
    kind = "encrypted by OpenTofu" if state.is_encrypted else "valid"
    return Fact("State file:", (f"{kind}, {serial}, {file_size(state.size)}, ", *last, "."))


def written(check: StateCheck, now: datetime) -> Phrase:
    """The state's serial and age in a few words, for a small line; empty where it is not valid or not known."""
    if not isinstance(check.state, Found) or not isinstance(check.state.value, StateSeen):
        return ()
    state = check.state.value
    if state.fault is not None or state.serial is None:
        return ()
    span = now - state.last_written
    if state.is_upper_bound:
        return (f"state serial {state.serial}, unchanged for ", span)
    return (f"state serial {state.serial}, last written ", span, " ago")


def _good(state: StateAbsent | StateSeen) -> Phrase:
    version = state.last_good_version
    return ("; the last good version is ", Quoted(version)) if version else ()


def digest_advice(check: StateCheck) -> Phrase:
    """What to do about a digest that does not match. Source: Terraform's S3 backend, `errBadChecksumFmt`."""
    key = Quoted(check.digest.key or "")
    cure: Phrase = (
        ("remove item ", key, " if the state is meant to be gone")
        if check.digest.actual is None
        else ("set Digest of item ", key, " to ", Quoted(check.digest.actual))
    )
    return ("it doesn't match the state, so Terraform will refuse to read it. Unlocking won't fix this: ", *cure)


def file_size(size: int) -> str:
    """A size in bytes for people, in powers of a thousand."""
    if size < _THOUSAND:
        return f"{size} bytes"
    power = min(len(_UNITS), (len(str(size)) - 1) // 3)
    return f"{size / _THOUSAND**power:.1f} {_UNITS[power - 1]}"


def queue(contention: Contention, *, held: bool) -> Iterable[Fact]:
    """Who else wants the lock, by pipeline."""
    active = contention.active
    if not active:
        return
    counted = Counter(run.ref.pipeline.title for run in active).most_common()
    parts = [(f"{number} of ", Quoted(title)) for title, number in counted[:_FEW]]
    others = (f" and {len(counted) - _FEW} more pipelines",) if len(counted) > _FEW else ()
    one = len(active) == 1
    want = ("wants the lock" if one else "want the lock") if held else ("is active" if one else "are active")
    yield Fact("Queue:", (f"{runs(len(active))} {want}: ", *joined(parts), *others, "."))


def loops(contention: Contention) -> Iterable[Fact]:
    """Pipelines that are started again and again."""
    for loop in contention.loops[:_FEW]:
        active = sum(run.ref.pipeline == loop.pipeline for run in contention.active)
        queued = f", {runs(active)} queued" if active else ""
        words: Phrase = (Quoted(loop.pipeline.short), f" is looping: {loop.total} starts since ", loop.since, queued)
        yield Fact("Also:", (*words, "."), Icon.WARNING)
    if len(contention.loops) > _FEW:
        yield Fact("Also:", (f"{len(contention.loops) - _FEW} more pipelines are looping.",), Icon.WARNING)


def loop_words(loop: Loop) -> Phrase:
    """How often, since when, how fast, and what starts it."""
    source = source_of(loop)
    by: Phrase = (" by ", Quoted(loop.actor)) if loop.actor else ()
    what: Phrase = () if source is LoopSource.UNTOLD else (f", from {source}",)
    return (f"{loop.total} starts since ", loop.since, f", {pace(loop.every)}", *by, *what)


def runs(count: int) -> str:
    return "1 run" if count == 1 else f"{count} runs"


def going(run: Run) -> Phrase:
    """A run with what it is doing, or how it ended."""
    attempt = f", attempt {run.attempt}" if run.attempt > 1 else ""
    if run.phase is not Phase.ENDED:
        since: Phrase = (" since ", run.started_at) if run.started_at else ()
        return (run_name(run), f"{attempt}: {PHASES[run.phase]}", *since)
    at: Phrase = (" at ", run.ended_at) if run.ended_at else ()
    return (run_name(run), f"{attempt}: {ENDED[run.conclusion].removeprefix('was ')}", *at)


def lock_id(lock: LockInfo) -> Phrase:
    """What names the lock, and the Terraform that took it."""
    version: Phrase = (", Terraform ", Quoted(lock.version)) if lock.version else ()
    return ("Lock ", Quoted(lock.id), *version, ".")


def unlisted(inspection: Inspection) -> Iterable[Fact]:
    """Pipelines whose runs could not be listed, where no lock's attribution says so already."""
    if inspection.attribution is not None and inspection.attribution.unseen:
        return
    missing = [look for look in inspection.looks if not isinstance(look.listing, Found)]
    for look in missing[:_FEW]:
        why = () if isinstance(look.listing, Found) else trouble(look.listing)
        words: Phrase = (f"the runs of {look.system}: ", *why, ". Other runs may be hidden there.")
        yield Fact("Not seen:", words, Icon.WARNING)
