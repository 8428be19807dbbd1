"""Slack's listeners: each delivery is accepted, acked, and left to the backlog. `intake.py` says what that promises."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import structlog
from slack_bolt.async_app import AsyncAck, AsyncApp
from slack_bolt.response import BoltResponse

from bot.core.phrase import plain
from bot.core.reports.report import Notice
from bot.errors import UpstreamError
from bot.slack.render import message_of
from bot.usecases.world import World
from handlers import dialogs
from handlers.asker import (
    Asker,
    answer,
    asker_of_click,
    asker_of_command,
    asker_of_home,
    asker_of_mention,
    asker_of_shortcut,
    asker_of_view,
    files_of_message,
    text_of_message,
    ts_of_message,
)
from handlers.delivery import SHORTCUTS, Delivery, Way
from handlers.events import listen_to_channels
from handlers.intake import Intake
from handlers.workflow import listen_to_workflows

log = structlog.get_logger()

_ANY = re.compile(r".*", re.DOTALL)
_MENTION = re.compile(r"^\s*(?:<@[UW][A-Z0-9]+(?:\|[^>]*)?>[\s:,]*)+")


def listen(app: AsyncApp, world: World, intake: Intake) -> None:
    """Registers everything that Slack sends us. A payload that nobody asked for is acked and left."""
    desk = _Desk(world, intake)

    @app.error
    async def on_unreadable(error: Exception) -> BoltResponse:
        # No listener raises, since its work is inside the boundary: what fails is a payload that Slack never sends.
        log.warning("request.unreadable", error=type(error).__name__)
        return BoltResponse(status=400, body={"error": "this is not a request that Slack makes"})

    _listen_to_words(app, desk)
    _listen_to_clicks(app, desk)
    for callback, dialog in dialogs.DIALOGS.items():
        _listen_to_dialog(app, desk, callback, dialog)
    for callback in SHORTCUTS:
        _listen_to_shortcut(app, desk, callback)
    _listen_to_homes(app, desk)
    listen_to_channels(app, world)
    listen_to_workflows(app, world)


class _Desk:
    """Hands a delivery in, and tells its asker if it was not accepted."""

    def __init__(self, world: World, intake: Intake) -> None:
        self.world = world
        self.intake = intake
        self._telling: set[asyncio.Task[None]] = set()

    async def take(self, ack: AsyncAck, delivery: Delivery) -> None:
        refusal = await self.intake.take(delivery)
        await ack()
        if refusal is not None:
            self.tell(delivery.asker, refusal)

    def tell(self, asker: Asker, refusal: Notice) -> None:
        telling = asyncio.create_task(self._tell(asker, refusal))
        self._telling.add(telling)
        telling.add_done_callback(self._telling.discard)

    async def _tell(self, asker: Asker, refusal: Notice) -> None:
        try:
            await answer(self.world.messenger, asker, refusal)
        except UpstreamError as slack:
            log.error("command.not_answered", detail=slack.detail)  # noqa: TRY400 - no bug to trace

    def before_the_ack(self, read: Callable[[Mapping[str, Any]], Delivery | None]) -> Callable[..., Awaitable[None]]:
        """For events, which Bolt acks before their listener is called: as a middleware of that listener."""

        async def accept(body: dict[str, Any], next_: Callable[[], Awaitable[None]]) -> None:
            delivery = read(body)
            refusal = None if delivery is None else await self.intake.take(delivery)
            if delivery is not None and refusal is not None and delivery.way is not Way.HOME:
                self.tell(delivery.asker, refusal)
            await next_()

        return accept


async def _nothing_more() -> None:
    """The listener of an event that its middleware has taken."""


def _listen_to_words(app: AsyncApp, desk: _Desk) -> None:
    @app.command("/tflock")
    async def on_command(ack: AsyncAck, body: dict[str, Any]) -> None:
        refusal = await desk.intake.take(
            Delivery(way=Way.WORDS, asker=asker_of_command(body), text=str(body.get("text") or ""))
        )
        if refusal is None:
            await ack()
        else:  # in the ack itself: that takes no call to Slack, however many there are
            message = message_of(refusal)
            await ack(text=message.text, blocks=[dict(block) for block in message.plain or message.blocks])

    app.event("app_mention", middleware=[desk.before_the_ack(_mention)])(_nothing_more)


def _mention(body: Mapping[str, Any]) -> Delivery | None:
    event = body.get("event") or {}
    if not is_from_a_person(event):
        return None
    text = _MENTION.sub("", str(event.get("text") or ""))
    return Delivery(way=Way.WORDS, asker=asker_of_mention(body), text=text, files=files_of_message(event))


def _listen_to_clicks(app: AsyncApp, desk: _Desk) -> None:
    @app.action(_ANY)
    async def on_click(ack: AsyncAck, body: dict[str, Any], action: dict[str, Any]) -> None:
        if action.get("url"):
            await ack()
            return
        chosen = action.get("selected_option") or {}
        delivery = Delivery(
            way=Way.CLICK,
            asker=asker_of_click(body),
            name=str(action.get("action_id", "")),
            value=str(action.get("value") or chosen.get("value") or ""),
            on_tab=(body.get("view") or {}).get("type") == "home",
        )
        await desk.take(ack, delivery)


def _listen_to_dialog(app: AsyncApp, desk: _Desk, callback: str, dialog: dialogs.Dialog) -> None:
    @app.view(callback)
    async def on_sent(ack: AsyncAck, body: dict[str, Any], view: dict[str, Any]) -> None:
        asker = asker_of_view(body)
        wanted = dialog.read(view, asker, desk.world.clock.now())
        if isinstance(wanted, dialogs.Complaint):
            await ack(response_action="errors", errors=dict(wanted.errors))
            return
        asker = asker if wanted is None else wanted.asker
        refusal = await desk.intake.take(Delivery(way=Way.DIALOG, asker=asker, name=callback, sent=wanted))
        if refusal is None:
            await ack()
        else:  # the dialog stays open with what was typed in it
            words = " ".join([f"{refusal.headline}.", *map(plain, refusal.lines)])
            await ack(response_action="errors", errors={dialog.first: words})


def _listen_to_shortcut(app: AsyncApp, desk: _Desk, callback: str) -> None:
    @app.shortcut(callback)
    async def on_shortcut(ack: AsyncAck, body: dict[str, Any]) -> None:
        delivery = Delivery(
            way=Way.SHORTCUT,
            asker=asker_of_shortcut(body),
            name=callback,
            text=text_of_message(body),
            files=files_of_message(body.get("message") or {}),
            value=ts_of_message(body),
        )
        await desk.take(ack, delivery)


def _listen_to_homes(app: AsyncApp, desk: _Desk) -> None:
    def opened(body: Mapping[str, Any]) -> Delivery | None:
        event = body.get("event") or {}
        is_home = event.get("tab", "home") == "home" and event.get("user")
        return Delivery(way=Way.HOME, asker=asker_of_home(body)) if is_home else None

    app.event("app_home_opened", middleware=[desk.before_the_ack(opened)])(_nothing_more)


def is_from_a_person(event: Mapping[str, Any]) -> bool:
    """Whether a person wrote this message now: not a bot, and not an edit of an older one."""
    return bool(event.get("user")) and not any(event.get(mark) for mark in ("bot_id", "subtype", "edited"))
