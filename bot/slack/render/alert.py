"""What the bot reports on its own: an alert with the buttons that help, or a digest of many."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import timedelta

from bot.core.lock import LockInfo
from bot.core.phrase import Linked, Person, Phrase, Quoted, joined
from bot.core.reports.alert import Alert, AlertKind, Bulletin, Concern, Outcome
from bot.core.reports.button import ButtonValue
from bot.ports.messenger import Message
from bot.slack.render import facts
from bot.slack.render.blocks import Element, actions, button, context, message, sections
from bot.slack.render.facts import Fact
from bot.slack.render.icons import Icon
from bot.slack.render.mrkdwn import mrkdwn
from bot.slack.render.page import lines, notification

_FEW, _MANY = 5, 30
_BY_LOCK = frozenset({AlertKind.AGED, AlertKind.DEAD_RUN})


def alerts_message(bulletin: Bulletin) -> Message:
    """One alert in full; of several a line each, the open ones first."""
    if len(bulletin.alerts) > 1:
        return _digest(bulletin.alerts)
    (alert,) = bulletin.alerts
    concern, head = alert.concern, _news(alert.concern)
    if not alert.is_open:
        head = Fact(f"Over: {head.label}", head.phrase, Icon.GOOD)
    elif bulletin.is_again:
        head = Fact(f"Still so: {head.label}", head.phrase, head.icon)
    told = [head, *_details(concern), *_course(alert)]
    small = context(mrkdwn(("Lock ", Quoted(concern.lock_id)))) if concern.lock_id else []
    return message(notification(head), sections(lines(told), budget=6_000), small, _buttons(alert))


def _digest(alerts: tuple[Alert, ...]) -> Message:
    ordered = sorted(alerts, key=lambda alert: not alert.is_open)
    still = sum(alert.is_open for alert in alerts)
    counted = Counter(str(alert.concern.kind) for alert in alerts)
    kinds = ", ".join(f"{number} \u00d7 {kind}" for kind, number in counted.most_common())
    mark = Icon.WARNING if still else Icon.GOOD
    head = Fact(f"{len(alerts)} alerts at once", (f": {kinds}. {still} of them still stand.",), mark)
    told = [head]
    for alert in ordered[:_MANY]:
        news, ended = _news(alert.concern), alert.resolved_at
        over: Phrase = () if ended is None else (" (over since ", ended, f": {alert.outcome})")
        told.append(Fact(news.label, (*news.phrase, *over), news.icon if alert.is_open else Icon.GOOD))
    rows = lines(told)
    more = [f"\u2026 and {len(ordered) - _MANY} more."] if len(ordered) > _MANY else []
    advice = mrkdwn(("All states at a glance: ", facts.command("status"), ". Nothing was changed."))
    return message(notification(head), sections([*rows, *more, advice], budget=9_000))


def _news(concern: Concern) -> Fact:
    """What is the matter, in one sentence."""
    words: Phrase
    match concern.kind:
        case AlertKind.AGED:
            return Fact(f"{concern.subject} has been locked for long:", ("since ", concern.since, "."), Icon.LOCKED)
        case AlertKind.DEAD_RUN:
            how = f" ended ({concern.ended})" if concern.ended else " ended"
            at: Phrase = (" at ", concern.ended_at) if concern.ended_at else ()
            run = Linked(concern.run, concern.url or None)
            return Fact(f"{concern.subject} is locked by a run that is dead:", (run, how, *at, "."), Icon.LOCKED)
        case AlertKind.LOOP:
            often = f" was started {concern.starts} times since "
            return Fact("A pipeline is in a loop:", (Quoted(concern.subject), often, concern.since, "."), Icon.WARNING)
        case AlertKind.THROTTLED:
            whose = _states(concern)
            return Fact(
                "A lock table is throttled:", (Quoted(concern.subject), ", the table of ", *whose, "."), Icon.WARNING
            )
        case AlertKind.OVERDUE:
            run = Linked(concern.run, concern.url or None)
            usual = concern.usual or timedelta(0)
            words = (run, " since ", concern.since, "; such runs take about ", usual, ".")
            return Fact(f"A run that holds the lock of {concern.subject} goes on for long:", words, Icon.WAIT)


def _states(concern: Concern) -> Phrase:
    few = joined([(Quoted(name),) for name in concern.states[:_FEW]])
    more = len(concern.states) - _FEW
    return (*few, f" and {more} more states") if more > 0 else few


def _details(concern: Concern) -> Iterable[Fact]:
    if concern.kind is AlertKind.THROTTLED:
        yield Fact("What it means:", ("locks can be neither read nor taken for now. That is no fault of a lock.",))
    elif concern.kind is AlertKind.LOOP:
        by: Phrase = (Quoted(concern.who),) if concern.who else ("not told",)
        yield Fact("Started by:", (*by, ". For ", *_states(concern), "."))
    else:
        lock = LockInfo(concern.lock_id, concern.operation, "", concern.who, "", concern.since, "")
        yield Fact("Lock:", (*facts.who(lock), ", for ", *facts.operation(lock.operation), "."))


def _course(alert: Alert) -> Iterable[Fact]:
    if alert.resolved_at is not None:
        lasted = max(timedelta(0), alert.resolved_at - alert.concern.since)
        how = alert.outcome or Outcome.QUIET
        yield Fact("Resolved", (" ", alert.resolved_at, f": {how}, after ", lasted, "."), Icon.GOOD)
    elif alert.snoozed_until is not None:
        who = Person(alert.snoozed_by, "")
        yield Fact("Snoozed", (" by ", who, " until ", alert.snoozed_until, ". It comes back if it still stands."))
    else:
        yield Fact("Nothing was changed.", (" ", *_advice(alert.concern)))


def _advice(concern: Concern) -> Phrase:
    match concern.kind:
        case AlertKind.DEAD_RUN:
            return ("In an incident channel, ", facts.command(f"unlock {concern.state}"), " checks it and releases it.")
        case AlertKind.LOOP | AlertKind.THROTTLED:
            return ("In an incident channel, ", facts.command(f"kill-job {concern.state}"), " finds what hammers it.")
        case _:
            return (facts.command(f"status {concern.state}"), " says whether it is at work or dead.")


def _buttons(alert: Alert) -> list[Element]:
    concern = alert.concern
    if not alert.is_open or not concern.state:
        return []
    value = ButtonValue(concern.state, concern.lock_id, concern.id)
    kills = concern.kind in {AlertKind.LOOP, AlertKind.THROTTLED, AlertKind.OVERDUE}
    return actions(
        button(f"Check {concern.state}", "alert.status", value),
        button("Unlock\u2026", "alert.unlock", value) if concern.kind in _BY_LOCK else None,
        button("Who", "alert.who", value) if concern.lock_id else None,
        button("End it\u2026", "alert.kill", value) if kills else None,
        button("Snooze 1 h", "alert.snooze", value) if alert.snoozed_until is None else None,
    )
