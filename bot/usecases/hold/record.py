"""A hold as it outlives a process: what was asked for, how far it is, and the lock that it writes.

The record is there before the first byte of the lock is sent, and until the lock is known to be gone. So whatever dies
in between, the next worker knows of every lock that the bot may have written, and ends it at its time.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated

from bot.core.codec import Inline
from bot.core.evidence import Found
from bot.core.hold import HoldWords, hold_info
from bot.core.lock import LockInfo, LockSeen, PlaceKind
from bot.core.record.evidence import PlaceFacts
from bot.core.record.facts import HoldRequested, OfHold, draft_of
from bot.core.record.timeline import Entry
from bot.core.reports.hold import Hold, HoldEnd
from bot.usecases.shelf import Shelf
from bot.usecases.world import State, World

KEPT = timedelta(days=30)
_LISTED = ("holds", "all")
_MOST = 10_000
_SKEW = timedelta(hours=1)


class HoldPhase(StrEnum):
    """`PLACING` is written before the lock is; from `ENDING` on it only goes away."""

    PLACING = "placing"
    HELD = "held"
    ENDING = "ending"
    ENDED = "ended"


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldRecord:
    """`lock_uuid`, `user_name`, `channel_name` and `link` are what the lock says, and stay.

    `place` is where the state was when it was asked for, empty in records of before.
    `click` is the delivery of the last click that changed it. `wanted` is the end that its asker has asked for,
    `warned` the end of which they were notified, `was_until` the end before the last one. `lift_by` wants someone
    else's hold lifted. `swaps` is the dead lock that it replaces. `parts` are the outcomes of the places, once the end
    is settled and is only shown. After the end a request that got no answer may arrive until `open_until`; it is None
    once a later look has settled that. `late` counts how often one did. `ticks` counts the looks at one that is in
    place, `tries` those that could not do what was due.
    """

    hold: Annotated[Hold, Inline()]
    phase: HoldPhase = HoldPhase.PLACING
    place: str = ""
    lock_uuid: str
    user_name: str
    channel_name: str
    link: str = ""
    click: str = ""
    wanted: datetime | None = None
    was_until: datetime | None = None
    warned: datetime | None = None
    lift_by: str = ""
    lift_at: datetime | None = None
    swaps: str = ""
    places: tuple[PlaceKind, ...] = ()
    placed_at: datetime | None = None
    end: HoldEnd | None = None
    ended_by: str = ""
    approver: str = ""
    note: str = ""
    parts: tuple[PlaceFacts, ...] | None = None
    told_trouble: bool = False
    open_until: datetime | None = None
    late: int = 0
    ticks: int = 0
    tries: int = 0

    @property
    def is_settled(self) -> bool:
        return self.phase is HoldPhase.ENDED and self.open_until is None


HOLDS = Shelf("hold", HoldRecord, KEPT)


async def save(world: World, record: HoldRecord) -> HoldRecord:
    """Writes a new one down, and returns it as any worker reads it. Raises JournalAway."""
    await enlist(world, record.hold.id, at=world.clock.now())
    await HOLDS.put(world, record.hold.id, record)
    return await HOLDS.get(world, record.hold.id) or record


async def enlist(world: World, hold_id: str, *, at: datetime) -> None:
    await world.records.enlist(*_LISTED, hold_id, at=at, ttl=KEPT)


async def open_holds(world: World) -> tuple[HoldRecord, ...]:
    """Every hold that has not ended. Raises JournalAway."""
    return tuple(record for record in await unsettled_holds(world) if record.phase is not HoldPhase.ENDED)


async def unsettled_holds(world: World) -> tuple[HoldRecord, ...]:
    """Every hold whose lock may be there, or may yet arrive there. Raises JournalAway."""
    now = world.clock.now()
    ids = await world.records.enlisted(*_LISTED, since=now - KEPT, until=now + _SKEW, limit=_MOST)
    found = await HOLDS.get_all(world, ids)
    return tuple(record for record in found.values() if not record.is_settled)


async def hold_of(world: World, state: str) -> HoldRecord | None:
    """The hold of a state that is asked for, held or being ended; the newest of several. Raises JournalAway."""
    mine = [record for record in await open_holds(world) if record.hold.state == state]
    return max(mine, key=lambda record: record.hold.asked_at, default=None)


async def advance(
    world: World, hold_id: str, before: Collection[HoldPhase], after: HoldPhase, **fields: object
) -> HoldRecord | None:
    """Takes it to a phase, and sets the fields with it; None, and no change, if it is in none of those before."""
    return await HOLDS.update(world, hold_id, {"phase": after, **fields}, only_if=("phase", frozenset(before)))


def new_uuid(hold_id: str, asked_at: datetime) -> str:
    """The ID in the hold's lock. Azure wants a UUID, and the same one if the request is made again."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"tflock:hold:{hold_id}:{asked_at.isoformat()}"))


