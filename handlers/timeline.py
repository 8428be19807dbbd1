"""The timeline in Slack: its pages, and the commands and clicks that put an entry right."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, tzinfo

import structlog

from bot.core.phrase import one_line
from bot.core.record.incident import Incident
from bot.core.record.revision import Marking
from bot.core.reports.button import ButtonValue
from bot.core.reports.report import Corrected, TimelineReport
from bot.errors import NotPermitted, UpstreamError
from bot.slack.render import Message, edited_message, marked_message, timeline_message
from bot.usecases.record import correct, pages
from bot.usecases.world import World
from handlers.asker import Asker, answer
from handlers.rights import check_may_write
from handlers.typed import grammar
from handlers.when import instant_of, zone_of

log = structlog.get_logger()

_STALE = "This page was made by another version of tflock. Nothing was changed; /tflock timeline shows it anew."


@dataclass(frozen=True, slots=True)
class Place:
    """Where somebody is in a timeline: the page ends right before the entry `before`; None: with the newest entry."""

    incident: str
    size: int
    before: str | None


@dataclass(frozen=True, slots=True)
class Chosen:
    """What was chosen in the menu of an entry: a word of `Marking`, or `edit`."""

    what: str
    entry: str
    place: Place


def read_chosen(value: ButtonValue) -> Chosen | None:
    """None for anything that `bot.slack.render.timeline` does not write."""
    match value.choice.split("."):
        case [what, entry, size, before] if entry.isdecimal() and size.isdecimal() and (before or "0").isdecimal():
            return Chosen(what, entry, Place(value.request, int(size), before or None))
        case _:
            return None


@dataclass(frozen=True, slots=True)
class TimelineCommands:
    """Carries these commands and clicks out. Each returns the outcome for the metrics, or raises for the boundary."""

    world: World

    async def page(self, count: int, asker: Asker) -> str:
        incident = await correct.incident_of(self.world, asker.channel)
        report = await pages.newest(self.world, incident, count)
        await answer(self.world.notifier, asker, timeline_message(report))
        return "ok"

    async def edit(self, command: grammar.Edit, asker: Asker) -> str:
        await check_may_write(self.world, asker.user)
        incident = await correct.incident_of(self.world, asker.channel)
        at = await instant_of(self.world, command.at, asker)
        told = await correct.edit(
            self.world,
            incident.id,
            str(command.entry),
            by=asker.user,
            text=command.text,
            at=at,
            why=command.reason or "",
            once=asker.delivery or None,
        )
        return await self.say_edited(told, asker)

    async def mark(self, command: grammar.Mark, asker: Asker) -> str:
        await check_may_write(self.world, asker.user)
        incident = await correct.incident_of(self.world, asker.channel)
        return await self._mark(incident.id, str(command.entry), command.how, command.reason or "", asker)

    async def turn_older(self, value: ButtonValue, asker: Asker) -> str:
        incident, size, entry = await self._turn(value)
        return await self._replace(await pages.older(self.world, incident, before=entry, size=size), asker)

    async def turn_newer(self, value: ButtonValue, asker: Asker) -> str:
        incident, size, entry = await self._turn(value)
        return await self._replace(await pages.newer(self.world, incident, after=entry, size=size), asker)

    async def choose(self, value: ButtonValue, asker: Asker) -> str:
        """Hides an entry or makes it a key moment or none, and shows the page as it is then."""
        chosen = read_chosen(value)
        if chosen is None or chosen.what not in set(Marking):
            raise NotPermitted(_STALE)
        await check_may_write(self.world, asker.user)
        outcome = await self._mark(chosen.place.incident, chosen.entry, Marking(chosen.what), "", asker)
        await self.refresh(chosen.place, asker)
        return outcome

    async def refresh(self, place: Place, asker: Asker) -> None:
        """Shows the page as it is now where it stands. What was done is done: if Slack does not take it, no more."""
        incident = await self.world.journal.find(place.incident)
        if incident is None or not asker.response_url:
            return
        try:
            await self._replace(await pages.older(self.world, incident, before=place.before, size=place.size), asker)
        except UpstreamError as error:
            log.warning("timeline.not_refreshed", detail=error.detail)

    async def say_edited(self, told: Corrected, asker: Asker) -> str:
        undo = undo_of(told, await zone_of(self.world, asker.user))
        await answer(self.world.notifier, asker, edited_message(told, undo))
        return "ok" if told.changed else "unchanged"

    async def _mark(self, incident: str, entry: str, how: Marking, why: str, asker: Asker) -> str:
        told = await correct.mark(
            self.world, incident, entry, by=asker.user, how=how, why=why, once=asker.delivery or None
        )
        await answer(self.world.notifier, asker, marked_message(told, how))
        return "ok" if told.changed else "unchanged"

    async def _turn(self, value: ButtonValue) -> tuple[Incident, int, str]:
        size, _, entry = value.choice.partition(".")
        incident = await self.world.journal.find(value.request)
        if incident is None or not size.isdecimal() or not entry.isdecimal():
            raise NotPermitted(_STALE)
        return incident, int(size), entry

    async def _replace(self, report: TimelineReport, asker: Asker) -> str:
        message: Message = timeline_message(report)
        if not asker.response_url:
            await answer(self.world.notifier, asker, message)
            return "ok"
        await self.world.notifier.respond(asker.response_url, text=message.text, blocks=message.blocks, replace=True)
        return "ok"


def undo_of(told: Corrected, zone: tzinfo) -> str | None:
    """The command that puts an edited entry back, if there is one that says exactly that."""
    was, now = told.before.entry, told.after.entry
    text = was.text if was.text != now.text else None
    words = [f"edit {was.id}", text or "", f"at {_spelled(was.at, zone)}" if was.at != now.at else ""]
    command = " ".join(filter(None, words))
    read = grammar.parse(_as_slack_sends(command))
    is_exact = isinstance(read, grammar.Edit) and (read.entry, read.text) == (int(was.id), text) and not read.reason
    fits = len(command) <= _LONGEST_UNDO and one_line(command) == command
    return f"/tflock {command}" if is_exact and fits else None


_LONGEST_UNDO = 250


def _spelled(at: datetime, zone: tzinfo) -> str:
    return f"{at.astimezone(zone):%Y-%m-%d %H:%M:%S}"


def _as_slack_sends(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
