"""Each row of the gate's table: each way in which it holds, each in which it does not, and its words."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from bot.core.evidence import Offset, Trouble, Unseen
from bot.core.gate.attribution import Taken, Tie
from bot.core.gate.case import Effect, Rule, Ruling
from bot.core.gate.claim import Exited
from bot.core.gate.decide import decide
from bot.core.gate.ending import seen_to_end_at
from bot.core.hold import HoldWords, hold_info
from bot.core.joblog.values import LogEnd
from bot.core.lock import NO_ABILITIES, DigestMatch, DigestSeen, PlaceKind, StateAbsent
from bot.core.people import Channel, OwnerSays
from bot.core.phrase import plain
from bot.core.policy import ApprovalPolicy, Approvers, ByTime, KnownPerson
from bot.core.run import ENDED, Conclusion, Phase


@pytest.fixture(scope="module")
def says(make):
    """What a rule makes of a case: `(effect, words, until, waits)`."""

    def _says(rule, case, now=None):
        finding = decide(case, now or make.now)[rule]
        return finding.effect, plain(finding.reason), finding.until, finding.waits

    return _says


HOLDS, WARNS, WANTS_APPROVAL, REFUSES = Effect.HOLDS, Effect.WARNS, Effect.WANTS_APPROVAL, Effect.REFUSES


def test_the_incidents_own_lock_may_be_released(make):
    verdict = decide(make.case(), make.now)

    assert verdict.ruling is Ruling.ALLOW
    assert [finding.rule for finding in verdict.findings] == list(Rule)[:-1]
    assert all(finding.effect is HOLDS for finding in verdict.findings)


# same lock


def test_the_lock_that_the_user_saw_is_the_same_lock(make, says):
    assert says(Rule.SAME_LOCK, make.case()) == (HOLDS, f"it is still lock {make.lock_id}", None, False)


def test_a_backend_that_releases_whatever_lock_is_there_wants_a_second_member(make, says):
    case = make.case(can=replace(make.case().can, conditional=False))

    effect, words, _, _ = says(Rule.SAME_LOCK, case)

    assert effect is WANTS_APPROVAL
    assert words.startswith(f"it is still lock {make.lock_id}, but this backend releases whatever lock is there")
    assert "nothing makes the release conditional" in words
    assert says(Rule.SAME_LOCK, replace(case, can=NO_ABILITIES))[0] is WANTS_APPROVAL


def test_a_lock_that_changed_hands_refuses_and_names_the_new_holder(make, says):
    taken = make.info(id="another", who="root@runner-a-project-1-concurrent-0", created=make.at("11:50"))

    effect, words, until, waits = says(Rule.SAME_LOCK, make.case(lock=make.seen(make.place(taken))))

    assert effect is REFUSES
    assert words == (
        "the lock has a new holder: it is now held by root@runner-a-project-1-concurrent-0 "
        "since 2026-11-21 11:50:00 UTC, lock another"
    )
    assert (until, waits) == (None, False)


def test_a_new_holder_without_a_name_is_called_that(make, says):
    case = make.case(lock=make.seen(make.place(make.info(id="another", who=""))))

    assert "held by someone without a name since" in says(Rule.SAME_LOCK, case)[1]


def test_a_lock_that_is_gone_refuses_since_the_state_is_free(make, says):
    effect, words, _, waits = says(Rule.SAME_LOCK, make.case(lock=make.seen()))

    assert (effect, words, waits) == (REFUSES, "the lock is gone; the state is free", False)


def test_a_half_that_could_not_be_read_refuses_though_the_other_holds_the_lock(make, says):
    case = make.case(lock=make.seen(make.place(make.info()), unseen=((PlaceKind.FILE, make.unseen("S3 is slow")),)))

    effect, words, _, waits = says(Rule.SAME_LOCK, case)

    assert (effect, words, waits) == (REFUSES, "the lockfile could not be read: S3 is slow", True)


def test_a_half_that_access_rights_hide_is_not_worth_waiting_for(make, says):
    denied = make.unseen("s3:GetObject is missing", Trouble.DENIED)

    assert says(Rule.SAME_LOCK, make.case(lock=make.seen(unseen=((PlaceKind.FILE, denied),))))[3] is False


def test_a_half_with_garbage_refuses_though_the_other_holds_the_lock(make, says):
    places = (make.place(make.info()), make.place(None, PlaceKind.FILE, "lock info is not JSON"))

    effect, words, _, _ = says(Rule.SAME_LOCK, make.case(lock=make.seen(*places)))

    assert (effect, words) == (REFUSES, "the lock entry in the lockfile is unreadable: lock info is not JSON")


def test_another_lock_in_the_other_half_is_a_warning(make, says):
    other = make.info(id="another", who="jenkins@agent", created=make.at("11:50"))
    places = (make.place(make.info()), make.place(other, PlaceKind.FILE))

    effect, words, _, _ = says(Rule.SAME_LOCK, make.case(lock=make.seen(*places)))

    assert effect is WARNS
    assert words.startswith(
        "the other place has another lock, which stays: held by jenkins@agent since 2026-11-21 11:50"
    )


# requester


def test_a_full_member_of_the_incident_channel_may_ask(make, says):
    assert says(Rule.REQUESTER, make.case())[:2] == (HOLDS, "parker is a full member of this incident channel")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"is_guest": True}, "parker is a guest"),
        ({"is_bot": True}, "parker is a bot"),
        ({"is_deleted": True}, "parker is deactivated"),
        ({"is_stranger": True}, "parker belongs to another workspace"),
        ({"team_id": "T0OTHER"}, "parker belongs to another workspace"),
        ({"team_id": None}, "parker may not belong to this workspace"),
        ({"is_incident_channel": False}, "parker asks outside an incident channel"),
    ],
)
def test_somebody_who_may_not_act_here_is_told_why(make, says, change, words):
    effect, said, until, waits = says(Rule.REQUESTER, make.case(requester=make.standing(**change)))

    assert effect is REFUSES
    assert said.startswith(words)
    assert (until, waits) == (None, False)


def test_before_slack_has_said_who_the_bot_is_nobody_may_act_and_waiting_helps(make, says):
    effect, said, _, waits = says(Rule.REQUESTER, make.case(requester=make.standing(home_team=None)))

    assert (effect, waits) == (REFUSES, True)
    assert "which workspace tflock is in" in said


@pytest.mark.parametrize("field", ["member", "in_channel", "channel", "in_groups"])
def test_what_slack_could_not_say_of_somebody_counts_against_them_for_now(make, says, field):
    away = Unseen("Slack", Trouble.THROTTLED, "Slack asks to wait", make.now)

    effect, words, _, waits = says(Rule.REQUESTER, make.case(requester=make.standing(**{field: away})))

    assert (effect, waits) == (REFUSES, True)
    assert words.endswith("may act could not be checked: Slack asks to wait")


@pytest.mark.parametrize(
    ("field", "words"),
    [
        ("member", "U0PARKER is not known to Slack"),
        ("in_channel", "parker is not a member of this channel: join it first"),
        ("channel", "parker asks outside an incident channel"),
        ("in_groups", "parker is not in a user group that may unlock"),
    ],
)
def test_what_slack_does_not_know_of_somebody_counts_against_them(make, says, field, words):
    effect, said, _, waits = says(Rule.REQUESTER, make.case(requester=make.standing(**{field: make.not_found()})))

    assert (effect, waits) == (REFUSES, False)
    assert said.startswith(words)


@pytest.mark.parametrize("field", ["in_channel", "in_groups"])
def test_somebody_outside_the_channel_or_the_group_may_not_ask(make, says, field):
    case = make.case(requester=make.standing(**{field: make.found(value=False)}))

    assert says(Rule.REQUESTER, case)[0] is REFUSES


def test_a_direct_message_is_never_an_incident_channel(make, says):
    channel = make.found(Channel("D0PARKER", "", is_direct=True, is_archived=False))

    assert says(Rule.REQUESTER, make.case(requester=make.standing(channel=channel)))[0] is REFUSES


def test_a_policy_that_names_groups_refuses_somebody_whose_groups_were_not_asked_for(make, says):
    policy = replace(make.policy, unlock_groups=("S0ONCALL",))

    assert says(Rule.REQUESTER, make.case(policy=policy))[0] is REFUSES
    member = make.standing(in_groups=make.found(value=True))
    assert says(Rule.REQUESTER, make.case(policy=policy, requester=member))[0] is HOLDS


# attributed


def test_a_run_whose_log_shows_it_is_the_holder(make, says):
    assert says(Rule.TIED, make.case())[:2] == (
        HOLDS,
        "deploy.yml in acme/infra #1: the log of job apply shows Terraform working under this lock",
    )


def test_a_run_that_only_the_time_ties_to_the_lock_wants_a_second_member(make, says):
    case = make.case(looks=(make.look(make.run()),))

    assert says(Rule.TIED, case)[:2] == (
        WANTS_APPROVAL,
        (
            "deploy.yml in acme/infra #1: it was the only configured run active when the lock was taken; "
            "only the timing fits"
        ),
    )
    assert decide(case, make.now).ruling is Ruling.NEEDS_APPROVAL
    assert decide(make.case(), make.now).ruling is Ruling.ALLOW


def test_where_the_policy_says_so_the_time_alone_refuses(make, says):
    strict = replace(make.policy, by_time=ByTime.REFUSE)

    effect, words, _, waits = says(Rule.TIED, make.case(looks=(make.look(make.run()),), policy=strict))

    assert (effect, waits) == (REFUSES, False)
    assert "the only configured run active when the lock was taken; only the timing fits" in words
    assert words.endswith("only the timing fits, and the policy (policy.by_time: refuse) requires proof")
    assert says(Rule.TIED, make.case(policy=strict))[0] is HOLDS


def test_clocks_that_disagree_about_when_the_lock_was_taken_are_told_of(make, says):
    case = make.case()
    apart = Taken(make.created, make.at("09:10"))

    told = says(Rule.TIED, replace(case, attribution=replace(case.attribution, taken=apart)))[1]

    assert told.endswith("the holder's clock and the store's differ by 5 min, so every run between the two counts")
    assert "clock" not in says(Rule.TIED, case)[1]


def test_a_run_that_had_ended_before_the_store_wrote_the_lock_is_said_to_have(make, says):
    """The holder's clock is slow, or the store's is fast: only the time ties this run to the lock, and one of the two
    speaks against it."""
    words = "By the store's clock, that had ended before the lock was taken"
    case = make.case(looks=(make.look(make.run()),))

    def told(stored):
        taken = Taken(make.created, make.at(stored))
        return says(Rule.TIED, replace(case, attribution=replace(case.attribution, taken=taken)))[:2]

    assert words in told("09:30")[1]
    assert words not in told("09:14")[1]
    assert told("09:30")[0] is told("09:14")[0] is WANTS_APPROVAL


def test_the_stores_clock_holds_no_settle_time_up(make, says):
    case = make.case()
    fast = replace(case.attribution, taken=Taken(make.created, make.now))

    assert says(Rule.SETTLED, replace(case, attribution=fast))[0] is HOLDS


def test_more_runs_than_fit_in_a_sentence_are_counted(make, says):
    runs = [make.run(str(n)) for n in range(1, 6)]

    words = says(Rule.TIED, make.case(*runs))[1]

    assert words.startswith(
        "deploy.yml in acme/infra #1, deploy.yml in acme/infra #2, deploy.yml in acme/infra #3 and 2"
    )
    assert "any of them may hold it" in words or "shows Terraform" in words
    assert says(Rule.DEAD, make.case(*runs))[1].endswith(" and 2 more")


def test_a_lock_that_no_run_explains_has_an_unknown_holder(make, says):
    case = make.case(make.run(start="09:30", end="09:40"))

    effect, words, _, waits = says(Rule.TIED, case)

    assert (effect, waits) == (REFUSES, False)
    assert words == (
        "we don't know which run holds it: none of the configured pipelines was running when the lock was taken"
    )


def test_a_state_without_pipelines_has_an_unknown_holder(make, says):
    assert says(Rule.TIED, make.case(looks=()))[0] is REFUSES


@pytest.mark.parametrize(
    ("trouble", "waits"), [(Trouble.TIMED_OUT, True), (Trouble.SERVER_ERROR, True), (Trouble.DENIED, False)]
)
def test_a_ci_that_cannot_be_asked_leaves_the_holder_unknown(make, says, trouble, waits):
    case = make.case(looks=(make.look(listing=make.unseen("GitHub says nothing", trouble)),))

    effect, words, _, may_pass = says(Rule.TIED, case)

    assert effect is REFUSES
    assert words == "we can't tell which run holds it: GitHub could not be read: GitHub says nothing"
    assert may_pass is waits


def test_a_pipeline_that_the_ci_does_not_know_leaves_the_holder_unknown(make, says):
    case = make.case(looks=(make.look(listing=make.not_found()),))

    effect, words, _, waits = says(Rule.TIED, case)

    assert (effect, waits) == (REFUSES, False)
    assert "there is no such workflow" in words


# dead


def test_an_end_that_only_the_server_declared_wants_a_second_member_whatever_time_has_passed(make, says):
    lost = make.case(make.run(conclusion=Conclusion.LOST))
    by_its_log = make.look(make.run(), logs={"1": make.log(end=LogEnd.DECLARED)})

    assert says(Rule.DEAD, lost)[:2] == (
        WANTS_APPROVAL,
        (
            "only CI's server declared this end, so the process may still be running: "
            "deploy.yml in acme/infra #1 was lost by CI at 2026-11-21 09:15:00 UTC"
        ),
    )
    assert decide(lost, make.now).ruling is Ruling.NEEDS_APPROVAL
    assert decide(make.case(looks=(by_its_log,)), make.now).ruling is Ruling.NEEDS_APPROVAL
    assert decide(make.case(make.run(conclusion=Conclusion.FAILED)), make.now).ruling is Ruling.ALLOW


@pytest.mark.parametrize("conclusion", [Conclusion.FAILED, Conclusion.CANCELLED, Conclusion.TIMED_OUT])
def test_a_run_that_ended_badly_is_dead(make, says, conclusion):
    effect, words, _, _ = says(Rule.DEAD, make.case(make.run(conclusion=conclusion)))

    assert effect is HOLDS
    assert words == f"deploy.yml in acme/infra #1 {ENDED[conclusion]} at 2026-11-21 09:15:00 UTC"


def test_runs_that_all_ended_in_success_want_approval(make, says):
    runs = (make.run("1", conclusion=Conclusion.SUCCESS), make.run("2", conclusion=Conclusion.SUCCESS))

    effect, words, _, _ = says(Rule.DEAD, make.case(*runs))

    assert effect is WANTS_APPROVAL
    assert words.startswith("no run that could hold the lock is known to have failed: ")


def test_one_failure_among_successes_is_dead(make, says):
    assert says(Rule.DEAD, make.case(make.run("1", conclusion=Conclusion.SUCCESS), make.run("2")))[0] is HOLDS


def test_an_end_that_nobody_can_name_wants_approval(make, says):
    effect, words, _, _ = says(Rule.DEAD, make.case(make.run(conclusion=None)))

    assert effect is WANTS_APPROVAL
    assert "ended in an unknown way at 2026-11-21 09:15:00 UTC" in words


@pytest.mark.parametrize(
    ("phase", "words"),
    [
        (Phase.RUNNING, "is still running: job apply since 2026-11-21 09:02:00 UTC"),
        (Phase.WAITING, "is waiting to run: job apply since"),
        (Phase.ENDING, "is being cancelled, and not yet over: job apply since"),
        (Phase.UNKNOWN, "is in a state that CI does not report: job apply since"),
    ],
)
def test_a_job_that_has_not_ended_refuses_and_may_end_by_itself(make, says, phase, words):
    run = make.run(end=None, phase=phase, jobs=(make.job(end=None, phase=phase),))

    effect, said, until, waits = says(Rule.DEAD, make.case(run))

    assert (effect, until, waits) == (REFUSES, None, True)
    assert said.startswith(f"deploy.yml in acme/infra #1 {words}")


@pytest.mark.parametrize(("reported", "words"), [("in_progress", ": in_progress"), ("", "")])
def test_a_run_that_goes_on_after_its_jobs_refuses_in_the_systems_own_word(make, says, reported, words):
    run = make.run(phase=Phase.RUNNING, reported=reported)

    effect, said, _, _ = says(Rule.DEAD, make.case(run))

    assert effect is REFUSES
    assert said == f"deploy.yml in acme/infra #1 is still running{words}"


def test_a_rerun_that_runs_refuses_though_the_attempt_in_the_window_ended(make, says):
    again = make.job("11:50", None, id="12", attempt=2)
    run = make.run(phase=Phase.RUNNING, attempt=2, jobs=(make.job(), again))

    effect, words, _, _ = says(Rule.DEAD, make.case(run))

    assert effect is REFUSES
    assert words == "deploy.yml in acme/infra #1 (attempt 2) is still running: job apply since 2026-11-21 11:50:00 UTC"


def test_a_job_that_goes_on_outweighs_a_run_that_says_it_ended(make, says):
    run = make.run(jobs=(make.job(), make.job(end=None, id="12", name="cleanup")))

    effect, words, _, _ = says(Rule.DEAD, make.case(run))

    assert effect is REFUSES
    assert words == "deploy.yml in acme/infra #1 is still running: job cleanup since 2026-11-21 09:02:00 UTC"


def test_a_run_that_was_listed_and_could_not_be_read_refuses(make, says):
    case = make.case(looks=(make.look(make.run(), closer={"1": make.unseen()}),))

    effect, words, _, waits = says(Rule.DEAD, case)

    assert (effect, waits) == (REFUSES, True)
    assert words == "deploy.yml in acme/infra #1 could not be read: GitHub did not answer within 5 s"


def test_a_run_that_is_gone_refuses_and_waiting_does_not_help(make, says):
    case = make.case(looks=(make.look(make.run(), closer={"1": make.not_found("")}),))

    effect, words, _, waits = says(Rule.DEAD, case)

    assert (effect, waits) == (REFUSES, False)
    assert words == "deploy.yml in acme/infra #1 could not be read: not found: no such thing"


@pytest.mark.parametrize(
    ("missing", "words"), [("page 2 timed out", "page 2 timed out"), (None, "its jobs are missing")]
)
def test_a_run_without_its_jobs_refuses(make, says, missing, words):
    effect, said, _, _ = says(Rule.DEAD, make.case(make.run(jobs=None, jobs_missing=missing)))

    assert effect is REFUSES
    assert said == f"deploy.yml in acme/infra #1 could only be read in part: {words}"


def test_a_pipeline_that_could_not_be_seen_refuses_beside_a_dead_candidate(make, says):
    case = make.case(looks=(make.look(make.run()), make.look(pipeline=make.update, listing=make.unseen())))

    effect, words, _, _ = says(Rule.DEAD, case)

    assert effect is REFUSES
    assert words == "GitHub could not be read: GitHub did not answer within 5 s"
    assert "the only configured run active" in says(Rule.TIED, case)[1]


# settled


@pytest.mark.parametrize(
    ("conclusion", "settle"),
    [
        (Conclusion.FAILED, 60),
        (Conclusion.SUCCESS, 60),
        (Conclusion.CANCELLED, 330),
        (Conclusion.TIMED_OUT, 330),
        (Conclusion.LOST, 660),
        (None, 660),
    ],
)
def test_an_end_is_believed_after_the_settle_time_of_its_conclusion(make, says, conclusion, settle):
    case = make.case(make.run(conclusion=conclusion))
    believed = make.at("09:15") + timedelta(seconds=settle)

    effect, words, until, waits = says(Rule.SETTLED, case, believed - timedelta(seconds=1))
    assert (effect, until, waits) == (REFUSES, believed, True)
    assert "may keep running for" in words
    assert "None" not in words

    assert says(Rule.SETTLED, case, believed)[0] is HOLDS


@pytest.mark.parametrize(
    ("ahead", "within", "later"), [(0, 0, 0), (-100, 0, 100), (-100, 2, 102), (100, 0, -100), (100, 2, -98)]
)
def test_a_settle_time_runs_from_the_end_by_the_ci_systems_own_clock(make, says, ahead, within, later):
    """Less than clocks may differ, and more than a failed run's settle time."""
    run = make.run(conclusion=Conclusion.FAILED)
    read = replace(make.found(run), offset=Offset(timedelta(seconds=ahead), timedelta(seconds=within)))
    case = make.case(looks=(make.look(run, closer={"1": read}, logs={"1": make.log()}),))
    believed = make.at("09:16") + timedelta(seconds=later)

    assert says(Rule.SETTLED, case, believed - timedelta(seconds=1))[::2] == (REFUSES, believed)
    assert says(Rule.SETTLED, case, believed)[0] is HOLDS


