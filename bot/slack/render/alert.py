"""What the bot reports on its own: an alert with the buttons that help, or a digest of many."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta

from bot.core.phrase import Linked, Person, Phrase, Quoted, duration, joined
from bot.core.reports.alert import Alert, AlertKind, Bulletin, Concern, Outcome
from bot.core.reports.button import ButtonValue
from bot.core.run import ENDED
from bot.ports.messenger import Message
from bot.slack.render import facts
from bot.slack.render.blocks import Cell, Element, Newer, actions, button, message, sections, table
from bot.slack.render.facts import Fact
from bot.slack.render.icons import Icon
from bot.slack.render.mrkdwn import bold, mrkdwn
from bot.slack.render.page import at_hand, lines, notification

_FEW, _MANY = 5, 30
_BY_LOCK = frozenset({AlertKind.AGED, AlertKind.DEAD_RUN})


def alerts_message(bulletin: Bulletin) -> Message:
    """One alert in full; of several a line each, the open ones first."""
    if len(bulletin.alerts) > 1:
        return _digest(bulletin.alerts)
    (alert,) = bulletin.alerts
    (news,) = at_hand([_news(alert.concern, alert.raised_at)], alert.raised_at)
    if not alert.is_open:
        return _over(alert, news)
    label = news.label if isinstance(news.label, tuple) else (news.label,)
    head = Fact(("Reminder: ", *label), news.phrase, Icon.ALERT) if bulletin.is_again else news
    told = [head, *at_hand(_course(alert), alert.raised_at)]
    return message(notification(head), sections(lines(told), budget=6_000), _buttons(alert))


def _over(alert: Alert, news: Fact) -> Message:
    """The same message, struck through, with how it ended."""
    ended = _end(alert)
    shown = f"{Icon.GOOD.code} ~{bold(news.label)[1:-1]}~ {mrkdwn(ended)}"
    return message(f"Over: {notification(Fact(news.label))} {mrkdwn(ended)}", sections([shown]))


def _end(alert: Alert) -> Phrase:
    at = alert.resolved_at or alert.raised_at
    lasted = max(timedelta(0), at - alert.concern.since)
    after: Phrase = () if alert.concern.is_change else (", after ", lasted)
    how = alert.outcome or Outcome.QUIET
    (ended,) = at_hand([Fact("", (at,))], alert.raised_at)
    if how is Outcome.FREE:
        return ("Unlocked at ", *ended.phrase, *after, ".")
    return ("Over at ", *ended.phrase, f" ({_OUTCOMES[how]})", *after, ".")


_OUTCOMES = {
    Outcome.FREE: "the lock is free",
    Outcome.OTHER_LOCK: "another lock is there now",
    Outcome.GOES_ON: "its run is active again",
    Outcome.ENDED: "the run has ended",
    Outcome.QUIET: "it has stopped",
    Outcome.READ: "the states can be read again",
    Outcome.NOT_CONFIGURED: "it is no longer in the configuration",
}


def _digest(alerts: tuple[Alert, ...]) -> Message:
    ordered = sorted(alerts, key=lambda alert: not alert.is_open)
    still = sum(alert.is_open for alert in alerts)
    counted = Counter(str(alert.concern.kind) for alert in alerts)
    kinds = ", ".join(f"{number} \u00d7 {kind}" for kind, number in counted.most_common())
    opened = "All are over." if not still else f"{still} {'is' if still == 1 else 'are'} still open."
    head = Fact((f"{len(alerts)} alerts at once:",), (f"{kinds}. {opened}",), Icon.ALERT if still else Icon.GOOD)
    more = [f"\u2026 and {len(ordered) - _MANY} more."] if len(ordered) > _MANY else []
    advice = mrkdwn(("All states at a glance: ", facts.command("status"), "."))
    return message(
        notification(head), sections(lines([head])), _rows(ordered[:_MANY]), sections([*more, advice], budget=500)
    )


def _rows(alerts: list[Alert]) -> Newer:
    """A row for each alert; or a line."""
    told = []
    for alert in alerts:
        (news,) = at_hand([_news(alert.concern, alert.raised_at)], alert.raised_at)
        over: Phrase = () if alert.is_open else (" ", *_end(alert))
        told.append(Fact(news.label, (*news.phrase, *over), Icon.ALERT if alert.is_open else Icon.GOOD))
    return table(
        ("State", "What", "For", "Run"), [_cells(alert) for alert in alerts], sections(lines(told), budget=8_500)
    )


def _cells(alert: Alert) -> list[Cell]:
    concern = alert.concern
    what = str(concern.kind) if alert.is_open else f"over: {concern.kind}"
    named = ", ".join(concern.states[:_FEW]) or concern.subject
    subject = concern.subject if concern.kind in {AlertKind.LOOP, AlertKind.THROTTLED, AlertKind.UNREAD} else ""
    until = alert.resolved_at or alert.raised_at
    lasted = "not known" if concern.is_change else duration(max(timedelta(0), until - concern.since))
    return [named, f"{what}: {subject}" if subject else what, lasted, Linked(concern.run, concern.url or None)]


def _news(concern: Concern, now: datetime) -> Fact:
    """What is the matter, in one sentence in bold, and the facts."""
    run, name = Linked(concern.run, concern.url or None), concern.subject
    lasted = max(timedelta(0), now - concern.since)
    match concern.kind:
        case AlertKind.AGED:
            head: Phrase = (f"{name} has been locked for ", lasted, " (since ", concern.since, ").")
            words: Phrase = ()
            if concern.is_change:
                head = (f"{name} is locked.",)
                words = (f" {facts.SINCE_UNKNOWN}. The store only says that it last changed ", lasted, " ago.")
            return Fact(head, words, Icon.ALERT)
        case AlertKind.DEAD_RUN:
            how = f" {ENDED.get(concern.ended or None, concern.ended)}"
            at: Phrase = (" at ", concern.ended_at) if concern.ended_at else ()
            old: Phrase = (f". {facts.SINCE_UNKNOWN}.",) if concern.is_change else ("; the lock is ", lasted, " old.")
            words = (run, how, *at, *old)
            return Fact((f"{name} is locked by a dead run.",), (" ", *words), Icon.ALERT)
        case AlertKind.LOOP:
            often: Phrase = (f" {concern.starts} starts since ", concern.since, ", for ", *_states(concern), ".")
            return Fact((Quoted(name), " is stuck in a loop."), often, Icon.ALERT)
        case AlertKind.THROTTLED:
            words = (" Terraform can't read or take locks right now. The locks themselves are fine.",)
            return Fact(("DynamoDB is throttling the lock table of ", *_states(concern), "."), words, Icon.ALERT)
        case AlertKind.UNREAD:
            words = (
                " ",
                Quoted(name),
                ". What holds their locks isn't known meanwhile, and nothing is released there.",
            )
            return Fact(("tflock can't read the locks of ", *_states(concern), "."), words, Icon.ALERT)
        case AlertKind.OVERDUE:
            usual = concern.usual or timedelta(0)
            words = (" ", run, " has taken ", lasted, " so far, usually about ", usual, ".")
            return Fact((f"The run holding {name}'s lock is slow.",), words, Icon.ALERT)


def _states(concern: Concern) -> Phrase:
    few = joined([(name,) for name in concern.states[:_FEW]])
    more = len(concern.states) + concern.more - len(concern.states[:_FEW])
    return (*few, f" and {more} more states") if more > 0 else few


def _course(alert: Alert) -> Iterable[Fact]:
    if alert.concern.kind is AlertKind.LOOP and alert.concern.who:
        yield Fact("Started by:", (Quoted(alert.concern.who), "."))
    if alert.concern.kind is AlertKind.THROTTLED:
        yield Fact("Table:", (Quoted(alert.concern.subject), "."))
    if alert.snoozed_until is not None:
        who = Person(alert.snoozed_by, "")
        yield Fact(
            "Snoozed", (" by ", who, " until ", alert.snoozed_until, ". It comes back if nothing has changed by then.")
        )


def _buttons(alert: Alert) -> list[Element]:
    """The next step first."""
    concern = alert.concern
    if not concern.state:
        return []
    value = ButtonValue(concern.state, concern.lock_id, concern.id)
    details = button("Details", "alert.status", value)
    first: Element | None = None
    if concern.kind in _BY_LOCK:
        first = button("Unlock\u2026", "alert.unlock", value, style="primary")
    elif concern.kind in _KILLS:
        first = button(_KILLS[concern.kind], "alert.kill", value, style="primary")
    return actions(
        first,
        details,
        button("Owner", "alert.who", value) if concern.lock_id else None,
        button("End the run\u2026", "alert.kill", value) if concern.kind is AlertKind.OVERDUE else None,
        button("Snooze 1 h", "alert.snooze", value) if alert.snoozed_until is None else None,
    )


_KILLS = {AlertKind.LOOP: "Stop the loop\u2026", AlertKind.THROTTLED: "Find what's flooding it\u2026"}
