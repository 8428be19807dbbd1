"""Who can be the second member."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from bot.core.evidence import Found, Trouble, Unseen
from bot.core.gate.approval import why_not_by_policy
from bot.core.gate.case import Rule, Ruling
from bot.core.gate.decide import decide
from bot.core.gate.ownership import Starters
from bot.core.phrase import plain
from bot.core.policy import ApprovalPolicy, Approvers, Holders, KnownPerson


@pytest.fixture
def protected(make):
    """A case that wants nothing but an approval."""

    def build(**changes):
        case = make.case(protected=True)
        return replace(case, approval=make.approval(), **changes)

    return build


def judged(case, make):
    verdict = decide(case, make.now)
    return verdict.ruling, plain(verdict.findings[-1].reason)


def with_email(standing, address):
    member = replace(standing.member.value, email=address)
    return replace(standing, member=Found(member, at=standing.member.at))


def test_any_eligible_member_but_the_asker_may_approve(make, protected):
    assert judged(protected(), make) == (Ruling.ALLOW, "quinn approved")


def test_the_same_email_address_is_the_same_person(make, protected):
    case = protected()
    asker = with_email(case.requester, "Parker@example.com")
    second = replace(case.approval, standing=with_email(case.approval.standing, "parker@example.com "))

    ruling, why = judged(replace(case, requester=asker, approval=second), make)

    assert ruling is Ruling.NEEDS_APPROVAL
    assert "same email address" in why


@pytest.mark.parametrize(
    ("asker", "second"),
    [
        ("parker@example.com", "parker+2@example.com"),
        ("Parker+a@Example.com", "parker+b@example.com"),
        ("p.arker@gmail.com", "parker@googlemail.com"),
        ("p.arker@example.com", "parker@example.com"),
    ],
)
def test_addresses_that_may_be_one_mailbox_are_one_person(make, protected, asker, second):
    case = protected()

    ruling, why = judged(between(case, asker, second), make)

    assert ruling is Ruling.NEEDS_APPROVAL
    assert "same email address" in why


@pytest.mark.parametrize("second", ["quinn@example.com", "parker@example.org", "parker2@example.com"])
def test_addresses_of_two_mailboxes_are_two_people(make, protected, second):
    assert judged(between(protected(), "parker@example.com", second), make)[0] is Ruling.ALLOW


@pytest.mark.parametrize(("asker", "second"), [("", "q@example.com"), ("p@example.com", ""), ("", ""), (None, None)])
def test_an_account_without_an_address_is_not_known_to_be_somebody_else(make, protected, asker, second):
    ruling, why = judged(between(protected(), asker, second), make)

    assert ruling is Ruling.NEEDS_APPROVAL
    assert "users:read.email" in why
    assert "holders.people" in why


PEOPLE = (KnownPerson("parker", "U0PARKER"), KnownPerson("quinn", "U0QUINN"))


@pytest.mark.parametrize(
    ("people", "ruling"),
    [
        (PEOPLE, Ruling.ALLOW),
        (PEOPLE[:1], Ruling.NEEDS_APPROVAL),
        ((PEOPLE[0], KnownPerson("parker-2", "U0QUINN", email="p@example.com")), Ruling.ALLOW),
        (
            (
                KnownPerson("parker", "U0PARKER", email="p+1@example.com"),
                KnownPerson("parker-2", "U0QUINN", email="p@example.com"),
            ),
            Ruling.NEEDS_APPROVAL,
        ),
    ],
)
def test_whoever_the_configuration_names_needs_no_address(make, protected, people, ruling):
    case = replace(between(protected(), "", ""), holders=Holders(people=people))

    assert judged(case, make)[0] is ruling


def test_a_second_account_with_the_address_of_a_named_person_is_that_person(make, protected):
    holders = Holders(people=(KnownPerson("parker", "U0PARKER", email="parker@example.com"),))
    case = replace(between(protected(), "", "parker+2@example.com"), holders=holders)

    assert judged(case, make)[0] is Ruling.NEEDS_APPROVAL


def between(case, asker, second):
    """The case, asked for and approved by accounts with these addresses."""
    approval = replace(case.approval, standing=with_email(case.approval.standing, second))
    return replace(case, requester=with_email(case.requester, asker), approval=approval)


def test_where_nobody_may_approve_the_unlock_is_refused(make, protected):
    ruling, why = judged(protected(approvers=ApprovalPolicy(by=Approvers.NOBODY)), make)

    assert ruling is Ruling.REFUSE
    assert "nobody can approve" in why


def test_where_nobody_may_approve_what_wants_no_approval_is_still_allowed(make):
    case = make.case(approvers=ApprovalPolicy(by=Approvers.NOBODY))

    assert decide(case, make.now).ruling is Ruling.ALLOW


@pytest.mark.parametrize(
    ("in_group", "ruling", "words"),
    [
        (True, Ruling.ALLOW, "approved"),
        (False, Ruling.NEEDS_APPROVAL, "not in a group that may approve"),
        (None, Ruling.NEEDS_APPROVAL, "couldn't check whether"),
    ],
)
def test_a_group_must_have_the_second_member_in_it(make, protected, in_group, ruling, words):
    case = protected(approvers=ApprovalPolicy(by=Approvers.GROUP, groups=("S0LEADS",)))
    seen = make.found(in_group) if in_group is not None else Unseen("Slack", Trouble.TIMED_OUT, "slow", at=make.now)

    judgement = judged(replace(case, approval=replace(case.approval, in_group=seen)), make)

    assert judgement[0] is ruling
    assert words in judgement[1]


@pytest.mark.parametrize(("late", "ruling"), [(0, Ruling.ALLOW), (1, Ruling.NEEDS_APPROVAL)])
def test_who_is_in_a_group_counts_only_as_long_as_other_evidence_does(make, protected, late, ruling):
    case = protected(approvers=ApprovalPolicy(by=Approvers.GROUP, groups=("S0LEADS",)))
    at = make.now - case.policy.evidence_max_age - timedelta(seconds=late)
    second = replace(case.approval, in_group=make.found(True, at))  # noqa: FBT003 - the value that was observed

    assert judged(replace(case, approval=second), make)[0] is ruling


def test_a_group_that_nobody_asked_slack_about_does_not_count(make, protected):
    case = protected(approvers=ApprovalPolicy(by=Approvers.GROUP, groups=("S0LEADS",)))

    assert judged(case, make)[0] is Ruling.NEEDS_APPROVAL


@pytest.mark.parametrize(
    ("owner", "ruling"),
    [("U0QUINN", Ruling.ALLOW), ("U0ELLIOTT", Ruling.NEEDS_APPROVAL), (None, Ruling.NEEDS_APPROVAL)],
)
def test_owner_only_means_the_owner_of_this_lock(make, protected, owner, ruling):
    case = protected(approvers=ApprovalPolicy(by=Approvers.OWNER), owner_id=owner)

    assert judged(case, make)[0] is ruling


@pytest.mark.parametrize(("strict", "ruling"), [(True, Ruling.NEEDS_APPROVAL), (False, Ruling.ALLOW)])
def test_who_started_the_run_may_approve_unless_the_policy_forbids_it(make, protected, strict, ruling):
    case = protected(approvers=ApprovalPolicy(not_by_run_actor=strict), starters=Starters(frozenset({"U0QUINN"})))

    assert judged(case, make)[0] is ruling


@pytest.mark.parametrize(
    ("starters", "address", "words"),
    [
        (Starters(emails=frozenset({"quinn@example.com"})), "Quinn@example.com", "started the run"),
        (Starters(emails=frozenset({"elliott@example.com"})), "", "names no email address"),
        (Starters(are_unknown=True), "quinn@example.com", "we don't know who started"),
    ],
)
def test_where_the_policy_forbids_it_a_starter_is_told_by_address_too_and_an_unknown_one_could_be_anybody(
    make, protected, starters, address, words
):
    case = protected(approvers=ApprovalPolicy(not_by_run_actor=True), starters=starters)
    second = replace(case.approval, standing=with_email(case.approval.standing, address))

    ruling, why = judged(replace(case, approval=second), make)

    assert ruling is Ruling.NEEDS_APPROVAL
    assert words in why


def test_whoever_is_known_not_to_have_started_the_run_may_approve(make, protected):
    starters = Starters(frozenset({"U0ELLIOTT"}), frozenset({"someone@example.com"}))
    case = protected(approvers=ApprovalPolicy(not_by_run_actor=True), starters=starters)
    second = replace(case.approval, standing=with_email(case.approval.standing, "quinn@example.com"))

    assert judged(replace(case, approval=second), make)[0] is Ruling.ALLOW


def test_an_approval_is_for_what_its_button_showed_and_for_nothing_that_came_up_later(make, protected):
    case = protected()
    before = replace(case.approval, covers=frozenset({Rule.WHOLE}))

    ruling, why = judged(replace(case, approval=before), make)

    assert ruling is Ruling.NEEDS_APPROVAL
    assert why == "quinn approved before this changed (protected), so it needs a new approval"


@pytest.mark.parametrize(
    ("known", "ruling"),
    [
        (("parker", "quinn"), Ruling.ALLOW),
        (("quinn",), Ruling.NEEDS_APPROVAL),
        (("parker",), Ruling.NEEDS_APPROVAL),
        ((), Ruling.NEEDS_APPROVAL),
    ],
)
def test_accounts_without_addresses_are_two_people_only_if_the_configuration_names_both(make, protected, known, ruling):
    people = tuple(KnownPerson(name, slack=f"U0{name.upper()}") for name in known)
    case = between(protected(), "", "")

    assert judged(replace(case, holders=replace(case.holders, people=people)), make)[0] is ruling


@pytest.mark.parametrize(("emails", "ruling"), [((), Ruling.ALLOW), (("ada@example.com",), Ruling.NEEDS_APPROVAL)])
def test_an_approver_without_an_address_may_have_started_the_run_only_if_a_starter_is_known_by_address_alone(
    make, protected, emails, ruling
):
    people = tuple(KnownPerson(name, slack=f"U0{name.upper()}") for name in ("parker", "quinn"))
    case = between(protected(), "parker@example.com", "")
    case = replace(
        case,
        holders=replace(case.holders, people=people),
        approvers=ApprovalPolicy(not_by_run_actor=True),
        starters=Starters(ids=frozenset({"U0ELLIOTT"}), emails=frozenset(emails)),
    )

    assert judged(case, make)[0] is ruling


def test_an_account_that_slack_does_not_show_approves_nothing(make, protected):
    unseen = Unseen("Slack", Trouble.TIMED_OUT, "no answer", make.now)
    second = replace(make.approval(), standing=replace(make.standing("U0QUINN"), member=unseen))
    addressed = with_email(make.standing(), "parker@example.com")

    case = replace(protected(), requester=addressed)

    assert judged(replace(case, approval=second), make)[0] is Ruling.NEEDS_APPROVAL
    assert judged(case, make)[0] is Ruling.ALLOW


def test_whom_the_policy_does_not_let_approve_it_says_so_by_itself(make):
    def why_not(by, owner_id=None):
        policy = ApprovalPolicy(by=by)
        reason = why_not_by_policy(make.approval(), policy, owner_id=owner_id, starters=Starters())
        return None if reason is None else plain(reason)

    assert why_not(Approvers.MEMBER) is None
    assert "nobody can approve" in why_not(Approvers.NOBODY)
    assert "we don't know who that is" in why_not(Approvers.OWNER)
    assert "is not the owner of the lock" in why_not(Approvers.OWNER, "U0ELLIOTT")
    assert why_not(Approvers.OWNER, "U0QUINN") is None


def test_an_entry_without_an_address_tells_two_accounts_apart(make, protected):
    """The team names both, so they are two people, whatever Slack does not say."""
    people = (KnownPerson("quinn", "U0QUINN"), KnownPerson("parker", "U0PARKER"))
    case = protected()
    bare = replace(case.approval, standing=with_email(case.approval.standing, None))
    asker = with_email(case.requester, None)

    named = replace(case, approval=bare, requester=asker, holders=Holders(people=people))
    assert judged(named, make)[0] is Ruling.ALLOW
    assert judged(replace(named, holders=Holders(people=people[:1])), make)[0] is Ruling.NEEDS_APPROVAL
