"""Whose lock it is: what points at whom, in which order, and when that is not one person."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from bot.core.evidence import Found
from bot.core.gate.attribution import Attribution, Candidate, Strength, Tie
from bot.core.gate.ownership import NOBODY_STARTED, Lead, Starters, is_bot, leads, started_by_bots, starters
from bot.core.lock import LockInfo
from bot.core.phrase import plain
from bot.core.policy import Holders, KnownPerson
from bot.core.run import Conclusion, Job, Phase, Pipeline, Run, RunRef

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
SYSTEMS = {
    "github": "GitHub Actions",
    "gitlab": "GitLab CI",
    "azure": "Azure DevOps",
    "jenkins": "Jenkins",
    "ecs": "ECS",
}
ELLIOTT = KnownPerson(
    "elliott",
    "U0ELLIOTT",
    email="elliott@example.com",
    github="elliott-ci",
    gitlab="eli",
    azure="elliott.a",
    who=("elliott@*",),
)
QUINN = KnownPerson("quinn", "U0QUINN", github="quinn", email="q@example.com")
PEOPLE = Holders(people=(ELLIOTT, QUINN))
CI = "runner@fv-az881-525"


def run(actor="", ci="github", number="1", **facts):
    ref = RunRef(Pipeline(ci, (("repo", "acme/infra"),), SYSTEMS.get(ci, "")), number)
    given = Run(ref, "Deploy", actor, "push", Phase.RUNNING, None, 1, NOW, NOW, None)
    return replace(given, **facts)


def tied(*runs, tie=Tie.BY_TIME, actor=""):
    candidates = tuple(Candidate(one, Found(one, NOW), (), actor=actor) for one in runs)
    return Attribution(Strength.WINDOW, candidates, ("so",), tie=tie)


def lock_of(who):
    return LockInfo("lock-1", "OperationTypeApply", "", who, "1.9.8", NOW, "acme-tfstate/staging")


def found(attribution, who=CI, holders=PEOPLE):
    return [
        (lead.name if lead.person is None else lead.person.name, lead.certain)
        for lead in leads(lock_of(who), attribution, holders)
    ]


@pytest.mark.parametrize(
    ("ci", "actor", "email", "name"),
    [
        ("github", "Elliott-CI", "", "elliott"),
        ("gitlab", "eli", "", "elliott"),
        ("gitlab", "elliott-ci", "", "elliott-ci"),  # elliott's name at GitHub is not their name here
        ("gitlab", "quinn", "", "quinn"),
        ("azure", "Elliott Example", "Elliott@Example.com", "elliott"),
        ("azure", "elliott.a", "", "elliott"),
        ("jenkins", "elliott-ci", "", "elliott"),
        ("ecs", "elliott@example.com", "", "elliott"),
        ("github", "stranger", "", "stranger"),
    ],
)
def test_whoever_started_the_run_is_known_by_login_or_address(ci, actor, email, name):
    assert found(tied(run(actor, ci, actor_email=email))) == [(name, True)]


def test_whom_a_claim_names_is_not_the_owner_where_the_ci_system_names_another():
    assert found(tied(run("quinn"), tie=Tie.SEALED, actor="elliott-ci")) == [("quinn", True)]


def test_whom_a_claim_alone_names_is_shown_and_never_certain():
    assert found(tied(run(), tie=Tie.SEALED, actor="Q@example.com")) == [("quinn", False)]
    assert found(tied(run("nightly", by_bot=True), tie=Tie.SEALED, actor="quinn")) == [("quinn", False)]


def on_attempt(*numbers, of, **facts):
    """A GitHub run that quinn started and elliott ran again, with jobs of these attempts at the lock's time."""
    jobs = tuple(Job(f"j{n}", "apply", n, Phase.ENDED, Conclusion.FAILED, NOW, NOW) for n in numbers)
    again = run(**{"actor": "elliott-ci", "attempt": of, "first_actor": "quinn"} | facts)
    return Attribution(Strength.HOST, (Candidate(again, Found(again, NOW), jobs),), ("so",))


def test_a_run_that_was_started_again_is_of_whoever_started_the_attempt_that_has_the_lock():
    assert found(on_attempt(1, of=2)) == [("quinn", True)]
    assert found(on_attempt(2, of=2)) == [("elliott", True)]


