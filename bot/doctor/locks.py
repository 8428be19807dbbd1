"""The stores: may each state's lock and file be read, and does a conditional delete do what it says."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator, Mapping
from itertools import chain

from bot.app import stores
from bot.app.wiring import Wiring
from bot.backends.frame import Means, Store
from bot.config.settings import Config, StateSettings
from bot.core.evidence import LASTING, Found, NotFound, Observation, Trouble, Unseen
from bot.core.lock import (
    Abilities,
    Billing,
    DigestMatch,
    LockSeen,
    PlaceProbe,
    Rights,
    StateCheck,
    TableCapacity,
    TableSeen,
)
from bot.core.phrase import duration, plain
from bot.doctor.check import CREDENTIALS, Area, Level, Result, trouble_of, why_not
from bot.slack.render.table import capacity_words, ttl_words

_WATCH = Area("watch")
_FEWEST_UNITS = 5
"""Less than what DynamoDB's console gives a new provisioned table."""


async def checks(config: Config, wiring: Wiring) -> list[Result]:
    """Puts throw-away locks next to the real ones, and removes them."""
    token, world = secrets.token_hex(4), wiring.world
    made_with = stores.means(config, wiring.aws, world.records, world.clock, in_no_hurry=True)
    found, watched = await asyncio.gather(
        asyncio.gather(*(_state(settings, made_with, token) for settings in config.states.values())),
        stores.lock_sweep(config, made_with).read_locks(tuple(config.states)),
    )
    for close in made_with.closing:
        await close()
    rights = {name: stores.kind(settings.backend.type).rights for name, settings in config.states.items()}
    return [*chain.from_iterable(found), *_watching(watched, rights)]


def _watching(seen: Mapping[str, LockSeen], rights: Mapping[str, Rights]) -> Iterator[Result]:
    """Only what is denied: whether a lock can be read at all is looked at on its own."""
    denied = dict[tuple[str, str], list[str]]()
    for name, lock in seen.items():
        needed = rights[name]
        for kind, why in lock.unseen:
            if kind is needed.swept and isinstance(why, Unseen) and why.trouble in LASTING - {Trouble.NOT_SHOWN}:
                fix = CREDENTIALS if _has_none(why) else _granted(needed, needed.sweep)
                denied.setdefault((why.detail, fix), []).append(name)
    for (detail, fix), names in denied.items():
        yield _WATCH.warn("locks", f"{len(names)} of {len(seen)} states are not watched: {detail}", fix)
    if not denied:
        yield _WATCH.ok("locks", "all locks may be read at once")


def _granted(rights: Rights, right: str = "it") -> str:
    return f"grant {right} in {rights.grant}"


async def _state(settings: StateSettings, made_with: Means, token: str) -> list[Result]:
    store = stores.opened(settings, made_with)
    backend, rights = store.backend, stores.kind(settings.backend.type).rights
    lock, state, versioned, probes, table, writes = await asyncio.gather(
        backend.read_lock(), backend.read_state(), backend.versioning(), backend.probe(token), backend.read_table(),
        _writes(store, token),
    )  # fmt: skip
    area = Area(settings.name)
    if any(_has_none(why) for _, why in lock.unseen):  # then nothing else was asked
        return [*_lock(area, lock, rights)]
    return [
        *(_lock(area, lock, rights) if backend.can.shows_lock else [_unshown(area)]),
        *_file(area, state, rights),
        *(check for probe in probes for check in _release(area, probe, rights, backend.can)),
        *(_hold(area, probe, rights) for probe in writes),
        *((_versioning(area, versioned, rights),) if backend.can.versions else ()),
        *(_table(area, table, rights) if table is not None else ()),
    ]


def _has_none(seen: NotFound | Unseen) -> bool:
    return trouble_of(seen) is Trouble.NO_CREDENTIALS


def _unshown(area: Area) -> Result:
    detail = "this backend shows no lock to those who only look: it is seen only when someone asks for an unlock"
    return area.warn("lock", detail, "nothing to fix; docs/backends says what this means for watching and waiting")


def _lock(area: Area, seen: LockSeen, rights: Rights) -> Iterator[Result]:
    for kind, why in seen.unseen:
        detail, trouble = f"the {kind} cannot be read: {why_not(why)}", trouble_of(why)
        fix = _granted(rights) if trouble is Trouble.DENIED else "correct the state's backend in the configuration"
        yield area.unanswered("lock", trouble, detail, fix, otherwise=Level.FAIL, essential=True)
    if not seen.unseen:
        yield area.ok("lock", "can be read; it is held now" if seen.held else "can be read; it is free")


def _file(area: Area, check: StateCheck, rights: Rights) -> Iterator[Result]:
    if isinstance(check.state, Found):
        yield area.ok("state", "can be read")
    else:
        trouble, fix = trouble_of(check.state), "correct the state's backend in the configuration"
        fix = _granted(rights, rights.state) if trouble is Trouble.DENIED else fix
        yield area.unanswered("state", trouble, why_not(check.state), fix, otherwise=Level.FAIL, essential=True)
    if check.digest.match is DigestMatch.DIFFERS:
        detail = "the digest item does not match the state: Terraform will refuse to read it"
        yield area.warn("digest", detail, f"`tflock status {area.name}` says what to set")


