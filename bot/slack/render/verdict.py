"""The gate's verdict in words: the answer, the checks that block it, the whole checklist, and what helps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from bot.core.evidence import Found
from bot.core.gate.approval import NOBODY_MAY
from bot.core.gate.attribution import Tie
from bot.core.gate.case import Effect, Finding, Rule, Ruling, Verdict
from bot.core.gate.ending import end_words, is_over, short_name
from bot.core.gate.inspection import Inspection
from bot.core.phrase import Exact, Phrase, Quoted, duration, joined
from bot.slack.render.facts import Fact, command, is_hidden
from bot.slack.render.icons import Icon

_MARKS = {
    Effect.HOLDS: Icon.GOOD,
    Effect.WARNS: Icon.WARNING,
    Effect.WANTS_APPROVAL: Icon.APPROVAL,
    Effect.REFUSES: Icon.BAD,
}
_REASONS = 2


def checklist(verdict: Verdict) -> Iterable[Fact]:
    """Every rule with what it found, in the gate's order."""
    return map(check, verdict.findings)


def check(finding: Finding, *, says_until: bool = True) -> Fact:
    """One rule with what it found."""
    until: Phrase = (" (until ", finding.until, ")") if finding.until and says_until else ()
    mark = Icon.WAIT if finding.waits and finding.effect is Effect.REFUSES else _MARKS[finding.effect]
    return Fact(f"{finding.rule}:", (*finding.reason, *until), mark)


def tally(verdict: Verdict, now: datetime) -> str:
    """How many checks passed, and every one that did not by its name: the title of the folded checklist."""
    passed = sum(finding.effect is Effect.HOLDS for finding in verdict.findings)
    kinds: dict[str, list[str]] = {}
    for finding in verdict.findings:
        if finding.effect is not Effect.HOLDS:
            left = f" ({duration(finding.until - now)})" if finding.until is not None and finding.until > now else ""
            kinds.setdefault(_kind(finding), []).append(f"{finding.rule}{left}")
    others = [f"{kind}: {', '.join(names)}" for kind, names in kinds.items()]
    return " · ".join([f"{passed} of {len(verdict.findings)} checks passed", *others])


def _kind(finding: Finding) -> str:
    if finding.effect is Effect.REFUSES:
        return "blocked by" if finding.until is None else "waiting for"
    return "needs approval" if finding.effect is Effect.WANTS_APPROVAL else "warning"


def in_the_way(verdict: Verdict, *, said: frozenset[Rule] = frozenset()) -> Iterable[Fact]:
    """Each check that did not pass, but for those that only follow from another, or are `said` already."""
    failed = [finding for finding in verdict.findings if finding.effect is not Effect.HOLDS]
    single = verdict.until is not None and len(verdict.refusals) == 1  # then the answer has said until when
    return (check(finding, says_until=not single) for finding in _causes(failed) if finding.rule not in said)


def settling(verdict: Verdict, inspection: Inspection) -> Phrase:
    """That the only run has ended, and how long its process may keep writing; empty where more is in the way."""
    tied, missing = inspection.attribution, [one for one in verdict.findings if one.effect is not Effect.HOLDS]
    if tied is None or len(tied.possible) != 1 or len(missing) != 1 or missing[0].rule is not Rule.SETTLED:
        return ()
    settle = next((part for part in missing[0].reason if isinstance(part, Exact)), None)
    (run,) = tied.possible
    if settle is None or not isinstance(run.seen, Found):
        return ()
    return (short_name(run.run), " ", *end_words(run), "; its process may keep writing for up to ", settle, ".")


@dataclass(frozen=True, slots=True)
class RuleWords:
    """The words about a check that did not hold.

    no, not_yet  the answer, where someone has to change something, and where time may
    short        why, after a colon; `second` instead where that is why a second person is needed
    helps        the words before a command, the command (without the state; empty for none), and the words after it
    follows      the checks whose failure fails it as well: messages name only the cause
    """

    no: str
    not_yet: str
    short: str
    helps: tuple[str, str, str]
    second: str = ""
    follows: frozenset[Rule] = frozenset()