def test_where_it_is_not_known_which_attempt_has_the_lock_its_owner_is_not_certain():
    assert [certain for _, certain in found(on_attempt(of=2))] == [False]
    assert [certain for _, certain in found(on_attempt(1, 2, of=2))] == [False]
    assert [certain for _, certain in found(on_attempt(2, of=3))] == [False]
    assert [certain for _, certain in found(on_attempt(2, of=2, ci="gitlab", first_actor=""))] == [False]


def test_of_a_run_that_was_started_again_all_starters_count_and_an_unknown_one_too():
    both = Starters(frozenset({"U0QUINN", "U0ELLIOTT"}))
    assert starters(on_attempt(of=2), PEOPLE) == both
    assert starters(on_attempt(of=3), PEOPLE) == replace(both, are_unknown=True)
    assert starters(on_attempt(1, of=3), PEOPLE) == Starters(frozenset({"U0QUINN"}))


def test_a_claim_that_names_a_bot_does_not_hide_the_author():
    attribution = tied(
        run("renovate[bot]", author="Quinn", author_email="q@example.com"),
        tie=Tie.SEALED,
        actor="renovate[bot]",
    )

    assert found(attribution) == [("quinn", False)]


@pytest.mark.parametrize("facts", [{"by_bot": True}, {"actor": "dependabot[bot]"}, {"actor": "project_12_bot"}])
def test_the_author_stands_in_where_a_program_started_the_run(facts):
    assert found(tied(run(**{"actor": "x", "author_email": "q@example.com"} | facts))) == [("quinn", False)]


def test_an_authors_hidden_address_at_github_tells_their_login():
    attribution = tied(run("renovate[bot]", author_email="1234+elliott-ci@users.noreply.github.com"))

    assert found(attribution) == [("elliott", False)]


def test_a_login_that_the_configuration_names_is_a_person_whatever_it_looks_like():
    holders = Holders(people=(KnownPerson("elliott", "U0ELLIOTT", github="elliott-bot"),))

    assert found(tied(run("elliott-bot")), holders=holders) == [("elliott", True)]


def test_a_schedule_of_somebody_is_theirs_only_where_no_author_is_told():
    by_clock = run("quinn", trigger="schedule", by_bot=True)

    assert found(tied(by_clock)) == [("quinn", False)]
    assert found(tied(replace(by_clock, author_email="elliott@example.com"))) == [("elliott", False)]


def test_a_pattern_on_who_goes_before_what_is_not_certain():
    attribution = tied(run("renovate[bot]", author_email="q@example.com"))

    assert found(attribution, who="elliott@fv-az881-525") == [("elliott", True)]


def test_two_who_may_hold_the_lock_are_both_named_and_neither_is_certain_of_it_alone():
    assert [name for name, _ in found(tied(run("quinn"), run("elliott-ci", number="2")))] == ["elliott", "quinn"]


def test_beside_a_run_that_names_nobody_the_other_is_not_certain():
    assert found(tied(run("quinn"), run("", number="2"))) == [("quinn", False)]


@pytest.mark.parametrize("tie", [Tie.SEALED, Tie.SHOWN])
def test_a_run_that_is_tied_by_more_than_time_is_its_starters_on_any_host(tie):
    assert found(tied(run("quinn"), tie=tie), who="deploy@build-1") == [("quinn", True)]


def test_time_alone_says_nothing_of_a_lock_from_somebodys_own_machine():
    assert found(tied(run("quinn")), who="sam@mbp-14") == [("quinn", False)]
    assert found(tied(run("quinn")), who="elliott@mbp-14") == [("elliott", True)]


def test_the_user_of_a_machine_who_is_called_like_somebody_is_not_certain():
    assert found(None, who="ELI@build-1") == [("elliott", False)]
    assert found(None, who="q@build-1") == [("quinn", False)]
    assert found(None, who="@build-1") == []


def test_two_whose_patterns_match_are_both_named():
    other = KnownPerson("other", "U0OTHER", who=("elliott@*",))

    assert found(None, who="elliott@x", holders=Holders(people=(ELLIOTT, other))) == [
        ("elliott", False),
        ("other", False),
    ]


