"""What the owner of a lock hears: one message for each lock, which is updated with every new fact.

Who has news writes it down as a fact and starts the job `letter`; nobody waits for Slack. The job, one at a time for
each message, reads all facts and the owner's answer, and brings the message to what they say. Slack notifies nobody of
an update, so that a line below the message names the owner, once for each thing that they have to know at once: that an
unlock is wanted (they may have to stop it) and that it was released (their run has no lock any more). What they
hear first needs none: the message itself is new. That others ask or wait, or that their run has ended, does not ring
twice: they have heard of the lock, and can do nothing else about it than they could before.

On do-not-disturb what would ring waits for its end, unless the state is protected; silent updates do not wait.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from bot.core.gate.ending import is_over
from bot.core.gate.inspection import Inspection, StateName
from bot.core.lock import LockInfo
from bot.core.reports.owner_message import OwnerNews
from bot.core.run import Run
from bot.usecases.owner.record import (
    FACTS,
    KEPT,
    LISTED,
    LOCKS_OF,
    OWNED,
    NewsRecord,
    Owned,
    OwnerMessageKey,
    Spoken,
    fact_id,
    fact_of,
)
from bot.usecases.world import World


@dataclass(frozen=True, slots=True)
class OwnedLock:
    """A lock with its owner (a Slack user id), as far as a message speaks of them. `waiting` runs wait for it."""

    state: StateName
    lock: LockInfo
    owner: str | None
    run: Run | None = None
    waiting: int = 0


async def write_to_owner(
    world: World, news: OwnerNews, inspection: Inspection, *, asker: str, channel: str, incident: str, request: str = ""
) -> None:
    """As `write_about`, on the lock and the owner that the inspection found.

    With the news goes what else the inspection shows: that others wait, that the run has ended.
    """
    if inspection.owner is None or inspection.lock is None:
        return
    tied = inspection.attribution
    candidates = () if tied is None else tied.candidates
    held = OwnedLock(
        state=inspection.state,
        lock=inspection.lock,
        owner=inspection.owner.slack_id,
        run=candidates[0].run if candidates else None,
        waiting=0 if tied is None else len(tied.contenders),
    )
    everything = dict.fromkeys((news, *_beside(inspection, held)))
    await _tell(world, tuple(everything), held, Spoken(asker, channel, incident, request))


async def write_about(
    world: World, news: OwnerNews, held: OwnedLock, *, asker: str, channel: str, incident: str, request: str = ""
) -> None:
    """Tells the owner, if Slack knows them and they are not the asker themselves; each thing once.

    An owner who cannot be reached changes nothing: the place that asked shows it, and the rest continues. Raises
    JournalAway.
    """
    await _tell(world, (news,), held, Spoken(asker, channel, incident, request))


def _beside(inspection: Inspection, held: OwnedLock) -> Iterable[OwnerNews]:
    if held.waiting:
        yield OwnerNews.BLOCKS
    tied = inspection.attribution
    if tied is not None and tied.candidates and not tied.unseen and all(map(is_over, tied.candidates)):
        yield OwnerNews.RUN_DIED


async def _tell(world: World, news: Sequence[OwnerNews], held: OwnedLock, spoken: Spoken) -> None:
    if not held.owner or held.owner == spoken.asker:
        return
    place = OwnerMessageKey(held.state.name, held.lock.id, held.owner)
    await _take_over(world, place, held, max(news, key=lambda one: one.weight), spoken)
    names = {f"{place}/{fact_id(one, spoken.asker, spoken.request)}": one for one in news}
    known = await FACTS.get_all(world, list(names))
    noted = [await _noted(world, place, one, held, spoken, known.get(name)) for name, one in names.items()]
    new = [name for name in noted if name]
    if new:
        await start(world, place, why="+".join(new))


async def _noted(
    world: World, place: OwnerMessageKey, news: OwnerNews, held: OwnedLock, spoken: Spoken, fact: NewsRecord | None
) -> str | None:
    """The fact's name, if the owner has not heard it yet. `fact` is what is kept of it."""
    name = fact_id(news, spoken.asker, spoken.request)
    if fact is not None and fact.is_told:
        return None
    if fact is None:
        fact = fact_of(news, held.lock, held.run, held.waiting, spoken, at=world.clock.now())
        await FACTS.put(world, f"{place}/{name}", fact)
    await world.records.enlist(LISTED, str(place), name, at=fact.at, ttl=KEPT)
    return name


async def start(world: World, place: OwnerMessageKey, *, why: str, at: datetime | None = None) -> None:
    """Has the message updated; `why` distinguishes one reason for it from another. Raises JournalAway."""
    await world.jobs.start("letter", place.state, place.lock_id, place.owner, key=f"letter:{place}:{why}", at=at)


async def _take_over(world: World, place: OwnerMessageKey, held: OwnedLock, news: OwnerNews, spoken: Spoken) -> None:
    """Notes whose lock it is now, and where it was last discussed. A person who was taken for the owner hears so."""
    was = await OWNED.get(world, place.of_lock)
    before = was or Owned(news=news)
    now = Owned(
        owner=place.owner,
        asker=spoken.asker or before.asker,
        asked_in=spoken.channel or before.asked_in,
        incident=spoken.incident or before.incident,
        request=spoken.request or before.request,
        news=max(news, before.news, key=lambda one: one.weight),
        created=held.lock.created,
    )
    if was != now:
        await OWNED.put(world, place.of_lock, now)
    if before.owner != place.owner:
        await world.records.enlist(LOCKS_OF, place.owner, place.of_lock, at=world.clock.now(), ttl=KEPT)
        if before.owner:
            await start(world, OwnerMessageKey(place.state, place.lock_id, before.owner), why=f"moved:{place.owner}")
