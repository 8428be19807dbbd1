"""What holds of the gate for every case: it never raises, and bad news never loosens it."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import chain

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from bot.core.evidence import Found, NotFound, Trouble, Unseen
from bot.core.gate.attribution import Attribution, Candidate, Claimed, PipelineSeen, Strength, Taken, Tie, log_key
from bot.core.gate.case import Case, Effect, Rule, Ruling
from bot.core.gate.claim import Claim, Exited
from bot.core.gate.decide import RULES, decide
from bot.core.gate.tie import attribute
from bot.core.joblog.values import JobLog
from bot.core.lock import NO_ABILITIES, DigestMatch, DigestSeen, PlaceKind, StateAbsent
from bot.core.people import Approval, OwnerAnswer, OwnerSays
from bot.core.phrase import plain
from bot.core.run import Conclusion, Phase

SEVERITY = {Ruling.ALLOW: 0, Ruling.NEEDS_APPROVAL: 1, Ruling.REFUSE: 2}
STRENGTHS = [Strength.CLAIM, Strength.RUN_ID, Strength.LOG, Strength.HOST, Strength.WINDOW, None]
TIES = [Tie.SEALED, Tie.SHOWN, Tie.BY_TIME, None]
WHOS = [
    "runner@fv-az881-525",
    "runner@runnervmmklqx",
    "jenkins@build-1",
    "elliott@laptop",
    "elliott@build-1",
    "runner@gha-1-1",
    "",
]
HOSTS = ["GitHub Actions 7", "build-1", "build-1-b", "build-2", None, ""]
STILL = [Phase.RUNNING, Phase.ENDING, Phase.UNKNOWN]

thorough = settings(
    max_examples=2_000 if os.environ.get("HYPOTHESIS_PROFILE") == "nightly" else 60,
    deadline=None,
    # the worlds are large values; how many are drawn is bounded above
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)


@dataclass(frozen=True)
class World:
    """What everybody would say if asked: the raw material of a case. Two lists of runs, one reading of each run."""

    who: str
    lists: tuple
    readings: dict
    case: Case
    claims: tuple = ()
    logs: dict = field(default_factory=dict)

    def named(self, make):
        """The run that the host name carries, as its own look-up would find it."""
        run_id = make.holders.run_id_in(self.who)
        if run_id is None:
            return ()
        return (self.readings.get(run_id[0], make.not_found()),)

    def claimed(self, make):
        """The claims, each with what its run is when it is looked up."""
        unknown = make.not_found("no system knows that address")
        return tuple(Claimed(claim, self.readings.get(claim.run_url[-1], unknown)) for claim in self.claims)

    def build(self, make) -> Case:
        looks = tuple(self._look(pipeline, listing) for pipeline, listing in self.lists)
        lock = make.info(who=self.who)
        skew, named = make.policy.clock_skew, self.named(make)
        tied = attribute(lock, looks, holders=make.holders, skew=skew, named=named, claims=self.claimed(make))
        return replace(self.case, looks=looks, attribution=tied)

    def _look(self, pipeline, listing):
        listed = listing.value if isinstance(listing, Found) else ()
        closer = {run.ref.id: self.readings[run.ref.id] for run in listed}
        jobs = [
            (seen.value, job) for seen in closer.values() if isinstance(seen, Found) for job in seen.value.jobs or ()
        ]
        logs = {log_key(run, job): self.logs[run.ref.id] for run, job in jobs if run.ref.id in self.logs}
        return PipelineSeen(pipeline, "GitHub Actions", listing, closer, logs, one_state=True)


def around(make):
    """Instants near the lock's, where the edges are."""
    return st.sampled_from([-3600, -600, -121, -120, -60, 0, 60, 119, 121, 600, 8000, 10_000]).map(
        lambda seconds: make.created + timedelta(seconds=seconds)
    )


@st.composite
def jobs(draw, make, alive):
    start, end = sorted((draw(around(make)), draw(around(make))))
    goes_on = alive and draw(st.booleans())
    return make.job(
        phase=draw(st.sampled_from(STILL)) if goes_on else Phase.ENDED,
        conclusion=None if goes_on else draw(st.sampled_from(list(Conclusion))),
        started_at=draw(st.sampled_from([start, start, start, None])),
        ended_at=None if goes_on else draw(st.sampled_from([end] * 9 + [None])),
        attempt=draw(st.integers(1, 2)),
        host=draw(st.sampled_from(HOSTS)),
    )


