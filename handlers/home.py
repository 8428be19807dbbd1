"""The home tab and the shortcuts that open the same overview in a dialog.

A tab or a dialog is shown at once, from what was read last, and filled when everything has been read. Whatever goes
wrong is shown in the same place, with a reference that is in the log too. An asker in a dialog sees the answer there,
any other on their home tab.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from functools import partial

import structlog

from bot.core.reports.button import ButtonValue
from bot.core.reports.report import Notice
from bot.errors import NotPermitted, Rejected, UpstreamError
from bot.slack.render.home import (
    CHECK,
    CHECKLIST,
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
from bot.usecases.look import home_tab
from bot.usecases.world import World
from handlers.asker import Asker
from handlers.boundary import notice_of

log = structlog.get_logger()

_MOST_PAGES = 10_000


async def show_home(world: World, asker: Asker, page: int = 0) -> str:
    """First what is at hand, then everything."""
    draw, loading = (overview_view, loading_dialog) if asker.dialog else (home_view, loading_home)

    async def at_hand() -> View:
        kept = await home_tab.kept_home(world, asker.user, page=page)
        return loading() if kept is None else draw(kept)

    async def everything() -> View:
        return draw(await home_tab.home(world, asker.user, page=page))

    outcome = await _shown(world, asker, at_hand)
    return outcome if outcome != "ok" else await _shown(world, asker, everything)


async def open_dialog(world: World, asker: Asker) -> str:
    return await show_home(world, await _in_dialog(world, asker))


async def redraw(world: World, asker: Asker) -> None:
    """Draws the tab again, after a button on it has done something. What fails is left to the next opening."""
    try:
        await show_home(world, asker)
    except UpstreamError as error:
        log.warning("home.not_redrawn", detail=error.detail)


async def _turn(world: World, value: ButtonValue, asker: Asker) -> str:
    page = min(int(value.choice), _MOST_PAGES) if value.choice.isdecimal() else 0
    return await show_home(world, asker, page)


async def _check(world: World, value: ButtonValue, asker: Asker, *, is_unfolded: bool = False) -> str:
    async def view() -> View:
        return status_view(await home_tab.check(world, asker.user, value.state), is_unfolded=is_unfolded)

    return await _shown(world, await _in_dialog(world, asker), view)


async def _ask_where(world: World, value: ButtonValue, asker: Asker) -> str:
    async def view() -> View:
        world.state(value.state)
        return ask_where_view(value.state, await home_tab.open_incidents(world, asker.user), world.incident_channels)

    return await _shown(world, await _in_dialog(world, asker), view)


HOME_BUTTONS: Mapping[str, Callable[[World, ButtonValue, Asker], Awaitable[str]]] = {
    CHECK: _check,
    CHECKLIST: partial(_check, is_unfolded=True),
    REFRESH: _turn,
    OLDER: _turn,
    NEWER: _turn,
    UNLOCK: _ask_where,
}


async def _in_dialog(world: World, asker: Asker) -> Asker:
    """The asker in the dialog where they clicked, or in a new one: it is opened before anything is looked up."""
    if asker.dialog:
        return asker
    try:
        return replace(asker, dialog=await world.messenger.open_dialog(asker.trigger, loading_dialog()))
    except Rejected as error:
        words = f"Slack did not open the dialog in time ({error.detail}). Nothing was changed: click once more."
        raise NotPermitted(words) from error


async def _shown(world: World, asker: Asker, make: Callable[[], Awaitable[View]]) -> str:
    """Shows what `make` makes, or why it could not be made. Raises UpstreamError if Slack does not show it."""
    plain = plain_dialog if asker.dialog else plain_home
    try:
        view, outcome = await make(), "ok"
    except NotPermitted as refused:
        view, outcome = plain(Notice("Terraform locks", ((str(refused),),))), "refused"
    except Exception as error:
        reference = world.new_id()
        log.exception("home.broke", reference=reference, user=asker.user)
        view, outcome = plain(replace(notice_of("home", error, reference), reference=reference)), "failed"
    if asker.dialog:
        await world.messenger.update_dialog(asker.dialog, view)
    else:
        await world.messenger.publish_home(asker.user, view)
    return outcome
