"""What people who wait for a state read: their place, that it is free, that their wait has ended."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from bot.core.phrase import Person, Phrase, duration
from bot.core.reports.button import ButtonValue
from bot.core.reports.waiting import QueueNews, WatchReport
from bot.ports.messenger import Message
from bot.slack.render.blocks import Element, actions, button, message, sections
from bot.slack.render.facts import Fact, command
from bot.slack.render.icons import Icon
from bot.slack.render.page import lines, notification

WATCH, STOP, CHECK = "watch.start", "watch.stop", "watch.check"


def watch_button(state: str, lock_id: str = "", label: str = "Notify me when free") -> Element | None:
    """For every answer that a state is locked."""
    return button(label, WATCH, ButtonValue(state, lock_id, ""))


def queue_message(news: QueueNews) -> Message:
    """To one person, by name."""
    told = list(_free(news))
    if news.ending is not None:
        lasted: Phrase = (" That was ", news.waited, ", which is as long as we wait.") if news.waited else ()
        ended = f"Your wait for {news.state} has ended,"
        told = [Fact(ended, (Person(news.user, ""), ".", *lasted), Icon.WAIT)]
    check = button("Details", CHECK, ButtonValue(news.state, "", ""))
    again = watch_button(news.state, label="Keep waiting") if news.ending is not None else None
    return message(notification(told[0]), sections(lines(told)), actions(again, check))


def _free(news: QueueNews) -> Iterable[Fact]:
    turn: Phrase = (Person(news.user, ""), ". It's your turn: run what was blocked.")
    yield Fact(f"{news.state} is free,", turn, Icon.FREE)
    head = duration(news.head_start)
    if news.behind and news.head_start:
        who = "1 more person is" if news.behind == 1 else f"{news.behind} more people are"
        yield Fact("After you:", (f"{who} waiting. We'll notify the next one in {head}.",))
    if news.head_start and not news.is_last:
        yield Fact("", (f"If someone else takes the lock within {head}, you keep your place.",))
    if news.is_last and news.head_start:
        yield Fact("", ("This is the last reminder. To wait again: ", command(f"watch {news.state}"), "."))


def watch_message(report: WatchReport) -> Message:
    """The answer to `watch` and to its button, to the asker only."""
    told = list(_watching(report))
    waits = report.place is not None
    stop = button("Stop notifying me", STOP, ButtonValue(report.state, "", "")) if waits else None
    return message(notification(told[0]), sections(lines(told)), actions(stop))


def _watching(report: WatchReport) -> Iterable[Fact]:
    name = report.state
    if report.place is None and report.seen is not None:
        yield Fact(f"{name} is free now,", ("so there is nothing to wait for. Run what was blocked.",), Icon.FREE)
    elif report.place is None:
        was = "You are no longer waiting for" if report.was_waiting else "You were not waiting for"
        yield Fact(f"{was} {name}.", (), Icon.NONE)
        yield Fact("Next:", (command(f"watch {name}"), " puts you at the end of the queue."))
    else:
        yield from _place(report, report.place)


def _place(report: WatchReport, place: int) -> Iterable[Fact]:
    again = "already " if report.was_waiting else ""
    order = "first" if place == 1 else f"number {place}"
    words = "Nobody else is waiting." if report.total == 1 else f"You are {order} of {report.total}."
    yield Fact(f"You're {again}waiting for {report.state} to be free.", (words,), Icon.WATCH)
    waiter = report.waiter
    if report.seen is not None and report.seen.is_free:
        turn = "it's your turn" if place == 1 else "those before you have their turn first"
        yield Fact("Now:", (f"it's free, and {turn}.",), Icon.FREE)
    if waiter is not None:
        where = "here, so everyone can see the order" if waiter.is_open else "in a direct message"
        yield Fact("", (f"We'll notify you {where}, until ", waiter.until, "."))
    if place > 1 and report.head_start > timedelta(0):
        yield Fact("", (f"Everyone is notified in order, {duration(report.head_start)} apart.",))


def waiting_fact(count: int) -> Iterable[Fact]:
    """How many wait, on the answer that a state is locked."""
    if count:
        words = (
            "1 person will be notified when it's free." if count == 1 else f"{count} people will be notified in order."
        )
        yield Fact("Waiting:", (words,))
