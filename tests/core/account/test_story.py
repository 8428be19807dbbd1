"""The account of an incident: the same for every format, bounded, and never upset by what the facts say."""

import string
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.core.account.story import Story
from bot.core.account.values import LockEnd, Role
from bot.core.codec import written
from bot.core.evidence import Trouble
from bot.core.lock import PlaceKind
from bot.core.record.evidence import Evidence
from bot.core.record.incident import Incident
from bot.core.record.kinds import MarkKind
from bot.core.record.timeline import GENESIS, Entry, Kind, canonical
from bot.core.run import Phase

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
INCIDENT = Incident("inc-1", "C1", "staging", NOON, "U1")
NAMES = [
    "state", "seen", "locks", "id", "held", "lock_id", "free", "unseen", "why", "evidence", "holder", "runs",
    "loops", "table", "contenders", "contending", "since", "last", "url", "key", "title", "reason", "todo",
    "ended", "switched", "loop", "pipeline", "started_at", "ended_at", "phase", "conclusion", "created", "seen_at",
    "name", "ttl", "enabled", "attribute", "refused", "crowd", "states", "verdict", "findings", "rule", "effect",
    "owner", "says", "entry", "text", "at", "outcome", "tries", "every_seconds", "starts", "total", "state_object",
    "digest", "request", "restarted", "count", "strength",
]  # fmt: skip
WORDS = ["staging", "lock-1", "2026-11-21T11:00:00Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00"]
WORDS += ["ended", "timed out", "differs", "released", "human-held", "window", "done", "a bot", "1", "", "\ud800"]

HOSTILE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(WORDS) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=8),
    max_leaves=30,
)
KINDS = st.sampled_from([*Kind, "made.up"])


def entry(number, kind, at=NOON, actor="U1", **facts):
    return Entry(str(number), at, at, kind, actor, f"said {number}", facts, GENESIS, "0")


def account_of(*entries):
    story = Story(INCIDENT)
    for one in entries:
        story.learn(one)
    return story.account(now=NOON, names={})


def test_the_scenario_comes_out_as_it_was(chronicle):
    chronicle.tell_scenario()

    account = chronicle.account()

    (lock,) = account.locks
    assert (lock.state, lock.end, lock.owner_id) == ("staging", LockEnd.RELEASED, "U0ELLIOTT")
    assert (lock.since, lock.until) == (chronicle.make.created, chronicle.make.at("12:07:08"))
    (holder,) = [run for run in account.runs if run.role is Role.HOLDER]
    assert (holder.pipeline, holder.conclusion, holder.lock_id) == (
        "deploy.yml in acme/infra",
        "timed out",
        lock.lock_id,
    )
    (loop,) = account.loops
    assert (loop.starts, loop.stopped_at, loop.system) == (126, chronicle.make.at("11:56"), "GitHub Actions")
    (table,) = account.tables
    assert (table.billing, table.throttled, table.refused) == ("PROVISIONED", True, 312)
    looks = [(sample.contenders, sample.throttled) for sample in account.samples]
    assert looks == [(0, False), (47, True), (0, True), (0, True)]
    kinds = [mark.kind for mark in account.marks]
    assert kinds == [*[MarkKind.COMMAND] * 2, MarkKind.KILL, MarkKind.COMMAND, MarkKind.OWNER, MarkKind.UNLOCK]
    assert account.recorded == len(chronicle.entries)


def test_a_lock_that_is_not_there_any_more_is_gone_since_the_look_that_missed_it(chronicle):
    chronicle.look("11:00")
    chronicle.add("11:30", Kind.GATE_DECIDED, evidence=written(Evidence.of(chronicle.free("11:30"))))

    (lock,) = chronicle.account().locks

    assert (lock.end, lock.until) == (LockEnd.GONE, chronicle.make.at("11:30"))


