"""Whatever others wrote, and however much of it: Slack takes the message, and nothing in it pings, links or formats."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.core.evidence import Found, NotFound, Trouble, Unseen
from bot.core.gate.attribution import Attribution, Candidate, PipelineSeen, Strength
from bot.core.gate.case import Effect, Finding, Rule, Ruling, Verdict
from bot.core.gate.contention import Contention, Loop
from bot.core.gate.inspection import Barred, Crowd, Inspection, Owner, StateName
from bot.core.gate.stages import KillStage, UnlockStage
from bot.core.hours import USUAL
from bot.core.lock import (
    Billing,
    DigestMatch,
    DigestSeen,
    LockInfo,
    LockPlace,
    LockSeen,
    PlaceKind,
    PlaceRelease,
    Refusals,
    ReleaseResult,
    StateAbsent,
    StateCheck,
    StateSeen,
    TableCapacity,
    TableSeen,
    TimeToLive,
)
from bot.core.people import Member, OwnerAnswer, OwnerSays, Presence, Whereabouts
from bot.core.phrase import Day, Linked, Person, Quoted
from bot.core.policy import ApprovalPolicy, Approvers
from bot.core.record.incident import Incident
from bot.core.record.revision import CORRECTIONS, Change, Marking, ShownEntry
from bot.core.record.timeline import Entry, Kind
from bot.core.reports.kill import KillReport, KillRequest, KillTarget, Stake
from bot.core.reports.owner_message import HolderRun, OwnerMessage, OwnerMessageStatus, OwnerNews, OwnerNotice
from bot.core.reports.report import Corrected, Notice, Overview, StatusReport, TimelineReport
from bot.core.reports.unlock import UnlockReport, UnlockRequest
from bot.core.reports.who import HeldLock, StandIn, StandIns, UserReport, WhoReport
from bot.core.run import Conclusion, Job, Phase, Pipeline, Run, RunRef, Switched, SwitchResult
from bot.errors import JournalAway
from bot.slack.render import (
    kill_message,
    notice_message,
    overview_message,
    owner_message,
    status_message,
    timeline_message,
    unlock_message,
    user_message,
    who_message,
)
from bot.slack.render.correction import edited_message, marked_message
from bot.slack.render.modal import EditForm, edit_view, failed_view
from bot.slack.render.page import help_message
from bot.slack.render.plain import overview_lines, status_lines, to_json, who_lines
from tests.worlds.slack.blocks import view_faults

NOW = datetime(2026, 11, 21, 11, 5, tzinfo=UTC)
HOSTILE = (
    "<!channel>", "<!here|x>", "<@U1>", "<#C1>", "<https://evil.example|click>", "*bold* _it_ ~no~ `code`",
    "```x```", "&lt;!channel&gt;", "a\nb\r\n> quote", "\x1b[31m\u202e", ":tada: :white_check_mark:", "",
    "&" * 900, "<" * 900, "`" * 90, "<!date^1^{date}^https://evil.example|x>", " ", "|", "@channel", "mailto:a@b",
    "https://evil.example", "\xfc" * 4_000,
    "password=hunter2hunter2", "https://u:hunter2hunter2@evil.example/x", "a" * 250 + " ghs_" + "hunter2" * 6,
)  # fmt: skip

texts = st.one_of(st.sampled_from(HOSTILE), st.text(max_size=40))
words = st.one_of(st.sampled_from(HOSTILE[:12]), st.text(max_size=12))
instants = st.datetimes(
    min_value=datetime(1971, 1, 1), max_value=datetime(9000, 1, 1), timezones=st.just(UTC)  # noqa: DTZ001  Hypothesis wants naive bounds
)  # fmt: skip
spans = st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=4_000))
urls = st.one_of(st.just("https://ci.example.com/runs/1?a=1&b=2"), texts.map(lambda text: f"https://x{text}"), texts)
people = st.sampled_from(["U0ASKER", "U0OWNER", "W0GRID", "", "nobody", "<!channel>", "U1> <!here"])
counts = st.sampled_from([0, 1, 2, 7, 120, 500])
parts = st.one_of(
    texts.map(Quoted),
    st.builds(Linked, texts, st.one_of(st.none(), urls)),
    st.builds(Person, st.one_of(st.none(), people), texts),
    instants,
    instants.map(Day.of),
    spans,
    st.just(" is held by "),
)
phrases = st.lists(parts, max_size=6).map(tuple)
long_phrases = st.one_of(phrases, phrases.map(lambda phrase: phrase * 40))


def maybe(strategy):
    return st.one_of(st.none(), strategy)


locks = st.builds(LockInfo, texts, words, words, texts, words, instants, texts)
states = st.builds(StateName, words, texts, st.booleans())
troubles = st.one_of(
    st.builds(NotFound, words.filter(str.isalnum), texts, instants),
    st.builds(Unseen, st.just("GitHub Actions"), st.sampled_from(Trouble), texts, instants),
)
pipelines = st.builds(
    lambda repo, workflow: Pipeline("github", (("repo", repo), ("workflow", workflow))), texts, texts
)  # fmt: skip
jobs = st.builds(
    Job, words, texts, st.integers(1, 9), st.sampled_from(Phase), maybe(st.sampled_from(Conclusion)),
    maybe(instants), maybe(instants), maybe(texts),
)  # fmt: skip
runs = st.builds(
    Run,
    ref=st.builds(RunRef, pipelines, texts, urls),
    title=texts,
    actor=texts,
    trigger=words,
    phase=st.sampled_from(Phase),
    conclusion=maybe(st.sampled_from(Conclusion)),
    attempt=st.integers(1, 40),
    created_at=instants,
    started_at=maybe(instants),
    ended_at=maybe(instants),
    reported=words,
    jobs=maybe(st.lists(jobs, max_size=3).map(tuple)),
    jobs_missing=maybe(texts),
)


@st.composite
def many_runs(draw):
    """Up to 500 runs made of a few, each with an id of its own."""
    some = draw(st.lists(runs, min_size=1, max_size=3))
    return tuple(
        replace(run, ref=RunRef(run.ref.pipeline, f"{run.ref.id}{number}", run.ref.url))
        for number, run in zip(range(draw(counts)), some * 500, strict=False)
    )


loops = st.builds(
    Loop, pipelines, st.integers(2, 900), instants, instants, spans, words, texts, many_runs(), instants,
    st.integers(2, 90_000),
)  # fmt: skip
places = st.builds(LockPlace, st.sampled_from(PlaceKind), texts, texts, maybe(locks), maybe(texts))
seen_locks = st.builds(
    LockSeen,
    st.lists(places, max_size=2).map(tuple),
    st.lists(st.sampled_from(PlaceKind), max_size=1).map(tuple),
    st.lists(st.tuples(st.sampled_from(PlaceKind), troubles), max_size=2).map(tuple),
    instants,
)
stored = st.builds(
    StateSeen, st.integers(0, 10**14), instants, words, maybe(st.integers(0, 10**9)), maybe(texts), maybe(words),
    maybe(texts), maybe(words), maybe(texts),
)  # fmt: skip
absent = st.builds(StateAbsent, st.lists(texts, max_size=3).map(tuple), maybe(texts))
checks = st.builds(
    StateCheck,
    st.one_of(st.builds(Found, st.one_of(stored, absent), instants), troubles),
    st.builds(DigestSeen, st.sampled_from(DigestMatch), maybe(texts), maybe(words), maybe(words), maybe(texts)),
)


@st.composite
def candidates(draw):
    run = draw(runs)
    return Candidate(run, draw(st.one_of(st.builds(Found, st.just(run), instants), troubles)), run.jobs or ())


attributions = st.builds(
    Attribution,
    maybe(st.sampled_from(Strength)),
    st.lists(candidates(), max_size=5).map(tuple),
    long_phrases,
    st.lists(troubles, max_size=5).map(tuple),
)
looks = st.builds(PipelineSeen, pipelines, words, st.one_of(st.builds(Found, st.just(()), instants), troubles))


def seen_or_not(values):
    return st.one_of(st.builds(Found, values, instants), troubles)


tables = st.builds(
    TableSeen,
    texts,
    seen_or_not(st.builds(TableCapacity, st.sampled_from(Billing), counts, counts, words)),
    seen_or_not(st.builds(TimeToLive, st.booleans(), texts)),
    seen_or_not(st.builds(Refusals, counts, counts, spans)),
)
crowds = st.builds(
    Crowd,
    st.lists(words, min_size=1, max_size=6).map(tuple),
    many_runs(),
    st.lists(st.tuples(words, loops), max_size=5).map(tuple),
    st.lists(troubles, max_size=3).map(tuple),
)


owners = st.builds(Owner, texts, maybe(people), phrases, maybe(people), maybe(st.sampled_from(Barred)), st.booleans())


@st.composite
def inspections(draw):
    seen = draw(seen_locks)
    return Inspection(
        state=draw(states),
        seen=seen,
        check=draw(checks),
        looks=tuple(draw(st.lists(looks, max_size=4))),
        lock=seen.lock,
        attribution=draw(attributions) if seen.lock else None,
        contention=Contention(draw(many_runs()), tuple(draw(st.lists(loops, max_size=2)))),
        owner=draw(maybe(owners)),
        owners=tuple(draw(st.lists(owners, max_size=12))),
        at=draw(instants),
        table=draw(maybe(tables)),
        crowd=draw(maybe(crowds)),
    )


findings = st.builds(
    Finding, st.sampled_from(Rule), st.sampled_from(Effect), long_phrases, maybe(instants), st.booleans()
)
verdicts = st.builds(Verdict, st.sampled_from(Ruling), st.lists(findings, max_size=13).map(tuple))
answers = st.builds(OwnerAnswer, texts, people, st.sampled_from(OwnerSays), instants)
requests = {
    "id": st.just("r7k2"), "state": words, "lock_id": texts, "channel": texts, "user": people, "asked_at": instants,
    "reason": texts,
}  # fmt: skip
releases = st.builds(PlaceRelease, places, st.sampled_from(ReleaseResult), texts)
targets = st.builds(KillTarget, words, many_runs(), st.sampled_from(Stake), maybe(loops)).filter(
    lambda target: target.runs or target.loop  # one of them is what is ended
)
members = st.builds(
    Member, people, texts, maybe(words), st.booleans(), st.booleans(), st.booleans(), st.booleans(), maybe(words),
    st.just(3600),
)  # fmt: skip
stand_ins = st.builds(
    StandIns,
    st.lists(
        st.builds(StandIn, members, st.sampled_from(Presence), maybe(instants), maybe(st.booleans())), max_size=14
    ).map(tuple),
    counts,
    maybe(troubles),
)
found_members = st.one_of(st.builds(Found, members, instants), troubles)
whereabouts = st.one_of(
    st.builds(
        Found,
        st.builds(Whereabouts, st.sampled_from(Presence), texts, words, maybe(instants), maybe(instants)),
        instants,
    ),
    troubles,
)

TROUBLES = ("", JournalAway.in_short, "Redis's memory is full")
reports = {
    "status": st.builds(StatusReport, inspections(), maybe(verdicts), maybe(answers), st.sampled_from(TROUBLES)),
    "unlock": st.builds(
        UnlockReport,
        st.builds(UnlockRequest, **requests),
        st.sampled_from(UnlockStage),
        maybe(inspections()),
        maybe(verdicts),
        long_phrases,
        st.lists(releases, max_size=2).map(tuple),
        st.lists(st.sampled_from(PlaceKind), max_size=2).map(tuple),
        maybe(locks),
        people,
        maybe(instants),
        st.integers(0, 10**6),
        maybe(spans),
    ),
    "kill": st.builds(
        KillReport,
        st.builds(KillRequest, asked=texts, **requests),
        st.sampled_from(KillStage),
        st.tuples(st.lists(targets, max_size=2), counts).map(lambda pair: tuple((pair[0] * 500)[: pair[1]])),
        maybe(targets),
        many_runs(),
        maybe(st.builds(Switched, st.sampled_from(SwitchResult), texts)),
        long_phrases,
        long_phrases,
    ),
    "who": st.builds(
        WhoReport,
        inspections(),
        maybe(found_members),
        maybe(whereabouts),
        maybe(instants),
        maybe(stand_ins),
        maybe(st.just(USUAL)),
        st.builds(ApprovalPolicy, st.sampled_from(Approvers)),
        maybe(stand_ins),
    ),
    "user": st.builds(
        UserReport,
        found_members,
        whereabouts,
        maybe(instants),
        st.tuples(st.lists(st.builds(HeldLock, states, locks, words, st.booleans()), max_size=2), counts).map(
            lambda pair: tuple((pair[0] * 500)[: pair[1]])
        ),
        maybe(st.just(USUAL)),
        counts,
        counts,
        maybe(st.sampled_from(Barred)),
    ),
    "letter": st.builds(
        OwnerMessage,
        st.sampled_from(OwnerNews),
        states,
        locks,
        people,
        texts,
        words,
        maybe(
            st.builds(
                HolderRun, texts, texts, st.sampled_from(Phase), maybe(st.sampled_from(Conclusion)), maybe(instants)
            )
        ),
        maybe(answers),
        st.lists(st.builds(OwnerNotice, st.sampled_from(OwnerNews), instants, people, texts), max_size=20).map(tuple),
        st.integers(0, 60),
        texts,
        st.sampled_from(OwnerMessageStatus),
        st.booleans(),
    ),
    "overview": st.builds(
        Overview,
        st.tuples(st.lists(st.tuples(states, seen_locks), min_size=1, max_size=4), counts).map(
            lambda pair: tuple((pair[0] * 500)[: pair[1]])
        ),
        instants,
        st.sampled_from(TROUBLES),
    ),
    "notice": st.builds(Notice, texts, st.lists(long_phrases, max_size=60).map(tuple), texts),
}
RENDER = {
    "status": status_message,
    "unlock": unlock_message,
    "kill": kill_message,
    "who": who_message,
    "user": user_message,
    "letter": owner_message,
    "overview": overview_message,
    "notice": notice_message,
}
any_report = st.sampled_from(sorted(reports)).flatmap(lambda kind: st.tuples(st.just(kind), reports[kind]))
thorough = settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)

_OURS = re.compile(
    r"!date\^\d+\^(\{date_short_pretty\} )?\{time\}\|\d{4}-\d\d-\d\d \d\d:\d\d UTC|"
    r"!date\^\d+\^\{date_long_pretty\} \{time\}\|[A-Z][a-z]{2} \d\d? [A-Z][a-z]{2} \d{4}, \d\d:\d\d UTC"
    r"|@[UW][A-Z0-9]+|#[CGD][A-Z0-9]+|https?://[^\s|<>\"`]+\|[^<>|]+"
)


def said(message):
    """Every text that Slack would show."""
    yield message.text

    def inside(thing):
        if isinstance(thing, dict):
            yield from ([thing["text"]] if isinstance(thing.get("text"), str) else [])
            for value in thing.values():
                yield from inside(value)
        elif isinstance(thing, list):
            for item in thing:
                yield from inside(item)

    yield from inside([*message.blocks, *message.plain])


def harmless(message):
    for text in said(message):
        for token in re.findall(r"<[^>]*>?", text):
            assert token.endswith(">"), token
            assert _OURS.fullmatch(token[1:-1]), token
        assert text.count("`") % 2 == 0
        assert "hunter2" not in text


@given(any_report)
@thorough
def test_any_report_is_a_message_that_slack_takes_and_that_does_no_harm(sound, pair):
    kind, report = pair
    message = RENDER[kind](report)
    sound(message)
    harmless(message)
    json.dumps(message.blocks)


entries = st.builds(
    Entry,
    id=st.one_of(st.integers(0, 10**7).map(str), words),
    at=instants,
    recorded_at=instants,
    kind=st.one_of(st.sampled_from([str(kind) for kind in Kind]), words),
    actor=st.one_of(people, texts),
    text=texts,
    facts=st.just({}),
    prev=st.just("0"),
    hash=st.just("1"),
)
changes = st.builds(
    Change,
    by=st.one_of(people, texts),
    at=instants,
    kind=st.sampled_from([str(kind) for kind in CORRECTIONS]),
    why=texts,
    was_text=maybe(texts),
    was_at=maybe(instants),
)
shown_entries = st.builds(ShownEntry, entries, st.lists(changes, max_size=3).map(tuple), st.booleans())
incidents = st.builds(Incident, st.just("inc-1"), st.just("C1"), texts, instants, people, maybe(instants))
ordinals = maybe(st.integers(1, 10**7).map(str))
hidden_entries = st.lists(words, max_size=40).map(tuple)


@given(
    st.lists(shown_entries, min_size=1, max_size=8), st.integers(0, 25), incidents, hidden_entries, ordinals, ordinals
)
@thorough
def test_any_page_of_a_timeline_fits_and_does_no_harm(sound, some, count, incident, hidden, older, newer):
    many = tuple((some * 25)[:count])
    message = timeline_message(TimelineReport(incident, many, 10**6, hidden, 25, older, newer))
    sound(message)
    harmless(message)


corrected = st.builds(Corrected, incidents, shown_entries, shown_entries, st.booleans(), st.booleans())


@given(corrected, maybe(texts), st.sampled_from(Marking))
@thorough
def test_what_became_of_any_correction_fits_and_does_no_harm(sound, told, undo, how):
    for message in (edited_message(told, undo), marked_message(told, how)):
        sound(message)
        harmless(message)


@given(corrected, st.one_of(texts, st.text(max_size=40)))
@thorough
def test_the_dialog_of_any_entry_is_one_that_slack_takes(told, reason):
    at = told.after.entry.at
    view = edit_view(EditForm(told, at, "CET", "{}"))
    assert view_faults(view, kind="modal") == []
    assert "hunter2" not in json.dumps(view)
    assert view_faults(failed_view(reason), kind="modal") == []


ours = st.text(alphabet="ab &<>|[].", min_size=1, max_size=2_000)


@given(st.lists(st.tuples(ours, ours), min_size=1, max_size=30), maybe(ours))
@thorough
def test_any_table_of_commands_fits(sound, commands, command):
    message = help_message(commands, command)
    sound(message)
    harmless(message)


@given(st.one_of(reports["status"], reports["who"], reports["overview"]))
@thorough
def test_any_report_is_plain_lines_and_a_json_document(report):
    write = {StatusReport: status_lines, WhoReport: who_lines, Overview: overview_lines}[type(report)]
    for line in write(report):
        assert line.isprintable()
    document = json.loads(json.dumps(to_json(report)))
    if isinstance(report, WhoReport):
        assert document["state"] == report.inspection.state.name
    else:
        assert document["journal_trouble"] == (report.journal_trouble or None)


def test_five_hundred_states_runs_and_contenders_fit_and_are_counted(scene, sound):
    locked = tuple((StateName(f"state-{n}", "", protected=False), scene.seen()) for n in range(500))
    overview = overview_message(Overview(locked, scene.now))
    assert "500 of 500 states locked" in overview.text
    assert re.search(r"… and \d{3} more", str(overview.blocks))
    sound(overview)

    inspection = replace(scene.inspection(), contention=Contention(scene.contenders(500), (scene.loop,) * 500))
    status = status_message(StatusReport(inspection, scene.verdict(inspection)))
    assert "500 runs want the lock" in str(status.blocks)
    assert "497 more" in str(status.blocks)
    sound(status)

    targets = tuple(scene.run_target(Stake.CONTENDS, number) for number in range(500))
    choose = kill_message(KillReport(scene.kill_request, KillStage.CHOOSE, targets))
    assert "495 more" in str(choose.blocks)
    sound(choose)


def test_a_job_name_neither_pings_nor_formats(scene):
    run = scene.run(phase=Phase.RUNNING)
    job = replace(run.jobs[0], name="<!channel> *x* `y` <https://evil.example|z>")
    inspection = scene.inspection(run=replace(run, jobs=(job,)))
    text = "".join(said(status_message(StatusReport(inspection, scene.verdict(inspection)))))
    assert "<!channel>" not in text
    assert "&lt;!channel&gt; *x* ʼyʼ &lt;https://evil.example|z&gt;`" in text  # noqa: RUF001  stands for a backtick
