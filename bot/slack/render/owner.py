"""The message to the owner of a lock with its three answers, and the nudge below it when it says something new."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from bot.core.lock import APPLY
from bot.core.people import BOT, OwnerSays
from bot.core.phrase import Linked, Person, Phrase, Quoted, near
from bot.core.reports.button import ButtonValue
from bot.core.reports.owner_message import HolderRun, Nudge, OwnerMessage, OwnerMessageStatus, OwnerNews
from bot.core.run import ENDED, Phase
from bot.ports.messenger import Message
from bot.slack.render import facts
from bot.slack.render.blocks import Confirm, Element, actions, button, context, message, sections
from bot.slack.render.facts import Fact
from bot.slack.render.icons import Icon
from bot.slack.render.mrkdwn import channel, mrkdwn
from bot.slack.render.page import at_hand, lines, notification

_SAID = {
    OwnerSays.DEAD: "You said: it's dead",
    OwnerSays.RUNNING: "You said: it's still running",
    OwnerSays.LATER: "You said: ask me later",
}
_MEANS = {
    OwnerSays.DEAD: "Everything else is still checked before the lock is released.",
    OwnerSays.RUNNING: "Nobody can unlock {} until you withdraw that. Only where it's certain which run holds the lock "
    "does that run's end count too, once CI reports it.",
    OwnerSays.LATER: "We'll ask again in 10 minutes. Until then the other checks decide.",
}
_REQUESTS = frozenset({OwnerNews.ASKED, OwnerNews.UNLOCK_WANTED})
_SHORT_ID = 8
_AFTER_APPLY: Phrase = (
    "Nothing was undone. Run ",
    Quoted("terraform plan"),
    " before you apply again: the state may be out of date.",
)
_AFTER_OTHERS: Phrase = ("If your run is still active after all, end it: it no longer has the lock.",)


def owner_message(report: OwnerMessage) -> Message:
    """What is asked, by whom and where; what the owner answered, and what they can still answer."""
    now = report.history[-1].at if report.history else report.lock.created
    told = at_hand(_words(report), now)
    says = None if report.answer is None else report.answer.says
    is_open = report.news is not OwnerNews.RELEASED and report.status is not OwnerMessageStatus.GONE
    value = ButtonValue(report.state.name, report.lock.id, report.request)
    may_answer = report.status is not OwnerMessageStatus.MOVED or says is OwnerSays.RUNNING
    return message(
        notification(told[0]),
        sections(lines(told), budget=6_000),
        actions(*(answer_buttons(value, says) if is_open and may_answer else [])),
        context(" · ".join(filter(None, _small(report, now)))),
    )


def _small(report: OwnerMessage, now: datetime) -> Iterable[str]:
    """Where it was asked for, which lock it is, and how often it was asked."""
    yield channel(report.channel)
    yield mrkdwn(("lock ", Quoted(report.lock.id[:_SHORT_ID]), " of ", *facts.who(report.lock)))
    # with a request goes what else it showed, which is no other request
    asked = [told.at for told in report.history if told.by and told.news in _REQUESTS]
    if len(asked) > 1:
        yield mrkdwn((f"{len(asked)} requests so far, latest ", *near((asked[-1],), now)))
    yield mrkdwn((Linked("the request", report.link),)) if report.link else ""


def nudge_message(nudge: Nudge) -> Message:
    """One line that Slack notifies the owner of: it names them. What they can do is in the message above."""
    phrase: Phrase = (Person(nudge.owner, ""), " ", *_nudge(nudge.message))
    text = mrkdwn(phrase)
    return message(text, sections([text]))


def _nudge(report: OwnerMessage) -> Phrase:
    name, asker = report.state.name, Person(report.asker, "")
    if report.news is OwnerNews.RELEASED:
        return (f"your lock on {name} is released: ", asker, " unlocked it. There is nothing left to answer.")
    if report.news is OwnerNews.UNLOCK_WANTED and report.asker == BOT:
        return (f"your lock on {name} will be released automatically. Is your run dead? Please answer above.",)
    if report.news is OwnerNews.UNLOCK_WANTED:
        return (asker, f" wants to unlock {name}. Is your run dead? Please answer above.")
    return (f"you asked for time: is your run on {name} dead? Please answer above.",)


def _words(report: OwnerMessage) -> Iterable[Fact]:
    is_over = report.news is OwnerNews.RELEASED or report.status is OwnerMessageStatus.GONE
    yield _headline(report)
    if report.run is not None:
        yield Fact("", (*_run(report.run), *_because(report)))
    else:
        lock = report.lock
        purpose: Phrase = (" for ", *facts.operation(lock.operation)) if lock.operation else ()
        held: Phrase = (*facts.who(lock), " took it", *purpose)
        held = (*held, " at ", lock.created) if lock.is_since_known else held
        yield Fact("", (*held, *_because(report)))
    if report.disturbs and report.status is OwnerMessageStatus.OPEN:
        why = f"{report.state.name} is protected, so we tell you at once."
        yield Fact("You are on do-not-disturb:", (why,))
    if report.answer is not None and not is_over:
        means = _MEANS[report.answer.says].format(report.state.name)
        yield Fact(_SAID[report.answer.says], (" (", report.answer.at, f"). {means}"))
    yield from _end(report)


def _headline(report: OwnerMessage) -> Fact:
    name, asker = report.state.name, Person(report.asker, "")
    if report.status is OwnerMessageStatus.MOVED:
        words: Phrase = (f"The lock on {name} now appears to belong to someone else.",)
        return Fact(words, (), Icon.UNKNOWN)
    if report.status is OwnerMessageStatus.GONE and report.news is not OwnerNews.RELEASED:
        return Fact((f"Your lock on {name} is gone.",), (" tflock did not release it.",), Icon.FREE)
    if report.news is OwnerNews.RELEASED:
        return Fact((f"Your lock on {name} was released",), (" for ", asker, "."), Icon.FREE)
    if report.news is OwnerNews.UNLOCK_WANTED and report.asker == BOT:
        keep = " Say that it's still running to keep it."
        return Fact((f"Your lock on {name} will be released automatically without an answer.",), (keep,), Icon.LOCKED)
    return Fact((_QUESTION[_fate(report.run)].format(name),), (), Icon.LOCKED)


_QUESTION = {
    True: "Your run still holds the lock on {}. Is it dead?",
    False: "Your run holds the lock on {}. Is it still running?",
    None: "You hold the lock on {}. Is it still running?",
}


def _fate(run: HolderRun | None) -> bool | None:
    """Whether the run has ended; None without a run."""
    return None if run is None else run.phase is Phase.ENDED


def _run(run: HolderRun) -> Phrase:
    name = Linked(run.title, run.url or None)
    if run.phase is not Phase.ENDED:
        return (name, f" is {facts.PHASES[run.phase]}")
    at: Phrase = (" at ", run.ended_at) if run.ended_at else ()
    return (name, f" {ENDED[run.conclusion]}", *at)


def _because(report: OwnerMessage) -> Phrase:
    """Why the owner is asked, to continue the sentence about the run."""
    if report.status is not OwnerMessageStatus.OPEN or report.news is OwnerNews.RELEASED or report.asker == BOT:
        return (".",)
    asker: Phrase = (Person(report.asker, ""),) if report.asker else ("Someone",)
    match report.news:
        case OwnerNews.UNLOCK_WANTED:
            return (", and ", *asker, f" wants to unlock {report.state.name}.")
        case OwnerNews.BLOCKS:
            waiting = facts.runs(report.waiting) if report.waiting else "others"
            wait = f", and {waiting} {'is' if report.waiting == 1 else 'are'} waiting for it."
            return (wait, *((" ", *asker, " asked about it.") if report.asker else ()))
        case _:
            return (", and ", *asker, " asked about it.") if report.asker else (".",)


def _end(report: OwnerMessage) -> Iterable[Fact]:
    if report.news is OwnerNews.RELEASED:
        yield Fact("", _AFTER_APPLY if report.lock.operation == APPLY else _AFTER_OTHERS)
    elif report.status is OwnerMessageStatus.MOVED and report.answer and report.answer.says is OwnerSays.RUNNING:
        keeps = "Your answer still keeps it locked. Withdraw it if the run has ended, or is not yours."
        yield Fact("Next:", (keeps,))
    elif report.status is not OwnerMessageStatus.OPEN:
        yield Fact("", ("There is nothing for you to do.",))


def answer_buttons(value: ButtonValue, says: OwnerSays | None) -> list[Element | None]:
    """What owners can answer about their lock, by what they said last."""
    if says is OwnerSays.RUNNING:
        return [button("It has ended", "owner.undo", value)]
    sure = Confirm(
        "Is it really dead?",
        "If it still runs and the lock is released, two writers can break the state.",
        "Yes, it's dead",
        "No",
    )
    dead = button("It's dead, go ahead", "owner.dead", value, style="danger", confirm=sure)
    running = button("It's still running", "owner.running", value, style="primary")
    later = button("Ask me in 10 min", "owner.later", value)
    return {OwnerSays.DEAD: [running], OwnerSays.LATER: [dead, running], None: [dead, running, later]}[says]
