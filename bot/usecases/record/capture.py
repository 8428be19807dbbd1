"""Messages of the channel on the timeline: marked with a reaction or added by the shortcut, and what becomes of them.

Slack's events only say that something has happened to a message. What is done follows from how the message is now,
so that an event that comes twice, late or out of order makes nothing wrong.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum

import structlog

from bot.core.evidence import Found, NotFound, Trouble, Unseen
from bot.core.phrase import Quoted
from bot.core.record.facts import MessageCaptured, draft_of
from bot.core.record.message import SlackMessage, base_name, channels_in, file_names, people_in, readable
from bot.core.record.revision import LONGEST_TEXT, Marking
from bot.core.record.timeline import Kind
from bot.core.reports.report import Corrected, Notice
from bot.errors import Denied, NotPermitted, Unreachable, UpstreamError
from bot.usecases.export.incident_export import reissue_if_late
from bot.usecases.lease import lease
from bot.usecases.record import correct
from bot.usecases.record.channel_incidents import about_or_new, is_incident_channel
from bot.usecases.record.rights import may_write
from bot.usecases.shelf import Handled, Shelf
from bot.usecases.world import World

log = structlog.get_logger()

KEPT_FOR = timedelta(days=400)
"""How long a captured message is followed; the usual retention of a timeline."""

REMEMBER = timedelta(minutes=10)
"""How long an event is remembered: Slack's last retry comes after about five minutes."""

UNMARKED = "the mark was taken off"
EDITED = "edited after capture"
DELETED = "deleted after capture"

_PATIENCE = timedelta(seconds=10)
_BEGINNING = timedelta(minutes=10)
_HINT_EVERY = timedelta(days=1)
_MOST_NAMED = 30
_MOST_ASKED = 25


class MessageEvent(StrEnum):
    """What Slack said has happened to a message."""

    MARKED = "marked"
    UNMARKED = "unmarked"
    CHANGED = "changed"
    DELETED = "deleted"


class How(StrEnum):
    """How a message came onto the timeline. Public: the fact `how`."""

    REACTION = "reaction"
    SHORTCUT = "shortcut"
    BACKFILL = "backfill"


class Added(StrEnum):
    NEW = "new"
    RESTORED = "restored"
    THERE = "there already"


@dataclass(frozen=True, slots=True)
class Kept:
    """A captured message: its entry, what it said last, and whether it is there only for its mark.

    Without an entry it is being captured.
    """

    incident: str = ""
    entry: str = ""
    digest: str = ""
    on_mark: bool = False


CAPTURED = Shelf("captured", Kept, KEPT_FOR)
EVENTS = Shelf("event", Handled, REMEMBER)


async def find(world: World, channel: str, ts: str) -> Kept | None:
    """What is known of a message, if it was captured. Raises JournalAway."""
    kept = await CAPTURED.get(world, f"{channel}/{ts}")
    return kept if kept is not None and kept.entry else None


async def is_followed(world: World, channel: str, ts: str) -> bool:
    """Whether a message is captured, or being captured: one look into Redis. Raises JournalAway."""
    return await CAPTURED.get(world, f"{channel}/{ts}") is not None


async def follow(world: World, channel: str, ts: str, *, user: str, cause: MessageEvent, event: str) -> None:
    """Does what an event asks for, once. `user` is who marked or unmarked.

    Raises JournalAway, Unreachable and Busy: then it is to be done again.
    """
    if await EVENTS.get(world, event) is not None:
        return
    async with lease(world.records, f"message/{channel}/{ts}", holder=world.new_id(), patience=_PATIENCE):
        kept = await find(world, channel, ts)
        try:
            if kept is None:
                await _begin(world, channel, ts, user, cause)
            elif cause is MessageEvent.DELETED:
                await _hide(world, kept, "tflock", DELETED)
            else:
                await _catch_up(world, kept, channel, ts, user)
        except NotPermitted:
            log.warning("capture.entry_gone", channel=channel, ts=ts)  # with its incident, when its time was over
            await CAPTURED.forget(world, f"{channel}/{ts}")
    await EVENTS.put(world, event, Handled())


