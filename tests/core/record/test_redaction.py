"""Secrets never get into a timeline: real formats, made-up values."""

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.record.redact import _TABLES, redact
from bot.core.record.secrets.marking import Later, Step, Table, put, simply

PEM = "-----BEGIN {0}-----\nMIIEowIBAAKCAQEAx7\nabc/def+ghi==\n-----END {0}-----"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"

BARE = [
    "AKIAIOSFODNN7EXAMPLE",
    "ASIAY34FZKBOKMUTVV7A",
    "ghp_" + "aB3d" * 9,
    "gho_" + "aB3d" * 9,
    "ghs_" + "aB3d" * 9,
    "ghr_" + "aB3d" * 19,
    "github_pat_11ABCDEFG0" + "aB3d_" * 14,
    "v1." + "0123456789abcdef0123" * 2,
    "glpat-" + "aB3d_" * 4,
    "glptt-" + "0123456789abcdef" * 2,
    "gldt-" + "aB3d_" * 4,
    "glcbt-64_" + "aB3d-" * 4 + "x",
    "GR1348941" + "aB3d_" * 4,
    "xox" + "b-123456789012-1234567890123-AbCdEfGhIjKlMnOpQrStUvWx",
    "xox" + "p-123456789012-123456789012-123456789012-0123456789abcdef",
    "xox" + "e.xoxp-1-Mi0yLTEyMzQ1Njc4OTAxMi0xMjM",
    "xapp-1-A0123456789-1234567890123-0123456789abcdef",
    "AbCdEfGhIjKlMn.atlasv1." + "aB3d_" * 13,
    JWT,
    PEM.format("RSA PRIVATE KEY"),
    PEM.format("OPENSSH PRIVATE KEY"),
    PEM.format("PRIVATE KEY"),
    PEM.format("PGP PRIVATE KEY BLOCK"),
]


@pytest.mark.parametrize("secret", BARE, ids=lambda secret: secret[:14])
@pytest.mark.parametrize("around", ["{}", "token={} next", '{{"x":"{}"}}', "see ({}), please", "line\n{}\nline"])
def test_a_secret_with_a_form_of_its_own_is_taken_out_wherever_it_stands(secret, around):
    cleaned = redact(around.format(secret))

    assert secret not in cleaned
    assert "removed]" in cleaned
    assert secret[12:].strip("-") not in cleaned


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("https://quinn:hunter2@example.com/x", "https://quinn:[password removed]@example.com/x"),
        ("redis://:hunter2@h:1/0", "redis://:[password removed]@h:1/0"),
        ("postgres://u:p%40ss:w@db/x?y=z", "postgres://u:[password removed]@db/x?y=z"),
        ("Authorization: Bearer abcDEF123456.xyz", "Authorization: Bearer [credentials removed]"),
        ("-H 'authorization: token 0123abcd'", "-H 'authorization: token [credentials removed]'"),
        ("Authorization: Basic dXNlcjpwYXNz", "Authorization: Basic [credentials removed]"),
        ("PRIVATE-TOKEN: hello-there", "PRIVATE-TOKEN: [token removed]"),
        ("AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "AWS_SECRET_ACCESS_KEY=[secret removed]"),
        ('"SecretAccessKey": "wJalrXUtnFEMI/K7MDENG+bPxRfi"', '"SecretAccessKey": "[secret removed]"'),
        ("aws_session_token = FwoGZXIvYXdzEBYaDH//abc==", "aws_session_token = [token removed]"),
        (
            "?X-Amz-Credential=A/b&X-Amz-Signature=0f9&x=1",
            "?X-Amz-Credential=[secret removed]&X-Amz-Signature=[secret removed]&x=1",
        ),
        (
            "https://hooks.slack.com/services/T000/B000/abcDEF123",
            "https://hooks.slack.com/services/[webhook removed]",
        ),
        ("password=hunter22&x=1", "password=[password removed]&x=1"),
        ('db_password = "correct horse"', 'db_password = "[password removed]"'),
        ('{"client_secret":"abc123def"}', '{"client_secret":"[secret removed]"}'),
        ("api-key: 0123456789", "api-key: [secret removed]"),
    ],
)
def test_a_secret_without_a_form_is_told_by_the_words_before_it(text, cleaned):
    assert redact(text) == cleaned


@pytest.mark.parametrize(
    "text",
    [
        "Error acquiring the state lock",
        "ConditionalCheckFailedException: The conditional request failed",
        "Who: runner@fv-az881-525",
        "ID: 6638e2a1-8b2c-4b5a-9d2c-0f6d4d9e5f11",
        "acme-tfstate/environments/staging/terraform.tfstate",
        "https://github.com/acme/infra/actions/runs/123456789/attempts/2",
        "PWD=/home/runner/work/infra",
        "lock ID '5f1c' does not match",
        "rotate the secret tomorrow",
        "the bearer of this note and the basic settings",
        "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
        "password = var.x",
        "password: ${{ secrets.DB }}",
        "ssh://git@github.com:22/acme/infra",
    ],
)
def test_what_incidents_are_made_of_stays(text):
    assert redact(text) == text


def test_a_private_key_that_was_cut_off_is_taken_out_to_the_end():
    assert redact("x -----BEGIN RSA PRIVATE KEY-----\nMIIE") == "x [private key removed]"


@given(
    st.lists(st.sampled_from([*BARE, "password=", "Bearer ", "://", "a:b@", " ", "\n", "x", '"', "[", "]", "="])).map(
        "".join
    )
)
def test_redacting_twice_changes_nothing_more(text):
    once = redact(text)

    assert redact(once) == once


@pytest.mark.parametrize(
    "piece",
    [
        "-----BEGIN PRIVATE KEY-----",
        "a://",
        "a:",
        "eyJ",
        "eyJaaaaaaaa.",
        "bearer ",
        "password=",
        "xoxb-",
        "gl",
        "A" * 50,
    ],
)
def test_a_long_text_is_read_in_a_short_time(piece):
    began = time.thread_time()
    redact(piece * 10_000)
    assert time.thread_time() - began < 20


@pytest.mark.parametrize("length", [100, 10_000])
def test_a_step_looks_into_texts_of_any_length_that_have_its_hint_and_into_no_others(length):
    for hint in sorted({hint for table in _TABLES for step in table.steps for hint in step.hints if hint}):
        step = Step((hint,), Later(rf"(?P<value>{re.escape(hint)}|\.)"), simply("[found]", "value"))
        table = Table((hint,), (step,))

        assert put([table], f"{'_' * length}{hint}_") == f"{'_' * length}[found]_"
        assert put([table], f"{'_' * length}._") == f"{'_' * length}._"
