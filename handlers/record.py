"""What the commands on the record do: the timeline, its notes and corrections, the life of the incident."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from bot.core.evidence import Found, Trouble, Unseen
from bot.core.incident import Incident
from bot.core.phrase import Phrase, Quoted
from bot.core.redact import redact
from bot.core.report import Notice
from bot.errors import NotAvailable, NotPermitted, Unreachable
from bot.slack.render import Message, notice_message, timeline_message
from bot.usecases import incident as incidents
from bot.usecases.world import World
from handlers import grammar
from handlers.asker import Asker, answer

NOT_HERE = (
    "This works in incident channels only (slack.incident_channels in the configuration), and tflock has to be in the "
    "channel. Nothing was changed, and the lock was not touched."
)


@dataclass(frozen=True, slots=True)
class RecordCommands:
    """Carries these commands out. Each returns the outcome for the metrics, or raises for the boundary."""

    world: World

    async def run(self, command: grammar.Command, asker: Asker) -> str:
        match command:
            case grammar.Timeline(count):
                return await self._timeline(count, asker)
            case grammar.Note():
                return await self._note(command, asker)
            case grammar.Open(title):
                return await self._open(title, asker)
            case grammar.Close():
                return await self._close(asker)
            case _:
                raise NotAvailable(f"/tflock {grammar.name_of(command)} comes with a later version of tflock.")

    async def _say(self, asker: Asker, message: Message, outcome: str = "ok") -> str:
        await answer(self.world.notifier, asker, message)
        return outcome

    async def _timeline(self, count: int, asker: Asker) -> str:
        incident = await self._current(asker)
        return await self._say(asker, timeline_message(await incidents.timeline(self.world, incident, count)))

    async def _note(self, command: grammar.Note, asker: Asker) -> str:
        await self._member_only(asker)
        incident = await self._incident_here(asker, "Terraform incident")
        at = await instant_of(self.world, command.at, asker)
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

    async def _incident_here(self, asker: Asker, title: str) -> Incident:
        if not await is_incident_channel(self.world, asker):
            raise NotPermitted(NOT_HERE)
        opened, _ = await self.world.journal.open(
            channel=asker.channel, title=title, by=asker.user, at=self.world.clock.now()
        )
        return opened

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


async def is_incident_channel(world: World, asker: Asker) -> bool:
    """A channel that Slack denies to know is none; where Slack gives no answer, that is what the asker hears."""
    channel = await world.directory.channel(asker.channel)
    if isinstance(channel, Unseen) and channel.trouble is not Trouble.DENIED:
        raise Unreachable(channel.system, channel.detail)
    return isinstance(channel, Found) and world.is_incident_channel(channel.value)


async def instant_of(world: World, at: grammar.Moment | None, asker: Asker) -> datetime | None:
    """The instant that the asker means: a time of day is by his own clock. Raises NotPermitted for the future."""
    now = world.clock.now()
    if at is None:
        return None
    if isinstance(at, grammar.Ago):
        return now - at.span
    seen = await world.directory.member(asker.user)
    here = now.astimezone(_zone(seen.value.tz if isinstance(seen, Found) else None))
    day = at.day or here.date() - timedelta(days=at.days_ago or 0)
    told = datetime.combine(day, time(at.hour, at.minute), tzinfo=here.tzinfo)
    if told <= now:
        return told
    if at.day is None and at.days_ago is None:
        return datetime.combine(day - timedelta(days=1), time(at.hour, at.minute), tzinfo=here.tzinfo)
    raise NotPermitted("That time is in the future by your own clock. Nothing was changed.")


def _zone(name: str | None) -> ZoneInfo:
    try:
        return ZoneInfo(name or "UTC")
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo("UTC")
