"""Alerts: each raised once, in one message that is kept up to date, whatever dies in between.

What it has to say is written down first; then the messages are made to agree with that, from wherever an earlier
try came to. A message carries a mark, so that one whose posting was cut off is found again and not posted twice.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, TypeAlias, TypeVar

import structlog

from bot.core.codec import Inline
from bot.core.instants import stamp
from bot.core.record.facts import AlertRaised, AlertResolved, draft_of
from bot.core.record.incident import Incident
from bot.core.record.timeline import Draft
from bot.core.reports.alert import Alert, AlertKind, Bulletin, Concern
from bot.core.reports.concern import SweepResult, outcome_of, refreshed, shortened
from bot.errors import Denied, Final, Missing, NotPermitted, UpstreamError
from bot.ports.messenger import Posted
from bot.usecases.outbox import Outgoing, post_once
from bot.usecases.shelf import Shelf
from bot.usecases.world import World

log = structlog.get_logger()

SNOOZE = timedelta(hours=1)
MOST_SINGLE = 5
"""More new alerts than these in one channel at once become one digest."""

_KEPT = timedelta(days=30)
_ASKED_AT_ONCE = 50

T = TypeVar("T")
Check: TypeAlias = Callable[[], Awaitable[None]]


class AlertPhase(StrEnum):
    RAISED = "raised"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertRecord:
    """An alert, the message that shows it, and how far the timeline has it (`noted`)."""

    phase: AlertPhase = AlertPhase.RAISED
    alert: Annotated[Alert, Inline()]
    bulletin: str
    last_seen: datetime
    noted: AlertPhase | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BulletinRecord:
    """A message with its alerts, when its posting was begun, and the fingerprint of what it shows."""

    channel: str
    ts: str = ""
    alerts: tuple[str, ...]
    begun: datetime | None = None
    shown: str = ""
    made_at: datetime
    is_again: bool = False


@dataclass(frozen=True, slots=True)
class Index:
    """What is open: alerts by id, and messages, the oldest first."""

    alerts: tuple[str, ...] = ()
    bulletins: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Shut:
    """That a channel is not there, or does not let the bot post."""

    is_shut: bool = True


ALERTS = Shelf("alert", AlertRecord, _KEPT)
BULLETINS = Shelf("bulletin", BulletinRecord, _KEPT)
INDEX = Shelf("alerts", Index, _KEPT)
SHUT = Shelf("alerts-shut", Shut, timedelta(minutes=10))
"""The channels that do not take alerts, and are not asked at every sweep."""


@dataclass(slots=True)
class Book:
    """What is open: alerts by id with their records, and the messages that may have to be changed, oldest first."""

    alerts: dict[str, AlertRecord]
    bulletins: list[str]

    def concern(self, alert_id: str) -> Concern:
        return self.alerts[alert_id].alert.concern

    @property
    def concerns(self) -> dict[str, Concern]:
        """Those that were not over when last seen."""
        return {name: self.concern(name) for name, record in self.alerts.items() if record.phase is AlertPhase.RAISED}


async def load(world: World) -> Book:
    """Raises JournalAway."""
    index = await INDEX.get(world, "open") or Index()
    return Book(await ALERTS.get_all(world, index.alerts), list(index.bulletins))


async def settle(
    world: World,
    book: Book,
    found: Mapping[str, Concern],
    evidence: SweepResult,
    incidents: Mapping[str, Incident],
) -> None:
    """Writes down what is new, what has changed and what is over. Tells nobody yet. Raises JournalAway."""
    for some in batches(tuple(book.concerns.items())):
        follow = (_follow(world, book, name, concern, found.get(name), evidence) for name, concern in some)
        await asyncio.gather(*follow)
    await _wake(world, book, evidence.now)

    standing = book.concerns.keys()
    new = [concern for alert_id, concern in found.items() if alert_id not in standing]
    for (channel, incident), group in _placed(world, new, incidents).items():
        together = [group] if len(group) > MOST_SINGLE else [[concern] for concern in group]
        for concerns in together:
            await _raise(world, book, concerns, channel, incident, evidence.now)


async def tell(world: World, book: Book, still_mine: Check) -> None:
    """Makes timelines and messages say what was written down. What Slack does not take now is tried at the next sweep.

    Raises JournalAway, and Busy if another worker has taken over.
    """
    for alert_id in tuple(book.alerts):
        await _note(world, book, alert_id)
    records = await BULLETINS.get_all(world, book.bulletins)
    channels = {record.channel for record in records.values()}
    shut = {channel for channel in channels if await SHUT.get(world, channel) is not None}
    for bulletin_id in tuple(book.bulletins):
        record = records.get(bulletin_id)
        if record is not None and record.channel in shut:
            continue
        try:
            await still_mine()
            await _show(world, book, bulletin_id, record)
        except UpstreamError as error:
            log.warning("alert.not_told", bulletin=bulletin_id, passes=error.passes, error=str(error))
            if error.passes:  # Slack takes nothing now: the other messages would only wait for it in vain
                break
            if record is not None and isinstance(error, Denied | Missing):
                shut.add(record.channel)
                await SHUT.put(world, record.channel, Shut())
    await _tidy(world, book)


async def find(world: World, alert_id: str) -> Alert | None:
    """The alert that a button belongs to, as it is now; None if it is not known (any more). Raises JournalAway."""
    record = await ALERTS.get(world, alert_id)
    return None if record is None else record.alert


async def snooze(world: World, alert_id: str, *, user: str) -> Alert:
    """Nobody is reminded of it for an hour; then it comes back, if it is still true. Says so in its message.

    Raises NotPermitted if it is over, JournalAway, UpstreamError if the message could not be changed.
    """
    until = world.clock.now() + SNOOZE
    changes = {"snoozed_until": until, "snoozed_by": user}
    record = await ALERTS.update(world, alert_id, changes, only_if=("phase", (AlertPhase.RAISED,)))
    if record is None:
        raise NotPermitted("This alert is over; its message shows how it ended. Nothing was changed.")
    bulletin = await BULLETINS.get(world, record.bulletin)
    if bulletin is not None and bulletin.ts:
        records = await ALERTS.get_all(world, bulletin.alerts)
        await world.messenger.update(Posted(bulletin.channel, bulletin.ts), _bulletin(bulletin, records))
    return record.alert


async def _follow(
    world: World, book: Book, alert_id: str, before: Concern, now: Concern | None, evidence: SweepResult
) -> None:
    record = book.alerts[alert_id]
    changes: dict[str, object] = {}
    if now is not None:
        newer = refreshed(before, now)
        if newer != before:
            changes["concern"] = newer
        if now.kind is AlertKind.THROTTLED:  # the only one that ends by not being seen for a while
            changes["last_seen"] = evidence.now
    elif outcome := outcome_of(before, evidence, last_seen=record.last_seen):
        changes = {"phase": AlertPhase.RESOLVED, "outcome": outcome, "resolved_at": evidence.now}
        log.info("alert.resolved", alert=alert_id, kind=str(before.kind), outcome=str(outcome))
    if changes:
        book.alerts[alert_id] = await ALERTS.update(world, alert_id, changes) or record


async def _wake(world: World, book: Book, now: datetime) -> None:
    """Alerts whose snooze is over come back in a message of their own."""
    for alert_id in book.concerns:
        record = book.alerts[alert_id]
        until = record.alert.snoozed_until
        if until is None or until > now or (bulletin := await BULLETINS.get(world, record.bulletin)) is None:
            continue
        name = await _prepare(world, book, [alert_id], bulletin.channel, now, is_again=True)
        changes = {"snoozed_until": None, "snoozed_by": "", "bulletin": name}
        book.alerts[alert_id] = await ALERTS.update(world, alert_id, changes) or record


def _placed(
    world: World, concerns: Iterable[Concern], incidents: Mapping[str, Incident]
) -> dict[tuple[str, str], list[Concern]]:
    """The concerns by channel and incident: the incident that deals with one of the states, else the alerts channel."""
    groups: dict[tuple[str, str], list[Concern]] = {}
    for concern in concerns:
        incident = next((incidents[state] for state in concern.states if state in incidents), None)
        channel = incident.channel if incident is not None else world.alerts_channel
        if channel:
            groups.setdefault((channel, incident.id if incident else ""), []).append(concern)
    return groups


async def _raise(
    world: World, book: Book, concerns: Sequence[Concern], channel: str, incident: str, now: datetime
) -> None:
    """The message first, then the alerts: of what a crash leaves undone the next sweep finds the concerns again."""
    name = await _prepare(world, book, [concern.id for concern in concerns], channel, now, is_again=False)
    made = {
        concern.id: AlertRecord(alert=Alert(shortened(concern), now, incident), bulletin=name, last_seen=now)
        for concern in concerns
    }
    for some in batches(tuple(made.items())):
        await asyncio.gather(*(ALERTS.put(world, alert_id, record) for alert_id, record in some))
    book.alerts |= made
    for concern in concerns:
        log.info("alert.raised", alert=concern.id, kind=str(concern.kind), subject=concern.subject)


async def _prepare(
    world: World, book: Book, alert_ids: Sequence[str], channel: str, now: datetime, *, is_again: bool
) -> str:
    name = world.new_id()
    record = BulletinRecord(channel=channel, alerts=tuple(alert_ids), made_at=now, is_again=is_again)
    await BULLETINS.put(world, name, record)
    book.bulletins.append(name)
    await _save(world, [*book.alerts, *alert_ids], book.bulletins)
    return name


async def _save(world: World, alerts: Iterable[str], bulletins: Sequence[str]) -> None:
    await INDEX.put(world, "open", Index(tuple(dict.fromkeys(alerts)), tuple(bulletins)))


async def _note(world: World, book: Book, alert_id: str) -> None:
    """Puts the alert's raising and its end on the incident's timeline, each once."""
    record = book.alerts[alert_id]
    if not record.alert.incident or record.noted == record.phase:
        return
    incident = await world.journal.find(record.alert.incident)
    if incident is not None and (incident.is_open or record.noted is None):
        for draft in _drafts(record.alert, alert_id, since=record.noted):
            await world.journal.append(incident.id, draft)
    book.alerts[alert_id] = await ALERTS.update(world, alert_id, noted=record.phase) or record


def _drafts(alert: Alert, alert_id: str, *, since: AlertPhase | None) -> Iterable[Draft]:
    concern, once = alert.concern, f"alert/{alert_id}/{stamp(alert.raised_at)}"
    facts = AlertRaised(
        kind=concern.kind,
        state=concern.state,
        states=concern.states[:20],
        subject=concern.subject,
        lock_id=concern.lock_id,
        since=None if concern.is_change else concern.since,
        url=concern.url,
    )
    what = f"{concern.kind}: {concern.subject}"
    if since is None:
        yield draft_of(facts, alert.raised_at, "tflock", what, once=f"{once}/raised")
    if alert.resolved_at is not None:
        over = AlertResolved(**asdict(facts), outcome=str(alert.outcome))
        yield draft_of(over, alert.resolved_at, "tflock", f"{what}: over, {alert.outcome}", once=f"{once}/resolved")


async def _show(world: World, book: Book, name: str, record: BulletinRecord | None) -> None:
    """Posts the message, or makes it say what is so now."""
    if record is None:
        book.bulletins.remove(name)
        return
    earlier = await ALERTS.get_all(world, [one for one in record.alerts if one not in book.alerts])
    known = {**earlier, **book.alerts}
    named = {one: known[one] for one in record.alerts if one in known}
    mine = {one: alert for one, alert in named.items() if record.ts or alert.bulletin == name}
    bulletin = _bulletin(record, mine)
    if bulletin.alerts:
        shown = hashlib.sha256(repr(bulletin).encode("utf-8", "replace")).hexdigest()[:16]
        posted = await _posted(world, name, record, bulletin)
        if posted is not None and record.shown != shown:
            await _redraw(world, bulletin, posted)
        if record.shown != shown:
            await BULLETINS.update(world, name, shown=shown)
    if not any(alert.is_open for alert in bulletin.alerts):
        book.bulletins.remove(name)


async def _posted(world: World, name: str, record: BulletinRecord, bulletin: Bulletin) -> Posted | None:
    """The message, to be redrawn if it was posted earlier; None if it has been posted right now, by the first try."""
    if record.ts:
        return Posted(record.channel, record.ts)

    async def begin(now: datetime) -> None:
        await BULLETINS.update(world, name, begun=now)

    message = Outgoing(record.channel, bulletin, f"alert/{name}")
    posted = await post_once(world, message, begun=record.begun, begin=begin)
    await BULLETINS.update(world, name, ts=posted.ts)
    return posted if record.begun is not None else None


async def _redraw(world: World, bulletin: Bulletin, posted: Posted) -> None:
    """A message that cannot be changed any more (someone has deleted it) is left as it is."""
    try:
        await world.messenger.update(posted, bulletin)
    except Final as error:
        log.warning("alert.not_redrawn", channel=posted.channel, ts=posted.ts, detail=error.detail)


async def _tidy(world: World, book: Book) -> None:
    """Forgets what is over, told and written down."""
    shown = await BULLETINS.get_all(world, book.bulletins)
    needed = {one for record in shown.values() for one in record.alerts}
    kept = [
        name
        for name, record in book.alerts.items()
        if record.phase is AlertPhase.RAISED or record.noted is AlertPhase.RAISED or name in needed
    ]
    index = await INDEX.get(world, "open") or Index()
    if (tuple(kept), tuple(book.bulletins)) != (index.alerts, index.bulletins):
        await _save(world, kept, book.bulletins)


def _bulletin(record: BulletinRecord, alerts: Mapping[str, AlertRecord]) -> Bulletin:
    found = (alerts.get(name) for name in record.alerts)
    return Bulletin(tuple(each.alert for each in found if each is not None), is_again=record.is_again)


def batches(items: Sequence[T]) -> Iterable[Sequence[T]]:
    """As many as are asked of the store at the same time."""
    return (items[start : start + _ASKED_AT_ONCE] for start in range(0, len(items), _ASKED_AT_ONCE))
