"""A Slack workspace on this machine: the bot's real Slack client and Bolt work with it as with Slack's own.

    async with SlackWorkspace() as slack:
        slack.add_user("U0QUINN", "quinn")
        slack.add_channel("C0INC", "inc-1", ["U0QUINN"])
        ...start the bot with slack.environment()...
        slack.bot_url = "http://127.0.0.1:3000/slack/events"
        await slack.command("U0QUINN", "C0INC", "status staging")
        message = await slack.wait_for(lambda: slack.messages("C0INC"))

People act by `command`, `click`, `choose`, `submit`, `shortcut` …, which return the Delivery with the bot's answer and
how long the ack took, and by `speak` and `react`. `messages`, `ephemerals`, `directs`, `files`,
`dialogs` and `home` show what the bot made.
"""

from __future__ import annotations

import inspect
import json
import time
from asyncio import sleep
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Any, Self, TypeVar

import aiohttp

from bot.sandbox.slack import payloads
from bot.sandbox.slack.dispatch import Delivery, Dispatcher, EnvelopeKind, Signing
from bot.sandbox.slack.forms import take_answer, values_of
from bot.sandbox.slack.server import Server
from bot.sandbox.slack.team import (
    BOT_NAME,
    BOT_USER,
    SLACKBOT,
    Json,
    Place,
    Team,
    TeamMessage,
    Upload,
    User,
)
from bot.sandbox.slack.text import located, located_in
from bot.sandbox.slack.views import closed, home_id
from bot.sandbox.slack.writing import content_of

T = TypeVar("T")
POLL_SECONDS = 0.01
BOT_MENTION = f"<@{BOT_USER}>"


