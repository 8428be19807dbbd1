"""Facts as lines of mrkdwn."""

from __future__ import annotations

from collections.abc import Iterable

from bot.core.phrase import Person, Phrase, Quoted
from bot.core.reports.kill import KillRequest
from bot.core.reports.unlock import UnlockRequest
from bot.slack.render.facts import Fact
from bot.slack.render.mrkdwn import LINE, bold, mrkdwn, unmarked

CHECK = 600
_LABEL, _WORDS = 200, 500


def line(fact: Fact, *, most: int = LINE) -> str:
    """A fact as one line: its sign, its label in bold, its words."""
    sign = f":{fact.mark.emoji}:" if fact.mark.emoji else ""
    label = bold(fact.label)
    gap = "" if not fact.phrase or _leans(fact.phrase) else " "
    return f"{sign} {label}{gap}{mrkdwn(fact.phrase, most=most)}".strip()


def spoken(fact: Fact) -> Phrase:
    """A fact as one sentence without signs, for notifications."""
    gap: Phrase = () if not fact.phrase or _leans(fact.phrase) else (" ",)
    return (fact.label, *gap, *fact.phrase) if fact.label else fact.phrase


def notification(fact: Fact) -> str:
    """A fact as one sentence without signs and bold."""
    gap = "" if not fact.phrase or _leans(fact.phrase) or not fact.label else " "
    return f"{unmarked(fact.label, _LABEL)}{gap}{mrkdwn(fact.phrase, most=_WORDS)}".strip()


def lines(facts: Iterable[Fact], *, most: int = LINE) -> list[str]:
    return [line(fact, most=most) for fact in facts]


def _leans(phrase: Phrase) -> bool:
    """Whether the phrase brings its own gap or mark after the label."""
    first = phrase[0]
    return isinstance(first, str) and first.startswith((" ", ": ", ", ", "."))


def sentence(phrase: Phrase) -> Phrase:
    """Words of a use case as a sentence of their own: with a capital letter and a full stop."""
    first, last = phrase[0], phrase[-1]
    begun: Phrase = (first[:1].upper() + first[1:], *phrase[1:]) if isinstance(first, str) else phrase
    return begun if isinstance(last, str) and last.rstrip().endswith((".", "!", "?", "…")) else (*begun, ".")


def asked_by(request: UnlockRequest | KillRequest) -> Phrase:
    """Who wanted it, when and why."""
    why: Phrase = (", because ", Quoted(request.reason)) if request.reason else ()
    return ("Asked by ", Person(request.user, ""), " at ", request.asked_at, *why, ".")