def test_the_runs_own_conclusion_counts_where_it_settles_more_slowly_than_the_jobs(make, says):
    run = make.run(conclusion=Conclusion.CANCELLED, jobs=(make.job(conclusion=Conclusion.FAILED),))

    assert says(Rule.SETTLED, make.case(run), make.at("09:16"))[2] == make.at("09:20:30")


def test_the_last_end_of_any_job_of_any_attempt_counts(make, says):
    again = make.job("11:40", "11:53", id="12", attempt=2)

    finding = says(Rule.SETTLED, make.case(make.run(attempt=2, jobs=(make.job(), again))))

    assert (finding[0], finding[2]) == (REFUSES, make.at("11:58:30"))


def test_a_job_that_never_ran_has_nothing_to_settle(make, says):
    skipped = make.job("11:53", "11:53", conclusion=Conclusion.SKIPPED)

    assert says(Rule.SETTLED, make.case(make.run(jobs=(make.job(), skipped))))[0] is HOLDS


def test_the_slowest_of_several_candidates_counts(make, says):
    runs = (make.run("1", end="11:53", conclusion=Conclusion.FAILED), make.run("2", end="11:50"))

    assert says(Rule.SETTLED, make.case(*runs))[2] == make.at("11:55:30")


@pytest.mark.parametrize("end", ["running", "no time"])
def test_an_end_that_is_not_known_cannot_settle(make, says, end):
    run = make.run(end=None) if end == "running" else make.run(ended_at=None, jobs=(make.job(ended_at=None),))

    effect, words, until, waits = says(Rule.SETTLED, make.case(run))

    assert (effect, words, until, waits) == (REFUSES, "it has not ended yet, as far as we know", None, True)


