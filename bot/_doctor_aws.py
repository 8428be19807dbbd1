"""The doctor's look at AWS: may each state's lock and file be read, and does a conditional delete do what it says."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from bot._doctor_check import Check, Level
from bot.app import SystemClock, place_of
from bot.backends.s3 import AwsClients, HalfProbe, S3Backend
from bot.config import Config, StateSettings
from bot.core.evidence import Found, Observation, Unseen
from bot.core.lock import DigestMatch, LockSeen, StateCheck

_POLICY = "grant it in the IAM policy of the bot's role"


async def aws_checks(config: Config, clients: AwsClients, token: str) -> list[Check]:
    """Asks as the bot, and puts throw-away locks beside the real ones, named with `token`, and removes them."""
    found = await asyncio.gather(*(_state(settings, clients, token) for settings in config.states.values()))
    return [check for checks in found for check in checks]


async def _state(settings: StateSettings, clients: AwsClients, token: str) -> list[Check]:
    backend = S3Backend(place_of(settings), clients, SystemClock())
    lock, state, versioned, probes = await asyncio.gather(
        backend.read_lock(), backend.read_state(), backend.versioning(), backend.probe(token)
    )
    name = settings.name
    return [
        *_lock(name, lock),
        *_file(name, state),
        *(check for probe in probes for check in _release(name, probe)),
        _versioning(name, versioned),
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


def _release(name: str, probe: HalfProbe) -> Iterator[Check]:
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
