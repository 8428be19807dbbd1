"""The message to the owner of a lock with its three answers, and the nudge below it when it says something new."""

from __future__ import annotations

from collections.abc import Iterable

from bot.core.lock import APPLY
from bot.core.people import BOT, OwnerSays
from bot.core.phrase import Linked, Person, Phrase
from bot.core.reports.button import ButtonValue
from bot.core.reports.owner_message import HolderRun, Nudge, OwnerMessage, OwnerMessageStatus, OwnerNews
from bot.core.run import Phase
from bot.ports.messenger import Message
from bot.slack.render import facts
from bot.slack.render.blocks import Confirm, Element, actions, button, context, message, sections
from bot.slack.render.facts import Fact
from bot.slack.render.icons import Icon
from bot.slack.render.mrkdwn import channel, mrkdwn
from bot.slack.render.page import lines, notification

_SAID = {
    OwnerSays.DEAD: "It's dead, go ahead. Everything else is still checked before the lock is released.",
    OwnerSays.RUNNING: "It's still running. Nobody can unlock until you take that back. Only if it's certain which run "
    "holds the lock does that run's end count as well, once its CI system has seen it.",
    OwnerSays.LATER: "Ask me later. You are asked again in 10 minutes; until then the other checks decide.",
}
_BY = "by"
_SO_FAR = {
    OwnerNews.ASKED: (_BY, " asked"),
    OwnerNews.BLOCKS: ("others waited",),
    OwnerNews.RUN_DIED: ("your run was seen to have ended",),
    OwnerNews.UNLOCK_WANTED: (_BY, " wanted to unlock"),
    OwnerNews.RELEASED: ("released for ", _BY),
}
"""What an earlier line says; `_BY` is the person who did it."""

_MOST_TOLD = 6
_AFTER_APPLY = "nothing was undone. Before you apply again, run a plan: the state may lag behind what is there."
_AFTER_OTHERS = "nothing to do. If your run goes on after all, end it: it has no lock any more."


def letter_message(letter: OwnerMessage) -> Message:
    """What is asked, by whom and where; what the owner answered, and what they can still answer."""
    told = list(_words(letter))
    request = mrkdwn((Linked("the request", letter.link),)) if letter.link else ""
    says = None if letter.answer is None else letter.answer.says
    is_open = letter.news is not OwnerNews.RELEASED and letter.status is not OwnerMessageStatus.GONE
    value = ButtonValue(letter.state.name, letter.lock.id, letter.request)
    may_answer = letter.status is not OwnerMessageStatus.MOVED or says is OwnerSays.RUNNING
    return message(
        notification(told[0]),
        sections(lines(told), budget=6_000),
        context(mrkdwn(facts.lock_id(letter.lock)), channel(letter.channel), request),
        actions(*(answer_buttons(value, says) if is_open and may_answer else [])),
    )


def nudge_message(nudge: Nudge) -> Message:
    """One line that Slack notifies the owner of: it names them. What they can do is in the message above."""
    phrase: Phrase = (Person(nudge.owner, ""), " ", *_nudge(nudge.letter))
    text = mrkdwn(phrase)
    return message(text, sections([text]))


def _nudge(letter: OwnerMessage) -> Phrase:
    name, asker = letter.state.name, Person(letter.asker, "")
    if letter.news is OwnerNews.RELEASED:
        return (f"your lock of {name} is released; ", asker, " unlocked it. Nothing to answer any more.")
    if letter.news is OwnerNews.UNLOCK_WANTED and letter.asker == BOT:
        return (f"your lock of {name} will be released automatically. Is your run dead? Please answer above.",)
    if letter.news is OwnerNews.UNLOCK_WANTED:
        return (asker, f" wants to unlock {name}. Is your run dead? Please answer above.")
    return (f"you asked for time: is your run on {name} dead? Please answer above.",)


def _words(letter: OwnerMessage) -> Iterable[Fact]:
    yield _headline(letter)
    if letter.disturbs and letter.status is OwnerMessageStatus.OPEN:
        why = f"{letter.state.name} is protected, so you are told at once."
        yield Fact("You are on do-not-disturb:", (why,))
    lock = letter.lock
    yield Fact("Lock:", (*facts.operation(lock.operation), " by ", *facts.who(lock), ", since ", lock.created, "."))
    if letter.run is not None:
        yield Fact("Your run:", (*_run(letter.run), "."))
    if len(letter.history) > 1:
        left_out = len(letter.history) - _MOST_TOLD
        yield Fact("So far:", (f"{left_out} earlier, then",) if left_out > 0 else ())
        for told in letter.history[-_MOST_TOLD:]:
            words = (Person(told.by, "") if part is _BY else part for part in _SO_FAR[told.news])
            yield Fact("", ("• ", told.at, ": ", *words))
    yield from _end(letter)


