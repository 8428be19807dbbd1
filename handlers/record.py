"""What the commands on the record do: the timeline, its notes and corrections, the life of the incident."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from bot.core.evidence import Found, Trouble, Unseen
from bot.core.phrase import Phrase, Quoted
from bot.core.record.incident import Incident
from bot.core.reports.report import Notice
from bot.errors import NotPermitted, Unreachable
from bot.slack.render import Message, notice_message
from bot.usecases.record import find as channel_incidents
from bot.usecases.record import incident as incidents
from bot.usecases.record.capture import TITLE
from bot.usecases.world import World
from handlers.asker import Asker, answer
from handlers.capturing import CaptureCommands
from handlers.exporting import ExportCommands
from handlers.rights import check_may_write
from handlers.timeline import TimelineCommands
from handlers.typed import grammar
from handlers.when import instant_of

NOT_HERE = (
    "This works in incident channels only (slack.incident_channels in the configuration), and tflock has to be in the "
    "channel. Nothing was changed, and the lock was not touched."
)


@dataclass(frozen=True, slots=True)
class RecordCommands:
    """Carries these commands out. Each returns the outcome for the metrics, or raises for the boundary."""

    world: World

    async def run(self, command: grammar.Command, asker: Asker) -> str:  # noqa: PLR0911 - one arm a command
        match command:
            case grammar.Timeline(count):
                return await TimelineCommands(self.world).page(count, asker)
            case grammar.Edit():
                return await TimelineCommands(self.world).edit(command, asker)
            case grammar.Mark():
                return await TimelineCommands(self.world).mark(command, asker)
            case grammar.Note():
                return await self._note(command, asker)
            case grammar.Capture():
                return await CaptureCommands(self.world).backfill(command, asker)
            case grammar.Export():
                return await ExportCommands(self.world).make(asker)
            case _:
                return await self._life(command, asker)

    async def _life(self, command: grammar.Command, asker: Asker) -> str:
        match command:
            case grammar.Open(title):
                return await self._open(title, asker)
            case grammar.Title(text):
                return await self._title(text, asker)
            case grammar.Close():
                return await self._close(asker)
            case grammar.Reopen(incident_id):
                return await self._reopen(incident_id, asker)
            case _:
                raise AssertionError(command)  # every form of the grammar has its arm

    async def _say(self, asker: Asker, message: Message, outcome: str = "ok") -> str:
        await answer(self.world.notifier, asker, message)
        return outcome

    async def _note(self, command: grammar.Note, asker: Asker) -> str:
        await self._member_only(asker)
        at = await instant_of(self.world, command.at, asker)
        incident, is_new = await self._incident_of(at, asker)
        noted = await incidents.note(self.world, incident.id, user=asker.user, text=command.text, at=at)
        lines: tuple[Phrase, ...] = (
            (Quoted(noted.text), " at ", noted.at),
            (f"It is entry {noted.id}. To put it right: ", Quoted(f"/tflock edit {noted.id} TEXT")),
            *_where(incident, is_new=is_new),
        )
        return await self._say(asker, notice_message(Notice("Noted on the timeline", lines)))

    async def _incident_of(self, at: datetime | None, asker: Asker) -> tuple[Incident, bool]:
        """The incident that a note belongs to; True if it had to be opened."""
        if not await is_incident_channel(self.world, asker):
            raise NotPermitted(NOT_HERE)
        now = self.world.clock.now()
        known = await channel_incidents.about(self.world, asker.channel, at or now)
        if known is not None:
            return known, False
        return await self.world.journal.open(channel=asker.channel, title=TITLE, by=asker.user, at=now)

    async def _open(self, title: str | None, asker: Asker) -> str:
        await self._member_only(asker)
        incidents.check_title(title or "")
        before = await self.world.journal.current(asker.channel)
        incident = before or await self._incident_here(asker, title or TITLE)
        if before is not None:
            lines: tuple[Phrase, ...] = (
                ("It is ", Quoted(before.title), f" ({before.id}). Nothing was changed."),
                ("To give it another title: ", Quoted("/tflock title TEXT")),
            )
            return await self._say(asker, notice_message(Notice("An incident is open here already", lines)))
        lines = ((Quoted(incident.title), f" ({incident.id}). Everything from here on is on its timeline."),)
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

    async def _title(self, text: str, asker: Asker) -> str:
        await self._member_only(asker)
        before = await self._current(asker)
        renamed = await incidents.rename(self.world, before, text, user=asker.user)
        if renamed is None or renamed.title == before.title:
            raise NotPermitted("The incident has this title already. Nothing was changed.")
        lines: tuple[Phrase, ...] = (("Now: ", Quoted(renamed.title)), ("Before: ", Quoted(before.title)))
        await self.world.teller.notice(asker.channel, Notice("Incident renamed", lines), thread=asker.thread)
        return "ok"

    async def _reopen(self, incident_id: str | None, asker: Asker) -> str:
        await self._member_only(asker)
        if not await is_incident_channel(self.world, asker):
            raise NotPermitted(NOT_HERE)
        wanted = await self._closed_here(incident_id, asker)
        reopened = await incidents.reopen(self.world, wanted, user=asker.user)
        if reopened is None:
            raise NotPermitted("Somebody else was faster: an incident is open here by now. Nothing was changed.")
        lines: tuple[Phrase, ...] = (
            (Quoted(reopened.title), f" ({reopened.id}) is open again. Its timeline goes on."),
            ("When it is closed again, its export is made anew.",),
        )
        await self.world.teller.notice(asker.channel, Notice("Incident reopened", lines), thread=asker.thread)
        return "ok"

    async def _closed_here(self, incident_id: str | None, asker: Asker) -> Incident:
        """The incident that is meant. Of one in another channel it is not even said that it is there."""
        there = await self.world.journal.current(asker.channel)
        if there is not None:
            same = incident_id in {None, there.id}
            what = "It is open already" if same else f"{there.id} is open here: close it first with /tflock close"
            raise NotPermitted(f"{what}. Nothing was changed.")
        if incident_id is None:
            found = await channel_incidents.latest(self.world, asker.channel)
        else:
            found = await self.world.journal.find(incident_id)
        if found is None or found.channel != asker.channel:
            what = (
                "There was no incident in this channel" if incident_id is None else "This channel had no such incident"
            )
            raise NotPermitted(f"{what}. /tflock open starts one. Nothing was changed.")
        return found

    async def _incident_here(self, asker: Asker, title: str) -> Incident:
        if not await is_incident_channel(self.world, asker):
            raise NotPermitted(NOT_HERE)
        opened, _ = await self.world.journal.open(
            channel=asker.channel, title=title, by=asker.user, at=self.world.clock.now()
        )
        return opened

    async def _member_only(self, asker: Asker) -> None:
        await check_may_write(self.world, asker.user)

    async def _current(self, asker: Asker) -> Incident:
        incident = await self.world.journal.current(asker.channel)
        if incident is None:
            raise NotPermitted("No incident is open in this channel. /tflock open starts one. Nothing was changed.")
        return incident


def _where(incident: Incident, *, is_new: bool) -> tuple[Phrase, ...]:
    """Which incident a note went into, where that is not the one that everybody knows to be open."""
    named: Phrase = (Quoted(incident.title), f" ({incident.id})")
    if is_new:
        return (("None was open here: it begins a new incident, ", *named, "."),)
    if not incident.is_open:
        return (
            ("It is in the closed incident ", *named, ", whose export is made anew in a minute."),
            ("If something new has begun: ", Quoted("/tflock open TITLE")),
        )
    return ()


async def is_incident_channel(world: World, asker: Asker) -> bool:
    """A channel that Slack denies to know is none; where Slack gives no answer, that is what the asker hears."""
    channel = await world.directory.channel(asker.channel)
    if isinstance(channel, Unseen) and channel.trouble is not Trouble.DENIED:
        raise Unreachable(channel.system, channel.detail)
    return isinstance(channel, Found) and world.is_incident_channel(channel.value)
