"""Slack's listeners: each acks before anything else, and leaves the work, inside the boundary, to the backlog."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import structlog
from slack_bolt.async_app import AsyncAck, AsyncApp
from slack_bolt.response import BoltResponse

from bot.usecases.world import World
from handlers import boundary, clicks, commands, dialogs, home, record
from handlers.asker import (
    Asker,
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
from handlers.backlog import Backlog
from handlers.boundary import Work
from handlers.events import listen_to_channels
from handlers.typed.grammar import parse
from handlers.typed.values import Explain
from handlers.workflow import listen_to_workflows

log = structlog.get_logger()

OnShortcut: TypeAlias = Callable[[World, Mapping[str, Any], Asker], Awaitable[str]]

_ANY = re.compile(r".*", re.DOTALL)
_MENTION = re.compile(r"^\s*(?:<@[UW][A-Z0-9]+(?:\|[^>]*)?>[\s:,]*)+")

SHORTCUTS: Mapping[str, tuple[str, OnShortcut]] = {
    "explain_error": ("explain", lambda w, body, who: commands.explain_text(w, _pasted_in(body), who)),
    "check_lock": ("check_lock", lambda w, body, who: commands.check_lock(w, text_of_message(body), who)),
    "add_to_timeline": ("capture", lambda w, body, who: record.capture_message(w, ts_of_message(body), who)),
    "terraform_locks": ("terraform_locks", lambda w, _, who: home.open_dialog(w, who)),
}
"""By the callback id of the manifest: the command's name in the metrics, and what is done."""


def listen(app: AsyncApp, world: World, backlog: Backlog) -> None:
    """Registers everything that Slack sends us. A payload that nobody asked for is acked and left."""
    intake = _Intake(world, backlog)

    @app.error
    async def on_unreadable(error: Exception) -> BoltResponse:
        # No listener raises, since its work is inside the boundary: what fails is a payload that Slack never sends.
        log.warning("request.unreadable", error=type(error).__name__)
        return BoltResponse(status=400, body={"error": "this is not a request that Slack makes"})

    _listen_to_words(app, intake)
    _listen_to_clicks(app, intake)
    for callback, dialog in dialogs.DIALOGS.items():
        _listen_to_dialog(app, intake, callback, dialog)
    for callback, (name, act) in SHORTCUTS.items():
        _listen_to_shortcut(app, intake, callback, name, act)
    _listen_to_homes(app, intake)
    listen_to_channels(app, world, backlog)
    listen_to_workflows(app, world, backlog)


@dataclass(frozen=True, slots=True)
class _Intake:
    """Takes the work of an acked request: it waits in the backlog, and runs inside the boundary."""

    world: World
    backlog: Backlog

    def take(self, name: str, asker: Asker, work: Work, *, later: bool = False) -> None:
        self.backlog.add(lambda: boundary.run(self.world, name, asker, work), later=later)

    def take_words(self, text: str, asker: Asker, files: tuple[str, ...] = ()) -> None:
        command = parse(text, files)
        self.take(command.name, asker, lambda: commands.run(self.world, command, text, asker))


def _listen_to_words(app: AsyncApp, intake: _Intake) -> None:
    @app.command("/tflock")
    async def on_command(ack: AsyncAck, body: dict[str, Any]) -> None:
        await ack()
        intake.take_words(str(body.get("text") or ""), asker_of_command(body))

    @app.event("app_mention")
    async def on_mention(ack: AsyncAck, body: dict[str, Any]) -> None:
        await ack()
        event = body.get("event") or {}
        if is_from_a_person(event):
            text = _MENTION.sub("", str(event.get("text") or ""))
            intake.take_words(text, asker_of_mention(body), files_of_message(event))


def _listen_to_clicks(app: AsyncApp, intake: _Intake) -> None:
    world = intake.world

    @app.action(_ANY)
    async def on_click(ack: AsyncAck, body: dict[str, Any], action: dict[str, Any]) -> None:
        await ack()
        if action.get("url"):
            return
        action_id, asker = str(action.get("action_id", "")), asker_of_click(body)
        name = action_id if action_id in clicks.CLICKS else "unknown"
        on_tab = (body.get("view") or {}).get("type") == "home"

        async def work() -> None:
            await boundary.run(world, name, asker, lambda: clicks.run(world, action, asker))
            if on_tab and action_id not in home.HOME_BUTTONS:  # those draw the tab themselves
                await home.redraw(world, asker)

        intake.backlog.add(work)


def _listen_to_dialog(app: AsyncApp, intake: _Intake, callback: str, dialog: dialogs.Dialog) -> None:
    @app.view(callback)
    async def on_sent(ack: AsyncAck, body: dict[str, Any], view: dict[str, Any]) -> None:
        asker = asker_of_view(body)
        wanted = dialog.read(view, asker, intake.world.clock.now())
        if isinstance(wanted, dialogs.Complaint):
            await ack(response_action="errors", errors=dict(wanted.errors))
            return
        await ack()
        asker = asker if wanted is None else wanted.asker
        intake.take(callback, asker, lambda: dialogs.save(intake.world, callback, wanted))


def _listen_to_shortcut(app: AsyncApp, intake: _Intake, callback: str, name: str, act: OnShortcut) -> None:
    @app.shortcut(callback)
    async def on_shortcut(ack: AsyncAck, body: dict[str, Any]) -> None:
        await ack()
        asker = asker_of_shortcut(body)
        intake.take(name, asker, lambda: act(intake.world, body, asker))


def _listen_to_homes(app: AsyncApp, intake: _Intake) -> None:
    @app.event("app_home_opened")
    async def on_home(ack: AsyncAck, body: dict[str, Any]) -> None:
        await ack()
        event = body.get("event") or {}
        if event.get("tab", "home") == "home" and event.get("user"):
            asker = asker_of_home(body)
            # behind what people have typed: fifty tabs at once must not hold up a command
            intake.take("home", asker, lambda: home.show_home(intake.world, asker), later=True)


def _pasted_in(body: Mapping[str, Any]) -> Explain:
    return Explain(text_of_message(body), files_of_message(body.get("message") or {}))


def is_from_a_person(event: Mapping[str, Any]) -> bool:
    """Whether a person wrote this message now: not a bot, and not an edit of an older one."""
    return bool(event.get("user")) and not any(event.get(mark) for mark in ("bot_id", "subtype", "edited"))
