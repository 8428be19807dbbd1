"""What is known of a state, in words: labelled sentences for Slack and the terminal alike.

A fact's label is ours (a state's name may stand in it); everything that others wrote is in the phrase.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from bot.core.evidence import Found, NotFound, Trouble, Unseen
from bot.core.gate.attribution import Candidate, Strength
from bot.core.gate.contention import Contention, Loop, LoopSource, source_of
from bot.core.gate.ending import how_it_ended, is_over, run_name, why_alive
from bot.core.gate.inspection import Inspection, Owner
from bot.core.lock import DigestMatch, LockInfo, LockPlace, PlaceKind, StateAbsent, StateCheck, StateSeen, age
from bot.core.people import OwnerAnswer, OwnerSays
from bot.core.phrase import Person, Phrase, Quoted, joined
from bot.core.run import Phase, Run

_FEW = 3
_THOUSAND = 1_000
_UNITS = ("kB", "MB", "GB", "TB")
_AGAIN = "Ask again; if that stays so, have someone run “tflock doctor”."


class Mark(Enum):
    """A sign at the start of a line: Slack's emoji name, and what stands for it in a terminal."""

    NONE = ("", "")
    GOOD = ("white_check_mark", "✓")
    WARNING = ("warning", "!")
    APPROVAL = ("busts_in_silhouette", "+")
    BAD = ("x", "✗")
    WAIT = ("hourglass_flowing_sand", "…")
    LOCKED = ("lock", "■")
    FREE = ("unlock", "□")
    UNKNOWN = ("grey_question", "?")

    def __init__(self, emoji: str, sign: str) -> None:
        self.emoji = emoji
        self.sign = sign


@dataclass(frozen=True, slots=True)
class Fact:
    label: str
    phrase: Phrase = ()
    mark: Mark = Mark.NONE


PLACE_NAMES = {PlaceKind.FILE: "lockfile", PlaceKind.ITEM: "DynamoDB item"}

_OPERATIONS = {
    "OperationTypeApply": "apply",
    "OperationTypePlan": "plan",
    "OperationTypeRefresh": "refresh",
}

_STRENGTHS = {
    Strength.CLAIM: "sure: the job said so itself",
    Strength.RUN_ID: "sure: the lock's host name carries the run id",
    Strength.HOST: "strong: by the host",
    Strength.WINDOW: "weak: by the time alone",
}

_SAYS = {
    OwnerSays.DEAD: "says that it is dead",
    OwnerSays.RUNNING: "says that it is still running",
    OwnerSays.LATER: "wants to be asked later",
}

PHASES = {
    Phase.WAITING: "waiting to run",
    Phase.RUNNING: "running",
    Phase.ENDING: "being ended",
    Phase.UNKNOWN: "in a condition that is not known",
}


def command(words: str) -> Quoted:
    """A command as it is typed in Slack."""
    return Quoted(f"/tflock {words}")


def headline(inspection: Inspection) -> Fact:
    """Whether the state is locked: the sentence that everybody reads first."""
    name, seen = inspection.state.name, inspection.seen
    if inspection.lock is not None:
        return Fact(f"{name} is locked", lock_words(inspection.lock, inspection.at), Mark.LOCKED)
    if seen.is_free:
        return Fact(f"{name} is free", (": no lock stands there.",), Mark.FREE)
    if seen.garbage:
        return Fact(f"{name} is locked", (" by something that is not lock info.",), Mark.LOCKED)
    if seen.is_throttled:
        refused = ": it refuses even the question whether a lock stands there. That is no fault of a lock."
        return Fact(f"The lock table of {name} is throttled", (refused,), Mark.WARNING)
    return Fact(f"It is not known whether {name} is locked", (": the lock could not be read.",), Mark.UNKNOWN)


def lock_words(info: LockInfo, now: datetime) -> Phrase:
    return (" since ", info.created, " (", age(info, now), " ago) by ", *who(info), ", for ", *operation(info), ".")


def who(info: LockInfo) -> Phrase:
    return (Quoted(info.who),) if info.who.strip("@ ") else ("somebody whom the lock does not name",)


def operation(info: LockInfo) -> Phrase:
    if not info.operation:
        return ("an operation that the lock does not name",)
    known = _OPERATIONS.get(info.operation)
    return (known,) if known else (Quoted(info.operation),)


