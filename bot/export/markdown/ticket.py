"""A follow-up's ticket in Markdown, as GitHub and GitLab read it: nothing that others wrote is markup or a mention.

No line begins with what others wrote: GitLab takes a line that begins with `/close` for an order
(docs.gitlab.com/user/project/quick_actions).
"""

from __future__ import annotations

from bot.core.account.ticket import Ticket
from bot.export.markdown.text import escaped, said


def ticket_markdown(ticket: Ticket) -> str:
    """The text of the issue. Its first line is the comment by which it is found again."""
    steps = [f"{number}. {said(step, ticket.names)}" for number, step in enumerate(ticket.todo, 1)]
    facts = [f"- {escaped(label)} {said(phrase, ticket.names)}" for label, phrase in ticket.facts]
    parts = [
        f"<!-- {ticket.marker} -->",
        f"**Why:** {said(ticket.reason, ticket.names)}",
        *(["### What to do", "\n".join(steps)] if steps else []),
        *(["### The incident", "\n".join(facts)] if facts else []),
    ]
    return "\n\n".join(parts) + "\n"
