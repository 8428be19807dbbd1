"""The home tab and the shortcuts that open the same overview in a dialog.

A tab or a dialog is shown at once, from what was read last, and filled when everything has been read. Whatever goes
wrong is said in the same place, with a reference that is in the log too.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import structlog
from slack_bolt.async_app import AsyncAck, AsyncApp

from bot.core.reports.button import ButtonValue, parse_button
from bot.core.reports.home import Home
from bot.core.reports.report import Notice
from bot.errors import NotPermitted, Rejected, UpstreamError
from bot.slack.render.home import (
    CHECK,
    NEWER,
    OLDER,
    REFRESH,
    UNLOCK,
    View,
    ask_where_view,
    home_view,
    loading_dialog,
    loading_home,
    overview_view,
    plain_dialog,
    plain_home,
    status_view,
)
from bot.usecases.look import home as homes
from bot.usecases.world import World
from handlers.asker import Asker
from handlers.backlog import Backlog
from handlers.boundary import Boundary, notice_of
from handlers.clicks import Actions

log = structlog.get_logger()

HOME_BUTTONS = frozenset({CHECK, REFRESH, UNLOCK, OLDER, NEWER})
LOCKS_SHORTCUT = "terraform_locks"

_OF_HOMES = "home"
_MOST_PAGES = 10_000


@dataclass(frozen=True, slots=True)
class Place:
    """Where a view stands: the user's home tab, or a dialog by its id."""

    user: str
    dialog: str = ""


def listen_to_homes(app: AsyncApp, world: World, backlog: Backlog, boundary: Boundary) -> None:
    """Registers the opening of the home tab and the global shortcut."""
    shown = Homes(world)

    @app.event("app_home_opened")
    async def on_home(ack: AsyncAck, body: dict[str, Any]) -> None:
        await ack()
        event = body.get("event") or {}
        if event.get("tab", "home") == "home" and event.get("user"):
            asker = asker_of_event(body)
            # behind what people have typed: fifty tabs at once must not hold up a command
            backlog.add(lambda: boundary.run("home", asker, lambda: shown.open_tab(asker)), later=True)

    @app.shortcut(LOCKS_SHORTCUT)
    async def on_shortcut(ack: AsyncAck, body: dict[str, Any]) -> None:
        await ack()
        asker, trigger = asker_of_global_shortcut(body), str(body.get("trigger_id") or "")
        backlog.add(lambda: boundary.run(LOCKS_SHORTCUT, asker, lambda: shown.open_dialog(trigger, asker)))


def asker_of_event(body: Mapping[str, Any]) -> Asker:
    """Whoever opened his home tab: there is no channel."""
    event_id, user = body.get("event_id") or "", (body.get("event") or {}).get("user") or ""
    return Asker(str(user), "", "", "", f"event/{event_id}" if event_id else "")


def asker_of_global_shortcut(body: Mapping[str, Any]) -> Asker:
    user, at = (body.get("user") or {}).get("id") or "", body.get("action_ts") or ""
    return Asker(str(user), "", "", "", f"shortcut/{user}/{at}" if at else "")


def is_of_home(body: Mapping[str, Any], action: Mapping[str, Any]) -> bool:
    """Whether a click was made on a home tab, or on one of our buttons in a dialog."""
    return action.get("action_id") in HOME_BUTTONS or (body.get("view") or {}).get("type") == _OF_HOMES


@dataclass(frozen=True, slots=True)
class HomeClicks:
    """Hands clicks on home tabs and their dialogs to the backlog."""

    world: World
    backlog: Backlog
    boundary: Boundary

    def take(self, body: Mapping[str, Any], action: Mapping[str, Any], asker: Asker) -> None:
        """The buttons of other messages do there what they do elsewhere; then the tab is drawn again."""
        action_id, homes, actions = str(action.get("action_id", "")), Homes(self.world), Actions(self.world)

        async def other() -> None:
            name = action_id if action_id in actions.table() else "unknown"
            await self.boundary.run(name, asker, lambda: actions.run(action_id, action, asker))
            await homes.refresh(asker)

        async def own() -> None:
            await self.boundary.run(action_id, asker, lambda: homes.click(body, action, asker))

        self.backlog.add(own if action_id in HOME_BUTTONS else other)


