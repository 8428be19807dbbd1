"""What is written down of the letters to owners: the facts, whose letter it is, and how far its message has come.

`letter-of`    by state and lock: whose lock it is, and where it was spoken of last
`letter-fact`  by state, lock, owner and fact: one thing to tell; `letter-facts` lists them
`letter`       the message: where it stands, what it shows, what the owner was notified of
`letters-to`   by owner: the locks that he was taken for the owner of
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from bot.core.gate.ending import run_name
from bot.core.gate.inspection import StateName
from bot.core.lock import LockInfo
from bot.core.people import OwnerAnswer
from bot.core.reports.letter import LetterRun, LetterStanding, OwnerLetter, OwnerNews, Told
from bot.core.run import Conclusion, Phase, Run
from bot.usecases.world import World

KEPT = timedelta(days=30)
OF, FACT, FACTS, LETTER = "letter-of", "letter-fact", "letter-facts", "letter"
LETTERS_TO = "letters-to"
_MOST_FACTS = 20
_SKEW = timedelta(hours=1)
"""How far the clock of the process that wrote a fact may be ahead."""


@dataclass(frozen=True, slots=True)
class Place:
    """One letter: of a state, a lock and its owner."""

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
    """Where a lock was spoken of, and who asked about it or wants it; empty where the bot saw it by itself."""

    asker: str
    channel: str
    incident: str
    request: str = ""


async def owner_of(world: World, state: str, lock_id: str) -> dict[str, Any] | None:
    """Whose lock it is by what was known last, and where it was spoken of.

    `owner`, `asker`, `asked_in`, `incident`, `request`, `news` (the weightiest) and `created` (the lock's).
    """
    return await world.records.get(OF, f"{state}/{lock_id}")


def fact_id(news: OwnerNews, asker: str, request: str) -> str:
    """The same for the same fact: that somebody asks, that a request stands; all else there is but once."""
    match news:
        case OwnerNews.ASKED:
            return f"{news.name}/{asker}"
        case OwnerNews.UNLOCK_WANTED:
            return f"{news.name}/{request}"
    return news.name


def fact_of(
    news: OwnerNews, lock: LockInfo, run: Run | None, waiting: int, spoken: Spoken, *, at: datetime
) -> dict[str, Any]:
    return {
        "news": news.name, "at": at.isoformat(), **asdict(spoken), "waiting": waiting,
        "run": None if run is None else _run_facts(run), "who": lock.who, "created": lock.created.isoformat(),
        "operation": lock.operation, "version": lock.version,
    }  # fmt: skip


def _run_facts(run: Run) -> dict[str, Any]:
    return {
        "title": run_name(run).text,
        "url": run.ref.url,
        "phase": str(run.phase),
        "conclusion": str(run.conclusion or ""),
        "ended_at": run.ended_at.isoformat() if run.ended_at else "",
    }


async def facts_at(world: World, place: Place) -> tuple[dict[str, Any], ...]:
    """Everything there is to tell, oldest first, the weightier of two at once last; each with its `id`."""
    now = world.clock.now()
    names = await world.records.enlisted(FACTS, str(place), since=now - KEPT, until=now + _SKEW, limit=_MOST_FACTS)
    known = [(name, await world.records.get(FACT, f"{place}/{name}")) for name in names]
    found = [{**fact, "id": name} for name, fact in known if fact is not None]
    return tuple(sorted(found, key=lambda fact: (fact["at"], news_of(fact).weight)))


def news_of(fact: Mapping[str, Any]) -> OwnerNews:
    return OwnerNews[fact["news"]]


def headline(facts: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """The weightiest fact, the newest of those."""
    return max(facts, key=lambda fact: (news_of(fact).weight, fact["at"]))


def letter_of(
    state: StateName,
    place: Place,
    facts: Sequence[Mapping[str, Any]],
    record: Mapping[str, Any],
    answer: OwnerAnswer | None,
    *,
    is_moved: bool,
) -> OwnerLetter:
    """The letter that says all facts."""
    main = headline(facts)
    lock = LockInfo(
        id=place.lock_id, operation=main["operation"], info="", who=main["who"], version=main["version"],
        created=datetime.fromisoformat(main["created"]), path="",
    )  # fmt: skip
    standing = LetterStanding.GONE if record.get("is_gone") else LetterStanding.OPEN
    return OwnerLetter(
        news=news_of(main),
        state=state,
        lock=lock,
        asker=main["asker"],
        channel=main["channel"],
        request=main["request"],
        run=next((_run(fact["run"]) for fact in reversed(facts) if fact["run"]), None),
        answer=answer,
        history=tuple(_told(fact) for fact in facts),
        waiting=next((fact["waiting"] for fact in reversed(facts) if fact["waiting"]), 0),
        link=dict(record.get("links") or {}).get(main["request"], ""),
        standing=LetterStanding.MOVED if is_moved else standing,
        disturbs=bool(record.get("disturbs")),
    )


def _told(fact: Mapping[str, Any]) -> Told:
    return Told(news_of(fact), datetime.fromisoformat(fact["at"]), fact["asker"], fact["channel"])


def _run(was: Mapping[str, Any]) -> LetterRun:
    return LetterRun(
        title=was["title"],
        url=was["url"],
        phase=Phase(was["phase"]),
        conclusion=Conclusion(was["conclusion"]) if was["conclusion"] else None,
        ended_at=datetime.fromisoformat(was["ended_at"]) if was["ended_at"] else None,
    )
