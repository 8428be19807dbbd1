"""The moments that an incident turned on: those that people chose, and those that the facts show.

A reader who was not there gets the story from these, in a minute: the lock, what became of its run, what made it
worse, who acted, and when it was free.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice

from bot.core.account.values import Account, Mark, Role
from bot.core.gate.ending import BADLY
from bot.core.lock import operation_word
from bot.core.phrase import Linked, Phrase, Quoted, pace, quoted
from bot.core.record.kinds import MarkKind
from bot.core.run import Conclusion

MOST_MOMENTS = 60
_MOST_ALIKE = 5
"""Of locks, runs, loops and tables: at most this many are shown."""

_MARKS = {
    MarkKind.KEY: "Key moment",
    MarkKind.UNLOCK: "Lock released",
    MarkKind.KILL: "Runs ended",
    MarkKind.OWNER: "Owner answered",
    MarkKind.ALERT: "Alert",
}


@dataclass(frozen=True, slots=True)
class KeyMoment:
    """`words` say what it is, `said` describes it. `actor` and `entry` are empty where no entry of the timeline is it.

    `chosen`: a person marked it. `page` is the address of the message, the ticket or the run that it is about, where
    `said` does not link it.
    """

    at: datetime
    words: str
    said: Phrase
    actor: str = ""
    entry: str = ""
    chosen: bool = False
    page: str = ""


def key_moments(account: Account) -> tuple[KeyMoment, ...]:
    """By when they happened. Where there are too many, those that people chose stay.

    Within a second a lock comes before its run's end, which CI systems give only in whole seconds.
    """
    found = [moment for tell in _TOLD for moment in tell(account)]
    room = MOST_MOMENTS - sum(moment.chosen for moment in found)
    others = [moment for moment in found if not moment.chosen][: max(0, room)]
    chosen = [moment for moment in found if moment.chosen][:MOST_MOMENTS]
    return tuple(sorted((*others, *chosen), key=lambda moment: moment.at.replace(microsecond=0)))


def unnoticed(account: Account) -> timedelta | None:
    """How old the oldest lock was when the first command came; None without either, or if it came before."""
    first = account.summary.first_command_at
    since = min((lock.since for lock in account.locks), default=None)
    return None if first is None or since is None or first <= since else first - since


def _locks(account: Account) -> Iterator[KeyMoment]:
    for lock in account.locks[:_MOST_ALIKE]:
        operation = operation_word(lock.operation)
        doing: Phrase = (", for ", Quoted(operation)) if operation else ()
        who = quoted(lock.who, "someone who gave no name")
        yield KeyMoment(lock.since, "Lock taken", (Quoted(lock.state), " by ", who, *doing))


def _ends(account: Account) -> Iterator[KeyMoment]:
    """The runs that came to a bad end with a lock held."""
    for run in islice((run for run in account.runs if run.role is Role.HOLDER), _MOST_ALIKE):
        if run.until is not None and run.conclusion in BADLY:
            words = "Runner lost" if run.conclusion == Conclusion.LOST else f"Run {run.conclusion}"
            said: Phrase = (
                "run ", Linked(run.run_id, run.url), " of ", quoted(run.pipeline, "a pipeline without a name"),
                ", after ", run.until - run.since,
            )  # fmt: skip
            yield KeyMoment(run.until, words, said)


def _loops(account: Account) -> Iterator[KeyMoment]:
    for loop in account.loops[:_MOST_ALIKE]:
        often = f" is started again and again from here on, {pace(loop.every)}"
        said: Phrase = (quoted(loop.pipeline, "a pipeline"), often)
        yield KeyMoment(loop.since, "Loop began", said)


def _throttling(account: Account) -> Iterator[KeyMoment]:
    """The first look at which a table refused requests."""
    first = next((sample for sample in account.samples if sample.throttled), None)
    if first is not None:
        tables = (table.name for table in account.tables if first.state in table.states)
        yield KeyMoment(first.at, "Lock table refuses requests", (quoted(next(tables, None), "its name is not known"),))


def _first_command(account: Account) -> Iterator[KeyMoment]:
    commands = [mark for mark in account.marks if mark.kind is MarkKind.COMMAND]
    if commands:
        first = min(commands, key=lambda mark: mark.at)
        yield KeyMoment(first.at, "First command", (Quoted(first.label),), first.actor, first.entry)


def _marks(account: Account) -> Iterator[KeyMoment]:
    """One entry may be both: chosen, and told anyhow."""
    by_entry = dict[str, list[Mark]]()
    for mark in account.marks:
        if mark.kind in _MARKS:
            by_entry.setdefault(mark.entry, []).append(mark)
    yield from map(_moment, by_entry.values())


def _moment(marks: list[Mark]) -> KeyMoment:
    told = next((mark for mark in marks if mark.kind is not MarkKind.KEY), marks[0])
    chosen = any(mark.kind is MarkKind.KEY for mark in marks)
    milestone = next((mark.milestone for mark in marks if mark.milestone), "")
    words = milestone.capitalize() or _MARKS[told.kind]
    return KeyMoment(told.at, words, (Quoted(told.label),), told.actor, told.entry, chosen, told.page)


_TOLD: Sequence[Callable[[Account], Iterator[KeyMoment]]] = (
    _locks, _ends, _loops, _throttling, _first_command, _marks,
)  # fmt: skip
