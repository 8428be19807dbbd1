"""However hostile a text is, redaction does no more than four times the work for four times the text.

Work is counted, not timed: calls of Python's functions and of those in C. tests/bench/test_bench_redact.py has times.
"""

from __future__ import annotations

import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.core.record.redact import _TABLES, redact
from bot.core.record.secrets import forms, typed
from bot.core.record.secrets.marking import MOST, REST

# What is made at its first use is made before anything is counted.
for _before in (forms._AFTER_OTHERS, forms._AFTER_SIGNS):
    forms._compiled(forms._FIXED, _before)
for _, _places in forms._HEADED:
    forms._compiled(_places, forms._AFTER_SIGNS)
for _pattern in [step.pattern for table in _TABLES for step in table.steps]:
    assert _pattern.compiled
for _number in range(len(typed.ROWS)):
    typed._pattern(_number)

PIECES = (
    *(
        "a",
        "A",
        "1",
        " ",
        "\n",
        "│ ",
        "| ",
        "=",
        ":",
        "-",
        "--",
        "'",
        '"',
        "\\",
        "\\n",
        "/",
        "@",
        "://",
        ",",
        "(",
        "[",
        "]",
    ),
    *(
        "{",
        "}",
        "<",
        ">",
        "<<EOT",
        "${",
        "%3D",
        "&",
        "?",
        ".",
        "_",
        "+",
        "\t",
        "\r\n",
        "é",
        "value",
        "token",
        "password",
    ),
    *("pw", "secret", "api_key", "sig", "x-amz-signature", "-----BEGIN PRIVATE KEY-----", "-----END PRIVATE KEY-----"),
    *("-----BEGIN ", "kind: Secret", "data:", "Private-Lines: 1\n", "sk-", "eyJ", "xoxb-", "AKIA", "11", "00", "key-"),
    *("Q~", "AZDO", "aB3dE5gH", "0123456789abcdef", "MIIEowIBAAKCAQEA", "authorization: ", "bearer ", "cookie: "),
    *("curl -u ", "mysql -p", "docker login -p ", "openssl -k ", "htpasswd -b ", "set ", "login x password "),
    *(
        "user,password\n",
        "a,b1B2c3d4",
        "p/w: ",
        " as the password ",
        "with password ",
        "password (",
        "password for a: ",
    ),
    *("->", "(sensitive value)", "null", "var.x", "the", "a://b:c@", "</", "<password>", "[None]", "thin:", "@tcp("),
)


def calls_for(text):
    """How many functions are called while the text is redacted."""
    calls = 0

    def count(_, event, __):
        nonlocal calls
        calls += event in {"call", "c_call"}

    sys.setprofile(count)
    try:
        redact(text)
    finally:
        sys.setprofile(None)
    return calls


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(PIECES), min_size=1, max_size=6).map("".join))
def test_four_times_the_text_is_four_times_the_work(piece):
    text = piece * (3_000 // len(piece) + 1)

    assert calls_for(text * 4) <= 6 * calls_for(text) + 200


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=40).map("".join))
def test_any_mixture_can_be_read_and_its_lines_without_a_sign_of_a_secret_stay(text):
    assert redact(f"nothing here\n\n{text}").startswith("nothing here\n")


@pytest.mark.parametrize("blank", ["\r", "\v", "\f", "\u2003", "| \r |", "\x1c"])
def test_a_line_of_odd_blanks_in_a_key_is_a_part_of_it(blank):
    shown = redact(f"-----BEGIN PRIVATE KEY-----\n{blank}\nMIIEowIBAAKCAQEAx7aB3dE5gH\nthe end")

    assert "MIIEow" not in shown
    assert shown.endswith("the end")


@pytest.mark.parametrize(
    "secret", ["password=hunter2hunter2 ", "https://a:hunter2hunter2@b ", "gh" + "p_" + "aB3d" * 9 + " "]
)
def test_a_text_with_too_many_secrets_is_cut_and_nothing_of_the_rest_is_shown(secret):
    shown = redact(secret * (MOST + 50))

    assert shown.endswith(REST)
    assert "hunter2" not in shown
    assert "aB3d" not in shown
    assert redact(secret * MOST).count(" removed]") == MOST
    assert REST not in redact(secret * MOST)
