"""What is written down of the messages to owners: the facts, to whom, and how far each message has come.

`letter-of`    by state and lock: whose lock it is, and where it was spoken of last
`letter-fact`  by state, lock, owner and fact: one thing to tell; `letter-facts` lists them
`letter`       the message: where it is, what it shows, what the owner was notified of
`letters-to`   by owner: the locks that they were taken for the owner of
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Annotated

from bot.core.codec import ByName, Inline
from bot.core.gate.inspection import StateName
from bot.core.lock import LockInfo
from bot.core.people import OwnerAnswer
from bot.core.reports.owner_message import HolderRun, OwnerMessage, OwnerMessageStatus, OwnerNews, OwnerNotice
from bot.core.run import Run
from bot.usecases.shelf import Shelf
from bot.usecases.world import World

KEPT = timedelta(days=30)
LISTED, LOCKS_OF = "letter-facts", "letters-to"
_MOST_FACTS = 20
_SKEW = timedelta(hours=1)
"""How far the clock of the process that wrote a fact may be ahead."""


@dataclass(frozen=True, slots=True)
class OwnerMessageKey:
    """One message: of a state, a lock and its owner."""

    state: str
    lock_id: str
    owner: str

    @property
    def of_lock(self) -> str:
        return f"{self.state}/{self.lock_id}"

    def __str__(self) -> str:
        return f"{self.of_lock}/{self.owner}"


@dataclass(frozen=True, slots=True)
class Spoken:
    """Where a lock was spoken of, and who asked about it or wants it; empty where the bot saw it on its own."""

    asker: str
    channel: str
    incident: str
    request: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Owned:
    """Whose lock it is by what was known last, and where it was spoken of. `news` is the weightiest of all."""

    owner: str = ""
    asker: str = ""
    asked_in: str = ""
    incident: str = ""
    request: str = ""
    news: Annotated[OwnerNews, ByName.BY_NAME]
    created: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewsRecord:
    """One thing to tell the owner, with what was known of the lock. `is_told` too if Slack will never take it."""

    news: Annotated[OwnerNews, ByName.BY_NAME]
    at: datetime
    spoken: Annotated[Spoken, Inline()]
    waiting: int
    run: HolderRun | None
    who: str
    created: datetime
    operation: str
    version: str
    is_told: bool = False
    is_since_known: bool = True

    @property
    def id(self) -> str:
        return fact_id(self.news, self.spoken.asker, self.spoken.request)


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnerMessageRecord:
    """The message: where it is, which `round` of it, what it shows and of what the owner was notified (`rung`).

    `tries` says of a mark since when it is being posted. `deferred` is the end of the do-not-disturb that it waits
    for, `again` when an owner asked for time whose time is over.
    """

    ts: str = ""
    channel: str = ""
    round: int = 0
    links: Mapping[str, str] = field(default_factory=dict)
    tries: Mapping[str, datetime] = field(default_factory=dict)
    drawn: str = ""
    rung: tuple[str, ...] = ()
    untold: str = ""
    deferred: datetime | None = None
    deferrals: int = 0
    again: datetime | None = None
    disturbs: bool = False
    is_gone: bool = False


OWNED = Shelf("letter-of", Owned, KEPT)
FACTS = Shelf("letter-fact", NewsRecord, KEPT)
OWNER_MESSAGES = Shelf("letter", OwnerMessageRecord, KEPT)


def fact_id(news: OwnerNews, asker: str, request: str) -> str:
    """The same for the same fact: that someone asks, that there is a request; all else there is but once."""
    match news:
        case OwnerNews.ASKED:
            return f"{news.name}/{asker}"
        case OwnerNews.UNLOCK_WANTED:
            return f"{news.name}/{request}"
    return news.name


def fact_of(
    news: OwnerNews, lock: LockInfo, run: Run | None, waiting: int, spoken: Spoken, *, at: datetime
) -> NewsRecord:
    return NewsRecord(
        news=news,
        at=at,
        spoken=spoken,
        waiting=waiting,
        run=None if run is None else HolderRun.of(run),
        who=lock.who,
        created=lock.created,
        operation=lock.operation,
        version=lock.version,
        is_since_known=lock.is_since_known,
    )


async def facts_at(world: World, place: OwnerMessageKey) -> tuple[NewsRecord, ...]:
    """Everything there is to tell, oldest first, the weightier of two at once last."""
    now = world.clock.now()
    names = await world.records.enlisted(LISTED, str(place), since=now - KEPT, until=now + _SKEW, limit=_MOST_FACTS)
    found = [await FACTS.get(world, f"{place}/{name}") for name in names]
    return tuple(sorted(filter(None, found), key=lambda fact: (fact.at, fact.news.weight)))


def headline(facts: Sequence[NewsRecord]) -> NewsRecord:
    """The weightiest fact, the newest of those."""
    return max(facts, key=lambda fact: (fact.news.weight, fact.at))


def owner_message(
    state: StateName,
    place: OwnerMessageKey,
    facts: Sequence[NewsRecord],
    record: OwnerMessageRecord,
    answer: OwnerAnswer | None,
    *,
    is_moved: bool,
) -> OwnerMessage:
    main = headline(facts)
    lock = LockInfo(
        id=place.lock_id, operation=main.operation, info="", who=main.who, version=main.version, created=main.created,
        path="", is_since_known=all(fact.is_since_known for fact in facts),
    )  # fmt: skip
    status = OwnerMessageStatus.GONE if record.is_gone else OwnerMessageStatus.OPEN
    return OwnerMessage(
        news=main.news,
        state=state,
        lock=lock,
        asker=main.spoken.asker,
        channel=main.spoken.channel,
        request=main.spoken.request,
        run=next((fact.run for fact in reversed(facts) if fact.run), None),
        answer=answer,
        history=tuple(OwnerNotice(fact.news, fact.at, fact.spoken.asker, fact.spoken.channel) for fact in facts),
        waiting=next((fact.waiting for fact in reversed(facts) if fact.waiting), 0),
        link=record.links.get(main.spoken.request, ""),
        status=OwnerMessageStatus.MOVED if is_moved else status,
        disturbs=record.disturbs,
    )
