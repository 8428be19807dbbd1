"""Terraform's S3 backend: a state object, and a lock in a DynamoDB item, in a `.tflock` object, or in both."""

from __future__ import annotations

import asyncio
import math
import secrets
import threading
from collections.abc import Awaitable, Callable, Hashable, Mapping, MutableMapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

import stamina

from bot.aws.clients import AwsClients, is_amazons
from bot.aws.errors import AwsError, may_be_asked_again, timed_out, translated
from bot.aws.sending import SendBy
from bot.backends.proof import Proofs
from bot.backends.s3.address import S3Address
from bot.backends.s3.places import FilePlace, ItemPlace, lock_seen, nowhere, read_digest
from bot.backends.s3.probe import keeps_versions, probe_file, probe_item, probe_puts
from bot.backends.s3.state_object import StateObject
from bot.backends.s3.table import LOOK_WITHIN, LockTable
from bot.backends.settle import settled, swapped, taken
from bot.core.evidence import Found, NotFound, Observation, Trouble
from bot.core.hold import is_of, throw_away
from bot.core.lock import (
    Abilities,
    DigestMatch,
    DigestSeen,
    Fence,
    LockInfo,
    LockPlace,
    LockSeen,
    PlaceKind,
    PlaceProbe,
    PlaceRelease,
    PlaceTaken,
    ReleaseResult,
    StateAbsent,
    StateCheck,
    StateSeen,
    TableSeen,
    TakeResult,
    lock_text,
)
from bot.core.recovery.contents import Contents, Version
from bot.errors import JournalAway, UpstreamError
from bot.ports.clock import Clock

T = TypeVar("T")

_MORE_FOR_CONTENTS = 45.0
"""Seconds: all of a state's objects are followed, which takes longer than to look at its head."""

_retry_read = stamina.AsyncRetryingCaller(attempts=5, timeout=3.0, wait_initial=0.0, wait_max=0.6, wait_jitter=0.6).on(
    may_be_asked_again
)


