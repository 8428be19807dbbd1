"""People and jobs in memory, beside `tests.worlds.memory.memory`."""

# ruff: noqa: ARG002 - signatures are the ports'

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from bot.core.evidence import Found, NotFound, Observation
from bot.core.people import Channel, Member, Presence, Roll, Whereabouts
from bot.errors import Unreachable
from bot.ports.clock import Clock
from tests.worlds.memory.memory import Switchboard, Throttle, unseen_by

T = TypeVar("T")

TEAM = "T0ACME"


@dataclass
class MemoryDirectory:
    """`bot.ports.people.Directory`. `inside` are the members of each channel; `where` is who is not simply active."""

    clock: Clock
    people: dict[str, Member] = field(default_factory=dict)
    channels: dict[str, Channel] = field(default_factory=dict)
    inside: dict[str, list[str]] = field(default_factory=dict)
    groups: dict[str, list[str]] = field(default_factory=dict)
    where: dict[str, Whereabouts] = field(default_factory=dict)
    home_team: str | None = TEAM
    switchboard: Switchboard = field(default_factory=Switchboard)

    def add(self, user_id: str, name: str, *channels: str, is_guest: bool = False) -> None:
        self.people[user_id] = Member(
            id=user_id, name=name, team_id=TEAM, is_bot=False, is_guest=is_guest, is_stranger=False, is_deleted=False,
            tz=None, tz_offset=0, email=f"{name}@example.com",
        )  # fmt: skip
        for channel in channels:
            self.channels[channel] = Channel(channel, f"inc-{channel.lower()}", is_direct=False, is_archived=False)
            self.inside.setdefault(channel, []).append(user_id)

    async def introduce(self) -> str:
        return "U0TFLOCK"

    async def now(self) -> Observation[datetime]:
        return await self._asked("time", lambda: Found(self.clock.now(), self.clock.now()))

    async def member(self, user_id: str) -> Observation[Member]:
        return await self._asked("member", lambda: self._found(self.people.get(user_id), user_id))

    async def is_in_channel(self, user_id: str, channel_id: str) -> Observation[bool]:
        inside = self.inside
        return await self._asked("inside", lambda: self._said(user_id in inside.get(channel_id, ())))

    async def is_in_groups(self, user_id: str, group_ids: Sequence[str]) -> Observation[bool]:
        return await self._asked("groups", lambda: self._said(user_id in self._in(group_ids)))

    async def channel(self, channel_id: str) -> Observation[Channel]:
        return await self._asked("channel", lambda: self._found(self.channels.get(channel_id), channel_id))

    async def whereabouts(self, user_id: str) -> Observation[Whereabouts]:
        active = Whereabouts(Presence.ACTIVE, "", "", None, None) if user_id in self.people else None
        return self._found(self.where.get(user_id, active), user_id)

    async def by_email(self, email: str) -> Observation[Member]:
        found = next((one for one in self.people.values() if one.email == email), None)
        return await self._asked("member by email", lambda: self._found(found, email))

    async def members(self, channel_id: str) -> Observation[tuple[str, ...]]:
        return Found(tuple(self.inside.get(channel_id, ())), self.clock.now())

    async def roll(self, channel_id: str, *, within: float) -> Roll:
        return Roll(tuple(self.inside.get(channel_id, ())))

    async def group_members(self, group_ids: Sequence[str]) -> Observation[tuple[str, ...]]:
        return Found(self._in(group_ids), self.clock.now())

    async def presence(self, user_id: str) -> Observation[Presence]:
        return self._found(Presence.ACTIVE if user_id in self.people else None, user_id)

    def _in(self, group_ids: Sequence[str]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(user for group in group_ids for user in self.groups.get(group, ())))

    async def _asked(self, what: str, answer: Callable[[], Observation[T]]) -> Observation[T]:
        """The answer as it is when the question has arrived. A fault that raises is a Slack that does not answer."""
        at = self.clock.now()
        try:
            await self.switchboard.pass_through(f"look up {what}")
        except (Throttle, Unreachable) as error:
            return unseen_by(error, at, "Slack")
        return answer()

    def _said(self, answer: bool) -> Observation[bool]:  # noqa: FBT001 - it is the answer itself
        return Found(answer, self.clock.now())

    def _found(self, value: T | None, what: str) -> Observation[T]:
        now = self.clock.now()
        return NotFound("Slack", what, now) if value is None else Found(value, now)


@dataclass(frozen=True, slots=True)
class Waiting:
    """A job that is to be run. `attempt` counts its tries, this one included."""

    name: str
    args: tuple[str, ...]
    key: str
    at: datetime
    attempt: int = 1


@dataclass
class MemoryJobs:
    """`bot.ports.jobs.Jobs`: keeps what is to be run until somebody takes it."""

    clock: Clock
    switchboard: Switchboard = field(default_factory=Switchboard)
    waiting: dict[str, Waiting] = field(default_factory=dict)

    async def start(self, name: str, *args: str, key: str, at: datetime | None = None) -> None:
        await self.switchboard.pass_through(f"start {name}")
        self.waiting.setdefault(key, Waiting(name, args, key, at or self.clock.now()))

    def due(self) -> Waiting | None:
        """Takes the next job whose time has come."""
        ready = [job for job in self.waiting.values() if job.at <= self.clock.now()]
        first = min(ready, key=lambda job: job.at, default=None)
        return None if first is None else self.waiting.pop(first.key)