def test_one_end_that_is_not_known_is_enough_to_wait_for(make, says):
    open_ended = make.job(ended_at=None)
    one_job = make.run(jobs=(make.job(), open_ended))
    one_run = (make.run("1"), make.run("2", ended_at=None, jobs=(open_ended,)))

    for case in (make.case(one_job), make.case(*one_run)):
        assert says(Rule.DEAD, case)[0] is HOLDS
        assert says(Rule.SETTLED, case)[:2] == (REFUSES, "it has not ended yet, as far as we know")


def test_without_a_candidate_there_is_no_end_to_count_from(make, says):
    assert says(Rule.SETTLED, make.case(looks=()))[:2] == (REFUSES, "we don't know when it ended")


def test_an_end_before_the_lock_was_taken_counts_from_the_taking(make, says):
    run = make.run(end="09:03:30")
    believed = make.created + timedelta(seconds=330)

    effect, _, until, _ = says(Rule.SETTLED, make.case(run), believed - timedelta(seconds=1))

    assert (effect, until) == (REFUSES, believed)
    assert says(Rule.SETTLED, make.case(run), believed)[0] is HOLDS


def test_a_policys_own_settle_time_is_kept(make, says):
    policy = replace(make.policy, settle={Conclusion.TIMED_OUT: timedelta(hours=3)})

    assert says(Rule.SETTLED, make.case(policy=policy))[2] == make.at("12:15")


