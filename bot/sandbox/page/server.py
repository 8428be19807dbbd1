"""The local Slack workspace in a browser: what each person sees, live, and what they do there.

What is pressed and typed goes to the bot as Slack would send it. Only this machine reaches the page.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from importlib import resources
from typing import Any

from aiohttp import web
from markupsafe import Markup

from bot.sandbox.page.document import document
from bot.sandbox.page.scene import DIRECT, HOME, SHORTCUTS, Guide, Scene
from bot.sandbox.slack.dispatch import Delivery
from bot.sandbox.slack.payloads import escaped
from bot.sandbox.slack.team import BOT_NAME, TeamMessage
from bot.sandbox.slack.text import located_in
from bot.sandbox.slack.workspace import BOT_MENTION, SlackWorkspace
from bot.sandbox.stand_in import serving

_LOOKS_EVERY = 0.15
_BEATS_EVERY = 5.0
_COMMAND = "/tflock"
_MARK = "pushpin"
_HEAD = '<style>{}</style><link rel="icon" href="data:,"><script src="/page.js" defer></script>'
_GUARDED = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
}
_TYPES = {"html": "text/html", "png": "image/png", "svg": "image/svg+xml"}
_ENTITIES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})

Asked = Mapping[str, Any]


@asynccontextmanager
async def serving_page(slack: SlackWorkspace, guide: Guide, *, port: int = 0) -> AsyncIterator[str]:
    """Serves the page on loopback while the context is open; gives its address."""
    async with serving(_Page(slack, guide).app(), port=port, patience=0.5) as address:
        yield address


@dataclass
class _Page:
    slack: SlackWorkspace
    guide: Guide
    read: dict[tuple[str, str], str] = field(default_factory=dict)
    kept: dict[tuple[object, ...], str] = field(default_factory=dict)

    def app(self) -> web.Application:
        app = web.Application()
        app.add_routes(
            [
                web.get("/", self.whole),
                web.get("/page.js", self.script),
                web.get("/live", self.live),
                web.get("/seen", self.seen),
                web.get("/files/{file}/{name}", self.file),
                web.post("/do", self.do),
            ]
        )
        return app

    async def whole(self, request: web.Request) -> web.Response:
        """The page around what is live."""
        scene = self._scene(request)
        head = Markup(_HEAD).format(Markup(_read("page.css")))
        title = f"{scene.title} · {scene.team.users[scene.user].name} · tflock sandbox"
        page = document(scene.whole(), title=title, head=head)
        return web.Response(text=str(page), content_type="text/html", headers=_GUARDED)

    async def script(self, _: web.Request) -> web.Response:
        return web.Response(text=_read("page.js"), content_type="text/javascript")

    async def seen(self, request: web.Request) -> web.Response:
        """All regions as they are now, as JSON."""
        return web.json_response(self._scene(request).regions())

    async def live(self, request: web.Request) -> web.StreamResponse:
        """The regions that have changed, as server-sent events, for as long as someone looks."""
        scene = self._scene(request)
        stream = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
        await stream.prepare(request)
        sent: dict[str, Any] = {}
        beats, felt = 0, None
        try:
            while True:
                pulse = scene.pulse()
                now = scene.regions() if pulse != felt else {}
                changed = {name: items for name, items in now.items() if sent.get(name) != items}
                beats, felt = beats + 1, pulse
                if changed:
                    await stream.write(f"data: {json.dumps(changed)}\n\n".encode())
                    sent |= changed
                elif beats % int(_BEATS_EVERY / _LOOKS_EVERY) == 0:
                    await stream.write(b":\n\n")
                await asyncio.sleep(_LOOKS_EVERY)
        except ConnectionError:
            return stream

    async def file(self, request: web.Request) -> web.Response:
        """A file that the bot uploaded. A page among them is shown, but kept apart from this one."""
        upload = self.slack.team.uploads.get(request.match_info["file"])
        if upload is None or upload.content is None:
            raise web.HTTPNotFound
        kind = _TYPES.get(upload.filename.rpartition(".")[2], "text/plain")
        charset = None if kind.startswith("image/") else "utf-8"
        apart = {"Content-Security-Policy": "sandbox allow-scripts allow-popups", "X-Content-Type-Options": "nosniff"}
        return web.Response(body=upload.content, content_type=kind, charset=charset, headers=apart)

    async def do(self, request: web.Request) -> web.Response:
        """Something that a person does. Only this page may ask for it: other sites cannot send JSON here."""
        if request.content_type != "application/json":
            raise web.HTTPUnsupportedMediaType
        asked = await request.json()
        doing = _DOINGS.get(str(asked.get("do")))
        if doing is None or asked.get("as") not in self.guide.people:
            raise web.HTTPBadRequest
        try:
            delivery = await doing(self.slack, asked)
        except LookupError as gone:
            return web.json_response({"says": str(gone.args[0])}, status=HTTPStatus.CONFLICT)
        return web.json_response(_outcome(delivery))

    def _scene(self, request: web.Request) -> Scene:
        """Who looks at what. An unknown person or place is a bad request."""
        user = request.query.get("as") or next(iter(self.guide.people))
        place, thread = request.query.get("in", ""), request.query.get("thread", "")
        scene = Scene(self.slack, self.guide, user, place, thread, self.read, self.kept)
        if user not in self.guide.people or not _may_see(scene):
            raise web.HTTPBadRequest(text="no such person or place")
        return scene


def _may_see(scene: Scene) -> bool:
    return scene.place in ("", HOME, DIRECT, *(one.id for one in scene.channels()))


def _outcome(delivery: Delivery | None) -> dict[str, Any]:
    """What the browser gets: errors beside a dialog's inputs, or that the bot did not answer."""
    if delivery is None or (delivery.is_acked and not delivery.body.startswith("{")):
        return {}
    if not delivery.is_acked:
        return {"says": "tflock did not answer in time."}
    answer = json.loads(delivery.body)
    return {"errors": answer.get("errors", {})} if answer.get("response_action") == "errors" else {}


