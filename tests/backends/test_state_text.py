from __future__ import annotations

import hashlib
import json
import tracemalloc

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bot.backends.state_text import read_state_text

WHOLE = {
    "version": 4,
    "terraform_version": "1.11.4",
    "serial": 7,
    "lineage": "b0c5d1f2",
    "outputs": {"serial": {"value": 99, "lineage": "not this one"}},
    "resources": [{"instances": [{"attributes": {"version": "x"}}]}],
}


def text(**changes: object) -> bytes:
    return json.dumps({name: value for name, value in (WHOLE | changes).items() if value is not ...}).encode()


def in_pieces(raw: bytes, size: int) -> list[bytes]:
    return [raw[start : start + size] for start in range(0, len(raw), size)]


@pytest.mark.parametrize("size", [1, 7, 1_000_000])
def test_a_whole_state_is_read_from_pieces_of_any_size(size):
    raw = text()

    read = read_state_text(in_pieces(raw, size))

    assert read.fault is None
    assert (read.serial, read.lineage, read.terraform_version) == (7, "b0c5d1f2", "1.11.4")
    assert (read.size, read.md5) == (len(raw), hashlib.md5(raw).hexdigest())


def test_the_fields_are_found_at_the_end_too():
    raw = json.dumps(dict(reversed(WHOLE.items()))).encode()

    assert read_state_text([raw]).serial == 7


ENCRYPTED = {
    "serial": 7,
    "lineage": "b0c5d1f2",
    "meta": {"key_provider.pbkdf2.state": "eyJzYWx0IjoiIn0="},
    "encrypted_data": "q83vEjRWeJ" * 100,
    "encryption_version": "v0",
}


@pytest.mark.parametrize("size", [1, 7, 1_000_000])
def test_a_state_that_opentofu_has_encrypted_is_whole(size):
    raw = json.dumps(ENCRYPTED).encode()

    read = read_state_text(in_pieces(raw, size))

    assert (read.fault, read.is_encrypted) == (None, True)
    assert (read.serial, read.lineage, read.terraform_version) == (7, "b0c5d1f2", None)
    assert (read.size, read.md5) == (len(raw), hashlib.md5(raw).hexdigest())
    assert not read_state_text([text()]).is_encrypted


@pytest.mark.parametrize(
    "changes",
    [{"encrypted_data": ""}, {"encrypted_data": 7}, {"encryption_version": None}, {"encryption_version": {}}],
    ids=str,
)
def test_what_only_resembles_an_encrypted_state_is_a_state_without_its_version(changes):
    read = read_state_text([json.dumps(ENCRYPTED | changes).encode()])

    assert (read.fault, read.is_encrypted) == ("it has no version", False)


@given(st.integers(min_value=1, max_value=200))
def test_a_torn_encrypted_state_is_never_whole(cut):
    read = read_state_text([json.dumps(ENCRYPTED).encode()[:-cut]])

    assert read.fault is not None
    assert not read.is_encrypted


@pytest.mark.parametrize(
    ("raw", "fault"),
    [
        (b"", "it is empty"),
        (b"  \n", "it is not valid JSON"),
        (text()[:-1], "it is not valid JSON"),
        (text()[: len(text()) // 2], "it is not valid JSON"),
        (text() + b"x", "it is not valid JSON"),
        (text() + text(), "it is not valid JSON"),
        (b"\xff\xfe\x00", "it is not valid JSON"),
        (b'{"lineage": "\xff"}', "it is not valid JSON"),
        (b'{"serial": ' + b"9" * 5_000 + b"}", "it is not valid JSON"),
        (b"[" * 100_000, "it is not valid JSON"),
        (b"[]", "it is JSON, but not an object"),
        (b"7", "it is JSON, but not an object"),
        (b"{}", "it has no version and no serial and no lineage"),
        (text(serial=...), "it has no serial"),
        (text(serial="7"), "it has no serial"),
        (text(serial=True), "it has no serial"),
        (text(serial=-1), "it has no serial"),
        (text(serial=1.5), "it has no serial"),
        (text(lineage=""), "it has no lineage"),
        (text(lineage={"lineage": "x"}), "it has no lineage"),
        (text(version=None), "it has no version"),
    ],
)
@pytest.mark.parametrize("size", [3, 1_000_000])
def test_what_is_no_whole_state_has_a_fault(raw, fault, size):
    assert read_state_text(in_pieces(raw, size)).fault == fault


def test_a_fault_never_quotes_the_state():
    read = read_state_text([b'{"outputs": {"password": {"value": hunter2'])

    assert "hunter2" not in repr(read)


@example([b'{"":""}', b""])
@given(st.lists(st.binary(), max_size=5))
def test_any_bytes_are_read_without_an_error(chunks):
    read = read_state_text(chunks)

    assert read.size == sum(map(len, chunks))
    assert read.md5 == hashlib.md5(b"".join(chunks)).hexdigest()


@given(st.integers(min_value=1, max_value=200))
def test_a_torn_state_is_never_whole(cut):
    assert read_state_text([text()[:-cut]]).fault is not None


@pytest.mark.parametrize("fields_first", [True, False])
def test_memory_does_not_grow_with_the_state(fields_first):
    tracemalloc.start()
    read = read_state_text(large_state(60_000_000, fields_first=fields_first))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert read.fault is None
    assert read.size > 60_000_000
    assert peak < 6_000_000


def large_state(size: int, *, fields_first: bool):
    fields = b'"version":4,"terraform_version":"1.11.4","serial":7,"lineage":"b0c5d1f2"'
    attributes = {f"name_{number}": "value " * 50 for number in range(40)}
    resource = json.dumps({"type": "aws_instance", "instances": [{"attributes": attributes}]}).encode() + b","
    yield b"{" + (fields + b"," if fields_first else b"") + b'"resources":['
    for _ in range(size // len(resource) + 1):
        yield resource
    yield b"{}]" + (b"" if fields_first else b"," + fields) + b"}"