# quiet and whole


def test_a_state_that_was_written_just_now_refuses_until_it_has_been_quiet(make, says):
    case = make.case(state=make.check(make.state(last_written=make.at("11:53"))))

    assert says(Rule.QUIET, case) == (
        REFUSES,
        "the state was written at 2026-11-21 11:53:00 UTC",
        make.at("11:55"),
        True,
    )
    assert says(Rule.QUIET, case, make.at("11:55"))[:2] == (HOLDS, "the state was last written 2 min ago")


def test_of_a_store_that_does_not_tell_the_last_write_only_what_was_seen_of_the_state_is_said(make, says):
    case = make.case(state=make.check(make.state(last_written=make.at("11:53"), is_upper_bound=True)))

    refused = "the state may have been written until 2026-11-21 11:53:00 UTC"
    assert says(Rule.QUIET, case) == (REFUSES, refused, make.at("11:55"), True)
    assert says(Rule.QUIET, case, make.at("11:55"))[:2] == (HOLDS, "the state has not changed in the last 2 min")


@pytest.mark.parametrize("rule", [Rule.QUIET, Rule.WHOLE])
def test_a_state_that_could_not_be_read_refuses(make, says, rule):
    away = Unseen("S3", Trouble.SERVER_ERROR, "S3 answered 503", make.now)

    assert says(rule, make.case(state=make.check(away))) == (
        REFUSES,
        "the state could not be read: S3 answered 503",
        None,
        True,
    )
    assert says(rule, make.case(state=make.check(make.not_found("no such bucket"))))[3] is False


def test_a_state_that_was_never_written_is_quiet_and_whole(make, says):
    case = make.case(state=make.check(StateAbsent()))

    assert says(Rule.QUIET, case)[0] is HOLDS
    assert says(Rule.WHOLE, case)[:2] == (HOLDS, "no state has ever been written here")


def test_a_whole_state_shows_its_serial_and_lineage(make, says):
    words = says(Rule.WHOLE, make.case())[1]

    assert words == "serial 42, lineage 0ad2ffa5-6fa3-4f7e-8a44-2d9a7f1c1f11"


