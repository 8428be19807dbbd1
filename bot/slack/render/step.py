"""What a workflow's step says in the channel: what it wants, the checklist, and the button that a person presses."""

from __future__ import annotations

from collections.abc import Iterable

from bot.core.phrase import Person, Phrase, Quoted
from bot.core.reports.button import ButtonValue
from bot.core.reports.step import StepReport, StepStage
from bot.ports.messenger import Message
from bot.slack.render import facts
from bot.slack.render.blocks import Block, Newer, actions, button, folded, message, sections
from bot.slack.render.facts import Fact
from bot.slack.render.icons import Icon
from bot.slack.render.page import CHECK, lines, notification
from bot.slack.render.status import CHECKLIST
from bot.slack.render.verdict import answer, checklist, in_the_way, tally

ARM = "step.arm"

_NEXT = (
    "Anyone in this channel can press the button. The unlock then runs in their name, and the workflow waits for the "
    "result."
)


def step_message(report: StepReport) -> Message:
    """The checklist and the button are there until someone takes it on, or it is over."""
    told, is_asking = list(_words(report)), report.stage is StepStage.OPEN
    value = ButtonValue(report.state, report.lock_id, report.execution)
    arm = button("Unlock when safe", ARM, value, style="primary") if is_asking and report.lock_id else None
    return message(notification(told[0]), sections(lines(told), budget=4_000), actions(arm), _proof(report))


def _proof(report: StepReport) -> Newer | list[Block]:
    verdict, seen = report.verdict, report.inspection
    if report.stage is not StepStage.OPEN or verdict is None:
        return []
    rows = lines(checklist(verdict), most=CHECK)
    value = ButtonValue(report.state, report.lock_id, "")
    title = tally(verdict, seen.at) if seen is not None else "Checklist"
    return folded(title, rows, show=button("Show checklist", CHECKLIST, value), budget=5_000)


def _words(report: StepReport) -> Iterable[Fact]:
    why: Phrase = (": ", Quoted(report.reason)) if report.reason else (".",)
    mark = Icon.WAIT if report.stage is StepStage.OPEN else Icon.NONE
    yield Fact(f"A workflow wants {report.state} unlocked when it is safe", why, mark)
    match report.stage:
        case StepStage.OPEN:
            if report.inspection is not None and report.verdict is not None:
                yield answer(report.state, report.verdict, report.inspection)
                yield Fact("", facts.held(report.inspection))
            elif report.inspection is not None:
                yield facts.headline(report.inspection)
            if report.verdict is not None:
                yield from in_the_way(report.verdict)
            yield Fact("", (_NEXT,))
        case StepStage.TAKEN:
            taken: Phrase = (" by ", Person(report.by, ""), ". The request below shows how it goes.")
            yield Fact("Taken on", taken, Icon.GOOD)
        case StepStage.SUCCEEDED:
            yield Fact("Done:", (report.note, ". The workflow continues."), Icon.GOOD)
        case StepStage.FAILED:
            yield Fact("Over:", (report.note, ". The workflow stops here."), Icon.BAD)
