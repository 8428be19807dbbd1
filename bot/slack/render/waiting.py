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
    """To one person, whom it names."""
    told = list(_free(news))
    if news.ending is not None:
        lasted: Phrase = (" It lasted ", news.waited, ", which is as long as the bot waits.") if news.waited else ()
        told = [
            Fact(f"Your wait for {news.state} has ended,", (Person(news.user, ""), ".", *lasted), Icon.WAIT),
            Fact("Next:", ("press a button to see how it stands, or to go on waiting.",)),
        ]
    check = button("Check", CHECK, ButtonValue(news.state, "", ""))
    again = watch_button(news.state, label="Keep waiting") if news.ending is not None else None
    return message(notification(told[0]), sections(lines(told)), actions(check, again))


def _free(news: QueueNews) -> Iterable[Fact]:
    yield Fact(f"{news.state} is free,", (Person(news.user, ""), "."), Icon.FREE)
    yield Fact("Next:", ("it is your turn. Run what was blocked.",))
    head = duration(news.head_start)
    if news.behind and news.head_start:
        who = "one more waits, and is" if news.behind == 1 else f"{news.behind} more wait; the next one is"
        yield Fact("After you:", (f"{who} told in {head}.",))
    if news.head_start and not news.is_last:
        yield Fact("", (f"If somebody else takes the lock within {head}, you keep your place.",))
    if news.is_last and news.head_start:
        yield Fact(
            "", ("This was the last time that you are told. To wait again: ", command(f"watch {news.state}"), ".")
        )


def watch_message(report: WatchReport) -> Message:
    """The answer to `watch` and to its button, to the asker alone."""
    told = list(_watching(report))
    waits = report.place is not None
    stop = button("Stop waiting", STOP, ButtonValue(report.state, "", "")) if waits else None
    return message(notification(told[0]), sections(lines(told)), actions(stop))


def _watching(report: WatchReport) -> Iterable[Fact]:
    name = report.state
    if report.place is None and report.seen is not None:
        yield Fact(f"{name} is free now,", ("so there is nothing to wait for. Nobody else waits.",), Icon.FREE)
        yield Fact("Next:", ("go on: run what was blocked.",))
    elif report.place is None:
        was = "You do not wait for" if report.was_waiting else "You did not wait for"
        yield Fact(f"{was} {name}", (" any more." if report.was_waiting else ". Nothing was changed.",), Icon.NONE)
        yield Fact("Next:", (command(f"watch {name}"), " puts you at the end of the queue."))
    else:
        yield from _place(report, report.place)


def _place(report: WatchReport, place: int) -> Iterable[Fact]:
    again = " already" if report.was_waiting else ""
    order = "the first" if place == 1 else f"number {place}"
    words = "Nobody else waits." if report.total == 1 else f"You are {order} of {report.total}."
    yield Fact(f"You wait{again} for {report.state} to be free.", (words,), Icon.WAIT)
    waiter = report.waiter
    if report.seen is not None and report.seen.is_free:
        turn = "it is your turn" if place == 1 else "those before you have their turn first"
        yield Fact("Now:", (f"it is free, and {turn}.",), Icon.FREE)
    if waiter is not None:
        where = "in this channel, where the others see the order" if waiter.is_open else "in a direct message"
        yield Fact("You are told", (f"{where}. The bot looks until ", waiter.until, "."))
    if place > 1 and report.head_start > timedelta(0):
        yield Fact("Order:", (f"one after another, each {duration(report.head_start)} after the one before.",))
    yield Fact("Next:", ("nothing to do. ", command(f"watch {report.state} off"), " takes you off."))


def waiting_fact(count: int) -> Iterable[Fact]:
    """How many wait, on the answer that a state is locked."""
    if count:
        words = "1 person is told when it is free." if count == 1 else f"{count} people are told in turn."
        yield Fact("Waiting:", (words,))
