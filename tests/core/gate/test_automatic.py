"""A release that nobody asked for: every rule has to hold by itself, and the configuration has to want it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import find, given
from hypothesis import strategies as st

from bot.core.gate.attribution import Strength
from bot.core.gate.case import Effect, Rule, Ruling
from bot.core.gate.decide import decide
from bot.core.gate.rules import approver
from bot.core.lock import DigestMatch, DigestSeen, PlaceKind
from bot.core.people import Automatic, OwnerSays
from bot.core.phrase import plain
from bot.core.run import Conclusion
from tests.core.gate.test_properties import thorough, worlds

WANTED = Automatic(is_configured=True)


def automatic(case, asked=WANTED):
    return replace(case, requester=asked)


def proven(case):
    """The case with a tie that shows which run it is."""
    return replace(case, attribution=replace(case.attribution, strength=Strength.CLAIM))


def test_a_proven_dead_lock_is_allowed_without_anybodys_asking(make):
    verdict = decide(automatic(proven(make.case())), make.now)

    assert verdict.ruling is Ruling.ALLOW
    assert all(finding.effect is Effect.HOLDS for finding in verdict.findings)
    assert "the configuration (auto_release) does" in plain(verdict[Rule.REQUESTER].reason)


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        (lambda _: {"protected": True}, Rule.PROTECTED),
        (lambda make: {"owner": make.answer(OwnerSays.RUNNING)}, Rule.OWNER),
        (lambda make: {"state": make.check(make.state(fault="cut off"))}, Rule.WHOLE),
        (lambda make: {"state": make.check(make.state(last_written=make.now))}, Rule.QUIET),
        (lambda make: {"state": make.check(digest=DigestSeen(DigestMatch.DIFFERS, "k", "a", "b"))}, Rule.DIGEST),
        (lambda make: {"state": make.check(digest=DigestSeen(DigestMatch.UNSEEN))}, Rule.DIGEST),
        (lambda make: {"lock": make.seen(make.place(make.info()), make.place(make.info(id="x")))}, Rule.SAME_LOCK),
        (
            lambda make: {"lock": make.seen(make.place(make.info()), unseen=((PlaceKind.FILE, make.unseen()),))},
            Rule.SAME_LOCK,
        ),
    ],
    ids=["protected", "owner", "broken", "not quiet", "digest", "no digest", "two locks", "half unread"],
)
def test_what_a_person_could_be_asked_about_or_warned_of_refuses(make, change, rule):
    allowed = automatic(proven(make.case()))

    verdict = decide(replace(allowed, **change(make)), make.now)

    assert decide(allowed, make.now).ruling is Ruling.ALLOW
    assert verdict.ruling is Ruling.REFUSE
    assert verdict[rule].effect is Effect.REFUSES
    assert verdict[rule] in verdict.refusals


def test_an_end_in_success_wants_a_person(make):
    case = proven(make.case(make.run(conclusion=Conclusion.SUCCESS)))

    assert decide(case, make.now).ruling is Ruling.NEEDS_APPROVAL
    assert decide(automatic(case), make.now).ruling is Ruling.REFUSE


def test_the_time_alone_is_no_proof(make):
    verdict = decide(automatic(make.case(looks=(make.look(make.run()),))), make.now)

    assert verdict.ruling is Ruling.REFUSE
    assert "nothing shows which run holds the lock" in plain(verdict[Rule.REQUESTER].reason)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (Automatic(is_configured=False), "does not ask for it"),
        (Automatic(is_configured=True, stopped_by="U1"), "stopped"),
    ],
)
def test_what_nobody_wants_or_somebody_stopped_refuses(make, asked, words):
    verdict = decide(automatic(proven(make.case()), asked), make.now)

    assert verdict.ruling is Ruling.REFUSE
    assert words in plain(verdict[Rule.REQUESTER].reason)


def test_no_approval_stands_in_for_a_proof(make):
    case = automatic(make.case(protected=True, approval=make.approval()))

    assert decide(case, make.now).ruling is Ruling.REFUSE
    assert decide(replace(case, requester=make.standing()), make.now).ruling is Ruling.ALLOW
    assert approver(case, case.approval, make.now).effect is Effect.REFUSES
    assert approver(replace(case, requester=make.standing()), case.approval, make.now).effect is Effect.HOLDS


@thorough
@given(data=st.data())
def test_what_is_allowed_without_asking_a_member_alone_could_release(make, data):
    case = data.draw(worlds(make)).build(make)
    asked = Automatic(data.draw(st.booleans()), data.draw(st.sampled_from(["", "", "U1"])))

    verdict = decide(automatic(case, asked), make.now)

    assert verdict.ruling is not Ruling.NEEDS_APPROVAL
    if verdict.ruling is Ruling.ALLOW:
        alone = replace(case, approval=None, requester=make.standing())
        assert decide(alone, make.now).ruling is Ruling.ALLOW
        assert asked == WANTED
        assert not case.protected
        assert case.attribution.is_exact


def test_such_worlds_are_allowed_now_and_then(make):
    """Or the test before this one would hold of anything."""
    find(worlds(make), lambda world: decide(automatic(world.build(make)), make.now).ruling is Ruling.ALLOW)