def test_a_lock_that_could_not_be_read_is_not_taken_for_gone(chronicle):
    make = chronicle.make
    unread = make.seen(unseen=((PlaceKind.ITEM, make.unseen(trouble=Trouble.THROTTLED)),))
    chronicle.look("11:00")
    chronicle.add("11:30", Kind.GATE_DECIDED, evidence=written(Evidence.of(chronicle.free("11:30", seen=unread))))

    account = chronicle.account()

    assert (account.locks[0].end, account.locks[0].until) == (LockEnd.HELD, make.at("11:00"))
    assert [sample.throttled for sample in account.samples] == [False, True]


def test_a_lock_whose_place_another_took_was_replaced(chronicle):
    make = chronicle.make
    newer = make.info(id="another", created=make.at("11:20"))
    chronicle.look("11:00")
    chronicle.look("11:30", seen=make.seen(make.place(newer)), lock=newer)

    first, second = chronicle.account().locks

    assert (first.end, first.until) == (LockEnd.REPLACED, make.at("11:30"))
    assert (second.lock_id, second.end, second.since) == ("another", LockEnd.HELD, make.at("11:20"))


def test_a_contender_that_is_not_there_at_the_next_look_has_ended_by_then(chronicle):
    chronicle.look("11:00", contention=chronicle.crowd("11:00", 3))
    chronicle.look("11:10")

    wanted = [run for run in chronicle.account().runs if run.role is Role.CONTENDER]

    assert [(run.until, run.conclusion) for run in wanted] == [(chronicle.make.at("11:10"), None)] * 3


def test_a_loop_that_comes_back_after_it_was_stopped_is_another_loop(chronicle):
    chronicle.tell_scenario()
    chronicle.look("13:00", contention=chronicle.crowd("13:00", 2, minutes=10))

    first, second = chronicle.account().loops

    assert (first.stopped_at, second.stopped_at) == (chronicle.make.at("11:56"), None)
    assert second.since == chronicle.make.at("12:50")


@pytest.mark.parametrize(("ended", "switched"), [(False, "done"), (True, "denied"), (True, None)])
def test_a_loop_whose_runs_or_source_go_on_was_not_stopped(chronicle, ended, switched):
    chronicle.look("11:00", contention=chronicle.crowd("11:00", 2))
    pipeline = chronicle.crowd("11:00", 1).loops[0].pipeline.title
    facts = {"request": "k", "pipeline": pipeline, "runs": [], "ended": ended, "switched": switched}
    chronicle.add("11:10", Kind.KILL_CONFIRMED, "U1", **facts)

    assert chronicle.account().loops[0].stopped_at is None


def test_a_kill_of_an_older_version_still_says_when_the_loop_was_stopped(chronicle):
    chronicle.look("11:00", contention=chronicle.crowd("11:00", 2))
    runs = [{"pipeline": "dependency-update.yml in acme/infra", "id": "900", "phase": str(Phase.ENDED)}]
    chronicle.add("11:05", Kind.KILL_REQUESTED, "U1", request="k", stop_source=True, runs=runs)
    chronicle.add("11:06", Kind.KILL_CONFIRMED, "U1", request="k", runs=runs, ended=True)

    assert chronicle.account().loops[0].stopped_at == chronicle.make.at("11:06")


def test_a_hidden_entry_is_no_mark_and_no_key_moment():
    marked = entry(2, Kind.ENTRY_MARKED, entry="1")
    hidden = entry(3, Kind.ENTRY_HIDDEN, entry="1")

    shown = account_of(entry(1, Kind.COMMAND_RECEIVED), marked)
    gone = account_of(entry(1, Kind.COMMAND_RECEIVED), marked, hidden)

    assert {mark.kind for mark in shown.marks} == {MarkKind.COMMAND, MarkKind.KEY}
    assert (gone.marks, gone.key_moments, gone.hidden) == ((), frozenset(), 1)
    assert gone.summary.first_command_at is None


