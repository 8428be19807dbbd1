"""The states that patterns mean: found by listing their stores, and found again while tflock runs.

A state that is no longer listed is retired: its timeline and its records stay, and what was begun for it ends as it
would have. One whose lock is held, or cannot be read, stays. What is known is written down, so that the next process
knows it, too, and knows it while a store is away.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence, ValuesView
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, TypeVar

import structlog

from bot.app import stores
from bot.app.metrics import Metrics
from bot.app.remembered import KIND
from bot.backends.frame import Means
from bot.config.patterns import beginning
from bot.config.settings import Config, StatePattern, StateSettings
from bot.core.evidence import Found, Observation, Trouble, Unseen
from bot.core.lock import LockSeen
from bot.core.run import Pipeline
from bot.errors import JournalAway
from bot.ports.locks import LockSweep
from bot.ports.records import Records
from bot.usecases.world import State

log = structlog.get_logger()

_REMEMBERED = timedelta(days=400)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,59}", re.ASCII)
_MOST_STATES = 50_000
MOST_RETIRED = 1_000
_SHOWN = 5
_AT_ONCE = 250

T = TypeVar("T")


class LiveStates(Mapping[str, State]):
    """The states as they are now. One that was retired is no longer among them, but can still be had by its name: what
    was begun for it ends. Of those, the last `MOST_RETIRED`: their locks were free, and all history is in Redis.
    """

    def __init__(self, states: Mapping[str, State]) -> None:
        self._now = dict(states)
        self._retired: dict[str, State] = {}

    def __getitem__(self, name: str) -> State:
        found = self._now.get(name)
        return self._retired[name] if found is None else found

    def __contains__(self, name: object) -> bool:
        return name in self._now

    def __iter__(self) -> Iterator[str]:
        return iter(self._now)

    def __len__(self) -> int:
        return len(self._now)

    def values(self) -> ValuesView[State]:
        """Those of one moment, also if states are replaced while they are looked at."""
        return self._now.values()

    def items(self) -> Any:
        """As `values`."""
        return self._now.items()

    def replace(self, states: Mapping[str, State]) -> None:
        gone = {name: state for name, state in self._now.items() if name not in states}
        retired = {**{name: state for name, state in self._retired.items() if name not in states}, **gone}
        self._retired = dict(list(retired.items())[-MOST_RETIRED:])
        self._now = dict(states)


@dataclass
class LiveSweep:
    """Implements `bot.ports.locks.LockSweep` for the states as they are now."""

    current: LockSweep

    async def read_locks(self, names: Sequence[str]) -> Mapping[str, LockSeen]:
        return await self.current.read_locks(names)


@dataclass
class LivePipelines:
    """A collection of the pipelines of all states as they are now, each once."""

    config: Config
    _all: dict[Pipeline, None] | None = None

    def take(self, config: Config) -> None:
        self.config, self._all = config, None

    def _known(self) -> dict[Pipeline, None]:
        if self._all is None:
            self._all = dict.fromkeys(each for state in self.config.states.values() for each in state.pipelines)
        return self._all

    def __iter__(self) -> Iterator[Pipeline]:
        return iter(self._known())

    def __len__(self) -> int:
        return len(self._known())

    def __contains__(self, pipeline: object) -> bool:
        return pipeline in self._known()


@dataclass(frozen=True, slots=True)
class NotListed:
    """Why a pattern's states could not be listed. `trouble` is None where the store answered, with too many or none."""

    problem: str
    trouble: Trouble | None