def places(inspection: Inspection) -> Iterable[Fact]:
    """Where the lock stands, if that is not all in order."""
    seen = inspection.seen
    held, lock = seen.held, inspection.lock
    for place in seen.garbage:
        yield Fact("Not readable:", _garbage(place), Mark.WARNING)
    for kind, why in seen.unseen:
        if isinstance(why, Unseen) and why.trouble is Trouble.THROTTLED and kind is PlaceKind.ITEM:
            continue  # that is told of the table, since nothing is wrong with the lock
        yield Fact("Not seen:", (f"the {PLACE_NAMES[kind]}: ", *trouble(why), ". ", _AGAIN), Mark.WARNING)
    if len(seen.locks) > 1:
        yield Fact("Two locks:", (*joined(_each_place(held), "; "), "."), Mark.WARNING)
    elif lock is not None and len(held) == 1 and seen.free:
        left, gone = PLACE_NAMES[held[0].kind], PLACE_NAMES[seen.free[0]]
        yield Fact("Half a lock:", (f"only the {left} is left; the {gone} is gone already.",), Mark.WARNING)


def _garbage(place: LockPlace) -> Phrase:
    why = Quoted(place.garbage or "it is not lock info")
    return (
        f"the {PLACE_NAMES[place.kind]} in ",
        Quoted(place.where),
        ": ",
        why,
        ". The bot cannot release it: look there.",
    )


def _each_place(held: Sequence[LockPlace]) -> Iterable[Phrase]:
    for place in held:
        if place.info is not None:
            yield (f"the {PLACE_NAMES[place.kind]} holds ", Quoted(place.info.id), " of ", *who(place.info))


def trouble(seen: NotFound | Unseen) -> Phrase:
    """Why a look-up brought nothing."""
    return (Quoted(f"not found: {seen.what}" if isinstance(seen, NotFound) else seen.detail),)


def holder(inspection: Inspection) -> Iterable[Fact]:
    """The runs that may hold the lock, and what became of them."""
    tied = inspection.attribution
    if tied is None:
        return
    for candidate in tied.candidates[:_FEW]:
        yield Fact("Run:", (*fate(candidate), *started_by(candidate.run), "."))
    if len(tied.candidates) > _FEW:
        yield Fact("Runs:", (f"{len(tied.candidates) - _FEW} more may hold the lock.",))
    if tied.strength is not None:
        yield Fact("How sure:", (_STRENGTHS[tied.strength], " (", *tied.reason, ")."))
    else:
        yield Fact("Run: unknown.", (" ", *tied.reason, "."), Mark.UNKNOWN)
    for missing in tied.unseen[:_FEW]:
        words: Phrase = (f" {missing.system} gave no answer that counts: ", *trouble(missing), ". ", _AGAIN)
        yield Fact("Not seen:", words, Mark.WARNING)


def fate(candidate: Candidate) -> Phrase:
    return how_it_ended(candidate) if is_over(candidate) else why_alive(candidate)


def started_by(run: Run) -> Phrase:
    return (", started by ", Quoted(run.actor)) if run.actor else ()


def is_hidden(inspection: Inspection) -> bool:
    """Whether what stands in the way is not a run that is seen to go on, but one that cannot be seen."""
    tied = inspection.attribution
    if tied is None:
        return False
    blocking = [candidate for candidate in tied.candidates if not is_over(candidate)]
    unread = [candidate for candidate in blocking if not _is_read(candidate)]
    return len(unread) == len(blocking) and bool(unread or tied.unseen)


def _is_read(candidate: Candidate) -> bool:
    return isinstance(candidate.seen, Found) and candidate.seen.value.jobs is not None


def owner(found: Owner | None, answer: OwnerAnswer | None) -> Iterable[Fact]:
    """The person behind the lock, and what that person said."""
    if found is not None:
        yield Fact("Owner:", (Person(found.slack_id, found.name), " (", *found.source, ")."))
    if answer is not None:
        mark = Mark.BAD if answer.says is OwnerSays.RUNNING else Mark.NONE
        yield Fact("Answer:", (Person(answer.owner_id, ""), f" {_SAYS[answer.says]} (", answer.at, ")."), mark)


def owners(found: Sequence[Owner]) -> Iterable[Fact]:
    """Those whose the lock may be, where that is not one person."""
    if not found:
        return
    named = joined([(Person(one.slack_id, one.name), " (", *one.source, ")") for one in found[:_FEW]])
    more = f" and {len(found) - _FEW} more" if len(found) > _FEW else ""
    said = "perhaps " if len(found) == 1 else "not known; it may be "
    yield Fact("Owner:", (said, *named, f"{more}. Not asked, since it is not certain."), Mark.UNKNOWN)


def stored(check: StateCheck, now: datetime) -> Iterable[Fact]:
    """The state object: is it quiet and whole."""
    if not isinstance(check.state, Found):
        yield Fact("State:", ("it could not be read: ", *trouble(check.state), ". ", _AGAIN), Mark.WARNING)
    elif isinstance(check.state.value, StateAbsent):
        yield _absent(check.state.value)
    else:
        yield _state(check.state.value, now)
    yield from _digest(check)


