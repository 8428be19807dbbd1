"""A verdict in words: what it comes to, the whole checklist, and what would change a refusal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bot.core.gate.approval import NOBODY_MAY
from bot.core.gate.case import Effect, Finding, Rule, Ruling, Verdict
from bot.core.phrase import Phrase, Quoted, joined
from bot.slack.render.facts import Fact, Icon, command

_MARKS = {
    Effect.HOLDS: Icon.GOOD,
    Effect.WARNS: Icon.WARNING,
    Effect.WANTS_APPROVAL: Icon.APPROVAL,
    Effect.REFUSES: Icon.BAD,
}
_REASONS = 2


def checklist(verdict: Verdict) -> Iterable[Fact]:
    """Every rule with what it found, in the gate's order."""
    for finding in verdict.findings:
        until: Phrase = (" (wait until ", finding.until, ")") if finding.until else ()
        mark = Icon.WAIT if finding.waits and finding.effect is Effect.REFUSES else _MARKS[finding.effect]
        yield Fact(f"{finding.rule}:", (*finding.reason, *until), mark)


def ruling(verdict: Verdict, label: str = "Unlock:") -> Fact:
    """What the verdict comes to, with the first checks that stand in the way."""
    match verdict.ruling:
        case Ruling.ALLOW:
            return Fact(f"{label} allowed.", (), Icon.GOOD)
        case Ruling.NEEDS_APPROVAL:
            words = (" by a second member, because ", *reasons(verdict), ".")
            return Fact(f"{label} needs approval", words, Icon.APPROVAL)
        case Ruling.REFUSE:
            return _refusal(verdict, label)


def _refusal(verdict: Verdict, label: str) -> Fact:
    why: Phrase = (", because ", *reasons(verdict), ".")
    if not verdict.waiting_helps:
        return Fact(f"{label} refused", why, Icon.BAD)
    if verdict.until is None:
        return Fact(f"{label} refused for now", why, Icon.WAIT)
    return Fact(f"{label} not before", (verdict.until, " (if nothing changes)", *why), Icon.WAIT)


def reasons(verdict: Verdict) -> Phrase:
    """The first checks that decided; those that time does not end come first."""
    blocking = _causes(deciding(verdict))
    if not blocking:
        return ("no check was made",)
    more = (f"; and {len(blocking) - _REASONS} more",) if len(blocking) > _REASONS else ()
    return (*joined((finding.reason for finding in blocking[:_REASONS]), "; "), *more)


def deciding(verdict: Verdict) -> tuple[Finding, ...]:
    """The findings that made the verdict what it is."""
    wanted = Effect.REFUSES if verdict.ruling is Ruling.REFUSE else Effect.WANTS_APPROVAL
    rejected = (f for f in verdict.findings if f.effect is Effect.REFUSES and f.rule is Rule.APPROVER)
    mine = [finding for finding in verdict.findings if finding.effect is wanted]
    return tuple(sorted({id(f): f for f in (*mine, *rejected)}.values(), key=lambda finding: finding.waits))


def advice(verdict: Verdict, state: str, *, hidden: bool = False) -> Phrase:
    """What would change a refusal: about the first check that decided.

    `hidden` says that it is a CI system that does not answer, not a run that goes on.
    """
    blocking = _causes(deciding(verdict))
    if not blocking:
        return ("tell the people who run the bot: its gate has no checks.",)
    first = blocking[0]
    if first.rule is Rule.TIED and not first.waits:
        # A lock from a person's own machine has no run: what helps is to ask the owner.
        first = next((finding for finding in reversed(blocking) if finding.rule is Rule.HUMAN_HELD), first)
    if first.reason == NOBODY_MAY:
        return ("wait until it is free, or let somebody approve: ", Quoted("approval"), " in the configuration.")
    if hidden and first.rule in _ABOUT_RUNS:
        return ("ask again once the CI system answers: ", command(f"unlock {state}"), ".")
    if not first.waits and first.rule in _ABOUT_THE_STATE:
        return ("put that right first (“tflock doctor” checks the bot's rights), then ask again.",)
    before, asked, after = _ADVICE_FOR.get(first.rule, ("ask again with ", "unlock", "."))
    return (before, command(f"{asked} {state}"), after) if asked else (before,)


_ABOUT_RUNS = frozenset({Rule.TIED, Rule.DEAD, Rule.SETTLED})
_ABOUT_THE_STATE = frozenset({Rule.QUIET, Rule.WHOLE})

_CAUSED_BY = {Rule.DEAD: {Rule.TIED}, Rule.SETTLED: {Rule.TIED, Rule.DEAD}, Rule.WHOLE: {Rule.QUIET}}


def _causes(findings: Sequence[Finding]) -> Sequence[Finding]:
    """Without those that only follow from another: no holder, so no end; no end, so nothing to count from."""
    rules = {finding.rule for finding in findings}
    return [finding for finding in findings if not _CAUSED_BY.get(finding.rule, set()) & rules]


_WAIT = ("wait, then ask again with ", "unlock", ".")
_ADVICE_FOR = {
    Rule.SAME_LOCK: ("see what holds it now: ", "status", "."),
    Rule.REQUESTER: ("a full member of an incident channel can ask there.", "", ""),
    Rule.TIED: ("find the person: ", "who", ". The bot cannot release a lock whose run it does not know."),
    Rule.DEAD: ("wait until the run has ended, or end it with ", "kill-job", "."),
    Rule.SETTLED: _WAIT,
    Rule.QUIET: _WAIT,
    Rule.OWNER: ("talk to the owner (", "who", "): only a new answer can change this."),
    Rule.HUMAN_HELD: (
        "the owner can say that it is dead, in the bot's message to them; then a second member can approve. ",
        "who",
        " shows who that is.",
    ),
}
"""The words before a command, the command, and the words after it."""