def test_a_state_that_opentofu_has_encrypted_is_not_broken(make, says):
    case = make.case(state=make.check(make.state(is_encrypted=True, terraform_version=None)))
    without = make.case(state=make.check(make.state(is_encrypted=True, serial=None)))

    assert says(Rule.WHOLE, case)[:2] == (
        HOLDS,
        "encrypted by OpenTofu, serial 42, lineage 0ad2ffa5-6fa3-4f7e-8a44-2d9a7f1c1f11",
    )
    assert says(Rule.WHOLE, without)[0] is WANTS_APPROVAL


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ({"fault": "it is not JSON"}, "the state file is broken: it is not JSON; no good older version was found"),
        (
            {"fault": "it is empty", "last_good_version": "3HL4"},
            "the state file is broken: it is empty; the last good version is 3HL4",
        ),
        ({"serial": None}, "the state file is broken: it has no serial or no lineage; no good older version was found"),
        ({"lineage": ""}, "the state file is broken: it has no serial or no lineage; no good older version was found"),
    ],
)
def test_a_broken_state_wants_approval_and_names_the_last_good_version(make, says, state, words):
    assert says(Rule.WHOLE, make.case(state=make.check(make.state(**state))))[:2] == (WANTS_APPROVAL, words)


def test_a_state_that_is_gone_wants_approval(make, says):
    gone = StateAbsent(("a digest item is left", "older versions are left"), "3HL4")

    assert says(Rule.WHOLE, make.case(state=make.check(gone)))[:2] == (
        WANTS_APPROVAL,
        "the state file is gone: a digest item is left; older versions are left; the last good version is 3HL4",
    )


# digest


MISMATCH = "the digest item does not match the state, and Terraform will refuse to read it; unlocking won't fix this. "


@pytest.mark.parametrize(
    ("digest", "effect", "words"),
    [
        (DigestSeen(DigestMatch.MATCHES), HOLDS, "the digest item matches the state"),
        (DigestSeen(DigestMatch.NO_ITEM), HOLDS, "nothing to compare: no digest item"),
        (DigestSeen(DigestMatch.NO_TABLE), HOLDS, "nothing to compare: no table"),
        (DigestSeen(DigestMatch.UNSEEN), WARNS, "the digest item could not be read: the store does not say why"),
        (DigestSeen(DigestMatch.UNSEEN, detail="slow"), WARNS, "the digest item could not be read: slow"),
        (
            DigestSeen(DigestMatch.DIFFERS, key="b/k-md5", item="aa", actual="bb"),
            WARNS,
            f"{MISMATCH}Set Digest of b/k-md5 to bb",
        ),
        (
            DigestSeen(DigestMatch.DIFFERS, item="aa"),
            WARNS,
            f"{MISMATCH}Remove the digest item if the state is meant to be gone",
        ),
    ],
)
def test_the_digest_never_stands_in_the_way_of_an_unlock(make, says, digest, effect, words):
    case = make.case(state=make.check(digest=digest))

    assert says(Rule.DIGEST, case)[:2] == (effect, words)
    assert decide(case, make.now).ruling is Ruling.ALLOW


# owner and human-held


def test_an_owner_who_says_that_it_still_runs_refuses(make, says):
    case = make.case(owner=make.answer(OwnerSays.RUNNING))

    assert says(Rule.OWNER, case)[:2] == (REFUSES, "U0ELLIOTT says it's still running")
    people = replace(make.holders, people=(KnownPerson("elliott", slack="U0ELLIOTT"),))
    assert says(Rule.OWNER, replace(case, holders=people))[1] == "elliott says it's still running"


@pytest.mark.parametrize("answer", [OwnerSays.DEAD, OwnerSays.LATER, None])
def test_an_owner_who_does_not_object_is_no_obstacle(make, says, answer):
    assert says(Rule.OWNER, make.case(owner=answer and make.answer(answer)))[0] is HOLDS


def tied_by_host(make, *runs, at="09:10", **changes):
    """A lock whose run is known by its machine, and whose owner said at 09:10 that it is still running."""
    return make.case(*runs, who="ci@build-1", owner=make.answer(OwnerSays.RUNNING, at=at), **changes)


def on_host(make, end="09:15", conclusion=Conclusion.FAILED, run_id="1", **changes):
    conclusion = conclusion if end else None
    jobs = (make.job("09:02", end, machine="build-1", conclusion=conclusion),)
    return make.run(run_id, end=end, conclusion=conclusion, jobs=jobs, **changes)


def test_still_running_is_answered_by_an_end_that_was_seen_after_it(make, says):
    effect, words = says(Rule.OWNER, tied_by_host(make, on_host(make)))[:2]

    assert effect is HOLDS
    assert "it ended at" in words
    assert decide(tied_by_host(make, on_host(make)), make.now).ruling is Ruling.ALLOW


def test_a_run_whose_end_was_only_declared_is_lost_though_its_jobs_ended_by_themselves(make, says):
    """And a job of it that was only declared, though the run has a conclusion of its own."""
    failed, lost = (make.job(conclusion=how) for how in (Conclusion.FAILED, Conclusion.LOST))

    for how, job in ((Conclusion.LOST, failed), (Conclusion.FAILED, lost)):
        assert says(Rule.DEAD, make.case(make.run(conclusion=how, jobs=(job,))))[0] is WANTS_APPROVAL
    assert says(Rule.DEAD, make.case(make.run(conclusion=Conclusion.FAILED, jobs=(failed,))))[0] is HOLDS


def test_a_skipped_job_has_no_end_that_could_be_the_holders(make):
    skipped = make.job(end="09:03", conclusion=Conclusion.SKIPPED)
    run = make.run(conclusion=Conclusion.FAILED, jobs=(skipped, make.job(conclusion=Conclusion.FAILED)))
    without_times = replace(make.case(run).attribution.candidates[0], jobs=())

    assert seen_to_end_at(without_times) == make.at("09:15")


@pytest.mark.parametrize("end", ["09:08", "09:10", "09:12"])
def test_still_running_outweighs_an_end_before_it_or_within_the_skew_of_clocks(make, says, end):
    assert says(Rule.OWNER, tied_by_host(make, on_host(make, end)))[0] is REFUSES


@pytest.mark.parametrize("conclusion", [Conclusion.LOST, None])
def test_still_running_outweighs_an_end_that_the_ci_only_declared_or_does_not_explain(make, says, conclusion):
    assert says(Rule.OWNER, tied_by_host(make, on_host(make, conclusion=conclusion)))[0] is REFUSES


def test_still_running_outweighs_the_end_of_another_job_of_the_run(make, says):
    jobs = (
        make.job("09:02", "09:08", machine="build-1", conclusion=Conclusion.FAILED),
        make.job("09:09", "09:40", machine="build-2", conclusion=Conclusion.FAILED),
    )
    run = make.run(end="09:40", conclusion=Conclusion.FAILED, jobs=jobs)

    assert says(Rule.OWNER, tied_by_host(make, run))[0] is REFUSES


def test_still_running_outweighs_an_end_of_a_run_that_is_tied_by_its_time_alone(make, says):
    case = make.case(looks=(make.look(make.run()),), owner=make.answer(OwnerSays.RUNNING, at="09:10"))

    assert case.attribution.tie is Tie.BY_TIME
    assert says(Rule.OWNER, case)[0] is REFUSES


