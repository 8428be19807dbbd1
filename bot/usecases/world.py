"""The ports that the use cases work with, wired by `bot.app.wiring`, and the few looks that several of them take."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Hashable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from fnmatch import fnmatchcase
from typing import Any, Protocol, TypeVar

from bot.core.evidence import Found, NotFound, Observation, Unseen
from bot.core.gate.inspection import StateName
from bot.core.nearest import did_you_mean, known_as
from bot.core.people import Channel, Standing
from bot.core.policy import ApprovalPolicy, AutoRelease, Holders, Policy, WatchRule
from bot.core.run import Pipeline, RunRef
from bot.errors import JournalAway, StateMoved, UnknownState
from bot.ports.clock import Clock
from bot.ports.files import Exporter, ExportTarget, Files
from bot.ports.jobs import Jobs
from bot.ports.journal import Journal
from bot.ports.locks import HoldBackend, LockBackend, LockSweep
from bot.ports.messenger import Messages, Messenger
from bot.ports.people import Directory
from bot.ports.records import Records
from bot.ports.runs import RunSource
from bot.ports.tickets import Tickets

T = TypeVar("T")


_OUTCOMES = {Found: "found", NotFound: "not found", Unseen: "unseen"}


class Meter(Protocol):
    """The metrics of the contract. `seconds` are seconds; `outcome` and `rule` are the words of the core."""

    def command(self, command: str, outcome: str) -> None: ...
    def unlock(self, state: str, outcome: str) -> None: ...
    def refusal(self, rule: str) -> None: ...
    def lock(self, state: str, *, held: bool, age_seconds: float | None) -> None: ...
    def unread(self, states: int) -> None: ...
    def upstream(self, system: str, call: str, *, outcome: str, seconds: float) -> None: ...
    def time_to_unlock(self, seconds: float) -> None: ...


@dataclass(frozen=True, slots=True)
class State:
    """One state of the configuration with the adapters that reach it.

    `lock_table` tells its lock table from all others, by name and the way to it; None if it has none; `table` is its
    name for people. `path` is the `Path` that its locks carry. `approvers` None: as the policy says for all states.
    `auto_release` None: never without being asked. `holds` None: its backend has no place for a lock of tflock's own.
    `shared` are those of its pipelines that work on other states of its pattern as well, found or not. `place` tells
    where the state and its lock are from everywhere else.
    """

    name: StateName
    backend: LockBackend
    backend_system: str
    pipelines: tuple[Pipeline, ...]
    lock_table: Hashable = None
    path: str = ""
    approvers: ApprovalPolicy | None = None
    table: str = ""
    auto_release: AutoRelease | None = None
    holds: HoldBackend | None = None
    shared: tuple[Pipeline, ...] = ()
    place: str = ""

    def is_elsewhere(self, place: str) -> bool:
        """Whether what was asked when the state was at this `place`, empty where that is not known, is not about it."""
        return bool(place and self.place) and place != self.place


@dataclass(frozen=True, slots=True)
class World:
    """Everything outside the core that a use case may touch.

    `sources` are by the CI's name in the configuration, one for each that a pipeline names.
    An incident is closed when nothing was added for `close_after_quiet`.
    `targets` are by name where exports go in addition to the directory and the channel.
    `tickets` is where follow-ups are filed; None: nowhere.
    `sweep` reads all locks at once for `watch`; None: nothing is watched. `alerts_channel` is where tflock posts
    what no incident deals with, and releases wherever they were asked for; None: nowhere. `private_incident_channels`:
    patterns of `incident_channels` mean private channels too. `shared_pipelines` work on all states of a pattern, found
    or not.
    `meant` says which pattern would mean the state of a lock's path, and its name, if one would.
    `new_id` makes short random ids. `export_zone` names the local time of exports (IANA); None: the opener's own.
    """

    states: Mapping[str, State]
    sources: Mapping[str, RunSource]
    journal: Journal
    records: Records
    directory: Directory
    messages: Messages
    messenger: Messenger
    exporter: Exporter
    files: Files
    jobs: Jobs
    clock: Clock
    meter: Meter
    policy: Policy
    holders: Holders
    incident_channels: tuple[str, ...]
    capture_reactions: tuple[str, ...]
    upload_exports: bool
    new_id: Callable[[], str]
    export_zone: str | None = None
    targets: Mapping[str, ExportTarget] = field(default_factory=dict)
    export_directory: str = "exports"
    tickets: Tickets | None = None
    close_after_quiet: timedelta = timedelta(hours=24)
    sweep: LockSweep | None = None
    watch: WatchRule = field(default_factory=WatchRule)
    alerts_channel: str | None = None
    private_incident_channels: bool = False
    shared_pipelines: tuple[Pipeline, ...] = ()
    meant: Callable[[str], tuple[str, str] | None] = lambda _: None

    def state(self, name: str) -> State:
        """Raises UnknownState, with the nearest name."""
        found = self.states.get(name)
        if found is None:
            known = tuple(self.states)
            raise UnknownState(name, nearest=did_you_mean(name, known), known=known)
        return found

    def state_still(self, name: str, place: str) -> State | None:
        """The state, if it is configured, and where it was when it was at this `place`."""
        found = self.states.get(name)
        return None if found is None or found.is_elsewhere(place) else found

    def state_at(self, name: str, place: str) -> State:
        """As `state`, for what was asked when it was at this `place`. Raises StateMoved if it is elsewhere by now."""
        found = self.state(name)
        if found.is_elsewhere(place):
            raise StateMoved(name)
        return found

    def named(self, name: str) -> str:
        """The name as the configuration writes it, upper and lower case being the same where that is one state."""
        return known_as(name, self.states) or name

    def states_of(self, pipeline: Pipeline) -> tuple[State, ...]:
        """Every state of the configuration that a run of the pipeline may work on."""
        return tuple(
            state
            for state in self.states.values()
            if any(self.may_share_runs(pipeline, other) for other in state.pipelines)
        )

    def has_one_state(self, pipeline: Pipeline) -> bool:
        """Whether a run of the pipeline works on one state of the configuration and on no other."""
        states = self.states_of(pipeline)
        shared = (*self.shared_pipelines, *(each for state in states for each in state.shared))
        return len(states) == 1 and not any(self.may_share_runs(pipeline, other) for other in shared)

    def may_share_runs(self, one: Pipeline, other: Pipeline) -> bool:
        """Whether a run of one may be a run of the other. One system may have several names in the configuration."""
        is_one_system = self.sources[one.ci].system == self.sources[other.ci].system
        return is_one_system and one.may_share_runs(other)

    def refs_from_url(self, url: str) -> tuple[RunRef, ...]:
        """The runs that an address could mean, by what each configured system knows. Makes no request."""
        found = (source.ref_from_url(url) for source in self.sources.values())
        return tuple(ref for ref in found if ref is not None)

    def approvers(self, name: str) -> ApprovalPolicy:
        """Who may approve an unlock of this state, by its own rule or else by that for all states."""
        found = self.states.get(name)
        return (found.approvers if found is not None else None) or self.policy.approval

    def is_incident_channel(self, channel: Channel) -> bool:
        """By id, or by a pattern on the name that Slack gives; never in a DM.

        Anyone may make a private channel of any name, and the state's people hear nothing of it: patterns mean public
        channels, unless the configuration allows private ones in general.
        """
        if channel.is_direct or channel.is_archived:
            return False
        if channel.id in self.incident_channels:
            return True
        if channel.is_private and not self.private_incident_channels:
            return False
        return any(bool(channel.name) and fnmatchcase(channel.name, wanted) for wanted in self.incident_channels)

    async def standing(self, user_id: str, channel_id: str) -> Standing:
        """What a person is in a channel, all questions asked at the same time."""
        member, in_channel, channel, in_groups = await asyncio.gather(
            self.timed("Slack", "member", self.directory.member(user_id)),
            self.timed("Slack", "channel members", self.directory.is_in_channel(user_id, channel_id)),
            self.timed("Slack", "channel", self.directory.channel(channel_id)),
            self.in_groups(user_id, self.policy.unlock_groups),
        )
        return Standing(
            user_id=user_id,
            home_team=self.directory.home_team,
            member=member,
            in_channel=in_channel,
            in_groups=in_groups,
            channel=channel,
            is_incident_channel=isinstance(channel, Found) and self.is_incident_channel(channel.value),
        )

    async def in_groups(self, user_id: str, groups: tuple[str, ...]) -> Observation[bool] | None:
        """Whether a person is in one of the user groups; None where there are none."""
        return await self.timed("Slack", "groups", self.directory.is_in_groups(user_id, groups)) if groups else None

    async def journal_trouble(self) -> str:
        """Why the timeline cannot be used, as the end of a sentence; empty if it can."""
        try:
            await self.journal.ping()
        except JournalAway as error:
            return error.in_short
        return ""

    async def timed(self, system: str, call: str, question: Coroutine[Any, Any, T]) -> T:
        """Asks, and counts how long the answer took and what kind it was."""
        loop = asyncio.get_running_loop()
        started, outcome = loop.time(), "error"
        try:
            answer = await question
            outcome = _OUTCOMES.get(type(answer), "answered")
        finally:
            self.meter.upstream(system, call, outcome=outcome, seconds=loop.time() - started)
        return answer


async def all_ended(*work: Awaitable[Any]) -> list[Any]:
    """Does everything at the same time and waits for all of it; then raises the first error in the order given.

    For writes that others rely on: when `asyncio.gather` raises, some of them may still be on their way.
    """
    outcomes = await asyncio.gather(*work, return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            raise outcome
    return outcomes


async def gather_all(questions: Mapping[str, Awaitable[Observation[T]]]) -> dict[str, Observation[T]]:
    """Asks everything at the same time; answers by the same keys."""
    answers = await asyncio.gather(*questions.values())
    return dict(zip(questions, answers, strict=True))
