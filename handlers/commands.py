"""What each command does: from the parsed words to a use case, and from its report to an answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from bot.core.evidence import Found, Trouble, Unseen
from bot.core.explain import explain, notice_of
from bot.core.incident import Incident
from bot.core.phrase import Phrase, Quoted
from bot.core.redact import redact
from bot.core.report import Notice
from bot.errors import NotAvailable, NotPermitted, Unreachable
from bot.slack.render import (
    Message,
    help_message,
    notice_message,
    overview_message,
    status_message,
    timeline_message,
    unlock_message,
    user_message,
    who_message,
)
from bot.usecases import incident as incidents
from bot.usecases import kill_job, unlock
from bot.usecases.status import Question, about_user, everything, status, tell_owner, who
from bot.usecases.world import World
from handlers import grammar
from handlers.asker import Asker, answer

NAMES: Mapping[type[grammar.Command], str] = {
    grammar.Help: "help",
    grammar.Status: "status",
    grammar.Who: "who",
    grammar.Unlock: "unlock",
    grammar.KillJob: "kill-job",
    grammar.Timeline: "timeline",
    grammar.Note: "note",
    grammar.Watch: "watch",
    grammar.Explain: "explain",
    grammar.Open: "open",
    grammar.Close: "close",
    grammar.Export: "export",
    grammar.Misunderstood: "misunderstood",
}


@dataclass(frozen=True, slots=True)
class Commands:
    """Carries commands out. Each returns the outcome for the metrics, or raises for the boundary."""

    world: World

    async def run(self, command: grammar.Command, text: str, asker: Asker) -> str:  # noqa: C901, PLR0911 - one arm a command
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
            case grammar.Timeline(count):
                return await self._timeline(count, asker)
            case grammar.Note():
                return await self._note(command, asker)
            case grammar.Open(title):
                return await self._open(title, asker)
            case grammar.Close():
                return await self._close(asker)
            case grammar.Misunderstood():
                return await self._say(asker, notice_message(_misunderstood(command)), "misunderstood")
            case grammar.Explain(error):
                return await self.explain(error, asker)
            case grammar.Watch() | grammar.Export():
                raise NotAvailable(f"/tflock {NAMES[type(command)]} comes with a later version of tflock.")

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
        await tell_owner(self.world, report.inspection, question)
        return outcome

    async def _unlock(self, command: grammar.Unlock, text: str, asker: Asker) -> str:
        self.world.state(command.state)
        incident = await self._enter(command.state, text, asker)
        if incident is None and not command.dry_run:
            raise NotPermitted(_NOT_HERE)
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

    async def _kill_job(self, command: grammar.KillJob, text: str, asker: Asker) -> str:
        title = command.target if command.target in self.world.states else "Terraform run"
        incident = await self._enter(title, text, asker)
        if incident is None:
            raise NotPermitted(_NOT_HERE)
        wish = kill_job.Wish(
            command.target, asker.user, asker.channel, incident.id, asker.thread, redact(command.reason or "")
        )
        return str((await kill_job.ask(self.world, wish)).stage)

    async def _timeline(self, count: int, asker: Asker) -> str:
        incident = await self._current(asker)
        return await self._say(asker, timeline_message(await incidents.timeline(self.world, incident, count)))

    async def _note(self, command: grammar.Note, asker: Asker) -> str:
        await self._member_only(asker)
        incident = await self._incident_here(asker, "Terraform incident")
        at = await self._moment(command.at, asker)
        await incidents.note(self.world, incident.id, user=asker.user, text=command.text, at=at)
        when: Phrase = () if at is None else (" at ", at)
        return await self._say(
            asker, notice_message(Notice("Noted on the timeline", ((Quoted(redact(command.text)), *when),)))
        )

    async def _open(self, title: str | None, asker: Asker) -> str:
        await self._member_only(asker)
        before = await self.world.journal.current(asker.channel)
        incident = before or await self._incident_here(asker, title or "Terraform incident")
        if before is not None:
            lines: tuple[Phrase, ...] = (("It is ", Quoted(before.title), f" ({before.id}). Nothing was changed."),)
            return await self._say(asker, notice_message(Notice("An incident is open here already", lines)))
        lines = ((Quoted(incident.title), f" ({incident.id}), opened. Everything from here on is on its timeline."),)
        await self.world.teller.notice(asker.channel, Notice("Incident opened", lines), thread=asker.thread)
        return "ok"

    async def _close(self, asker: Asker) -> str:
        await self._member_only(asker)
        incident = await self._current(asker)
        if not await incidents.close(self.world, incident, user=asker.user):
            raise NotPermitted("This incident is closed already. Nothing was changed.")
        lines: tuple[Phrase, ...] = (
            (Quoted(incident.title), f" ({incident.id}) is closed. Its timeline is exported here in a moment."),
        )
        await self.world.teller.notice(asker.channel, Notice("Incident closed", lines), thread=asker.thread)
        return "ok"

    async def _enter(self, title: str, text: str, asker: Asker) -> Incident | None:
        """The incident of this channel with the command on its timeline; None outside an incident channel."""
        if not await self._is_incident_channel(asker):
            return None
        return await incidents.enter(self.world, channel=asker.channel, user=asker.user, title=title, command=text)

    async def _incident_here(self, asker: Asker, title: str) -> Incident:
        if not await self._is_incident_channel(asker):
            raise NotPermitted(_NOT_HERE)
        opened, _ = await self.world.journal.open(
            channel=asker.channel, title=title, by=asker.user, at=self.world.clock.now()
        )
        return opened

    async def _is_incident_channel(self, asker: Asker) -> bool:
        """A channel that Slack denies to know is none; where Slack gives no answer, that is what the asker hears."""
        channel = await self.world.directory.channel(asker.channel)
        if isinstance(channel, Unseen) and channel.trouble is not Trouble.DENIED:
            raise Unreachable(channel.system, channel.detail)
        return isinstance(channel, Found) and self.world.is_incident_channel(channel.value)

    async def _member_only(self, asker: Asker) -> None:
        """A timeline is the team's record: strangers and guests read it in the channel, but do not write in it."""
        seen = await self.world.directory.member(asker.user)
        strange = not isinstance(seen, Found) or seen.value.is_stranger or seen.value.is_guest or seen.value.is_bot
        if strange:
            raise NotPermitted("Only full members of this workspace may write on the timeline. Nothing was changed.")

    async def _current(self, asker: Asker) -> Incident:
        incident = await self.world.journal.current(asker.channel)
        if incident is None:
            raise NotPermitted("No incident is open in this channel. /tflock open starts one. Nothing was changed.")
        return incident

    async def _moment(self, at: grammar.ClockTime | grammar.Ago | None, asker: Asker) -> datetime | None:
        now = self.world.clock.now()
        match at:
            case None:
                return None
            case grammar.Ago(span):
                return now - span
            case grammar.ClockTime(hour, minute):
                seen = await self.world.directory.member(asker.user)
                zone = _zone(seen.value.tz if isinstance(seen, Found) else None)
                local = now.astimezone(zone).replace(hour=hour, minute=minute, second=0, microsecond=0)
                return local if local <= now else local - timedelta(days=1)


_NOT_HERE = (
    "This works in incident channels only (slack.incident_channels in the configuration), and tflock has to be in the "
    "channel. Nothing was changed, and the lock was not touched."
)


def _zone(name: str | None) -> ZoneInfo:
    try:
        return ZoneInfo(name or "UTC")
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo("UTC")


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
