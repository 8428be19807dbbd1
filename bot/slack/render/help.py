"""The commands, or one of them."""

from __future__ import annotations

from collections.abc import Sequence

from bot.core.phrase import Quoted
from bot.slack.render.blocks import Message, context, message, sections
from bot.slack.render.facts import command as typed
from bot.slack.render.mrkdwn import mrkdwn


def help_message(commands: Sequence[tuple[str, str]], command: str | None = None) -> Message:
    """`commands` are pairs of usage (`status [STATE]`) and summary. With `command` only that one, if it is known."""
    wanted = [pair for pair in commands if pair[0].split(" ")[0] == command] or list(commands)
    rows = [f"{mrkdwn((typed(usage),))}\n{mrkdwn((summary,), most=300)}" for usage, summary in wanted]
    if len(wanted) == 1:
        usage, summary = wanted[0]
        return message(mrkdwn((typed(usage), f": {summary}"), most=500), sections(rows))
    return message(
        mrkdwn((f"What tflock can do: {', '.join(usage.split(' ')[0] for usage, _ in wanted)}.",), most=500),
        sections(["*Who holds the lock, is it dead, and may it be released?*", *rows], budget=9_000),
        context(mrkdwn(("In a thread write ", Quoted("@tflock …"), " in place of ", Quoted("/tflock …"), "."))),
    )
