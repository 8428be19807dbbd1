"""What each command does: from the parsed words to a use case, and from its report to an answer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any, TypeAlias

from bot.core.explain.decode import text_of
from bot.core.explain.explain import NOT_MEANT, Meant, answer_of, explain, would_be
from bot.core.explain.states_named import states_spoken_of
from bot.core.gate.case import Ruling
from bot.core.gate.stages import UnlockStage
from bot.core.hold import USUALLY
from bot.core.phrase import Phrase, Quoted, duration
from bot.core.record.incident import Incident
from bot.core.record.redact import redact
from bot.core.reports.in_flight import RequestInFlight, in_flight_words
from bot.core.reports.report import Notice
from bot.errors import NotPermitted, UpstreamError
from bot.slack.render.page import help_message
from bot.usecases.hold import ask as holds
from bot.usecases.kill import kill_job
from bot.usecases.look.home_tab import locked_now
from bot.usecases.look.recover import Asked, recover, write_down
from bot.usecases.look.status import Question, everything, status, tell_owner
from bot.usecases.look.who import about_user, who
from bot.usecases.look.write_look import weigh_look, write_look
from bot.usecases.queue import waiting_list
from bot.usecases.record import lifecycle
from bot.usecases.record.channel_incidents import is_incident_channel
from bot.usecases.request.in_flight import already_asked
from bot.usecases.unlock import unlock
from bot.usecases.world import World
from handlers import record, timeline
from handlers.asker import Asker, say
from handlers.record import NOT_HERE
from handlers.typed import values
from handlers.typed.grammar import FORMS
from handlers.typed.manual import GROUPS, PARTS, group_of
from handlers.typed.text import readable

OnCommand: TypeAlias = Callable[[World, Any, Asker], Awaitable[str]]
"""Carries a command out. Returns the outcome for the metrics, or raises for the boundary."""

_MOST_NAMED = 5
_MOST_FILES = 3
_LARGEST_FILE = 20 * 1024 * 1024


async def run(world: World, command: values.Command, text: str, asker: Asker) -> str:
    """`text` is the command as Slack sent it: the timeline has it as a person would read it."""
    command = _with_known_name(world, command)
    return await COMMANDS[type(command)](world, command, replace(asker, text=readable(text)))


def _with_known_name(world: World, command: values.Command) -> values.Command:
    """The command with the state as the configuration writes it."""
    match command:
        case values.KillJob(target):
            return replace(command, target=world.named(target))
        case values.Status(str(state)) | values.Who(str(state)) | values.Unlock(state):
            return replace(command, state=world.named(state))
        case values.Watch(state) | values.Recover(state) | values.Hold(state):
            return replace(command, state=world.named(state))
        case _:
            return command


async def _help(world: World, command: values.Help, asker: Asker) -> str:
    forms = [(form.usage, form.summary) for form in FORMS]
    order = [*GROUPS, group_of("")]
    groups = dict(sorted(((form.name, group_of(form.name)) for form in FORMS), key=lambda pair: order.index(pair[1])))
    parts = PARTS.get(command.command or "")
    return await say(world, asker, help_message(forms, command.command, groups=groups, parts=parts))


async def _status(world: World, command: values.Status, asker: Asker) -> str:
    question, names = _question(asker), tuple(world.states)
    if command.state is None and len(names) > 1:
        return await say(world, asker, await everything(world, question))
    report = await status(world, command.state or names[0], question)
    outcome = await say(world, asker, report)
    await write_look(world, report, question)
    await tell_owner(world, report.inspection, question, report)
    return outcome


async def _who(world: World, command: values.Who, asker: Asker) -> str:
    if command.user_id is not None:
        return await say(world, asker, await about_user(world, command.user_id))
    question, names = _question(asker), tuple(world.states)
    if command.state is None and len(names) > 1:
        return await say(world, asker, await everything(world, question))
    report = await who(world, command.state or names[0], question)
    outcome = await say(world, asker, report)
    await weigh_look(world, report.inspection, question)
    await tell_owner(world, report.inspection, question)
    return outcome


async def _unlock(world: World, command: values.Unlock, asker: Asker, *, hold_for: timedelta | None = None) -> str:
    world.state(command.state)
    incident = await _enter(world, command.state, asker)
    if incident is None and not command.dry_run:
        raise NotPermitted(NOT_HERE)
    asked = None if command.dry_run else await already_asked(world, command.state, click=asker.delivery)
    if asked is not None:
        return await say_in_flight(world, asked, asker)
    wanted = unlock.UnlockCommand(
        state=command.state,
        user=asker.user,
        channel=asker.channel,
        incident="" if incident is None else incident.id,
        thread=asker.thread,
        reason=redact(command.reason or ""),
        dry_run=command.dry_run,
        when_safe=command.when_safe,
        click=asker.delivery,
        is_again=asker.is_again,
        hold_for=hold_for,
    )
    report = await unlock.ask(world, wanted)
    if not report.request.ts:
        await say(world, asker, report)
    verdict, stage = report.verdict, report.stage
    if verdict is None or stage is UnlockStage.ALREADY_FREE:
        return str(stage)
    return str(UnlockStage.REFUSED if verdict.ruling is Ruling.REFUSE else verdict.ruling)


async def _hold(world: World, command: values.Hold, asker: Asker) -> str:
    """A free state is taken at once; where a lock is, the gate decides about it as for an unlock."""
    state = world.state(command.state)
    incident = await _enter(world, command.state, asker)
    if incident is None:
        raise NotPermitted(NOT_HERE)
    if command.off:
        await holds.lift_of(world, state, user=asker.user, channel=asker.channel, click=asker.delivery)
        return "ok"
    span, reason = command.span or USUALLY, redact(command.reason or "")
    holds.check_can_hold(state)
    is_begun = await holds.is_begun(world, asker.delivery)
    if not is_begun and not (await holds.look(world, state)).is_free:
        unlock.check_can_swap(state)
        return await _unlock(world, values.Unlock(command.state, reason=command.reason), asker, hold_for=span)
    wanted = holds.HoldCommand(
        command.state, asker.user, asker.channel, incident.id, span, reason, asker.thread,
        click=asker.delivery, is_again=asker.is_again,
    )  # fmt: skip
    await holds.ask(world, wanted)
    return "ok"


async def _kill(world: World, command: values.KillJob, asker: Asker) -> str:
    title = command.target if command.target in world.states else "Terraform run"
    incident = await _enter(world, title, asker)
    if incident is None:
        raise NotPermitted(NOT_HERE)
    wanted = kill_job.KillCommand(
        command.target, asker.user, asker.channel, incident.id, asker.thread, redact(command.reason or ""),
        click=asker.delivery, is_again=asker.is_again,
    )  # fmt: skip
    return str((await kill_job.ask(world, wanted)).stage)


async def _watch(world: World, command: values.Watch, asker: Asker) -> str:
    world.state(command.state)
    await _enter(world, command.state, asker)
    change = stop_waiting if command.off else start_waiting
    return await change(world, command.state, asker)


async def start_waiting(world: World, state: str, asker: Asker) -> str:
    """Puts someone on a state's queue. Anyone who may ask for `status` may wait."""
    world.state(state)
    incident = await world.journal.current(asker.channel)
    wanted = waiting_list.WaitCommand(
        state, asker.user, asker.channel, asker.thread, "" if incident is None else incident.id
    )
    report = await waiting_list.start(world, wanted)
    return await say(world, asker, report, "free" if report.place is None else "ok")


