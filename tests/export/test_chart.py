"""The chart of an incident: what it shows, and that nothing runs out of it or into something else."""

from __future__ import annotations

import struct
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from types import SimpleNamespace
from xml.etree import ElementTree as ET

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.core.account.values import (
    Account,
    LockEnd,
    LockSpan,
    LoopSpan,
    Mark,
    Role,
    RunSpan,
    Sample,
    StateSummary,
    Summary,
)
from bot.core.record.incident import Incident
from bot.core.record.kinds import MarkKind
from bot.core.record.timeline import Entry
from bot.export.chart.chart import Size, chart_svg, plan, text_alternative, write_png

SVG = "{http://www.w3.org/2000/svg}"
SLACK_SHOWS = 480
HOSTILE = (
    "<script>alert(1)</script> $\\frac{1}{0}$ %s {{x}} &amp; \u202e\x00\n\u05d0\u05d1\u05d2 日本語 🔒 " + "w" * 300
)


def at(clock, day=21):
    hour, minute = clock.split(":")
    return datetime(2026, 11, day, int(hour), int(minute), tzinfo=UTC)


@pytest.fixture
def account():
    """The incident of the scenario."""
    samples = [
        Sample(at("11:00") + timedelta(minutes=m), "staging", min(47, 20 + m // 2) if m < 58 else 0, 30 <= m < 60)
        for m in range(0, 66, 3)
    ]
    marks = [
        Mark(at("11:00"), MarkKind.COMMAND, "/tflock status staging", "U0QUINN", "2"),
        Mark(at("11:05"), MarkKind.COMMAND, "/tflock who staging", "U0PARKER", "4"),
        Mark(at("11:40"), MarkKind.ALERT, "the lock table refuses requests", "tflock", "12"),
        Mark(at("11:45"), MarkKind.KEY, "47 operations want the lock", "U0PARKER", "13"),
        Mark(at("11:58"), MarkKind.KILL, "ended the loop of dependency-update.yml", "U0QUINN", "20"),
        Mark(at("12:07"), MarkKind.UNLOCK, "released the lock (staging)", "U0PARKER", "30"),
    ]
    return Account(
        incident=Incident("inc-1", "C0STAGING", "staging", at("11:00"), "U0QUINN", at("12:20")),
        now=at("12:20"),
        last=Entry("40", at("12:20"), at("12:20"), "incident.closed", "U0PARKER", "", {}, "", ""),
        recorded=40,
        edited=1,
        hidden=0,
        summary=Summary(
            (StateSummary("staging", timedelta(hours=3, minutes=2), is_free=True),),
            at("11:00"),
            at("12:07"),
            (),
            (),
            47,
            (),
        ),
        locks=(
            LockSpan(
                "staging", "8ea9", "runner@fv-az881", "OperationTypeApply", at("09:05"), at("12:07"), LockEnd.RELEASED
            ),
        ),
        runs=(
            RunSpan(
                "staging", "deploy.yml", "119", "https://x", 1, "elliott-ci", Role.HOLDER, at("09:02"), at("09:15"),
                "timed out",
            ),
        ),
        loops=(
            LoopSpan(
                "staging", "dependency-update.yml", "a schedule", "bot", at("09:50"), at("11:56"), 128,
                timedelta(minutes=1), at("11:58"),
            ),
        ),
        samples=tuple(samples),
        marks=tuple(marks),
        names={"U0QUINN": "quinn", "U0PARKER": "parker"},
        zone="Europe/Berlin",
    )  # fmt: skip


def drawn_png(account, tmp_path):
    return write_png(SimpleNamespace(account=account), tmp_path / "x.png").read_bytes()


def size_of(png):
    return struct.unpack(">II", png[16:24])


def texts(svg):
    return ["".join(text.itertext()) for text in ET.fromstring(svg).iter(f"{SVG}text")]


def holds(planned):
    """Nothing of the plan is outside of it, and no two texts run into each other."""
    labels, form = planned.labels, planned.format
    for label in labels:
        assert label.left >= -0.5, label
        assert label.right <= form.width + 0.5, label
        assert 0 < label.y <= planned.height, label
    for lane in planned.lanes:
        for box in lane.boxes:
            assert planned.axis.left - 0.01 <= box.left < box.right <= planned.axis.right + 0.01
    for above, below in pairwise(planned.lanes):
        assert above.top + above.height <= below.top + 0.01
    by_line = {}
    for label in labels:
        by_line.setdefault(round(label.y, 1), []).append(label)
    for line in by_line.values():
        for left, right in pairwise(sorted(line, key=lambda label: label.left)):
            assert left.right <= right.left + 0.5, (left, right)


def test_it_says_who_held_the_lock_for_how_long_what_died_and_who_freed_it(account):
    said = " | ".join(text_alternative(account))

    assert "staging was locked for 3 h 2 min." in said
    assert "09:05 to 12:07 UTC · released by parker" in said
    assert "deploy.yml held the lock: timed out 09:15 · run 119 by elliott-ci" in said
    assert "128 starts, stopped 11:58, one every 1 min" in said
    assert "up to 47 runs at once" in said
    assert "refused requests: 11:30–12:00" in said  # noqa: RUF001  the dash of a range
    assert "12:07 parker: released the lock (staging)" in said


def test_bars_and_marks_stand_in_the_order_of_their_times(account):
    planned = plan(account, Size.NARROW)
    on = planned.axis

    boxes = {box.kind: box for lane in planned.lanes for box in lane.boxes}
    assert boxes["holder"].left < boxes["lock"].left < boxes["holder"].right < boxes["loop"].left
    assert boxes["loop"].right < boxes["lock"].right == pytest.approx(on.x(at("12:07").timestamp()))
    events = [lane.spots[0].x for lane in planned.lanes if lane.spots and not lane.boxes]
    assert events == sorted(events)


@pytest.mark.parametrize("size", Size)
def test_nothing_runs_out_of_the_chart_or_into_something_else(account, size):
    holds(plan(account, size))


def test_the_picture_is_sharp_and_small_enough_for_the_channel(account, tmp_path):
    png = drawn_png(account, tmp_path)
    width, height = size_of(png)

    assert len(png) < 300_000
    assert 2 * SLACK_SHOWS * 0.9 <= width <= 2.5 * SLACK_SHOWS
    assert height < 1.6 * width


def test_its_letters_can_be_read_at_the_width_that_slack_shows(account):
    planned = plan(account, Size.NARROW)

    assert min(label.size for label in planned.labels) * 400 / planned.format.width >= 10


def test_the_same_account_gives_the_same_bytes(account, tmp_path):
    assert chart_svg(account) == chart_svg(account)
    assert drawn_png(account, tmp_path) == drawn_png(account, tmp_path)


def test_the_drawing_for_a_page_has_a_title_a_description_and_its_texts_as_text(account):
    svg = chart_svg(account)
    root = ET.fromstring(svg)

    assert root.get("role") == "img"
    assert root.findtext(f"{SVG}title") == "staging was locked for 3 h 2 min."
    assert "released by parker" in root.findtext(f"{SVG}desc")
    assert any("12:07 parker: released the lock (staging)" in text for text in texts(svg))
    assert len(svg) < 200_000


def test_the_drawing_refers_to_nothing_outside_and_runs_nothing(account):
    svg = chart_svg(account)

    assert "<script" not in svg
    assert "http" not in svg.replace("http://www.w3.org/2000/svg", "")
    assert "@import" not in svg
    ids = [element.get("id") for element in ET.fromstring(svg).iter() if element.get("id")]
    assert len(ids) == len(set(ids))
    assert all(name.startswith("tfchart-") for name in ids)


def test_two_drawings_in_one_page_share_no_name(account):
    other = replace(account, zone="UTC")
    first, second = ({e.get("id") for e in ET.fromstring(chart_svg(a)).iter()} - {None} for a in (account, other))

    assert not first & second


def test_a_lock_that_is_days_old_does_not_squash_the_incident(account):
    old = replace(account, locks=(replace(account.locks[0], since=at("09:05", 17)),), runs=(), loops=())
    planned = plan(old, Size.NARROW)

    incident = planned.axis.x(at("12:20").timestamp()) - planned.axis.x(at("11:00").timestamp())
    assert planned.axis.cuts
    assert incident > planned.format.width / 2
    holds(planned)


def test_what_goes_on_ends_in_an_arrow_and_is_said_to_go_on(account):
    held = replace(
        account,
        incident=replace(account.incident, closed_at=None),
        locks=(replace(account.locks[0], end=LockEnd.HELD),),
        runs=(replace(account.runs[0], until=None, conclusion=None),),
    )

    assert all(box.goes_on for lane in plan(held).lanes for box in lane.boxes if box.kind in {"lock", "holder"})
    assert "staging has been locked for" in " ".join(text_alternative(held))
    assert "still running" in " ".join(text_alternative(held))


def test_an_incident_without_a_lock_says_so(account, tmp_path):
    bare = replace(account, locks=(), runs=(), loops=(), samples=(), marks=())

    assert text_alternative(bare)[0] == "No lock was seen."
    assert drawn_png(bare, tmp_path)
    holds(plan(bare))


def test_twenty_states_and_two_thousand_marks_are_counted_where_they_do_not_fit(account, tmp_path):
    locks = tuple(replace(account.locks[0], state=f"state-{n}", lock_id=str(n)) for n in range(20))
    marks = tuple(
        Mark(at("11:00") + timedelta(seconds=2 * n), MarkKind.COMMAND, f"/tflock status x{n}", "U0QUINN", str(n))
        for n in range(2000)
    )
    many = replace(account, locks=locks, marks=(*account.marks, *marks))
    planned = plan(many, Size.NARROW)

    said = " ".join(label.text for label in planned.labels)
    assert "more states" in said
    assert "2,000 more" in said or "1,99" in said
    assert len(chart_svg(many)) < 200_000
    assert size_of(drawn_png(many, tmp_path))[1] < 2_000
    holds(planned)


def test_hostile_names_are_shown_as_they_are_and_do_nothing(account, tmp_path):
    hostile = replace(
        account,
        locks=(replace(account.locks[0], state=HOSTILE, who=HOSTILE),),
        runs=(replace(account.runs[0], state=HOSTILE, pipeline=HOSTILE, actor=HOSTILE, conclusion=HOSTILE),),
        marks=(replace(account.marks[0], label=HOSTILE, actor=HOSTILE),),
        zone=HOSTILE,
    )
    svg = chart_svg(hostile)

    assert "<script" not in svg
    assert any("<script>" in text for text in texts(svg))
    assert drawn_png(hostile, tmp_path)
    holds(plan(hostile, Size.NARROW))


def test_a_brief_incident_is_told_to_the_second(account):
    brief = replace(
        account,
        incident=replace(account.incident, opened_at=at("12:00"), closed_at=at("12:05")),
        locks=(replace(account.locks[0], since=at("12:00"), until=at("12:00") + timedelta(seconds=29)),),
        runs=(),
        loops=(),
        samples=(),
        marks=(),
    )

    assert "12:00:00 to 12:00:29 UTC" in text_alternative(brief)[1]


def test_the_end_of_a_bar_at_the_edge_of_the_chart_is_shown_after_it(account):
    planned = plan(replace(account, incident=replace(account.incident, closed_at=at("12:07"))), Size.NARROW)
    loop = next(lane for lane in planned.lanes if any(box.kind == "loop" for box in lane.boxes))

    assert loop.boxes[0].right < loop.spots[0].x < planned.format.width


def test_an_entry_that_is_a_key_moment_besides_is_told_once(account):
    unlock = account.marks[-1]
    doubled = replace(account, marks=(*account.marks, replace(unlock, kind=MarkKind.KEY)))

    assert text_alternative(doubled) == text_alternative(account)


def test_the_words_of_a_turn_are_not_cut_off_on_a_phone(account):
    told = Mark(at("11:58"), MarkKind.KILL, "11 runs ended; stopping the source was not possible", "U0PARKER", "20")
    planned = plan(replace(account, marks=(told,)), Size.NARROW)

    assert (
        " ".join(label.text for lane in planned.lanes if lane.spots and not lane.boxes for label in lane.labels)
        == "11:58 parker: 11 runs ended; stopping the source was not possible"
    )


def test_a_name_that_runs_from_the_right_does_not_turn_the_time_before_it(account):
    other = replace(account, marks=(replace(account.marks[0], actor="\u05e9\u05dc\u05d5\u05dd"),))

    assert "\u206611:00 \u05e9\u05dc\u05d5\u05dd: /tflock status staging\u2069" in texts(chart_svg(other))


def test_contention_stands_to_scale_and_ends_when_nobody_queues_any_more(account):
    (lane,) = (lane for lane in plan(account).lanes if lane.outline)

    assert lane.outline[0][1] == lane.outline[-1][1] == lane.floor
    assert min(y for _, y in lane.outline) == pytest.approx(lane.top + lane.height - 2.8 * Size.WIDE.value.text)
    assert [x for x, _ in lane.outline] == sorted(x for x, _ in lane.outline)


WORDS = st.text(max_size=40)
STATES = st.sampled_from(["staging", "production"]) | WORDS
TIMES = st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31), timezones=st.sampled_from([UTC, None]))  # noqa: DTZ001  a zone is given, or on purpose none