@st.composite
def runs(draw, make, run_id, pipeline):
    alive = draw(st.integers(0, 5)) == 0
    mine = tuple(draw(st.lists(jobs(make, alive), max_size=3)))
    starts = [job.started_at for job in mine if job.started_at] or [draw(around(make))]
    ends = [job.ended_at for job in mine if job.ended_at] or [max(starts)]
    goes_on = alive or any(job.phase is not Phase.ENDED for job in mine)
    return make.run(
        run_id,
        pipeline=pipeline,
        # now and then a run says that it ended while one of its jobs goes on
        phase=draw(st.sampled_from([*STILL, Phase.ENDED])) if goes_on else Phase.ENDED,
        conclusion=None if goes_on else draw(st.sampled_from([*Conclusion, None])),
        attempt=max((job.attempt for job in mine), default=1),
        created_at=min(starts),
        started_at=max(starts),
        ended_at=None if goes_on else max([*starts, *ends]),
        jobs=mine,
    )


@st.composite
def claims(draw, make, who, run_ids):
    """A job's word, true or not: mostly of the lock's own host and of a run that there is."""
    host = draw(st.sampled_from([who.rpartition("@")[2].upper()] * 3 + ["build-1", "elsewhere", ""]))
    made, ended = sorted((draw(around(make)), draw(around(make))))
    code = draw(st.sampled_from([None, None, 0, 1, -9]))
    return Claim(
        id="c1",
        state="staging",
        host=host,
        run_url=f"https://ci.example.com/{draw(st.sampled_from([*run_ids, 'unknown']))}",
        attempt=1,
        made_at=made,
        lock_id=draw(st.sampled_from([None, None, make.lock_id, "another"])),
        exit_code=code,
        ended_at=None if code is None else ended,
    )


@st.composite
def worlds(draw, make):
    """Mostly sound: a world of random parts would hardly ever be allowed, and prove nothing."""

    def rarely(usual, *others):
        return draw(st.one_of(st.just(usual), st.just(usual), st.just(usual), st.sampled_from([usual, *others])))

    first = [draw(runs(make, str(n), make.deploy)) for n in range(1, draw(st.integers(0, 3)) + 1)]
    second = [draw(runs(make, str(n), make.update)) for n in range(5, draw(st.integers(0, 2)) + 5)]
    if draw(st.booleans()):
        first = [make.run("1"), *first[1:]]
    readings = {
        run.ref.id: rarely(make.found(run), make.found(replace(run, jobs=None)), make.unseen(), make.not_found())
        for run in chain(first, second)
    }
    lists = tuple(
        (pipeline, rarely(make.found(tuple(replace(run, jobs=None) for run in listed)), make.unseen()))
        for pipeline, listed in ((make.deploy, first), (make.update, second))
    )
    said = st.sampled_from(
        [make.log(), make.log(), make.refused(), make.log(machine="build-1"), make.log(machine="build-2"), JobLog()]
    )
    logs = {run_id: make.found(draw(said)) for run_id in readings if draw(st.booleans())}
    who = draw(st.sampled_from(WHOS))
    places = (make.place(make.info(who=who)),)
    old, fresh = make.at("09:20"), make.now - timedelta(seconds=30)
    case = make.case(
        who=who,
        looks=(),
        lock=rarely(
            make.seen(*places),
            make.seen(*places, make.place(make.info(id="another"), PlaceKind.FILE)),
            make.seen(*places, unseen=((PlaceKind.FILE, make.unseen()),)),
            make.seen(),
            make.seen(make.place(None, garbage="lock info is not JSON")),
        ),
        state=make.check(
            rarely(
                make.state(last_written=old),
                make.state(fault="it is not JSON"),
                make.state(last_written=fresh),
                StateAbsent(),
                StateAbsent(("a digest item is left",)),
                make.unseen(),
            ),
            DigestSeen(draw(st.sampled_from(DigestMatch))),
        ),
        requester=rarely(make.standing(), make.standing(is_guest=True), make.standing(in_channel=make.unseen())),
        owner=draw(
            st.sampled_from(
                [
                    None,
                    *(make.answer(says) for says in (OwnerSays.DEAD, *OwnerSays)),
                    *(make.answer(OwnerSays.RUNNING, at=at) for at in ("08:30", "09:06", "09:10")),
                ]
            )
        ),
        protected=rarely(False, True),  # noqa: FBT003 - a choice among values
        approval=draw(
            st.sampled_from(
                [None, make.approval(), make.approval(), make.approval(by="U0PARKER"), make.approval(lock_id="another")]
            )
        ),
    )
    claimed = draw(st.one_of(st.just(()), st.lists(claims(make, who, readings), min_size=1, max_size=2).map(tuple)))
    return World(who, lists, readings, case, claimed, logs)


