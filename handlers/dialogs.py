"""The dialogs: the one that corrects an entry, and the one that asks what only people know of an incident.

A trigger lives three seconds, so a dialog is opened before anything is looked up. What is sent is checked without
any I/O, since Slack wants the complaints within three seconds too; the work comes after that, inside the boundary.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date, datetime, time
from typing import Any, TypeAlias

from bot.core.phrase import Phrase, Quoted
from bot.core.record.incident import Incident
from bot.core.reports.button import ButtonValue
from bot.core.reports.report import REVIEW, Corrected, Notice
from bot.errors import Missing, NotPermitted, Rejected, TflockError, Unreachable, UpstreamError
from bot.slack.render.modal import (
    EDIT_CALLBACK,
    REVIEW_FIELDS,
    EditForm,
    edit_view,
    failed_review,
    failed_view,
    loading_review,
    loading_view,
    review_view,
    text_shown,
)
from bot.usecases.record import correct
from bot.usecases.record.review import review, written
from bot.usecases.record.rights import check_may_write
from bot.usecases.world import World
from handlers.asker import Asker, say
from handlers.timeline import Chosen, TimelinePage, refresh, say_edited
from handlers.when import at_clock, name_of_zone, zone_named, zone_of


@dataclass(frozen=True, slots=True)
class EntryEdit:
    """What a sent dialog asks for. `text` and `at` are None where they were left as they had been shown."""

    entry: str
    page: TimelinePage
    asker: Asker
    text: str | None
    at: datetime | None
    why: str


@dataclass(frozen=True, slots=True)
class Review:
    """What people changed in what they say about an incident, by what it is about."""

    incident: str
    asker: Asker
    said: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Complaint:
    """What is wrong, by the block in which it is."""

    errors: Mapping[str, str]


Sent: TypeAlias = EntryEdit | Review


@dataclass(frozen=True, slots=True)
class Dialog:
    """How a dialog that is sent is read, and what is done then.

    `read` does no I/O. It returns None for what this program did not write. `first` is the field at which it says why
    the dialog was not accepted.
    """

    read: Callable[[Mapping[str, Any], Asker, datetime], Sent | Complaint | None]
    save: Callable[[World, Any], Awaitable[str]]
    first: str


async def save(world: World, callback: str, wanted: Sent | None) -> str:
    if wanted is None:
        raise NotPermitted("tflock no longer knows this dialog. Nothing was changed.")
    return await DIALOGS[callback].save(world, wanted)


async def open_edit(world: World, chosen: Chosen, asker: Asker) -> str:
    """Opens the dialog of an entry. What goes wrong afterwards is shown in the dialog as well."""
    view_id = await _opened(
        world, asker, loading_view(), f"choose Edit again, or type /tflock edit {chosen.entry} TEXT"
    )
    try:
        await check_may_write(world, asker.user)
        known = await correct.look(world, chosen.page.incident, chosen.entry)
        await world.messenger.update_dialog(view_id, edit_view(await _form(world, known, chosen, asker)))
    except TflockError as error:
        with suppress(UpstreamError):  # the boundary tells the asker of the error itself
            await world.messenger.update_dialog(view_id, failed_view(str(error)))
        raise
    return "ok"


async def save_edit(world: World, wanted: EntryEdit) -> str:
    """Records what a dialog asks for: once, however often it is delivered."""
    await check_may_write(world, wanted.asker.user)
    corrected = await correct.edit(
        world,
        wanted.page.incident,
        wanted.entry,
        by=wanted.asker.user,
        text=wanted.text,
        at=wanted.at,
        why=wanted.why,
        once=wanted.asker.delivery,
    )
    outcome = await say_edited(world, corrected, wanted.asker)
    await refresh(world, wanted.page, wanted.asker)
    return outcome


def read_edit(view: Mapping[str, Any], asker: Asker, now: datetime) -> EntryEdit | Complaint | None:
    """What a sent dialog asks for, or what is wrong with it. None for a dialog that this program did not write."""
    try:
        meta = json.loads(view["private_metadata"])
        values = view["state"]["values"]
        page = TimelinePage(meta["incident"], int(meta["size"]), meta["before"])
        asker = replace(asker, channel=meta["channel"], thread=meta["thread"], response_url=meta["url"])
        text = str(values["text"]["text"].get("value") or "").strip()
        why = str(values["why"]["why"].get("value") or "").strip()
        day, clock = values["date"]["date"].get("selected_date"), values["time"]["time"].get("selected_time")
        at = _meant(meta, day, clock, now)
        kept = _digest(text) == meta["text"]
        wanted = EntryEdit(str(meta["entry"]), page, asker, None if kept else text, at, why)
    except (KeyError, TypeError, ValueError, AttributeError):
        return None
    except _WrongTime as wrong:
        return Complaint({wrong.block: str(wrong)})
    errors = {"text": correct.wrong_text(wanted.text), "time": correct.wrong_time(at, now)}
    found = {block: error for block, error in errors.items() if error}
    if not found and wanted.text is None and at is None:
        found = {"text": "Nothing is changed yet: change the text or the time, or close this."}
    return Complaint(found) if found else wanted


async def open_review(world: World, value: ButtonValue, asker: Asker) -> str:
    """Opens the dialog that asks for what only people know, with what they wrote so far. As `open_edit`."""
    view_id = await _opened(world, asker, loading_review(), "press the button again")
    try:
        await check_may_write(world, asker.user)
        incident = await _reviewed(world, value.request, asker)
        so_far = {about: shown.entry.text for about, shown in (await written(world, incident.id)).items()}
        metadata = {
            "incident": incident.id,
            "channel": asker.channel,
            "thread": asker.thread,
            "url": asker.response_url,
            "shown": {about: _digest(text_shown(so_far.get(about, ""))) for about in REVIEW_FIELDS},
        }
        view = review_view(so_far, title=incident.title, metadata=json.dumps(metadata))
        await world.messenger.update_dialog(view_id, view)
    except TflockError as error:
        with suppress(UpstreamError):  # the boundary tells the asker of the error itself
            await world.messenger.update_dialog(view_id, failed_review(str(error)))
        raise
    return "ok"


async def save_review(world: World, wanted: Review) -> str:
    """Writes each text down once, however often the dialog is delivered."""
    await check_may_write(world, wanted.asker.user)
    incident = await _reviewed(world, wanted.incident, wanted.asker)
    once = wanted.asker.delivery
    changes = await review(world, incident, user=wanted.asker.user, said=wanted.said, once=once)
    late: tuple[Phrase, ...] = () if incident.is_open else (("The export is made again in a minute.",),)
    lines: tuple[Phrase, ...] = (
        ("Your words are on the timeline of ", Quoted(incident.title), f" ({incident.id})."),
        *late,
    )
    if not changes:
        return await say(world, wanted.asker, Notice("Nothing was changed", (("Both texts are as before.",),)), "empty")
    return await say(world, wanted.asker, Notice("The record was updated", lines))


async def _reviewed(world: World, incident_id: str, asker: Asker) -> Incident:
    incident = await world.journal.find(incident_id)
    if incident is None or incident.channel != asker.channel:
        raise NotPermitted("This incident no longer exists. Nothing was changed.")
    return incident


def read_review(view: Mapping[str, Any], asker: Asker, _: datetime) -> Review | Complaint | None:
    """As `read_edit`."""
    try:
        meta, values = json.loads(view["private_metadata"]), view["state"]["values"]
        asker = replace(asker, channel=meta["channel"], thread=meta["thread"], response_url=meta["url"])
        filled = {about: str(values[about][about].get("value") or "").strip() for about in REVIEW_FIELDS}
        said = {about: text for about, text in filled.items() if _digest(text) != meta["shown"][about]}
        return Review(str(meta["incident"]), asker, said)
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


DIALOGS: Mapping[str, Dialog] = {
    EDIT_CALLBACK: Dialog(read_edit, save_edit, "text"),
    REVIEW: Dialog(read_review, save_review, next(iter(REVIEW_FIELDS))),
}
"""The dialogs that can be sent, by their callback id."""


async def _opened(world: World, asker: Asker, view: Mapping[str, Any], again: str) -> str:
    try:
        return await world.messenger.open_dialog(asker.trigger, view)
    except (Missing, Rejected, Unreachable) as error:
        raise NotPermitted(
            f"Slack did not open the dialog in time ({error.detail}). Nothing was changed: {again}."
        ) from error


async def _form(world: World, known: Corrected, chosen: Chosen, asker: Asker) -> EditForm:
    zone, shown = await zone_of(world, asker.user), known.after.entry
    local = shown.at.astimezone(zone)
    metadata = {
        "incident": chosen.page.incident,
        "entry": shown.id,
        "size": chosen.page.size,
        "before": chosen.page.before,
        "channel": asker.channel,
        "thread": asker.thread,
        "url": asker.response_url,
        "zone": name_of_zone(zone),
        "shown": f"{local:%Y-%m-%d %H:%M}",
        "text": _digest(text_shown(shown.text)),
    }
    return EditForm(known, local, local.tzname() or name_of_zone(zone), json.dumps(metadata))


class _WrongTime(Exception):
    def __init__(self, block: str, reason: str) -> None:
        super().__init__(reason)
        self.block = block


def _meant(meta: Mapping[str, Any], day: str | None, clock: str | None, now: datetime) -> datetime | None:
    """The time that was picked; None if it was left as it had been shown."""
    if not day:
        raise _WrongTime("date", "The day is missing.")
    if not clock:
        raise _WrongTime("time", "The time is missing.")
    if f"{day} {clock}" == meta["shown"]:
        return None
    zone = zone_named(meta["zone"])
    if zone is None:
        raise ValueError(meta["zone"])
    at = at_clock(date.fromisoformat(day), time.fromisoformat(clock), zone, now)
    if at is None:
        raise _WrongTime("time", "Clocks never showed that time on that day: they were put forward.")
    return at


def _digest(text: str) -> str:
    """Shows whether a text was changed, in fewer characters than the text."""
    return hashlib.sha256("\n".join(text.split("\r\n")).encode(errors="replace")).hexdigest()[:32]
