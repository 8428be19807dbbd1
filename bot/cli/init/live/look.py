"""Asks the stores and the CI systems. Reads only, and every question has an end: a time, and a most of what is asked.

What throttles once is not asked again. A store is asked with what the file names for it, or with what is at hand.
"""

from __future__ import annotations

import asyncio
import posixpath
from collections.abc import Awaitable, Callable, Collection, Hashable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, TypeVar

from bot.app import stores
from bot.app.adapters import SystemClock, run_sources
from bot.aws.clients import AwsClients
from bot.backends.frame import Means, Writing
from bot.config.section import BackendSection, Section
from bot.config.settings import Config, Secret
from bot.core.evidence import Found, NotFound, Observation, Trouble, Unseen
from bot.core.lock import StateAbsent, StateSeen
from bot.core.run import Pipeline, Run
from bot.errors import ConfigInvalid, UpstreamError
from bot.ports.runs import RunSource

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")

MOST_VERSIONS = 8
_AT_ONCE = 8
_ONE_WITHIN = 40.0
_LISTED_WITHIN = 60.0
_MOST_FOLDERS = 20
_WINDOWS = (timedelta(days=30), timedelta(days=7), timedelta(days=1))
_LESS_MAY_DO = frozenset({Trouble.TOO_MUCH, Trouble.TIMED_OUT})


@dataclass(frozen=True, slots=True)
class Checked:
    """`unread` are sentences on what keeps the lock or the state from being read, each with what would help; `odd` on
    what is there. `is_lock_read`: the lock was read or could not be; else it is not shown to who only looks.
    """

    unread: tuple[str, ...]
    odd: tuple[str, ...]
    is_lock_read: bool

    @property
    def is_well(self) -> bool:
        return not self.unread and not self.odd


class Systems:
    """All that can be asked. `config` has the CI systems and AWS's defaults, `secrets` what the environment has."""

    def __init__(self, config: Config, secrets: Mapping[str, str]) -> None:
        self.clock = SystemClock()
        self._aws = AwsClients()
        given = _Given(secrets)
        nothing: Any = None  # reads remember nothing
        self._means = Means(clock=self.clock, records=nothing, aws=self._aws, secrets=given, in_no_hurry=True)
        self._config = replace(config, secrets=given)
        self._secrets = secrets
        self._sources = dict[str, RunSource]()
        self._patience = dict[Hashable, Unseen]()
        self._closed = dict[Hashable, tuple[Checked, Unseen]]()

    async def aclose(self) -> None:
        for close in (*self._means.closing, *(source.aclose for source in self._sources.values()), self._aws.aclose):
            await close()

    def lacking(self, section: Section | None) -> str:
        """Why nothing of this section can be asked; empty if it can be, as far as is known without asking."""
        missing = [
            value for key, value in section or () if key.endswith("_env") and value and not self._secrets.get(value)
        ]
        return f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} not set" if missing else ""

    def allow(self, pipelines: Collection[Pipeline]) -> None:
        """Makes what asks the CI systems for the runs of these pipelines. Those that lack something are left out."""
        ready = {name: each for name, each in self._config.ci.items() if not self.lacking(each)}
        self._sources = run_sources(replace(self._config, ci=ready), self._aws, pipelines)

    def can_ask(self, ci: str) -> bool:
        return ci in self._sources

    async def checked(self, section: BackendSection) -> Checked:
        """Whether the lock and the state can be read. Where one answer was that there are no credentials, that is
        the one for all states of the container: to look for some takes seconds, and brings the same.
        """
        if (closed := self._closed.get(_container(section))) is not None:
            return closed[0]
        kind = stores.kind(section.type)
        backend = kind.open(section, self._means).backend
        unread, odd, rights = list[str](), list[str](), kind.rights
        is_lock_read = backend.can.shows_lock and not backend.can.tries_held  # `init` tries to take no lock
        for place, why in (await backend.read_lock()).unseen if is_lock_read else ():
            unread.append(f"the {place.words} cannot be read: {why_not(why)}{_fix(why, 'it', rights.grant)}")
        state = (await backend.read_state()).state
        match state:
            case Found(StateAbsent()):
                odd.append("there is no state yet: is this the right place?")
            case Found(StateSeen(fault=str(fault))):
                odd.append(f"what is there is not a Terraform state: {fault}")
            case Unseen() | NotFound():
                unread.append(f"the state cannot be read: {why_not(state)}{_fix(state, rights.state, rights.grant)}")
        checked = Checked(tuple(unread), tuple(odd), is_lock_read)
        if isinstance(state, Unseen) and state.trouble is Trouble.NO_CREDENTIALS:
            self._closed[_container(section)] = checked, state
        return checked

    async def is_state(self, section: BackendSection) -> bool:
        """Whether what is there is a Terraform state."""
        check = await stores.kind(section.type).open(section, self._means).backend.read_state()
        return (
            isinstance(check.state, Found) and isinstance(check.state.value, StateSeen) and not check.state.value.fault
        )

    async def listed(self, section: BackendSection, known: Collection[str]) -> Observation[tuple[str, ...]]:
        """The states of a section's container; where that is too much or not allowed, those of the folders of the known
        ones.
        """
        kind = stores.lister(section.type)
        async with asyncio.timeout(_LISTED_WITHIN):
            seen = await kind.states(section, self._means, "")
            folders = sorted({posixpath.dirname(name) for name in known} - {""})
            is_worth_it = isinstance(seen, Unseen) and seen.trouble in {Trouble.DENIED, Trouble.TOO_MUCH}
            if not is_worth_it or not 0 < len(folders) <= _MOST_FOLDERS:
                return seen
            parts = [await kind.states(section, self._means, f"{folder}/") for folder in folders]
        found = [part.value for part in parts if isinstance(part, Found)]
        return Found(tuple(dict.fromkeys(sum(found, ()))), seen.at) if len(found) == len(parts) else seen

    async def writings(self, section: BackendSection) -> Observation[tuple[Writing, ...]]:
        """When the newest versions were written, newest first, and by which run where the store knows that."""
        if (closed := self._closed.get(_container(section))) is not None:
            return closed[1]
        return await stores.writings(section, self._means, MOST_VERSIONS)

    async def runs(self, pipeline: Pipeline) -> tuple[Observation[tuple[Run, ...]], datetime]:
        """The runs of the last weeks, or of as far back as the system shows them, and since when."""
        now = self.clock.now()
        for window in _WINDOWS:
            since = now - window
            known = self._patience.get(pipeline.ci)
            seen = known or await self._sources[pipeline.ci].runs(pipeline, since=since)
            if isinstance(seen, Unseen) and seen.trouble is Trouble.THROTTLED:
                self._patience[pipeline.ci] = seen
            if not (isinstance(seen, Unseen) and seen.trouble in _LESS_MAY_DO):
                break
        return seen, since


