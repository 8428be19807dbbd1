"""What a workflow's step says in the channel: what it wants, the checklist, and the button that a person presses."""

from __future__ import annotations

from collections.abc import Iterable

from bot.core.phrase import Person, Phrase, Quoted
from bot.core.reports.button import ButtonValue
from bot.core.reports.step import StepReport, StepStage
from bot.ports.messenger import Message
from bot.slack.render import facts
from bot.slack.render.blocks import Element, actions, button, message, sections
from bot.slack.render.facts import Fact, Mark
from bot.slack.render.page import CHECK, lines, notification
from bot.slack.render.verdict import checklist, ruling

ARM = "step.arm"

_NEXT = (
    "a member of this channel presses the button. It is then his request, and the workflow waits for its end. "
    "Nothing was changed yet."
)


def step_message(report: StepReport) -> Message:
    """Once somebody took it on, or it is over, that stands in place of the checklist and the button."""
    told = list(_words(report))
    checks = lines(checklist(report.verdict), most=CHECK) if _is_asking(report) and report.verdict is not None else []
    title = ["*Checklist*"] if checks else []
    return message(
        notification(told[0]),
        sections(lines(told), budget=4_000),
        sections([*title, *checks], budget=5_000),
        actions(_arm(report)),
    )


def _is_asking(report: StepReport) -> bool:
    return report.stage is StepStage.OPEN


def _words(report: StepReport) -> Iterable[Fact]:
    why: Phrase = (": ", Quoted(report.reason)) if report.reason else (".",)
    mark = Mark.WAIT if _is_asking(report) else Mark.NONE
    yield Fact(f"A workflow wants {report.state} unlocked when it is safe", why, mark)
    match report.stage:
        case StepStage.OPEN:
            yield from _lock(report)
            yield Fact("Next:", (_NEXT,))
        case StepStage.TAKEN:
            yield Fact("Taken on", (" by ", Person(report.by, ""), ". The request below shows how it goes."), Mark.GOOD)
        case StepStage.SUCCEEDED:
            yield Fact("Done:", (report.note, ". The workflow goes on."), Mark.GOOD)
        case StepStage.FAILED:
            yield Fact("Over:", (report.note, ". The workflow stops here."), Mark.BAD)


def _lock(report: StepReport) -> Iterable[Fact]:
    if report.inspection is not None:
        yield facts.headline(report.inspection)
    if report.verdict is not None:
        yield ruling(report.verdict, "By the checks so far:")


def _arm(report: StepReport) -> Element | None:
    if not _is_asking(report) or not report.lock_id:
        return None
    value = ButtonValue(report.state, report.lock_id, report.execution)
    return button("Unlock when it is safe", ARM, value, style="primary")
