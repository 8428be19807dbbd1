"""Brings the message to the owner of a lock up to date: the job `letter`, and the asking again after "later".

May be killed at any line and run again: what Slack may have taken is looked up by its mark before it is sent again.
An owner who cannot be reached changes nothing in what is decided about their lock.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

import structlog

from bot.core.evidence import Found
from bot.core.people import OwnerSays
from bot.core.phrase import Person, Phrase, Quoted, instant
from bot.core.record.facts import OwnerNotified, draft_of
from bot.core.reports.owner_message import Nudge, OwnerMessage, OwnerMessageStatus, OwnerNews
from bot.core.reports.report import Notice
from bot.errors import Final, Passing, UpstreamError
from bot.ports.messenger import Posted
from bot.usecases.decide.owner import answer_of, use_up
from bot.usecases.lease import lease
from bot.usecases.outbox import Outgoing, earlier, find_post, post_once, say_once
from bot.usecases.owner.record import (
    FACTS,
    OWNED,
    OWNER_MESSAGES,
    NewsRecord,
    OwnerMessageKey,
    OwnerMessageRecord,
    facts_at,
    headline,
    owner_message,
)
from bot.usecases.owner.tell import start
from bot.usecases.request.record import UNLOCKS
from bot.usecases.world import World

log = structlog.get_logger()

SNOOZE = timedelta(minutes=10)
"""How long an owner who asks for time is left in peace."""

_PATIENCE = timedelta(seconds=30)
_EARLY = timedelta(seconds=5)
_MOST_DEFERRALS = 30
_RINGS = frozenset({OwnerNews.UNLOCK_WANTED, OwnerNews.RELEASED})
_NOTHING_ELSE: Phrase = ("Nothing else changes.",)
_AGAIN = "AGAIN"
_FIRST = "first"


@dataclass(frozen=True, slots=True)
class _Desk:
    """A message in progress: all its facts, its record, and what it has to say."""

    place: OwnerMessageKey
    facts: tuple[NewsRecord, ...]
    record: OwnerMessageRecord
    message: OwnerMessage

    @property
    def main(self) -> NewsRecord:
        return headline(self.facts)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(sorted({fact.news.name for fact in self.facts}))


async def post(world: World, state: str, lock_id: str, owner: str, *, is_last_try: bool = False) -> None:
    """Brings the message up to date. Raises JournalAway, Busy or Passing: then try again.

    What Slack refuses for good, and what it did not take by the last try, is reported where people talk about the lock.
    """
    place = OwnerMessageKey(world.state(state).name.name, lock_id, owner)
    async with lease(world.records, f"letter/{place}", holder=world.new_id(), patience=_PATIENCE):
        await _post(world, place, is_last_try=is_last_try)


async def ask_again(world: World, state: str, lock_id: str, *, is_last_try: bool = False) -> None:
    """After "ask me later": asks again, once, if the lock is still there. Raises as `post`."""
    of = await OWNED.get(world, f"{world.state(state).name.name}/{lock_id}")
    if of is None:
        return
    said = await answer_of(world, state, lock_id, of.owner)
    place = OwnerMessageKey(state, lock_id, of.owner)
    async with lease(world.records, f"letter/{place}", holder=world.new_id(), patience=_PATIENCE):
        if said is not None and said.says is OwnerSays.LATER:
            if world.clock.now() < said.at + SNOOZE - _EARLY:
                return  # they have asked for time again since; that has a job of its own
            await OWNER_MESSAGES.update(world, str(place), again=said.at)
            await use_up(world, state, said)
        if await _is_gone(world, place):
            await OWNER_MESSAGES.update(world, str(place), is_gone=True)
            log.info("owner.lock_gone", state=place.state, lock_id=place.lock_id)
        await _post(world, place, is_last_try=is_last_try)


async def _post(world: World, place: OwnerMessageKey, *, is_last_try: bool) -> None:
    desk = await _desk(world, place)
    if desk is None:
        return
    try:
        is_told = await (_bring_up_to_date if desk.record.ts else _write_first)(world, desk)
    except UpstreamError as error:
        if isinstance(error, Passing) and not is_last_try:
            raise
        await _could_not(world, desk, error)
    else:
        if is_told:
            await _told(world, desk)


async def _desk(world: World, place: OwnerMessageKey) -> _Desk | None:
    facts = await facts_at(world, place)
    if not facts:
        return None
    record = await OWNER_MESSAGES.get(world, str(place))
    if record is None:
        record = OwnerMessageRecord()
        await OWNER_MESSAGES.put(world, str(place), record)
    of = await OWNED.get(world, place.of_lock)
    answer = await answer_of(world, place.state, place.lock_id, place.owner)
    is_moved = of is not None and of.owner != place.owner
    record = await _with_link(world, place, record, headline(facts).spoken.request)
    return _Desk(
        place,
        facts,
        record,
        owner_message(world.state(place.state).name, place, facts, record, answer, is_moved=is_moved),
    )


async def _with_link(
    world: World, place: OwnerMessageKey, record: OwnerMessageRecord, request_id: str
) -> OwnerMessageRecord:
    """The address of the request's message, asked for once."""
    if not request_id or request_id in record.links:
        return record
    found = await UNLOCKS.get(world, request_id)
    if found is None or not found.request.ts:
        return record
    request = found.request
    seen = await world.messages.permalink(request.channel, request.ts, thread=request.thread)
    if not isinstance(seen, Found):
        return record
    links = {**record.links, request_id: seen.value}
    return await OWNER_MESSAGES.update(world, str(place), links=links) or record


