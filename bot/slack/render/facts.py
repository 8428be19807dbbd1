"""What is known of a state, in words: labelled sentences for Slack and the terminal alike.

A fact's label is ours (it may contain a state's name); everything that others wrote is in the phrase.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from bot.core.evidence import Found, NotFound, Trouble, Unseen
from bot.core.gate.attribution import Tie
from bot.core.gate.contention import Contention, Loop, LoopSource, source_of
from bot.core.gate.ending import how_it_ended, is_over, run_name, why_alive
from bot.core.gate.inspection import Inspection, Owner
from bot.core.lock import (
    OPERATIONS,
    DigestMatch,
    LockInfo,
    PlaceKind,
    StateAbsent,
    StateCheck,
    StateSeen,
    age,
    operation_word,
)
from bot.core.people import OwnerAnswer, OwnerSays
from bot.core.phrase import Person, Phrase, Quoted, joined
from bot.core.run import Phase, Run
from bot.core.who import is_ci

_FEW = 3
_THOUSAND = 1_000
_UNITS = ("kB", "MB", "GB", "TB")
_NEVER_WRITTEN = "none has been written here yet."
_AGAIN = "Ask again; if that stays so, have someone run “tflock doctor”."


class Icon(Enum):
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
    icon: Icon = Icon.NONE


PLACE_NAMES = {PlaceKind.FILE: "lockfile", PlaceKind.ITEM: "DynamoDB item"}

_TIES = {
    Tie.SEALED: "sealed: nobody else can have taken it",
    Tie.SHOWN: "shown: by the job's log or its machine",
    Tie.BY_TIME: "by time alone: nothing shows that it was this run",
}
_TO_MAKE_CERTAIN: Phrase = ("wrap the job's Terraform with ", Quoted("tflock claim"), " (docs/claims.md).")

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
        lock, ago = inspection.lock, age(inspection.lock, inspection.at)
        what = operation(lock.operation)
        words: Phrase = (" since ", lock.created, " (", ago, " ago) by ", *who(lock), ", for ", *what, ".")
        return Fact(f"{name} is locked", words, Icon.LOCKED)
    if seen.is_free:
        return Fact(f"{name} is free", (": no lock stands there.",), Icon.FREE)
    if seen.garbage:
        return Fact(f"{name} is locked", (" by something that is not lock info.",), Icon.LOCKED)
    if seen.is_throttled:
        refused = ": it refuses even the question whether a lock stands there. That is no fault of a lock."
        return Fact(f"The lock table of {name} is throttled", (refused,), Icon.WARNING)
    return Fact(f"It is not known whether {name} is locked", (": the lock could not be read.",), Icon.UNKNOWN)


def who(info: LockInfo) -> Phrase:
    return (Quoted(info.who),) if info.who.strip("@ ") else ("somebody whom the lock does not name",)


def operation(name: str, otherwise: str = "an operation that the lock does not name") -> Phrase:
    if not name:
        return (otherwise,)
    return (operation_word(name),) if name in OPERATIONS else (Quoted(name),)


def places(inspection: Inspection) -> Iterable[Fact]:
    """The places of the lock, if not all is in order."""
    seen = inspection.seen
    held, lock = seen.held, inspection.lock
    for place in seen.garbage:
        kind, where, why = f"the {PLACE_NAMES[place.kind]} in ", Quoted(place.where), place.garbage
        end = ". The bot cannot release it: look there."
        yield Fact("Not readable:", (kind, where, ": ", Quoted(why or "it is not lock info"), end), Icon.WARNING)
    for half, unseen in seen.unseen:
        if isinstance(unseen, Unseen) and unseen.trouble is Trouble.THROTTLED and half is PlaceKind.ITEM:
            continue  # the facts about the table say so, since nothing is wrong with the lock
        yield Fact("Not seen:", (f"the {PLACE_NAMES[half]}: ", *trouble(unseen), ". ", _AGAIN), Icon.WARNING)
    if len(seen.locks) > 1:
        each: list[Phrase] = [
            (f"the {PLACE_NAMES[place.kind]} holds ", Quoted(place.info.id), " of ", *who(place.info))
            for place in held
            if place.info is not None
        ]
        yield Fact("Two locks:", (*joined(each, "; "), "."), Icon.WARNING)
    elif lock is not None and len(held) == 1 and seen.free:
        left, gone = PLACE_NAMES[held[0].kind], PLACE_NAMES[seen.free[0]]
        yield Fact("Half a lock:", (f"only the {left} is left; the {gone} is gone already.",), Icon.WARNING)


def trouble(seen: NotFound | Unseen) -> Phrase:
    """Why a look-up found nothing."""
    return (Quoted(f"not found: {seen.what}" if isinstance(seen, NotFound) else seen.detail),)


def holder(inspection: Inspection) -> Iterable[Fact]:
    """The runs that may hold the lock, and what became of them."""
    tied = inspection.attribution
    if tied is None:
        return
    for candidate in tied.candidates[:_FEW]:
        fate = how_it_ended(candidate) if is_over(candidate) else why_alive(candidate)
        by: Phrase = (", started by ", Quoted(candidate.run.actor)) if candidate.run.actor else ()
        yield Fact("Run:", (*fate, *by, "."))
    if len(tied.candidates) > _FEW:
        yield Fact("Runs:", (f"{len(tied.candidates) - _FEW} more may hold the lock.",))
    if tied.tie is not None:
        yield Fact("How sure:", (_TIES[tied.tie], " (", *tied.reason, ")."))
    else:
        yield Fact("Run: unknown.", (" ", *tied.reason, "."), Icon.UNKNOWN)
    if not tied.is_exact and (tied.possible or (inspection.lock is not None and is_ci(inspection.lock.who))):
        yield Fact("To be certain next time:", _TO_MAKE_CERTAIN)
    for why in tied.ruled_out[:_FEW]:
        yield Fact("Not the holder:", (*why, "."))
    for log in tied.unread[:1]:
        yield Fact("Log not read:", (*trouble(log), ". It decides nothing."), Icon.WARNING)
    for missing in tied.unseen[:_FEW]:
        words: Phrase = (f" {missing.system} gave no answer that counts: ", *trouble(missing), ". ", _AGAIN)
        yield Fact("Not seen:", words, Icon.WARNING)


def is_hidden(inspection: Inspection) -> bool:
    """Whether what blocks is not a run that is seen to go on, but one that cannot be seen."""
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
    said = "perhaps " if len(found) == 1 else "not known; it may be "
    yield Fact("Owner:", (said, *named, f"{more}. Not asked, since it is not certain."), Icon.UNKNOWN)


def stored(check: StateCheck, now: datetime) -> Iterable[Fact]:
    """The state object: whether it is quiet and whole."""
    if not isinstance(check.state, Found):
        yield Fact("State:", ("it could not be read: ", *trouble(check.state), ". ", _AGAIN), Icon.WARNING)
    elif isinstance(check.state.value, StateAbsent):
        absent = check.state.value
        gone: Phrase = ("the object is gone: ", Quoted("; ".join(absent.traces)), *_good(absent), ".")
        yield Fact("State:", gone, Icon.WARNING) if absent.traces else Fact("State:", (_NEVER_WRITTEN,))
    else:
        yield _state(check.state.value, now)
    if check.digest.match is DigestMatch.UNSEEN:
        why: Phrase = (": ", Quoted(check.digest.detail)) if check.digest.detail else ()
        yield Fact("Digest:", ("the digest item could not be read", *why, "."), Icon.WARNING)
    if check.digest.match is DigestMatch.DIFFERS:
        yield Fact("Digest:", (*digest_advice(check), "."), Icon.WARNING)


def _state(state: StateSeen, now: datetime) -> Fact:
    last: Phrase = ("last written ", state.last_written, " (", now - state.last_written, " ago)")
    if state.fault is not None:
        broken: Phrase = ("it is broken: ", Quoted(state.fault), *_good(state), "; ", *last, ".")
        return Fact("State:", broken, Icon.WARNING)
    serial = "no serial" if state.serial is None else f"serial {state.serial}"
    return Fact("State:", (f"whole, {serial}, {file_size(state.size)}, ", *last, "."))


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
    return ("it does not match the state, so Terraform will refuse to read it. Unlocking won't fix this: ", *cure)


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
        yield Fact("Loop:", words, Icon.WARNING)
    if len(contention.loops) > _FEW:
        yield Fact("Loops:", (f"{len(contention.loops) - _FEW} more.",), Icon.WARNING)


def loop_words(loop: Loop) -> Phrase:
    """How often, since when, by whom, and what starts it."""
    by: Phrase = (" by ", Quoted(loop.actor)) if loop.actor else ()
    started: Phrase = (Quoted(loop.pipeline.title), f" was started {loop.total} times since ", loop.since)
    source = source_of(loop)
    what = () if source is LoopSource.UNTOLD else (f"; what starts it: {source}",)
    word: Phrase = (" (", Quoted(loop.trigger), ")") if loop.trigger else ()
    return (*started, ", about every ", loop.every, *by, *what, *word)


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
        yield Fact("Not seen:", words, Icon.WARNING)
