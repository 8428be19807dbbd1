"""The incident in figures and in a few sentences, from nothing but the facts of its account.

The sentences are for someone who was not there: what was locked, by whom and since when; why; what made it worse; who
did what; when it was free, and how long it took.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from bot.core.account.values import (
    Account,
    Cause,
    LockEnd,
    LockSpan,
    LoopSpan,
    Participant,
    Role,
    RunSpan,
    StateSummary,
    Summary,
)
from bot.core.gate.contention import LoopSource
from bot.core.gate.ending import BADLY
from bot.core.lock import operation_word
from bot.core.phrase import Linked, Person, Phrase, Quoted, joined, pace, quoted
from bot.core.record.kinds import MarkKind
from bot.core.run import ENDED, Conclusion

EMPTY = Summary((), None, None, (Cause.UNKNOWN,), (), 0, ())

_MOST_TOLD = 3
"""Of locks, loops and so on: this many are described one by one, and the rest are counted."""

_SOURCES: Mapping[str, str] = {
    LoopSource.RETRIES: "by re-runs of the same run",
    LoopSource.SCHEDULE: "by a schedule",
    LoopSource.PIPELINE: "by another pipeline",
    LoopSource.REQUEST: "by a webhook or an API call",
    LoopSource.BOT: "by a bot",
}

_ANSWERS = {"dead": "that it is dead", "running": "that it is still running", "later": "to be asked later"}


def summarize(account: Account, parts: tuple[Participant, ...]) -> Summary:
    """The summary of an account that has none yet."""
    commands = [mark.at for mark in account.marks if mark.kind is MarkKind.COMMAND]
    return Summary(
        states=_summaries(account),
        first_command_at=min(commands, default=None),
        unlocked_at=max((release.at for release in account.releases), default=None),
        causes=causes(account),
        parts=parts,
        most_contenders=max((sample.contenders for sample in account.samples), default=0),
        told=told(account),
    )


def causes(account: Account) -> tuple[Cause, ...]:
    """All classes of cause that the facts bear out, the most telling first."""
    holders = _holders(account)
    found = {Cause[Conclusion(run.conclusion).name] for run in holders if run.until and run.conclusion in BADLY}
    if any(run.until is None for run in holders):
        found.add(Cause.RUNNING)
    if any(lock.human_held for lock in account.locks):
        found.add(Cause.LAPTOP)
    if account.loops:
        found.add(Cause.LOOP)
    if any(sample.throttled for sample in account.samples) or any(table.throttled for table in account.tables):
        found.add(Cause.THROTTLING)
    return tuple(cause for cause in Cause if cause in found) or (Cause.UNKNOWN,)


def told(account: Account) -> tuple[Phrase, ...]:
    """Up to six sentences, in the order in which it happened. They name nobody and nothing that is not in the facts.

    Each part of the story is one sentence, and what there is nothing to say of has none.
    """
    return tuple(sentence for tell in _STORY if (sentence := tell(account)))


def person(account: Account, actor: str) -> Person:
    """Someone by their Slack id, with their name where it is known."""
    return Person(actor, account.names.get(actor, ""))


def run_words(run: RunSpan) -> Phrase:
    """`run 4711 of deploy.yml in acme/infra`."""
    return ("run ", Linked(run.run_id, run.url), " of ", quoted(run.pipeline, "a pipeline without a name"))


def _locked(account: Account) -> Phrase:
    locks, incident = account.locks, account.incident
    if not locks:
        by: Phrase = (", which ", person(account, incident.opened_by), " opened at ", incident.opened_at, ".")
        return ("No lock was seen in this incident", *by)
    words = joined((_lock_words(account, lock) for lock in locks[:_MOST_TOLD]), "; ")
    return (*words, *_more(len(locks), "locks"), ".")


def _lock_words(account: Account, lock: LockSpan) -> Phrase:
    operation = operation_word(lock.operation)
    doing: Phrase = (" (", Quoted(operation), ")") if operation else ()
    return (
        Quoted(lock.state), " was locked by ", quoted(lock.who, "someone who gave no name"), *doing, " from ",
        lock.since, *_behind(account, lock),
    )  # fmt: skip


def _behind(account: Account, lock: LockSpan) -> Phrase:
    """Whose lock it was: the run that held it, if only one can have, and the owner."""
    runs = [run for run in _holders(account) if (run.state, run.lock_id) == (lock.state, lock.lock_id)]
    by: Phrase = (", for ", *run_words(runs[0])) if len(runs) == 1 else ()
    if lock.owner:
        return (*by, ", started by " if by else ", which belongs to ", lock.person(account.names))
    actor: Phrase = (", started by ", Quoted(runs[0].actor)) if by and runs[0].actor else ()
    return (*by, *actor)


def _why(account: Account) -> Phrase:
    """What became of the runs that may have held the locks, and of locks that no CI took."""
    holders = _holders(account)
    ends = [_end_words(account, run) for run in holders[:_MOST_TOLD]]
    if any(lock.human_held for lock in account.locks):
        ends.append(("nothing shows that a CI took the lock, so someone's own machine may have",))
    if not ends:
        return ("Which run held it is not known.",) if account.locks else ()
    return _sentence((*joined(ends, "; "), *_more(len(holders), "runs")))


def _end_words(account: Account, run: RunSpan) -> Phrase:
    only = len(_holders(account)) == 1
    subject: Phrase = ("that run",) if only else run_words(run)
    if run.until is None:
        return (*subject, " was still running at the last look")
    ended = ENDED.get(run.conclusion or None, "ended")
    left = " and left the lock behind" if run.conclusion in BADLY else ""
    return (*subject, f" {ended} at ", run.until, " after ", run.until - run.since, left)


def _worse(account: Account) -> Phrase:
    """The loops, the crowd and the table that refused requests."""
    parts = [_loop_words(loop) for loop in account.loops[:_MOST_TOLD]]
    most = max((sample.contenders for sample in account.samples), default=0)
    if len(account.loops) > _MOST_TOLD:
        parts.append((f"{len(account.loops) - _MOST_TOLD} more loops",))
    if most > 1:
        parts.append((f"up to {most} runs at once wanted the lock",))
    refusing = [table for table in account.tables if table.throttled]
    for table in refusing[:_MOST_TOLD]:
        billing: Phrase = (" (", Quoted(table.billing), ")") if table.billing else ()
        parts.append(("lock table ", Quoted(table.name), *billing, " refused requests"))
    if not refusing and any(sample.throttled for sample in account.samples):
        parts.append(("the lock table refused requests",))
    return _sentence(joined(parts, "; ")) if parts else ()


def _loop_words(loop: LoopSpan) -> Phrase:
    source = _SOURCES.get(loop.source)
    return (
        quoted(loop.pipeline, "a pipeline without a name"), f" was started {loop.starts} times", *((" ", source) if
        source else ()), f", {pace(loop.every)}, from ", loop.since,
    )  # fmt: skip


def _ended_by(account: Account) -> Phrase:
    """Who ended runs and loops, and what the owners answered."""
    parts: list[tuple[datetime, Phrase]] = []
    for kill in account.kills:
        if kill.ended:
            runs = f" ended {kill.runs} run{'' if kill.runs == 1 else 's'} of "
            stopped: Phrase = (" and disabled it",) if kill.stopped else ()
            pipeline = quoted(kill.pipeline, "a pipeline")
            parts.append((kill.at, (person(account, kill.actor), runs, pipeline, *stopped, " at ", kill.at)))
    parts += [
        (answer.at, (person(account, answer.actor), " answered ", _ANSWERS[answer.says], " at ", answer.at))
        for answer in account.replies
        if answer.says in _ANSWERS
    ]
    words = [words for _, words in sorted(parts, key=lambda part: part[0])]
    return (*joined(words[:_MOST_TOLD], "; "), *_more(len(words), "steps"), ".") if words else ()


def _unlocked(account: Account) -> Phrase:
    """Who released the locks, or what became of them otherwise."""
    freed: list[Phrase] = []
    for release in account.releases:
        approved: Phrase = (" with the approval of ", person(account, release.approver)) if release.approver else ()
        away = f", after the table had refused {release.throttled}" if release.throttled else ""
        tries: Phrase = (f" at the {_ordinal(release.tries)} try{away}",) if release.tries > 1 else ()
        freed.append(
            (person(account, release.actor), " unlocked ", Quoted(release.state), " at ", release.at, *approved, *tries)
        )
    freed.extend(
        (Quoted(lock.state), f" {'was free' if lock.end is LockEnd.GONE else 'had another lock'} at ", lock.until,
         " without an unlock by tflock")
        for lock in account.locks
        if lock.end in {LockEnd.GONE, LockEnd.REPLACED}
    )  # fmt: skip
    freed.extend(
        (Quoted(lock.state), " was still locked at ", lock.until) for lock in account.locks if lock.end is LockEnd.HELD
    )
    return (*joined(freed[:_MOST_TOLD], "; "), *_more(len(freed), "locks"), ".") if freed else ()


def _took(account: Account) -> Phrase:
    """How long it took, from the lock and from the first command."""
    parts: list[Phrase] = [
        (Quoted(state.state), " was locked for ", state.locked_for)
        for state in _summaries(account)[:_MOST_TOLD]
        if state.locked_for is not None
    ]
    commands = [mark.at for mark in account.marks if mark.kind is MarkKind.COMMAND]
    unlocked = max((release.at for release in account.releases), default=None)
    if commands and unlocked is not None:
        parts.append(("from the first command to the unlock it took ", max(timedelta(0), unlocked - min(commands))))
    return _sentence(joined(parts, "; ")) if parts else ()


_STORY: Sequence[Callable[[Account], Phrase]] = (_locked, _why, _worse, _ended_by, _unlocked, _took)


def _sentence(words: Phrase) -> Phrase:
    """With a capital letter, if the first word is ours, and a full stop."""
    first = words[0]
    return (first[:1].upper() + first[1:] if isinstance(first, str) else first, *words[1:], ".")


def _more(number: int, what: str) -> Phrase:
    return (f"; and {number - _MOST_TOLD} more {what}",) if number > _MOST_TOLD else ()


def _ordinal(number: int) -> str:
    ending = "th" if number % 100 in {11, 12, 13} else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def _holders(account: Account) -> list[RunSpan]:
    return [run for run in account.runs if run.role is Role.HOLDER]


def _summaries(account: Account) -> tuple[StateSummary, ...]:
    """The states that the facts speak of, those with locks first."""
    locks: dict[str, list[LockSpan]] = {}
    for lock in account.locks:
        locks.setdefault(lock.state, []).append(lock)
    others = (one.state for some in (account.samples, account.loops, account.runs) for one in some)
    named = dict.fromkeys((*locks, *others))
    return tuple(_state(state, locks.get(state, []), on_hold=state in account.on_hold) for state in named if state)


def _state(state: str, locks: Sequence[LockSpan], *, on_hold: bool) -> StateSummary:
    """It is not free while it has a lock or a hold, or if the last known fact is that another lock took its place."""
    last = max(locks, key=lambda lock: lock.until, default=None)
    replaced = last is not None and last.end is LockEnd.REPLACED
    held = any(lock.end is LockEnd.HELD for lock in locks)
    covered = _covered((lock.since, lock.until) for lock in locks) if locks else None
    return StateSummary(state, locked_for=covered, is_free=not (held or replaced or on_hold))


def _covered(spans: Iterable[tuple[datetime, datetime]]) -> timedelta:
    """How long at least one of the spans lasted."""
    total, end = timedelta(0), None
    for since, until in sorted(spans):
        begin = since if end is None else max(since, end)
        total += max(timedelta(0), until - begin)
        end = until if end is None else max(end, until)
    return total
