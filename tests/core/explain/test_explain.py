"""Pasted errors, as Terraform and its providers print them, in all the wrappings in which people paste them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from bot.core.explain.explain import answer_of, explain
from bot.core.explain.kinds import ErrorKind
from bot.core.phrase import plain

PATH = "acme-tfstate/environments/staging/terraform.tfstate"
STATES = {PATH: "staging"}

MESSAGES = [
    (row["text"], ErrorKind(row["kind"]))
    for row in yaml.safe_load((Path(__file__).parent / "explain_messages.yml").read_text())
]
HELD_ITEM = MESSAGES[0][0]
THROTTLED = next(text for text, kind in MESSAGES if kind is ErrorKind.THROTTLED)


def boxed(text):
    return "\n".join(["╷", *(f"│ {line}" for line in text.splitlines()), "╵"])


def coloured(text):
    lines = [f"\x1b[31m│\x1b[0m \x1b[0m\x1b[1m{line}\x1b[0m" for line in text.splitlines()]
    return "\n".join(["\x1b[31m╷\x1b[0m\x1b[0m", *lines, "\x1b[31m╵\x1b[0m\x1b[0m"])


def wrapped(text):
    """As a narrow terminal breaks lines inside the frame, between words."""
    rows = []
    for line in text.splitlines():
        row = ""
        for word in line.split(" "):
            if len(row) + len(word) > 60:
                rows.append(row)
                row = ""
            row += word + " "
        rows.append(row)
    return "\n".join(f"│ {row}" for row in rows)


def in_slack(text):
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    linked = escaped.replace("runner@fv-az881-525", "<mailto:runner@fv-az881-525|runner@fv-az881-525>")
    return f"who broke this?\n```{linked}```"


def quoted(text):
    return "\n".join(f"&gt; {line}" for line in text.splitlines())


def on_one_line(text):
    return " ".join(text.split())


def in_a_log(text):
    return "\n".join(f"2026-11-21T23:59:45.1234567Z {line}" for line in boxed(text).splitlines())


WRAPPINGS = [str, boxed, coloured, wrapped, in_slack, quoted, on_one_line, in_a_log]


@pytest.mark.parametrize("wrapping", WRAPPINGS)
@pytest.mark.parametrize(("text", "kind"), MESSAGES)
def test_an_error_is_told_from_its_text_however_it_is_wrapped(text, kind, wrapping):
    told = explain(wrapping(text), STATES)

    assert told.kind is kind
    assert told.title
    assert told.what
    assert told.do
    assert told.avoid


@pytest.mark.parametrize("wrapping", WRAPPINGS)
def test_the_lock_of_a_message_is_read_with_its_state(wrapping):
    told = explain(wrapping(HELD_ITEM), STATES)

    assert told.state == "staging"
    assert told.lock.id == "6638e4a0-7b1c-4c2e-9a51-0c8c1e6a7f42"
    assert told.lock.path == PATH
    assert told.lock.operation == "OperationTypeApply"
    assert told.lock.who == "runner@fv-az881-525"
    assert told.lock.version == "1.11.4"
    assert told.lock.created.isoformat() == "2026-11-21T22:41:43.311804+00:00"


def test_the_words_name_the_state_and_the_commands_for_it():
    words = "\n".join(plain(line) for line in answer_of(explain(HELD_ITEM, STATES)))

    assert "/tflock status staging" in words
    assert "/tflock unlock staging" in words
    assert "force-unlock" in words
    assert "-lock=false" in words


def test_a_lock_of_no_configured_state_is_said_to_be_one():
    words = plain(explain(HELD_ITEM, {"acme-tfstate/other": "other"}).what)

    assert f"No state of the configuration has the path {PATH}" in words


def test_a_lock_without_a_user_is_read():
    told = explain(HELD_ITEM.replace("runner@fv-az881-525", "@terraformer-6965b5fbc-cvzn6"), STATES)

    assert told.lock.who == "@terraformer-6965b5fbc-cvzn6"


def logged(text, wished_at, seen_at="2026-11-21T22:41:46Z", machine=""):
    """A job's log with the time at which the lock was first asked for, and that of the error."""
    head = [f"2026-11-21T22:40:00Z Machine name: '{machine}'"] if machine else []
    wish = f"{wished_at} Acquiring state lock. This may take a few moments..."
    return "\n".join([*head, wish, *(f"{seen_at} {line}" for line in text.splitlines())])


