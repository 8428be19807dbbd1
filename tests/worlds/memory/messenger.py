"""Slack in memory, as far as the bot writes to it: messages with what each one shows, dialogs, home tabs, steps."""

# ruff: noqa: ARG002 - signatures are the ports'

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from bot.core.account.edition import ExportReport
from bot.core.reports.alert import Bulletin
from bot.core.reports.followups import FollowUpsReport
from bot.core.reports.kill import KillReport
from bot.core.reports.owner_message import Nudge, OwnerMessage
from bot.core.reports.report import Notice
from bot.core.reports.step import StepReport
from bot.core.reports.unlock import UnlockReport
from bot.core.reports.waiting import QueueNews
from bot.errors import Missing
from bot.ports.clock import Clock
from bot.ports.messenger import Message, Posted, Report
from bot.slack.render import message_of
from tests.worlds.memory.memory import Switchboard

T = TypeVar("T")

_CALLS: Mapping[type, tuple[str, str, str]] = {
    Bulletin: ("tell alert", "told alert", "redraw alerts"),
    ExportReport: ("post summary", "posted summary", "redraw summary"),
    FollowUpsReport: ("propose", "proposed", "redraw proposals"),
    Notice: ("notice", "noticed", "notice"),
    QueueNews: ("call", "called", "call"),
    StepReport: ("show step", "showed step", "show step"),
}
"""By what names posting, having posted and updating pass the switchboard."""

_ANSWER = ("notify", "notified", "notify")
"""The same for what people asked to see."""


@dataclass
class MemoryMessenger:
    """`bot.ports.messenger.Messenger`. A fault that raises UpstreamError is a Slack that is away.

    `posts` are the messages as they were posted, in order, with where; `versions` has each version of each message,
    and `shown` what it shows now. `whispers` are what one person alone was told: the channel, who, what. `replies` has
    what people asked to see, as messages. `ended` are the steps of workflows that
    were ended, with how. With a `clock` the messages have its time, as Slack's have.
    """

    switchboard: Switchboard = field(default_factory=Switchboard)
    posts: list[tuple[str, Report | Message]] = field(default_factory=list)
    versions: list[Report | Message] = field(default_factory=list)
    shown: dict[Posted, Report | Message] = field(default_factory=dict)
    whispers: list[tuple[str, str, Report | Message]] = field(default_factory=list)
    replies: list[Message] = field(default_factory=list)
    dialogs: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    homes: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    ended: list[tuple[str, str]] = field(default_factory=list)
    clock: Clock | None = None
    _marks: dict[tuple[str, str], Posted] = field(default_factory=dict)

    async def post(self, to: str, what: Report | Message, *, thread: str = "", mark: str = "") -> Posted:
        before, after, _ = _calls(what)
        await self.switchboard.pass_through(before)
        channel = f"D{to}" if to.startswith("U") else to
        at = int(self.clock.now().timestamp()) if self.clock is not None else 1_700_000_000
        posted = Posted(channel, f"{at}.{len(self.posts) + 1:06}")
        self.posts.append((to, what))
        self._show(posted, what)
        if mark:
            self._marks[channel, mark] = posted
        await self.switchboard.pass_through(after)
        return posted

    async def find(self, to: str, *, mark: str, since: datetime, thread: str = "") -> Posted | None:
        await self.switchboard.pass_through("look for message")
        return self._marks.get((f"D{to}" if to.startswith("U") else to, mark))

    async def update(self, posted: Posted, what: Report | Message) -> None:
        _, after, before = _calls(what)
        await self.switchboard.pass_through(before)
        if posted not in self.shown:
            raise Missing("Slack", "there is no such message")
        self._show(posted, what)
        await self.switchboard.pass_through(after)

    async def whisper(self, channel: str, user: str, what: Report | Message, *, thread: str = "") -> None:
        await self.switchboard.pass_through("whisper" if isinstance(what, Notice) else "notify")
        self.whispers.append((channel, user, what))
        self._answer(what)

    async def respond(self, response_url: str, what: Report | Message, *, replace: bool = False) -> None:
        await self.switchboard.pass_through("notify")
        self._answer(what)
        await self.switchboard.pass_through("notified")

    async def room(self, user: str) -> str:
        await self.switchboard.pass_through("open room")
        return f"D{user}"

    async def link(self, posted: Posted) -> str:
        return f"https://example.slack.com/archives/{posted.channel}/p{posted.ts.replace('.', '')}"

    async def open_dialog(self, trigger_id: str, view: Mapping[str, Any]) -> str:
        await self.switchboard.pass_through("open view")
        view_id = f"V{len(self.dialogs) + 1}/{trigger_id}"
        self.dialogs[view_id] = view
        return view_id

    async def update_dialog(self, view_id: str, view: Mapping[str, Any]) -> None:
        await self.switchboard.pass_through("update view")
        if view_id not in self.dialogs:
            raise Missing("Slack", "there is no such dialog")
        self.dialogs[view_id] = view

    async def publish_home(self, user: str, view: Mapping[str, Any]) -> None:
        await self.switchboard.pass_through("publish home")
        self.homes[user] = view

    async def complete_step(self, execution: str, outputs: Mapping[str, str]) -> None:
        await self.switchboard.pass_through("complete step")
        self.ended.append((execution, outputs["outcome"]))

    async def fail_step(self, execution: str, why: str) -> None:
        await self.switchboard.pass_through("fail step")
        self.ended.append((execution, why))

    def _show(self, posted: Posted, what: Report | Message) -> None:
        self.versions.append(what)
        self.shown[posted] = what
        if _calls(what) is _ANSWER:
            self._answer(what)

    def _answer(self, what: Report | Message) -> None:
        self.replies.append(what if isinstance(what, Message) else message_of(what))

    def all(self, kind: type[T]) -> list[T]:
        """Each version of each message of this kind, in order."""
        return [what for what in self.versions if isinstance(what, kind)]

    def now(self, kind: type[T]) -> dict[Posted, T]:
        """What each message of this kind shows now."""
        return {posted: what for posted, what in self.shown.items() if isinstance(what, kind)}

    def posted(self, kind: type[T]) -> list[tuple[str, T]]:
        """The messages of this kind as they were posted, with where."""
        return [(to, what) for to, what in self.posts if isinstance(what, kind)]

    @property
    def rung(self) -> list[tuple[str, OwnerMessage]]:
        """What owners were notified of: the messages themselves, and the lines below them."""
        return [
            (to, what.message if isinstance(what, Nudge) else what)
            for to, what in self.posts
            if isinstance(what, Nudge | OwnerMessage)
        ]


def _calls(what: Report | Message) -> tuple[str, str, str]:
    match what:
        case UnlockReport(stage=stage) | KillReport(stage=stage):
            return f"tell {stage}", f"told {stage}", f"tell {stage}"
        case Nudge(message=letter):
            return _calls(letter)
        case OwnerMessage(news=news):
            return f"letter {news.name}", f"lettered {news.name}", f"letter {news.name}"
        case _:
            return _CALLS.get(type(what), _ANSWER)


def buttons_in(part: Any) -> Iterator[tuple[str, str]]:
    """The action id and the value of everything in these blocks that can be pressed or chosen."""
    if isinstance(part, dict):
        action = part.get("action_id", "")
        values = [part.get("value"), *(option.get("value") for option in part.get("options") or ())]
        yield from ((action, value) for value in values if action and value)
        yield from (found for name in ("elements", "accessory", "blocks") for found in buttons_in(part.get(name)))
    elif isinstance(part, list | tuple):
        yield from (found for each in part for found in buttons_in(each))
