"""Who can be the second member: another person than the asker, allowed by the policy of the state.

A person with two accounts is one person: the same email address, or, where the policy says so, the one who started
the run in question. What could not be looked up counts against.
"""

from __future__ import annotations

from bot.core.evidence import Found, Observation
from bot.core.gate.eligibility import named
from bot.core.gate.ownership import Starters
from bot.core.people import Approval, Standing
from bot.core.phrase import Phrase
from bot.core.policy import ApprovalPolicy, Approvers

NOBODY_MAY: Phrase = ("the policy of this state lets nobody approve what wants a second member",)


def why_not_second(approval: Approval, asker: Standing) -> Phrase | None:
    """Why this is the asker once more; None if it is somebody else."""
    who = named(approval.standing)
    if approval.standing.user_id == asker.user_id:
        return (who, " asked for the unlock: a second member must approve it")
    addresses = _email(approval.standing), _email(asker)
    if addresses[0] and addresses[0] == addresses[1]:
        return (who, " has the same email address as whoever asked: a second person must approve it")
    return None


def why_not_by_policy(
    approval: Approval, policy: ApprovalPolicy, *, owner_id: str | None, starters: Starters
) -> Phrase | None:
    """Why the policy does not let this person approve; None if it does."""
    who = named(approval.standing)
    if policy.not_by_run_actor and (reason := _why_not_by_starter(approval, starters)) is not None:
        return reason
    match policy.by:
        case Approvers.NOBODY:
            return NOBODY_MAY
        case Approvers.MEMBER:
            return None
        case Approvers.GROUP:
            return _why_not_by_group(approval)
        case Approvers.OWNER:
            if owner_id is None:
                return ("only the owner of the lock may approve, and it is not known who that is",)
            return None if approval.standing.user_id == owner_id else (who, " is not the owner of the lock")


def _why_not_by_starter(approval: Approval, starters: Starters) -> Phrase | None:
    who, address = named(approval.standing), _email(approval.standing)
    if approval.standing.user_id in starters.ids or address in starters.emails:
        return (who, " started the run in question: somebody else must approve the unlock")
    if starters.are_unknown:
        words = "who started the run in question is not known (holders.people in the configuration), "
        return (words, "and whoever did may not approve")
    if starters.emails and not address:
        return ("whether ", who, " started the run in question could not be checked: Slack names no email address")
    return None


def _why_not_by_group(approval: Approval) -> Phrase | None:
    seen: Observation[bool] | None = approval.in_group
    if isinstance(seen, Found) and seen.value:
        return None
    who = named(approval.standing)
    if isinstance(seen, Found):
        return (who, " is not in a group that may approve (approval.groups in the configuration)")
    return ("whether ", who, " is in a group that may approve could not be checked")


def _email(standing: Standing) -> str:
    return (standing.member.value.email or "").strip().casefold() if isinstance(standing.member, Found) else ""
