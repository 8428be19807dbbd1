from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.policy import Holders, KnownPerson, Policy, run_id_pattern
from bot.core.run import Conclusion
from bot.core.who import is_shared_host

HOLDERS = Holders(run_id_hosts=("*@gha-{run}-{attempt}", "ci@build.{run}"))


@pytest.mark.parametrize(
    "who",
    [
        "runner@fv-az881-525",
        "runner@runnervmmklqx",
        "root@runner-t3qyxf-project-7120-concurrent-0",
        "vsts@fv-az719-784",
        "@terraformer-6965b5fbc-cvzn6",
        "Runner@FV-AZ881-525",
    ],
)
def test_ci_hosts_seen_in_the_wild_are_known_without_configuration(who):
    assert Holders().looks_like_ci(who)


@pytest.mark.parametrize(
    "who",
    [
        "elliott@elliotts-macbook",
        "parker@ip-guest",
        "parker@ip-172-31-24-242",
        "@elliotts-macbook-pro",
        "quinn@fv-az881-525",
        "root@ip-guest",
        "runner@quinns-laptop",
        "root@ip-172-31-24-242",
        "jenkins@a-macbook",
        "vsts@elliott-thinkpad",
        "circleci@959fcba5e7a7",
        "xrunner@fv-az881-525",
        "@",
        "",
        "x" * 100_000,
    ],
)
def test_a_persons_own_machine_is_never_ci_by_a_built_in_pattern(who):
    assert not Holders().looks_like_ci(who)


def test_configured_patterns_are_added_and_match_the_whole_of_who():
    holders = Holders(ci_hosts=("*@Build-*",))
    assert holders.looks_like_ci("tf@build-7")
    assert not holders.looks_like_ci("tf@rebuild-7")


@pytest.mark.parametrize(
    ("who", "found"),
    [
        ("runner@gha-7000123-2", ("7000123", 2)),
        ("@gha-7000123-10", ("7000123", 10)),
        ("Runner@GHA-7000123-1", ("7000123", 1)),
        ("ci@build.ab_9", ("ab_9", None)),
        ("runner@gha-7000123", None),
        ("runner@gha-7000123-2-x", None),
        ("runner@gha-7000123-2\n", None),
        ("runner@gha-70-00123-2", None),
        ("ci@buildxab", None),
        ("", None),
        ("runner@gha-" + "1" * 100_000 + "-1", None),
    ],
)
def test_the_run_id_is_read_from_exactly_the_configured_host_names(who, found):
    assert HOLDERS.run_id_in(who) == found


@pytest.mark.parametrize("template", ["*@host", "{run}{run}", "{run}-{attempt}-{attempt}"])
def test_a_run_id_pattern_needs_its_run_once(template):
    with pytest.raises(ValueError, match=r"needs \{run\} once"):
        run_id_pattern(template)


@given(st.text(max_size=60))
def test_no_text_upsets_the_holders(who):
    holders = Holders(run_id_hosts=("*@*-{run}-{attempt}",), people=(KnownPerson("e", who=("[e@*",)),))
    holders.looks_like_ci(who)
    holders.run_id_in(who)
    holders.person_for_who(who)
    holders.person_for(login=who)
    is_shared_host(who)


ELLIOTT = KnownPerson("elliott", slack="U0ELLIOTT", github="Elliott-CI", who=("elliott@*",))
QUINN = KnownPerson("quinn", slack="U0QUINN", who=("quinn@*", "*@shared"))


def test_people_are_known_by_who_and_by_login_whatever_the_case():
    holders = Holders(people=(ELLIOTT, QUINN))
    assert holders.person_for_who("Elliott@laptop") == ELLIOTT
    assert holders.person_for(login="elliott-ci") == ELLIOTT
    assert holders.person_for_who("parker@laptop") is None
    assert holders.person_for(login="quinn") is None
    assert holders.person_for(login="") is None


def test_two_people_for_one_who_are_nobody():
    assert Holders(people=(ELLIOTT, QUINN)).person_for_who("elliott@shared") is None


@pytest.mark.parametrize(("host", "shared"), [("fv-az881-525", True), ("runnervmmklqx", True), ("build-1", False)])
def test_github_hosted_names_are_shared_by_many_machines(host, shared):
    assert is_shared_host(host) is shared


@pytest.mark.parametrize(
    ("conclusion", "seconds"),
    [
        (Conclusion.FAILED, 60),
        (Conclusion.SUCCESS, 60),
        (Conclusion.SKIPPED, 60),
        (Conclusion.CANCELLED, 330),
        (Conclusion.TIMED_OUT, 330),
        (Conclusion.LOST, 660),
        (None, 660),
    ],
)
def test_settle_times_follow_the_conclusion_and_the_unknown_waits_longest(conclusion, seconds):
    assert Policy().settle_time(conclusion) == timedelta(seconds=seconds)


def test_gitlab_takes_longer_over_a_cancel_than_the_others_unless_the_team_says_less():
    long, short = (Policy(settle={Conclusion.CANCELLED: timedelta(seconds=s)}) for s in (900, 4))

    assert Policy().settle_time(Conclusion.CANCELLED, "GitLab CI") == timedelta(seconds=670)
    assert Policy().settle_time(Conclusion.CANCELLED, "Jenkins") == timedelta(seconds=330)
    assert Policy().settle_time(None, "GitLab CI") == timedelta(seconds=670)
    assert long.settle_time(Conclusion.CANCELLED, "GitLab CI") == timedelta(seconds=900)
    assert short.settle_time(Conclusion.CANCELLED, "GitLab CI") == timedelta(seconds=4)


def test_a_settle_time_that_is_not_given_keeps_its_default():
    policy = Policy(settle={Conclusion.FAILED: timedelta(hours=1)})
    assert policy.settle_time(Conclusion.LOST) == timedelta(seconds=660)
    assert policy.settle_time(None) == timedelta(hours=1)