# That an allowed lock has a dead holder: test_holders_model.py, which knows the holder and none of the rules.


@thorough
@given(data=st.data())
def test_the_order_of_the_rules_does_not_change_the_ruling(make, data):
    case = data.draw(worlds(make)).build(make)
    table = data.draw(st.permutations(RULES))

    assert decide(case, make.now, table).ruling is decide(case, make.now).ruling


@thorough
@given(data=st.data())
def test_a_rule_more_never_loosens_the_ruling(make, data):
    case = data.draw(worlds(make)).build(make)
    table = data.draw(st.lists(st.sampled_from(RULES), min_size=1, unique_by=lambda row: row[0]))

    assert SEVERITY[decide(case, make.now, table).ruling] <= SEVERITY[decide(case, make.now).ruling]


@thorough
@given(data=st.data())
def test_an_approval_by_the_requester_themselves_never_counts(make, data):
    world = data.draw(worlds(make))
    without = replace(world.build(make), approval=None)
    own = replace(without, approval=make.approval(by=without.requester.user_id))

    assert decide(own, make.now).ruling is decide(without, make.now).ruling


@thorough
@given(data=st.data())
def test_a_valid_approval_turns_only_what_wants_one_into_a_release(make, data):
    case = data.draw(worlds(make)).build(make)
    before = decide(replace(case, approval=None), make.now).ruling
    after = decide(replace(case, approval=make.approval()), make.now).ruling

    assert after is (Ruling.ALLOW if before is Ruling.NEEDS_APPROVAL else before)


@thorough
@given(data=st.data())
def test_if_nothing_can_be_reached_the_gate_refuses(make, data):
    world = data.draw(worlds(make))
    lists = tuple(
        (pipeline, data.draw(st.sampled_from([make.unseen(), make.not_found()]))) for pipeline, _ in world.lists
    )
    case = replace(
        world.case,
        lock=make.seen(unseen=((PlaceKind.ITEM, make.unseen()),)),
        state=make.check(make.unseen(), DigestSeen(DigestMatch.UNSEEN)),
    )

    for away in (
        replace(world, lists=lists),
        replace(world, readings=dict.fromkeys(world.readings, make.unseen())),
        replace(world, case=replace(world.case, lock=case.lock)),
        replace(world, case=replace(world.case, state=case.state)),
        replace(world, lists=lists, case=case),
    ):
        everything = away.lists == lists or away.case.lock == case.lock or away.case.state == case.state
        ruling = decide(away.build(make), make.now).ruling
        decides_alone = world.who == "runner@gha-1-1" or world.claims
        assert ruling is Ruling.REFUSE or not everything or decides_alone
    assert decide(replace(world, lists=lists, case=case).build(make), make.now).ruling is Ruling.REFUSE


@thorough
@given(data=st.data())
def test_stale_evidence_refuses(make, data):
    case = data.draw(worlds(make)).build(make)
    later = make.now + timedelta(seconds=data.draw(st.integers(31, 10**9)))

    assert decide(case, later).ruling is Ruling.REFUSE


# Bad news, each of which may only tighten the ruling.


def a_list_goes_missing(make, world, data):
    n = data.draw(st.integers(0, 1))
    lists = list(world.lists)
    lists[n] = (lists[n][0], data.draw(st.sampled_from([make.unseen(), make.not_found()])))
    return replace(world, lists=tuple(lists))