async def _write_first(world: World, desk: _Desk) -> bool:
    """The message itself, which notifies. False if there is nothing to say, or not now."""
    message, key = desk.message, str(desk.place)
    mark = f"{key}/{_FIRST}/{desk.record.round}"
    begun = desk.record.tries.get(mark)
    found = await earlier(begun, partial(find_post, world, Outgoing(desk.place.owner, message, mark)))
    if found is not None:
        record = await OWNER_MESSAGES.update(world, key, ts=found.ts, channel=found.channel, untold="")
        return await _bring_up_to_date(world, replace(desk, record=record or desk.record))
    if message.status is not OwnerMessageStatus.OPEN and message.news is not OwnerNews.RELEASED:
        return False
    if desk.record.deferred and message.news is not OwnerNews.RELEASED and await _is_gone(world, desk.place):
        return False
    until = await _quiet_until(world, desk.place.owner)
    if until is not None and not message.state.protected:
        return await _defer(world, desk, until)
    if until is not None:
        await OWNER_MESSAGES.update(world, key, disturbs=True)
        message = replace(message, disturbs=True)
    # before it is sent: who finds it after a crash has to know what it says, for there may be more to say by then
    tries = {mark: begun or world.clock.now()}
    await OWNER_MESSAGES.update(world, key, tries=tries, drawn=_digest(message), rung=desk.names)
    posted = await world.messenger.post(desk.place.owner, message, mark=mark)
    await OWNER_MESSAGES.update(world, key, ts=posted.ts, channel=posted.channel, untold="")
    return True


async def _bring_up_to_date(world: World, desk: _Desk) -> bool:
    posted = Posted(desk.record.channel, desk.record.ts)
    if _digest(desk.message) != desk.record.drawn:
        try:
            await world.messenger.update(posted, desk.message)
        except Final as error:
            # the message cannot be changed any more (deleted, too old): one more takes its place if an answer is wanted
            log.warning("owner.message_lost", state=desk.place.state, detail=error.detail)
            changed = await OWNER_MESSAGES.update(world, str(desk.place), ts="", round=desk.record.round + 1)
            return await _write_first(world, replace(desk, record=changed or desk.record))
        await OWNER_MESSAGES.update(world, str(desk.place), drawn=_digest(desk.message))
    ring = _to_ring(desk)
    if ring is None:
        return True
    until = None if desk.message.state.protected else await _quiet_until(world, desk.place.owner)
    if until is not None:
        await _defer(world, desk, until)
        return True
    if desk.record.deferred and desk.message.news is not OwnerNews.RELEASED and await _is_gone(world, desk.place):
        return True
    owner, mark = desk.place.owner, f"{desk.place}/{ring}"

    async def begin(now: datetime) -> None:
        await OWNER_MESSAGES.update(world, str(desk.place), tries={mark: now})

    nudge = Outgoing(owner, Nudge(owner, desk.message), mark, posted.ts)
    await post_once(world, nudge, begun=desk.record.tries.get(mark), begin=begin)
    rung = tuple(sorted({*desk.record.rung, *desk.names, ring}))
    await OWNER_MESSAGES.update(world, str(desk.place), rung=rung)
    return True


def _to_ring(desk: _Desk) -> str | None:
    """What the owner has to hear in addition to the update; None if there is nothing like that."""
    message, rung = desk.message, desk.record.rung
    if message.status is not OwnerMessageStatus.OPEN:
        return None if message.news is not OwnerNews.RELEASED or message.news.name in rung else message.news.name
    is_answered = message.answer is not None and message.answer.says is not OwnerSays.LATER
    if message.news in _RINGS and message.news.name not in rung:
        return None if is_answered and message.news is OwnerNews.UNLOCK_WANTED else message.news.name
    again = desk.record.again.isoformat() if desk.record.again is not None else ""
    is_due = again and message.answer is None and message.news is not OwnerNews.RELEASED
    return f"{_AGAIN}/{again}" if is_due and f"{_AGAIN}/{again}" not in rung else None


