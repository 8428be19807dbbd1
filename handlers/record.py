"""What the commands on the record do: its notes, the life of the incident, captured messages and exports."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime

from bot.core.phrase import Linked, Phrase, Quoted
from bot.core.record.incident import Incident
from bot.core.record.redact import redact
from bot.core.reports.button import ButtonValue
from bot.core.reports.in_flight import in_flight_words
from bot.core.reports.report import Notice, Offer, review_offer
from bot.errors import NotPermitted, TflockError
from bot.slack.render.page import CLOSE_ANYWAY
from bot.usecases.export import followups, incident_export
from bot.usecases.export.share import link_of
from bot.usecases.record import backfill, capture, channel_incidents, lifecycle
from bot.usecases.record.capture import Added
from bot.usecases.record.closing import LeftOpen, left_open
from bot.usecases.record.rights import check_may_write
from bot.usecases.world import World
from handlers.asker import Asker, say
from handlers.dialogs import open_review
from handlers.typed import values
from handlers.when import instant_of

_MOST_NAMED = 10

NOT_HERE = (
    "This works in incident channels only (slack.incident_channels in the configuration; a private channel is named "
    "there by its id), and tflock has to be in the channel. Nothing was changed, and the lock was not touched."
)
_NO_CAPTURE_HERE = (
    "Messages are put on the timeline in incident channels only (slack.incident_channels in the configuration), and "
    "tflock has to be in the channel. Nothing was changed."
)
_HIDE: tuple[Phrase, ...] = (
    ("To leave it out of the exports: ", Quoted("/tflock hide N"), ", with N of ", Quoted("/tflock timeline")),
)
_ADDED = {
    Added.NEW: Notice("The message is on the timeline", _HIDE),
    Added.RESTORED: Notice("The message is on the timeline again", _HIDE),
    Added.THERE: Notice("The message was on the timeline already", (("Nothing was changed.",),)),
}


async def note(world: World, command: values.Note, asker: Asker) -> str:
    await check_may_write(world, asker.user)
    at = await instant_of(world, command.at, asker)
    incident, is_new = await _incident_at(world, at, asker)
    noted = await lifecycle.note(
        world, incident.id, user=asker.user, text=command.text, at=at, once=asker.delivery or None
    )
    lines: tuple[Phrase, ...] = (
        (Quoted(noted.text), " at ", noted.at),
        (f"It is entry {noted.id}. To correct it: ", Quoted(f"/tflock edit {noted.id} TEXT")),
        *_where(incident, is_new=is_new),
    )
    return await say(world, asker, Notice("Noted on the timeline", lines))


async def open_incident(world: World, command: values.Open, asker: Asker) -> str:
    await check_may_write(world, asker.user)
    lifecycle.check_title(command.title or "")
    before = await world.journal.current(asker.channel)
    if before is not None and not asker.is_again:
        lines: tuple[Phrase, ...] = (
            ("It is ", Quoted(before.title), f" ({before.id}). Nothing was changed."),
            ("To give it another title: ", Quoted("/tflock title TEXT")),
        )
        return await say(world, asker, Notice("An incident is open here already", lines))
    await _check_here(world, asker)
    now = world.clock.now()
    opened, _ = await world.journal.open(
        channel=asker.channel, title=redact(command.title or channel_incidents.TITLE), by=asker.user, at=now
    )
    lines = ((Quoted(opened.title), f" ({opened.id}). Everything from here on is on its timeline."),)
    return await _announce(world, asker, Notice("Incident opened", lines))


async def rename(world: World, command: values.Title, asker: Asker) -> str:
    await check_may_write(world, asker.user)
    before = await _current(world, asker)
    renamed = await lifecycle.rename(world, before, command.text, user=asker.user)
    if renamed is None or (renamed.title == before.title and not asker.is_again):
        raise NotPermitted("The incident has this title already. Nothing was changed.")
    lines: tuple[Phrase, ...] = (("Now: ", Quoted(renamed.title)), ("Before: ", Quoted(before.title)))
    return await _announce(world, asker, Notice("Incident renamed", lines))


async def close(world: World, _: values.Close, asker: Asker) -> str:
    """Asks first where something would be left behind, as closing by quiet waits for it."""
    await check_may_write(world, asker.user)
    incident = await _current(world, asker)
    left = await left_open(world, incident)
    if left:
        return await say(world, asker, _left_open(incident, left), "asked first")
    return await _closed(world, incident, asker)


async def close_anyway(world: World, value: ButtonValue, asker: Asker) -> str:
    """The click on the button of that question, for the incident that it was about."""
    await check_may_write(world, asker.user)
    incident = await _current(world, asker)
    if incident.id != value.request:
        raise NotPermitted("This button was made for another incident. Nothing was changed.")
    return await _closed(world, incident, asker)


async def _closed(world: World, incident: Incident, asker: Asker) -> str:
    if not await lifecycle.close(world, incident, user=asker.user):
        raise NotPermitted("This incident is closed already. Nothing was changed.")
    lines: tuple[Phrase, ...] = (
        (Quoted(incident.title), f" ({incident.id}) is closed. Its timeline is exported here in a moment."),
    )
    offer = review_offer(incident.id)
    outcome = await _announce(world, asker, Notice("Incident closed", lines, offers=(offer,)))
    if asker.trigger:
        with suppress(TflockError):  # it is closed, and the announcement's button opens the same dialog
            await open_review(world, offer.value, asker)
    return outcome


def _left_open(incident: Incident, left: LeftOpen) -> Notice:
    shown = left.states[:_MOST_NAMED]
    more = len(left.states) - len(shown)
    lines: list[Phrase] = [
        (f"{name} is still locked." if seen.held else f"The lock of {name} can't be read, so it may still be locked.",)
        for name, seen in shown
    ]
    if more:
        lines.append((f"… and {more} more states.",))
    lines += [in_flight_words(request) for request in left.requests]
    lines.append(("Nothing was changed: the incident is still open.",))
    value = ButtonValue("", "", incident.id)
    return Notice("Close this incident now?", tuple(lines), offers=(Offer("Close anyway", CLOSE_ANYWAY, value),))


async def reopen(world: World, command: values.Reopen, asker: Asker) -> str:
    await check_may_write(world, asker.user)
    await _check_here(world, asker)
    reopened = await lifecycle.reopen(world, await _closed_here(world, command.incident, asker), user=asker.user)
    if reopened is None:
        raise NotPermitted("Someone else was faster: an incident is open here now. Nothing was changed.")
    lines: tuple[Phrase, ...] = (
        (Quoted(reopened.title), f" ({reopened.id}) is open again. Its timeline continues."),
        ("When it is closed again, its export is made again.",),
    )
    return await _announce(world, asker, Notice("Incident reopened", lines))


async def export(world: World, _: values.Export, asker: Asker) -> str:
    """The record of the incident that is open here, or was last. The result is posted in the channel."""
    await check_may_write(world, asker.user)
    incident = await channel_incidents.latest(world, asker.channel)
    if incident is None:
        raise NotPermitted("There has been no incident in this channel. Nothing was changed.")
    asked = await incident_export.ask(world, incident, user=asker.user)
    name: Phrase = (Quoted(incident.title), f" ({incident.id})")
    if asked.is_making:
        where = "It will be posted here in a moment." if world.upload_exports else "It goes to the directory."
        return await say(world, asker, Notice("The export is being made", ((*name, f". {where}"),)))
    link = await link_of(world, incident.id, incident.channel)
    last: Phrase = (": ", Linked("the export", link), ".") if link else (" was exported. Nothing was changed.",)
    return await say(world, asker, Notice("Nothing has changed since the last export", ((*name, *last),)))


async def follow_ups(world: World, _: values.FollowUps, asker: Asker) -> str:
    """What to do after the incident that is open here, or was last; to the asker only."""
    incident = await channel_incidents.latest(world, asker.channel)
    if incident is None:
        raise NotPermitted("There has been no incident in this channel. Nothing was changed.")
    report = await followups.so_far(world, incident)
    if report.followups:
        return await say(world, asker, report)
    lines: tuple[Phrase, ...] = (("The facts of ", Quoted(incident.title), f" ({incident.id}) call for none."),)
    return await say(world, asker, Notice("No follow-ups", lines), "none")


async def capture_since(world: World, command: values.Capture, asker: Asker) -> str:
    """What people wrote since then: read by a worker, which says in the channel how far it is."""
    await _check_may_capture(world, asker)
    since = await instant_of(world, command.since, asker)
    wanted = backfill.BackfillCommand(asker.channel, asker.user, asker.thread, since, command.marked_only)
    await backfill.ask(world, wanted)
    return "ok"


async def capture_message(world: World, ts: str, asker: Asker) -> str:
    """The message that the shortcut was used on."""
    await _check_may_capture(world, asker)
    added = await capture.add(world, asker.channel, ts, user=asker.user)
    return await say(world, asker, _ADDED[added], str(added))


async def _check_here(world: World, asker: Asker) -> None:
    if not await channel_incidents.is_incident_channel(world, asker.channel):
        raise NotPermitted(NOT_HERE)


async def _check_may_capture(world: World, asker: Asker) -> None:
    await check_may_write(world, asker.user)
    if not await channel_incidents.is_incident_channel(world, asker.channel):
        raise NotPermitted(_NO_CAPTURE_HERE)


async def _announce(world: World, asker: Asker, notice: Notice) -> str:
    """Says in the channel what was done."""
    await world.messenger.post(asker.channel, notice, thread=asker.thread)
    return "ok"


async def _current(world: World, asker: Asker) -> Incident:
    incident = await world.journal.current(asker.channel)
    if incident is None:
        raise NotPermitted("No incident is open in this channel. /tflock open starts one. Nothing was changed.")
    return incident


async def _incident_at(world: World, at: datetime | None, asker: Asker) -> tuple[Incident, bool]:
    """The incident that a note belongs to; True if it had to be opened."""
    await _check_here(world, asker)
    return await channel_incidents.about_or_new(world, asker.channel, at or world.clock.now(), asker.user)


async def _closed_here(world: World, incident_id: str | None, asker: Asker) -> Incident:
    """The incident that is meant. Of one in another channel it is not even said that it is there."""
    there = await world.journal.current(asker.channel)
    if there is not None:
        same = incident_id in {None, there.id}
        what = "It is open already" if same else f"{there.id} is open here: close it first with /tflock close"
        raise NotPermitted(f"{what}. Nothing was changed.")
    if incident_id is None:
        found = await channel_incidents.latest(world, asker.channel)
    else:
        found = await world.journal.find(incident_id)
    if found is None or found.channel != asker.channel:
        what = "There was no incident in this channel" if incident_id is None else "This channel had no such incident"
        raise NotPermitted(f"{what}. /tflock open starts one. Nothing was changed.")
    return found


def _where(incident: Incident, *, is_new: bool) -> tuple[Phrase, ...]:
    """Which incident a note went into, where that is not the one that everyone knows to be open."""
    named: Phrase = (Quoted(incident.title), f" ({incident.id})")
    if is_new:
        return (("No incident was open here, so the note opened one: ", *named, "."),)
    if not incident.is_open:
        return (
            ("It is in the closed incident ", *named, ", whose export is made again in a minute."),
            ("If something new has begun: ", Quoted("/tflock open TITLE")),
        )
    return ()
