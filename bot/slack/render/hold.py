"""The message of a hold, from the asking to its end."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from bot.core.phrase import Person, Phrase, Quoted, duration
from bot.core.reports.button import ButtonValue
from bot.core.reports.hold import APPROVE, LIFT, PROLONG, Hold, HoldEnd, HoldReport, HoldStage
from bot.ports.messenger import Message
from bot.slack.render.blocks import Confirm, Element, actions, button, context, message, sections
from bot.slack.render.facts import Fact, command
from bot.slack.render.icons import Icon
from bot.slack.render.mrkdwn import flat, mrkdwn
from bot.slack.render.page import at_hand, dotted, lines, notification, sentence

_FREE: Phrase = ("Everyone's Terraform can take the lock again.",)


def hold_message(report: HoldReport) -> Message:
    """The answer first: is the state held, by whom, until when."""
    hold = report.hold
    told = at_hand(_WORDS[report.stage](report), hold.asked_at)
    is_named = report.stage is HoldStage.HELD and not report.lift_by  # by the command to end it
    named: Phrase = ("lock ", Quoted(hold.lock_id)) if hold.lock_id and not is_named else ()
    small = dotted((*_asker(hold), " asked"), named, ("hold ", Quoted(hold.id)))
    return message(
        notification(told[0]), sections(lines(told), budget=3_000), actions(*_buttons(report)),
        context(mrkdwn(small, most=400)),
    )  # fmt: skip


def _asker(hold: Hold) -> Phrase:
    return (Person(hold.user, ""),) if hold.user else ("someone",)


def _placing(report: HoldReport) -> Iterable[Fact]:
    yield Fact((f"Taking the lock of {report.hold.state} …",), (), Icon.WAIT)
    yield from _why(report)
    yield from _note(report)


def _held(report: HoldReport) -> Iterable[Fact]:
    hold = report.hold
    yield Fact((f"{hold.state} is held by ", *_asker(hold), " until ", hold.until, "."), (), Icon.LOCKED)
    yield from _why(report)
    if report.lift_by and report.lift_until is not None:
        until: Phrase = (" Another member has to agree until ", report.lift_until, ".")
        yield Fact("", (Person(report.lift_by, ""), " wants to end it.", *until), Icon.APPROVAL)
    else:
        yield Fact("", ("Nobody can apply: everyone's Terraform prints this. It ends at its time.",))
        by_hand = Quoted(f"terraform force-unlock {hold.lock_id}")
        yield Fact("To end it now:", (command(f"hold {hold.state} off"), ", or ", by_hand, "."))
    yield from _note(report)


def _ending(report: HoldReport) -> Iterable[Fact]:
    yield Fact((f"The hold of {report.hold.state} is ending …",), (), Icon.WAIT)
    yield from _note(report)
    if report.note:
        by_hand = Quoted(f"terraform force-unlock {report.hold.lock_id}")
        yield Fact("", ("The state is still held; tflock keeps trying. By hand: ", by_hand, "."))


def _ended(report: HoldReport) -> Iterable[Fact]:
    hold = report.hold
    yield Fact((f"{hold.state} is no longer held.",), (" ", *_how(report)), Icon.FREE)
    if report.end is HoldEnd.OUTSIDE:
        yield Fact("Next:", ("See what is there now: ", command(f"status {hold.state}"), "."))
    elif report.end is not HoldEnd.NOT_CONFIGURED:
        yield Fact("", _FREE)
    yield from _note(report)


def _how(report: HoldReport) -> Phrase:
    agreed: Phrase = (", and ", Person(report.approver, ""), " agreed") if report.approver else ()
    match report.end:
        case HoldEnd.LIFTED:
            return (Person(report.by, ""), " ended it", *agreed, ".")
        case HoldEnd.RIGHTS:
            return (*_asker(report.hold), " may no longer hold it.")
        case HoldEnd.OUTSIDE:
            return ("Someone ended it outside tflock (force-unlock).",)
        case HoldEnd.NOT_CONFIGURED:
            return ("The state is no longer in the configuration.",)
        case _:
            return ("Its time is over.",)


def _not_placed(report: HoldReport) -> Iterable[Fact]:
    yield Fact((f"{report.hold.state} is not held.",), (" Nothing was changed.",), Icon.BAD)
    yield from _note(report)
    yield Fact("Next:", ("See what is there now: ", command(f"status {report.hold.state}"), "."))


_WORDS: Mapping[HoldStage, Callable[[HoldReport], Iterable[Fact]]] = {
    HoldStage.PLACING: _placing,
    HoldStage.HELD: _held,
    HoldStage.ENDING: _ending,
    HoldStage.ENDED: _ended,
    HoldStage.NOT_PLACED: _not_placed,
}
"""Every stage, with its words; a test holds it complete."""


def _why(report: HoldReport) -> Iterable[Fact]:
    if report.hold.reason:
        yield Fact("Why:", (Quoted(report.hold.reason), "."))


def _note(report: HoldReport) -> Iterable[Fact]:
    if report.note:
        yield Fact("", sentence(report.note))


def _buttons(report: HoldReport) -> list[Element | None]:
    hold = report.hold
    value = ButtonValue(hold.state, "", hold.id)
    if report.stage is not HoldStage.HELD:
        return []
    name = flat(hold.state, 60)
    sure = Confirm(f"End the hold of {name}?", "Everyone's Terraform can take the lock again.", "End it")
    prolong = button(f"Prolong by {duration(hold.span)}", PROLONG, value) if hold.user else None
    if not report.lift_by:
        return [prolong, button("End the hold", LIFT, value, confirm=sure)]
    agree = ButtonValue(hold.state, "", hold.id, report.lift_by)
    return [button("Agree and end the hold", APPROVE, agree, style="danger", confirm=sure), prolong]