@pytest.mark.parametrize(
    ("log", "kind"),
    [
        (logged(HELD_ITEM, "2026-11-21T22:41:43Z"), ErrorKind.OWN_ORPHAN),
        (logged(HELD_ITEM, "2026-11-21T22:41:45Z"), ErrorKind.HELD),
        (logged(HELD_ITEM, "2026-11-21T22:41:30Z", "2026-11-21T22:41:40Z"), ErrorKind.HELD),
        (logged(HELD_ITEM, "2026-11-21T22:41:43Z", machine="fv-az881-525"), ErrorKind.OWN_ORPHAN),
        (logged(HELD_ITEM, "2026-11-21T22:41:43Z", machine="build-7"), ErrorKind.HELD),
        ("\n".join(f"2026-11-21T22:41:45Z {line}" for line in HELD_ITEM.splitlines()), ErrorKind.HELD),
    ],
    ids=["while it asked", "before it asked", "after it was refused", "its machine", "another machine", "no wish"],
)
def test_a_lock_may_be_the_runs_own_only_if_it_was_made_while_the_run_asked_for_one(log, kind):
    assert explain(log, STATES).kind is kind


def test_a_throttled_table_is_never_called_a_held_lock():
    told = explain(THROTTLED, STATES)

    assert "says nothing of a lock" in plain(told.what)
    assert "held" not in told.title


def test_the_end_of_a_long_log_counts():
    assert explain("Plan: 1 to add.\n" * 9000 + HELD_ITEM, STATES).kind is ErrorKind.HELD


PIECES = st.sampled_from([*HELD_ITEM.split(), "│", "ID:", "\x1b[", "<", "|", ">"])


@given(st.text(max_size=400) | st.lists(PIECES).map(" ".join))
def test_whatever_is_pasted_is_answered_in_words(text):
    told = explain(text, STATES)

    assert all(plain(line).strip() for line in answer_of(told))


KEYS = {"acme/environments/staging/terraform.tfstate": "staging", "acme/env:/eu/network.tfstate": "network"}
DIGEST = (
    "Error: Error refreshing state: state data in S3 does not have the expected content.\n\nBucket: {}\nKey:    {}\n"
)


@pytest.mark.parametrize(
    ("text", "state"),
    [
        (DIGEST.format("acme", "environments/staging/terraform.tfstate"), "staging"),
        (DIGEST.format("acme", "env:/eu/network.tfstate"), "network"),
        (DIGEST.format("other", "environments/staging/terraform.tfstate"), None),
        (DIGEST.format("acme", "x/environments/staging/terraform.tfstate"), None),
        (
            "Failed to unlock state: file from S3 bucket 'acme' with key 'env:/eu/network.tfstate.tflock': x",
            "network",
        ),
        ("22:50:01.123 STDERR [environments/staging] terraform: Error: Failed to save state", "staging"),
        ("22:50:01.123 STDERR [environments/production] terraform: Error: Failed to save state", None),
        ("+ terraform -chdir=./environments/staging apply\nError: Failed to save state", "staging"),
        ("+ terraform -chdir=environments/staging apply\nError: API Error: 429 - too many", None),
        (HELD_ITEM.replace(PATH, "***/environments/staging/terraform.tfstate"), "staging"),
        (HELD_ITEM.replace(PATH, "***/environments/production/terraform.tfstate"), None),
    ],
)
def test_the_state_is_found_by_bucket_and_key_by_workspace_and_by_directory(text, state):
    assert explain(text, KEYS).state == state