def test_two_with_one_login_are_nobody():
    twins = Holders(people=(KnownPerson("a", "U0A", github="x"), KnownPerson("b", "U0B", github="X")))

    assert found(tied(run("x")), holders=twins) == [("x", True)]
    assert starters(tied(run("x")), twins) == Starters(are_unknown=True)


def test_a_run_that_is_nobodys_leaves_the_others_starter_not_alone():
    lock = LockInfo("lock-1", "OperationTypeApply", "", CI, "1.9.8", NOW, "x")
    for other, alone in ((run("renovate[bot]", number="2"), False), (run("Quinn", number="2"), True)):
        (lead,) = leads(lock, tied(run("quinn"), other), PEOPLE)
        assert lead.alone is alone


def test_who_started_the_runs_is_everybody_who_is_known_to_have():
    attribution = tied(run("quinn"), run("", number="2", actor_email="elliott@example.com"))

    assert starters(attribution, PEOPLE).ids == {"U0QUINN", "U0ELLIOTT"}
    assert starters(None, PEOPLE) == NOBODY_STARTED


def test_a_starter_without_a_slack_id_counts_by_address_and_one_without_either_as_unknown():
    by_mail = Holders(people=(KnownPerson("quinn", github="quinn", email="Q@example.com"),))

    assert starters(tied(run("quinn")), by_mail) == Starters(emails=frozenset({"q@example.com"}))
    assert starters(tied(run("x", actor_email="X@example.com")), PEOPLE).emails == {"x@example.com"}
    assert starters(tied(run("x")), PEOPLE) == Starters(are_unknown=True)
    assert starters(tied(run("renovate[bot]")), PEOPLE) == NOBODY_STARTED


def test_whom_a_claim_names_counts_as_a_starter_beside_whom_the_ci_system_names():
    attribution = tied(run("quinn"), tie=Tie.SEALED, actor="elliott-ci")

    assert starters(attribution, PEOPLE) == Starters(frozenset({"U0QUINN", "U0ELLIOTT"}))


def test_how_they_were_found_is_said():
    lock = LockInfo("lock-1", "OperationTypeApply", "", CI, "1.9.8", NOW, "x")
    (lead,) = leads(lock, tied(run("renovate[bot]", author_email="q@example.com")), PEOPLE)

    assert plain(lead.source) == "wrote the commit; renovate[bot] started the run"


@pytest.mark.parametrize(
    "name",
    [
        "dependabot[bot]", "Renovate[bot]", "acme-bot", "deploy_bot", "github-actions", "project_7_bot_ab12",
        "group_9_bot", "service_account_12",
        "Microsoft.VisualStudio.Services.TFS", "Project Collection Build Service (acme)",
        "infra Build Service (acme)", "events-rule/nightly", "SYSTEM",
    ],
)  # fmt: skip
def test_programs_are_told_by_their_names(name):
    assert is_bot(name)


@pytest.mark.parametrize("name", ["elliott", "abbot", "botond", "robot.smith", "Elliott Service", ""])
def test_people_are_not_taken_for_programs(name):
    assert not is_bot(name)


@pytest.mark.parametrize(
    "name",
    [
        *("bot", "dependabot", "renovate", "github-actions", "mergify", "web-flow", "system", "anonymous", "timer"),
        *("Renovate[bot]", "acme-bot", "project_7_bot_x", "service_account_acme", "infra Build Service (acme)", " BOT"),
    ],
)
def test_a_program_is_known_by_its_login(name):
    assert is_bot(name)


@pytest.mark.parametrize("name", ["elliott", "abbot", "botero", "timer-elliott", "web-flower", ""])
def test_a_person_is_not_taken_for_a_program_by_a_part_of_their_login(name):
    assert not is_bot(name)


def test_two_leads_point_at_one_person_by_the_configuration_else_by_address_else_by_name():
    def key(name, *, slack=None, email=""):
        return Lead(name, None if slack is None else KnownPerson(slack, f"U0{slack}"), email, ("said",)).key

    assert key("elliott-ci", slack="elliott") == key("ecolley", slack="elliott", email="e@example.com")
    assert key("elliott", slack="elliott") != key("elliott", slack="quinn")
    assert key("one", email="E@example.com") == key("two", email="e@Example.com")
    assert key("one", email="e@example.com") != key("one", email="q@example.com")
    assert key("Elliott") == key("elliott") != key("quinn")


