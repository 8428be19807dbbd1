"""A verdict in words: what it comes to, the whole checklist, and what would change a refusal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bot.core.gate.approval import NOBODY_MAY
from bot.core.gate.case import Effect, Finding, Rule, Ruling, Verdict
from bot.core.phrase import Phrase, Quoted, joined
from bot.slack.render.facts import Fact, Mark, command

_MARKS = {Effect.HOLDS: Mark.GOOD, Effect.WARNS: Mark.WARNING, Effect.WANTS_APPROVAL: Mark.APPROVAL}
_REASONS = 2


def checklist(verdict: Verdict) -> Iterable[Fact]:
    """Every rule with what it found, in the gate's order."""
    for finding in verdict.findings:
        until: Phrase = (" (wait until ", finding.until, ")") if finding.until else ()
        yield Fact(f"{finding.rule}:", (*finding.reason, *until), _mark(finding))


def _mark(finding: Finding) -> Mark:
    if finding.effect is Effect.REFUSES:
        return Mark.WAIT if finding.waits else Mark.BAD
    return _MARKS[finding.effect]


def ruling(verdict: Verdict, label: str = "Unlock:") -> Fact:
    """What the verdict comes to, with the first checks that stand in the way."""
    match verdict.ruling:
        case Ruling.ALLOW:
            return Fact(f"{label} allowed.", (), Mark.GOOD)
        case Ruling.NEEDS_APPROVAL:
            words = (" by a second member, because ", *reasons(verdict), ".")
            return Fact(f"{label} needs approval", words, Mark.APPROVAL)
        case Ruling.REFUSE:
            return _refusal(verdict, label)


def _refusal(verdict: Verdict, label: str) -> Fact:
    why: Phrase = (", because ", *reasons(verdict), ".")
    if not verdict.waiting_helps:
        return Fact(f"{label} refused", why, Mark.BAD)
    if verdict.until is None:
        return Fact(f"{label} refused for now", why, Mark.WAIT)
    return Fact(f"{label} not before", (verdict.until, " (if nothing changes)", *why), Mark.WAIT)


def reasons(verdict: Verdict) -> Phrase:
    """The first checks that decided, those first that do not end by themselves."""
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
        return ("tell whoever runs the bot: its gate has no checks.",)
    first = _to_advise_on(blocking)
    if first.reason == NOBODY_MAY:
        return ("wait until it is free, or let somebody approve: ", Quoted("approval"), " in the configuration.")
    if hidden and first.rule in _ABOUT_RUNS:
        return ("ask again once the CI system answers: ", command(f"unlock {state}"), ".")
    if not first.waits and first.rule in _ABOUT_THE_STATE:
        return ("put that right first (“tflock doctor” checks the bot's rights), then ask again.",)
    return _ADVICE_FOR.get(first.rule, _ask_again)(state)


def _to_advise_on(blocking: Sequence[Finding]) -> Finding:
    """A lock from a person's own machine has no run: what can be done about it is to ask the owner."""
    by_rule = {finding.rule: finding for finding in blocking}
    is_known_to_be_human = blocking[0].rule is Rule.ATTRIBUTED and not blocking[0].waits
    return by_rule.get(Rule.HUMAN_HELD, blocking[0]) if is_known_to_be_human else blocking[0]


_ABOUT_RUNS = frozenset({Rule.ATTRIBUTED, Rule.DEAD, Rule.SETTLED})
_ABOUT_THE_STATE = frozenset({Rule.QUIET, Rule.WHOLE})

_CAUSED_BY = {Rule.DEAD: {Rule.ATTRIBUTED}, Rule.SETTLED: {Rule.ATTRIBUTED, Rule.DEAD}, Rule.WHOLE: {Rule.QUIET}}


def _causes(findings: Sequence[Finding]) -> Sequence[Finding]:
    """Without those that only follow from another: no holder, so no end; no end, so nothing to count from."""
    rules = {finding.rule for finding in findings}
    return [finding for finding in findings if not _CAUSED_BY.get(finding.rule, set()) & rules]


def _ask_again(state: str) -> Phrase:
    return ("ask again with ", command(f"unlock {state}"), ".")


def _look(state: str) -> Phrase:
    return ("see what holds it now: ", command(f"status {state}"), ".")


def _may_act(_state: str) -> Phrase:
    return ("a full member of an incident channel can ask there.",)


def _find_holder(state: str) -> Phrase:
    return ("find the person: ", command(f"who {state}"), ". The bot cannot release a lock whose run it does not know.")


def _end_run(state: str) -> Phrase:
    return ("wait until the run has ended, or end it with ", command(f"kill-job {state}"), ".")


def _wait(state: str) -> Phrase:
    return ("wait, then ask again with ", command(f"unlock {state}"), ".")


def _talk(state: str) -> Phrase:
    return ("talk to the owner (", command(f"who {state}"), "): only a new answer can change this.")


def _ask_owner(state: str) -> Phrase:
    return (
        "the owner says that it is dead, in the bot's message to him; then a second member can approve. ",
        command(f"who {state}"),
        " shows who that is.",
    )


_ADVICE_FOR = {
    Rule.SAME_LOCK: _look,
    Rule.REQUESTER: _may_act,
    Rule.ATTRIBUTED: _find_holder,
    Rule.DEAD: _end_run,
    Rule.SETTLED: _wait,
    Rule.QUIET: _wait,
    Rule.OWNER: _talk,
    Rule.HUMAN_HELD: _ask_owner,
}
