"""Follow-ups are proposed from the facts, each with the evidence that calls for it."""

import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.core.account.proposals import earlier, followup_facts, propose
from bot.core.account.story import Story
from bot.core.account.values import Cause, FollowUp
from bot.core.codec import read, written
from bot.core.lock import Billing, DigestMatch, DigestSeen
from bot.core.phrase import Linked, Person, Quoted, plain
from bot.core.record.evidence import Evidence
from bot.core.record.facts import FollowUpProposed
from bot.core.record.incident import Incident
from bot.core.record.timeline import GENESIS, Entry, Kind
from bot.core.remedies import back_off, end_in_time, keep_running
from bot.core.run import Conclusion


def proposed(chronicle, rule):
    return [followup for followup in chronicle.account().followups if followup.key.startswith(f"{rule}:")]


def keys(chronicle):
    return [followup.key.partition(":")[0] for followup in chronicle.account().followups]


def test_the_scenario_proposes_what_its_people_filed_by_hand(chronicle):
    chronicle.tell_scenario()

    assert keys(chronicle) == ["on-demand", "back-off", "time-out", "claim"]


def test_a_quiet_incident_proposes_nothing(chronicle):
    chronicle.add("11:00", Kind.COMMAND_RECEIVED, "U1", "/tflock status staging")
    chronicle.add("11:00", Kind.GATE_DECIDED, evidence=written(Evidence.of(chronicle.free("11:00"))))

    assert chronicle.account().followups == ()


def test_a_throttled_provisioned_table_should_be_on_demand(chronicle):
    chronicle.look("11:45", contention=chronicle.crowd("11:45"), table=chronicle.table(refused=312))

    (followup,) = proposed(chronicle, "on-demand")

    assert followup.key == "on-demand:acme-tf-locks"
    assert plain(followup.reason) == (
        "Table acme-tf-locks is PROVISIONED with 5 read and 5 write units a second and refused 312 requests while up "
        "to 47 runs wanted a lock in it."
    )


def test_a_table_that_only_turned_releases_away_has_refused_too(chronicle):
    chronicle.look("11:00")
    lock = {"state": "staging", "lock_id": chronicle.make.lock_id}
    chronicle.add("11:05", Kind.UNLOCK_RELEASING, "U1", **lock)
    chronicle.add("11:06", Kind.UNLOCK_RELEASED, "U1", **lock, tries=4, throttled=3)

    (followup,) = proposed(chronicle, "on-demand")

    assert "; it refused 3 attempts to release a lock." in plain(followup.reason)
    assert [(s.at, s.throttled) for s in chronicle.account().samples][-1] == (chronicle.make.at("11:05"), True)


def test_a_table_that_is_on_demand_or_refused_nothing_is_left_alone(chronicle):
    chronicle.look("11:45", table=chronicle.table(refused=312, billing=Billing.ON_DEMAND))
    chronicle.look("11:46", table=replace(chronicle.table(), name="another"))

    assert proposed(chronicle, "on-demand") == []


def test_a_loop_should_be_slowed_down_with_its_own_systems_settings(chronicle):
    chronicle.look("11:45", contention=chronicle.crowd("11:45"))

    (followup,) = proposed(chronicle, "back-off")

    assert followup.key == "back-off:dependency-update.yml@acme/infra"
    assert "121 times, one a minute" in plain(followup.reason)
    assert "renovate[bot]" in plain(followup.reason)
    assert "cancel-in-progress: false" in " ".join(plain(step) for step in followup.todo)


@pytest.mark.parametrize(
    ("system", "word"),
    [
        ("GitHub Actions", "concurrency: {group: terraform-staging, cancel-in-progress: false}"),
        ("GitLab CI", "resource_group: terraform-staging"),
        ("Azure DevOps", "lockBehavior: sequential"),
        ("Jenkins", "disableConcurrentBuilds()"),
        ("ECS", "MaximumRetryAttempts: 2"),
        ("", "one queue for all that run Terraform on staging"),
    ],
)
def test_each_system_has_its_own_words(system, word):
    steps = back_off(system, "staging") + keep_running(system, "staging") + end_in_time(system, "staging")

    assert word in " ".join(plain(step) for step in steps)
    assert "STATE" not in " ".join(plain(step) for step in steps)


def test_a_states_name_is_never_read_as_markup():
    code = [part for step in back_off("GitHub Actions", "a`b STATE") for part in step if isinstance(part, Quoted)]

    assert Quoted("concurrency: {group: terraform-a`b STATE, cancel-in-progress: false}") in code


