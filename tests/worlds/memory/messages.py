"""What was said in a channel, in memory, beside `tests.worlds.memory.memory`."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from bot.core.evidence import Found, NotFound, Observation, Unseen
from bot.core.record.message import SlackMessage, base_name
from bot.ports.clock import Clock
from bot.ports.messenger import MessagePage
from tests.worlds.memory.memory import Switchboard


@dataclass
class MemoryMessages:
    """`bot.ports.messenger.Messages`. `trouble` is what every question meets; `page` the size of a page."""

    clock: Clock
    switchboard: Switchboard = field(default_factory=Switchboard)
    kept: dict[tuple[str, str], SlackMessage] = field(default_factory=dict)
    trouble: Unseen | None = None
    page: int = 100

    def say(self, channel: str, author: str, raw: str, **facts: object) -> SlackMessage:
        """Somebody's message, said a second ago."""
        at = (self.clock.now() - timedelta(seconds=1)).replace(microsecond=len(self.kept) + 1)
        ts = f"{int(at.timestamp())}.{at.microsecond:06}"
        said = SlackMessage(channel, ts, at, author, "", raw)
        return self.put(replace(said, **facts))  # type: ignore[arg-type]  # the caller names fields of Said

    def put(self, said: SlackMessage) -> SlackMessage:
        """Puts a message there, or another in its place."""
        self.kept[said.channel, said.ts] = said
        root = self.kept.get((said.channel, said.thread))
        if root is not None:
            self.kept[root.channel, root.ts] = replace(root, latest_reply=said.at)
        return said

    def mark(self, said: SlackMessage, user: str, reaction: str = "pushpin") -> None:
        now, name = self.kept[said.channel, said.ts], base_name(reaction)
        users = tuple(dict.fromkeys((*now.marks.get(name, ()), user)))
        self.put(replace(now, marks={**now.marks, name: users}))

    def unmark(self, said: SlackMessage, user: str, reaction: str = "pushpin") -> None:
        now, name = self.kept[said.channel, said.ts], base_name(reaction)
        users = tuple(one for one in now.marks.get(name, ()) if one != user)
        others = {other: who for other, who in now.marks.items() if other != name}
        self.put(replace(now, marks={**others, **({name: users} if users else {})}))

    def delete(self, said: SlackMessage) -> None:
        del self.kept[said.channel, said.ts]

    async def message(self, channel: str, ts: str) -> Observation[SlackMessage]:
        await self.switchboard.pass_through("read message")
        said, now = self.kept.get((channel, ts)), self.clock.now()
        if self.trouble is not None:
            return self.trouble
        return NotFound("Slack", "no such message", now) if said is None else Found(said, now)

    async def history(
        self, channel: str, *, since: datetime, until: datetime, cursor: str = ""
    ) -> Observation[MessagePage]:
        await self.switchboard.pass_through("read history")
        return self._page([one for one in self._of(channel, since, until) if not one.thread], cursor)

    async def replies(
        self, channel: str, thread: str, *, since: datetime, until: datetime, cursor: str = ""
    ) -> Observation[MessagePage]:
        await self.switchboard.pass_through("read replies")
        return self._page([one for one in self._of(channel, since, until) if one.thread == thread], cursor)

    async def permalink(self, channel: str, ts: str, *, thread: str = "") -> Observation[str]:
        await self.switchboard.pass_through("permalink")
        if self.trouble is not None:
            return self.trouble
        link = f"https://sandbox.slack.com/archives/{channel}/p{ts.replace('.', '')}"
        return Found(f"{link}?thread_ts={thread}&cid={channel}" if thread else link, self.clock.now())

    def _of(self, channel: str, since: datetime, until: datetime) -> list[SlackMessage]:
        found = [one for one in self.kept.values() if one.channel == channel and since <= one.at <= until]
        return sorted(found, key=lambda one: one.ts, reverse=True)

    def _page(self, found: list[SlackMessage], cursor: str) -> Observation[MessagePage]:
        if self.trouble is not None:
            return self.trouble
        start = int(cursor or 0)
        more = start + self.page < len(found)
        page = MessagePage(tuple(found[start : start + self.page]), str(start + self.page) if more else "")
        return Found(page, self.clock.now())
