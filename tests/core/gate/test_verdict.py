"""What the findings come to: the ruling, a second member's approval, and whether waiting helps."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from bot.core.evidence import Trouble
from bot.core.gate.case import Effect, Finding, Rule, Ruling, Verdict
from bot.core.gate.decide import RULES, decide
from bot.core.people import OwnerSays
from bot.core.phrase import plain


def test_an_empty_table_refuses(make):
    verdict = decide(make.case(), make.now, ())

    assert verdict.ruling is Ruling.REFUSE
    assert verdict.findings == ()
    assert verdict.waiting_helps is False


def test_an_empty_table_refuses_with_an_approval_too(make):
    assert decide(make.case(approval=make.approval()), make.now, ()).ruling is Ruling.REFUSE


def test_every_rule_runs_though_the_first_refuses(make):
    verdict = decide(make.case(lock=make.seen()), make.now)

    assert [finding.rule for finding in verdict.findings] == [rule for rule, _ in RULES]


def test_a_warning_alone_is_allowed(make):
    other = make.info(id="another", created=make.at("10:00"))
    verdict = decide(make.case(lock=make.seen(make.place(make.info()), make.place(other))), make.now)

    assert verdict[Rule.SAME_LOCK].effect is Effect.WARNS
    assert verdict.ruling is Ruling.ALLOW


def test_a_protected_state_waits_for_a_second_member(make):
    assert decide(make.case(protected=True), make.now).ruling is Ruling.NEEDS_APPROVAL


def test_a_second_members_approval_allows_what_wants_one(make):
    verdict = decide(make.case(protected=True, approval=make.approval()), make.now)

    assert verdict.ruling is Ruling.ALLOW
    assert plain(verdict[Rule.APPROVER].reason) == "quinn approved"


def test_an_approval_does_not_help_against_a_refusal(make):
    case = make.case(make.run(end=None), protected=True, approval=make.approval())

    verdict = decide(case, make.now)

    assert verdict.ruling is Ruling.REFUSE
    assert all(finding.rule is not Rule.APPROVER for finding in verdict.findings)


def test_a_persons_lock_is_allowed_by_the_owners_word_and_a_second_member(make):
    case = make.case(
        who="elliott@laptop", looks=(make.look(),), owner=make.answer(OwnerSays.DEAD), approval=make.approval()
    )

    assert decide(case, make.now).ruling is Ruling.ALLOW


@pytest.mark.parametrize(
    ("approve", "words"),
    [
        (lambda m: m.approval("U0PARKER"), "quinn asked for this: a second person must approve it"),
        (lambda m: m.approval(lock_id="another"), "quinn approved the release of another lock"),
        (lambda m: m.approval(at=m.now - timedelta(minutes=15, seconds=1)), "the approval of quinn has expired"),
        (lambda m: m.approval(at=m.now + timedelta(minutes=1)), "the approval of quinn lies in the future"),
        (
            lambda m: m.approval(standing=m.standing("U0QUINN", "quinn", is_guest=True)),
            "quinn is a guest: only full members may act",
        ),
        (
            lambda m: m.approval(standing=m.standing("U0QUINN", "quinn", in_channel=m.unseen("Slack is away"))),
            "whether quinn may act could not be checked: Slack is away",
        ),
        (
            lambda m: m.approval(
                standing=m.standing("U0QUINN", "quinn", in_channel=m.found(value=True, at=m.now - timedelta(minutes=1)))
            ),
            "some of the evidence is 1 min old: check again",
        ),
    ],
    ids=["their own", "another lock", "expired", "future", "guest", "unseen", "stale"],
)
def test_an_approval_that_does_not_hold_changes_nothing(make, approve, words):
    verdict = decide(make.case(protected=True, approval=approve(make)), make.now)

    assert verdict.ruling is Ruling.NEEDS_APPROVAL
    assert verdict[Rule.APPROVER].effect is Effect.REFUSES
    assert plain(verdict[Rule.APPROVER].reason) == words
    assert verdict.waiting_helps is False


def test_an_approval_holds_until_the_last_second_of_its_time(make):
    approval = make.approval(at=make.now - timedelta(minutes=15))

    assert decide(make.case(protected=True, approval=approval), make.now).ruling is Ruling.ALLOW


@pytest.mark.parametrize(("seconds", "ruling"), [(30, Ruling.ALLOW), (31, Ruling.NEEDS_APPROVAL)])
def test_an_approval_may_lie_as_far_in_the_future_as_evidence(make, seconds, ruling):
    approval = make.approval(at=make.now + timedelta(seconds=seconds))

    assert decide(make.case(protected=True, approval=approval), make.now).ruling is ruling


def test_an_approver_must_be_in_the_policys_group(make):
    policy = replace(make.policy, unlock_groups=("S0ONCALL",))
    parker = make.standing(in_groups=make.found(value=True))
    case = make.case(policy=policy, requester=parker, protected=True, approval=make.approval())

    assert decide(case, make.now).ruling is Ruling.NEEDS_APPROVAL


def test_waiting_helps_if_every_refusal_may_end_by_itself_and_the_last_end_counts(make):
    case = make.case(make.run(end="11:50"), state=make.check(make.state(last_written=make.at("11:53"))))

    verdict = decide(case, make.now)

    assert [finding.rule for finding in verdict.refusals] == [Rule.SETTLED, Rule.QUIET]
    assert verdict.waiting_helps is True
    assert verdict.until == make.at("11:55:30")
    assert decide(case, make.now + timedelta(seconds=30)).ruling is Ruling.REFUSE


def test_waiting_helps_for_a_running_holder_without_an_instant_to_name(make):
    verdict = decide(make.case(make.run(end=None)), make.now)

    assert (verdict.waiting_helps, verdict.until) == (True, None)


def test_waiting_does_not_help_if_one_refusal_stays(make):
    verdict = decide(make.case(make.run(end="11:53"), requester=make.standing(is_guest=True)), make.now)

    assert (verdict.waiting_helps, verdict.until) == (False, None)


def test_waiting_does_not_help_against_missing_rights(make):
    denied = make.unseen("the token may not read this repository", Trouble.DENIED)

    assert decide(make.case(looks=(make.look(listing=denied),)), make.now).waiting_helps is False


@pytest.mark.parametrize("case", ["allowed", "needs approval"])
def test_waiting_is_no_question_where_nothing_refuses(make, case):
    verdict = decide(make.case(protected=case != "allowed"), make.now)

    assert (verdict.waiting_helps, verdict.until, verdict.refusals) == (False, None, ())


def test_what_is_refused_until_an_instant_is_allowed_at_it_on_fresh_evidence(make):
    later = make.at("11:58")
    run, state = make.run(end="11:53"), make.state(last_written=make.at("11:53"))
    until = decide(make.case(run, state=make.check(state)), make.now).until
    assert until == make.at("11:58:30")

    then = replace(make, now=until)

    assert decide(then.case(run, state=then.check(state)), later).ruling is Ruling.REFUSE
    assert decide(then.case(run, state=then.check(state)), until).ruling is Ruling.ALLOW


def test_a_verdict_is_read_by_rule(make):
    finding = Finding(Rule.QUIET, Effect.HOLDS, ("quiet",))

    assert Verdict(Ruling.ALLOW, (finding,))[Rule.QUIET] is finding


def test_an_approval_is_for_the_rules_that_want_one_and_no_others(make):
    case = make.case(protected=True)

    assert decide(case, make.now).wants_approval == ("protected",)
    assert decide(make.case(), make.now).wants_approval == ()


def test_a_lock_that_is_gone_leaves_nothing_to_take_for_a_jobs(make):
    gone = replace(make.case(make.run(), who="runner@build-1"), lock=make.seen())

    assert gone.from_ci is False
    assert decide(gone, make.now).ruling is Ruling.REFUSE


@pytest.mark.parametrize(("ruling", "helps"), [(Ruling.REFUSE, True), (Ruling.NEEDS_APPROVAL, False)])
def test_waiting_is_for_what_is_refused_and_not_for_a_second_member(ruling, helps):
    verdict = Verdict(ruling, (Finding(Rule.APPROVER, Effect.REFUSES, ("soon",), waits=True),))

    assert verdict.waiting_helps is helps
