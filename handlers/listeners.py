"""Slack's listeners: each acks before anything else, and leaves the work, inside the boundary, to the backlog."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import structlog
from slack_bolt.async_app import AsyncAck, AsyncApp
from slack_bolt.response import BoltResponse

from bot.slack.render.modal import EDIT_CALLBACK
from bot.usecases.world import World
from handlers.asker import asker_of_click, asker_of_command, asker_of_mention, asker_of_shortcut, text_of_message
from handlers.backlog import Backlog
from handlers.boundary import Boundary
from handlers.check_lock import CHECK_SHORTCUT, CheckLock
from handlers.clicks import Actions
from handlers.commands import Commands
from handlers.dialogs import Complaint, Dialogs, asker_of_view, asks_to_edit, read_wish
from handlers.events import listen_to_channels
from handlers.home import HomeClicks, is_of_home, listen_to_homes
from handlers.typed import grammar
from handlers.workflow import listen_to_workflows

log = structlog.get_logger()

_ANY = re.compile(r".*", re.DOTALL)
_MENTION = re.compile(r"^\s*(?:<@[UW][A-Z0-9]+(?:\|[^>]*)?>[\s:,]*)+")


def listen(app: AsyncApp, world: World, backlog: Backlog) -> None:
    """Registers everything that Slack sends us. A payload that nobody asked for is acked and left."""
    boundary, commands, actions, dialogs = Boundary(world), Commands(world), Actions(world), Dialogs(world)
    homes = HomeClicks(world, backlog, boundary)

    @app.error
    async def on_unreadable(error: Exception) -> BoltResponse:
        # No listener raises, since its work is inside the boundary: what fails is a payload that Slack never sends.
        log.warning("request.unreadable", error=repr(error))
        return BoltResponse(status=400, body={"error": "this is no request that Slack makes"})

    @app.command("/tflock")
    async def on_command(ack: AsyncAck, body: dict[str, Any]) -> None:
        await ack()
        text = str(body.get("text") or "")
        command, asker = grammar.parse(text), asker_of_command(body)
        backlog.add(lambda: boundary.run(grammar.name_of(command), asker, lambda: commands.run(command, text, asker)))

    @app.action(_ANY)
    async def on_click(ack: AsyncAck, body: dict[str, Any], action: dict[str, Any]) -> None:
        await ack()
        action_id, asker = str(action.get("action_id", "")), asker_of_click(body)
        if action.get("url"):
            return
        if is_of_home(body, action):
            homes.take(body, action, asker)
            return
        if (chosen := asks_to_edit(action)) is not None:
            trigger = str(body.get("trigger_id") or "")
            backlog.add(lambda: boundary.run(action_id, asker, lambda: dialogs.edit(chosen, trigger, asker)))
            return
        name = action_id if action_id in actions.table() else "unknown"
        backlog.add(lambda: boundary.run(name, asker, lambda: actions.run(action_id, action, asker)))

    _listen_to_dialogs(app, world, dialogs, boundary, backlog)

    listen_to_channels(app, world, backlog, boundary)
    listen_to_homes(app, world, backlog, boundary)
    listen_to_workflows(app, world, backlog)

    _listen_to_message_shortcuts(app, world, commands, boundary, backlog)

    @app.event("app_mention")
    async def on_mention(ack: AsyncAck, body: dict[str, Any]) -> None:
        await ack()
        event = body.get("event") or {}
        if not is_from_a_person(event):
            return
        text = _MENTION.sub("", str(event.get("text") or ""))
        command, asker = grammar.parse(text), asker_of_mention(body)
        backlog.add(lambda: boundary.run(grammar.name_of(command), asker, lambda: commands.run(command, text, asker)))


def _listen_to_message_shortcuts(
    app: AsyncApp, world: World, commands: Commands, boundary: Boundary, backlog: Backlog
) -> None:
    @app.shortcut("explain_error")
    async def on_explain(ack: AsyncAck, body: dict[str, Any]) -> None:
        await ack()
        text, asker = text_of_message(body), asker_of_shortcut(body)
        backlog.add(lambda: boundary.run("explain", asker, lambda: commands.explain(text, asker)))

    @app.shortcut(CHECK_SHORTCUT)
    async def on_check(ack: AsyncAck, body: dict[str, Any]) -> None:
        await ack()
        text, asker = text_of_message(body), asker_of_shortcut(body)
        checking = CheckLock(world, commands)
        backlog.add(lambda: boundary.run(CHECK_SHORTCUT, asker, lambda: checking.run(text, asker)))


def _listen_to_dialogs(app: AsyncApp, world: World, dialogs: Dialogs, boundary: Boundary, backlog: Backlog) -> None:
    @app.view(EDIT_CALLBACK)
    async def on_edit_sent(ack: AsyncAck, body: dict[str, Any], view: dict[str, Any]) -> None:
        asker = asker_of_view(body)
        wish = read_wish(view, asker, world.clock.now())
        if isinstance(wish, Complaint):
            await ack(response_action="errors", errors=dict(wish.errors))
            return
        await ack()
        who = asker if wish is None else wish.asker
        backlog.add(lambda: boundary.run(EDIT_CALLBACK, who, lambda: dialogs.save(wish, str(view.get("id")))))


def is_from_a_person(event: Mapping[str, Any]) -> bool:
    """Whether a person wrote this message now: not a bot, and not an edit of an older one."""
    return bool(event.get("user")) and not any(event.get(mark) for mark in ("bot_id", "subtype", "edited"))
