"""Writes to the owner of a lock, once per fact, and takes his answer."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from bot.core.lock import LockInfo
from bot.core.people import OwnerAnswer, OwnerSays
from bot.core.report import Inspection, OwnerLetter, OwnerNews, StateName
from bot.core.run import Run
from bot.core.timeline import Draft, Kind
from bot.errors import NotPermitted, UpstreamError
from bot.ports import Posted
from bot.usecases.owner import record_answer
from bot.usecases.world import World

log = structlog.get_logger()

_LETTER_TTL = timedelta(days=30)
SNOOZE = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Held:
    """A lock with its owner (a Slack user id), as far as a letter speaks of them."""

    state: StateName
    lock: LockInfo
    owner: str | None
    run: Run | None = None


async def write_to_owner(
    world: World, news: OwnerNews, inspection: Inspection, *, asker: str, channel: str, incident: str, request: str = ""
) -> None:
    """As `write_about`, on the lock and the owner that the inspection found."""
    if inspection.owner is None or inspection.lock is None:
        return
    tied = inspection.attribution
    run = tied.candidates[0].run if tied is not None and tied.candidates else None
    held = Held(inspection.state, inspection.lock, inspection.owner.slack_id, run)
    await write_about(world, news, held, asker=asker, channel=channel, incident=incident, request=request)


async def write_about(
    world: World, news: OwnerNews, held: Held, *, asker: str, channel: str, incident: str, request: str = ""
) -> None:
    """Tells the owner, if Slack knows him and he is not the asker himself; once per lock and piece of news.

    An owner who cannot be reached changes nothing: it is written to the timeline and goes on. Raises JournalAway.
    """
    lock, owner_id, state = held.lock, held.owner, held.state.name
    if not owner_id or owner_id == asker:
        return
    if not await world.records.once("letter", f"{news.name}/{state}/{lock.id}", ttl=_LETTER_TTL):
        return
    letter = OwnerLetter(
        news=news, state=held.state, lock=lock, asker=asker, channel=channel, request=request, run=held.run
    )
    try:
        posted = await world.teller.letter(owner_id, letter, posted=await _standing_letter(world, news, held))
    except UpstreamError as error:
        log.warning("owner.unreachable", state=state, lock_id=lock.id, detail=error.detail)
        await _note(world, incident, lock.id, state, owner_id, f"could not be told: {error.detail}")
        return
    await world.records.put(
        "letter-of",
        f"{state}/{lock.id}",
        {"owner": owner_id, "channel": posted.channel, "ts": posted.ts, "asker": asker, "asked_in": channel,
         "incident": incident, "request": request, "who": lock.who, "created": lock.created.isoformat(),
         "operation": lock.operation, "news": news.name},
        ttl=_LETTER_TTL,
    )  # fmt: skip
    await _note(world, incident, lock.id, state, owner_id, f"was told: {news}")


async def _standing_letter(world: World, news: OwnerNews, held: Held) -> Posted | None:
    """The unanswered question about the same lock, which the newer one replaces; a release is news of its own."""
    if news is OwnerNews.RELEASED:
        return None
    key = f"{held.state.name}/{held.lock.id}"
    record = await world.records.get("letter-of", key)
    if record is None or await world.records.get("owner-answer", key) is not None:
        return None
    return Posted(record["channel"], record["ts"])


async def take_answer(
    world: World, *, state: StateName, lock_id: str, user: str, says: OwnerSays, at: datetime
) -> OwnerAnswer:
    """The owner's click. Raises NotPermitted if the letter was not his, JournalAway if it cannot be written down."""
    record = await world.records.get("letter-of", f"{state.name}/{lock_id}")
    if record is None or record["owner"] != user:
        raise NotPermitted("this question was asked of somebody else, or too long ago. Nothing was changed.")
    answer = OwnerAnswer(lock_id=lock_id, owner_id=user, says=says, at=at)
    await record_answer(world, state.name, answer, incident=record["incident"])
    if says is OwnerSays.LATER:
        await world.jobs.start(
            "ask_owner_again", state.name, lock_id, key=f"again:{lock_id}:{at.timestamp():.0f}", at=at + SNOOZE
        )
    await _redraw(world, state, lock_id, record, answer)
    return answer


async def ask_again(world: World, state: StateName, lock_id: str) -> None:
    """After "ask me later": puts the question again, if he has not answered since and the lock still matters."""
    record = await world.records.get("letter-of", f"{state.name}/{lock_id}")
    said = await world.records.get("owner-answer", f"{state.name}/{lock_id}")
    if record is None or said is None or said["says"] != OwnerSays.LATER:
        return
    seen = await world.state(state.name).backend.read_lock()
    if record["news"] == OwnerNews.RELEASED.name or not (seen.halves_of(lock_id) or seen.unseen):
        return
    posted = await world.teller.letter(record["owner"], _letter(state, lock_id, record))
    await world.records.update("letter-of", f"{state.name}/{lock_id}", {"ts": posted.ts, "channel": posted.channel})


async def _redraw(world: World, state: StateName, lock_id: str, record: dict[str, str], answer: OwnerAnswer) -> None:
    letter = _letter(state, lock_id, record, answer)
    await world.teller.letter(record["owner"], letter, posted=Posted(record["channel"], record["ts"]))


def _letter(state: StateName, lock_id: str, record: dict[str, str], answer: OwnerAnswer | None = None) -> OwnerLetter:
    lock = LockInfo(
        id=lock_id, operation=record["operation"], info="", who=record["who"], version="",
        created=datetime.fromisoformat(record["created"]), path="",
    )  # fmt: skip
    return OwnerLetter(
        news=OwnerNews[record["news"]], state=state, lock=lock, asker=record["asker"],
        channel=record["asked_in"], request=record["request"], answer=answer,
    )  # fmt: skip


async def _note(world: World, incident: str, lock_id: str, state: str, owner: str, text: str) -> None:
    if incident:
        draft = Draft(
            at=world.clock.now(),
            kind=Kind.OWNER_NOTIFIED,
            actor="tflock",
            text=f"the owner of the lock of {state} {text}",
            facts={"state": state, "lock_id": lock_id, "owner": owner},
        )
        await world.journal.append(incident, draft)
