"""The same facts as plain lines, for the command line. A terminal interprets nothing in them."""

from __future__ import annotations

from collections.abc import Iterable

from bot.core.phrase import one_line, plain
from bot.core.reports.report import Overview, StatusReport
from bot.core.reports.who import WhoReport
from bot.slack.render.document import to_json
from bot.slack.render.facts import Fact
from bot.slack.render.page import spoken
from bot.slack.render.status import answer, counted, details, looked, overview_facts
from bot.slack.render.verdict import checklist
from bot.slack.render.who import who_facts

__all__ = ["overview_lines", "status_lines", "to_json", "who_lines"]


def status_lines(report: StatusReport) -> list[str]:
    """Headline and verdict, the facts, the checklist, one line each."""
    checks = [] if report.verdict is None else ["", "Checklist", *_lines(checklist(report.verdict))]
    return [*_lines(answer(report)), "", *_lines(details(report)), *checks, "", plain(looked(report.inspection))]


def who_lines(report: WhoReport) -> list[str]:
    return _lines(who_facts(report))


def overview_lines(overview: Overview) -> list[str]:
    """A line for each state, all of them."""
    away = "Unlock: refused, because the timeline cannot be reached (Redis is away). Reading still works."
    return [counted(overview), *([away] if overview.journal_away else []), "", *_lines(overview_facts(overview))]


def _lines(facts: Iterable[Fact]) -> list[str]:
    return [f"{fact.icon.sign or ' '} {one_line(plain(spoken(fact)))}".rstrip() for fact in facts]