def test_an_edited_time_moves_the_mark_and_the_release(chronicle):
    chronicle.tell_scenario()
    chronicle.add("12:10", Kind.ENTRY_EDITED, "U1", entry=chronicle.entries[-1].id, at="2026-11-21T12:00:00Z")

    account = chronicle.account()

    noon = chronicle.make.at("12:00")
    assert account.summary.unlocked_at == noon
    assert [mark.at for mark in account.marks if mark.kind is MarkKind.UNLOCK] == [noon]


def test_a_key_moment_from_long_ago_is_asked_for_once_more():
    story = Story(INCIDENT)
    for number in range(1, 5001):
        story.learn(entry(number, Kind.NOTE_ADDED))
    story.learn(entry(5001, Kind.ENTRY_MARKED, entry="3"))

    assert story.missing == {"3"}
    story.recall(entry(3, Kind.NOTE_ADDED))
    assert story.missing == frozenset()
    assert [mark.entry for mark in story.account(now=NOON, names={}).marks] == ["3"]


def test_marks_and_samples_are_thinned_and_the_telling_ones_stay(chronicle):
    at = NOON - timedelta(days=2)
    chronicle.look("11:00")
    look = dict(chronicle.entries[0].facts["evidence"])
    story = Story(INCIDENT)
    for number in range(1, 9001):
        minute = at + timedelta(seconds=10 * number)
        evidence = {**look, "seen_at": minute.isoformat(), "contenders": 999 if number == 4321 else number % 7}
        story.learn(entry(number, Kind.GATE_DECIDED, minute, state="staging", evidence=evidence))
        story.learn(entry(f"c{number}", Kind.COMMAND_RECEIVED, minute))
        if number == 5000:
            story.learn(entry("u", Kind.UNLOCK_RELEASED, minute, state="staging", lock_id="x"))

    account = story.account(now=NOON, names={})

    assert 500 < len(account.samples) <= 2000
    assert account.summary.most_contenders == 999
    assert 500 < len(account.marks) <= 2000
    assert MarkKind.UNLOCK in {mark.kind for mark in account.marks}
    assert account.summary.first_command_at == at + timedelta(seconds=10)


def test_a_plateau_keeps_its_first_and_its_last_sample(chronicle):
    for clock in ("11:00", "11:01", "11:02", "11:03", "11:04"):
        chronicle.look(clock)

    assert [sample.at for sample in chronicle.account().samples] == [chronicle.make.at(c) for c in ("11:00", "11:04")]


def test_the_evidence_of_a_crowded_look_stays_below_16_kb(chronicle):
    for name in (2, 47, 400):
        chronicle.look(
            "11:45", contention=chronicle.crowd("11:45", name), table=chronicle.table(refused=9, ttl="expires")
        )

    assert max(len(canonical(dict(one.facts)).encode()) for one in chronicle.entries) < 16_000


def test_an_incident_without_entries_has_no_account():
    with pytest.raises(ValueError, match="without entries"):
        Story(INCIDENT).account(now=NOON, names={})


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(KINDS, st.dictionaries(st.sampled_from(NAMES), HOSTILE, max_size=9)), min_size=1, max_size=6))
def test_whatever_the_facts_say_there_is_an_account(told):
    account = account_of(*(replace(entry(number, kind), facts=facts) for number, (kind, facts) in enumerate(told)))

    assert account.recorded == len(told)
    assert account.summary.causes
    assert account.summary.told
    assert all(lock.until >= lock.since for lock in account.locks)
    assert all(run.until is None or run.until >= run.since for run in account.runs)


@given(st.text(string.printable, max_size=30), st.integers(1, 3))
def test_the_size_of_a_value_does_not_show_in_the_account(word, times):
    huge = (word or "x") * 10_000 * times
    lock = {"id": huge, "who": huge, "operation": huge, "created": huge}
    seen = {"locks": [lock] * 1000, "held": [], "free": [], "unseen": []}

    account = account_of(entry(1, Kind.LOCK_OBSERVED, state=huge, seen=seen))

    assert len(account.locks) <= 1
    assert len(repr(account.locks)) < 10_000