@st.composite
def accounts(draw, base):
    moments = draw(st.lists(TIMES, min_size=2, max_size=6))
    pick = st.sampled_from(moments)
    return replace(
        base,
        incident=replace(base.incident, opened_at=draw(pick), closed_at=draw(st.none() | pick)),
        now=draw(pick),
        zone=draw(st.sampled_from(["UTC", "Asia/Kathmandu", "America/St_Johns", "no/where", ""])),
        locks=tuple(
            draw(
                st.lists(
                    st.builds(LockSpan, STATES, WORDS, WORDS, WORDS, pick, pick, st.sampled_from(LockEnd)), max_size=3
                )
            )
        ),
        runs=tuple(
            draw(
                st.lists(
                    st.builds(
                        RunSpan, STATES, WORDS, WORDS, WORDS, st.integers(), WORDS, st.sampled_from(Role),
                        pick, st.none() | pick, st.none() | WORDS,
                    ),
                    max_size=6,
                )
            )
        ),
        loops=tuple(
            draw(
                st.lists(
                    st.builds(
                        LoopSpan, STATES, WORDS, WORDS, WORDS, pick, pick, st.integers(), st.timedeltas(),
                        st.none() | pick,
                    ),
                    max_size=4,
                )
            )
        ),
        samples=tuple(
            draw(st.lists(st.builds(Sample, pick, STATES, st.integers(-5, 10**9), st.booleans()), max_size=4))
        ),
        marks=tuple(draw(st.lists(st.builds(Mark, pick, st.sampled_from(MarkKind), WORDS, WORDS, WORDS), max_size=4))),
    )  # fmt: skip


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_any_account_has_a_plan_that_holds(account, data):
    wild = data.draw(accounts(account))

    for size in Size:
        holds(plan(wild, size))
    assert text_alternative(wild)


@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_any_account_can_be_drawn(account, data, tmp_path):
    wild = data.draw(accounts(account))

    ET.fromstring(chart_svg(wild))
    assert drawn_png(wild, tmp_path)