def test_no_end_answers_for_a_person_who_says_that_their_own_still_runs(make, says):
    case = make.case(make.run(), who=LAPTOP, owner=make.answer(OwnerSays.RUNNING, at="09:10"))

    assert says(Rule.OWNER, case)[0] is REFUSES


def test_while_the_run_goes_on_waiting_helps_against_still_running(make):
    case = tied_by_host(make, on_host(make, end=None, conclusion=None))
    verdict = decide(case, make.now)

    assert verdict[Rule.OWNER].effect is REFUSES
    assert verdict[Rule.OWNER].waits
    assert verdict.waiting_helps


@pytest.mark.parametrize("owner", ["U0PARKER", None])
def test_dead_counts_only_from_whoever_is_the_owner_by_what_is_known_now(make, owner):
    case = make.case(who=LAPTOP, looks=(make.look(),), owner=make.answer(OwnerSays.DEAD), owner_id=owner)

    assert decide(case, make.now).ruling is Ruling.REFUSE
    assert "does not seem to be its owner" in plain(decide(case, make.now)[Rule.OWNER].reason)


def test_an_answer_about_another_lock_says_nothing_of_this_one(make, says):
    case = make.case(owner=make.answer(OwnerSays.RUNNING, "another"))

    assert says(Rule.OWNER, case)[:2] == (HOLDS, "the owner has not objected")


LAPTOP = "elliott@elliotts-laptop"


def test_a_hosted_runners_lock_is_not_human_held(make, says):
    assert says(Rule.HUMAN_HELD, make.case())[:2] == (HOLDS, "a CI host holds it: runner@fv-az881-525")


def test_a_persons_lock_refuses_even_beside_a_dead_run(make, says):
    assert says(Rule.HUMAN_HELD, make.case(who=LAPTOP))[:2] == (
        REFUSES,
        f"{LAPTOP} doesn't look like CI: only the owner can say whether it's dead",
    )


def test_a_hold_is_nobodys_to_release_whoever_says_that_it_is_dead(make, says):
    until = make.at("11:30")
    said = HoldWords("h1", "quinn", "inc-staging", "the apply died", until, "")
    hold = hold_info(make.lock_id, said, created=make.created, path="p")
    case = make.case(lock=make.seen(make.place(hold)), owner=make.answer(OwnerSays.DEAD))

    for now, ends in ((make.at("11:29"), "until"), (make.now, "which ended at")):
        effect, words, _, waits = says(Rule.HUMAN_HELD, case, now)
        assert (effect, waits) == (REFUSES, False)
        assert words.replace(",", "") == f"it is held by quinn {ends} {plain((until,))} and no run has it"
    assert says(Rule.HUMAN_HELD, make.case(owner=make.answer(OwnerSays.DEAD)))[0] is HOLDS


def test_a_lock_without_a_who_is_human_held_by_somebody_without_a_name(make, says):
    assert says(Rule.HUMAN_HELD, make.case(who=""))[1].startswith("someone without a name doesn't look like CI")


def test_a_persons_lock_that_they_call_dead_wants_approval_without_any_run(make):
    case = make.case(who=LAPTOP, looks=(make.look(),), owner=make.answer(OwnerSays.DEAD))

    verdict = decide(case, make.now)

    assert verdict.ruling is Ruling.NEEDS_APPROVAL
    assert [finding.rule for finding in verdict.findings if finding.effect is not HOLDS] == [Rule.HUMAN_HELD]
    assert plain(verdict[Rule.TIED].reason) == "a person holds it, whatever run was active"
    assert plain(verdict[Rule.DEAD].reason) == "the owner says it's dead"
    assert plain(verdict[Rule.SETTLED].reason) == "there is no run to wait for"


@pytest.mark.parametrize(
    ("run", "rule"), [({"end": None}, Rule.DEAD), ({"end": "11:53"}, Rule.SETTLED)], ids=["alive", "unsettled"]
)
def test_the_owners_word_does_not_outweigh_a_run_that_may_hold_the_lock(make, run, rule):
    case = make.case(make.run(**run), who=LAPTOP, owner=make.answer(OwnerSays.DEAD))

    verdict = decide(case, make.now)

    assert verdict.ruling is Ruling.REFUSE
    assert verdict[rule].effect is REFUSES


def test_the_owners_word_does_not_outweigh_a_pipeline_that_could_not_be_seen(make):
    case = make.case(who=LAPTOP, looks=(make.look(listing=make.unseen()),), owner=make.answer(OwnerSays.DEAD))

    verdict = decide(case, make.now)

    assert verdict.ruling is Ruling.REFUSE
    assert [finding.rule for finding in verdict.refusals] == [Rule.TIED, Rule.DEAD, Rule.SETTLED]
    assert verdict.waiting_helps is True


def test_the_owners_word_on_another_lock_or_none_at_all_refuses_a_persons_lock(make):
    for owner in (None, make.answer(OwnerSays.LATER), make.answer(OwnerSays.DEAD, "another")):
        assert decide(make.case(who=LAPTOP, looks=(make.look(),), owner=owner), make.now).ruling is Ruling.REFUSE


def test_a_host_name_with_a_run_that_nobody_knows_is_not_a_person_who_can_call_it_dead(make):
    case = make.case(
        who="elliott@gha-77-1", looks=(make.look(),), named=(make.not_found(),), owner=make.answer(OwnerSays.DEAD)
    )

    verdict = decide(case, make.now)

    assert verdict.ruling is Ruling.REFUSE
    assert plain(verdict[Rule.TIED].reason) == (
        "we don't know which run holds it: the host name says run 77, which no configured pipeline knows"
    )


def test_of_a_lock_that_was_not_read_no_rule_says_whose_machine_took_it(make, says):
    case = make.case(lock=make.seen(unseen=((PlaceKind.ITEM, make.unseen()),)))

    effect, words, _, waits = says(Rule.HUMAN_HELD, case)

    assert (effect, waits) == (REFUSES, True)
    assert words == "we couldn't read the lock, so we don't know which machine took it"


# protected and fresh


def test_a_protected_state_wants_approval(make, says):
    assert says(Rule.PROTECTED, make.case(protected=True))[:2] == (WANTS_APPROVAL, "the state is protected")
    assert says(Rule.PROTECTED, make.case())[0] is HOLDS


def test_evidence_may_be_as_old_as_the_policy_says_and_no_older(make, says):
    assert says(Rule.FRESH, make.case(), make.now + timedelta(seconds=30))[:2] == (
        HOLDS,
        "no evidence is older than 30 s",
    )

    effect, words, _, waits = says(Rule.FRESH, make.case(), make.now + timedelta(seconds=31))
    assert (effect, words, waits) == (REFUSES, "some of the evidence is 31 s old: check again", True)


