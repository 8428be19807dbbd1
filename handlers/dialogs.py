"""The dialog that puts an entry right: opened at once, filled when the entry has been read, read when it is sent.

A trigger lives three seconds, so the dialog is opened before anything is looked up. What is sent is checked without
any I/O, since Slack wants the complaints within three seconds too; the work comes after that, inside the boundary.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, time
from typing import Any

from bot.core.reports.button import parse_button
from bot.core.reports.report import Corrected
from bot.errors import Missing, NotPermitted, Rejected, TflockError, Unreachable, UpstreamError
from bot.slack.render.modal import EditForm, edit_view, failed_view, loading_view, text_shown
from bot.slack.render.timeline import EDIT, ENTRY
from bot.usecases.record import correct
from bot.usecases.world import World
from handlers.asker import Asker
from handlers.clicks import value_of
from handlers.rights import check_may_write
from handlers.timeline import Chosen, Place, TimelineCommands, read_chosen
from handlers.when import at_clock, name_of_zone, zone_named, zone_of


@dataclass(frozen=True, slots=True)
class Wish:
    """What a sent dialog asks for. `text` and `at` are None where they were left as they had been shown."""

    entry: str
    place: Place
    asker: Asker
    text: str | None
    at: datetime | None
    why: str


@dataclass(frozen=True, slots=True)
class Complaint:
    """What is wrong, by the block in which it stands."""

    errors: Mapping[str, str]


def asks_to_edit(action: Mapping[str, Any]) -> Chosen | None:
    """The entry whose dialog a click asks for; None if it asks for something else."""
    value = parse_button(value_of(action)) if action.get("action_id") == ENTRY else None
    chosen = None if value is None else read_chosen(value)
    return chosen if chosen is not None and chosen.what == EDIT else None


@dataclass(frozen=True, slots=True)
class Dialogs:
    """Opens dialogs and does what they ask for. Returns the outcome for the metrics, or raises for the boundary."""

    world: World

    async def edit(self, chosen: Chosen, trigger: str, asker: Asker) -> str:
        """Opens the dialog of an entry. What goes wrong afterwards is said in the dialog as well."""
        view_id = await self._opened(chosen, trigger)
        try:
            await check_may_write(self.world, asker.user)
            known = await correct.look(self.world, chosen.place.incident, chosen.entry)
            form = await self._form(known, chosen, asker)
            await self.world.views.update(view_id, edit_view(form))
        except TflockError as error:
            await self._say_failed(view_id, error)
            raise
        return "ok"

    async def save(self, wish: Wish | None, view_id: str) -> str:
        """Records what a dialog asks for: once, however often it is delivered."""
        if wish is None:
            raise NotPermitted("This dialog is not one that tflock knows any more. Nothing was changed.")
        await check_may_write(self.world, wish.asker.user)
        told = await correct.edit(
            self.world,
            wish.place.incident,
            wish.entry,
            by=wish.asker.user,
            text=wish.text,
            at=wish.at,
            why=wish.why,
            once=f"view/{view_id}",
        )
        timeline = TimelineCommands(self.world)
        outcome = await timeline.say_edited(told, wish.asker)
        await timeline.refresh(wish.place, wish.asker)
        return outcome

    async def _opened(self, chosen: Chosen, trigger: str) -> str:
        try:
            return await self.world.views.open(trigger, loading_view())
        except (Missing, Rejected, Unreachable) as error:
            raise NotPermitted(
                f"Slack did not open the dialog in time ({error.detail}). Nothing was changed: choose Edit once more, "
                f"or type /tflock edit {chosen.entry} TEXT."
            ) from error

    async def _form(self, known: Corrected, chosen: Chosen, asker: Asker) -> EditForm:
        zone, shown = await zone_of(self.world, asker.user), known.after.entry
        local = shown.at.astimezone(zone)
        metadata = {
            "incident": chosen.place.incident,
            "entry": shown.id,
            "size": chosen.place.size,
            "before": chosen.place.before,
            "channel": asker.channel,
            "thread": asker.thread,
            "url": asker.response_url,
            "zone": name_of_zone(zone),
            "shown": f"{local:%Y-%m-%d %H:%M}",
            "text": _digest(text_shown(shown.text)),
        }
        return EditForm(known, local, local.tzname() or name_of_zone(zone), json.dumps(metadata))

    async def _say_failed(self, view_id: str, error: TflockError) -> None:
        try:
            await self.world.views.update(view_id, failed_view(str(error)))
        except UpstreamError:
            return  # the boundary tells the asker of the error itself


def read_wish(view: Mapping[str, Any], asker: Asker, now: datetime) -> Wish | Complaint | None:
    """What a sent dialog asks for, or what is wrong with it. None for a dialog that this program did not write."""
    try:
        meta = json.loads(view["private_metadata"])
        values = view["state"]["values"]
        place = Place(meta["incident"], int(meta["size"]), meta["before"])
        asker = replace(asker, channel=meta["channel"], thread=meta["thread"], response_url=meta["url"])
        text = str(values["text"]["text"].get("value") or "").strip()
        why = str(values["why"]["why"].get("value") or "").strip()
        day, clock = values["date"]["date"].get("selected_date"), values["time"]["time"].get("selected_time")
        at = _meant(meta, day, clock, now)
        kept = _digest(text) == meta["text"]
        wish = Wish(str(meta["entry"]), place, asker, None if kept else text, at, why)
    except (KeyError, TypeError, ValueError, AttributeError):
        return None
    except _WrongTime as wrong:
        return Complaint({wrong.block: str(wrong)})
    errors = {"text": correct.wrong_text(wish.text), "time": correct.wrong_time(at, now)}
    found = {block: error for block, error in errors.items() if error}
    if not found and wish.text is None and at is None:
        found = {"text": "Nothing is changed yet: change the text or the time, or close this."}
    return Complaint(found) if found else wish


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


def asker_of_view(body: Mapping[str, Any]) -> Asker:
    """Whoever sent a dialog that cannot be read: nothing is known of where he was."""
    view = body.get("view") or {}
    return Asker(str((body.get("user") or {}).get("id") or ""), "", "", "", f"view/{view.get('id')}")


def _digest(text: str) -> str:
    """Tells whether a text was changed, in fewer characters than the text."""
    return hashlib.sha256("\n".join(text.split("\r\n")).encode(errors="replace")).hexdigest()[:32]
