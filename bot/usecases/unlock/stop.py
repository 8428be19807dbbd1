"""Someone in the channel stops an automatic release, for as long as the lock exists."""

from __future__ import annotations

from bot.core.evidence import Found, NotFound
from bot.core.gate.stages import UnlockStage
from bot.core.phrase import Person, Phrase
from bot.core.record.facts import UnlockDeclined
from bot.core.reports.unlock import UnlockReport, UnlockRequest
from bot.errors import NotPermitted
from bot.usecases.decide.automatic import STOPPED, Stopped, key_of
from bot.usecases.request.announce import announce_click
from bot.usecases.request.clicks import live, write_down
from bot.usecases.request.record import UNLOCKS, is_done, show
from bot.usecases.request.steps import Step, advance
from bot.usecases.world import World


async def stop(world: World, request: UnlockRequest, user: str) -> None:
    """Raises NotPermitted for people outside the channel and if it is too late, JournalAway."""
    await _check_here(world, request, user)
    if await STOPPED.get(world, key_of(request)) is None:
        await STOPPED.put(world, key_of(request), Stopped(user))  # before anything else: from here on the gate refuses
    if await advance(world, request.id, Step.STOP) is None:
        await live(world, request.id, request.lock_id)  # says so if it is over
        await STOPPED.secure(world, key_of(request), has=lambda kept: kept is not None)
        raise NotPermitted(
            "The lock is being released already, and this message will show how it ends. If the lock is still "
            "there then, tflock does not release it automatically again."
        )
    outcome = UnlockStage.DECLINED
    facts = UnlockDeclined(request=request.id, state=request.state, lock_id=request.lock_id, outcome=outcome)
    text = f"stopped the automatic release of {request.state}; the lock was not touched"
    await write_down(world, request, facts, user, text, once=f"stopped/{request.id}")
    await UNLOCKS.secure(world, request.id, has=is_done)
    await STOPPED.secure(world, key_of(request), has=lambda kept: kept is not None)
    note: Phrase = (Person(user, ""), " stopped it: this lock is not released automatically any more")
    await show(world.messenger, UnlockReport(request, outcome, None, None, note=note))
    says: Phrase = (f" stopped the automatic release of {request.state}. The lock was not touched.",)
    headline = f"The automatic release of {request.state} is stopped"
    await announce_click(world, request, headline, user, step="stopped", says=says)


async def _check_here(world: World, request: UnlockRequest, user: str) -> None:
    """Anyone in the channel may: it can only keep a lock. So may a person about whom Slack gives no answer."""
    seen = await world.timed("Slack", "channel members", world.directory.is_in_channel(user, request.channel))
    if isinstance(seen, NotFound) or (isinstance(seen, Found) and not seen.value):
        raise NotPermitted("You are not a member of the channel where this was announced. Nothing was changed.")
