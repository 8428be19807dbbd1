"""The doctor's look at AWS: may each state's lock and file be read, and does a conditional delete do what it says."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping

from bot.app.adapters import SystemClock, address_of, lock_sweep
from bot.aws.clients import AwsClients
from bot.backends.s3.backend import S3Backend
from bot.backends.s3.probe import PlaceProbe
from bot.config.settings import Config, StateSettings
from bot.core.evidence import Found, Observation, Trouble, Unseen
from bot.core.lock import Billing, DigestMatch, LockSeen, PlaceKind, StateCheck, TableCapacity, TableSeen
from bot.core.phrase import duration, plain
from bot.doctor.check import Check, Level
from bot.slack.render.table import capacity_words, ttl_words

_POLICY = "grant it in the IAM policy of the bot's role"
_FEWEST_UNITS = 5
"""Less than what DynamoDB's console gives a new provisioned table."""


async def aws_checks(config: Config, clients: AwsClients, token: str) -> list[Check]:
    """Asks as the bot, and puts throw-away locks beside the real ones, named with `token`, and removes them."""
    found, watched = await asyncio.gather(
        asyncio.gather(*(_state(settings, clients, token) for settings in config.states.values())),
        lock_sweep(config, clients).read_locks(tuple(config.states)),
    )
    return [*(check for checks in found for check in checks), *_watching(watched)]


def _watching(seen: Mapping[str, LockSeen]) -> Iterator[Check]:
    """Only what is denied: whether a lock can be read at all is looked at by itself."""
    denied = dict[str, list[str]]()
    for name, lock in seen.items():
        for kind, why in lock.unseen:
            if kind is PlaceKind.ITEM and isinstance(why, Unseen) and why.trouble is Trouble.DENIED:
                denied.setdefault(why.detail, []).append(name)
    for detail, names in denied.items():
        told = f"{len(names)} of {len(seen)} states are not watched: {detail}"
        yield Check("watch", "locks", Level.WARN, told, f"grant dynamodb:BatchGetItem: {_POLICY}")
    if not denied:
        yield Check("watch", "locks", Level.OK, "all locks may be read at once")


async def _state(settings: StateSettings, clients: AwsClients, token: str) -> list[Check]:
    backend = S3Backend(address_of(settings.backend), clients, SystemClock())
    lock, state, versioned, probes, table = await asyncio.gather(
        backend.read_lock(), backend.read_state(), backend.versioning(), backend.probe(token), backend.read_table()
    )
    name = settings.name
    return [
        *_lock(name, lock),
        *_file(name, state),
        *(check for probe in probes for check in _release(name, probe)),
        _versioning(name, versioned),
        *(_table(name, table) if table is not None else ()),
    ]


def _lock(name: str, seen: LockSeen) -> Iterator[Check]:
    for kind, why in seen.unseen:
        told = why.detail if isinstance(why, Unseen) else f"there is no {why.what}"
        mend = "correct the state's backend in the configuration, the way to AWS, or the bot's rights there"
        yield Check(name, "lock", Level.FAIL, f"the {kind} cannot be read: {told}", mend)
    if not seen.unseen:
        yield Check(name, "lock", Level.OK, "can be read; it is held now" if seen.held else "can be read; it is free")


def _file(name: str, check: StateCheck) -> Iterator[Check]:
    if isinstance(check.state, Found):
        yield Check(name, "state", Level.OK, "can be read")
    else:
        told = check.state.detail if isinstance(check.state, Unseen) else f"there is no {check.state.what}"
        mend = "correct the state's backend or the way to AWS, or grant s3:GetObject and s3:ListBucket"
        yield Check(name, "state", Level.FAIL, told, mend)
    if check.digest.match is DigestMatch.DIFFERS:
        told = "the digest item does not match the state: Terraform will refuse to read it"
        yield Check(name, "digest", Level.WARN, told, f"`tflock status {name}` says what to set")


def _release(name: str, probe: PlaceProbe) -> Iterator[Check]:
    subject = f"release of the {probe.kind}"
    for action in probe.missing_actions:
        yield Check(name, subject, Level.FAIL, f"{action} is denied on {probe.place}", _POLICY)
    if probe.is_conditional:
        yield Check(name, subject, Level.OK, f"{probe.place} honours a conditional delete")
    elif probe.is_conditional is False:
        told = f"{probe.place} deletes although the condition does not hold: a new holder's lock could be released"
        yield Check(name, subject, Level.FAIL, told, "use a store that honours it: Amazon S3 and DynamoDB do")
    elif not probe.missing_actions:
        told = f"whether {probe.place} honours a conditional delete is not known: "
        mend = "" if probe.detail else "grant s3:PutObject for the doctor's throw-away lock, and ask again"
        yield Check(name, subject, Level.WARN, told + (probe.detail or "it cannot be tried on what is not there"), mend)


def _versioning(name: str, seen: Observation[bool]) -> Check:
    if not isinstance(seen, Found):
        told = seen.detail if isinstance(seen, Unseen) else f"there is no {seen.what}"
        return Check(name, "versions", Level.WARN, f"whether the bucket keeps old versions is not known: {told}")
    if not seen.value:
        told = "the bucket keeps no old versions: a broken state cannot be restored"
        return Check(name, "versions", Level.WARN, told, "turn on versioning of the bucket")
    return Check(name, "versions", Level.OK, "the bucket keeps old versions")


def _table(name: str, seen: TableSeen) -> Iterator[Check]:
    """What makes a lock table throttle or forget. None of it stops an unlock."""
    unseen = [part for part in (seen.capacity, seen.ttl, seen.refused) if not isinstance(part, Found)]
    for part in unseen:
        told = part.detail if isinstance(part, Unseen) else f"there is no {part.what}"
        mend = "grant dynamodb:DescribeTable, dynamodb:DescribeTimeToLive and cloudwatch:GetMetricData (all optional)"
        yield Check(name, "table", Level.WARN, f"status can tell less of throttling: {told}", mend)
    warnings = [*_capacity(name, seen.capacity), *_ttl(name, seen), *_refused(name, seen)]
    yield from warnings
    if not unseen and not warnings:
        yield Check(name, "table", Level.OK, f"{seen.name} takes its requests and forgets no lock")


def _capacity(name: str, seen: Observation[TableCapacity]) -> Iterator[Check]:
    if not isinstance(seen, Found) or seen.value.billing is not Billing.PROVISIONED:
        return
    if min(seen.value.read_units, seen.value.write_units) < _FEWEST_UNITS:
        told = f"it is {capacity_words(seen.value)}: a few runs at once are throttled"
        mend = f"switch it to on-demand ({Billing.ON_DEMAND}), or give it {_FEWEST_UNITS} units each"
        yield Check(name, "table", Level.WARN, told, mend)


def _ttl(name: str, table: TableSeen) -> Iterator[Check]:
    if isinstance(table.ttl, Found) and table.ttl.value.enabled:
        told = f"{table.name} {plain(ttl_words(table.ttl.value.attribute))}"
        yield Check(name, "table", Level.WARN, told, "turn the table's TTL off")


def _refused(name: str, table: TableSeen) -> Iterator[Check]:
    if isinstance(table.refused, Found) and table.refused.value.total:
        refused = table.refused.value
        told = f"{table.name} is throttled: it refused {refused.total} requests in the last {duration(refused.within)}"
        yield Check(name, "table", Level.WARN, told, f"`tflock status {name}` says who hammers it")
