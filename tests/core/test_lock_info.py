from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.evidence import NotFound
from bot.core.lock import (
    LockInfo,
    LockPlace,
    LockSeen,
    PlaceKind,
    age,
    parse_created,
    parse_lock_info,
)
from bot.errors import LockInfoInvalid

AT = datetime(2026, 11, 22, 11, 0, tzinfo=UTC)
OPERATIONS = [
    "OperationTypeApply",
    "OperationTypePlan",
    "OperationTypeRefresh",
    "OperationTypeInvalid",
    "init",
    "backend from plan",
    "migration source state",
    "migration destination state",
    "state-mv",
    "state-push",
    "state-rm",
    "state-replace-provider",
    "taint",
    "untaint",
    "workspace-new",
]
WRITTEN = {
    "ID": "9a3d6a2e-6f6e-1d54-7f8f-0d8ef12c3c05",
    "Operation": "OperationTypeApply",
    "Info": "",
    "Who": "runner@fv-az881-525",
    "Version": "1.5.4",
    "Created": "2024-11-21T18:00:48.11675513Z",
    "Path": "acme-tfstate/environments/staging/terraform.tfstate",
}


def written(**changes: object) -> str:
    return json.dumps(WRITTEN | changes)


def test_lock_info_is_read_as_terraform_writes_it():
    assert parse_lock_info(written()) == LockInfo(
        id="9a3d6a2e-6f6e-1d54-7f8f-0d8ef12c3c05",
        operation="OperationTypeApply",
        info="",
        who="runner@fv-az881-525",
        version="1.5.4",
        created=datetime(2024, 11, 21, 18, 0, 48, 116755, tzinfo=UTC),
        path="acme-tfstate/environments/staging/terraform.tfstate",
    )


def test_lock_info_is_read_from_bytes_too():
    assert parse_lock_info(written().encode()) == parse_lock_info(written())


@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_operation_that_terraform_names_is_read(operation):
    assert parse_lock_info(written(Operation=operation)).operation == operation


@pytest.mark.parametrize(
    ("who", "user", "host"),
    [
        ("runner@fv-az881-525", "runner", "fv-az881-525"),
        ("@terraformer-6965b5fbc-cvzn6", "", "terraformer-6965b5fbc-cvzn6"),
        ("ACME\\elliott@build@laptop", "ACME\\elliott@build", "laptop"),
        ("laptop", "", "laptop"),
        ("", "", ""),
    ],
)
def test_who_is_split_at_the_last_at_sign(who, user, host):
    info = parse_lock_info(written(Who=who))

    assert (info.user, info.host) == (user, host)


@pytest.mark.parametrize(
    ("text", "microsecond"),
    [
        ("2026-11-21T22:41:43Z", 0),
        ("2026-11-21T22:41:43.3Z", 300_000),
        ("2026-11-21T22:41:43.311804Z", 311_804),
        ("2026-11-21T22:41:43.311804893Z", 311_804),
        ("2026-11-21T23:41:43.311804893+01:00", 311_804),
        ("2026-11-21 22:41:43.311804893 +0000 UTC", 311_804),
        ("2026-11-21 22:41:43 +0000 UTC", 0),
    ],
)
def test_created_is_read_with_up_to_nine_fractional_digits_in_both_spellings(text, microsecond):
    assert parse_created(text) == datetime(2026, 11, 21, 22, 41, 43, microsecond, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "2026-13-01T00:00:00Z",
        "2026-11-21T22:41:43",
        "2026-11-21T22:41:43.1234567890Z",
        "0001-01-01T00:00:00+23:59",
    ],
)
def test_a_created_time_that_terraform_does_not_write_is_refused(text):
    with pytest.raises(LockInfoInvalid, match="Created"):
        parse_created(text)


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        ("", "not JSON"),
        ("held by elliott", "not JSON"),
        (b"\xff\xfe\x00", "not JSON"),
        ("[" * 50_000, "not JSON"),
        ("[]", "not a JSON object"),
        ("null", "not a JSON object"),
        ("{}", "no ID"),
        (written(ID="  "), "no ID"),
        (written(ID=7), "ID that is not text"),
        (written(Who=["elliott"]), "Who that is not text"),
        (written(Created=None), "Created that is not text"),
        ("x" * 70_000, "longer than any"),
    ],
)
def test_garbage_is_refused_with_a_reason(raw, reason):
    with pytest.raises(LockInfoInvalid, match=reason):
        parse_lock_info(raw)


