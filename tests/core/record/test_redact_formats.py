"""Every secret of the table is taken out wherever it stands, and everything that only looks like one stays."""

import json
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from bot.core.record.redact import redact, redacted
from bot.core.record.timeline import Draft, Kind, recordable

TABLE = yaml.safe_load((Path(__file__).parent / "secrets.yml").read_text().replace("~", ""))
AROUND = ["{}", "{} at the end", "it says {}, and goes on", "line\n{}\nline", '{{"said": "{}"}}', "(x={})"]

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=40),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["password", "note", "githubToken", "lock_id"]), inner, max_size=3)
    ),
    max_leaves=12,
)


def recorded(**facts):
    draft = Draft(datetime(2026, 11, 21, tzinfo=UTC), Kind.NOTE_ADDED, "U1", "said", facts)
    return recordable(draft).facts


@pytest.mark.parametrize("around", AROUND)
@pytest.mark.parametrize("name", TABLE["secrets"])
def test_a_secret_of_the_table_is_taken_out_wherever_it_stands(name, around):
    secret = TABLE["secrets"][name]

    cleaned = redact(around.format(secret))

    assert "removed]" in cleaned
    assert secret not in cleaned
    assert not [piece for piece in secret.split("\n")[1:-1] if piece and piece in cleaned]
    assert secret[-12:] not in cleaned


@pytest.mark.parametrize(("text", "gone"), TABLE["told_by_the_words_before"], ids=lambda text: text[:24])
def test_a_secret_is_told_by_the_words_before_it(text, gone):
    cleaned = redact(text)

    assert gone not in cleaned
    assert "removed]" in cleaned
    assert redact(cleaned) == cleaned


@pytest.mark.parametrize("name", TABLE["stays"])
def test_what_only_looks_like_a_secret_stays(name):
    text = TABLE["stays"][name]

    assert redact(text) == text
    assert redacted({"note": [text]}) == {"note": [text]}


@pytest.mark.parametrize(
    "name",
    ["password", "DB_PASSWORD", "clientSecret", "githubToken", "api_key", "apiKey", "authorization", "privateKey"],
)
def test_what_stands_under_a_telling_name_is_a_secret_however_short(name):
    said = recorded(where={name: "x", "nested": [{name: ["one two", 42]}]}, **{name: "a b"})

    assert said[name] == "[secret removed]"
    assert said["where"] == {
        name: "[secret removed]",
        "nested": [{name: ["[secret removed]", "[secret removed]"]}],
    }


@pytest.mark.parametrize("name", ["lock_id", "key", "tokens", "id", "version", "secretary", "password_set_at", "path"])
def test_a_name_that_tells_of_no_secret_leaves_its_value(name):
    assert recorded(**{name: "plain"}) == {name: "plain"}


def test_nothing_under_a_telling_name_stays_nothing():
    assert recorded(password="", token=None, secret=False) == {"password": "", "token": None, "secret": False}


@given(JSON)
def test_redacting_json_twice_changes_nothing_more_and_it_stays_json(value):
    once = redacted(value)

    assert redacted(once) == once
    assert json.loads(json.dumps(once)) == once
    assert recorded(value=value) == {"value": once}


@pytest.mark.parametrize(
    "piece",
    [
        "a", "A", "1", "11", "-", "=", " ", '"', "\\", "aA1", "ab2", "a.", "token", "token=", "token_", "a_", "a-",
        'password="', "secret: ", "gh" + "p_", "gh" + "s_a.", "gl" + "pat-", "azdo", "AZDO", "FwoGZXIvYXdz", "://", "a://b:",
        "eyJ", "-----BEGIN RSA PRIVATE KEY-----", "-----BEGIN ", "bearer ", "x-amz-signature=", "authorization: token ",
    ],
)  # fmt: skip
def test_a_megabyte_of_anything_is_read_in_a_short_time(piece):
    text = piece * (1_000_000 // len(piece))
    began = time.process_time()

    redact(text)

    assert time.process_time() - began < 5