def a_reading_goes_missing(make, world, data):
    assume(world.readings)
    run_id = data.draw(st.sampled_from(sorted(world.readings)))
    gone = data.draw(st.sampled_from([make.unseen(), make.not_found()]))
    return replace(world, readings={**world.readings, run_id: gone})


def _changed(make, world, run_id, change):
    """The world in which a run is another, in its list and when it is read."""
    readings = {
        key: replace(seen, value=change(seen.value)) if key == run_id and isinstance(seen, Found) else seen
        for key, seen in world.readings.items()
    }
    lists = tuple(
        (
            pipeline,
            replace(
                found,
                value=tuple(replace(change(run), jobs=None) if run.ref.id == run_id else run for run in found.value),
            )
            if isinstance(found, Found)
            else found,
        )
        for pipeline, found in world.lists
    )
    return replace(world, readings=readings, lists=lists)


def a_run_goes_on(make, world, data):
    assume(world.readings)
    run_id = data.draw(st.sampled_from(sorted(world.readings)))
    phase = data.draw(st.sampled_from([phase for phase in Phase if phase is not Phase.ENDED]))
    return _changed(make, world, run_id, lambda run: replace(run, phase=phase if run.ended_at else Phase.RUNNING))


def a_job_goes_on(make, world, data):
    assume(world.readings)
    run_id = data.draw(st.sampled_from(sorted(world.readings)))
    phase, n = data.draw(st.sampled_from(STILL)), data.draw(st.integers(0, 2))

    def change(run):
        mine = tuple(replace(job, phase=phase) if i == n else job for i, job in enumerate(run.jobs or ()))
        return replace(run, phase=Phase.RUNNING, jobs=None if run.jobs is None else mine)

    return _changed(make, world, run_id, change)


def a_run_ends_later(make, world, data):
    assume(world.readings)
    run_id = data.draw(st.sampled_from(sorted(world.readings)))
    more = timedelta(seconds=data.draw(st.integers(1, 12_000)))

    def late(part):
        return replace(part, ended_at=part.ended_at and part.ended_at + more)

    def change(run):
        return late(replace(run, jobs=None if run.jobs is None else tuple(map(late, run.jobs))))

    return _changed(make, world, run_id, change)


def another_run_goes_on(make, world, data):
    assume(isinstance(world.lists[1][1], Found))
    pipeline, found = world.lists[1]
    host = data.draw(st.sampled_from(HOSTS))
    run = make.run("99", "09:04", None, pipeline=pipeline, jobs=(make.job("09:04", None, host=host),))
    reading = data.draw(st.sampled_from([make.found(run), make.found(replace(run, jobs=None)), make.unseen()]))
    more = replace(found, value=(replace(run, jobs=None), *found.value))
    return replace(world, lists=(world.lists[0], (pipeline, more)), readings={**world.readings, "99": reading})


def a_live_run_claims_the_state(make, world, data):
    """Whether or not it says which lock it has, a job at work on the lock's host may be its holder."""
    host = world.who.rpartition("@")[2]
    lock_id = make.lock_id if not host else data.draw(st.sampled_from([None, make.lock_id]))
    claim = Claim(
        id="c9", state="staging", host=host, run_url="https://ci.example.com/9", attempt=1, made_at=make.at("09:04"),
        lock_id=lock_id,
    )  # fmt: skip
    run = make.run("9", "09:03", None)
    reading = data.draw(st.sampled_from([make.found(run), make.found(replace(run, jobs=None)), make.unseen()]))
    return replace(world, claims=(*world.claims, claim), readings={**world.readings, "9": reading})


def _in_case(**changes):
    return lambda make, world, _: replace(
        world, case=replace(world.case, **{key: change(make, world.case) for key, change in changes.items()})
    )


def the_requester_loses_their_standing(make, world, data):
    worse = data.draw(
        st.sampled_from(
            [
                {"is_guest": True},
                {"is_bot": True},
                {"is_deleted": True},
                {"is_stranger": True},
                {"team_id": "T0OTHER"},
                {"home_team": None},
                {"is_incident_channel": False},
                {"in_channel": make.found(value=False)},
                {"in_channel": make.unseen()},
                {"in_groups": make.found(value=False)},
                {"in_groups": make.not_found()},
                {"member": make.not_found()},
                {"channel": make.unseen()},
            ]
        )
    )
    return replace(world, case=replace(world.case, requester=make.standing(**worse)))