@given(st.one_of(st.text(), st.binary()))
def test_any_text_is_read_or_refused_and_nothing_else(raw):
    with suppress(LockInfoInvalid):
        assert parse_lock_info(raw).id.strip()


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from(sorted(WRITTEN)), _json))
def test_any_json_in_the_fields_is_read_or_refused_and_nothing_else(changes):
    with suppress(LockInfoInvalid):
        info = parse_lock_info(written(**changes))
        assert info.id.strip()
        assert info.created.tzinfo is UTC


@given(st.text())
def test_any_created_text_is_read_or_refused_and_nothing_else(text):
    with suppress(LockInfoInvalid):
        assert parse_created(text).tzinfo is UTC


@given(
    st.datetimes(min_value=datetime(1970, 1, 2), max_value=datetime(2200, 1, 1)),  # noqa: DTZ001 - the text has the zone
    st.text(alphabet="0123456789", max_size=3),
)
def test_created_comes_back_to_the_microsecond(moment, nanoseconds):
    text = moment.strftime("%Y-%m-%dT%H:%M:%S.%f") + nanoseconds + "Z"

    assert parse_created(text) == moment.replace(tzinfo=UTC)


def place(kind: PlaceKind, lock_id: str | None, created: datetime = AT) -> LockPlace:
    info = None if lock_id is None else parse_lock_info(written(ID=lock_id, Created=created.isoformat()))
    return LockPlace(kind, "a place", fence="f", info=info, garbage=None if info else "not JSON")


def seen(*held: LockPlace, free: tuple[PlaceKind, ...] = (), unseen: tuple = ()) -> LockSeen:
    return LockSeen(held=held, free=free, unseen=unseen, at=AT)


def test_a_state_is_free_only_if_every_half_was_seen_to_be_free():
    hidden = ((PlaceKind.ITEM, NotFound("DynamoDB", "table locks", AT)),)

    assert seen(free=tuple(PlaceKind)).is_free
    assert not seen(free=(PlaceKind.FILE,), unseen=hidden).is_free
    assert not seen(place(PlaceKind.FILE, "a"), free=(PlaceKind.ITEM,)).is_free
    assert not seen(place(PlaceKind.FILE, None), free=(PlaceKind.ITEM,)).is_free


def test_a_lock_in_both_halves_is_one_lock():
    both = seen(place(PlaceKind.ITEM, "a"), place(PlaceKind.FILE, "a"))

    assert [info.id for info in both.locks] == ["a"]


def test_halves_are_released_in_the_order_file_then_item():
    both = seen(place(PlaceKind.ITEM, "a"), place(PlaceKind.FILE, "a"))

    assert [found.kind for found in both.places_of("a")] == [PlaceKind.FILE, PlaceKind.ITEM]


def test_of_two_different_locks_the_older_one_is_spoken_of():
    both = seen(place(PlaceKind.ITEM, "young"), place(PlaceKind.FILE, "old", AT - timedelta(hours=2)))

    assert [info.id for info in both.locks] == ["old", "young"]
    assert both.lock is not None
    assert both.lock.id == "old"
    assert [found.kind for found in both.places_of("young")] == [PlaceKind.ITEM]


def test_a_half_that_cannot_be_read_belongs_to_no_lock():
    torn = seen(place(PlaceKind.FILE, None), place(PlaceKind.ITEM, "a"))

    assert [found.kind for found in torn.garbage] == [PlaceKind.FILE]
    assert [found.kind for found in torn.places_of("a")] == [PlaceKind.ITEM]


def test_a_lock_from_a_clock_that_runs_ahead_has_no_negative_age():
    info = parse_lock_info(written(Created="2026-11-22T11:00:30Z"))

    assert age(info, AT) == timedelta(0)
    assert age(info, AT + timedelta(minutes=2)) == timedelta(seconds=90)