class SlackWorkspace:
    """The workspace. `clock` (Unix seconds) ages triggers and response URLs; signatures use the real time.

    `ack_timeout` is in seconds; `retry_scale` multiplies Slack's delays between the deliveries of an event.
    """

    def __init__(
        self,
        *,
        bot_url: str | None = None,
        clock: Callable[[], float] = time.time,
        retry_scale: float = 1.0,
        ack_timeout: float = 3.0,
        port: int = 0,
    ) -> None:
        self.signing_secret = "sandbox-signing-secret"
        self.bot_token = "xoxb-sandbox-bot"
        self.team = Team(clock=clock)
        self._server = Server(self.team, self.bot_token)
        self._delivering: Callable[..., Dispatcher] = Dispatcher
        self._options = {"url": bot_url, "patience": ack_timeout, "retry_scale": retry_scale}
        self._dispatcher: Dispatcher | None = None
        self._open = AsyncExitStack()
        self._port = port
        self.add_user(BOT_USER, BOT_NAME, is_bot=True)

    async def __aenter__(self) -> Self:
        await self._open.enter_async_context(self._server.running(self._port))
        self._dispatcher = self._delivering(aiohttp.ClientSession(), Signing(self.signing_secret), **self._options)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._running.aclose()
        await self._running.session.close()
        await self._open.aclose()

    @property
    def api_url(self) -> str:
        """The base of the Web API, for SLACK_API_URL; ends with a slash."""
        return f"{self._server.base}/api/"

    @property
    def bot_url(self) -> str | None:
        """Where the bot takes Slack's requests, `http://…/slack/events`."""
        return self._running.url

    @bot_url.setter
    def bot_url(self, url: str | None) -> None:
        self._running.url = url

    def environment(self) -> dict[str, str]:
        """The environment variables that make the bot use this workspace."""
        return {
            "SLACK_BOT_TOKEN": self.bot_token,
            "SLACK_SIGNING_SECRET": self.signing_secret,
            "SLACK_API_URL": self.api_url,
        }

    # people and places

    def add_user(self, user_id: str, name: str, **facts: Any) -> User:
        """Adds or replaces a person; `facts` are fields of `User` (`tz`, `presence`, `is_guest`, `email` …)."""
        self.team.users[user_id] = User(user_id, name, **facts)
        return self.team.users[user_id]

    def add_channel(
        self, channel_id: str, name: str, members: Iterable[str] = (), *, with_bot: bool = True, **facts: Any
    ) -> Place:
        """Adds a channel; `facts` are `is_private`, `is_archived`, `is_shared`. The bot is its last member."""
        inside = [*members, BOT_USER] if with_bot else list(members)
        self.team.places[channel_id] = Place(channel_id, name, inside, **facts)
        return self.team.places[channel_id]

    # what people do

    async def command(self, user: str, channel: str, text: str = "", *, name: str = "/tflock") -> Delivery:
        """A slash command. What the bot answers in its ack is shown to the asker, and so is a failure."""
        url = self._response_url(self.team.response(channel, user, None))
        payload = payloads.command(
            self.team, user=user, channel=channel, command_name=name, text=text, response_url=url
        )
        delivery = await self._running.deliver(EnvelopeKind.COMMAND, payload)
        self._show_reply(delivery, user, channel)
        return delivery

    async def click(
        self,
        user: str,
        message: TeamMessage,
        action: str | Mapping[str, Any],
        *,
        value: str | None = None,
        block_id: str | None = None,
        selected: Mapping[str, str] | None = None,
    ) -> Delivery:
        """A click on a button: by its action id (and value or block, if there are several), or on an `element` as it
        was before the message changed. `selected` maps the action ids of the message's selects to what they show.

        Raises LookupError if the message has no such button.
        """
        if isinstance(action, str):
            block_id, element = located(message, action, value=value, block_id=block_id)
        else:
            element = dict(action)
        return await self._act(user, message, payloads.acted(block_id or "stale", element, None), selected or {})

    async def choose(self, user: str, message: TeamMessage, action_id: str, value: str) -> Delivery:
        """A choice in a select or overflow menu, by the option's value. Raises LookupError if there is none."""
        block_id, element = located(message, action_id, value=value, block_id=None)
        return await self._act(user, message, payloads.acted(block_id, element, value), {action_id: value})

    async def mention(self, user: str, channel: str, text: str, *, thread_ts: str | None = None) -> Delivery:
        """A message that mentions the bot: it is in the channel, and the bot gets `app_mention`."""
        text = payloads.linked(text if BOT_MENTION in text else f"{BOT_MENTION} {text}")
        message = self.say(user, channel, text, thread_ts=thread_ts)
        return await self.event({**message.shown(), "type": "app_mention", "channel": channel, "event_ts": message.ts})

    async def shortcut(self, user: str, message: TeamMessage, callback_id: str) -> Delivery:
        url = self._response_url(self.team.response(message.channel, user, message))
        payload = payloads.shortcut(self.team, user=user, message=message, callback_id=callback_id, response_url=url)
        return await self._running.deliver(EnvelopeKind.INTERACTIVE, payload)

    async def global_shortcut(self, user: str, callback_id: str) -> Delivery:
        payload = payloads.global_shortcut(self.team, user=user, callback_id=callback_id)
        return await self._running.deliver(EnvelopeKind.INTERACTIVE, payload)

    async def open_home(self, user: str, *, tab: str = "home") -> Delivery:
        """Opens the app in the sidebar at one of its tabs, `home` or `messages`."""
        view = self.team.views.get(home_id(user))
        channel = self.team.direct(user).id
        return await self.event(payloads.home_opened(user, view, tab=tab, channel=channel))

    async def click_in_view(
        self, user: str, view: Mapping[str, Any], action_id: str, *, value: str | None = None
    ) -> Delivery:
        """A click in a dialog or on a home tab. Raises LookupError if it has no such button."""
        block_id, element = located_in(view["blocks"], action_id, value=value, block_id=None)
        action = payloads.acted(block_id, element, value)
        payload = payloads.view_action(self.team, user=user, view=view, action=action)
        return await self._running.deliver(EnvelopeKind.INTERACTIVE, payload)

    async def submit(self, user: str, view: Mapping[str, Any], values: Json) -> Delivery:
        """The submit button of a dialog; `values` is its `state.values`. What the bot answers is done to the dialog."""
        payload = payloads.submission(self.team, user=user, view=view, values=values)
        delivery = await self._running.deliver(EnvelopeKind.INTERACTIVE, payload)
        if delivery.is_acked and view["id"] in self.team.stacks.get(user, ()):
            take_answer(self.team, user, view["id"], delivery.body)
        return delivery

    async def fill_in(self, user: str, view: Mapping[str, Any], filled: Mapping[str, str | None]) -> Delivery:
        """Fills a dialog in, by action id, leaves the rest as it is shown, and submits it.

        Raises LookupError for what Slack itself would not let them send.
        """
        return await self.submit(user, view, values_of(view, filled))

    async def close(self, user: str, view: Mapping[str, Any]) -> Delivery | None:
        """The cancel button of a dialog. The bot hears of it only if the view asks for it; else None."""
        whole = bool(view["clear_on_close"])
        closed(self.team, user, view["id"], whole_stack=whole)
        if not view["notify_on_close"]:
            return None
        payload = payloads.closing(self.team, user=user, view=view, is_cleared=whole)
        return await self._running.deliver(EnvelopeKind.INTERACTIVE, payload)

    async def event(self, inner: Mapping[str, Any]) -> Delivery:
        """Any event; delivered again by Slack's rules until the bot takes it."""
        return await self._running.deliver_event(payloads.event(self.team, inner))

    def say(self, user: str, channel: str, text: str, *, thread_ts: str | None = None, **facts: Any) -> TeamMessage:
        """A person's message, without an event for the bot. `facts` are further fields of it (`files`, `bot_id` …)."""
        message = self.team.keep(channel, user, text, thread_ts=thread_ts)
        message.facts = facts
        return message

    async def speak(self, user: str, channel: str, text: str, *, thread_ts: str | None = None) -> TeamMessage:
        """A person's message, of which the bot gets an event."""
        message = self.say(user, channel, text, thread_ts=thread_ts)
        await self.notify(channel, {**message.shown(), "channel": channel, "event_ts": message.ts})
        return message

    async def react(self, user: str, message: TeamMessage, name: str) -> None:
        """A person's reaction. Raises LookupError if it is there already."""
        users = message.reactions.setdefault(name, [])
        if user in users:
            raise LookupError("already_reacted")
        users.append(user)
        await self.notify(message.channel, payloads.reaction(message, user, name, added=True))

    async def notify(self, channel: str, inner: Mapping[str, Any]) -> None:
        """Sends the bot an event of a channel that it is in."""
        place = self.team.places[channel]
        if BOT_USER in place.members:
            kind = {"channel_type": "group" if place.is_private else "channel"} if inner["type"] == "message" else {}
            await self.event({**inner, **kind})

    # what is there

    def messages(self, channel: str, *, thread_ts: str | None = None, by_bot: bool = True) -> list[TeamMessage]:
        """The bot's messages in a channel as they are now, in order; with `by_bot=False` everyone's."""
        return [
            message
            for message in self.team.messages
            if message.channel == channel
            and not message.to
            and not message.is_deleted
            and (message.by_bot or not by_bot)
            and thread_ts in (None, message.thread_ts)
        ]

    def message(self, channel: str, ts: str) -> TeamMessage:
        """One message, ephemeral ones too. Raises LookupError."""
        found = self.team.find(channel, ts, hidden=True)
        if found is None:
            raise LookupError(f"no message {ts} in {channel}")
        return found

    def ephemerals(self, user: str, channel: str | None = None) -> list[TeamMessage]:
        """What only this user sees, in order."""
        return [m for m in self.team.messages if m.to == user and channel in (None, m.channel) and not m.is_deleted]

    def directs(self, user: str) -> list[TeamMessage]:
        """The bot's messages in the user's DM, in order."""
        rooms = [place.id for place in self.team.places.values() if place.direct_to == user]
        return [message for room in rooms for message in self.messages(room)]

    def files(self, channel: str) -> list[Upload]:
        """The files shared in a channel, in order."""
        return [upload for upload in self.team.uploads.values() if upload.shared_in == channel]

    def dialogs(self, user: str) -> list[Json]:
        """The dialogs that the user has open, the one on top last."""
        return [self.team.views[view_id] for view_id in self.team.stacks.get(user, ())]

    def home(self, user: str) -> Json | None:
        """The home tab as the user sees it; None if nothing was ever published for them."""
        return self.team.views.get(home_id(user))

    @staticmethod
    async def wait_for(predicate: Callable[[], T | Awaitable[T]], timeout: float = 60.0) -> T:  # noqa: ASYNC109 - the caller's patience, apart from their own cancellation
        """What the predicate gives as soon as that is true. Raises TimeoutError after `timeout` seconds."""
        deadline = time.monotonic() + timeout
        while True:
            found = predicate()
            result: T = await found if inspect.isawaitable(found) else found
            if result:
                return result
            if time.monotonic() > deadline:
                raise TimeoutError(f"still not so after {timeout} s")
            await sleep(POLL_SECONDS)

    @property
    def _running(self) -> Dispatcher:
        if self._dispatcher is None:
            raise RuntimeError("the workspace is not open: use `async with`")
        return self._dispatcher

    def _response_url(self, token: str) -> str:
        return f"{self._server.base}/actions/{token}"

    async def _act(self, user: str, message: TeamMessage, action: Json, selected: Mapping[str, str]) -> Delivery:
        url = self._response_url(self.team.response(message.channel, user, message))
        payload = payloads.block_action(
            self.team,
            user=user,
            message=message,
            action=action,
            values=payloads.state(message, selected),
            response_url=url,
        )
        return await self._running.deliver(EnvelopeKind.INTERACTIVE, payload)

    def _show_reply(self, delivery: Delivery, user: str, channel: str) -> None:
        """An ack's body is a message; a command without an ack is Slackbot's apology."""
        if not delivery.is_acked:
            self.team.keep(channel, SLACKBOT, "/tflock failed with the error “dispatch_failed”", to=user)
        elif delivery.body:
            reply = json.loads(delivery.body) if delivery.body.startswith("{") else {"text": delivery.body}
            text, blocks = content_of(self.team, reply)
            to = None if reply.get("response_type") == "in_channel" else user
            self.team.keep(channel, BOT_USER, text, blocks, to=to)