async def all_within(work: Mapping[K, Callable[[], Awaitable[T]]], seconds: float) -> tuple[dict[K, T], dict[K, str]]:
    """What each question brought, a few at once; and why the others brought nothing."""
    slots, found, failed = asyncio.Semaphore(_AT_ONCE), dict[K, T](), dict[K, str]()

    async def ask(key: K, question: Callable[[], Awaitable[T]]) -> None:
        try:
            async with slots, asyncio.timeout(_ONE_WITHIN * 2):
                found[key] = await question()
        except TimeoutError:
            failed[key] = "there was no answer in time"
        except (ConfigInvalid, UpstreamError) as error:
            failed[key] = str(error)

    asked = [asyncio.create_task(ask(key, question)) for key, question in work.items()]
    if asked:
        _, late = await asyncio.wait(asked, timeout=seconds)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        for task in asked:
            if not task.cancelled() and (error := task.exception()) is not None:
                raise error
    failed |= {key: "there was no time left to ask" for key in work if key not in found and key not in failed}
    return found, failed


def _container(section: BackendSection) -> Hashable:
    """What has the same credentials for all of its states."""
    given = tuple(str(value) for key, value in section if key.endswith("_env"))
    return section.type, given, section if section.listing is None else section.listing.container


class _Given(dict[str, Secret]):
    """The environment's secrets by their variables; what is not set is empty."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        super().__init__({name: Secret(value.strip()) for name, value in environ.items()})

    def __missing__(self, name: str) -> Secret:
        return Secret("")


def why_not(seen: Unseen | NotFound) -> str:
    """Why something was not seen, in words."""
    return seen.detail if isinstance(seen, Unseen) else f"there is no {seen.what}"


def _fix(seen: Unseen | NotFound, right: str, grant: str) -> str:
    """What would help, of what is denied."""
    is_denied = isinstance(seen, Unseen) and seen.trouble is Trouble.DENIED
    return f"; grant {right} in {grant}" if is_denied else ""