@dataclass
class Discovery:
    """`config` has the states that are known now. `problems` are sentences about what could not be found, or is left
    out (`left_out`: only these); empty if all is well. Patterns are by the name that the file gives them. Of those that
    are `unlisted` the last look does not know what they mean. `remembers`: what is found is written down for the next
    process, which is the bot's to do: a command may see less with its own credentials.
    """

    config: Config
    means: Means
    records: Records
    metrics: Metrics
    states: LiveStates
    sweep: LiveSweep
    pipelines: LivePipelines
    problems: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    remembers: bool = True
    _fixed: Mapping[str, StateSettings] = field(default_factory=dict)
    _known: dict[str, dict[str, StateSettings]] = field(default_factory=dict)
    unlisted: Mapping[str, NotListed] = field(default_factory=dict)
    _unclear: dict[str, list[str]] = field(default_factory=dict)
    _doubly: list[str] = field(default_factory=list)
    _unfit: list[str] = field(default_factory=list)
    _settled: list[tuple[str, ...]] | None = None
    """The lists of the last look, if nothing but another list can make a difference."""
    _may_overlap: bool = False
    _is_unwritten: bool = False

    def __post_init__(self) -> None:
        self._fixed = self.config.states
        self._known = {pattern.template.name: {} for pattern in self.config.patterns}
        listed = [pattern.listing.container for pattern in self.config.patterns]
        others = {each.container for state in self._fixed.values() if (each := state.backend.listing) is not None}
        self._may_overlap = len({*listed}) < len(listed) or not others.isdisjoint(listed)

    @property
    def found(self) -> Mapping[str, tuple[StateSettings, ...]]:
        """The states that are known now, by their pattern."""
        return {
            pattern: tuple(state for state in states.values() if self.config.states.get(state.name) is state)
            for pattern, states in self._known.items()
        }

    async def start(self) -> None:
        """Takes what an earlier process knew, then looks. Never raises for what a store says."""
        if self.config.patterns:
            await self._recall()
            await self.look()

    async def run(self, looked: asyncio.Event) -> None:
        """Starts, and looks again and again until it is cancelled. Sets `looked` after the first look."""
        look = self.start
        while True:
            try:
                await look()
            except Exception:  # a fault of ours in one look must not keep the next one from being taken
                log.exception("states.not_looked_for")
            looked.set()
            look = self.look
            await asyncio.sleep(self.config.watch.every.total_seconds())

    async def look(self) -> None:
        """Lists every pattern's states once. A pattern whose store does not answer keeps the states that it has."""
        listings = await asyncio.gather(*map(self._listed, self.config.patterns))
        values = [listing.value for listing in listings if isinstance(listing, Found)]
        if values == self._settled:
            return
        unlisted, known, is_settled = dict[str, NotListed](), dict(self._known), len(values) == len(listings)
        for pattern, listing in zip(self.config.patterns, listings, strict=True):
            name, before = pattern.template.name, self._known[pattern.template.name]
            problem = _not_listed(listing)
            if problem or not isinstance(listing, Found):
                trouble = listing.trouble if isinstance(listing, Unseen) else None
                unlisted[name] = NotListed(f"the states of {name} could not be listed: {problem}", trouble)
                continue
            now = await self._made(pattern, listing.value)
            gone = {address: state for address, state in before.items() if address not in now}
            locked = await self._still_locked(gone)
            known[name], is_settled = now | locked, is_settled and not locked
        self.unlisted, before_all = unlisted, self._known
        self._known = self._each_once(known)
        await self._take_over()
        left_out = (*self._unclear.values(), self._doubly, self._unfit)
        self.metrics.discovered(unlisted=len(unlisted), left_out=sum(map(len, left_out)))
        is_new = any(self._known[name].keys() != before.keys() for name, before in before_all.items())
        self._is_unwritten |= self.remembers and is_new
        if self._is_unwritten:
            self._is_unwritten = not await self._remember()
        is_settled = is_settled and not unlisted and not any(left_out) and not self._is_unwritten
        self._settled = values if is_settled else None

    async def _made(self, pattern: StatePattern, listed: Sequence[str]) -> dict[str, StateSettings]:
        """The states of these names, and in `_unclear` those that can be read in two ways, but for fixed states."""
        own = {each.name for state in self._fixed.values() if (each := state.backend.listing) is not None
               and each.container == pattern.listing.container}  # fmt: skip
        before, made, unclear = self._known[pattern.template.name], dict[str, StateSettings](), list[str]()
        async for address in _paced(listed):
            state = before.get(address) or pattern.state(address)
            if state is not None:
                made[address] = state
            elif address not in own and (way := pattern.unclear(address)):
                unclear.append(f"{address}: {way}")
        self._unclear[pattern.template.name] = unclear
        return made

    def _each_once(self, known: Mapping[str, dict[str, StateSettings]]) -> dict[str, dict[str, StateSettings]]:
        """The same without a state that has an entry of its own, or that two patterns found: one that moves from one
        part of a container to another (a workspace, to another project) stays with the pattern that had it before.
        """
        if not self._may_overlap:
            return dict(known)
        own = {_place(state) for state in self._fixed.values()}
        before = {(name, _place(state)) for name, states in self._known.items() for state in states.values()}
        finders = dict[tuple[str, ...], list[str]]()
        for name, states in known.items():
            for state in states.values():
                finders.setdefault(_place(state), []).append(name)
        doubly = {place: names for place, names in finders.items() if place in own or len(names) > 1}
        self._doubly = [_found_by(place, names, is_own=place in own) for place, names in doubly.items()]

        def is_its(name: str, place: tuple[str, ...]) -> bool:
            had_it = [each for each in doubly.get(place, ()) if (each, place) in before]
            return place not in doubly or (place not in own and had_it == [name])

        return {
            name: {address: state for address, state in states.items() if is_its(name, _place(state))}
            for name, states in known.items()
        }

    async def _listed(self, pattern: StatePattern) -> Observation[tuple[str, ...]]:
        kind = stores.lister(pattern.template.backend.type)
        return await kind.states(pattern.template.backend, self.means, beginning(pattern.listing.name))

    async def _still_locked(self, gone: Mapping[str, StateSettings]) -> dict[str, StateSettings]:
        """Those that nothing shows to be free."""
        here = {state.name for state in self.config.states.values()}
        names = [state.name for state in gone.values() if state.name in here]
        if not names:
            return {}
        seen = await self.sweep.read_locks(names)
        free = {name for name, lock in seen.items() if lock.is_free or lock.is_gone}
        return {address: state for address, state in gone.items() if state.name in here and state.name not in free}

    async def _take_over(self) -> None:
        """Makes what is known the states of the running bot, if it differs: all at once, when all are made."""
        await asyncio.sleep(0)
        found, self._unfit = self._without_doubles()
        unclear = (_unclear(pattern, ways) for pattern, ways in self._unclear.items() if ways)
        self.left_out = (*unclear, *self._doubly, *self._unfit)
        told = (*(each.problem for each in self.unlisted.values()), *self.left_out)
        if told != self.problems:
            for words in told[:_SHOWN]:
                log.warning("states.not_found", problem=words)
        self.problems = told
        before = self.config.states
        settings = {**self._fixed, **found}
        if settings.keys() == before.keys() and all(settings[name] is before[name] for name in settings):
            return
        new, lost = settings.keys() - before.keys(), before.keys() - settings.keys()
        states = dict[str, State]()
        async for name in _paced(settings):
            known = before.get(name) is settings[name]
            states[name] = self.states[name] if known else stores.state_of(settings[name], self.means)
        config = replace(self.config, states=settings)
        sweep = stores.lock_sweep(config, self.means)
        await asyncio.sleep(0)
        self.config, self.sweep.current = config, sweep
        self.pipelines.take(self.config)
        self.states.replace(states)
        self.metrics.forget(lost)
        log.info("states.found", states=len(states), new=len(new), retired=len(lost), some=sorted(new)[:_SHOWN])

    def _without_doubles(self) -> tuple[dict[str, StateSettings], list[str]]:
        """States by name. One of several with one name is taken only if it had the name before: nobody could say which
        one an unlock means.
        """
        claimed = dict[str, list[StateSettings]]()
        for state in self._fixed.values():
            claimed.setdefault(state.name.casefold(), []).append(state)
        for found in self._known.values():
            for state in found.values():
                claimed.setdefault(state.name.casefold(), []).append(state)
        taken, problems = dict[str, StateSettings](), list[str]()
        for states in claimed.values():
            problem = _unfit(states)
            chosen = states[0] if problem is None else self._had_it(states) if len(states) > 1 else None
            if problem is not None:
                problems.append(problem)
            if chosen is not None and chosen.name not in self._fixed:
                taken[chosen.name] = chosen
        return taken, problems

    def _had_it(self, states: Sequence[StateSettings]) -> StateSettings | None:
        fixed = [state for state in states if state.name in self._fixed and self._fixed[state.name] is state]
        had = [state for state in states if self.config.states.get(state.name) is state]
        return next(iter((*fixed, *had)), None)

    async def _recall(self) -> None:
        try:
            records = await self.records.get_all(KIND, tuple(self._known))
        except JournalAway as away:
            log.warning("states.not_recalled", detail=str(away))
            return
        # first those that had their names: a state does not lose its name to one that was found later
        for key in ("named", "listed_as"):
            for pattern in self.config.patterns:
                addresses = records.get(pattern.template.name, {}).get(key, [])
                known = dict(self._known[pattern.template.name])
                async for address in _paced(addresses):
                    state = known.get(address) or pattern.state(str(address))
                    known |= {} if state is None else {address: state}
                self._known[pattern.template.name] = known
            await self._take_over()

    async def _remember(self) -> bool:
        """Whether Redis has it now."""
        try:
            for name, states in self._known.items():
                named = [at for at, state in states.items() if self.config.states.get(state.name) is state]
                await self.records.put(KIND, name, {"listed_as": list(states), "named": named}, ttl=_REMEMBERED)
        except JournalAway as away:
            log.warning("states.not_remembered", detail=str(away))
            return False
        return True