def test_evidence_may_be_as_far_in_the_future_as_it_may_be_old(make, says):
    def of(seconds):
        case = make.case()
        return says(Rule.FRESH, replace(case, lock=replace(case.lock, at=make.now + timedelta(seconds=seconds))))[:2]

    assert of(30) == (HOLDS, "no evidence is older than 30 s")
    effect, words = of(31)
    assert effect is REFUSES
    assert words.startswith("some of the evidence lies 31 s in the future")


@pytest.mark.parametrize("age", [timedelta(seconds=31), timedelta(seconds=-31)], ids=["old", "from the future"])
@pytest.mark.parametrize("which", ["lock", "state", "listing", "run", "member", "channel", "in_channel", "in_groups"])
def test_every_single_observation_must_be_fresh(make, says, which, age):
    at, case = make.now - age, make.case()
    standing = replace(case.requester, in_groups=make.found(value=True))
    if which == "lock":
        case = make.case(lock=replace(case.lock, at=at))
    elif which == "state":
        case = make.case(state=replace(case.state, state=replace(case.state.state, at=at)))
    elif which == "listing":
        case = make.case(looks=(replace(case.looks[0], listing=replace(case.looks[0].listing, at=at)),))
    elif which == "run":
        case = make.case(looks=(make.look(make.run(), closer={"1": make.found(make.run(), at)}),))
    else:
        case = make.case(requester=replace(standing, **{which: replace(getattr(standing, which), at=at)}))

    assert says(Rule.FRESH, case)[0] is REFUSES
    assert decide(case, make.now).ruling is Ruling.REFUSE


@pytest.mark.parametrize(("late", "effect"), [(0, HOLDS), (1, REFUSES)])
def test_the_reading_that_rules_a_run_out_must_be_fresh_too(make, says, late, effect):
    """It may have been started again since."""
    over = make.run("2", start="08:00", jobs=(make.job("08:00", "08:10"),))
    read = make.found(over, make.now - make.policy.evidence_max_age - timedelta(seconds=late))
    case = make.case(looks=(make.look(make.run(), over, closer={"2": read}, logs={"1": make.log()}),))

    assert [one.run.ref.id for one in case.attribution.possible] == ["1"]
    assert says(Rule.FRESH, case)[0] is effect


def test_the_look_up_of_the_run_that_the_host_names_must_be_fresh_too(make, says):
    old = make.found(make.run(), make.now - timedelta(seconds=31))

    assert says(Rule.FRESH, make.case(who="runner@gha-1-1", looks=(make.look(),), named=(old,)))[0] is REFUSES


def test_one_look_from_before_the_lock_is_enough_to_look_again(make, says):
    created = make.now - timedelta(seconds=1)

    def looked(before):
        state = make.check()
        state = replace(state, state=replace(state.state, at=created - before))
        lock = make.seen(make.place(make.info(created=created)))
        return says(Rule.FRESH, make.case(lock=lock, state=state))[0]

    assert looked(timedelta(seconds=1)) is REFUSES
    assert looked(timedelta(seconds=0)) is HOLDS


def test_evidence_from_before_the_lock_says_nothing_of_its_holder(make, says):
    created = make.now + timedelta(seconds=5)
    case = make.case(lock=make.seen(make.place(make.info(created=created))))

    effect, words, until, waits = says(Rule.FRESH, case)

    assert (effect, until, waits) == (REFUSES, created, True)
    assert words == "the lock was taken at 2026-11-21 11:54:05 UTC, after some of the evidence: check again"


@pytest.mark.parametrize(
    ("kind", "trouble", "words"),
    [
        (PlaceKind.ITEM, Trouble.THROTTLED, "the lock table is throttled, so the lock can't be read: "),
        (PlaceKind.ITEM, Trouble.TIMED_OUT, f"the {PlaceKind.ITEM} could not be read: "),
        (PlaceKind.ITEM, None, f"the {PlaceKind.ITEM} could not be read: "),
        (PlaceKind.FILE, Trouble.THROTTLED, f"the {PlaceKind.FILE} could not be read: "),
    ],
)
def test_only_a_table_is_called_throttled_and_only_if_it_said_so(make, says, kind, trouble, words):
    seen = make.not_found() if trouble is None else make.unseen(trouble=trouble)
    effect, said, _, _ = says(Rule.SAME_LOCK, make.case(lock=make.seen(unseen=((kind, seen),))))

    assert effect is REFUSES
    assert said.startswith(words)


@pytest.mark.parametrize(
    ("who", "owner", "tied", "dead"),
    [
        (LAPTOP, OwnerSays.DEAD, HOLDS, HOLDS),
        (LAPTOP, None, REFUSES, REFUSES),
        (LAPTOP, OwnerSays.LATER, REFUSES, REFUSES),
        ("runner@fv-az881-525", OwnerSays.DEAD, REFUSES, REFUSES),  # of CI's lock, no person can know that
    ],
)
def test_only_a_persons_own_lock_is_dead_by_its_owners_word(make, says, who, owner, tied, dead):
    case = make.case(who=who, looks=(make.look(),), owner=owner and make.answer(owner), owner_id="U0ELLIOTT")

    assert [says(rule, case)[0] for rule in (Rule.TIED, Rule.DEAD, Rule.SETTLED)] == [tied, dead, dead]
    assert (decide(case, make.now).ruling is Ruling.REFUSE) is (dead is REFUSES)


def test_nothing_is_said_of_clocks_where_it_is_not_known_when_the_lock_was_taken(make, says):
    case = make.case()

    unknown = replace(case, attribution=replace(case.attribution, taken=None))

    assert says(Rule.TIED, unknown) == says(Rule.TIED, case)


@pytest.mark.parametrize(("tie", "is_said"), [(Tie.BY_TIME, True), (Tie.SEALED, False)])
def test_of_a_run_that_is_proven_it_is_not_said_that_it_had_ended_before(make, says, tie, is_said):
    taken = Taken(make.created, make.at("09:30"), is_stored=True)
    case = make.case()

    told = says(Rule.TIED, replace(case, attribution=replace(case.attribution, tie=tie, taken=taken)))[1]

    assert "differ by 25 min" in told
    assert ("that had ended before the lock was taken" in told) is is_said


