"""Short answers: errors, refusals of a command, usage, did-you-mean."""

from __future__ import annotations

from bot.core.phrase import Phrase, Quoted
from bot.core.reports.report import Notice
from bot.slack.render.blocks import Message, context, message, sections
from bot.slack.render.mrkdwn import bold, mrkdwn, unmarked


def notice_message(notice: Notice) -> Message:
    """The headline, the lines, and the id under which the logs tell more."""
    rows = [mrkdwn(words) for words in notice.lines]
    reference: Phrase = ("Reference ", Quoted(notice.reference)) if notice.reference else ()
    return message(
        unmarked(notice.headline, 500) or "Notice",
        sections([bold(notice.headline) or "*Notice*", *[row for row in rows if row]], budget=9_000),
        context(mrkdwn(reference)),
    )
