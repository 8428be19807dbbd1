"""One state behind Terraform's `http` protocol, and its lock.

The protocol has no request that reads a lock. A server tells who holds one only to who tries to lock the state as well
(409 or 423, with the holder's lock info). A try on a free state takes the lock; so tries are made only for an unlock
that someone asked for, one at a time, and a lock that a try has taken is given back at once. Before a try its ID is
written down: should this process die, the next sweep finds it and gives the lock back.

Whether a server compares the lock's ID on a release is not known, so a release is sent only right after a try was
refused by that very lock. Between the two another holder may come: nothing here makes a release conditional.
Sources: Terraform's `internal/backend/remote-state/http/client.go`; OpenTofu's, which sends the ID to `force-unlock`.
"""

from __future__ import annotations

import asyncio
import uuid
from base64 import b64encode
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx
import structlog
from httpx import codes

from bot.backends.http.rights import LOCK, READ, UNLOCK
from bot.backends.remote import Leaving, Unmet, parsed
from bot.backends.state_text import StateReader
from bot.core.evidence import Trouble
from bot.core.lock import LockPlace, PlaceKind, StateAbsent, StateSeen
from bot.core.recovery.contents import Version
from bot.errors import JournalAway
from bot.http.client import Absent, Client, Errors, Failed, Refusal, Sink, denied
from bot.http.values import Json
from bot.ports.clock import Clock
from bot.ports.records import Records

T = TypeVar("T")

log = structlog.get_logger()

SERVICE = "the state's server"
LOOK = "tflock-look-"
"""Begins the ID of a lock that nobody meant to take."""

TRIED, SEEN = "http-lock-tried", "http-state-seen"
_TURN = "http-lock-turn"
_KEPT = timedelta(days=30)
_TURN_TTL = timedelta(seconds=120)
_PATIENCE = 80
PROVEN_FOR = 5.0
"""Seconds after the beginning of a request that showed whose the lock is, in which it may be released."""

_ROUNDS = 4
_SURE = frozenset({Trouble.DENIED, Trouble.THROTTLED})
"""After these the server has surely not taken the lock."""

_OPERATION = "tflock look"
_TRYING = "taken for a moment to see who holds the lock; it is given back at once"


def errors(no: Refusal) -> Errors:
    """How a server of this protocol says no. What it refuses for any reason, it has not done."""
    return {
        codes.UNAUTHORIZED: denied(f"the server refuses the credentials for {no.about} (401)"),
        codes.FORBIDDEN: denied(f"the server denies {no.deed} (403): the bot's user needs {no.needs}"),
        codes.TOO_MANY_REQUESTS: no.throttled("the server throttles the bot", patience=1),
        3: denied(f"the server has moved {no.deed} ({no.status}): are the addresses right?"),
        4: denied(f"the server refuses {no.deed} ({no.status}): are the addresses and methods right?"),
    }


def basic(user: str, password: str) -> Mapping[str, str]:
    """The header of Terraform's `username` and `password`; nothing without a user."""
    return {"Authorization": f"Basic {b64encode(f'{user}:{password}'.encode()).decode()}"} if user else {}


@dataclass(frozen=True, slots=True)
class Way:
    """One request of the protocol: its method, and where it goes."""

    client: Client
    method: str
    address: str

    async def send(self, needs: str, **parts: Any) -> httpx.Response:
        path = self.address.removeprefix(self.client.base_url)
        return await self.client.send(self.method, path, self.address, needs=needs, tries=1, **parts)


