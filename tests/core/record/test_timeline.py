"""The hash chain: whatever is done to a timeline after it was written is found."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.instants import stamp
from bot.core.record.timeline import (
    GENESIS,
    Draft,
    Entry,
    Kind,
    body_of,
    body_of_entry,
    canonical,
    link,
    read_body,
    read_entry,
    recordable,
    verify,
)
from bot.errors import ChainBroken

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)

any_text = st.text(st.characters(codec=None), max_size=20)  # lone surrogates and control characters too
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | any_text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(any_text, inner, max_size=3),
    max_leaves=8,
)
# hypothesis wants its bounds without a zone
EARLIEST, LATEST = (at.replace(tzinfo=None) for at in (NOON - timedelta(days=20_000), NOON + timedelta(days=60_000)))
drafts = st.builds(
    Draft,
    at=st.datetimes(timezones=st.timezones(), min_value=EARLIEST, max_value=LATEST),
    kind=st.sampled_from(Kind),
    actor=any_text,
    text=any_text,
    facts=st.dictionaries(any_text, json_values, max_size=3),
)


def chained(drafts_: list[Draft]) -> list[Entry]:
    entries, prev = [], GENESIS
    for ordinal, draft in enumerate(map(recordable, drafts_), start=1):
        body = body_of(str(ordinal), draft, NOON + timedelta(seconds=ordinal))
        entries.append(read_body(body, prev=prev, digest=link(prev, body)))
        prev = entries[-1].hash
    return entries


chains = st.lists(drafts, min_size=2, max_size=5).map(chained)


@given(chains)
def test_an_untouched_chain_is_whole(entries):
    assert verify(entries) == len(entries)


@given(chains)
def test_a_chain_survives_json_and_back(entries):
    rows = [{**json.loads(body_of_entry(entry)), "prev": entry.prev, "hash": entry.hash} for entry in entries]

    again = [read_entry(row) for row in json.loads(json.dumps(rows))]

    assert again == entries
    assert verify(again) == len(entries)


@given(chains, st.data())
def test_any_change_of_an_entry_is_found_at_that_entry(entries, data):
    place = data.draw(st.integers(0, len(entries) - 1))
    entry = entries[place]
    name = data.draw(st.sampled_from(["id", "at", "recorded_at", "kind", "actor", "text", "facts", "prev", "hash"]))
    old = getattr(entry, name)
    new = {
        "at": entry.at + timedelta(microseconds=1),
        "recorded_at": entry.recorded_at - timedelta(microseconds=1),
        "facts": {**entry.facts, "more": 1},
    }.get(name, f"{old}x")
    entries[place] = replace(entry, **{name: new})

    with pytest.raises(ChainBroken) as caught:
        verify(entries)

    assert caught.value.entry_id == entries[place].id


@given(chains, st.data())
def test_a_removed_entry_is_found(entries, data):
    del entries[data.draw(st.integers(0, len(entries) - 2))]

    with pytest.raises(ChainBroken, match="does not follow"):
        verify(entries)


@given(chains, st.data())
def test_an_inserted_entry_is_found(entries, data):
    place, source = (data.draw(st.integers(0, len(entries) - 1)) for _ in range(2))
    entries.insert(place, entries[source])

    with pytest.raises(ChainBroken):
        verify(entries)


@given(chains, st.data())
def test_swapped_entries_are_found(entries, data):
    one, other = data.draw(st.lists(st.integers(0, len(entries) - 1), min_size=2, max_size=2, unique=True))
    entries[one], entries[other] = entries[other], entries[one]

    with pytest.raises(ChainBroken):
        verify(entries)


@given(drafts)
def test_a_recordable_draft_stays_as_it_is_when_it_is_made_recordable_again(draft):
    once = recordable(draft)

    assert recordable(once) == once
    assert json.loads(canonical(dict(once.facts))) == once.facts


def test_names_are_sorted_by_what_they_are_in_json():
    assert canonical({"b": 1, "a": {"d": 1, "c": 2}}) == '{"a":{"c":2,"d":1},"b":1}'


@pytest.mark.parametrize(
    "wrong",
    [
        {"at": "2026-11-21T12:00:00Z"},
        {"at": "2026-11-21T13:00:00.000000+01:00"},
        {"at": "yesterday"},
        {"at": 5},
        {"text": None},
        {"facts": []},
        {"facts": None},
        {"more": "fields"},
    ],
)
def test_an_entry_that_is_spelled_otherwise_is_not_read(wrong):
    row = {"id": "1", "at": stamp(NOON), "recorded_at": stamp(NOON), "kind": "note.added", "actor": "U1"}
    row |= {"text": "x", "facts": {}, "prev": GENESIS, "hash": "0"}
    assert read_entry(row).at == NOON

    with pytest.raises(ValueError, match=r"not|Invalid"):
        read_entry(row | wrong)


def test_a_kind_of_a_later_version_is_read():
    row = {"id": "1", "at": stamp(NOON), "recorded_at": stamp(NOON), "kind": "moon.rose", "actor": "U1"}

    assert read_entry(row | {"text": "", "facts": {}, "prev": GENESIS, "hash": "0"}).kind == "moon.rose"


def test_half_a_character_in_a_foreign_entry_breaks_the_chain_and_not_the_program():
    (entry,) = chained([Draft(NOON, Kind.NOTE_ADDED, "U1", "x")])

    with pytest.raises(ChainBroken):
        verify([replace(entry, text="\ud800")])