async def stop_waiting(world: World, state: str, asker: Asker) -> str:
    return await say(world, asker, await waiting_list.stop(world, state, asker.user))


async def _recover(world: World, command: values.Recover, asker: Asker) -> str:
    world.state(command.state)
    incident = await _enter(world, command.state, asker)
    asked = Asked(command.run_url, command.lock_id, "" if incident is None else incident.id)
    found = await recover(world, command.state, asked)
    outcome = await say(world, asker, found, "ok" if found.difference is not None else "not compared")
    if incident is not None:
        await write_down(world, incident.id, found, asker.user)
    return outcome


async def explain_text(world: World, command: values.Explain, asker: Asker) -> str:
    """What a pasted error is, or one in an uploaded log. Looks at nothing but the text, and changes nothing."""
    text, unread = command.error, list[Phrase]()
    for file_id in command.files[:_MOST_FILES]:
        try:
            content = await world.files.read(file_id, most=_LARGEST_FILE)
        except UpstreamError as error:
            unread.append(("A file was not read: ", Quoted(error.detail), "."))
            continue
        if content is None:
            unread.append(("A file was not read: it is larger than 20 MiB. Upload the part around the error.",))
        else:
            text = f"{text}\n{await asyncio.to_thread(text_of, content)}"
    if len(command.files) > _MOST_FILES:
        unread.append((f"Only the first {_MOST_FILES} files were read.",))
    if unread and not text.strip():
        return await say(world, asker, Notice("There was nothing to read", tuple(unread)), "unread")

    # a long paste takes tens of milliseconds: in a thread, so that leases and acks do not wait for it
    found = await asyncio.to_thread(explain, text, _paths(world), meant=partial(_meant, world))
    notice = Notice(found.title, (*answer_of(found), *unread))
    return await say(world, asker, notice, str(found.kind))


