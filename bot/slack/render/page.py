"""Facts as lines of mrkdwn, and the plainest messages: a notice, the list of commands."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from bot.core.phrase import Phrase, Quoted, joined, near
from bot.core.reports.report import Notice
from bot.ports.messenger import Message
from bot.slack.render.blocks import actions, button, context, message, sections
from bot.slack.render.facts import Fact, command
from bot.slack.render.mrkdwn import LINE, bold, mrkdwn, unmarked

CHECK = 600
CLOSE_ANYWAY = "incident.close"
_LABEL, _WORDS = 200, 500


def line(fact: Fact, *, most: int = LINE) -> str:
    """A fact as one line: its sign, its label in bold, its words."""
    label = bold(fact.label)
    gap = "" if _leans(fact.phrase) or not label else " "
    return f"{fact.icon.code} {label}{gap}{mrkdwn(fact.phrase, most=most)}".strip()


def spoken(fact: Fact) -> Phrase:
    """A fact as one sentence without signs, for a terminal."""
    label: Phrase = (fact.label,) if isinstance(fact.label, str) else fact.label
    gap: Phrase = () if _leans(fact.phrase) else (" ",)
    return (*label, *gap, *fact.phrase) if fact.label else fact.phrase


def notification(fact: Fact) -> str:
    """A fact as one sentence without signs and bold."""
    gap = "" if _leans(fact.phrase) or not fact.label else " "
    label = unmarked(fact.label, _LABEL) if isinstance(fact.label, str) else bold(fact.label)[1:-1]
    return f"{label}{gap}{mrkdwn(fact.phrase, most=_WORDS)}".strip()


def lines(facts: Iterable[Fact], *, most: int = LINE) -> list[str]:
    return [line(fact, most=most) for fact in facts]


def at_hand(facts: Iterable[Fact], now: datetime) -> list[Fact]:
    """The facts with the instants around `now` as times of day."""
    return [
        replace(
            fact,
            label=fact.label if isinstance(fact.label, str) else near(fact.label, now),
            phrase=near(fact.phrase, now),
        )
        for fact in facts
    ]


def dotted(*parts: Phrase) -> Phrase:
    """Small things side by side, with the first letter large; those without words are left out."""
    told = joined([part for part in parts if part], " · ")
    first = told[0] if told else ""
    return (first[:1].upper() + first[1:], *told[1:]) if isinstance(first, str) and told else told


def _leans(phrase: Phrase) -> bool:
    """Whether the phrase has its own gap or mark after the label; a phrase without words needs none."""
    first = phrase[0] if phrase else " "
    return isinstance(first, str) and first.startswith((" ", ": ", ", ", "."))


def sentence(phrase: Phrase) -> Phrase:
    """Words of a use case as a sentence of their own: with a capital letter and a full stop."""
    first, last = phrase[0], phrase[-1]
    begun: Phrase = (first[:1].upper() + first[1:], *phrase[1:]) if isinstance(first, str) else phrase
    return begun if isinstance(last, str) and last.rstrip().endswith((".", "!", "?", "…")) else (*begun, ".")


def notice_message(notice: Notice) -> Message:
    """A short answer: the headline, the lines, and the id by which to find more in the logs."""
    rows = [mrkdwn(words) for words in notice.lines]
    reference: Phrase = ("Reference ", Quoted(notice.reference)) if notice.reference else ()
    return message(
        unmarked(notice.headline, 500) or "Notice",
        sections([bold(notice.headline) or "*Notice*", *[row for row in rows if row]], budget=9_000),
        actions(*(button(offer.label, offer.action, offer.value) for offer in notice.offers)),
        context(mrkdwn(reference)),
    )


def help_message(
    commands: Sequence[tuple[str, str]],
    only: str | None = None,
    *,
    groups: Mapping[str, str] | None = None,
    parts: Mapping[str, str] | None = None,
) -> Message:
    """The commands, as pairs of usage (`status [STATE]`) and summary, under their `groups` by name where these are
    given. With `only` just that one, if it is known, with its `parts`: each flag or argument with what it does.
    """
    wanted = [pair for pair in commands if _word(pair) == only] or list(commands)
    if len(wanted) == 1:
        usage, summary = wanted[0]
        flags = [f"{mrkdwn((Quoted(flag),))}  {mrkdwn((does,), most=300)}" for flag, does in (parts or {}).items()]
        rows = [mrkdwn((command(usage),)), mrkdwn((summary,), most=300), *flags]
        return message(mrkdwn((command(usage), f": {summary}"), most=500), sections(rows))
    return message(
        mrkdwn((f"What tflock can do: {', '.join(map(_word, wanted))}.",), most=500),
        sections(
            ["*Who holds the lock, is it dead, and may it be released?*", *_grouped(wanted, groups)], budget=9_000
        ),
        context(mrkdwn(("In a thread write ", Quoted("@tflock …"), " in place of ", Quoted("/tflock …"), "."))),
    )


def _grouped(commands: Sequence[tuple[str, str]], groups: Mapping[str, str] | None) -> Iterable[str]:
    rows = [(_word(pair), f"{mrkdwn((command(pair[0]),))}\n{mrkdwn((pair[1],), most=300)}") for pair in commands]
    if groups is None:
        yield from (row for _, row in rows)
        return
    for title in dict.fromkeys(groups.values()):
        yield bold(title)
        yield from (row for word, row in rows if groups.get(word) == title)


def _word(pair: tuple[str, str]) -> str:
    return pair[0].split(" ")[0]