class S3Backend:
    """One state in S3, as a `bot.ports.locks.LockBackend`. Makes no client and no request before it is asked something.

    `timeout` is the longest time in seconds that one look-up, its retries included, or one delete takes.
    `table_within` is that of a look at the lock table, which is in `tables` for all states that share it.
    A store that is not Amazon's has to prove before the first release that it honours conditions; `proofs` remembers
    it, without them it is tried each time.
    """

    can = Abilities(conditional=True, fence=Fence.NONE, shows_holder=True, versions=True, swap=True)

    def __init__(
        self,
        address: S3Address,
        clients: AwsClients,
        clock: Clock,
        *,
        proofs: Proofs | None = None,
        timeout: float = 10.0,
        table_within: float = LOOK_WITHIN,
        tables: MutableMapping[Hashable, LockTable] | None = None,
    ) -> None:
        self._address = address
        self._clients = clients
        self._clock = clock
        self._proofs = proofs
        self._timeout = timeout
        self._places: dict[PlaceKind, FilePlace | ItemPlace] = {}
        if address.use_lockfile:
            self._places[PlaceKind.FILE] = FilePlace(self._s3, address.bucket, address.lockfile_key)
        if address.dynamodb_table:
            self._places[PlaceKind.ITEM] = ItemPlace(self._dynamodb, address.dynamodb_table, address.lock_key)
        self._object = StateObject(self._s3, address.bucket, address.key)
        self._table: LockTable | None = None
        if address.dynamodb_table:
            made = LockTable(address.dynamodb_table, address.access, clients, clock, within=table_within)
            shared = {} if tables is None else tables
            self._table = shared.setdefault((address.access, address.dynamodb_table), made)

    async def read_lock(self, *, by_trying: bool = False) -> LockSeen:  # noqa: ARG002 - its looks harm nobody
        """Reads all configured places at the same time. A state without any place is unseen, never free."""
        at = self._clock.now()
        if not self._places:
            return nowhere(at)
        read = await asyncio.gather(*(self._now_in(place) for place in self._places.values()))

        seen = lock_seen(dict(zip(self._places, read, strict=True)), at)
        if self._table is not None and seen.is_throttled:
            self._table.doubt()
        return seen

    async def read_state(self) -> StateCheck:
        """Looks at the state object and the digest item at the same time."""
        state, digest = await asyncio.gather(self._state(), self._digest())

        if digest.item is not None and isinstance(state, Found) and isinstance(state.value, StateAbsent):
            traces = (*state.value.traces, "its digest item is still there")
            state = Found(StateAbsent(traces, state.value.last_good_version), state.at)
        return StateCheck(state=state, digest=_compared(digest, state))

    async def read_table(self) -> TableSeen | None:
        """Looks at the lock table, if there is one: its capacity, its TTL, and how much it refused recently."""
        return None if self._table is None else await self._table.look()

    async def versions(self, most: int) -> Observation[tuple[Version, ...]]:
        at = self._clock.now()
        try:
            found = await self._read(partial(self._object.listed, most), self._object.lists, self._object.target)
        except AwsError as error:
            return error.as_observation(at)
        return Found(found, at) if found else NotFound("S3", f"a version of {self._object.target}", at)

    async def contents(self, version: str | None = None) -> Observation[Contents]:
        at, give_up = self._clock.now(), threading.Event()
        chosen = {} if version is None else {"VersionId": version}
        pull = partial(self._object.contents, give_up, **chosen)
        try:
            reading = _retry_read(self._clients.run, pull)
            within = self._timeout + _MORE_FOR_CONTENTS
            return Found(await self._in_time(reading, self._object.reads, self._object.target, within=within), at)
        except AwsError as error:
            return error.as_observation(at)
        finally:
            give_up.set()

    async def release(self, place: LockPlace, *, before: float = math.inf) -> PlaceRelease:
        """Deletes exactly the lock that `place` was read from, or nothing. One attempt.

        It leaves this machine within `timeout` and until the clock's `running` says `before`, or never: its thread
        finds that out itself. Raises JournalAway if it cannot be learned whether the store honours conditions.
        """
        if place.info is None or not place.fence:
            return PlaceRelease(place, ReleaseResult.DENIED, "a lock that cannot be read is never released")
        store = self._places.get(place.kind)
        if store is None:
            return PlaceRelease(place, ReleaseResult.DENIED, f"this state's configuration has no {place.kind}")
        unfit = await self._unfit(store, place)
        if unfit is not None:
            return unfit
        no = await self._sent(partial(store.delete, place.fence), store.deletes, store.target, before)
        if no is None:
            return PlaceRelease(place, ReleaseResult.RELEASED)
        if (early := _refused(no)) is not None:
            return PlaceRelease(place, *early)
        return settled(place, no.error.detail, await self._now_after(store, no), is_open=no.error.is_open)

    async def take(self, kind: PlaceKind, hold: LockInfo, *, before: float = math.inf) -> PlaceTaken:
        """Raises JournalAway if it cannot be learned whether the store honours conditions."""
        store = self._places.get(kind)
        if store is None:
            return PlaceTaken(kind, TakeResult.DENIED, detail=f"this state's configuration has no {kind}")
        unfit = await self._unfit_to_write(store)
        if unfit is not None:
            return PlaceTaken(kind, TakeResult.DENIED, detail=unfit)
        no = await self._sent(partial(store.put, lock_text(hold), None), store.puts, store.target, before)
        if no is not None and (early := _refused(no)) is not None:
            result, words, patience = early
            return PlaceTaken(kind, TakeResult(result.value), detail=words, retry_after=patience)
        now = await self._now_after(store, no)
        if no is None:
            return PlaceTaken(kind, TakeResult.TAKEN, now if isinstance(now, LockPlace) else None)
        return taken(kind, no.error.detail, now, hold)

    async def swap(self, place: LockPlace, hold: LockInfo, *, before: float = math.inf) -> PlaceRelease:
        """Raises as `take`."""
        if place.info is None or not place.fence:
            return PlaceRelease(place, ReleaseResult.DENIED, "a lock that cannot be read is never released")
        store = self._places.get(place.kind)
        if store is None:
            return PlaceRelease(place, ReleaseResult.DENIED, f"this state's configuration has no {place.kind}")
        unfit = await self._unfit_to_write(store)
        if unfit is not None:
            return PlaceRelease(place, ReleaseResult.DENIED, unfit)
        no = await self._sent(partial(store.put, lock_text(hold), place.fence), store.puts, store.target, before)
        if no is None:
            return PlaceRelease(place, ReleaseResult.RELEASED)
        if (early := _refused(no)) is not None:
            return PlaceRelease(place, *early)
        return swapped(place, no.error.detail, await self._now_after(store, no), hold, is_open=no.error.is_open)

    async def end(self, kind: PlaceKind, hold: LockInfo, *, before: float = math.inf) -> PlaceRelease:
        store = self._places.get(kind)
        there = None if store is None else await self._now_in(store)
        if isinstance(there, AwsError):
            gone = LockPlace(kind, "", "", hold)
            return PlaceRelease(gone, ReleaseResult.NOT_SENT, f"{there.detail}, so nothing was sent")
        if there is None or not is_of(there.info, hold):
            return PlaceRelease(LockPlace(kind, "", "", hold), ReleaseResult.ALREADY_FREE)
        return await self.release(there, before=before)

    async def versioning(self) -> Observation[bool]:
        """Whether the bucket keeps older versions of the state."""
        at = self._clock.now()
        question = partial(keeps_versions, self._s3, self._address.bucket)
        try:
            return Found(await self._read(question, "s3:GetBucketVersioning", f"bucket {self._address.bucket}"), at)
        except AwsError as error:
            return error.as_observation(at)

    async def probe(self, token: str) -> tuple[PlaceProbe, ...]:
        """Tries on throw-away locks whether the store honours conditions, and which IAM actions are missing.

        `token` is random text that makes the throw-away keys unique; the real lock is never touched. Never raises.
        """
        return tuple(await asyncio.gather(*(self._probed(place, token) for place in self._places.values())))

    async def probe_writes(self, token: str) -> tuple[PlaceProbe, ...]:
        """As `probe`, for what a hold needs. Never raises."""

        async def tried(place: FilePlace | ItemPlace) -> PlaceProbe:
            probe = await self._tried_writing(place, f"{token}-hold")
            with suppress(AwsError, JournalAway):  # it is tried again when it is needed
                store = await self._clients.run(partial(_foreign, place))
                if store is not None and self._proofs is not None:
                    await self._proofs.learn(f"{store} puts", probe)
            return probe

        return tuple(await asyncio.gather(*map(tried, self._places.values())))

    async def clock_address(self) -> tuple[str, str] | None:
        """The address of S3, by way of the client that the bot uses."""
        try:
            await self._clients.warm([self._address.access])
        except UpstreamError:  # a client that cannot be made is reported by every look
            return None
        client = await self._clients.run(self._s3)
        return str(client.meta.endpoint_url), "AWS"

    async def _probed(self, place: FilePlace | ItemPlace, token: str) -> PlaceProbe:
        probe = await self._clients.run(
            partial(_PROBES[type(place)], replace(place, key=f"{place.key}-doctor-{token}"))
        )
        with suppress(AwsError, JournalAway):  # it is tried again when it is needed
            store = await self._clients.run(partial(_foreign, place))
            probe = replace(probe, needs_proof=store is not None)
            if store is not None and self._proofs is not None:
                await self._proofs.learn(store, probe)
        return probe

    async def _unfit(self, place: FilePlace | ItemPlace, lock: LockPlace) -> PlaceRelease | None:
        """Why nothing may be deleted here, if so: the store is not Amazon's, and did not prove itself."""
        try:
            store = await self._in_time(self._clients.run(partial(_foreign, place)), place.deletes, place.target)
            if store is None or (self._proofs is not None and await self._proofs.knows(store)):
                return None
            trying = self._probed(place, secrets.token_hex(4))
            probe = await self._in_time(trying, place.deletes, place.target)
        except AwsError as error:
            result = ReleaseResult.DENIED if error.trouble is Trouble.DENIED else ReleaseResult.NOT_SENT
            return PlaceRelease(lock, result, f"{error.detail}, so nothing was sent")
        return None if probe.is_proven else _not_proven(lock, probe)

    async def _unfit_to_write(self, place: FilePlace | ItemPlace) -> str | None:
        """Why no lock may be written here, if so: the store is not Amazon's, and did not prove itself."""
        try:
            store = await self._in_time(self._clients.run(partial(_foreign, place)), place.puts, place.target)
            if store is None or (self._proofs is not None and await self._proofs.knows(f"{store} puts")):
                return None
            trying = self._tried_writing(place, secrets.token_hex(4))
            probe = await self._in_time(trying, place.puts, place.target)
        except AwsError as error:
            return f"{error.detail}, so nothing was sent"
        if self._proofs is not None:
            await self._proofs.learn(f"{store} puts", probe)
        if probe.is_proven:
            return None
        words = "this store is not known to honour conditions when it writes, so that a new lock could be overwritten"
        return "; ".join(filter(None, (words, probe.detail)))

    async def _tried_writing(self, place: FilePlace | ItemPlace, token: str) -> PlaceProbe:
        beside = replace(place, key=f"{place.key}-doctor-{token}")
        first, second = (lock_text(throw_away(self._clock.now())) for _ in range(2))
        return await self._clients.run(partial(probe_puts, beside, first, second, other=_NO_FENCE[place.puts]))

    async def _sent(self, write: Callable[[SendBy], None], right: str, target: str, before: float) -> _NotDone | None:
        """Sends one request, or never; None for one that was carried out."""
        send_by = SendBy(self._clock, min(before, self._clock.running() + self._timeout))
        try:
            await self._in_time(self._clients.run(partial(write, send_by)), right, target)
        except AwsError as error:
            return _NotDone(error, is_kept_back=send_by.call_off() and error.trouble is Trouble.TIMED_OUT)
        finally:
            send_by.call_off()
        return None

    async def _now_after(self, store: FilePlace | ItemPlace, no: _NotDone | None) -> LockPlace | str | None:
        """What is there after a request, or why that is not known."""
        now = (None if no is None else store.shown_by(no.error)) or await self._now_in(store)
        return now.detail if isinstance(now, AwsError) else now

    async def _now_in(self, store: FilePlace | ItemPlace) -> LockPlace | AwsError | None:
        try:
            return await self._read(store.read, store.reads, store.target)
        except AwsError as error:
            return error

    async def _state(self) -> Observation[StateSeen | StateAbsent]:
        at = self._clock.now()
        give_up = threading.Event()
        found = self._object
        try:
            return Found(await self._in_time(self._looked_at(found, give_up), found.reads, found.target), at)
        except AwsError as error:
            return error.as_observation(at)
        finally:
            give_up.set()  # a thread that is still pulling a large state stops here

    async def _looked_at(self, found: StateObject, give_up: threading.Event) -> StateSeen | StateAbsent:
        try:
            pulled = await _retry_read(self._clients.run, partial(found.pull, give_up, self._clock))
        except AwsError as error:
            if error.missing != "object":
                raise
            return await _retry_read(self._clients.run, partial(found.absent, give_up, self._clock, error))
        if pulled.fault is None:
            return pulled
        return await self._clients.run(partial(found.with_last_good, give_up, self._clock, pulled))

    async def _digest(self) -> DigestSeen:
        table, key = self._address.dynamodb_table, self._address.digest_key
        if table is None:
            return DigestSeen(DigestMatch.NO_TABLE)
        try:
            item = await self._read(
                partial(read_digest, self._dynamodb, table, key), "dynamodb:GetItem", f"table {table}"
            )
        except AwsError as error:
            return DigestSeen(DigestMatch.UNSEEN, key=key, detail=error.detail)
        return DigestSeen(DigestMatch.NO_ITEM if item is None else DigestMatch.UNSEEN, key=key, item=item)

    async def _read(self, question: Callable[[], T], action: str, target: str) -> T:
        return await self._in_time(_retry_read(self._clients.run, question), action, target)

    async def _in_time(self, work: Awaitable[T], action: str, target: str, *, within: float | None = None) -> T:
        try:
            async with asyncio.timeout(within or self._timeout):
                return await work
        except TimeoutError as error:
            raise timed_out(action, target) from error

    def _s3(self) -> Any:
        return self._clients.client("s3", self._address.access)

    def _dynamodb(self) -> Any:
        return self._clients.client("dynamodb", self._address.access)