def lock_info(record: HoldRecord, path: str) -> LockInfo:
    """The lock that the hold writes."""
    hold = record.hold
    said = HoldWords(hold.id, record.user_name, record.channel_name, hold.reason, hold.until, record.link)
    return hold_info(record.lock_uuid, said, created=hold.asked_at, path=path)


def kinds_of(seen: LockSeen) -> tuple[PlaceKind, ...]:
    """All places of a state, in the order in which Terraform takes them."""
    kinds = {*seen.free, *(place.kind for place in seen.held), *(kind for kind, _ in seen.unseen)}
    return tuple(kind for kind in PlaceKind if kind in kinds)


async def names(world: World, user: str, channel: str) -> tuple[str, str]:
    """What people call them, for the lock; their ids where Slack does not say."""
    member, room = await world.directory.member(user), await world.directory.channel(channel)
    name = member.value.name if isinstance(member, Found) else user
    return name or user, (room.value.name if isinstance(room, Found) else "") or channel


async def write_down(
    world: World, record: HoldRecord, facts: OfHold, actor: str, text: str, *, once: str, at: datetime | None = None
) -> Entry | None:
    """Puts a step of the hold on the incident's timeline, once; None where it belongs to none. Raises JournalAway."""
    if not record.hold.incident:
        return None
    draft = draft_of(facts, at or world.clock.now(), actor, text, once=f"hold/{record.hold.id}/{once}")
    return (await world.journal.append(record.hold.incident, draft)).entry


async def write_intent(world: World, record: HoldRecord) -> Entry | None:
    """That someone wants the state held, before anything is written to its store. Raises JournalAway."""
    hold = record.hold
    facts = HoldRequested(state=hold.state, lock_id="", hold=hold.id, reason=hold.reason, until=hold.until)
    return await write_down(world, record, facts, hold.user, f"asked to hold {hold.state}", once="requested")


async def secure(world: World, record: HoldRecord) -> None:
    """Returns when the record, as it is here, would outlive a fail-over of Redis. Raises NotReplicated."""

    def is_there(found: HoldRecord | None) -> bool:
        return found is not None and (found.phase, found.wanted, found.places, found.hold.until) == (
            record.phase, record.wanted, record.places, record.hold.until,
        )  # fmt: skip

    await HOLDS.secure(world, record.hold.id, has=is_there)


async def start_look(world: World, record: HoldRecord, at: datetime | None = None) -> None:
    """Hands the hold to a worker, now or at an instant, once for each. Raises JournalAway."""
    at, hold_id = at or world.clock.now(), record.hold.id
    await world.jobs.start("hold", hold_id, key=f"hold:{hold_id}:{at.timestamp():.1f}", at=at)


def state_of(world: World, record: HoldRecord) -> State | None:
    """None if it is not configured any more, at least not where it was."""
    return world.state_still(record.hold.state, record.place)