def _unseen_place(make, case):
    return replace(case.lock, unseen=((PlaceKind.FILE, make.unseen()),))


def _garbage_place(make, case):
    return replace(case.lock, held=(*case.lock.held, make.place(None, PlaceKind.FILE, "lock info is not JSON")))


BAD_NEWS = {
    "a list goes missing": a_list_goes_missing,
    "a reading goes missing": a_reading_goes_missing,
    "a run goes on": a_run_goes_on,
    "a job goes on": a_job_goes_on,
    "a run ends later": a_run_ends_later,
    "another run goes on": another_run_goes_on,
    "a live run claims the state": a_live_run_claims_the_state,
    "the requester loses their standing": the_requester_loses_their_standing,
    "the owner says that it runs": _in_case(owner=lambda make, _: make.answer(OwnerSays.RUNNING)),
    "a half cannot be read": _in_case(lock=_unseen_place),
    "a half holds garbage": _in_case(lock=_garbage_place),
    "the lock is gone": _in_case(lock=lambda make, _: make.seen()),
    "the state cannot be read": _in_case(state=lambda make, case: replace(case.state, state=make.unseen())),
    "the state was written just now": _in_case(state=lambda make, _: make.check(make.state(last_written=make.now))),
    "the state becomes protected": _in_case(protected=lambda *_: True),
    "nothing makes the release conditional": _in_case(can=lambda *_: NO_ABILITIES),
    "the approval is taken back": _in_case(approval=lambda *_: None),
    "the approval expires": _in_case(approval=lambda make, _: make.approval(at=make.at("11:00"))),
}


@pytest.mark.parametrize("news", BAD_NEWS)
@thorough
@given(data=st.data())
def test_bad_news_never_loosens_the_ruling(make, news, data):
    world = data.draw(worlds(make))
    worse = BAD_NEWS[news](make, world, data)
    before, after = world.build(make), worse.build(make)
    # An end that moves into the lock's time can tie the lock to a run, which is better evidence.
    assume(TIES.index(after.attribution.tie) >= TIES.index(before.attribution.tie) or "ends" not in news)
    # An end that comes after the owner's "still running" is what answers it.
    assume("ends" not in news or world.case.owner is None or world.case.owner.says is not OwnerSays.RUNNING)

    assert SEVERITY[decide(after, make.now).ruling] >= SEVERITY[decide(before, make.now).ruling]


@thorough
@given(data=st.data())
def test_the_exit_of_a_job_that_cannot_have_the_lock_changes_nothing(make, data):
    world = data.draw(worlds(make))
    made, ended, host = data.draw(
        st.sampled_from(
            [
                ("07:00", "09:02", world.who.rpartition("@")[2]),  # over before
                ("09:08", "09:20", world.who.rpartition("@")[2]),  # began after
                ("09:00", "09:20", "another-host"),
                ("09:00", "09:20", ""),
            ]
        )
    )
    claim = Claim(
        id="c9", state="staging", host=host, run_url="https://ci.example.com/1", attempt=1, made_at=make.at(made),
        lock_id="another", exit_code=1, ended_at=make.at(ended),
    )  # fmt: skip
    with_it = replace(world, claims=(*world.claims, claim))

    assert decide(with_it.build(make), make.now) == decide(world.build(make), make.now)


# Cases that no honest look-up would bring together.


WORDS = st.sampled_from(["", "word", "\n", "two words"])
INSTANTS = st.one_of(
    st.datetimes(timezones=st.just(UTC)),
    st.sampled_from([datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)]),
)


def observed(values):
    return st.one_of(
        st.builds(Found, values, INSTANTS),
        st.builds(NotFound, st.just("GitHub"), WORDS, INSTANTS),
        st.builds(Unseen, st.just("GitHub"), st.sampled_from(Trouble), WORDS, INSTANTS),
    )


@st.composite
def wild_jobs(draw, make):
    return make.job(
        name=draw(WORDS),
        phase=draw(st.sampled_from(Phase)),
        conclusion=draw(st.sampled_from([*Conclusion, None])),
        started_at=draw(st.none() | INSTANTS),
        ended_at=draw(st.none() | INSTANTS),
    )


