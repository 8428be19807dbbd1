"""What is read out of a state file: addresses as Terraform prints them, ids, and nothing of its values."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.backends.contents import read_contents
from bot.core.recovery.contents import Contents, Instance, Version, address_of, type_of
from bot.core.recovery.versions import beside

AT = datetime(2026, 11, 21, 9, 0, 0, tzinfo=UTC)


def state(*resources, **more):
    body = {"version": 4, "terraform_version": "1.11.4", "serial": 7, "lineage": "l", "resources": list(resources)}
    return json.dumps({**body, **more}).encode()


def resource(**more):
    instance = {"attributes": {"id": "i-1", "tags": {"id": "no", "name": "no"}}}
    return {"mode": "managed", "type": "aws_instance", "name": "web", "instances": [instance], **more}


@pytest.mark.parametrize(
    ("key", "shown"),
    [(None, ""), (0, "[0]"), ("a b", '["a b"]'), ('x"y', '["x\\"y"]'), ("a\\b", '["a\\\\b"]'), ("${x}", '["$${x}"]')],
)
def test_an_address_is_written_as_terraform_writes_it(key, shown):
    (one,) = read_contents([state(resource(instances=[{"index_key": key, "attributes": {"id": "i-1"}}]))]).instances

    assert one.address == f"aws_instance.web{shown}"
    assert type_of(f"module.a[{json.dumps('x.y')}].{one.address}") == "aws_instance"


def test_modules_data_deposed_and_tainted_objects_are_told_apart():
    objects = [{"deposed": "0a1b2c3d", "status": "tainted", "attributes": {"id": "i-2"}}]
    found = read_contents([state(resource(module='module.a["x"]', instances=objects), resource(mode="data"))])

    (one,) = found.instances
    assert (one.address, one.deposed, one.is_tainted) == ('module.a["x"].aws_instance.web', "0a1b2c3d", True)


def test_an_encrypted_state_is_not_called_broken():
    found = read_contents([json.dumps({"serial": 1, "lineage": "l", "meta": {}, "encrypted_data": "x",
                                       "encryption_version": "v0"}).encode()])  # fmt: skip

    assert found.is_encrypted
    assert found.fault is None
    assert not found.is_readable


@pytest.mark.parametrize(("text", "why"), [(b"", "empty"), (b"{", "JSON"), (b"[]", "no version"), (b'{"a":1}', "no")])
def test_what_is_no_state_says_so_without_quoting_it(text, why):
    found = read_contents([text])

    assert why in found.fault
    assert not found.is_readable


@given(st.binary(max_size=400), st.integers(1, 50))
def test_nothing_that_a_file_holds_makes_it_raise(noise, cut):
    text = state(resource())[:cut] + noise

    assert isinstance(read_contents([text[:10], text[10:]]), Contents)


def version(number, **more):
    return Version(f"v{number}", AT, 100, **more)


def test_versions_are_told_by_what_changed_and_by_what_is_odd():
    old = Contents(1, "a", 8, "l", "1.11.4", (Instance("aws_a.b", id="1", print=b"1"), Instance("aws_a.c", id="2")))
    new = Contents(1, "b", 7, "m", "1.11.4", (Instance("aws_a.b", id="1", print=b"2"), Instance("aws_a.d", id="3")))
    gone = Contents(1, "c", 9, "m", "1.11.4", ())

    third, second, first = beside([(version(3), gone, ""), (version(2), new, ""), (version(1), old, "")])

    assert (second.added, second.removed, second.changed) == (("aws_a.d",), ("aws_a.c",), ("aws_a.b",))
    assert any("serial 7 is lower" in words for words in second.warnings)
    assert any("lineage" in words for words in second.warnings)
    assert any("no resources" in words for words in third.warnings)
    assert not first.warnings


def test_an_address_of_parts():
    assert address_of("module.a", "aws_x", "y", None, is_data=True) == "module.a.data.aws_x.y"