@pytest.mark.parametrize(("late", "effect"), [(timedelta(0), HOLDS), (timedelta(seconds=1), REFUSES)])
def test_an_end_that_a_job_reports_counts_from_its_instant_on(make, says, late, effect):
    case = make.case()
    (one,) = case.attribution.candidates
    ended = replace(one, exited=Exited(1, make.now + late))

    found = says(Rule.SETTLED, replace(case, attribution=replace(case.attribution, candidates=(ended,))))

    words = "its Terraform ended: there is nothing to wait for" if effect is HOLDS else "that lies in the future"
    assert found[0] is effect
    assert found[1].endswith(words)
    assert found[2:] == ((make.now + late, True) if late else (None, False))


def test_the_owners_word_is_said_as_theirs_only_if_it_is(make, says):
    case = make.case(owner=make.answer(OwnerSays.DEAD), owner_id="U0ELLIOTT")

    assert says(Rule.OWNER, case)[:2] == (HOLDS, "U0ELLIOTT says it's dead")
    assert says(Rule.OWNER, replace(case, owner_id=None))[1].endswith("does not seem to be its owner")


@pytest.mark.parametrize(
    ("first", "second", "tie", "waits"),
    [
        ("09:08", "09:08", Tie.SHOWN, False),  # all had ended when it was said: nothing is to come
        (None, "09:08", Tie.SHOWN, True),
        (None, None, Tie.SHOWN, True),
        (None, None, Tie.BY_TIME, False),  # no end of a run would answer for this lock
    ],
)
def test_waiting_helps_against_still_running_only_while_a_run_that_is_proven_goes_on(
    make, says, first, second, tie, waits
):
    case = tied_by_host(make, on_host(make, end=first), on_host(make, end=second, run_id="2"))
    case = replace(case, attribution=replace(case.attribution, tie=tie))

    effect, _, _, helps = says(Rule.OWNER, case)

    assert (effect, helps) == (REFUSES, waits)


@pytest.mark.parametrize(
    ("second", "unseen", "effect"),
    [("09:15", False, HOLDS), (None, False, REFUSES), ("09:15", True, REFUSES), ("09:08", False, REFUSES)],
)
def test_still_running_is_answered_only_if_all_that_may_have_the_lock_was_seen_to_end(
    make, says, second, unseen, effect
):
    case = tied_by_host(make, on_host(make), on_host(make, end=second, run_id="2"))
    hidden = (make.unseen(),) if unseen else ()

    assert says(Rule.OWNER, replace(case, attribution=replace(case.attribution, unseen=hidden)))[0] is effect


def test_of_two_runs_it_is_said_that_they_had_ended_before_only_if_both_had(make, says):
    def told(end):
        case = make.case(looks=(make.look(make.run("1"), make.run("2", end=end)),))
        taken = Taken(make.created, make.at("09:30"), is_stored=True)
        return says(Rule.TIED, replace(case, attribution=replace(case.attribution, taken=taken)))[1]

    assert "that had ended before the lock was taken" in told("09:20")
    assert "that had ended before the lock was taken" in told("09:30")
    assert "that had ended before the lock was taken" not in told("09:40")
    assert "that had ended before the lock was taken" not in told(None)


@pytest.mark.parametrize(
    ("trouble", "waits"), [(Trouble.TIMED_OUT, True), (Trouble.DENIED, False), (Trouble.NOT_SHOWN, False)]
)
def test_waiting_helps_a_run_to_settle_only_if_every_run_may_be_seen_to_end(make, says, trouble, waits):
    going, mute = make.run("1", end=None), make.run("2")
    look = make.look(going, mute, closer={"2": make.unseen(trouble=trouble)})

    case = make.case(looks=(look,))
    for rule in (Rule.SETTLED, Rule.DEAD):
        assert says(rule, case)[::3] == (REFUSES, waits)
    one, other = case.attribution.candidates
    reported = replace(case.attribution, candidates=(one, replace(other, exited=Exited(1, make.at("09:15")))))
    for rule in (Rule.SETTLED, Rule.DEAD):  # then nobody has to read that run any more
        assert says(rule, replace(case, attribution=reported))[::3] == (REFUSES, True)


def test_waiting_does_not_bring_back_a_lock_that_is_gone(make, says):
    assert says(Rule.HUMAN_HELD, make.case(lock=make.seen()))[::3] == (REFUSES, False)


@pytest.mark.parametrize(("in_group", "ruling"), [(True, Ruling.ALLOW), (False, Ruling.NEEDS_APPROVAL)])
def test_an_approval_counts_only_from_a_person_whom_the_policy_lets_approve(make, in_group, ruling):
    case = make.case(
        protected=True, approval=make.approval(in_group=make.found(in_group)),
        approvers=ApprovalPolicy(by=Approvers.GROUP, groups=("S0LEADS",)),
    )  # fmt: skip

    assert decide(case, make.now).ruling is ruling


@pytest.mark.parametrize(("trouble", "waits"), [(Trouble.TIMED_OUT, True), (Trouble.DENIED, False)])
def test_waiting_helps_against_what_was_not_read_only_if_all_of_it_may_be_read_later(make, says, trouble, waits):
    unread = ((PlaceKind.ITEM, make.unseen()), (PlaceKind.FILE, make.unseen(trouble=trouble)))

    assert says(Rule.SAME_LOCK, make.case(lock=make.seen(unseen=unread)))[::3] == (REFUSES, waits)


def test_an_owner_is_called_by_their_own_name(make, says):
    people = (KnownPerson("quinn", slack="U0QUINN"), KnownPerson("elliott", slack="U0ELLIOTT"))
    case = make.case(owner=make.answer(OwnerSays.RUNNING), holders=replace(make.holders, people=people))

    assert says(Rule.OWNER, case)[1] == "elliott says it's still running"


@pytest.mark.parametrize("lineage", [None, "", " "])
def test_a_state_without_a_lineage_is_broken(make, says, lineage):
    assert says(Rule.WHOLE, make.case(state=make.check(make.state(lineage=lineage))))[0] is WANTS_APPROVAL
    assert says(Rule.WHOLE, make.case(state=make.check(make.state(lineage="0ad2"))))[0] is HOLDS


@pytest.mark.parametrize(("count", "more"), [(3, ""), (4, " and 1 more"), (5, " and 2 more")])
def test_three_runs_are_named_and_the_others_counted(make, says, count, more):
    runs = tuple(make.run(f"{number}") for number in range(count))
    words = says(Rule.DEAD, make.case(looks=(make.look(*runs),)))[1]

    assert words.endswith(more)
    assert ("more" in words) is bool(more)


def test_a_tie_without_a_run_answers_nobody_who_says_that_it_still_runs(make, says):
    case = make.case(owner=make.answer(OwnerSays.RUNNING, at="09:10"))
    nobody = replace(case, attribution=replace(case.attribution, candidates=()))

    assert says(Rule.OWNER, case)[0] is HOLDS
    assert says(Rule.OWNER, nobody)[0] is REFUSES