def test_a_certain_starter_goes_before_a_pattern_on_who_and_an_uncertain_one_or_several_do_not():
    """The run is shown to have the lock, whose `Who` matches a pattern of elliott's."""
    who, tie = "elliott@mbp-14", Tie.SHOWN

    assert found(tied(run("quinn"), tie=tie), who=who) == [("quinn", True)]
    assert found(tied(run("renovate[bot]", author_email="q@example.com"), tie=tie), who=who) == [("elliott", True)]
    assert found(tied(run("quinn"), run("stranger", number="2"), tie=tie), who=who) == [("elliott", True)]
    assert found(tied(run("renovate[bot]"), tie=tie), who=who) == [("elliott", True)]
    assert found(tied(run("renovate[bot]", author_email="q@example.com"), tie=tie), who="x@y") == [("quinn", False)]


def test_several_starters_are_certain_only_if_each_is():
    both = tied(run("quinn"), run("renovate[bot]", number="2", author_email="elliott@example.com"))

    assert found(both) == [("elliott", False), ("quinn", False)]


@pytest.mark.parametrize(
    ("first", "trigger", "wanted"),
    [
        ("quinn", "push", [("quinn", True)]),
        ("dependabot[bot]", "push", []),
        ("quinn", "schedule", [("elliott", False)]),  # nobody started it; the newest attempt's starter has a schedule
    ],
)
def test_whether_a_program_started_the_first_attempt_is_told_by_its_login_or_its_trigger(first, trigger, wanted):
    again = on_attempt(1, of=2, first_actor=first, trigger=trigger)

    assert found(again) == wanted
    assert starters(again, PEOPLE) == (Starters(frozenset({"U0QUINN"})) if first == "quinn" else NOBODY_STARTED)


def test_of_a_first_attempt_the_starter_is_known_and_of_a_later_one_only_where_the_first_is_told_too():
    once = on_attempt(1, of=1, first_actor="")

    assert found(once) == [("elliott", True)]
    assert starters(once, PEOPLE) == Starters(frozenset({"U0ELLIOTT"}))
    assert starters(on_attempt(2, of=2, first_actor=""), PEOPLE).are_unknown


def test_one_run_whose_starters_are_not_all_known_leaves_them_unknown_whatever_follows():
    (unknown,) = on_attempt(of=3).candidates
    known = Candidate(run("quinn", number="9"), Found(run("quinn", number="9"), NOW), ())
    for order in ((unknown, known), (known, unknown)):
        assert starters(Attribution(Strength.WINDOW, order, ("so",), tie=Tie.BY_TIME), PEOPLE).are_unknown


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        ("", NOBODY_STARTED),
        ("renovate[bot]", NOBODY_STARTED),
        ("sam@example.com", Starters(emails=frozenset({"sam@example.com"}))),
        ("sam", Starters(are_unknown=True)),
        ("quinn", Starters(frozenset({"U0QUINN"}))),
    ],
)
def test_whom_a_claim_names_is_a_starter_if_it_is_no_program(said, wanted):
    assert starters(tied(run("nightly", by_bot=True), actor=said), PEOPLE) == wanted


def test_a_person_without_an_address_in_the_configuration_counts_by_the_one_that_the_system_gives():
    known = Holders(people=(KnownPerson("sam", github="sam"),))

    assert starters(tied(run("sam", actor_email="Sam@example.com")), known) == Starters(
        emails=frozenset({"sam@example.com"})
    )


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ("elliott@example.com", "elliott"),
        ("elliott-ci", "elliott"),
        ("sam@example.com", "sam@example.com"),
        ("sam", "sam"),
    ],
)
def test_whom_a_claim_names_is_found_by_login_or_address(said, name):
    assert found(tied(run(), actor=said)) == [(name, False)]


def test_a_program_that_the_configuration_names_may_be_named_by_a_claim_or_wrote_the_commit():
    holders = Holders(
        people=(KnownPerson("release", "U0RELEASE", github="release-bot", email="release-bot@example.com"),)
    )

    assert found(tied(run(), actor="release-bot"), holders=holders) == [("release", False)]
    assert found(tied(run(), actor="release-bot")) == []
    written = run(author="release-bot", author_email="release-bot@example.com")
    assert found(tied(written), holders=holders) == [("release", False)]
    assert found(tied(written)) == []