@dataclass(frozen=True, slots=True)
class _NotDone:
    """Why a request did not succeed. `is_kept_back`: it never left this machine."""

    error: AwsError
    is_kept_back: bool


def _refused(no: _NotDone) -> tuple[ReleaseResult, str, float | None] | None:
    """What the store did not do, for certain, and why; None where a look has to tell."""
    error = no.error
    if no.is_kept_back:
        return ReleaseResult.NOT_SENT, f"{error.detail}, so nothing was sent", None
    match error.trouble:
        case Trouble.THROTTLED:
            return ReleaseResult.THROTTLED, error.detail, error.retry_after
        case Trouble.DENIED | Trouble.NO_CREDENTIALS:
            return ReleaseResult.DENIED, error.detail, None
    return None


def _foreign(place: FilePlace | ItemPlace) -> str | None:
    """The store's name in `Proofs`; None for Amazon's own. Blocking. Raises AwsError."""
    with translated(place.deletes, place.target):
        endpoint = str(place.client().meta.endpoint_url)
    return None if is_amazons(endpoint) else f"{endpoint} {place.target.removesuffix(place.key)}"


_PROBES: Mapping[type, Callable[[Any], PlaceProbe]] = {FilePlace: probe_file, ItemPlace: probe_item}

_NO_FENCE = {FilePlace.puts: '"00000000000000000000000000000000"', ItemPlace.puts: "another text"}