async def add(world: World, channel: str, ts: str, *, user: str) -> Added:
    """Puts a message on the timeline because someone says so; no mark is needed to keep it there.

    Raises UpstreamError if it cannot be read, NotPermitted if it is not there, JournalAway and Busy.
    """
    async with lease(world.records, f"message/{channel}/{ts}", holder=world.new_id(), patience=_PATIENCE):
        said = await _read(world, channel, ts)
        if said is None:
            raise NotPermitted("That message is gone, or only you can see it. Nothing was put on the timeline.")
        kept = await find(world, channel, ts)
        if kept is None:
            incident, _ = await about_or_new(world, channel, said.at, user)
            await take(world, incident.id, said, by=user, how=How.SHORTCUT, on_mark=False)
            await reissue_if_late(world, incident.id)
            return Added.NEW
        await _remember(world, said, replace(kept, on_mark=False))
        restored = await correct.mark(world, kept.incident, kept.entry, by=user, how=Marking.RESTORE, why="added again")
        return Added.RESTORED if restored.changed else Added.THERE


async def take(world: World, incident: str, said: SlackMessage, *, by: str, how: How, on_mark: bool) -> bool:
    """Writes a message on a timeline, at its own time; False if it was there. Raises JournalAway."""
    link = await world.messages.permalink(said.channel, said.ts, thread=said.thread)
    facts = MessageCaptured(
        channel=said.channel,
        ts=said.ts,
        thread_ts=said.thread,
        permalink=link.value if isinstance(link, Found) else "",
        author=said.author,
        by=by,
        files=said.files,
        how=how,
        bot=said.bot,
    )
    text, once = await text_of(world, said), f"message/{said.channel}/{said.ts}"
    draft = draft_of(facts, said.at, said.author or "tflock", text, once=once)
    appended = await world.journal.append(incident, draft)
    # an entry of another try may hold an older text: without a digest the next event looks again
    digest = said.digest if appended.added else ""
    await _remember(world, said, Kept(incident, appended.entry.id, digest, on_mark))
    return appended.added


async def text_of(world: World, said: SlackMessage) -> str:
    """The message as people read it; what it shares where it says nothing."""
    people, channels = people_in(said.raw)[:_MOST_NAMED], channels_in(said.raw)[:_MOST_NAMED]
    members, places = await asyncio.gather(
        asyncio.gather(*(world.directory.member(user) for user in people)),
        asyncio.gather(*(world.directory.channel(channel) for channel in channels)),
    )
    names = {one.value.id: one.value.name for one in (*members, *places) if isinstance(one, Found) and one.value.name}
    shared = file_names(said.files)
    text = readable(said.raw, names) or (f"shared {shared}" if shared else "(no text)")
    return text if len(text) <= LONGEST_TEXT else f"{text[: LONGEST_TEXT - 1]}…"


def is_marked(world: World, said: SlackMessage) -> bool:
    """Whether anyone, member or not, has put a capture reaction on it."""
    return bool(_marking(world, said))


async def _begin(world: World, channel: str, ts: str, user: str, cause: MessageEvent) -> None:
    """A mark on a message that is not on the timeline."""
    if cause is not MessageEvent.MARKED or not await is_incident_channel(world, channel):
        return
    # an edit that comes while this is being done must not be taken for one of a message that nobody marked
    await CAPTURED.put(world, f"{channel}/{ts}", Kept(), ttl=_BEGINNING)
    if not await _capture(world, channel, ts, user):
        await CAPTURED.forget(world, f"{channel}/{ts}")