@st.composite
def wild_runs(draw, make):
    return make.run(
        phase=draw(st.sampled_from(Phase)),
        conclusion=draw(st.sampled_from([*Conclusion, None])),
        created_at=draw(INSTANTS),
        ended_at=draw(st.none() | INSTANTS),
        reported=draw(WORDS),
        attempt=draw(st.integers(0, 3)),
        jobs=draw(st.none() | st.lists(wild_jobs(make), max_size=2).map(tuple)),
        jobs_missing=draw(st.none() | WORDS),
    )


@st.composite
def wild_cases(draw, make):
    any_run = wild_runs(make)
    states = st.builds(
        make.state,
        last_written=INSTANTS,
        serial=st.none() | st.integers(),
        lineage=st.none() | WORDS,
        fault=st.none() | WORDS,
        last_good_version=st.sampled_from([None, "3HL4"]),
    )
    absent = st.builds(StateAbsent, st.lists(WORDS, max_size=2).map(tuple), st.sampled_from([None, "3HL4"]))
    exits = st.none() | st.builds(Exited, st.integers(-64, 255), INSTANTS)
    wild = st.lists(wild_jobs(make), max_size=2).map(tuple)
    candidates = st.builds(Candidate, any_run, observed(any_run), wild, exits)
    info = draw(st.builds(make.info, id=st.sampled_from([make.lock_id, "another"]), who=WORDS, created=INSTANTS))
    looks = draw(st.lists(st.builds(make.look, listing=observed(st.lists(any_run, max_size=2).map(tuple))), max_size=2))
    tied = st.one_of(
        st.just(attribute(info, looks, holders=make.holders, skew=make.policy.clock_skew)),
        st.builds(
            Attribution,
            st.sampled_from(STRENGTHS),
            st.lists(candidates, max_size=4).map(tuple),
            st.just(("by chance",)),
            st.lists(observed(st.none()).filter(lambda seen: not isinstance(seen, Found)), max_size=2).map(tuple),
            tie=st.sampled_from(TIES),
            others=st.lists(candidates, max_size=2).map(tuple),
            taken=st.none() | st.builds(Taken, INSTANTS, INSTANTS),
        ),
    )
    standing = st.builds(
        make.standing, in_channel=observed(st.booleans()), in_groups=st.none() | observed(st.booleans())
    )
    places = [make.place(info)] if draw(st.booleans()) else [make.place(None, garbage=draw(st.none() | WORDS))]
    digests = st.builds(DigestSeen, st.sampled_from(DigestMatch), *[st.none() | WORDS] * 4)
    return make.case(
        looks=tuple(looks),
        attribution=draw(tied),
        lock=replace(make.seen(*places), at=draw(INSTANTS)),
        state=replace(make.check(digest=draw(digests)), state=draw(observed(states | absent))),
        requester=draw(standing),
        owner=draw(
            st.none() | st.builds(OwnerAnswer, st.just(make.lock_id), WORDS, st.sampled_from(OwnerSays), INSTANTS)
        ),
        protected=draw(st.booleans()),
        approval=draw(st.none() | st.builds(Approval, st.just(make.lock_id), standing, INSTANTS)),
    )


JUNK = ["None", '""', "``", "Phase.", "Conclusion.", "Trouble.", "Unseen(", "NotFound(", "datetime", "  ", " ,", "()"]


@thorough
@given(data=st.data())
def test_the_gate_never_raises_and_always_has_words(make, data):
    case, now = data.draw(wild_cases(make)), data.draw(INSTANTS)

    verdict = decide(case, now)

    assert [finding.rule for finding in verdict.findings if finding.rule is not Rule.APPROVER] == [r for r, _ in RULES]
    assert (verdict.ruling is Ruling.REFUSE) == any(
        finding.effect is Effect.REFUSES for finding in verdict.findings if finding.rule is not Rule.APPROVER
    )
    for finding in verdict.findings:
        words = plain(finding.reason)
        assert words.strip()
        assert not words.rstrip().endswith((":", ",", ";")), words
        assert not [junk for junk in JUNK if junk in words], words
