"""The owner's answer: taken from their click, heard by the gate at once, and told where an unlock was asked for.

What they say is about one lock: another lock of the same state is a new question. "It's dead" does not grow old,
since a run that is dead stays so; it opens nothing on its own, as all other rules of the gate still look for
themselves. "It's still running" counts until they withdraw it, or CI reports that the run ended after they said it.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import structlog

from bot.core.evidence import Found
from bot.core.gate.case import Ruling
from bot.core.gate.inspection import StateName
from bot.core.gate.stages import UnlockStage
from bot.core.people import OwnerAnswer, OwnerSays
from bot.core.phrase import Person, Phrase
from bot.core.reports.owner_message import OwnerNews
from bot.core.reports.report import Notice
from bot.core.reports.unlock import UnlockReport, UnlockRequest
from bot.errors import NotPermitted
from bot.usecases.decide.inspect import inspect
from bot.usecases.decide.owner import TAKEN_BACK, answer_of, record_answer, secure_answer, take_answer_back
from bot.usecases.decide.weigh import weigh
from bot.usecases.lease import lease
from bot.usecases.outbox import Outgoing, say_once
from bot.usecases.owner import tell
from bot.usecases.owner.post import SNOOZE
from bot.usecases.owner.record import FACTS, OWNED, Owned, OwnerMessageKey
from bot.usecases.request.approval import changed, expires_at, waiting_for
from bot.usecases.request.record import UNLOCKS, RequestPhase, show, unlocks_of
from bot.usecases.request.steps import WAITING
from bot.usecases.unlock.release import wake
from bot.usecases.world import World

log = structlog.get_logger()

_PATIENCE = timedelta(seconds=60)


async def take_answer(
    world: World, *, state: StateName, lock_id: str, user: str, says: OwnerSays, at: datetime
) -> OwnerAnswer:
    """The owner's click. Raises NotPermitted if it is not theirs to answer (any more), JournalAway if not written down.

    Raises NotReplicated after all of it is done, if a fail-over could lose the answer, or has lost it.

    "It's still running" is taken from the person asked last, without another look: it can only keep a lock. Before
    "It's dead" counts, the bot looks again whose lock it is.
    """
    place = OwnerMessageKey(state.name, lock_id, user)
    of = await _addressed(world, place)
    await _check_member(world, user)
    if says is OwnerSays.DEAD:
        await _check_ownership(world, place)
    if says is OwnerSays.LATER:
        await _check_no_objection(world, place)
    answer = OwnerAnswer(lock_id=lock_id, owner_id=user, says=says, at=at)
    await record_answer(world, state.name, answer, incident=of.incident)
    if says is OwnerSays.LATER:
        key = f"again:{place.of_lock}:{at.timestamp():.0f}"
        await world.jobs.start("ask_owner_again", state.name, lock_id, key=key, at=at + SNOOZE)
    await _spread(world, place, str(says), at)
    await secure_answer(world, state.name, answer)
    return answer


async def take_back(world: World, *, state: StateName, lock_id: str, user: str, at: datetime) -> None:
    """They withdraw their answer, even if the lock has another owner by now. Raises as `take_answer`."""
    answer = await answer_of(world, state.name, lock_id, user)
    if answer is None:
        raise NotPermitted("You have no answer to withdraw. Nothing was changed.")
    place = OwnerMessageKey(state.name, lock_id, user)
    of = await OWNED.get(world, place.of_lock)
    await _check_member(world, user)
    await take_answer_back(world, state.name, answer, at=at, incident="" if of is None else of.incident)
    await _spread(world, place, TAKEN_BACK, at)


async def tell_answer(world: World, state: str, lock_id: str, user: str, says: str, at: str, *, worker: str) -> None:
    """After an answer: says it in the channel, and has everything that waits on this lock look again at once.

    Raises JournalAway, Busy or Passing: then try again.
    """
    of = await OWNED.get(world, f"{state}/{lock_id}")
    if of is None:
        return
    if of.asked_in:
        found = await UNLOCKS.get(world, of.request) if of.request else None
        thread = "" if found is None else found.request.thread or found.request.ts
        mark = f"{state}/{lock_id}/{says}/{at}"
        await say_once(world, Outgoing(of.asked_in, _notice(state, user, says), mark, thread))
    for request in await unlocks_of(world, of.incident, state=state, lock_id=lock_id):
        await _look_again(world, request, worker=worker)


async def _addressed(world: World, place: OwnerMessageKey) -> Owned:
    of = await OWNED.get(world, place.of_lock)
    if of is None or of.owner != place.owner:
        raise NotPermitted("This question was asked of someone else, or too long ago. Nothing was changed.")
    if await FACTS.get(world, f"{place}/{OwnerNews.RELEASED.name}") is not None:
        raise NotPermitted("This lock has been released: there is nothing to answer. Nothing was changed.")
    return of


async def _check_member(world: World, user: str) -> None:
    seen = await world.timed("Slack", "member", world.directory.member(user))
    if isinstance(seen, Found) and seen.value.is_deleted:
        raise NotPermitted("This account is deactivated. Nothing was changed.")


async def _check_no_objection(world: World, place: OwnerMessageKey) -> None:
    """An objection ends by being taken back, not by an old button that asks for time."""
    before = await answer_of(world, place.state, place.lock_id, place.owner)
    if before is not None and before.says is OwnerSays.RUNNING:
        raise NotPermitted("You said that it is still running, and that counts until you withdraw it.")


async def _check_ownership(world: World, place: OwnerMessageKey) -> None:
    inspection = await inspect(world, world.state(place.state), lock_id=place.lock_id)
    lock, owner = inspection.lock, inspection.owner
    if lock is None or lock.id != place.lock_id:
        return  # the gate sees for itself whether it is gone, or cannot be read
    if owner is not None and owner.slack_id not in {None, place.owner}:
        raise NotPermitted(
            "This lock now appears to belong to someone else, so we asked them instead. Nothing was changed."
        )


async def _spread(world: World, place: OwnerMessageKey, says: str, at: datetime) -> None:
    await tell.start(world, place, why=f"answer:{says}:{at.timestamp():.3f}")
    await world.jobs.start(
        "owner_answered", place.state, place.lock_id, place.owner, says, at.isoformat(),
        key=f"answered:{place}:{says}:{at.timestamp():.3f}",
    )  # fmt: skip


def _notice(state: str, user: str, says: str) -> Notice:
    who: Phrase = (Person(user, ""), " ")
    match says:
        case OwnerSays.DEAD:
            return Notice(
                f"The owner of the lock of {state} says: it's dead, go ahead",
                ((*who, "says it's dead. tflock still checks everything else."),),
            )
        case OwnerSays.RUNNING:
            return Notice(
                f"The owner of the lock of {state} says: it's still running",
                ((*who, "says it's still running. The lock stays until they withdraw that, or CI reports the end."),),
            )
        case OwnerSays.LATER:
            return Notice(
                f"The owner of the lock of {state} asks for time",
                ((*who, "asked for time. tflock asks again in 10 minutes."),),
            )
    return Notice(f"The owner of the lock of {state} withdrew their answer", ((*who, "no longer objects."),))


async def _look_again(world: World, request: UnlockRequest, *, worker: str) -> None:
    record = await UNLOCKS.get(world, request.id)
    if record is None:
        return
    if record.phase is RequestPhase.ARMED:
        await wake(world, request.id, worker=worker)
    elif record.phase in WAITING:
        name = f"state/{request.state}"
        async with lease(world.records, name, holder=f"{worker}/{world.new_id()}", patience=_PATIENCE):
            await _show_again(world, request.id)


async def _show_again(world: World, request_id: str) -> None:
    """The checklist as it is now. While the lease is held no release can end, whose outcome this would cover."""
    record = await UNLOCKS.get(world, request_id)
    if record is None or record.phase not in WAITING:
        return
    request = record.request
    decision = await weigh(
        world, world.state_at(request.state, record.place), lock_id=request.lock_id, user=record.asker,
        channel=request.channel,
    )  # fmt: skip
    if decision.is_gone(request.lock_id) or decision.store_is_busy:
        return  # the code that watches the request has the words for that
    if waiting_for(decision.verdict) != record.wanted:
        await changed(world, request, decision)
        return
    report = UnlockReport(request, UnlockStage.CHECKED, decision.inspection, decision.verdict)
    if decision.verdict.ruling is Ruling.NEEDS_APPROVAL:
        report = replace(report, until=expires_at(world, record))
    await show(world.messenger, report)