async def check_lock(world: World, text: str, asker: Asker) -> str:
    """The status of the state that a message is about, to the asker only."""
    found = await asyncio.to_thread(states_spoken_of, text, world.states, _paths(world), {})
    if not found:  # only now the locks are read: the message may hold their IDs
        locks = await locked_now(world)
        found = await asyncio.to_thread(states_spoken_of, text, world.states, _paths(world), locks)
    if len(found) == 1:
        return await run(world, values.Status(found[0]), f"status {found[0]}", asker)
    notice = _several(found) if found else _none(tuple(world.states))
    return await say(world, asker, notice, "several" if found else "none")


async def _misunderstood(world: World, wrong: values.Misunderstood, asker: Asker) -> str:
    lines: list[Phrase] = []
    if wrong.nearest:
        meant = wrong.nearest if wrong.command is None else f"{wrong.command} … {wrong.nearest}"
        lines.append(("Did you mean ", Quoted(f"/tflock {meant}"), "?"))
    if wrong.detail:
        detail = wrong.detail[0].upper() + wrong.detail[1:]
        lines.append((f"{detail}: ", Quoted(wrong.word)) if wrong.word else (f"{detail}.",))
    if wrong.usage:
        lines.append(("Usage: ", Quoted(wrong.usage)))
    lines.append(("Nothing was changed. ", Quoted("/tflock help"), " shows all commands."))
    unknown = wrong.kind is values.Mistake.UNKNOWN_WORD
    word = (wrong.word or "")[:60]
    headline = f"I don't know “{word}”" if unknown else f"I couldn't read that {wrong.command} command"
    return await say(world, asker, Notice(headline, tuple(lines)), wrong.name)


COMMANDS: Mapping[type[values.Command], OnCommand] = {
    values.Help: _help,
    values.Status: _status,
    values.Who: _who,
    values.Unlock: _unlock,
    values.KillJob: _kill,
    values.Hold: _hold,
    values.Timeline: timeline.show,
    values.Note: record.note,
    values.Edit: timeline.edit,
    values.MarkEntry: timeline.mark,
    values.Capture: record.capture_since,
    values.Watch: _watch,
    values.Recover: _recover,
    values.Explain: explain_text,
    values.Open: record.open_incident,
    values.Title: record.rename,
    values.Close: record.close,
    values.Reopen: record.reopen,
    values.FollowUps: record.follow_ups,
    values.Export: record.export,
    values.Misunderstood: _misunderstood,
}


def _question(asker: Asker) -> Question:
    return Question(asker.user, asker.channel, asker.text)


def _paths(world: World) -> Mapping[str, str]:
    """The states by the path of their locks."""
    return {state.path: name for name, state in world.states.items() if state.path}


async def _enter(world: World, title: str, asker: Asker) -> Incident | None:
    """The incident of this channel with the command on its timeline; None outside an incident channel."""
    if not await is_incident_channel(world, asker.channel):
        return None
    return await lifecycle.enter(
        world, channel=asker.channel, user=asker.user, title=title, command=asker.text, once=asker.delivery
    )


async def say_in_flight(world: World, asked: RequestInFlight, asker: Asker) -> str:
    """Answers a second request for a lock with the first one's link."""
    next_step: Phrase = ("Press the buttons of that message. Nothing was changed.",)
    notice = Notice(f"An unlock of {asked.state} is {asked.flight} already", (in_flight_words(asked), next_step))
    return await say(world, asker, notice, "asked already")


def _meant(world: World, path: str) -> Meant:
    meant = world.meant(path)
    if meant is None:
        return NOT_MEANT
    return would_be(*meant, f"tflock has not found it yet; it looks every {duration(world.watch.every)}.")


def _several(found: list[str]) -> Notice:
    lines: list[Phrase] = [(Quoted(f"/tflock status {state}"),) for state in found[:_MOST_NAMED]]
    more = len(found) - _MOST_NAMED
    return Notice("This message names several states", (*lines, *([(f"… and {more} more.",)] if more > 0 else [])))


def _none(known: tuple[str, ...]) -> Notice:
    lines: tuple[Phrase, ...] = (
        ("It has neither the name of a configured state nor the path or the ID of a lock in it.",),
        ("Ask by name: ", Quoted(f"/tflock status {known[0] if known else 'STATE'}"), ". Nothing was changed."),
    )
    return Notice("This message names no state that tflock knows", lines)
