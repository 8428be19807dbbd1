"""What every click on an unlock's message goes through: is it still that lock, may this person, was someone faster."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from bot.core.gate.eligibility import why_not_eligible
from bot.core.people import Standing
from bot.core.phrase import plain
from bot.core.record.facts import OfUnlock, draft_of
from bot.core.reports.unlock import UnlockRequest
from bot.errors import NotPermitted
from bot.usecases.request.record import UNLOCKS, KillRecord, RequestPhase, UnlockRecord
from bot.usecases.request.steps import Step, advance
from bot.usecases.world import World


async def live(world: World, request_id: str, lock_id: str | None, *, click: str = "") -> UnlockRecord:
    """The request that a button belongs to. Raises NotPermitted for a stale button, JournalAway.

    Also one that is finished, if it was this very click that brought it so far.
    """
    record = await UNLOCKS.get(world, request_id)
    if record is None:
        raise NotPermitted("This message is too old. Nothing was changed; ask again with /tflock unlock.")
    if lock_id is not None and lock_id != record.request.lock_id:
        raise NotPermitted("This button was made for another lock. Nothing was changed; ask again with /tflock unlock.")
    if record.phase in {RequestPhase.SETTLED, RequestPhase.DONE} and not is_own(record, click):
        raise NotPermitted("This request is finished; its message shows the outcome. Nothing was changed now.")
    return record


def is_own(record: UnlockRecord | KillRecord, click: str) -> bool:
    """Whether a process that ended has moved the request by this very click: then only the rest is to be done."""
    return bool(click) and record.click == click


def check_place(world: World, record: UnlockRecord) -> None:
    """Raises NotPermitted if the configuration has another place for the state than when this was asked."""
    state = world.states.get(record.request.state)
    if state is not None and state.is_elsewhere(record.place):
        raise NotPermitted(
            f"The configuration has another place for {record.request.state} and its lock than when this was asked. "
            "Nothing was changed; ask again with /tflock unlock."
        )


async def permit(world: World, user: str, channel: str) -> Standing:
    """Turns a click away that the gate would refuse anyway, before it takes the request from the others."""
    standing = await world.standing(user, channel)
    reason = why_not_eligible(standing, world.policy)
    if reason is not None:
        raise NotPermitted(f"{plain(reason)}. Nothing was changed.")
    return standing


async def move(world: World, request_id: str, step: Step, **fields: Any) -> UnlockRecord:
    """Of two clicks at the same time one moves the request; the other one gets that as the answer."""
    moved = await advance(world, request_id, step, **fields)
    if moved is not None:
        return moved
    found = await UNLOCKS.get(world, request_id)
    if found is not None and found.phase is RequestPhase.CONFIRMED:
        await start_release(world, found)  # does nothing, unless the process died before it could start it
    raise NotPermitted("This unlock is already running; its message shows how far it is.")


async def start_release(world: World, record: UnlockRecord) -> None:
    """Hands the release to a worker, once. Raises JournalAway."""
    request = record.request
    await world.jobs.start("release", request.id, request.state, key=f"release:{request.id}")


async def start_ticks(world: World, request_id: str, armed_at: datetime) -> None:
    """Has an armed request looked at, now and from then on, once. Raises JournalAway."""
    first = f"{armed_at.timestamp():.0f}"
    await world.jobs.start("armed", request_id, first, key=f"armed:{request_id}:{first}")


async def write_down(
    world: World, request: UnlockRequest, facts: OfUnlock, actor: str, text: str, *, once: str | None = None
) -> None:
    """Puts a step of the request on the incident's timeline. Raises JournalAway."""
    if request.incident:
        await world.journal.append(request.incident, draft_of(facts, world.clock.now(), actor, text, once=once))
