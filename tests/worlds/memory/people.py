"""People, messages and jobs in memory, beside `tests.worlds.memory.memory`."""

# ruff: noqa: ARG002 - signatures are the ports'

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from bot.core.evidence import Found, NotFound, Observation
from bot.core.people import Channel, Member, Presence, Roll, Whereabouts
from bot.core.reports.kill import KillReport
from bot.core.reports.letter import OwnerLetter
from bot.core.reports.report import Notice
from bot.core.reports.step import StepReport
from bot.core.reports.unlock import UnlockReport
from bot.errors import Missing, Unreachable
from bot.ports.clock import Clock
from bot.ports.messenger import Posted
from tests.worlds.memory.memory import Switchboard, Throttle, unseen_by

T = TypeVar("T")

TEAM = "T0ACME"


@dataclass
class MemoryDirectory:
    """`bot.ports.Directory`. `inside` are the members of each channel; `where` is who is not simply active."""

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
        return self._found(next((one for one in self.people.values() if one.email == email), None), email)

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


@dataclass
class MemoryTeller:
    """`bot.ports.Teller`: keeps what was said, in order. A fault that raises UpstreamError is a Slack that is away.

    `letters` is what owners were notified of, with whom; `shown` has what each message to them shows now.
    """

    switchboard: Switchboard = field(default_factory=Switchboard)
    unlocks: list[UnlockReport] = field(default_factory=list)
    kills: list[KillReport] = field(default_factory=list)
    letters: list[tuple[str, OwnerLetter]] = field(default_factory=list)
    shown: dict[Posted, OwnerLetter] = field(default_factory=dict)
    notices: list[Notice] = field(default_factory=list)
    whispers: list[tuple[str, str, Notice]] = field(default_factory=list)
    _posted: int = 0
    _marks: dict[str, Posted] = field(default_factory=dict)

    async def unlock(self, report: UnlockReport) -> Posted:
        await self.switchboard.pass_through(f"tell {report.stage}")
        self.unlocks.append(report)
        await self.switchboard.pass_through(f"told {report.stage}")
        return self._place(report.request.channel, report.request.ts)

    async def kill(self, report: KillReport) -> Posted:
        await self.switchboard.pass_through(f"tell {report.stage}")
        self.kills.append(report)
        return self._place(report.request.channel, report.request.ts)

    async def letter(self, owner: str, letter: OwnerLetter, *, posted: Posted | None = None, mark: str = "") -> Posted:
        await self.switchboard.pass_through(f"letter {letter.news.name}")
        place = posted or self._marked(owner, letter, mark)
        self.shown[place] = letter
        await self.switchboard.pass_through(f"lettered {letter.news.name}")
        return place

    async def nudge(self, owner: str, letter: OwnerLetter, posted: Posted, *, mark: str) -> Posted:
        await self.switchboard.pass_through(f"letter {letter.news.name}")
        place = self._marked(owner, letter, mark)
        await self.switchboard.pass_through(f"lettered {letter.news.name}")
        return place

    async def find_letter(self, owner: str, *, mark: str, since: datetime, thread: str = "") -> Posted | None:
        await self.switchboard.pass_through("find letter")
        return self._marks.get(mark)

    def _marked(self, owner: str, letter: OwnerLetter, mark: str) -> Posted:
        self.letters.append((owner, letter))
        self._marks[mark] = self._place(f"D{owner}", "")
        return self._marks[mark]

    async def notice(self, channel: str, notice: Notice, *, thread: str = "", posted: Posted | None = None) -> Posted:
        await self.switchboard.pass_through("notice")
        self.notices.append(notice)
        return posted or self._place(channel, thread)

    async def whisper(self, channel: str, user: str, notice: Notice) -> None:
        await self.switchboard.pass_through("whisper")
        self.whispers.append((channel, user, notice))

    def _place(self, channel: str, ts: str) -> Posted:
        if not ts:
            self._posted += 1
        return Posted(channel, ts or f"1700000000.{self._posted:06}")


@dataclass
class MemoryViews:
    """`bot.ports.Views`: keeps what each dialog shows now, by its id, and each user's home tab."""

    switchboard: Switchboard = field(default_factory=Switchboard)
    dialogs: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    homes: dict[str, Mapping[str, Any]] = field(default_factory=dict)

    async def open(self, trigger_id: str, view: Mapping[str, Any]) -> str:
        await self.switchboard.pass_through("open view")
        view_id = f"V{len(self.dialogs) + 1}/{trigger_id}"
        self.dialogs[view_id] = view
        return view_id

    async def update(self, view_id: str, view: Mapping[str, Any]) -> None:
        await self.switchboard.pass_through("update view")
        if view_id not in self.dialogs:
            raise Missing("Slack", "there is no such dialog")
        self.dialogs[view_id] = view

    async def publish(self, user: str, view: Mapping[str, Any]) -> None:
        await self.switchboard.pass_through("publish home")
        self.homes[user] = view


@dataclass
class MemorySteps:
    """`bot.ports.Steps`: keeps what each message shows now, by the step, and what workflows were told, in order."""

    switchboard: Switchboard = field(default_factory=Switchboard)
    shown: dict[str, StepReport] = field(default_factory=dict)
    told: list[tuple[str, str]] = field(default_factory=list)
    posts: int = 0

    async def show(self, report: StepReport, *, posted: Posted | None = None) -> Posted:
        await self.switchboard.pass_through("show step")
        self.shown[report.execution] = report
        self.posts += posted is None
        await self.switchboard.pass_through("showed step")
        return posted or Posted(report.channel, "1700000000.000900")

    async def find(self, execution: str, channel: str, *, since: datetime) -> Posted | None:
        await self.switchboard.pass_through("find step")
        return Posted(channel, "1700000000.000900") if execution in self.shown else None

    async def complete(self, execution: str, outputs: Mapping[str, str]) -> None:
        await self.switchboard.pass_through("complete step")
        self.told.append((execution, outputs["outcome"]))

    async def fail(self, execution: str, why: str) -> None:
        await self.switchboard.pass_through("fail step")
        self.told.append((execution, why))


@dataclass(frozen=True, slots=True)
class Waiting:
    """A job that is to be run."""

    name: str
    args: tuple[str, ...]
    key: str
    at: datetime


@dataclass
class MemoryJobs:
    """`bot.ports.Jobs`: keeps what is to be run until somebody takes it."""

    clock: Clock
    switchboard: Switchboard = field(default_factory=Switchboard)
    waiting: dict[str, Waiting] = field(default_factory=dict)

    async def start(self, name: str, *args: str, key: str, at: datetime | None = None) -> None:
        await self.switchboard.pass_through(f"start {name}")
        self.waiting.setdefault(key, Waiting(name, args, key, at or self.clock.now()))

    async def cancel(self, key: str) -> None:
        self.waiting.pop(key, None)

    def due(self) -> Waiting | None:
        """Takes the next job whose time has come."""
        ready = [job for job in self.waiting.values() if job.at <= self.clock.now()]
        first = min(ready, key=lambda job: job.at, default=None)
        return None if first is None else self.waiting.pop(first.key)