def test_a_job_that_timed_out_should_end_terraform_in_time(chronicle):
    chronicle.look("11:00")

    (followup,) = proposed(chronicle, "time-out")

    assert plain(followup.reason) == (
        "Run 1 of deploy.yml in acme/infra timed out at 2026-11-21 09:15:00 UTC after 13 min and left the lock of "
        "staging behind."
    )
    assert "timeout --signal=INT" in plain(followup.todo[0])


def cancelled(chronicle, newer_start):
    make = chronicle.make
    ended = make.run(conclusion=Conclusion.CANCELLED)
    newer = make.run("2", newer_start, None)
    look = make.look(ended)
    chronicle.look(
        "11:00",
        looks=(look,),
        attribution=make.tie(look),
        contention=replace(chronicle.crowd("11:00"), active=(newer,)),
    )


def test_a_pipeline_that_cancels_its_own_apply_should_not(chronicle):
    cancelled(chronicle, "09:13")

    (followup,) = proposed(chronicle, "cancel-in-progress")

    assert plain(followup.reason) == (
        "Run 1 of deploy.yml in acme/infra was cancelled at 2026-11-21 09:15:00 UTC with the lock of staging held, "
        "2 min after run 2 of the same pipeline had started."
    )


@pytest.mark.parametrize("newer_start", ["09:01", "09:16", "10:30"])
def test_a_run_that_nothing_newer_can_have_cancelled_is_left_alone(chronicle, newer_start):
    cancelled(chronicle, newer_start)

    assert proposed(chronicle, "cancel-in-progress") == []


def test_a_lock_table_with_ttl_should_have_none(chronicle):
    chronicle.look("11:00", table=chronicle.table(ttl="expires_at"))

    (followup,) = proposed(chronicle, "ttl")

    assert "by attribute expires_at" in plain(followup.reason)
    assert "A lock of staging was held for 1 h 55 min here" in plain(followup.reason)
    assert "it writes LockID, Info and Digest, and nothing else" in plain(followup.todo[0])


def test_a_digest_that_does_not_match_should_be_mended_until_it_does(chronicle):
    wrong = DigestSeen(DigestMatch.DIFFERS, key="b/k-md5", item="0" * 32, actual="f" * 32)
    chronicle.look("11:00", check=chronicle.make.check(digest=wrong))

    (followup,) = proposed(chronicle, "digest")
    assert f"says {'0' * 32}, and the file has {'f' * 32}" in plain(followup.reason)
    assert "b/k-md5" in plain(followup.todo[1])

    chronicle.look("11:10")
    assert proposed(chronicle, "digest") == []


def test_a_run_tied_by_its_time_alone_should_make_a_claim(chronicle):
    chronicle.look("11:00")

    (followup,) = proposed(chronicle, "claim")

    assert "only because it was running when the lock was taken" in plain(followup.reason)
    assert "tflock claim --state staging -- terraform apply" in plain(followup.todo[0])


def test_a_lock_that_no_ci_is_known_to_hold_should_be_taken_in_ci(chronicle):
    chronicle.look("11:00")
    evidence = chronicle.entries[0].facts
    findings = [{"rule": "human-held", "effect": "refuses", "reason": "it looks like a person's machine"}]
    chronicle.add("11:01", Kind.GATE_DECIDED, **{**evidence, "verdict": {"ruling": "refuse", "findings": findings}})

    (followup,) = proposed(chronicle, "apply-in-ci")

    assert "elliott" in plain(followup.reason)
    assert "nothing ties it to a CI run" in plain(followup.reason)


def test_a_hold_is_no_lock_that_should_be_taken_in_ci_and_its_state_is_not_free(chronicle):
    chronicle.look("11:00")
    evidence = chronicle.entries[0].facts
    locks = [{**lock, "operation": "tflock hold"} for lock in evidence["evidence"]["lock"]["locks"]]
    evidence["evidence"]["lock"]["locks"] = locks
    findings = [{"rule": "human-held", "effect": "refuses", "reason": "it is held by quinn"}]
    chronicle.add("11:01", Kind.GATE_DECIDED, **{**evidence, "verdict": {"ruling": "refuse", "findings": findings}})
    lock_id = locks[0]["id"]
    chronicle.add("11:02", Kind.UNLOCK_RELEASED, state="staging", lock_id=lock_id, places=[])
    chronicle.add("11:02", Kind.HOLD_PLACED, state="staging", lock_id="h", hold="h1", until=None, places=[])
    held = chronicle.account()
    chronicle.add("11:09", Kind.HOLD_ENDED, state="staging", lock_id="h", hold="h1", outcome="lifted", places=[])

    assert not proposed(chronicle, "apply-in-ci")
    assert Cause.LAPTOP not in held.summary.causes
    assert [state.is_free for state in held.summary.states] == [False]
    assert [state.is_free for state in chronicle.account().summary.states] == [True]


