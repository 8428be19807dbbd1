"""The person behind a lock, and what he says about it."""

from __future__ import annotations

from datetime import timedelta

from bot.core.attribution import Attribution
from bot.core.evidence import Found
from bot.core.lock import LockInfo
from bot.core.people import OwnerAnswer, OwnerSays
from bot.core.phrase import Phrase, Quoted
from bot.core.policy import Holders, KnownPerson
from bot.core.report import Owner
from bot.core.timeline import Draft, Kind
from bot.usecases.world import World

_ANSWER_TTL = timedelta(days=30)


async def find_owner(world: World, lock: LockInfo, tied: Attribution | None) -> Owner | None:
    """The one person whom the evidence names: the actor of the attributed runs, else the lock's own `Who`.

    Several actors are nobody: a wrong owner could be asked whether somebody else's apply is dead. Whom the
    configuration knows by his email address alone is looked up in Slack, where the bot is in it.
    """
    behind = _behind(lock, tied, world.holders)
    if behind is None:
        return None
    name, person, source = behind
    if person is None:
        return Owner(name, None, source)
    return Owner(person.name, person.slack or await _by_email(world, person), source)


async def _by_email(world: World, person: KnownPerson) -> str | None:
    if not person.email or world.directory.home_team is None:
        return None
    seen = await world.timed("Slack", "member by email", world.directory.by_email(person.email))
    return seen.value.id if isinstance(seen, Found) else None


def _behind(
    lock: LockInfo, tied: Attribution | None, holders: Holders
) -> tuple[str, KnownPerson | None, Phrase] | None:
    """His name, who that is by the configuration, and how he was found."""
    actors = sorted({candidate.run.actor for candidate in tied.candidates if candidate.run.actor} if tied else ())
    if len(actors) == 1:
        return actors[0], holders.person_for_login(actors[0]), ("he started the run, as ", Quoted(actors[0]))
    person = holders.person_for_who(lock.who)
    return None if person is None else (person.name, person, ("the lock's Who is ", Quoted(lock.who)))


def actor_ids(world: World, tied: Attribution | None) -> frozenset[str]:
    """Who started the runs that may hold the lock, as far as the configuration knows them in Slack."""
    actors = {candidate.run.actor for candidate in tied.candidates if candidate.run.actor} if tied else set()
    people = (world.holders.person_for_login(actor) for actor in actors)
    return frozenset(person.slack for person in people if person is not None and person.slack)


async def answer_about(world: World, state: str, lock_id: str) -> OwnerAnswer | None:
    """What the owner of this lock answered last. Raises JournalAway."""
    said = await world.records.get("owner-answer", f"{state}/{lock_id}")
    if said is None:
        return None
    at = world.clock.now().fromisoformat(said["at"])
    return OwnerAnswer(lock_id=lock_id, owner_id=said["owner"], says=OwnerSays(said["says"]), at=at)


async def record_answer(world: World, state: str, answer: OwnerAnswer, *, incident: str) -> None:
    """Writes the answer down, where the gate and the timeline find it at once. Raises JournalAway."""
    value = {"owner": answer.owner_id, "says": str(answer.says), "at": answer.at.isoformat()}
    await world.records.put("owner-answer", f"{state}/{answer.lock_id}", value, ttl=_ANSWER_TTL)
    if incident:
        words = {"dead": "says that it is dead", "running": "says that it is still running", "later": "asks for time"}
        draft = Draft(
            at=answer.at,
            kind=Kind.OWNER_ANSWERED,
            actor=answer.owner_id,
            text=f"{words[answer.says]} (lock of {state})",
            facts={"state": state, "lock_id": answer.lock_id, "says": str(answer.says)},
        )
        await world.journal.append(incident, draft)