@pytest.mark.parametrize(
    ("author", "email", "name"),
    [
        ("Sam Example", "sam@example.com", "Sam Example"),
        ("", "sam@example.com", "sam@example.com"),
        ("Sam Example", "7+sam@users.noreply.github.com", "sam"),
        ("", "", None),
        ("renovate[bot]", "sam@example.com", None),
        ("renovate[bot]", "7+sam@users.noreply.github.com", None),
        ("Sam Example", "bot@renovateapp.com", None),
        ("Sam Example", "noreply@example.com", None),
        ("Sam Example", "9+dependabot[bot]@users.noreply.github.com", None),
        ("Sam Example", "dependabot@users.noreply.github.com", None),
    ],
)
def test_who_wrote_a_commit_is_called_by_login_name_or_address_unless_it_was_a_program(author, email, name):
    said = found(tied(run(author=author, author_email=email)))

    assert said == ([] if name is None else [(name, False)])


@pytest.mark.parametrize(
    ("actor", "trigger", "wanted"),
    [
        ("sam", "schedule", [("sam", False)]),
        ("sam", "push", []),
        ("", "schedule", []),
        ("nightly-bot", "schedule", []),
        ("quinn-bot", "schedule", [("quinn", False)]),
    ],
)
def test_a_schedule_is_of_the_person_whom_it_names(actor, trigger, wanted):
    holders = Holders(people=(KnownPerson("quinn", "U0QUINN", github="quinn-bot"),))

    assert found(tied(run(actor, trigger=trigger, by_bot=True)), holders=holders) == wanted


def test_the_programs_that_started_the_runs_are_named_once_each():
    runs = [
        run("renovate[bot]"),
        run("nightly", number="2", by_bot=True),
        run("quinn", number="3"),
        run("", number="4"),
    ]
    runs += [run("", number="5", by_bot=True), run("renovate[bot]", number="6")]

    assert started_by_bots(tied(*runs)) == ("nightly", "renovate[bot]")
    assert started_by_bots(None) == ()


def test_whoever_started_the_first_attempt_is_a_person_if_the_configuration_names_them():
    holders = Holders(people=(KnownPerson("elliott", "U0ELLIOTT", github="elliott-bot"),))
    again = on_attempt(1, of=2, first_actor="elliott-bot")

    assert found(again, holders=holders) == [("elliott", True)]
    assert found(again) == []
    assert starters(again, PEOPLE) == NOBODY_STARTED


@pytest.mark.parametrize(("said", "email"), [("sam@example.com", "sam@example.com"), ("sam", "")])
def test_slack_is_asked_for_whom_a_claim_names_only_by_an_address(said, email):
    lock = LockInfo("lock-1", "OperationTypeApply", "", CI, "1.9.8", NOW, "x")
    (lead,) = leads(lock, tied(run(), actor=said), PEOPLE)

    assert lead.email == email


def test_an_author_may_be_asked_for_at_an_address_that_takes_mail():
    by_mail, hidden = (
        tied(run(author="Sam", author_email=email)) for email in ("sam@example.com", "7+sam@users.noreply.github.com")
    )

    (one,), (other,) = (leads(lock_of(CI), attribution, PEOPLE) for attribution in (by_mail, hidden))
    assert (one.email, other.email) == ("sam@example.com", "")
    assert plain(one.source) == "wrote the commit; a program started the run"


@pytest.mark.parametrize("ci", ["github", "gitlab"])
def test_a_hidden_address_at_github_has_a_login_at_github_whichever_system_runs_the_commit(ci):
    holders = Holders(people=(KnownPerson("quinn", "U0QUINN", github="sam"), KnownPerson("sam", "U0SAM", gitlab="sam")))
    author = {"author": "Sam", "author_email": "7+sam@users.noreply.github.com"}

    assert found(tied(run(ci=ci, **author)), holders=holders) == [("quinn", False)]
    assert found(tied(run("sam", ci)), holders=holders) == [("quinn" if ci == "github" else "sam", True)]


def test_a_hold_has_nobody_to_ask_whether_its_run_is_dead():
    lock = lock_of("elliott@thinkpad")

    assert leads(lock, tied(run("quinn")), PEOPLE)
    assert leads(replace(lock, operation="tflock hold"), tied(run("quinn")), PEOPLE) == ()
