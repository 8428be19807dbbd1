"""`wait`: returns when a state's lock is free and none of its pipelines still runs Terraform, so that runs queue.

It reserves nothing: the lock is still Terraform's. A run that only waits to be started does not count, nor does the
run that asks. Two runs that wait at the same time would wait for each other for ever, so a run that began after the one
that asks counts only until it has left the lock alone for `PATIENCE`.
"""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import typer

from bot.app.wiring import beside_a_bot
from bot.cli.claim import NoClaim, run_in
from bot.cli.frame import FAILED, OK, TIMED_OUT
from bot.config.settings import Config
from bot.core.evidence import LASTING, Found, NotFound, Unseen
from bot.core.lock import LockSeen
from bot.core.phrase import duration, one_line
from bot.core.record.redact import redact
from bot.core.run import Phase, Run, RunRef
from bot.usecases.world import State, World

PATIENCE = timedelta(minutes=2)

_FIRST_PAUSE, _LONGEST_PAUSE, _GROWTH = 1.0, 20.0, 1.5
_JITTER = (0.5, 1.5)
_SAY_AGAIN = timedelta(seconds=60)
_SHOWN = 3
_AT_WORK = frozenset({Phase.RUNNING, Phase.ENDING, Phase.UNKNOWN})
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def timeout_of(text: str) -> timedelta:
    """`30m`, `90s`, `2h`. Raises ValueError, with words for a person."""
    found = re.fullmatch(r"(\d{1,6})([smhd])", text.strip(), re.ASCII)
    if found is None:
        raise ValueError("must be a whole number with its unit, such as 90s, 30m or 2h")
    return timedelta(**{_UNITS[found[2]]: int(found[1])})


async def wait_for(config: Config, name: str, environ: Mapping[str, str], *, timeout: timedelta) -> int:  # noqa: ASYNC109 - the asker's own patience, an answer and no cancellation
    """Polls until the way is free. Returns the exit code. Raises UnknownState."""
    async with beside_a_bot(config) as wiring:
        world, name = wiring.world, wiring.named(name)
        own = await asyncio.to_thread(_own_run, world, environ)
        return await _Wait(world, world.state(name), own, timeout).until_free()


def _own_run(world: World, environ: Mapping[str, str]) -> RunRef | None:
    """The run that asks, if this is a job of a configured CI system."""
    try:
        url = run_in(environ).url
    except NoClaim:
        return None
    return next(iter(world.refs_from_url(url)), None)


@dataclass(frozen=True, slots=True)
class _Poll:
    """What one poll saw: the runs in the way, and what could not be seen."""

    lock: LockSeen
    runs: tuple[Run, ...]
    unseen: tuple[NotFound | Unseen, ...]

    @property
    def hopeless(self) -> NotFound | Unseen | None:
        """What will not be seen however often it is asked: rights or things are missing."""
        lasting = (seen for seen in self.unseen if isinstance(seen, NotFound) or seen.trouble in LASTING)
        return next(lasting, None)

    @property
    def reason(self) -> str:
        """Why the way is not free; empty if it is."""
        return "; ".join(
            [*_lock_words(self.lock), *_run_words(self.runs), *(_unseen_words(s) for s in self.unseen[:1])]
        )


@dataclass(slots=True)
class _Wait:
    world: World
    state: State
    own: RunRef | None
    timeout: timedelta
    _said: str = ""
    _said_at: datetime | None = None
    _untaken_since: datetime | None = None

    async def until_free(self) -> int:
        clock = self.world.clock
        began, pause, name = clock.now(), _FIRST_PAUSE, self.state.name.name
        while True:
            poll = await self._poll()
            if poll.hopeless is not None:
                _tell(f"{name}: {_unseen_words(poll.hopeless)}")
                return FAILED
            if not poll.reason:
                _tell(f"{name} is free after {duration(clock.now() - began)}")
                return OK
            left = (self.timeout - (clock.now() - began)).total_seconds()
            if left <= 0:
                _tell(f"{name}: timed out after {duration(self.timeout)}: {poll.reason}")
                return TIMED_OUT
            self._say(f"{name}: waiting: {poll.reason}")
            await asyncio.sleep(min(left, pause * random.uniform(*_JITTER)))  # noqa: S311 - spreads polls, no secret
            pause = min(_LONGEST_PAUSE, pause * _GROWTH)

    async def _poll(self) -> _Poll:
        now = self.world.clock.now()
        asked = (self.world.sources[each.ci].runs(each, since=now) for each in self.state.pipelines)
        lock, listings = await asyncio.gather(self.state.backend.read_lock(), asyncio.gather(*asked))
        self._untaken_since = (self._untaken_since or now) if lock.is_free else None
        listed = {run.ref: run for seen in listings if isinstance(seen, Found) for run in seen.value}
        unseen = (seen for seen in listings if not isinstance(seen, Found))
        return _Poll(lock, self._in_the_way(listed.values(), now), (*(seen for _, seen in lock.unseen), *unseen))

    def _in_the_way(self, listed: Iterable[Run], now: datetime) -> tuple[Run, ...]:
        """The active runs that the asker has to let go first."""
        listed = tuple(listed)
        mine = next((run for run in listed if self.own is not None and _is_same(run.ref, self.own)), None)
        others = (run for run in listed if run.phase in _AT_WORK and run is not mine)
        patient = self._untaken_since is not None and now - self._untaken_since < PATIENCE
        return tuple(run for run in others if patient or mine is None or _began(run) <= _began(mine))

    def _say(self, words: str) -> None:
        """A progress line, when there is news and now and then."""
        now = self.world.clock.now()
        if words != self._said or self._said_at is None or now - self._said_at >= _SAY_AGAIN:
            _tell(words)
            self._said, self._said_at = words, now


def _is_same(run: RunRef, own: RunRef) -> bool:
    """An address names a run's scope, not always its whole pipeline."""
    known = {(key, value.casefold()) for key, value in own.pipeline.fields}
    fields = {(key, value.casefold()) for key, value in run.pipeline.fields}
    return (run.id, run.pipeline.ci) == (own.id, own.pipeline.ci) and known <= fields


def _began(run: Run) -> datetime:
    return run.started_at or run.created_at


def _lock_words(seen: LockSeen) -> Iterable[str]:
    if seen.lock is not None:
        yield f"locked by {one_line(seen.lock.who) or 'someone'} (lock {one_line(seen.lock.id)})"
    elif seen.held:
        yield "locked: its lock entry is unreadable"


def _run_words(runs: tuple[Run, ...]) -> Iterable[str]:
    for run in runs[:_SHOWN]:
        yield f"{one_line(run.ref.pipeline.title)} #{one_line(run.ref.id)} is {run.phase}"
    if len(runs) > _SHOWN:
        yield f"{len(runs) - _SHOWN} more runs are active"


def _unseen_words(seen: NotFound | Unseen) -> str:
    what = seen.what if isinstance(seen, NotFound) else seen.detail
    return f"{seen.system} could not be read: {one_line(what)}"


def _tell(words: str) -> None:
    typer.echo(redact(f"tflock: {words}"), err=True)