@dataclass(frozen=True, slots=True)
class Homes:
    """Shows homes and their dialogs. Each returns the outcome for the metrics, or raises for the boundary."""

    world: World

    async def open_tab(self, asker: Asker) -> str:
        return await self._filled(Place(asker.user), 0, asker)

    async def open_dialog(self, trigger: str, asker: Asker) -> str:
        """A trigger lives three seconds: the dialog is opened before anything is looked up."""
        place = Place(asker.user, await self._opened(trigger))
        return await self._filled(place, 0, asker)

    async def click(self, body: Mapping[str, Any], action: Mapping[str, Any], asker: Asker) -> str:
        """One of our buttons, on the tab or in a dialog."""
        value, action_id = parse_button(str(action.get("value") or "")), str(action.get("action_id"))
        if value is None:
            raise NotPermitted("This button is not one that tflock knows any more. Nothing was changed.")
        view, trigger = body.get("view") or {}, str(body.get("trigger_id") or "")
        is_dialog = view.get("type") == "modal"
        place = Place(asker.user, str(view.get("id")) if is_dialog else "")
        if action_id in {REFRESH, OLDER, NEWER}:
            return await self._filled(place, _page(value), asker)
        dialog = place if is_dialog else Place(asker.user, await self._opened(trigger))
        show = self._checked if action_id == CHECK else self._where
        return await self._shown(dialog, asker, lambda: show(value.state, asker))

    async def refresh(self, asker: Asker, page: int = 0) -> None:
        """Draws the tab again, after a button on it has done something. What fails is left to the next opening."""
        try:
            await self._filled(Place(asker.user), page, asker)
        except UpstreamError as error:
            log.warning("home.not_redrawn", detail=error.detail)

    async def _filled(self, place: Place, page: int, asker: Asker) -> str:
        """First what is at hand, then everything."""
        draw = overview_view if place.dialog else home_view
        loading = loading_dialog if place.dialog else loading_home

        async def at_hand() -> View:
            kept = await homes.kept_home(self.world, asker.user, page=page)
            return loading() if kept is None else draw(kept)

        async def everything() -> View:
            read: Home = await homes.home(self.world, asker.user, page=page)
            return draw(read)

        outcome = await self._shown(place, asker, at_hand)
        return outcome if outcome != "ok" else await self._shown(place, asker, everything)

    async def _checked(self, state: str, asker: Asker) -> View:
        return status_view(await homes.check(self.world, asker.user, state))

    async def _where(self, state: str, asker: Asker) -> View:
        self.world.state(state)
        incidents = await homes.open_incidents(self.world, asker.user)
        return ask_where_view(state, incidents, self.world.incident_channels)

    async def _shown(self, place: Place, asker: Asker, make: Callable[[], Awaitable[View]]) -> str:
        """Shows what `make` makes, or why it could not be made. Raises UpstreamError if Slack does not show it."""
        try:
            view, outcome = await make(), "ok"
        except NotPermitted as refused:
            view, outcome = self._said(place, Notice("Terraform locks", ((str(refused),),))), "refused"
        except Exception as error:
            reference = self.world.new_id()
            log.exception("home.broke", reference=reference, user=asker.user)
            view, outcome = self._said(place, _with_reference(error, reference)), "failed"
        await self._put(place, view)
        return outcome

    def _said(self, place: Place, notice: Notice) -> View:
        return (plain_dialog if place.dialog else plain_home)(notice)

    async def _put(self, place: Place, view: View) -> None:
        if place.dialog:
            await self.world.views.update(place.dialog, view)
        else:
            await self.world.views.publish(place.user, view)

    async def _opened(self, trigger: str) -> str:
        try:
            return await self.world.views.open(trigger, loading_dialog())
        except Rejected as error:
            words = f"Slack did not open the dialog in time ({error.detail}). Nothing was changed: click once more."
            raise NotPermitted(words) from error


def _with_reference(error: Exception, reference: str) -> Notice:
    told = notice_of("home", error, reference)
    return Notice(told.headline, told.lines, reference)


def _page(value: ButtonValue) -> int:
    return min(int(value.choice), _MOST_PAGES) if value.choice.isdecimal() else 0
