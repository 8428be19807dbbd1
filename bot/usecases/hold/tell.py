"""What people see of a hold: its message, the word before it ends, and the announcements in other channels."""

from __future__ import annotations

from datetime import timedelta

import structlog

from bot.core.people import BOT
from bot.core.phrase import ChannelRef, Person, Phrase, Quoted
from bot.core.reports.button import ButtonValue
from bot.core.reports.hold import LIFT, PROLONG, HoldEnd, HoldReport, HoldStage
from bot.core.reports.report import Notice, Offer
from bot.errors import Final, UpstreamError
from bot.ports.messenger import Posted
from bot.usecases.hold.record import HOLDS, HoldPhase, HoldRecord
from bot.usecases.outbox import Outgoing, post_once, say_once
from bot.usecases.request.announce import dealing_with
from bot.usecases.world import World

log = structlog.get_logger()

_STAGES = {
    HoldPhase.PLACING: HoldStage.PLACING,
    HoldPhase.HELD: HoldStage.HELD,
    HoldPhase.ENDING: HoldStage.ENDING,
    HoldPhase.ENDED: HoldStage.ENDED,
}


def report_of(world: World, record: HoldRecord) -> HoldReport:
    """The hold as its message shows it."""
    stage = _STAGES[record.phase]
    if record.parts is not None:
        stage = HoldStage.NOT_PLACED if record.end is HoldEnd.NOT_PLACED else HoldStage.ENDED
    note: Phrase = (Quoted(record.note),) if record.note else ()
    until = None if record.lift_at is None else record.lift_at + world.policy.approval_timeout
    return HoldReport(
        record.hold, stage, record.end, note, record.ended_by, record.approver, lift_by=record.lift_by, lift_until=until
    )


async def posted(world: World, record: HoldRecord, *, is_again: bool) -> HoldRecord:
    """The record with its message, which is posted once. Raises UpstreamError, JournalAway."""
    hold = record.hold
    if hold.ts:
        return record
    message = Outgoing(hold.channel, report_of(world, record), f"hold/{hold.id}", hold.thread)
    there = await post_once(world, message, begun=hold.asked_at if is_again else None)
    link = record.link or await world.messenger.link(there)
    return await HOLDS.update(world, hold.id, ts=there.ts, link=link) or record


async def show(world: World, record: HoldRecord) -> None:
    """Makes the message say what is so now. Raises Passing: then try again. One that is gone is posted again."""
    hold, report = record.hold, report_of(world, record)
    if hold.ts:
        try:
            await world.messenger.update(Posted(hold.channel, hold.ts), report)
        except Final as error:
            log.warning("hold.posted_again", hold=hold.id, detail=error.detail)
        else:
            return
    mark = f"hold/{hold.id}/{report.stage}/{hold.until.timestamp():.0f}"
    await say_once(world, Outgoing(hold.channel, report, mark, hold.thread))


async def try_to_show(world: World, record: HoldRecord) -> None:
    """Not worth failing for: what follows shows it in any case."""
    try:
        await show(world, record)
    except UpstreamError as error:
        log.warning("hold.not_shown", hold=record.hold.id, detail=error.detail)


async def announce(world: World, record: HoldRecord, headline: str, by: str, *, step: str, says: Phrase) -> None:
    """Says it once where else the state's people look. Raises Passing, JournalAway: then try again."""
    hold = record.hold
    channels = [world.alerts_channel, *(one.channel for one in await dealing_with(world, hold.state))]
    asked: Phrase = ("Asked for in ", ChannelRef(hold.channel), f", hold {hold.id}.")
    who: Phrase = ("tflock",) if by in {"", BOT} else (Person(by, ""),)
    notice = Notice(headline, ((*who, *says), asked))
    for channel in dict.fromkeys(channels):
        if channel and channel != hold.channel:
            await say_once(world, Outgoing(channel, notice, f"hold/{hold.id}/{step}/{channel}"))


def warn_at_least(span: timedelta) -> timedelta:
    """How long before its end the asker of a hold is notified: five minutes, of a short one a third of its time."""
    return min(timedelta(minutes=5), span / 3)


async def warn(world: World, record: HoldRecord) -> None:
    """Tells the asker that their hold is about to end, in a DM, else where they asked. Raises Passing, JournalAway."""
    hold = record.hold
    value = ButtonValue(hold.state, "", hold.id)
    lines: tuple[Phrase, ...] = (
        ("It ends at ", hold.until, ". Then everyone's Terraform can take the lock again."),
        ("Nothing to do if that is right.",),
    )
    offers = (Offer("Prolong the hold", PROLONG, value), Offer("End it now", LIFT, value))
    notice = Notice(f"Your hold on {hold.state} is about to end", lines, offers=offers)
    mark = f"hold/{hold.id}/warned/{hold.until.timestamp():.0f}"
    try:
        room = await world.messenger.room(hold.user)
    except Final:
        room = ""
    if room and await say_once(world, Outgoing(room, notice, mark)):
        return
    here = Notice(notice.headline, ((Person(hold.user, ""), ": ", *lines[0]), lines[1]), offers=offers)
    await say_once(world, Outgoing(hold.channel, here, f"{mark}/here", hold.thread or hold.ts))