_AGAIN = ("Try again: ", "unlock", ".")
_WAIT = ("Wait, then try again: ", "unlock", ".")
_ASK_OWNER = (
    "Ask the owner to press “It's dead” in their DM from tflock. Then a second person can approve. Who that is: "
)
RULE_WORDS: Mapping[Rule, RuleWords] = {
    Rule.SAME_LOCK: RuleWords(
        "The lock has changed",
        "We can't read the lock, so it can't be unlocked yet",
        "the lock has changed, or can't be read",
        ("See what holds it now: ", "status", "."),
    ),
    Rule.REQUESTER: RuleWords(
        "You can't unlock it from here",
        "Slack doesn't tell us yet whether you may unlock it",
        "nobody who may unlock it has asked",
        ("A full member of an incident channel can unlock it there.", "", ""),
    ),
    Rule.TIED: RuleWords(
        "We don't know which run holds it",
        "We can't tell yet which run holds it",
        "we don't know which run holds it",
        ("Find the person: ", "who", ". tflock can't release a lock whose run it doesn't know."),
        second="only the timing ties a run to it",
    ),
    Rule.DEAD: RuleWords(
        "Nothing shows that its holder has ended",
        "We can't tell whether its run has ended",
        "its run may still be active",
        ("Wait until the run ends, or end it: ", "kill-job", "."),
        second="its end isn't certain",
        follows=frozenset({Rule.TIED}),
    ),
    Rule.SETTLED: RuleWords(
        "We don't know when its run ended",
        "We can't tell yet when its run ended",
        "its run has only just ended",
        _WAIT,
        follows=frozenset({Rule.TIED, Rule.DEAD}),
    ),
    Rule.QUIET: RuleWords(
        "We may not read the state file",
        "We can't tell whether the state is still being written",
        "the state was written a moment ago, or can't be read",
        _WAIT,
    ),
    Rule.WHOLE: RuleWords(
        "We may not read the state file",
        "We can't read the state file",
        "the state file may be damaged",
        _AGAIN,
        follows=frozenset({Rule.QUIET}),
    ),
    Rule.DIGEST: RuleWords(
        "Its digest doesn't match the state", "We can't read its digest yet", "the digest doesn't match", _AGAIN
    ),
    Rule.OWNER: RuleWords(
        "Its owner says it's still running",
        "Its owner says it's still running",
        "its owner says it's still running",
        ("Talk to the owner (", "who", "): only a new answer from them changes this."),
    ),
    Rule.HUMAN_HELD: RuleWords(
        "A person holds it, and only they can say it's dead",
        "We can't read the lock, so we don't know which machine took it",
        "a person holds it",
        (_ASK_OWNER, "who", "."),
        second="a person held it",
    ),
    Rule.PROTECTED: RuleWords("The state is protected", "The state is protected", "the state is protected", _AGAIN),
    Rule.FRESH: RuleWords(
        "What we know is too old: check again",
        "What we know is too old: check again",
        "the evidence is too old",
        _AGAIN,
    ),
    Rule.APPROVER: RuleWords(
        "Nobody can approve an unlock of this state",
        "We can't tell yet whether the approval counts",
        "nobody can approve it",
        ("Someone else has to approve it. Ask for it again: ", "unlock", "."),
    ),
}
"""Every rule, with its words; a test holds it complete."""


# the answer


def answer(name: str, verdict: Verdict, inspection: Inspection) -> Fact:
    """May this lock be released, as one sentence."""
    match verdict.ruling:
        case Ruling.ALLOW:
            tied = inspection.attribution
            by = " by a dead run" if tied is not None and tied.candidates else ", but its holder is gone"
            return Fact((f"{name} is locked{by}. You can unlock it now.",), (), Icon.LOCKED)
        case Ruling.NEEDS_APPROVAL:
            return Fact(
                (f"{name} is locked. Unlocking it needs a second person{because(verdict)}.",), (), Icon.APPROVAL
            )
        case Ruling.REFUSE:
            return refusal(name, verdict, inspection)


