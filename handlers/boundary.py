"""The one boundary around every listener: nothing that a person does ends in silence.

An error becomes a message with what happened, whether anything was changed, what to do next
and a reference that is in the log too.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias

import structlog

from bot.core.nearest import did_you_mean
from bot.core.phrase import Phrase, Quoted, plain
from bot.core.record.redact import redact
from bot.core.reports.report import Notice
from bot.errors import (
    Denied,
    JournalAway,
    JournalRefused,
    NoSuchRun,
    NotPermitted,
    NotReplicated,
    Throttled,
    UnknownState,
    UpstreamError,
)
from bot.usecases.world import World
from handlers.asker import Asker, answer
from handlers.typed.grammar import FORMS

log = structlog.get_logger()

_MOST_NAMED = 20
_UNCHANGED = "Nothing was changed, and no lock was touched."
_MAY_HAVE_BEGUN: Phrase = ("It may have started before that: ", Quoted("/tflock status"), " shows how things are.")

Work: TypeAlias = Callable[[], Awaitable[str]]
"""Does what was asked and returns the outcome for `tflock_commands_total`."""


async def run(world: World, command: str, asker: Asker, work: Work) -> None:
    """Never raises."""
    with structlog.contextvars.bound_contextvars(command=command, user=asker.user, channel=asker.channel):
        outcome = await _outcome(world, command, asker, work)
        world.meter.command(command, outcome)
        log.info("command.handled", outcome=outcome)


async def _outcome(world: World, command: str, asker: Asker, work: Work) -> str:
    try:
        return await work()
    except Exception as error:  # noqa: BLE001 - this is the boundary: whatever it is, the asker hears of it
        await _tell(world, command, asker, error)
        return "refused" if isinstance(error, NotPermitted | UnknownState) else "failed"


async def _tell(world: World, command: str, asker: Asker, error: Exception) -> None:
    reference = world.new_id()
    notice = notice_of(command, error, reference)
    if notice.reference:
        log.error("command.broke", reference=reference, exc_info=error)
    else:
        reason = type(error).__name__ if isinstance(error, UnknownState | NoSuchRun) else str(error)
        log.info("command.refused", reason=reason)  # of those two, the message has what was typed
    try:
        await answer(world.messenger, asker, notice)
    except UpstreamError as slack:
        log.error("command.not_answered", reference=reference, detail=slack.detail)  # noqa: TRY400 - no bug to trace
        if slack.passes and command != "home":
            await answer_later(world, asker, notice, reference)


async def answer_later(world: World, asker: Asker, notice: Notice, reference: str) -> None:
    """By a worker, when Slack takes messages again: it may ask for patience for minutes."""
    found_by = (f"Reference {notice.reference}",) if notice.reference else ()
    words = "\n".join((*map(plain, notice.lines), *found_by))
    said = (asker.channel, asker.user, asker.thread, redact(notice.headline), redact(words))
    try:
        await world.jobs.start("answer", *said, key=f"answer:{reference}")
    except JournalAway as away:
        log.error("command.not_answered", reference=reference, detail=str(away))  # noqa: TRY400 - no bug to trace


def notice_of(command: str, error: Exception, reference: str) -> Notice:
    """What the asker reads. Only an error that nobody foresaw carries the reference."""
    match error:
        case UnknownState():
            return _unknown_state(command, error)
        case NotPermitted():
            return _no_such_run(command, error) if isinstance(error, NoSuchRun) else _refused(error)
        case NotReplicated():
            return _not_replicated()
        case JournalAway():
            return journal_away(command, error, changed(command))
        case UpstreamError():
            return _upstream(command, error)
        case _:
            lines: tuple[Phrase, ...] = (
                ("This is a bug in tflock. ", *changed(command)),
                ("Try again. If it keeps failing, give the reference to the people who run tflock: it is in the log.",),
            )
            return Notice("Something went wrong", lines, reference)


def changed(command: str) -> Phrase:
    """What is known of a command that broke off. A click on a request may have set the worker going before it did."""
    return _MAY_HAVE_BEGUN if command.startswith(("unlock.", "kill.")) else (_UNCHANGED,)


def _unknown_state(command: str, error: UnknownState) -> Notice:
    lines: list[Phrase] = []
    nearest = error.nearest or did_you_mean(error.name, error.known)
    if nearest:
        lines.append(("Did you mean ", Quoted(f"/tflock {command} {nearest}"), "?"))
    more = len(error.known) - _MOST_NAMED
    known = ", ".join(error.known[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
    lines.append(("The configured states are: ", Quoted(known)))
    lines += _usage(command) if command == "kill-job" else ()
    lines.append((_UNCHANGED,))
    return Notice(f"There is no state called “{error.name[:60]}”", tuple(lines))


def _refused(error: NotPermitted) -> Notice:
    return Notice("That cannot be done", ((str(error),),))


def _no_such_run(command: str, error: NoSuchRun) -> Notice:
    shows: Phrase = (Quoted("/tflock status"), " shows the runs of a state.")
    if not error.systems:
        isnt: Phrase = ("It isn't the address of a run of a pipeline in tflock's configuration. ", *shows)
        return Notice("I know no run at this address", (isnt, *_usage(command), (_UNCHANGED,)))
    name = error.run if error.run.isalnum() else "at this address"
    check: Phrase = ("Check the number, or give the run's address. ", *shows)
    return Notice(f"No run {name} in {', '.join(error.systems)}", (check, (_UNCHANGED,)))


def _usage(command: str) -> tuple[Phrase, ...]:
    """What the command takes; nothing for a click."""
    return tuple(("Usage: ", Quoted(f"/tflock {form.usage}")) for form in FORMS if form.name == command)


def _not_replicated() -> Notice:
    lines: tuple[Phrase, ...] = (
        ("It was written down, but no replica of Redis has confirmed it yet. A fail-over may have lost it.",),
        ("No lock was released. tflock releases nothing until a replica confirms.",),
        ("Try again in a minute. If it keeps failing, tell the people who run tflock.",),
    )
    return Notice("This is not safe yet", lines)


def journal_away(command: str, error: JournalAway, what_changed: Phrase = (_UNCHANGED,)) -> Notice:
    """One that Redis refuses ends when someone changes something there, any other when Redis is back."""
    refused = isinstance(error, JournalRefused)
    why: Phrase = ("The timeline (Redis) can't be reached, and without it nothing is unlocked or killed.",)
    then: Phrase = (" Ask again when Redis is back.",)
    if refused:
        why = (
            "The timeline and the jobs don't work, and without them nothing is unlocked or killed: ",
            Quoted(str(error)),
        )
        then = (" The people who run tflock can fix this: ", Quoted("tflock doctor"), " says how.")
    lines: tuple[Phrase, ...] = (
        why,
        what_changed,
        ("Reading still works: ", Quoted("/tflock status"), ".", *then),
    )
    typed = "This" if "." in command else command  # a click's name is for logs and metrics
    return Notice(f"{typed} is not possible right now", lines)


def _upstream(command: str, error: UpstreamError) -> Notice:
    advice = {
        Throttled: "Wait a minute, then ask again.",
        Denied: "The people who run tflock can fix that; `tflock doctor` names what is missing.",
    }.get(type(error), "Try again. If it keeps failing, check whether that system is up.")
    lines: tuple[Phrase, ...] = ((f"{error.system} says: ", Quoted(error.detail)), changed(command), (advice,))
    return Notice(f"{error.system} didn't respond as expected", lines)