def _absent(state: StateAbsent) -> Fact:
    if not state.traces:
        return Fact("State:", ("none has been written here yet.",))
    gone: Phrase = ("the object is gone: ", Quoted("; ".join(state.traces)), *_last_good(state.last_good_version), ".")
    return Fact("State:", gone, Mark.WARNING)


def _state(state: StateSeen, now: datetime) -> Fact:
    last: Phrase = ("last written ", state.last_written, " (", now - state.last_written, " ago)")
    if state.fault is not None:
        broken: Phrase = ("it is broken: ", Quoted(state.fault), *_last_good(state.last_good_version), "; ", *last, ".")
        return Fact("State:", broken, Mark.WARNING)
    serial = "no serial" if state.serial is None else f"serial {state.serial}"
    return Fact("State:", (f"whole, {serial}, {file_size(state.size)}, ", *last, "."))


def _last_good(version: str | None) -> Phrase:
    return ("; the last good version is ", Quoted(version)) if version else ()


def _digest(check: StateCheck) -> Iterable[Fact]:
    seen = check.digest
    if seen.match is DigestMatch.UNSEEN:
        why: Phrase = (": ", Quoted(seen.detail)) if seen.detail else ()
        yield Fact("Digest:", ("the digest item could not be read", *why, "."), Mark.WARNING)
    if seen.match is DigestMatch.DIFFERS:
        yield Fact("Digest:", (*digest_mend(check), "."), Mark.WARNING)


def digest_mend(check: StateCheck) -> Phrase:
    """What to do about a digest that does not match. Source: Terraform's S3 backend, `errBadChecksumFmt`."""
    key = Quoted(check.digest.key or "")
    cure: Phrase = (
        ("remove item ", key, " if the state is meant to be gone")
        if check.digest.actual is None
        else ("set Digest of item ", key, " to ", Quoted(check.digest.actual))
    )
    return ("it does not match the state, so Terraform will refuse to read it. Unlocking does not cure that: ", *cure)


def file_size(size: int) -> str:
    """A size in bytes for people, in powers of a thousand."""
    if size < _THOUSAND:
        return f"{size} bytes"
    power = min(len(_UNITS), (len(str(size)) - 1) // 3)
    return f"{size / _THOUSAND**power:.1f} {_UNITS[power - 1]}"


def queue(contention: Contention, name: str, *, held: bool) -> Iterable[Fact]:
    """Who else wants the lock, by pipeline, and which loops there are."""
    active = contention.active
    if active:
        counted = Counter(run.ref.pipeline.title for run in active).most_common()
        parts = [(f"{number} of ", Quoted(title)) for title, number in counted[:_FEW]]
        others = (f" and {len(counted) - _FEW} more pipelines",) if len(counted) > _FEW else ()
        one = len(active) == 1
        want = ("wants the lock" if one else "want the lock") if held else ("is going on" if one else "are going on")
        yield Fact("Queue:", (f"{runs(len(active))} {want}: ", *joined(parts), *others, "."))
    for loop in contention.loops[:_FEW]:
        words: Phrase = (*loop_words(loop), ". End it with ", command(f"kill-job {name}"), ".")
        yield Fact("Loop:", words, Mark.WARNING)
    if len(contention.loops) > _FEW:
        yield Fact("Loops:", (f"{len(contention.loops) - _FEW} more.",), Mark.WARNING)


def loop_words(loop: Loop) -> Phrase:
    """How often, since when, by whom, and what starts it."""
    by: Phrase = (" by ", Quoted(loop.actor)) if loop.actor else ()
    started: Phrase = (Quoted(loop.pipeline.title), f" was started {loop.total} times since ", loop.since)
    return (*started, ", about every ", loop.every, *by, *_loop_source(loop))


def _loop_source(loop: Loop) -> Phrase:
    source = source_of(loop)
    word: Phrase = (" (", Quoted(loop.trigger), ")") if loop.trigger else ()
    if source is LoopSource.UNTOLD:
        return word
    return (f"; what starts it: {source}", *word)


def runs(count: int) -> str:
    return "1 run" if count == 1 else f"{count} runs"


def going(run: Run) -> Phrase:
    """A run with what it is doing, or how it ended."""
    attempt = f", attempt {run.attempt}" if run.attempt > 1 else ""
    if run.phase is not Phase.ENDED:
        since: Phrase = (" since ", run.started_at) if run.started_at else ()
        return (run_name(run), f"{attempt}: {PHASES[run.phase]}", *since)
    at: Phrase = (" at ", run.ended_at) if run.ended_at else ()
    return (run_name(run), f"{attempt}: ended, {run.conclusion or 'how is not known'}", *at)


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
        words: Phrase = (f"the runs of {look.system}: ", *why, ". Who else wants the lock may be hidden there.")
        yield Fact("Not seen:", words, Mark.WARNING)