def _headline(letter: OwnerMessage) -> Fact:  # noqa: PLR0911 - one arm a piece of news
    name, asker = letter.state.name, Person(letter.asker, "")
    if letter.status is OwnerMessageStatus.MOVED:
        return Fact(f"The lock of {name} is not yours", (" by what is known now.",), Icon.UNKNOWN)
    if letter.status is OwnerMessageStatus.GONE and letter.news is not OwnerNews.RELEASED:
        return Fact(f"Your lock of {name} is gone", (": the bot did not release it.",), Icon.FREE)
    asks: Phrase = (asker, " asks about it.") if letter.asker else ()
    match letter.news:
        case OwnerNews.ASKED:
            return Fact(f"Your lock of {name}:", asks or ("it is looked at.",), Icon.LOCKED)
        case OwnerNews.BLOCKS:
            waiting = facts.runs(letter.waiting) if letter.waiting else "others"
            wait = f"{waiting} {'waits' if letter.waiting == 1 else 'wait'} for it"
            return Fact(
                f"Your lock of {name} blocks others:", (wait, *(("; ", *asks) if asks else (".",))), Icon.LOCKED
            )
        case OwnerNews.RUN_DIED:
            return Fact(f"Your run has ended, and still holds the lock of {name}.", asks, Icon.WARNING)
        case OwnerNews.UNLOCK_WANTED if letter.asker == BOT:
            keep = " without an answer. Say that it's still running to keep it."
            return Fact(f"Your lock of {name} will be released automatically", (keep,), Icon.LOCKED)
        case OwnerNews.UNLOCK_WANTED:
            return Fact(f"Your lock of {name} may be released:", (asker, " wants to unlock it."), Icon.LOCKED)
        case OwnerNews.RELEASED:
            return Fact(f"Your lock of {name} was released", (" for ", asker, "."), Icon.FREE)


def _run(run: HolderRun) -> Phrase:
    name = Linked(run.title, run.url or None)
    if run.phase is not Phase.ENDED:
        return (name, f": {facts.PHASES[run.phase]}")
    at: Phrase = (" at ", run.ended_at) if run.ended_at else ()
    return (name, f": ended, {run.conclusion or 'how is not known'}", *at)


def _end(letter: OwnerMessage) -> Iterable[Fact]:
    is_over = letter.news is OwnerNews.RELEASED or letter.status is OwnerMessageStatus.GONE
    if letter.answer is not None and not is_over:
        yield Fact("Your answer:", (_SAID[letter.answer.says], " (", letter.answer.at, ")"), Icon.GOOD)
    if letter.news is OwnerNews.RELEASED:
        yield Fact("Next:", (_AFTER_APPLY if letter.lock.operation == APPLY else _AFTER_OTHERS,))
    elif letter.status is OwnerMessageStatus.MOVED and letter.answer and letter.answer.says is OwnerSays.RUNNING:
        yield Fact("Next:", ("your word still keeps it locked: take it back if it has ended, or is not yours.",))
    elif letter.status is not OwnerMessageStatus.OPEN:
        yield Fact("Next:", ("nothing to do for you.",))
    elif letter.answer is None:
        yield Fact("Is it still running?", ("Your answer counts for this lock only.",))


def answer_buttons(value: ButtonValue, says: OwnerSays | None) -> list[Element | None]:
    """What owners can answer about their lock, by what they said last."""
    if says is OwnerSays.RUNNING:
        return [button("It has ended after all", "owner.undo", value)]
    sure = Confirm(
        "Is it really dead?",
        "If it still runs and the lock is released, two writers can break the state.",
        "Yes, it is dead",
        "No",
    )
    dead = button("It's dead, go ahead", "owner.dead", value, style="danger", confirm=sure)
    running = button("It's still running", "owner.running", value, style="primary")
    later = button("Ask me later", "owner.later", value)
    return {OwnerSays.DEAD: [running], OwnerSays.LATER: [dead, running], None: [dead, running, later]}[says]