@dataclass(frozen=True, slots=True)
class HttpStore:
    """Implements `bot.backends.remote.RemoteStore`; `beside` and what goes with it are not asked here."""

    state_way: Way
    lock_way: Way
    unlock_way: Way
    records: Records
    clock: Clock
    tries: set[asyncio.Task[Any]] = field(default_factory=set, compare=False)

    kind = PlaceKind.RECORD
    service = SERVICE
    reads = LOCK
    deletes = UNLOCK

    @property
    def target(self) -> str:
        return self.state_way.address

    async def read(self) -> LockPlace | None:
        return await self._finished(self._looked())

    async def delete(self, fence: str, leaving: Leaving) -> None:
        """Raises Unmet if a try right before it was not refused by this very lock, or if the server refuses."""
        if not fence:
            raise denied("a lock without an ID is never released")
        await self._finished(self._released(fence, leaving))

    async def left_over(self) -> None:
        """Gives a lock back that a try of a process has left behind, if one has."""
        if await self.records.get(TRIED, self.target) is not None:
            await self._finished(self._looked())

    async def state(self) -> StateSeen | StateAbsent:
        answer = await self._state()
        if answer is None:
            return StateAbsent()
        reader = StateReader()
        reader.feed(answer.content)
        told = _http_date(answer.headers.get("last-modified", ""))
        offset = self.state_way.client.offset
        if told is not None:
            return reader.finish().seen(told if offset is None else told - offset.ahead, None)
        found = reader.finish()
        return replace(found.seen(await self._unchanged_since(found.md5), None), is_upper_bound=True)

    async def listed(self, most: int) -> tuple[Version, ...]:
        """The one that there is, under no id."""
        answer = await self._state()
        if answer is None:
            return ()
        at = _http_date(answer.headers.get("last-modified", ""))
        return (Version("", at, len(answer.content), is_newest=True),)[:most]

    async def pour(self, version: str | None, into: Sink) -> None:
        if version:
            raise Absent(f"older version of {self.target}")
        answer = await self._state()
        if answer is None:
            raise Absent(f"state {self.target}")
        into.feed(answer.content)

    async def keeps_versions(self) -> bool:
        return False

    async def may_read(self) -> None:
        """Raises Failed if the state may not be read."""
        await self._state()

    async def _state(self) -> httpx.Response | None:
        """As Terraform reads it: 204 and 404 mean that there is none."""
        answer = await self.state_way.send(READ, passing=_is_none)
        return answer if answer.is_success and answer.status_code != codes.NO_CONTENT else None

    async def _unchanged_since(self, md5: str) -> datetime:
        """When this very content was first seen: it was written then, or before."""
        now = self.clock.now()
        try:
            known = await self.records.get(SEEN, self.target)
            if known is not None and known.get("md5") == md5:
                return datetime.fromisoformat(known["at"])
            await self.records.put(SEEN, self.target, {"md5": md5, "at": now.isoformat()}, ttl=_KEPT)
        except JournalAway:
            log.warning("http.state_not_remembered", state=self.target)
        return now

    async def _finished(self, work: Coroutine[Any, Any, T]) -> T:
        """Comes to its end, whatever becomes of who asked for it: it may have taken the lock."""
        task = asyncio.create_task(work)
        self.tries.add(task)
        task.add_done_callback(self._over)
        try:
            return await asyncio.shield(task)
        except JournalAway as away:
            detail = f"each try to lock it is remembered in Redis, and {away.in_short}"
            raise Failed(Trouble.NO_CONNECTION, detail, was_sent=False) from away

    def _over(self, task: asyncio.Task[Any]) -> None:
        self.tries.discard(task)
        if not task.cancelled():
            task.exception()  # who asked may be gone

    async def _looked(self) -> LockPlace | None:
        async with self._alone():
            place, _ = await self._tried()
            return place

    async def _released(self, fence: str, leaving: Leaving) -> None:
        async with self._alone():
            place, proven = await self._tried()
            if place is None or place.fence != fence or not await self._unlocked(fence, proven, leaving):
                raise Unmet

    async def _tried(self) -> tuple[LockPlace | None, float]:
        """The lock that keeps another one out, and when that was asked (`Clock.running`). Leaves no lock of its own.

        A try whose end was not seen is taken up again, under its own IDs.
        """
        earlier = await self.records.get(TRIED, self.target)
        mine = f"{LOOK}{uuid.uuid4()}" if earlier is None else str(earlier["id"])
        await self.records.put(TRIED, self.target, {"id": mine}, ttl=_KEPT)
        return await self._settled(mine, may_have=earlier is not None)

    @asynccontextmanager
    async def _alone(self) -> AsyncIterator[None]:
        """One process at a time: the lock of one's try must not be released by another's."""
        holder, tries = uuid.uuid4().hex, 0
        while not await self.records.take(_TURN, self.target, holder=holder, ttl=_TURN_TTL):
            tries += 1
            if tries > _PATIENCE:
                raise Failed(
                    Trouble.THROTTLED, "another check of this lock is still running", retry_after=1, was_sent=False
                )
            await asyncio.sleep(0.1)
        try:
            yield
        finally:
            with suppress(JournalAway):  # it runs out
                await self.records.give_back(_TURN, self.target, holder=holder)

    async def _settled(self, mine: str, *, may_have: bool) -> tuple[LockPlace | None, float]:
        """Tries until it is sure that no lock of this ID is left. `may_have`: an earlier try may have taken it.

        What a request without an answer has done is found out by the next try, never by a release on suspicion. Such a
        request may yet arrive: its ID stays written down, for the next sweep to try once more. Two IDs take turns: that
        a request is refused by its own proves nothing, since a server may repeat all that the asker said.
        """
        last: Failed | None = None
        other, asking = (mine, f"{mine}-2") if not may_have else (f"{mine}-2", mine)
        for turn in range(_ROUNDS):
            await asyncio.sleep(0.2 * turn)
            asked = self.clock.running()
            asking, other = other, asking
            try:
                answer = await self.lock_way.send(self.reads, json=_lock_info(asking), passing=_is_locked)
            except Failed as failed:
                may_have = may_have or (failed.was_sent and failed.trouble not in _SURE)
                if not may_have:
                    await self.records.forget(TRIED, self.target)
                    raise
                last = failed
                continue
            place = None if answer.is_success else self._place(answer)
            if place is not None and place.fence == asking:
                if may_have:
                    continue
                return await self._ended(self._unreadable("it repeats what the asker said"), asked, last)
            if place is not None and place.fence != other:
                if place.info is None and may_have:
                    break  # the server does not say whose the lock is: it may be the try's own
                return await self._ended(place, asked, last)
            may_have = True
            took = asking if place is None else other
            log.warning("http.look_took_the_lock", state=self.target, lock_id=took)
            try:
                if await self._unlocked(took, asked, _at_any_time, _lock_info(took)):
                    return await self._ended(None, asked, last)
            except Failed as failed:
                last = failed
        said = f"a look may have taken the lock of {self.target} and could not give it back; the next sweep tries again"
        why = f": {last.words}" if last is not None else ""
        raise Failed(Trouble.GARBLED if last is None else last.trouble, f"{said} (lock {mine}){why}")

    async def _ended(
        self, place: LockPlace | None, asked: float, last: Failed | None
    ) -> tuple[LockPlace | None, float]:
        if last is None:
            await self.records.forget(TRIED, self.target)
        return place, asked

    async def _unlocked(self, lock_id: str, proven: float, leaving: Leaving, info: Json | None = None) -> bool:
        """Whether the server released. Never sent later than PROVEN_FOR after the lock was shown to be this one."""

        def leave() -> None:
            if self.clock.running() - proven > PROVEN_FOR:
                raise Failed(Trouble.TIMED_OUT, "too much time went by since the lock was seen", was_sent=False)
            leaving()

        body = info or {**_lock_info(lock_id), "Operation": "", "Info": "", "Who": ""}
        answer = await self.unlock_way.send(self.deletes, json=body, passing=_is_locked, leaving=leave)
        return answer.is_success

    def _place(self, answer: httpx.Response) -> LockPlace:
        info, garbage = parsed(answer.text)
        if info is None:
            return self._unreadable(garbage)
        if info.operation == _OPERATION:  # a server may repeat what the asker said
            info = replace(info, operation="", info="", version="", path="")
        return LockPlace(self.kind, self.target, info.id, info, service=SERVICE)

    def _unreadable(self, why: str | None) -> LockPlace:
        said = f"the server says that it is locked, and not who holds it ({why})"
        return LockPlace(self.kind, self.target, "", None, said, service=SERVICE)


def origin(address: str) -> str:
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc}"


def _lock_info(lock_id: str) -> Json:
    created = datetime.now(UTC).isoformat()
    return {
        "ID": lock_id, "Operation": _OPERATION, "Info": _TRYING, "Who": "tflock@", "Version": "", "Created": created,
        "Path": "",
    }  # fmt: skip


def _is_locked(response: httpx.Response) -> bool:
    return response.status_code in {codes.CONFLICT, codes.LOCKED}


def _is_none(response: httpx.Response) -> bool:
    return response.status_code == codes.NOT_FOUND


def _at_any_time() -> None:
    """A lock that nobody meant to take is given back at any time."""


def _http_date(value: str) -> datetime | None:
    try:
        return parsedate_to_datetime(value).astimezone(UTC)
    except (TypeError, ValueError):
        return None