async def _say(slack: SlackWorkspace, asked: Asked) -> Delivery | None:
    """A line as it was typed: a command, a mention of the bot, or a message to the others."""
    user, channel, typed = str(asked["as"]), str(asked["channel"]), str(asked["text"]).strip()
    thread = str(asked.get("thread") or "") or None
    if not typed:
        return None
    if typed.split()[0] == _COMMAND:
        if thread:
            raise LookupError(f"Slack takes no commands in threads: write @{BOT_NAME} instead of {_COMMAND}")
        return await slack.command(user, channel, typed.removeprefix(_COMMAND).strip())
    text = escaped(slack.team, typed.translate(_ENTITIES)).replace(f"{BOT_MENTION[:-1]}|{BOT_NAME}>", BOT_MENTION)
    if BOT_MENTION in text:
        return await slack.mention(user, channel, text, thread_ts=thread)
    await slack.speak(user, channel, text, thread_ts=thread)
    return None


async def _press(slack: SlackWorkspace, asked: Asked) -> Delivery | None:
    """A button, or a choice in a menu, of a message or a view."""
    user, act = str(asked["as"]), asked["act"]
    action, block, value = str(act["action"]), str(act["block"]), act.get("value")
    shown = _view_of(slack, asked) if asked.get("view") else _message_of(slack, asked)
    try:
        blocks = shown.blocks if isinstance(shown, TeamMessage) else shown["blocks"]
        _, element = located_in(blocks, action, value=value, block_id=block)
    except LookupError:
        raise LookupError("This has changed, and the button is gone.") from None

    if not isinstance(shown, TeamMessage):
        return await slack.click_in_view(user, shown, action, value=value)
    if element["type"] == "button":
        return await slack.click(user, shown, action, value=value, block_id=block)
    return await slack.choose(user, shown, action, str(value))


async def _submit(slack: SlackWorkspace, asked: Asked) -> Delivery | None:
    """A dialog with what was filled in, by the names of its inputs: their blocks and actions."""
    filled = {str(name).partition(" ")[2]: str(value) for name, value in asked["values"].items()}
    return await slack.fill_in(str(asked["as"]), _view_of(slack, asked), filled)


async def _close(slack: SlackWorkspace, asked: Asked) -> Delivery | None:
    return await slack.close(str(asked["as"]), _view_of(slack, asked))


async def _react(slack: SlackWorkspace, asked: Asked) -> Delivery | None:
    user, message = str(asked["as"]), _message_of(slack, asked)
    if user in message.reactions.get(_MARK, ()):
        raise LookupError("You have marked this message already.")
    await slack.react(user, message, _MARK)
    return None


async def _shortcut(slack: SlackWorkspace, asked: Asked) -> Delivery | None:
    if asked["shortcut"] not in SHORTCUTS:
        raise LookupError(str(asked["shortcut"]))
    return await slack.shortcut(str(asked["as"]), _message_of(slack, asked), asked["shortcut"])


async def _open(slack: SlackWorkspace, asked: Asked) -> Delivery | None:
    """A person opens the app at one of its tabs."""
    return await slack.open_home(str(asked["as"]), tab="home" if asked.get("in") == HOME else "messages")


_DOINGS: Mapping[str, Callable[[SlackWorkspace, Asked], Awaitable[Delivery | None]]] = {
    "say": _say,
    "press": _press,
    "submit": _submit,
    "close": _close,
    "react": _react,
    "shortcut": _shortcut,
    "open": _open,
}


def _message_of(slack: SlackWorkspace, asked: Asked) -> TeamMessage:
    channel, _, ts = str(asked.get("message")).partition(" ")
    return slack.message(channel, ts)


def _view_of(slack: SlackWorkspace, asked: Asked) -> Mapping[str, Any]:
    user = str(asked["as"])
    views = [*slack.dialogs(user), slack.home(user)]
    found = next((view for view in views if view and view["id"] == asked["view"]), None)
    if found is None:
        raise LookupError("This dialog is closed.")
    return found


def _read(name: str) -> str:
    return resources.files("bot.sandbox.page").joinpath(name).read_text("utf-8")
