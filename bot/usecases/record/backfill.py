"""What people wrote in a channel before, put on the timeline on demand: a durable job that reads a page at a time.

Slack gives some apps one page of 15 messages a minute (docs.slack.dev/apis/web-api/rate-limits), so that this may take
long. How far it has come is in one record, written after each page: another worker continues from there, and a page
that is read twice adds nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

import structlog

from bot.core.evidence import Found, NotFound, Observation, Trouble, Unseen
from bot.core.phrase import Person, Phrase, Quoted
from bot.core.record.message import SlackMessage
from bot.core.reports.report import Notice
from bot.errors import UpstreamError
from bot.ports.messenger import MessagePage, Posted
from bot.usecases.export.incident_export import reissue_if_late
from bot.usecases.lease import lease
from bot.usecases.record import capture
from bot.usecases.record.capture import How
from bot.usecases.record.channel_incidents import AROUND, about_or_new, latest
from bot.usecases.shelf import Shelf
from bot.usecases.world import World

log = structlog.get_logger()

MOST_MESSAGES = 500
"""Messages that one backfill takes."""

MOST_TIME = timedelta(minutes=30)
MOST_THREADS = 200
"""Threads that one backfill looks into."""

_AGAIN_AFTER = timedelta(seconds=5)
_TRIES = 10
_MINUTE = timedelta(seconds=60)
_PATIENCE = timedelta(seconds=5)


class End(StrEnum):
    """Why a backfill has come to its end."""

    ALL = "everything was read"
    MANY = "too many messages"
    LATE = "too much time"
    TROUBLE = "Slack did not let tflock continue"


@dataclass(frozen=True, slots=True)
class BackfillCommand:
    """`since` None: since the incident was opened. With `marked_only` what has a capture reaction."""

    channel: str
    user: str
    thread: str
    since: datetime | None
    marked_only: bool


@dataclass(frozen=True, slots=True)
class Backfill:
    """How far a backfill is. `threads` are the roots still to be read; `cursor` is of the present history or thread.

    `is_listed` once the channel's own messages are read. `at` is when a page is due: `tick` counts the pages.
    """

    id: str
    channel: str
    user: str
    thread: str
    incident: str
    since: datetime
    until: datetime
    began: datetime
    marked_only: bool
    posted: str = ""
    cursor: str = ""
    is_listed: bool = False
    threads: tuple[str, ...] = ()
    threads_left: int = 0
    taken: int = 0
    known: int = 0
    left_out: int = 0
    tick: int = 0
    failures: int = 0


BACKFILLS = Shelf("backfill", Backfill, timedelta(days=1))


async def ask(world: World, command: BackfillCommand) -> None:
    """Opens the incident if need be, says that it begins, and hands the work to a worker.

    Raises JournalAway, UpstreamError.
    """
    now = world.clock.now()
    # without a time the channel's last incident is meant
    last = await latest(world, command.channel) if command.since is None else None
    incident = last or (await about_or_new(world, command.channel, command.since or now, command.user))[0]
    progress = Backfill(
        id=world.new_id(),
        channel=command.channel,
        user=command.user,
        thread=command.thread,
        incident=incident.id,
        since=command.since or incident.opened_at,
        until=min(now, incident.closed_at + AROUND) if incident.closed_at else now,
        began=now,
        marked_only=command.marked_only,
    )
    posted = await world.messenger.post(command.channel, _going_on(progress, None), thread=command.thread)
    progress = replace(progress, posted=posted.ts)
    await BACKFILLS.put(world, progress.id, progress)
    await _next(world, progress, now)


async def go_on(world: World, backfill_id: str, tick: int) -> None:
    """Reads a page, takes what is to be taken, and has the next page read. Raises JournalAway and Busy."""
    async with lease(world.records, f"backfill/{backfill_id}", holder=world.new_id(), patience=_PATIENCE):
        progress = await BACKFILLS.get(world, backfill_id)
        if progress is None:
            return
        if progress.tick != tick:
            await _next(world, progress, world.clock.now())  # an earlier worker died before it could
            return
        if world.clock.now() - progress.began > MOST_TIME:
            await _end(world, progress, End.LATE)
            return
        page = await _page(world, progress)
        if isinstance(page, Found):
            await _take(world, progress, page.value)
        else:
            await _wait(world, progress, page)


async def place_of(world: World, backfill_id: str) -> tuple[str, str]:
    """The channel and the thread that a backfill was asked for in; empty if it has ended. Raises JournalAway."""
    progress = await BACKFILLS.get(world, backfill_id)
    return ("", "") if progress is None else (progress.channel, progress.thread)


async def _page(world: World, progress: Backfill) -> Observation[MessagePage]:
    messages, since, until, cursor = world.messages, progress.since, progress.until, progress.cursor
    if not progress.is_listed:
        asked = messages.history(progress.channel, since=since, until=until, cursor=cursor)
        return await world.timed("Slack", "history", asked)
    asked = messages.replies(progress.channel, progress.threads[0], since=since, until=until, cursor=cursor)
    return await world.timed("Slack", "replies", asked)


async def _take(world: World, progress: Backfill, page: MessagePage) -> None:
    """The page onto the timeline, the oldest first; then on to the next one."""
    end = None
    for said in sorted(page.messages, key=lambda one: one.ts):
        if progress.taken >= MOST_MESSAGES:
            end = End.MANY
            break
        progress = await _message(world, progress, said)
    progress = _turned(progress, page)
    if end is None and progress.is_listed and not progress.threads:
        end = End.ALL
    if end is not None:
        await _end(world, progress, end)
        return
    await BACKFILLS.put(world, progress.id, progress)
    await _say(world, progress, _going_on(progress, None))
    await _next(world, progress, world.clock.now())


async def _message(world: World, progress: Backfill, said: SlackMessage) -> Backfill:
    if not said.by_person or (progress.marked_only and not capture.is_marked(world, said)):
        return replace(progress, left_out=progress.left_out + 1)
    if await capture.find(world, said.channel, said.ts) is not None:
        return replace(progress, known=progress.known + 1)
    added = await capture.take(
        world, progress.incident, said, by=progress.user, how=How.BACKFILL, on_mark=progress.marked_only
    )
    return replace(progress, taken=progress.taken + added, known=progress.known + (not added))


def _turned(progress: Backfill, page: MessagePage) -> Backfill:
    """Where the next page is, with the threads that this one showed."""
    tick = progress.tick + 1
    if progress.is_listed:
        threads = progress.threads if page.cursor else progress.threads[1:]
        return replace(progress, tick=tick, failures=0, cursor=page.cursor, threads=threads)
    roots = [said.ts for said in page.messages if said.latest_reply is not None and said.latest_reply >= progress.since]
    threads = tuple(dict.fromkeys((*progress.threads, *roots)))
    left = progress.threads_left + max(0, len(threads) - MOST_THREADS)
    return replace(
        progress,
        tick=tick,
        failures=0,
        cursor=page.cursor,
        is_listed=not page.cursor,
        threads=threads[:MOST_THREADS],
        threads_left=left,
    )


async def _wait(world: World, progress: Backfill, seen: NotFound | Unseen) -> None:
    """Another try when Slack is ready; the end where that never helps."""
    throttled = isinstance(seen, Unseen) and seen.trouble is Trouble.THROTTLED
    may_help = isinstance(seen, Unseen) and seen.trouble is not Trouble.DENIED
    if isinstance(seen, NotFound) and progress.is_listed:
        await _take(world, progress, MessagePage((), ""))  # the thread was deleted meanwhile
        return
    if not may_help or (not throttled and progress.failures >= _TRIES):
        log.warning("backfill.stopped", channel=progress.channel, tick=progress.tick)
        await _end(world, progress, End.TROUBLE, seen.detail if isinstance(seen, Unseen) else seen.what)
        return
    asked = timedelta(seconds=seen.retry_after) if isinstance(seen, Unseen) and seen.retry_after else None
    at = world.clock.now() + ((asked or _MINUTE) if throttled else _AGAIN_AFTER)
    progress = replace(progress, tick=progress.tick + 1, failures=progress.failures + (not throttled))
    await BACKFILLS.put(world, progress.id, progress)
    await _next(world, progress, at)
    await _say(world, progress, _going_on(progress, at if throttled else None))


async def _end(world: World, progress: Backfill, end: End, detail: str = "") -> None:
    log.info("backfill.ended", channel=progress.channel, end=str(end), taken=progress.taken, known=progress.known)
    await reissue_if_late(world, progress.incident)  # it may have been closed meanwhile
    await _say(world, progress, _ended(progress, end, detail))
    await BACKFILLS.forget(world, progress.id)


async def _say(world: World, progress: Backfill, notice: Notice) -> None:
    """In place of what it said before. Slack being away holds nothing up: the next page says more."""
    try:
        if progress.posted:
            await world.messenger.update(Posted(progress.channel, progress.posted), notice)
        else:
            await world.messenger.post(progress.channel, notice, thread=progress.thread)
    except UpstreamError as error:
        log.warning("backfill.not_told", channel=progress.channel, detail=error.detail)


async def _next(world: World, progress: Backfill, at: datetime) -> None:
    key = f"backfill:{progress.id}:{progress.tick}"
    await world.jobs.start("backfill", progress.id, str(progress.tick), key=key, at=at)


def _going_on(progress: Backfill, at: datetime | None) -> Notice:
    lines: list[Phrase] = [_asked(progress)]
    if progress.tick:
        lines.append(_counts(progress))
    if at is not None:
        lines.append(("Slack asks for patience: tflock continues at ", at, "."))
    return Notice("Reading the earlier messages here", tuple(lines))


def _ended(progress: Backfill, end: End, detail: str) -> Notice:
    lines: list[Phrase] = [_asked(progress), _counts(progress)]
    if end is End.MANY:
        lines.append((f"{MOST_MESSAGES} messages are the most at a time: the older ones were left out.",))
        lines.append(("Ask again for the rest: messages that are on the timeline are not added twice.",))
    if end is End.LATE:
        lines.append(("Slack was slow, and the time is up: the older messages were left out.",))
        lines.append(("Ask again for the rest: messages that are on the timeline are not added twice.",))
    if end is End.TROUBLE:
        lines.append(("It ended early: ", Quoted(detail)))
    if progress.threads_left:
        lines.append((f"{progress.threads_left} threads were not read.",))
    if progress.taken:
        lines.append(
            ("To leave one out of the exports: ", Quoted("/tflock hide N"), ", with N of ", Quoted("/tflock timeline"))
        )
    return Notice(_headline(progress), tuple(lines))


def _headline(progress: Backfill) -> str:
    match progress.taken:
        case 0:
            return "No message was put on the timeline"
        case 1:
            return "1 message was put on the timeline"
        case count:
            return f"{count} messages were put on the timeline"


def _asked(progress: Backfill) -> Phrase:
    what = "marked messages" if progress.marked_only else "messages"
    return ("Asked for by ", Person(progress.user, ""), f": {what} since ", progress.since, ".")


def _counts(progress: Backfill) -> Phrase:
    known = f", {progress.known} there already" if progress.known else ""
    reason = "bots, joins, not marked" if progress.marked_only else "bots, joins"
    left_out = f", {progress.left_out} left out ({reason})" if progress.left_out else ""
    return (f"{progress.taken} taken{known}{left_out}.",)