def refusal(name: str, verdict: Verdict, inspection: Inspection | None) -> Fact:
    """Why it may not be released now, as one sentence: of the first check that decided."""
    first = next(iter(_causes(deciding(verdict))), None)
    if first is None:
        return Fact((f"{name} can't be unlocked: no check was made.",), (), Icon.BAD)
    if verdict.waiting_helps and verdict.until is not None:
        left: Phrase = () if inspection is None else (" (in ", verdict.until - inspection.at, ")")
        return Fact((f"{name} is locked. It can be unlocked at ", verdict.until, *left, "."), (), Icon.WAIT)
    if first.rule is Rule.TIED and _is_by_time(inspection):
        words = f"{name} is locked. Only the timing ties a run to it, and its policy requires proof."
        return Fact((words,), (), Icon.BAD)
    if first.rule is Rule.DEAD and inspection is not None and is_running(inspection):
        return Fact((f"{name} is locked by a run that is still working. Don't unlock it.",), (), Icon.BAD)
    if first.rule is Rule.SAME_LOCK and inspection is not None and inspection.seen.garbage:
        return Fact((f"{name} is locked. Its lock entry is unreadable.",), (), Icon.BAD)
    said = RULE_WORDS[first.rule]
    why, mark = (said.not_yet, Icon.WAIT) if first.waits else (said.no, Icon.BAD)
    return Fact((f"{name} is locked. {why}.",), (), mark)


def is_persons(verdict: Verdict) -> bool:
    """Whether a person's own machine or account holds the lock, as far as the checks know: no run is to blame."""
    return any(each.rule is Rule.HUMAN_HELD and each.effect is Effect.REFUSES for each in verdict.findings)


def is_running(inspection: Inspection) -> bool:
    """Whether a run that may hold the lock was seen to be active."""
    tied = inspection.attribution
    seen = [one for one in (tied.possible if tied is not None else ()) if isinstance(one.seen, Found)]
    return any(not is_over(one) and one.run.jobs is not None for one in seen)


def because(verdict: Verdict) -> str:
    """Why a second person is needed, after a colon; empty where there is more than one reason."""
    wanted = [finding for finding in _causes(deciding(verdict)) if finding.effect is Effect.WANTS_APPROVAL]
    return f": {why_second(wanted[0].rule)}" if len(wanted) == 1 else ""


def why_second(rule: Rule) -> str:
    """Why the check needs a second person, after a colon."""
    return RULE_WORDS[rule].second or RULE_WORDS[rule].short


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


def advice(verdict: Verdict, state: str, inspection: Inspection | None = None) -> Phrase:
    """What would change a refusal: about the first check that decided."""
    blocking = _causes(deciding(verdict))
    if not blocking:
        return ("Tell whoever runs tflock: its gate has no checks.",)
    first = blocking[0]
    if first.rule is Rule.TIED and not first.waits:
        # A lock from a person's own machine has no run: what helps is to ask the owner.
        first = next((finding for finding in reversed(blocking) if finding.rule is Rule.HUMAN_HELD), first)
    if first.rule is Rule.TIED and _is_by_time(inspection):
        return _BY_TIME
    if first.reason == NOBODY_MAY:
        return ("Wait until it is free, or let someone approve: ", Quoted("approval"), " in the configuration.")
    if first.rule in _ABOUT_RUNS and inspection is not None and is_hidden(inspection):
        return ("Try again once CI answers: ", command(f"unlock {state}"), ".")
    if not first.waits and first.rule in _ABOUT_THE_STATE:
        return ("Fix that first (", Quoted("tflock doctor"), " checks our rights), then try again.")
    before, asked, after = RULE_WORDS[first.rule].helps
    return (before, command(f"{asked} {state}"), after) if asked else (before,)


def _is_by_time(inspection: Inspection | None) -> bool:
    tied = inspection.attribution if inspection is not None else None
    return tied is not None and tied.tie is Tie.BY_TIME


_BY_TIME: Phrase = (
    "This state's policy requires proof (",
    Quoted("policy.by_time: refuse"),
    "). Wait until the lock is released, or ask whoever maintains tflock's configuration to set it to ",
    Quoted("approval"),
    ": then a second person can approve.",
)

_ABOUT_RUNS = frozenset({Rule.TIED, Rule.DEAD, Rule.SETTLED})
_ABOUT_THE_STATE = frozenset({Rule.QUIET, Rule.WHOLE})


def _causes(findings: Sequence[Finding]) -> Sequence[Finding]:
    """Without those that only follow from another: no holder, so no end; no end, so nothing to count from."""
    rules = {finding.rule for finding in findings}
    return [finding for finding in findings if not RULE_WORDS[finding.rule].follows & rules]
