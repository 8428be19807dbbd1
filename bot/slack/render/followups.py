"""The follow-ups below an export's summary: each with its reason, what to do, and the button that files it."""

from __future__ import annotations

from bot.core.account.values import FollowUp
from bot.core.phrase import Linked, Phrase, Quoted
from bot.core.reports.button import ButtonValue
from bot.core.reports.followups import FollowUpsReport
from bot.ports.messenger import Message
from bot.slack.render.blocks import Block, actions, button, context, message, sections
from bot.slack.render.icons import Icon
from bot.slack.render.mrkdwn import bold, mrkdwn, unmarked

FILE = "followup.file"

_MOST = 12
_BUDGET = 9_000
_REASON, _STEP = 500, 300


def followups_message(report: FollowUpsReport) -> Message:
    """All of them in one message; or, where a newer message has replaced it, one line that leads there."""
    name = unmarked(report.incident.title or report.incident.id, 200)
    if report.moved:
        link: Phrase = (Linked("the newer message", report.moved), ".")
        return message(
            f"The follow-ups of {name} have moved.", sections([f"The follow-ups of {name} are in {mrkdwn(link)}"])
        )
    shown = report.followups[:_MOST]
    room = _BUDGET // max(1, len(shown))
    rows = [block for followup in shown for block in _followup(report, followup, room)]
    count, more = len(report.followups), len(report.followups) - _MOST
    how: Phrase = ("To file them as tickets with a click, set ", Quoted("tickets"), " in the configuration.")
    return message(
        f"{count} follow-up{'' if count == 1 else 's'} for {name}.",
        sections([bold(f"Follow-ups of {report.incident.title or report.incident.id}")]),
        rows,
        context(
            f"{more} more are in the export's files." if more > 0 else "",
            "" if report.system else mrkdwn(how),
        ),
    )


def _followup(report: FollowUpsReport, followup: FollowUp, room: int) -> list[Block]:
    lines = [bold(followup.title), *([mrkdwn(followup.reason, most=_REASON)] if followup.reason else [])]
    lines += [f"• {mrkdwn(step, most=_STEP)}" for step in followup.todo]
    if followup.ticket:
        link: Phrase = (Linked(f"the ticket in {report.system or 'the ticket system'}", followup.ticket), ".")
        lines.insert(1, f"{Icon.TICKET.code} Filed: {mrkdwn(link)}")
    file = button("File a ticket", FILE, ButtonValue("", "", report.incident.id, followup.key))
    return [*sections(lines, budget=room), *actions(None if followup.ticket or not report.system else file)]
