"""What a workflow's step says in the channel: what it wants, the checklist, and the button that a person presses."""

from __future__ import annotations

from collections.abc import Iterable

from bot.core.phrase import Person, Phrase, Quoted
from bot.core.reports.button import ButtonValue
from bot.core.reports.step import StepReport, StepStage
from bot.ports.messenger import Message
from bot.slack.render import facts
from bot.slack.render.blocks import actions, button, message, sections
from bot.slack.render.facts import Fact, Icon
from bot.slack.render.page import CHECK, lines, notification
from bot.slack.render.verdict import checklist, ruling

ARM = "step.arm"

_NEXT = (
    "a member of this channel presses the button. It is then their request, and the workflow waits for its end. "
    "Nothing was changed yet."
)


def step_message(report: StepReport) -> Message:
    """The checklist and the button are there until somebody takes it on, or it is over."""
    told, is_asking = list(_words(report)), report.stage is StepStage.OPEN
    checks = lines(checklist(report.verdict), most=CHECK) if is_asking and report.verdict is not None else []
    title = ["*Checklist*"] if checks else []
    value = ButtonValue(report.state, report.lock_id, report.execution)
    arm = button("Unlock when it is safe", ARM, value, style="primary") if is_asking and report.lock_id else None
    return message(
        notification(told[0]),
        sections(lines(told), budget=4_000),
        sections([*title, *checks], budget=5_000),
        actions(arm),
    )


def _words(report: StepReport) -> Iterable[Fact]:
    why: Phrase = (": ", Quoted(report.reason)) if report.reason else (".",)
    mark = Icon.WAIT if report.stage is StepStage.OPEN else Icon.NONE
    yield Fact(f"A workflow wants {report.state} unlocked when it is safe", why, mark)
    match report.stage:
        case StepStage.OPEN:
            if report.inspection is not None:
                yield facts.headline(report.inspection)
            if report.verdict is not None:
                yield ruling(report.verdict, "By the checks so far:")
            yield Fact("Next:", (_NEXT,))
        case StepStage.TAKEN:
            yield Fact("Taken on", (" by ", Person(report.by, ""), ". The request below shows how it goes."), Icon.GOOD)
        case StepStage.SUCCEEDED:
            yield Fact("Done:", (report.note, ". The workflow goes on."), Icon.GOOD)
        case StepStage.FAILED:
            yield Fact("Over:", (report.note, ". The workflow stops here."), Icon.BAD)
