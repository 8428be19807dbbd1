"""The timeline in Slack: its pages, and the commands and clicks that correct an entry."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import tzinfo

import structlog

from bot.core.phrase import one_line
from bot.core.record.incident import Incident
from bot.core.record.revision import Marking, Milestone
from bot.core.reports.button import ButtonValue
from bot.core.reports.report import Corrected, TimelineReport
from bot.errors import NotPermitted, UpstreamError
from bot.slack.render.correction import edited_message, marked_message
from bot.usecases.record import correct, pages
from bot.usecases.record.rights import check_may_write
from bot.usecases.world import World
from handlers.asker import Asker, say
from handlers.typed import values
from handlers.typed.grammar import parse
from handlers.when import instant_of, zone_of

log = structlog.get_logger()

_STALE = "This page was made by another version of tflock. Nothing was changed; /tflock timeline shows it again."
_LONGEST_UNDO = 250


@dataclass(frozen=True, slots=True)
class TimelinePage:
    """A page of a timeline: it ends right before the entry `before`; None: with the newest entry."""

    incident: str
    size: int
    before: str | None


@dataclass(frozen=True, slots=True)
class Chosen:
    """What was chosen in the menu of an entry: a word of `Marking`, or `edit`."""

    what: str
    entry: str
    page: TimelinePage


def read_chosen(value: ButtonValue) -> Chosen | None:
    """None for anything that `bot.slack.render.timeline` does not write."""
    match value.choice.split("."):
        case [what, entry, size, before] if entry.isdecimal() and size.isdecimal() and (before or "0").isdecimal():
            return Chosen(what, entry, TimelinePage(value.request, int(size), before or None))
        case _:
            return None


async def show(world: World, command: values.Timeline, asker: Asker) -> str:
    incident = await correct.incident_of(world, asker.channel)
    return await say(world, asker, await pages.newest(world, incident, command.count))


async def edit(world: World, command: values.Edit, asker: Asker) -> str:
    await check_may_write(world, asker.user)
    incident = await correct.incident_of(world, asker.channel)
    at = await instant_of(world, command.at, asker)
    corrected = await correct.edit(
        world,
        incident.id,
        str(command.entry),
        by=asker.user,
        text=command.text,
        at=at,
        why=command.reason or "",
        once=asker.delivery or None,
    )
    return await say_edited(world, corrected, asker)


async def mark(world: World, command: values.MarkEntry, asker: Asker) -> str:
    await check_may_write(world, asker.user)
    incident = await correct.incident_of(world, asker.channel)
    why = command.reason or ""
    return await _mark(world, incident.id, str(command.entry), command.how, why, asker, milestone=command.milestone)


async def turn_older(world: World, value: ButtonValue, asker: Asker) -> str:
    incident, size, entry = await _turned(world, value)
    return await _replace(world, await pages.older(world, incident, before=entry, size=size), asker)


async def turn_newer(world: World, value: ButtonValue, asker: Asker) -> str:
    incident, size, entry = await _turned(world, value)
    return await _replace(world, await pages.newer(world, incident, after=entry, size=size), asker)


async def choose(world: World, chosen: Chosen | None, asker: Asker) -> str:
    """Hides an entry or makes it a key moment or none, and shows the page as it is then."""
    if chosen is None or chosen.what not in set(Marking):
        raise NotPermitted(_STALE)
    await check_may_write(world, asker.user)
    outcome = await _mark(world, chosen.page.incident, chosen.entry, Marking(chosen.what), "", asker)
    await refresh(world, chosen.page, asker)
    return outcome


async def refresh(world: World, page: TimelinePage, asker: Asker) -> None:
    """Shows the page as it is now, in its place. What was done is done: if Slack does not take it, no more."""
    incident = await world.journal.find(page.incident)
    if incident is None or not asker.response_url:
        return
    try:
        await _replace(world, await pages.older(world, incident, before=page.before, size=page.size), asker)
    except UpstreamError as error:
        log.warning("timeline.not_refreshed", detail=error.detail)


async def say_edited(world: World, corrected: Corrected, asker: Asker) -> str:
    undo = undo_of(corrected, await zone_of(world, asker.user))
    return await say(world, asker, edited_message(corrected, undo), "ok" if corrected.changed else "unchanged")


async def _mark(
    world: World,
    incident: str,
    entry: str,
    how: Marking,
    why: str,
    asker: Asker,
    *,
    milestone: Milestone | None = None,
) -> str:
    once = asker.delivery or None
    corrected = await correct.mark(
        world, incident, entry, by=asker.user, how=how, why=why, milestone=milestone, once=once
    )
    return await say(world, asker, marked_message(corrected, how), "ok" if corrected.changed else "unchanged")


async def _turned(world: World, value: ButtonValue) -> tuple[Incident, int, str]:
    size, _, entry = value.choice.partition(".")
    incident = await world.journal.find(value.request)
    if incident is None or not size.isdecimal() or not entry.isdecimal():
        raise NotPermitted(_STALE)
    return incident, int(size), entry


async def _replace(world: World, report: TimelineReport, asker: Asker) -> str:
    if not asker.response_url:
        return await say(world, asker, report)
    await world.messenger.respond(asker.response_url, report, replace=True)
    return "ok"


def undo_of(corrected: Corrected, zone: tzinfo) -> str | None:
    """The command that puts an edited entry back, if there is one that says exactly that."""
    was, now = corrected.before.entry, corrected.after.entry
    text = was.text if was.text != now.text else None
    at = f"at {was.at.astimezone(zone):%Y-%m-%d %H:%M:%S}" if was.at != now.at else ""
    command = " ".join(filter(None, [f"edit {was.id}", text or "", at]))
    # as Slack would send it
    read = parse(command.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;"))
    is_exact = isinstance(read, values.Edit) and (read.entry, read.text) == (int(was.id), text) and not read.reason
    fits = len(command) <= _LONGEST_UNDO and one_line(command) == command
    return f"/tflock {command}" if is_exact and fits else None
