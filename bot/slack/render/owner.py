"""The DM to the owner of a lock, with its three answers."""

from __future__ import annotations

from collections.abc import Iterable

from bot.core.button import ButtonValue
from bot.core.people import OwnerSays
from bot.core.phrase import Person, Phrase
from bot.core.report import OwnerLetter, OwnerNews
from bot.slack.render import facts
from bot.slack.render.blocks import Confirm, Element, Message, actions, button, context, message, sections
from bot.slack.render.facts import Fact, Mark
from bot.slack.render.mrkdwn import channel, mrkdwn
from bot.slack.render.page import lines, notification

_SAID = {
    OwnerSays.DEAD: "You said that it is dead. The bot still checks everything else before it unlocks.",
    OwnerSays.RUNNING: "You said that it is still running. The lock stays until you say otherwise.",
    OwnerSays.LATER: "You asked for time. The bot waits for you only if the lock is held from a person's machine.",
}


def letter_message(letter: OwnerLetter) -> Message:
    """What is wanted, by whom and where. Once it is answered, what was said stands in place of the buttons."""
    told = list(_words(letter))
    return message(
        notification(told[0]),
        sections(lines(told), budget=6_000),
        context(mrkdwn(facts.lock_id(letter.lock)), channel(letter.channel)),
        actions(*_buttons(letter)),
    )


def _words(letter: OwnerLetter) -> Iterable[Fact]:
    yield _news(letter)
    lock = letter.lock
    holder: Phrase = (*facts.who(lock), ", for ", *facts.operation(lock), ", since ", lock.created, ".")
    yield Fact("Lock:", holder)
    if letter.run is not None:
        yield Fact("Your run:", (*facts.going(letter.run), "."))
    if letter.answer is not None:
        yield Fact("Your answer:", (_SAID[letter.answer.says], " (", letter.answer.at, ")"), Mark.GOOD)
    elif letter.news is OwnerNews.RELEASED:
        yield Fact("Next:", _after_release(letter))
    else:
        yield Fact("Is it still running?", ("Your answer counts for this lock only.",))


def _news(letter: OwnerLetter) -> Fact:
    name, asker = letter.state.name, Person(letter.asker, "")
    match letter.news:
        case OwnerNews.ASKED:
            return Fact(f"Your lock of {name} blocks others:", (asker, " asks about it."), Mark.LOCKED)
        case OwnerNews.UNLOCK_WANTED:
            return Fact(f"Your lock of {name} may be released:", (asker, " wants to unlock it."), Mark.LOCKED)
        case OwnerNews.RELEASED:
            return Fact(f"Your lock of {name} was released", (" for ", asker, "."), Mark.FREE)


def _after_release(letter: OwnerLetter) -> Phrase:
    if letter.lock.operation == "OperationTypeApply":
        return ("nothing was undone. Before you apply again, run a plan: the state may lag behind what is there.",)
    return ("nothing to do. If your run goes on after all, end it: it has no lock any more.",)


def _buttons(letter: OwnerLetter) -> list[Element | None]:
    if letter.answer is not None or letter.news is OwnerNews.RELEASED:
        return []
    value = ButtonValue(letter.state.name, letter.lock.id, letter.request)
    sure = Confirm(
        "Is it really dead?",
        "If it still runs and the lock is released, two writers can break the state.",
        "Yes, it is dead",
        "No",
    )
    return [
        button("It's dead, go ahead", "owner.dead", value, style="danger", confirm=sure),
        button("It's still running", "owner.running", value, style="primary"),
        button("Ask me later", "owner.later", value),
    ]