async def _capture(world: World, channel: str, ts: str, user: str) -> bool:
    """Takes a marked message; False if there is nothing to be taken."""
    try:
        said = await _read(world, channel, ts)
    except Denied as error:
        await _hint(world, channel, user, Notice("The marked message cannot be read", ((Quoted(error.detail),),)))
        return False
    marker = None if said is None else await _marker(world, said, user)
    if said is not None and marker is not None:
        incident, _ = await about_or_new(world, channel, said.at, marker)
        await take(world, incident.id, said, by=marker, how=How.REACTION, on_mark=True)
        await reissue_if_late(world, incident.id)
        return True
    if said is not None and user in _marking(world, said):
        await _hint(world, channel, user, _MEMBERS_ONLY)
    return False


async def _catch_up(world: World, kept: Kept, channel: str, ts: str, user: str) -> None:
    """Brings the entry to what the message is now."""
    try:
        said = await _read(world, channel, ts)
    except Denied as error:
        log.warning("capture.not_followed", channel=channel, detail=error.detail)
        return
    if said is None:
        await _hide(world, kept, "tflock", DELETED)
        return
    if said.digest != kept.digest:
        text = await text_of(world, said)
        await correct.edit(world, kept.incident, kept.entry, by=said.author or "tflock", text=text, why=EDITED)
        await _remember(world, said, replace(kept, digest=said.digest))
    if not kept.on_mark:
        return
    marker, now = await _marker(world, said, user), await correct.look(world, kept.incident, kept.entry)
    if marker is None and not now.is_hidden:
        await _hide(world, kept, user, UNMARKED)
    elif marker is not None and now.is_hidden and _last_reason(now) == UNMARKED:
        await correct.mark(world, kept.incident, kept.entry, by=marker, how=Marking.RESTORE, why="marked again")


def _last_reason(now: Corrected) -> str:
    """Why the entry was hidden: what a person hid by hand no mark brings back."""
    hidden = [change for change in now.after.changes if change.kind == Kind.ENTRY_HIDDEN]
    return hidden[-1].why if hidden else ""


async def _hide(world: World, kept: Kept, by: str, why: str) -> None:
    await correct.mark(world, kept.incident, kept.entry, by=by or "tflock", how=Marking.HIDE, why=why)


async def _read(world: World, channel: str, ts: str) -> SlackMessage | None:
    """The message; None if it is gone. Raises Denied, or Unreachable: then asking again may help."""
    seen = await world.timed("Slack", "message", world.messages.message(channel, ts))
    if isinstance(seen, NotFound):
        return None
    if isinstance(seen, Unseen):
        kind = Denied if seen.trouble is Trouble.DENIED else Unreachable
        raise kind(seen.system, seen.detail)
    return seen.value


def _marking(world: World, said: SlackMessage) -> tuple[str, ...]:
    """Who has marked the message, members or not."""
    wanted = {base_name(reaction) for reaction in world.capture_reactions}
    return tuple(dict.fromkeys(user for name, users in said.marks.items() if name in wanted for user in users))


async def _marker(world: World, said: SlackMessage, first: str) -> str | None:
    """A full member whose mark is on the message; `first` is asked about first. Raises Unreachable."""
    marking = sorted(_marking(world, said), key=lambda user: user != first)
    for user in marking[:_MOST_ASKED]:
        if await may_write(world, user):
            return user
    return None


_MEMBERS_ONLY = Notice(
    "Your message was not added to the timeline",
    (
        ("Only full members of this workspace may write on the timeline. Nothing was changed.",),
        ("Ask one of them to mark the message.",),
    ),
)


async def _hint(world: World, channel: str, user: str, notice: Notice) -> None:
    """Says something to someone who marked, once a day. It is not worth trying again."""
    if not await world.records.once("capture-hint", f"{channel}/{user}", ttl=_HINT_EVERY):
        return
    try:
        await world.messenger.whisper(channel, user, notice)
    except UpstreamError as error:
        log.warning("capture.hint_not_told", detail=error.detail)


async def _remember(world: World, said: SlackMessage, kept: Kept) -> None:
    await CAPTURED.put(world, f"{said.channel}/{said.ts}", kept)