async def _quiet_until(world: World, owner: str) -> datetime | None:
    """The end of the owner's do-not-disturb. Where Slack does not say, they are not known to want peace."""
    seen = await world.timed("Slack", "whereabouts", world.directory.whereabouts(owner))
    until = seen.value.snoozed_until if isinstance(seen, Found) else None
    return until if until is not None and until > world.clock.now() else None


async def _defer(world: World, desk: _Desk, until: datetime) -> bool:
    count = desk.record.deferrals
    if desk.record.deferred != until:
        count += 1
        await OWNER_MESSAGES.update(world, str(desk.place), deferred=until, deferrals=count)
    if count > _MOST_DEFERRALS:
        return False
    await start(world, desk.place, why=f"quiet:{until.timestamp():.0f}", at=until + timedelta(seconds=1))
    text = f"is on do-not-disturb: no message until {instant(until)}, and told then"
    await _write_down(world, desk, text, f"quiet/{until.isoformat()}")
    if desk.main.news is OwnerNews.UNLOCK_WANTED:
        words: Phrase = (Person(desk.place.owner, ""), " is on do-not-disturb until ", until, ", and hears it then.")
        notice = Notice(f"The owner of the lock of {desk.place.state} is not disturbed", (words, _NOTHING_ELSE))
        await _say_where_asked(world, desk, notice, "quiet")
    return False


async def _is_gone(world: World, place: OwnerMessageKey) -> bool:
    seen = await world.state(place.state).backend.read_lock()
    return not (seen.places_of(place.lock_id) or seen.unseen or seen.garbage)


async def _told(world: World, desk: _Desk) -> None:
    fresh = [fact for fact in desk.facts if not fact.is_told]
    if not fresh:
        return
    said = "; ".join(dict.fromkeys(str(fact.news) for fact in fresh))
    await _write_down(world, desk, f"was notified: {said}", "told/" + "+".join(fact.id for fact in fresh))
    for fact in fresh:
        await FACTS.update(world, f"{desk.place}/{fact.id}", is_told=True)


async def _could_not(world: World, desk: _Desk, error: UpstreamError) -> None:
    """On the timeline, in the channel, and in `status` from now on. Only what may pass is tried with the next news."""
    place, main = desk.place, desk.main
    log.warning("owner.unreachable", state=place.state, lock_id=place.lock_id, detail=error.detail)
    await OWNER_MESSAGES.update(world, str(place), untold=error.detail)
    await _write_down(world, desk, f"could not be notified: {error.detail}", f"untold/{main.id}")
    if isinstance(error, Final):
        for fact in desk.facts:
            await FACTS.update(world, f"{place}/{fact.id}", is_told=True)
    if main.spoken.channel and main.news is not OwnerNews.ASKED:
        why: Phrase = (Person(place.owner, ""), ": ", Quoted(error.detail))
        notice = Notice(f"The owner of the lock of {place.state} could not be notified", (why, _NOTHING_ELSE))
        await _say_where_asked(world, desk, notice, "untold")


async def _say_where_asked(world: World, desk: _Desk, notice: Notice, mark: str) -> None:
    """In the thread of the request, or in the channel where the lock was spoken of; once for each message."""
    main = desk.main.spoken
    found = await UNLOCKS.get(world, main.request) if main.request else None
    thread = "" if found is None else found.request.thread or found.request.ts
    await say_once(world, Outgoing(main.channel, notice, f"{desk.place}/{mark}", thread))


async def untold(world: World, state: str, lock_id: str) -> str:
    """Why the owner could not be reached, if so. Raises JournalAway."""
    of = await OWNED.get(world, f"{state}/{lock_id}")
    record = None if of is None else await OWNER_MESSAGES.get(world, f"{state}/{lock_id}/{of.owner}")
    return "" if record is None else record.untold


async def _write_down(world: World, desk: _Desk, text: str, once: str) -> None:
    place, incident = desk.place, desk.main.spoken.incident
    if incident:
        draft = draft_of(
            OwnerNotified(state=place.state, lock_id=place.lock_id, owner=place.owner),
            world.clock.now(),
            "tflock",
            f"the owner of the lock of {place.state} {text}",
            once=f"letter/{place}/{once}",
        )
        await world.journal.append(incident, draft)


def _digest(message: OwnerMessage) -> str:
    return hashlib.sha256(repr(message).encode()).hexdigest()[:16]