def _release(area: Area, probe: PlaceProbe, rights: Rights, can: Abilities) -> Iterator[Result]:
    subject = f"release of the {probe.kind}"
    for right in probe.missing_rights:
        yield area.fail(subject, f"{right} is denied on {probe.place}", _granted(rights))
    if not can.shows_lock:  # so that nothing can be tried there either
        detail = f"{probe.place} is not known to release only the lock that was read, so a second person has to agree"
        yield area.warn(subject, detail, f"use a store that compares locks: {rights.honours}")
    elif probe.needs_proof and not probe.is_proven and probe.is_conditional is not False and not probe.missing_rights:
        detail = f"whether {probe.place} honours a conditional delete is not proven, so nothing is released there"
        fix = "let the bot (or the account that runs the doctor) put and delete “…-doctor-*” there, and ask again"
        words = f"{detail}: {probe.detail}" if probe.detail else detail
        yield area.unanswered(subject, probe.trouble, words, fix, otherwise=Level.UNPROVEN, essential=True)
    elif not probe.is_tried and probe.trouble is not None:
        detail = f"the rights on {probe.place} could not be read: {probe.detail}"
        yield area.unanswered(subject, probe.trouble, detail, _granted(rights), otherwise=Level.UNPROVEN)
    elif not probe.is_tried:
        if not probe.missing_rights:
            yield area.ok(subject, f"the bot has the rights on {probe.place}; nothing can be tried there")
    elif probe.is_conditional:
        yield area.ok(subject, f"{probe.place} honours a conditional delete")
    elif probe.is_conditional is False:
        detail = f"{probe.place} deletes although the condition does not hold: a new holder's lock could be released"
        yield area.fail(subject, detail, f"use a store that honours it: {rights.honours}")
    elif not probe.missing_rights:
        detail = f"whether {probe.place} honours a conditional delete is not known: "
        fix = f"grant {rights.trial} for the doctor's throw-away lock, and ask again"
        words = detail + (probe.detail or "it cannot be tried on what is not there")
        yield area.unanswered(subject, probe.trouble, words, fix, otherwise=Level.UNPROVEN)


async def _writes(store: Store, token: str) -> tuple[PlaceProbe, ...]:
    return () if store.holds is None else await store.holds.probe_writes(token)


def _hold(area: Area, probe: PlaceProbe, rights: Rights) -> Result:
    """What a hold needs, and the swap of a dead lock for one. An unlock does not."""
    subject = f"hold in the {probe.kind}"
    if probe.is_proven:
        return area.ok(subject, f"{probe.place} honours a conditional write")
    if probe.trouble is None:
        detail = f"{probe.place} writes although the condition does not hold, so nothing is held there"
        return area.warn(subject, detail, f"use a store that honours it: {rights.honours}")
    detail = f"whether {probe.place} honours a conditional write is not known: {probe.detail}"
    fix = "grant the right to write there, to hold states; an unlock does not need it"
    return area.unanswered(subject, probe.trouble, detail, fix, otherwise=Level.UNPROVEN)


def _versioning(area: Area, seen: Observation[bool], rights: Rights) -> Result:
    if not isinstance(seen, Found):
        detail, fix = (
            f"whether the {rights.container} keeps old versions is not known: {why_not(seen)}",
            f"grant {rights.versions}",
        )
        return area.unanswered("versions", trouble_of(seen), detail, fix, otherwise=Level.UNPROVEN)
    if not seen.value:
        detail = f"the {rights.container} keeps no old versions: a broken state cannot be restored"
        return area.warn("versions", detail, f"turn on versioning of the {rights.container}")
    return area.ok("versions", f"the {rights.container} keeps old versions")


def _table(area: Area, seen: TableSeen, rights: Rights) -> Iterator[Result]:
    """What makes a lock table throttle or forget. None of it stops an unlock."""
    unseen = [part for part in (seen.capacity, seen.ttl, seen.refused) if not isinstance(part, Found)]
    for part in unseen:
        fix = f"grant {rights.table} (all optional)"
        detail = f"status can tell less of throttling: {why_not(part)}"
        yield area.unanswered("table", trouble_of(part), detail, fix, otherwise=Level.WARN)
    warnings = [*_capacity(area, seen.capacity), *_refused(area, seen)]
    if isinstance(seen.ttl, Found) and seen.ttl.value.enabled:
        detail = f"{seen.name} {plain(ttl_words(seen.ttl.value.attribute))}"
        warnings.append(area.warn("table", detail, "turn the table's TTL off"))
    yield from warnings
    if not unseen and not warnings:
        yield area.ok("table", f"{seen.name} takes its requests and forgets no lock")


def _capacity(area: Area, seen: Observation[TableCapacity]) -> Iterator[Result]:
    if not isinstance(seen, Found) or seen.value.billing is not Billing.PROVISIONED:
        return
    if min(seen.value.read_units, seen.value.write_units) < _FEWEST_UNITS:
        detail = f"it is {capacity_words(seen.value)}: a few runs at once are throttled"
        fix = f"switch it to on-demand ({Billing.ON_DEMAND}), or give it {_FEWEST_UNITS} units each"
        yield area.warn("table", detail, fix)


def _refused(area: Area, table: TableSeen) -> Iterator[Result]:
    if isinstance(table.refused, Found) and table.refused.value.total:
        refused = table.refused.value
        detail = (
            f"{table.name} is throttled: it refused {refused.total} requests in the last {duration(refused.within)}"
        )
        yield area.warn("table", detail, f"`tflock status {area.name}` says who floods it")
