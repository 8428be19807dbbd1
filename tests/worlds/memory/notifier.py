"""Slack's messages in memory: what each one shows, for whoever presses its buttons."""

# ruff: noqa: ARG002 - signatures are the ports'

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from bot.errors import Missing
from bot.ports.messenger import Blocks, Posted
from tests.worlds.memory.memory import Switchboard


@dataclass
class MemoryNotifier:
    """`bot.ports.Notifier`. `shown` has the blocks of every message in order, each version of one that was updated."""

    switchboard: Switchboard = field(default_factory=Switchboard)
    shown: list[Blocks] = field(default_factory=list)
    _places: list[Posted] = field(default_factory=list)
    _marks: dict[tuple[str, str], Posted] = field(default_factory=dict)

    async def post(self, channel: str, *, text: str, blocks: Blocks, thread: str | None = None) -> Posted:
        await self.switchboard.pass_through("notify")
        posted = self._place(channel, blocks)
        await self.switchboard.pass_through("notified")
        return posted

    async def whisper(self, channel: str, user: str, *, text: str, blocks: Blocks, thread: str | None = None) -> None:
        await self.post(channel, text=text, blocks=blocks)

    async def update(self, posted: Posted, *, text: str, blocks: Blocks) -> None:
        await self.switchboard.pass_through("notify")
        if posted not in self._places:
            raise Missing("Slack", "there is no such message")
        self.shown.append(blocks)

    async def direct(
        self, user: str, *, text: str, blocks: Blocks, mark: str = "", thread: str | None = None
    ) -> Posted:
        await self.switchboard.pass_through("notify")
        posted = self._marks[user, mark] = self._place(f"D{user}", blocks)
        await self.switchboard.pass_through("notified")
        return posted

    async def find_direct(self, user: str, *, mark: str, since: datetime, thread: str = "") -> Posted | None:
        await self.switchboard.pass_through("look for message")
        return self._marks.get((user, mark))

    async def respond(self, response_url: str, *, text: str, blocks: Blocks, replace: bool = False) -> None:
        await self.post("", text=text, blocks=blocks)

    def _place(self, channel: str, blocks: Blocks) -> Posted:
        self.shown.append(blocks)
        self._places.append(Posted(channel, f"1600000000.{len(self._places) + 1:06}"))
        return self._places[-1]


def buttons_in(part: Any) -> Iterator[tuple[str, str]]:
    """The action id and the value of everything in these blocks that can be pressed or chosen."""
    if isinstance(part, dict):
        action = part.get("action_id", "")
        values = [part.get("value"), *(option.get("value") for option in part.get("options") or ())]
        yield from ((action, value) for value in values if action and value)
        yield from (found for name in ("elements", "accessory", "blocks") for found in buttons_in(part.get(name)))
    elif isinstance(part, list | tuple):
        yield from (found for each in part for found in buttons_in(each))
