"""The gate, which says whether a lock may be released now.

`RULES` is the whole policy: every rule looks at the case and says one finding, every rule always runs, and the worst
finding is the verdict. What is not known, not found or not reachable never counts as harmless. No rules refuse.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TypeAlias

from bot.core.gate import rules
from bot.core.gate.approval import NOBODY_MAY
from bot.core.gate.case import Case, Effect, Finding, Rule, Ruling, Verdict
from bot.core.people import Automatic
from bot.core.policy import Approvers

Check: TypeAlias = Callable[[Case, datetime], Finding]
Table: TypeAlias = Sequence[tuple[Rule, Check]]

RULES: Table = (
    (Rule.SAME_LOCK, rules.same_lock),
    (Rule.REQUESTER, rules.requester),
    (Rule.TIED, rules.tied),
    (Rule.DEAD, rules.dead),
    (Rule.SETTLED, rules.settled),
    (Rule.QUIET, rules.quiet),
    (Rule.WHOLE, rules.whole),
    (Rule.DIGEST, rules.digest),
    (Rule.OWNER, rules.owner),
    (Rule.HUMAN_HELD, rules.human_held),
    (Rule.PROTECTED, rules.protected),
    (Rule.FRESH, rules.fresh),
)

_RULING = {
    Effect.HOLDS: Ruling.ALLOW,
    Effect.WARNS: Ruling.ALLOW,
    Effect.WANTS_APPROVAL: Ruling.NEEDS_APPROVAL,
    Effect.REFUSES: Ruling.REFUSE,
}


def decide(case: Case, now: datetime, table: Table = RULES) -> Verdict:
    """The verdict on the case, with the whole checklist. Pure; never raises; an empty table refuses.

    A second person's approval counts only where approval is all that is missing, and only if it holds on its own.
    Where nobody asked for the release, every rule has to hold: there is nobody to warn, and no second person.
    """
    findings = tuple(check(case, now) for _, check in table)
    if isinstance(case.requester, Automatic):
        findings = tuple(found if found.effect is Effect.HOLDS else _refusing(found) for found in findings)
    worst = max((finding.effect for finding in findings), default=Effect.REFUSES)
    if worst is Effect.WANTS_APPROVAL:
        consent, worst = _consent(case, now, findings)
        findings = (*findings, *consent)
    return Verdict(_RULING[worst], findings)


def _refusing(found: Finding) -> Finding:
    return replace(found, effect=Effect.REFUSES)


def _consent(case: Case, now: datetime, findings: Sequence[Finding]) -> tuple[tuple[Finding, ...], Effect]:
    """What the approval comes to that the findings want, where it is all that is missing."""
    if case.approvers.by is Approvers.NOBODY:
        return (Finding(Rule.APPROVER, Effect.REFUSES, NOBODY_MAY),), Effect.REFUSES
    if case.approval is None:
        return (), Effect.WANTS_APPROVAL
    wanted = [finding.rule for finding in findings if finding.effect is Effect.WANTS_APPROVAL]
    consent = rules.not_covered(case.approval, wanted) or rules.approver(case, case.approval, now)
    return (consent,), Effect.HOLDS if consent.effect is Effect.HOLDS else Effect.WANTS_APPROVAL
