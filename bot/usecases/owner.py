"""The person behind a lock, and what he says about it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta

from bot.core.attribution import Attribution
from bot.core.evidence import Found, Observation
from bot.core.lock import LockInfo
from bot.core.ownership import Lead, leads, starters
from bot.core.people import Member, OwnerAnswer, OwnerSays
from bot.core.report import Barred, Owner
from bot.core.timeline import Draft, Kind
from bot.usecases.world import World

_ANSWER, _ANSWER_TTL = "owner-answer", timedelta(days=30)
TAKEN_BACK = "taken back"
"""What the timeline says in the place of an answer that is not given any more."""

_MOST_OWNERS = 10
_PATIENCE = 2.5
"""Seconds that a look at a state waits for what Slack says of its owner."""


async def find_owners(world: World, lock: LockInfo, tied: Attribution | None) -> tuple[Owner | None, tuple[Owner, ...]]:
    """The one person whose lock it is, or else everybody whose it may be, with how each was found.

    Whoever the configuration gives no Slack id is looked up there by his address; a miss leaves him without one. Slack
    is asked as well whether the account is one that is written to. What it does not answer in time changes nothing.
    """
    found = leads(lock, tied, world.holders, systems(world))[:_MOST_OWNERS]
    people = await asyncio.gather(*(_owner(world, lead) for lead in found))
    owners = tuple({owner.slack_id or owner.account or owner.name: owner for owner in people}.values())
    is_enough = owners and (owners[0].is_certain or world.holders.looks_like_ci(lock.who))
    if len(owners) == 1 and is_enough and all(lead.alone for lead in found):
        return owners[0], ()
    return None, owners


async def _owner(world: World, lead: Lead) -> Owner:
    person = lead.person
    owner = Owner(person.name if person else lead.name, None, lead.source, is_certain=lead.certain)
    known, address = (person.slack, person.email) if person else (None, lead.email)
    if world.directory.home_team is None:
        return replace(owner, slack_id=known)
    seen = await _in_slack(world, known, address)
    if not isinstance(seen, Found):
        return replace(owner, slack_id=known)
    barred = why_barred(seen.value, world.directory.home_team)
    return replace(owner, slack_id=None if barred else seen.value.id, account=seen.value.id, barred=barred)


async def _in_slack(world: World, known: str | None, address: str | None) -> Observation[Member] | None:
    try:
        async with asyncio.timeout(_PATIENCE):
            if known:
                return await world.timed("Slack", "member", world.directory.member(known))
            if address:
                return await world.timed("Slack", "member by email", world.directory.by_email(address))
    except TimeoutError:
        pass
    return None


def why_barred(member: Member, home_team: str | None) -> Barred | None:
    """Why somebody is not written to, if so. A guest is: the lock may well be his."""
    if member.is_deleted:
        return Barred.DEACTIVATED
    if member.is_stranger or (member.team_id is not None and home_team is not None and member.team_id != home_team):
        return Barred.STRANGER
    return Barred.BOT if member.is_bot else None


def systems(world: World) -> dict[str, str]:
    """The proper name of each CI system of the configuration."""
    return {name: source.system for name, source in world.sources.items()}


def actor_ids(world: World, tied: Attribution | None) -> frozenset[str]:
    """Who started the runs that may hold the lock, as far as the configuration knows them in Slack."""
    return starters(tied, world.holders, systems(world))


async def answer_about(world: World, state: str, lock_id: str) -> OwnerAnswer | None:
    """What the owner of this lock answered last, unless he took it back. Raises JournalAway."""
    said = await world.records.get(_ANSWER, f"{state}/{lock_id}")
    if said is None or not said["says"]:
        return None
    at = datetime.fromisoformat(said["at"])
    return OwnerAnswer(lock_id=lock_id, owner_id=said["owner"], says=OwnerSays(said["says"]), at=at)


async def record_answer(world: World, state: str, answer: OwnerAnswer, *, incident: str) -> None:
    """Writes the answer down, where the gate and the timeline find it at once. Raises JournalAway.

    The same answer once more is no entry of its own on the timeline.
    """
    before = await world.records.get(_ANSWER, f"{state}/{answer.lock_id}")
    is_same = before is not None and (before["says"], before["owner"]) == (answer.says, answer.owner_id)
    number = int((before or {}).get("number", 0)) + (not is_same)
    value = {"owner": answer.owner_id, "says": str(answer.says), "at": answer.at.isoformat(), "number": number}
    await world.records.put(_ANSWER, f"{state}/{answer.lock_id}", value, ttl=_ANSWER_TTL)
    await _write_down(world, state, answer, str(answer.says), number, incident=incident)


async def take_answer_back(world: World, state: str, answer: OwnerAnswer, *, at: datetime, incident: str) -> None:
    """Forgets this very answer, with an entry on the timeline. Raises JournalAway."""
    before = await world.records.get(_ANSWER, f"{state}/{answer.lock_id}")
    number = int((before or {}).get("number", 0)) + 1
    await _write_down(world, state, replace(answer, at=at), TAKEN_BACK, number, incident=incident)
    await use_up(world, state, answer)


async def use_up(world: World, state: str, answer: OwnerAnswer) -> None:
    """Forgets this very answer: a newer one stays. Raises JournalAway."""
    key, before = f"{state}/{answer.lock_id}", await world.records.get(_ANSWER, f"{state}/{answer.lock_id}")
    if before is not None and before["says"] == answer.says:
        changes = {"says": "", "at": "", "number": int(before.get("number", 0)) + 1}
        await world.records.update(_ANSWER, key, changes, only_if=("at", [answer.at.isoformat()]))


async def _write_down(world: World, state: str, answer: OwnerAnswer, says: str, number: int, *, incident: str) -> None:
    if not incident:
        return
    words = {
        "dead": "says that it is dead",
        "running": "says that it is still running",
        "later": "asks for time",
        TAKEN_BACK: "takes back that it is still running" if answer.says is OwnerSays.RUNNING else "takes it back",
    }
    draft = Draft(
        at=answer.at,
        kind=Kind.OWNER_ANSWERED,
        actor=answer.owner_id,
        text=f"{words[says]} (lock of {state})",
        facts={"state": state, "lock_id": answer.lock_id, "says": says},
        once=f"answered/{state}/{answer.lock_id}/{number}/{says}",
    )
    await world.journal.append(incident, draft)
