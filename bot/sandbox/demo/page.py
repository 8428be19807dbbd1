"""The sandbox in a browser: the channel as one of its people sees it, with working buttons and a line for commands."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Mapping
from html import escape
from typing import Any

from aiohttp import web
from rich.console import Console
from rich.text import Text

from bot.sandbox.demo.terminal import draw
from bot.sandbox.slack.team import TeamMessage, elements
from bot.sandbox.slack.workspace import SlackWorkspace
from bot.sandbox.stage import CHANNEL, Stage
from bot.sandbox.stand_in import serving

_PEOPLE = ("U0PARKER", "U0QUINN", "U0ELLIOTT", "U0GUEST")
_NEWEST = 30
_WIDTH = 96
_STAGE: web.AppKey[Stage] = web.AppKey("stage")
_PAGE = """<!doctype html><meta charset="utf-8"><title>tflock sandbox</title>
<style>
 body {{ font: 15px system-ui, sans-serif; margin: 0 auto 6rem; max-width: 60rem; padding: 0 1rem }}
 pre {{ margin: .2rem 0; white-space: pre-wrap; font: 13px ui-monospace, monospace }}
 article {{ border-top: 1px solid #ddd; padding: .5rem 0 }}
 #bar {{ position: fixed; bottom: 0; left: 0; right: 0; background: #f4f4f4; border-top: 1px solid #ccc }}
 #bar form {{ margin: auto; max-width: 60rem; padding: .7rem 1rem; display: flex; gap: .5rem; align-items: center }}
 #text {{ flex: 1; font: inherit; padding: .3rem }}
 form {{ display: inline }} button {{ font: inherit; margin-right: .4rem }}
</style>
<h1>#inc-staging</h1><p>Try <code>status staging</code>, <code>unlock staging</code>, <code>kill-job staging</code>,
<code>who staging</code>, <code>timeline</code>, <code>help</code>. The lock is held by a job that died.</p>
<div id="feed"></div><iframe name="quietly" hidden></iframe>
<div id="bar"><form method="post" action="/command" target="quietly" onsubmit="setTimeout(() => text.value = '')">
<label>as <select name="user" id="user">{people}</select></label> <code>/tflock</code>
<input id="text" name="text" autocomplete="off" autofocus><button>Send</button></form></div>
<script>
 let last = '';
 setInterval(async () => {{
   const now = await (await fetch('/feed?user=' + document.getElementById('user').value)).text();
   if (now !== last) {{ last = now; document.getElementById('feed').innerHTML = now; scrollTo(0, 1e9) }}
 }}, 500);
</script>"""


async def serve_page(console: Console, stage: Stage) -> None:
    """Serves the page on a free loopback port, says where, and runs until it is cancelled."""
    async with serving(_app(stage), patience=0.5) as address:
        console.print()
        console.print(Text("The lock is held again, and the loop runs. Try it yourself:"))
        for name, url in (("channel", f"{address}/"), ("GitHub", stage.github.base_url), ("AWS", stage.proxy.url)):
            console.print(Text(f"  {name:8} {url}"))
        console.print(Text("Ctrl-C ends everything."))
        await asyncio.Event().wait()


def _app(stage: Stage) -> web.Application:
    app = web.Application()
    app[_STAGE] = stage
    app.add_routes(
        [
            web.get("/", _page),
            web.get("/feed", _feed),
            web.post("/command", _command),
            web.post("/click", _click),
        ]
    )
    return app


async def _page(request: web.Request) -> web.Response:
    users = request.app[_STAGE].slack.team.users
    people = "".join(f'<option value="{user}">{escape(users[user].name)}</option>' for user in _PEOPLE)
    return web.Response(text=_PAGE.format(people=people), content_type="text/html")


async def _feed(request: web.Request) -> web.Response:
    slack, user = request.app[_STAGE].slack, request.query.get("user", "")
    seen = [*slack.messages(CHANNEL, by_bot=False), *slack.ephemerals(user), *slack.directs(user)]
    newest = sorted(seen, key=lambda message: message.ts)[-_NEWEST:]
    return web.Response(text="".join(_article(slack, user, message) for message in newest), content_type="text/html")


async def _command(request: web.Request) -> web.Response:
    form = await request.post()
    stage, user, text = request.app[_STAGE], str(form.get("user", "")), str(form.get("text", ""))
    if user not in _PEOPLE:
        raise web.HTTPBadRequest
    await stage.slack.command(user, CHANNEL, text)
    return web.Response(text="sent")


async def _click(request: web.Request) -> web.Response:
    form = {name: str(value) for name, value in (await request.post()).items()}
    slack = request.app[_STAGE].slack
    try:
        message = slack.message(form["channel"], form["ts"])
        if form["kind"] == "button":
            await slack.click(form["user"], message, form["action"], value=form["value"])
        else:
            await slack.choose(form["user"], message, form["action"], form["value"])
    except LookupError as error:
        raise web.HTTPConflict(text="the message has changed meanwhile") from error
    return web.Response(text="clicked")


def _article(slack: SlackWorkspace, user: str, message: TeamMessage) -> str:
    team = slack.team
    place = team.places[message.channel]
    where = " (only you see this)" if message.to else " (in your DM)" if place.direct_to else ""
    names = {person.id: person.name for person in team.users.values()} | {p.id: p.name for p in team.places.values()}
    canvas = Console(record=True, file=io.StringIO(), width=_WIDTH, color_system=None)
    body = [block for block in message.blocks if block.get("type") != "actions"]
    draw(canvas, team.users[message.user].name + where, message.text, body, names=names)
    drawn = canvas.export_html(inline_styles=True, code_format="<pre>{code}</pre>")
    controls = (
        _control(user, message, element, choice)
        for block in message.blocks
        for element in elements(block)
        for choice in element.get("options", [element])
    )
    return f"<article>{drawn}{''.join(controls)}</article>"


def _control(user: str, message: TeamMessage, element: Mapping[str, Any], choice: Mapping[str, Any]) -> str:
    fields = {
        "user": user,
        "channel": message.channel,
        "ts": message.ts,
        "kind": str(element["type"]),
        "action": str(element["action_id"]),
        "value": str(choice.get("value", "")),
    }
    hidden = "".join(f'<input type="hidden" name="{name}" value="{escape(text)}">' for name, text in fields.items())
    label = escape(str(choice["text"]["text"]))
    return f'<form method="post" action="/click" target="quietly">{hidden}<button>{label}</button></form>'