async def _paced(items: Iterable[T]) -> AsyncIterator[T]:
    """The same one by one, with room for others in between: thousands in one piece would keep Slack waiting."""
    for number, item in enumerate(items):
        if number % _AT_ONCE == _AT_ONCE - 1:
            await asyncio.sleep(0)
        yield item


def _not_listed(listing: Observation[tuple[str, ...]]) -> str:
    """Why a listing does not count; empty if it does. A part of a list would retire the states of the other part."""
    if not isinstance(listing, Found):
        return listing.detail if isinstance(listing, Unseen) else f"there is no {listing.what}"
    if len(listing.value) > _MOST_STATES:
        return f"{len(listing.value):,} are more than {_MOST_STATES:,}: begin the pattern's key with more text"
    return ""


def _place(state: StateSettings) -> tuple[str, ...]:
    """What no two states have in common, where the state can be listed."""
    listing = state.backend.listing
    return () if listing is None else listing.place


def _unclear(pattern: str, ways: Sequence[str]) -> str:
    return (
        f"{len(ways)} of the keys of {pattern} can be read in two ways and are left out "
        f"({'; '.join(ways[:_SHOWN])}): give each an entry of its own"
    )


def _found_by(place: Sequence[str], patterns: Sequence[str], *, is_own: bool) -> str:
    if is_own:
        return f"{place[-1]} is found by {', '.join(patterns)} and has an entry of its own, which counts: correct that"
    return f"{place[-1]} is found by {' and by '.join(patterns)}; only the one that had it before has it"


def _unfit(states: Sequence[StateSettings]) -> str | None:
    """Why states that claim one name cannot all be known by it; None for one state with a good name."""
    name = states[0].name
    if len(states) > 1:
        paths = ", ".join(state.backend.lock_path for state in states[:_SHOWN])
        return (
            f"{len(states)} states would be called {name} ({paths}); only one that had the name before is known by it: "
            "rename them, or give one a name of its own"
        )
    if not _NAME.fullmatch(name) or name.isdigit():
        return (
            f"{states[0].backend.lock_path} would be called {name}, which cannot be a state's name: at most 60 "
            "letters, digits, . _ or -, and not just a number"
        )
    return None