@pytest.mark.parametrize(
    ("before", "kind"),
    [
        ("Cannot contact agent-5: java.lang.InterruptedException\n", ErrorKind.INTERRUPTED),
        (
            "Cannot contact agent-5: x\nError: Unsupported argument\nERROR: script returned exit code 1\n",
            ErrorKind.UNKNOWN,
        ),
        ("Killed\n+ terraform apply\n", ErrorKind.UNKNOWN),
        ("+ terraform apply\nKilled\n", ErrorKind.INTERRUPTED),
        ("aws_x.killed: Creating...\n", ErrorKind.UNKNOWN),
        ("make: *** [apply] Error 137\n", ErrorKind.INTERRUPTED),
        ("make: *** [apply] Error 1\n", ErrorKind.UNKNOWN),
        ("/bin/sh: line 1:    17 Killed                  terraform apply\n", ErrorKind.INTERRUPTED),
        ('    "exitCode": 137,\n', ErrorKind.INTERRUPTED),
        ("Process exited with code 1\n", ErrorKind.UNKNOWN),
    ],
)
def test_a_run_that_was_broken_off_is_told_from_one_that_ended_and_from_an_earlier_one(before, kind):
    assert explain(f"aws_x.y: Creating...\n{before}", STATES).kind is kind


@pytest.mark.parametrize("name", ["error", "err", "exception", "stdout", "output", "details"])
@pytest.mark.parametrize("is_deep", [False, True])
def test_an_error_below_a_message_of_a_json_log_is_read_under_any_name(name, is_deep):
    error = f"exit status 1:\n{boxed(HELD_ITEM)}"
    line = {"level": "error", "msg": "Failed to run terraform", name: {"stderr": error} if is_deep else error}

    told = explain(f"{json.dumps(line)}\n" + '{"level": "info", "msg": "bye"}', STATES)

    assert (told.kind, told.state) == (ErrorKind.HELD, "staging")
    assert told.lock is not None
    line[name] = "exit status 1"
    assert explain(json.dumps(line), STATES).kind is ErrorKind.UNKNOWN


def test_of_two_errors_in_one_line_of_a_json_log_the_worse_one_counts():
    line = {"message": HELD_ITEM, "error": "Error: Failed to persist state to backend"}

    assert explain(json.dumps(line), STATES).kind is ErrorKind.NOT_SAVED
    assert explain(json.dumps({"message": HELD_ITEM, "log": HELD_ITEM}), STATES).kind is ErrorKind.HELD


HOLD = """\
Error: Error acquiring the state lock

Error message: operation error S3: PutObject, https response error StatusCode: 412, PreconditionFailed
Lock Info:
  ID:        7b1c0b52-4f0e-5b0a-9d6a-0f6f3c7e2a11
  Path:      acme-tfstate/environments/staging/terraform.tfstate
  Operation: tflock hold
  Who:       tflock@inc-staging (@quinn)
  Version:   tflock
  Created:   2026-11-21 12:00:00.25 +0000 UTC
  Info:      look first; until 2026-11-21 12:30:00 UTC; https://acme.slack.com/archives/C0/p1; hold 9f2c41d0aa
"""


@pytest.mark.parametrize("wrap", [str, boxed, coloured, in_slack, quoted])
def test_a_hold_is_told_as_a_hold_with_who_until_when_and_how_it_ends(wrap):
    told = explain(wrap(HOLD), STATES)
    said = "\n".join([told.title, *map(plain, answer_of(told))])

    assert (told.kind, told.state) == (ErrorKind.HELD, "staging")
    assert "held by quinn until 2026-11-21 12:30:00 UTC" in said
    assert "look first" in said
    assert "/tflock hold staging off" in said
    assert "another run" not in said.lower()
    assert "/tflock unlock" not in said


def test_the_twin_of_it_with_terraforms_operation_is_a_runs_lock():
    told = explain(HOLD.replace("tflock hold", "OperationTypeApply"), STATES)

    assert told.title == "The lock is held by another run"
    assert "/tflock unlock staging" in "\n".join(map(plain, answer_of(told)))


def test_a_hold_is_never_the_failed_runs_own_lock():
    asked = "2026-11-21T11:59:59Z Acquiring state lock. This may take a few moments...\n"
    told = explain(
        f"{asked}2026-11-21T12:00:05Z {HOLD.replace('operation error', 'connection reset. operation error')}", STATES
    )

    assert told.kind is ErrorKind.HELD


def test_a_hold_whose_info_was_cut_off_is_still_a_hold():
    told = explain(HOLD.partition("; until")[0], STATES)

    assert "held by quinn" in plain(told.what)
    assert any("Wait until its end" in plain(step) for step in told.do)
