"""Who can be the second person: another person than the asker, allowed by the policy of the state.

A person with two accounts is one person: the same email address, the same person of `holders.people`, or, where the
policy says so, the one who started the run in question. What could not be looked up counts against: an account without
an address may be anyone's.
"""

from __future__ import annotations

from bot.core.evidence import Found, Observation
from bot.core.gate.eligibility import named
from bot.core.gate.ownership import Starters
from bot.core.people import Approval, Standing
from bot.core.phrase import Phrase
from bot.core.policy import ApprovalPolicy, Approvers, Holders, KnownPerson

NOBODY_MAY: Phrase = ("nobody can approve an unlock of this state (approval is set to “nobody”)",)


def why_not_second(approval: Approval, asker: Standing, holders: Holders) -> Phrase | None:
    """Why this is, or may be, the asker once more; None if it is known to be someone else."""
    second = approval.standing
    who = named(second)
    if second.user_id == asker.user_id:
        return (who, " asked for this: a second person must approve it")
    people = holders.person_in_slack(second.user_id), holders.person_in_slack(asker.user_id)
    addresses = [_addresses(account, person) for account, person in zip((second, asker), people, strict=True)]
    if addresses[0] & addresses[1]:
        words = " have the same email address or entry in holders.people: a second person must approve it"
        return (who, " and ", named(asker), words)
    if people[0] is not None and people[1] is not None:
        return None  # the team itself says that these are two
    unknown = [named(account) for account, known in zip((second, asker), addresses, strict=True) if not known]
    if unknown:
        fix = " (give the app the scope users:read.email, or name both in holders.people)"
        missing: Phrase = (": Slack names no email address of ", unknown[0], fix)
        return ("we can't tell whether ", who, " and ", named(asker), " are two people", *missing)
    return None


def _addresses(standing: Standing, person: KnownPerson | None) -> frozenset[str]:
    """Accounts that have one of them in common are one person: what Slack says, and what the configuration does."""
    given = (_email(standing), person.email or "" if person is not None else "")
    return frozenset(mailbox(address) for address in given if address)


def mailbox(address: str) -> str:
    """The mailbox behind an address: without case, without what follows a `+`, without dots.

    Not every server ignores these; where it does not, two people may count as one, which only asks for a third.
    """
    user, _, domain = address.strip().casefold().rpartition("@")
    plain_user = user.partition("+")[0].replace(".", "")
    return f"{plain_user}@{'gmail.com' if domain == 'googlemail.com' else domain}"


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
                return ("only the owner of the lock may approve, and we don't know who that is",)
            return None if approval.standing.user_id == owner_id else (who, " is not the owner of the lock")


def _why_not_by_starter(approval: Approval, starters: Starters) -> Phrase | None:
    who, address = named(approval.standing), _email(approval.standing)
    if approval.standing.user_id in starters.ids or address in starters.emails:
        return (who, " started the run in question: someone else must approve it")
    if starters.are_unknown:
        words = "we don't know who started the run in question (holders.people in the configuration), "
        return (words, "and that person may not approve")
    if starters.emails and not address:
        return ("we can't tell whether ", who, " started the run in question: Slack names no email address")
    return None


def _why_not_by_group(approval: Approval) -> Phrase | None:
    seen: Observation[bool] | None = approval.in_group
    if isinstance(seen, Found) and seen.value:
        return None
    who = named(approval.standing)
    if isinstance(seen, Found):
        return (who, " is not in a group that may approve (approval.groups in the configuration)")
    return ("we couldn't check whether ", who, " is in a group that may approve")


def _email(standing: Standing) -> str:
    return (standing.member.value.email or "").strip().casefold() if isinstance(standing.member, Found) else ""