_PASSING = frozenset({Trouble.TIMED_OUT, Trouble.NO_CONNECTION, Trouble.SERVER_ERROR})


def _not_proven(lock: LockPlace, probe: PlaceProbe) -> PlaceRelease:
    if probe.trouble is Trouble.THROTTLED:
        return PlaceRelease(lock, ReleaseResult.THROTTLED, probe.detail)
    if probe.trouble in _PASSING:
        return PlaceRelease(lock, ReleaseResult.NOT_SENT, probe.detail)
    if probe.is_conditional is False:
        words = "this store deletes a lock although its condition does not hold, so a new holder's lock could be lost"
        fix = (
            "nothing is released here until it honours If-Match and ConditionExpression; tell Terraform's force-unlock"
        )
        return PlaceRelease(lock, ReleaseResult.DENIED, f"{words}: {fix}")
    words = "this store is not Amazon's, and could not be tried on a throw-away lock next to this one"
    fix = "let the bot put and delete “…-doctor-*” there, or run “tflock doctor --state” with rights that may"
    return PlaceRelease(lock, ReleaseResult.DENIED, "; ".join(filter(None, (words, probe.detail, fix))))


def _compared(digest: DigestSeen, state: Observation[StateSeen | StateAbsent]) -> DigestSeen:
    if digest.item is None:
        return digest
    match state:
        case Found(value=StateSeen(md5=actual)):
            match = DigestMatch.MATCHES if digest.item.lower() == actual else DigestMatch.DIFFERS
            return replace(digest, match=match, actual=actual)
        case Found():
            return replace(digest, match=DigestMatch.DIFFERS, detail="the state that it was written for is gone")
        case _:
            return replace(digest, detail="the state could not be read, so there is nothing to compare it with")