def test_a_filed_ticket_stays_with_its_proposal(chronicle):
    chronicle.tell_scenario()
    chronicle.add("12:30", Kind.FOLLOWUP_FILED, "U1", key="on-demand:acme-tf-locks", url="https://example.com/7")

    first, *others = chronicle.account().followups

    assert first.ticket == "https://example.com/7"
    assert [other.ticket for other in others] == [None] * 3


def test_what_was_proposed_earlier_stays_when_the_facts_call_for_it_no_more(chronicle):
    followup = FollowUp("digest:old", "Put it right", ("because ", Quoted("x")), (("step one",),))
    chronicle.add("12:00", Kind.FOLLOWUP_PROPOSED, **written(followup_facts(followup)))

    (kept,) = chronicle.account().followups

    assert (kept.key, kept.title, plain(kept.reason)) == ("digest:old", "Put it right", "because x")
    assert [plain(step) for step in kept.todo] == ["step one"]
    assert all(isinstance(part, Quoted) for part in kept.reason)
    assert earlier(read(FollowUpProposed, {"key": 1})) is None


@pytest.mark.parametrize(
    ("one", "other"),
    [("a b", "a-b"), ("a\nb", "a b"), ("é", "è"), ("x" * 101, "x" * 102), ("a/b", "a:b"), ("a in b", "a@b")],
)
def test_two_tables_never_share_a_key(chronicle, one, other):
    chronicle.look("11:00", table=replace(chronicle.table(ttl="t"), name=one))
    chronicle.look("11:01", table=replace(chronicle.table(ttl="t"), name=other))

    made = [followup.key for followup in proposed(chronicle, "ttl")]

    assert len(set(made)) == 2
    assert all(re.fullmatch(r"ttl:[A-Za-z0-9._/@-]{1,120}", key) for key in made)


NAME = st.text("xyz", min_size=5, max_size=8)


@settings(max_examples=60, deadline=None)
@given(
    pipeline=NAME,
    loop=NAME,
    actor=NAME,
    owner=NAME,
    table=NAME,
    held=st.sampled_from(list(Conclusion)),
    ttl=st.booleans(),
)
def test_nobody_and_no_pipeline_is_named_that_is_not_in_the_facts(
    account_of, pipeline, loop, actor, owner, table, held, ttl
):
    evidence = {
        "state": "staging",
        "lock_id": "lock-1",
        "seen_at": "2026-11-21T11:00:00Z",
        "lock": {"locks": [{"id": "lock-1", "who": actor, "created": "2026-11-21T09:05:00Z"}], "held": [], "free": []},
        "owner": {"name": owner, "slack_id": "U0OWNER"},
        "holder": {
            "strength": "window",
            "runs": [{"pipeline": pipeline, "id": "1", "phase": "ended", "conclusion": str(held), "actor": actor}],
        },
        "contenders": 1,
        "contending": [{"pipeline": pipeline, "id": "2", "phase": "running"}],
        "loops": [{"pipeline": loop, "starts": 9, "every_seconds": 60, "actor": actor}],
        "table": {
            "name": table, "throttled": True, "billing": "PROVISIONED", "ttl": {"enabled": ttl, "attribute": "expires"},
        },
    }  # fmt: skip
    account = account_of(evidence)
    known = str(evidence) + "U0"

    said = [
        *account.summary.told,
        *(f.reason for f in propose(account)),
        *(s for f in propose(account) for s in f.todo),
    ]

    named = {part.name or part.slack_id for phrase in said for part in phrase if isinstance(part, Person)}
    linked = {part.text for phrase in said for part in phrase if isinstance(part, Linked)}
    assert all(name in known for name in named | linked)
    assert not re.findall(r"\b[xyz]{5,8}\b", re.sub(f"{pipeline}|{loop}|{actor}|{owner}|{table}", "", _all(said)))
    for followup in propose(account):
        subject = followup.key.partition(":")[2]
        assert subject in plain(followup.reason)


def _all(phrases):
    return " ".join(plain(phrase) for phrase in phrases)


@pytest.fixture(scope="session")
def account_of(make):
    def made(evidence):
        story = Story(Incident("inc-1", "C1", "staging", make.at("11:00"), "U0QUINN"))
        at = make.at("11:00")
        story.learn(Entry("1", at, at, Kind.GATE_DECIDED, "tflock", "", {"evidence": evidence}, GENESIS, "0"))
        return story.account(now=at, names={"U0OTHER": "stranger"})

    return made
