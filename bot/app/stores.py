"""The backends of the configured states, each made by its package. Part of the composition root."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from functools import cache
from hashlib import sha256
from importlib import import_module

from bot.aws.clients import AwsClients
from bot.backends.credentials import LibraryMissing
from bot.backends.frame import Kind, Lists, Means, Store, Writing
from bot.config.section import BackendSection
from bot.config.settings import Config, StateSettings
from bot.core.evidence import Found, Observation
from bot.core.gate.inspection import StateName
from bot.core.lock import LockSeen
from bot.errors import ConfigInvalid
from bot.ports.clock import Clock
from bot.ports.locks import LockSweep
from bot.ports.records import Records
from bot.usecases.world import State

_SHOWN = 5
"""States that a sentence names."""


def means(config: Config, aws: AwsClients, records: Records, clock: Clock, *, in_no_hurry: bool = False) -> Means:
    """What the configured backends are made with."""
    return Means(clock=clock, records=records, aws=aws, secrets=config.secrets, in_no_hurry=in_no_hurry)


@cache
def kind(name: str) -> Kind:
    """The type of backend of this name, imported where the configuration names it: few teams have more than two."""
    made: Kind = import_module(f"bot.backends.{name}.kind").KIND
    return made


def lister(name: str) -> Lists:
    """The same type of backend, whose sections have a `listing`."""
    made: Lists = import_module(f"bot.backends.{name}.kind").KIND
    return made


async def writings(section: BackendSection, made_with: Means, most: int) -> Observation[tuple[Writing, ...]]:
    """When the newest versions of a state were written, newest first, and by which run where the store knows that.

    Raises ConfigInvalid for a backend that cannot be made.
    """
    store = kind(section.type).open(section, made_with)
    if store.writings is not None:
        return await store.writings(most)
    seen = await store.backend.versions(most)
    if not isinstance(seen, Found):
        return seen
    return Found(tuple(Writing(version.at) for version in seen.value if version.at is not None), seen.at, seen.offset)


def opened(settings: StateSettings, made_with: Means) -> Store:
    """A state's backend. Raises ConfigInvalid for one that cannot be made."""
    return kind(settings.backend.type).open(settings.backend, made_with)


def lock_backends(config: Config, made_with: Means) -> dict[str, State]:
    """Every configured state with its backend, by its name. Raises ConfigInvalid, once for all missing libraries."""
    made, missing = dict[str, State](), dict[str, tuple[LibraryMissing, list[str]]]()
    for settings in (*config.states.values(), *(pattern.template for pattern in config.patterns)):
        try:
            made[settings.name] = state_of(settings, made_with)
        except LibraryMissing as lacking:
            missing.setdefault(lacking.extra, (lacking, []))[1].append(settings.name)
    if missing:
        raise ConfigInvalid((*(_lacking(*each) for each in missing.values()), _install(sorted(missing))))
    return {name: made[name] for name in config.states}


def _lacking(missing: LibraryMissing, states: Sequence[str]) -> str:
    more = f" and {len(states) - _SHOWN} more" if len(states) > _SHOWN else ""
    return f"states.{', states.'.join(states[:_SHOWN])}{more}: {missing.why}, which need {missing.library}"


def _install(extras: Sequence[str]) -> str:
    return f'install {"it" if len(extras) == 1 else "them"} with: pip install "tflock[{",".join(extras)}]"'


def lock_sweep(config: Config, made_with: Means) -> LockSweep:
    """Reads the locks of all configured states together."""
    return _Sweeps({name: kind(name).sweep(found, made_with) for name, found in _by_kind(config).items()}, config)


async def warm(config: Config, made_with: Means) -> None:
    """Makes what is slow to make before anyone waits for it. Raises UpstreamError."""
    for name, found in _by_kind(config).items():
        await kind(name).warm(found, made_with)


class _Sweeps:
    """Implements `LockSweep` for states of all kinds: each kind reads its own, all at the same time."""

    def __init__(self, sweeps: Mapping[str, LockSweep], config: Config) -> None:
        self._sweeps = sweeps
        self._kinds = {name: settings.backend.type for name, settings in config.states.items()}

    async def read_locks(self, names: Sequence[str]) -> Mapping[str, LockSeen]:
        mine = {each: [name for name in names if self._kinds.get(name) == each] for each in self._sweeps}
        asked = [self._sweeps[each].read_locks(wanted) for each, wanted in mine.items() if wanted]
        return {name: seen for found in await asyncio.gather(*asked) for name, seen in found.items()}


def _by_kind(config: Config) -> dict[str, dict[str, BackendSection]]:
    found = dict[str, dict[str, BackendSection]]()
    for name, settings in config.states.items():
        found.setdefault(settings.backend.type, {})[name] = settings.backend
    return found


def state_of(settings: StateSettings, made_with: Means) -> State:
    """A state with its backend. Raises ConfigInvalid for one that cannot be made."""
    store = opened(settings, made_with)
    return State(
        name=StateName(settings.name, settings.description, settings.protected),
        backend=store.backend,
        backend_system=kind(settings.backend.type).system,
        pipelines=settings.pipelines,
        lock_table=store.lock_table,
        path=settings.backend.lock_path,
        approvers=settings.approval,
        table=store.table,
        auto_release=settings.auto_release,
        holds=store.holds,
        shared=settings.shared,
        place=_place(settings.backend),
    )


def _place(section: BackendSection) -> str:
    """Short for what the section says of where the state and its lock are, and not of how to sign in there. A key that
    a later version adds changes nothing for those who do not give it.
    """
    fields = type(section).model_fields
    said = [(key, value) for key, value in section if value != fields[key].default and not key.endswith("_env")]
    return sha256(repr(sorted(said)).encode()).hexdigest()[:16]
