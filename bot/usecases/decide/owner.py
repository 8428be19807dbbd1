"""The person behind a lock, and what they say about it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, TypeAlias

from bot.core.evidence import Found, Observation
from bot.core.gate.attribution import Attribution, PipelineSeen, Taken
from bot.core.gate.inspection import Barred, Owner
from bot.core.gate.ownership import Lead, Starters, leads, starters
from bot.core.gate.tie import attribute
from bot.core.lock import LockInfo
from bot.core.people import Member, OwnerAnswer, OwnerSays
from bot.core.record.facts import OwnerAnswered, draft_of
from bot.errors import JournalAway
from bot.usecases.shelf import LOCK_LIFE, Shelf
from bot.usecases.world import World

Accounts: TypeAlias = Mapping[tuple[str | None, str | None], Observation[Member] | None]
"""What Slack said of people, by their id in the configuration and their address; None where it took too long."""


@dataclass(frozen=True, slots=True)
class Answers:
    """What was answered about a lock: the newest answer, and since when who says that it still runs.

    `says` is None once the newest answer was taken back or used up. `number` counts the changes.
    """

    owner: str = ""
    says: OwnerSays | None = None
    at: datetime | None = None
    number: int = 0
    objections: Mapping[str, datetime] = field(default_factory=dict)
    version: str = ""


def _earlier(found: Mapping[str, Any]) -> Mapping[str, Any]:
    """Before there could be several objections, one was the newest answer."""
    running = {found["owner"]: found["at"]} if found.get("says") == OwnerSays.RUNNING else {}
    return {"objections": running, **found}


ANSWERS = Shelf("owner-answer", Answers, LOCK_LIFE, earlier=_earlier)
TAKEN_BACK = "taken back"
"""What the timeline says in the place of an answer that is not given any more."""

_TRIES = 20
_MOST_OWNERS, _MOST_LIKELY = 10, 3
_PATIENCE = 2.5
"""Seconds that a look at a state waits for what Slack says of its owner."""


async def ask_slack_early(world: World, lock: LockInfo, looks: Iterable[PipelineSeen], taken: Taken) -> Accounts:
    """What Slack says of the likeliest owners, by the lists of runs only, asked while the runs are still being read.

    If someone else turns out to be the owner, Slack is asked again.
    """
    if world.directory.home_team is None:
        return {}
    guess = attribute(lock, looks, holders=world.holders, skew=world.policy.clock_skew, taken=taken)
    likely = dict.fromkeys(map(_asked_for, leads(lock, guess, world.holders)[:_MOST_LIKELY]))
    return dict(zip(likely, await asyncio.gather(*(_in_slack(world, *one) for one in likely)), strict=True))


async def find_owners(
    world: World, lock: LockInfo, tied: Attribution | None, accounts: Accounts
) -> tuple[Owner | None, tuple[Owner, ...]]:
    """The one person whose lock it is, or else everyone whose it may be, with how each was found.

    People without a Slack id in the configuration are looked up in Slack by address; a miss leaves them without one.
    Slack is asked as well whether the account is one that is written to, unless `accounts` has that already. What it
    does not answer in time changes nothing.
    """
    found = leads(lock, tied, world.holders)[:_MOST_OWNERS]
    people = await asyncio.gather(*(_owner(world, lead, accounts) for lead in found))
    owners = tuple({owner.slack_id or owner.account or owner.name: owner for owner in people}.values())
    # an uncertain owner is asked only where their "it's dead" opens nothing: the gate goes by the run there
    from_ci = world.holders.looks_like_ci(lock.who) or (tied is not None and tied.is_exact)
    if len(owners) == 1 and (owners[0].is_certain or from_ci) and all(lead.alone for lead in found):
        return owners[0], ()
    return None, owners


async def _owner(world: World, lead: Lead, accounts: Accounts) -> Owner:
    person = lead.person
    owner = Owner(person.name if person else lead.name, None, lead.source, is_certain=lead.certain)
    known, address = asked = _asked_for(lead)
    if world.directory.home_team is None:
        return replace(owner, slack_id=known)
    seen = accounts[asked] if asked in accounts else await _in_slack(world, known, address)
    if not isinstance(seen, Found):
        return replace(owner, slack_id=known)
    barred = why_barred(seen.value, world.directory.home_team)
    return replace(owner, slack_id=None if barred else seen.value.id, account=seen.value.id, barred=barred)


def _asked_for(lead: Lead) -> tuple[str | None, str | None]:
    return (lead.person.slack, lead.person.email) if lead.person else (None, lead.email)


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
    """Why someone gets no message, if so. A guest does: the lock may well be theirs."""
    if member.is_deleted:
        return Barred.DEACTIVATED
    if member.is_stranger or (member.team_id is not None and home_team is not None and member.team_id != home_team):
        return Barred.STRANGER
    return Barred.BOT if member.is_bot else None


def started_by(world: World, tied: Attribution | None) -> Starters:
    """Who started the runs that may hold the lock."""
    return starters(tied, world.holders)


async def answer_about(world: World, state: str, lock_id: str) -> OwnerAnswer | None:
    """What the gate has to hear about this lock. Raises JournalAway.

    "Still running" counts until the person who said it withdraws it, even if ownership changes and
    whatever a new owner says; else it is the newest answer, unless it was withdrawn.
    """
    return _counting(await ANSWERS.get(world, f"{state}/{lock_id}"), lock_id)


def _counting(said: Answers | None, lock_id: str) -> OwnerAnswer | None:
    said = said or Answers()
    if said.objections:
        owner, at = max(said.objections.items(), key=lambda one: (one[1], one[0]))
        return OwnerAnswer(lock_id, owner, OwnerSays.RUNNING, at)
    return _newest(said, lock_id)


async def answer_of(world: World, state: str, lock_id: str, user: str) -> OwnerAnswer | None:
    """What this person answered last about this lock, unless they withdrew it. Raises JournalAway."""
    said = await ANSWERS.get(world, f"{state}/{lock_id}") or Answers()
    if user in said.objections:
        return OwnerAnswer(lock_id, user, OwnerSays.RUNNING, said.objections[user])
    return _newest(said, lock_id) if said.owner == user else None


async def record_answer(world: World, state: str, answer: OwnerAnswer, *, incident: str) -> None:
    """Writes the answer down, where the gate and the timeline find it at once. Raises JournalAway.

    The same answer once more does not add an entry to the timeline.
    """

    def record(said: Answers) -> Answers:
        objections = {**said.objections, answer.owner_id: answer.at}
        if answer.says is not OwnerSays.RUNNING:
            del objections[answer.owner_id]
        is_same = (said.says, said.owner) == (answer.says, answer.owner_id)
        number = said.number + (not is_same)
        return Answers(answer.owner_id, answer.says, answer.at, number, objections, said.version)

    changed = await _change(world, f"{state}/{answer.lock_id}", record)
    await _write_down(world, state, answer, str(answer.says), changed.number, incident=incident)


async def secure_answer(world: World, state: str, answer: OwnerAnswer) -> None:
    """This answer, or a later one of that person, outlives a fail-over of Redis from here on. Raises NotReplicated,
    JournalAway.
    """

    def has_it(said: Answers | None) -> bool:
        said = said or Answers()
        at = said.objections.get(answer.owner_id) if answer.says is OwnerSays.RUNNING else said.at
        return at is not None and at >= answer.at

    await ANSWERS.secure(world, f"{state}/{answer.lock_id}", has=has_it)


async def secured_answer_about(world: World, state: str, lock_id: str) -> OwnerAnswer | None:
    """As `answer_about`, from the very Redis that would outlive a fail-over. Raises NotReplicated."""
    return _counting(await ANSWERS.secure(world, f"{state}/{lock_id}", has=lambda _: True), lock_id)


async def take_answer_back(world: World, state: str, answer: OwnerAnswer, *, at: datetime, incident: str) -> None:
    """Forgets this very answer, with an entry on the timeline. Raises JournalAway."""
    before = await ANSWERS.get(world, f"{state}/{answer.lock_id}") or Answers()
    await _write_down(world, state, replace(answer, at=at), TAKEN_BACK, before.number + 1, incident=incident)
    await use_up(world, state, answer)


async def use_up(world: World, state: str, answer: OwnerAnswer) -> None:
    """Forgets this very answer: a newer one stays, and so does what someone else said. Raises JournalAway."""

    def forget(said: Answers) -> Answers:
        kept = {one: at for one, at in said.objections.items() if (one, at) != (answer.owner_id, answer.at)}
        is_newest = (said.owner, said.says, said.at) == (answer.owner_id, answer.says, answer.at)
        if not is_newest and kept == said.objections:
            return said
        rest = replace(said, number=said.number + 1, objections=kept)
        return replace(rest, says=None, at=None) if is_newest else rest

    await _change(world, f"{state}/{answer.lock_id}", forget)


async def _change(world: World, key: str, change: Callable[[Answers], Answers]) -> Answers:
    """The record of a lock's answers after a change that no other one at the same time gets lost by."""
    for _ in range(_TRIES):
        said = await ANSWERS.get(world, key) or Answers()
        changed = change(said)
        if changed == said:
            return said
        if await ANSWERS.swap(world, key, replace(changed, version=world.new_id()), was=said.version):
            return changed
    raise JournalAway("too many answer about one lock at the same time")


def _newest(said: Answers, lock_id: str) -> OwnerAnswer | None:
    if said.says is None or said.at is None:
        return None
    return OwnerAnswer(lock_id=lock_id, owner_id=said.owner, says=said.says, at=said.at)


async def _write_down(world: World, state: str, answer: OwnerAnswer, says: str, number: int, *, incident: str) -> None:
    if not incident:
        return
    words = {
        "dead": "says that it is dead",
        "running": "says that it is still running",
        "later": "asks for time",
        TAKEN_BACK: "withdraws that it is still running" if answer.says is OwnerSays.RUNNING else "takes it back",
    }
    draft = draft_of(
        OwnerAnswered(state=state, lock_id=answer.lock_id, says=says),
        answer.at,
        answer.owner_id,
        f"{words[says]} (lock of {state})",
        once=f"answered/{state}/{answer.lock_id}/{number}/{says}",
    )
    await world.journal.append(incident, draft)
