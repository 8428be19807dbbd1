"""The facts of every kind: one type, which writes what was always written, and reads whatever is there."""

import json
import types
import typing
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.core.codec import LONGEST_TEXT, Omitted, read, written
from bot.core.record.facts import TYPES, KillConfirmed, MessageCaptured, UnlockFailed, facts_of
from bot.core.record.timeline import GENESIS, Entry, Kind, canonical

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
BEFORE = json.loads(Path(__file__).with_name("facts_before.json").read_text())
"""Facts of every kind, as the versions before these types wrote them from dictionaries."""

ROOT = Path(__file__).parents[3]


def entry(kind, facts):
    return Entry("1", NOON, NOON, kind, "U1", "said", facts, GENESIS, "0")


def values_of(hint):
    """Any value of a field's type, within what is read of it."""
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        return values_of(parts[0])
    if origin in {typing.Union, types.UnionType}:
        return st.one_of(*map(values_of, parts))
    if origin is tuple:
        return st.lists(values_of(parts[0]), max_size=2).map(tuple)
    if origin is Mapping:
        return st.dictionaries(values_of(str), values_of(str), max_size=2)
    if is_dataclass(hint):
        hints = typing.get_type_hints(hint, include_extras=True)
        return st.builds(hint, **{field.name: values_of(hints[field.name]) for field in fields(hint)})
    return {
        str: st.text(max_size=9),
        bool: st.booleans(),
        int: st.integers(0, 10**9),
        datetime: st.datetimes(timezones=st.just(UTC)),
        timedelta: st.timedeltas(timedelta(0), timedelta(days=9_000)),
        types.NoneType: st.none(),
        Omitted: st.just(Omitted.ABSENT),
    }[hint]


def test_every_kind_has_one_type_of_its_own():
    assert set(TYPES) == set(Kind)
    assert len(set(TYPES.values())) == len(Kind)
    assert all(of.KIND is kind for kind, of in TYPES.items())


@pytest.mark.parametrize("kind", Kind)
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_what_was_written_is_read_as_it_was(kind, data):
    facts = data.draw(values_of(TYPES[kind]))

    again = facts_of(entry(kind, json.loads(canonical(written(facts)))))

    assert again == facts


@pytest.mark.parametrize(("kind", "facts"), BEFORE, ids=[kind for kind, _ in BEFORE])
def test_what_earlier_versions_wrote_is_read_and_would_be_written_byte_for_byte(kind, facts):
    value = facts_of(entry(kind, facts))

    assert canonical(written(value)) == canonical(facts)


def test_there_is_a_sample_of_every_kind_from_before():
    assert {kind for kind, _ in BEFORE} == set(Kind)


def test_a_kill_of_the_first_version_says_nothing_of_what_was_switched():
    first = facts_of(entry(Kind.KILL_CONFIRMED, {"request": "k", "runs": [], "ended": True}))
    later = facts_of(entry(Kind.KILL_CONFIRMED, {"request": "k", "runs": [], "ended": True, "switched": None}))

    assert isinstance(first, KillConfirmed)
    assert (first.switched, first.count, first.pipeline) == (Omitted.ABSENT, None, "")
    assert isinstance(later, KillConfirmed)
    assert later.switched is None


def test_what_cannot_be_read_is_as_if_it_were_not_there():
    odd = {"took_seconds": "long", "tries": -1, "throttled": True, "halves": [7, {"half": 8}], "lock": [], "note": 5}

    facts = facts_of(entry(Kind.UNLOCK_FAILED, {**odd, "state": None, "request": {}}))

    assert isinstance(facts, UnlockFailed)
    assert (facts.took, facts.tries, facts.throttled, facts.note) == (None, None, None, None)
    assert (facts.state, facts.request, facts.lock) == ("", "", Omitted.ABSENT)
    assert [half.half for half in facts.halves or ()] == [""]


@pytest.mark.parametrize(
    ("said", "at"),
    [
        ("2026-11-21T12:00:00Z", NOON),
        ("2026-11-21T13:00:00+01:00", NOON),
        ("2026-11-21T12:00:00", NOON),
        ("0001-01-01T00:00:00+14:00", None),
        ("noon", None),
        (12, None),
    ],
)
def test_an_instant_is_read_in_utc_or_not_at_all(said, at):
    assert facts_of(entry(Kind.ENTRY_EDITED, {"entry": "2", "at": said})).at == at


def test_a_text_is_read_as_far_as_its_field_wants_it():
    long = "x" * 5_000
    message = read(MessageCaptured, {"how": long, "permalink": long})

    assert (len(message.how), len(message.permalink)) == (LONGEST_TEXT, 2_000)
    assert facts_of(entry(Kind.ENTRY_EDITED, {"entry": "2", "text": long})).text == long


def test_a_kind_of_a_later_version_has_no_facts_here():
    assert facts_of(entry("moon.rose", {"state": "staging"})) is None


def test_nothing_but_the_facts_module_makes_drafts():
    sources = (path for folder in ("bot", "handlers") for path in (ROOT / folder).rglob("*.py"))

    made = {str(path.relative_to(ROOT)) for path in sources if " Draft(" in path.read_text()}

    assert made == {"bot/core/record/facts.py"}
