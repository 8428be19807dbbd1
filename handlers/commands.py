"""What each command does: from the parsed words to a use case, and from its report to an answer."""

from __future__ import annotations

from dataclasses import dataclass

from bot.core.explain.explain import explain, notice_of
from bot.core.phrase import Phrase, Quoted
from bot.core.record.incident import Incident
from bot.core.record.redact import redact
from bot.core.reports.report import Notice
from bot.errors import NotPermitted
from bot.slack.render import (
    Message,
    help_message,
    notice_message,
    overview_message,
    status_message,
    unlock_message,
    user_message,
    who_message,
)
from bot.usecases.kill import ask as kill_job
from bot.usecases.look.status import Question, everything, status, tell_owner
from bot.usecases.look.who import about_user, who
from bot.usecases.look.write_look import weigh_look, write_look
from bot.usecases.record import incident as incidents
from bot.usecases.unlock import unlock
from bot.usecases.world import World
from handlers.asker import Asker, answer
from handlers.record import NOT_HERE, RecordCommands, is_incident_channel
from handlers.typed import grammar
from handlers.typed.text import readable
from handlers.watching import WatchCommands


@dataclass(frozen=True, slots=True)
class Commands:
    """Carries commands out. Each returns the outcome for the metrics, or raises for the boundary."""

    world: World

    @property
    def record(self) -> RecordCommands:
        return RecordCommands(self.world)

    async def run(self, command: grammar.Command, text: str, asker: Asker) -> str:  # noqa: PLR0911 - one arm a command
        """`text` is the command as Slack sent it: the timeline has it as a person would read it."""
        text = readable(text)
        question = Question(asker.user, asker.channel, text)
        match command:
            case grammar.Help(name):
                return await self._say(asker, _help(name))
            case grammar.Status(state):
                return await self._status(state, question, asker)
            case grammar.Who(state, user):
                return await self._who(state, user, question, asker)
            case grammar.Unlock():
                return await self._unlock(command, text, asker)
            case grammar.KillJob():
                return await self._kill_job(command, text, asker)
            case grammar.Misunderstood():
                return await self._say(asker, notice_message(_misunderstood(command)), "misunderstood")
            case grammar.Explain(error):
                return await self.explain(error, asker)
            case grammar.Watch():
                return await self._watch(command, text, asker)
            case _:
                return await self.record.run(command, asker)

    async def _say(self, asker: Asker, message: Message, outcome: str = "ok") -> str:
        await answer(self.world.notifier, asker, message)
        return outcome

    async def explain(self, error: str, asker: Asker) -> str:
        """What a pasted error is. Looks at nothing but its text, and changes nothing."""
        paths = {state.path: name for name, state in self.world.states.items() if state.path}
        told = explain(error, paths)
        return await self._say(asker, notice_message(notice_of(told)), str(told.kind))

    async def _status(self, state: str | None, question: Question, asker: Asker) -> str:
        names = tuple(self.world.states)
        if state is None and len(names) > 1:
            return await self._say(asker, overview_message(await everything(self.world, question)))
        report = await status(self.world, state or names[0], question)
        outcome = await self._say(asker, status_message(report))
        await write_look(self.world, report, question)
        await tell_owner(self.world, report.inspection, question)
        return outcome

    async def _who(self, state: str | None, user: str | None, question: Question, asker: Asker) -> str:
        if user is not None:
            return await self._say(asker, user_message(await about_user(self.world, user)))
        names = tuple(self.world.states)
        if state is None and len(names) > 1:
            return await self._say(asker, overview_message(await everything(self.world, question)))
        report = await who(self.world, state or names[0], question)
        outcome = await self._say(asker, who_message(report))
        await weigh_look(self.world, report.inspection, question)
        await tell_owner(self.world, report.inspection, question)
        return outcome

    async def _unlock(self, command: grammar.Unlock, text: str, asker: Asker) -> str:
        self.world.state(command.state)
        incident = await self._enter(command.state, text, asker)
        if incident is None and not command.dry_run:
            raise NotPermitted(NOT_HERE)
        wish = unlock.Wish(
            state=command.state,
            user=asker.user,
            channel=asker.channel,
            incident="" if incident is None else incident.id,
            thread=asker.thread,
            reason=redact(command.reason or ""),
            dry_run=command.dry_run,
            when_safe=command.when_safe,
        )
        report = await unlock.ask(self.world, wish)
        if command.dry_run:
            await answer(self.world.notifier, asker, unlock_message(report))
        return str(report.verdict.ruling) if report.verdict is not None else str(report.stage)

    async def _watch(self, command: grammar.Watch, text: str, asker: Asker) -> str:
        self.world.state(command.state)
        await self._enter(command.state, text, asker)
        watching = WatchCommands(self.world)
        return await (watching.stop if command.off else watching.start)(command.state, asker)

    async def _kill_job(self, command: grammar.KillJob, text: str, asker: Asker) -> str:
        title = command.target if command.target in self.world.states else "Terraform run"
        incident = await self._enter(title, text, asker)
        if incident is None:
            raise NotPermitted(NOT_HERE)
        wish = kill_job.Wish(
            command.target, asker.user, asker.channel, incident.id, asker.thread, redact(command.reason or "")
        )
        return str((await kill_job.ask(self.world, wish)).stage)

    async def _enter(self, title: str, text: str, asker: Asker) -> Incident | None:
        """The incident of this channel with the command on its timeline; None outside an incident channel."""
        if not await is_incident_channel(self.world, asker):
            return None
        return await incidents.enter(self.world, channel=asker.channel, user=asker.user, title=title, command=text)


def _help(name: str | None) -> Message:
    forms = [form for form in grammar.FORMS if form.available or form.name == name]
    return help_message([(form.usage, form.summary) for form in forms if name in {None, form.name}])


def _misunderstood(wrong: grammar.Misunderstood) -> Notice:
    lines: list[Phrase] = []
    if wrong.nearest:
        meant = wrong.nearest if wrong.command is None else f"{wrong.command} … {wrong.nearest}"
        lines.append(("Did you mean ", Quoted(f"/tflock {meant}"), "?"))
    if wrong.detail:
        lines.append((f"{wrong.detail}: ", Quoted(wrong.word)) if wrong.word else (wrong.detail,))
    if wrong.usage:
        lines.append(("Usage: ", Quoted(wrong.usage)))
    lines.append(("Nothing was changed. ", Quoted("/tflock help"), " shows all commands."))
    unknown = wrong.kind is grammar.Mistake.UNKNOWN_WORD
    headline = f"I do not know “{(wrong.word or '')[:60]}”" if unknown else f"That is not how {wrong.command} works"
    return Notice(headline, tuple(lines))
