"""Texts of any shape take time in proportion to their length: whatever anybody pastes, the bot stays quick.

An expression that is quadratic needs a thousand times as long for what is here as the rest; so the limit is far from
both, and it is one on the processor's time.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.core.explain.decode import LONGEST, lines_of
from bot.core.explain.explain import answer_of, explain
from bot.core.explain.prefix import bare
from bot.core.explain.states_named import states_spoken_of
from bot.core.nearest import did_you_mean
from bot.core.phrase import Quoted, one_line, plain
from bot.core.record.message import channels_in, people_in
from bot.core.record.message import readable as message_readable
from bot.core.record.redact import redact
from bot.slack.render import mrkdwn
from handlers.typed import grammar, moments, text
from tests.worlds.own_time import processor_seconds

SECONDS = 1.5  # of a paste of 1 MiB in `explain`, which takes a tenth of it, and of 40,000 characters elsewhere
LENGTH = 40_000
STATES = {f"team-{number}/staging": f"staging-{number}" for number in range(1_000)}
JWT = "eyJhbGciOiJI.eyJzdWIiOiIx.c2lnbmF0dXJl"

READERS: dict[str, Callable[[str], object]] = {
    "explain": lambda typed: answer_of(explain((typed * (LONGEST // len(typed) + 1))[:LONGEST], {})),
    "states": lambda typed: states_spoken_of(typed, tuple(STATES.values()), STATES, {"id-1": "staging-1"}),
    "redact": redact,
    "message": lambda typed: (message_readable(typed, {}), people_in(typed), channels_in(typed)),
    "one line": one_line,
    "nearest": lambda typed: did_you_mean(typed, STATES),
    "mrkdwn": lambda typed: (mrkdwn.mrkdwn((Quoted(typed), typed)), mrkdwn.unmarked(typed, 300)),
    "typed": lambda typed: (text.typed(typed).split_because(), text.readable(typed), text.argument(typed)),
    "moment": lambda typed: (moments.moment(typed), moments.span(typed)),
    "command": grammar.parse,
}

FRAGMENTS = st.sampled_from((
    "\n", " ", "\t", "\r", "> ", "<", "<a", "|", "│ ", "[", "[1;", "\x1b[", "\x1b]", "LockID ", "lock ID ", "Error:",
    "Lock Info:", "ID: ", "Path: ", "HTTP/1.", "a-", "-eyJaaaaaaaa", "eyJa-", ".eyJaaaaaaaa", "token: ",
    "Bearer ", "basic x", "a://", "a://b:c", "a.", "<@U1", "<@U1>", "<#C1|", "@", "at ", " at 10:00 ", "-12m ",
    "yesterday ", 'password="', "-----BEGIN PRIVATE KEY-----", "-----BEGIN ", "gl", "-glpat-", "-xoxb-", "a", "A", "1",
    "_", "a_", ":", ":a:", "`", "*", "&lt;", "&", "\u200b", "2026-11-21T22:41:45.0Z", "because ", "11",
    "x-amz-signature=", "Error: ", "Error: Error acquiring the state lock\n", "Lock Info:\n", "  ID: x\n", '{"ID":',
    '{"message":"', "\\n", "\\x1b[", "%0A", "#012", "exit code 137\n", "Killed\n", "2026-11-21T22:41:45Z Error: x\n",
    "x  a=b\n", "Running on ", "Agent x", "eyJJRCI6", "status code: 429 ", "session_token=", "-ghp_", ".",
    "staging-1", "unlock ", "note ",
))  # fmt: skip


@pytest.mark.parametrize("reader", READERS)
@settings(max_examples=25)
@given(st.lists(FRAGMENTS, min_size=1, max_size=3), st.lists(FRAGMENTS, max_size=1), st.lists(FRAGMENTS, max_size=1))
def test_no_repetition_of_anything_takes_long(reader, parts, before, after):
    repeated = "".join(parts)
    hostile = "".join(before) + (repeated * LENGTH)[:LENGTH] + "".join(after)

    assert processor_seconds(lambda: READERS[reader](hostile)) < SECONDS


@pytest.mark.parametrize(
    ("reader", "hostile"),
    [
        ("explain", "\n" * 20_000),
        ("states", "\n" * 20_000),
        ("explain", "LockID " * 5_000),
        ("explain", ">" * 40_000),
        ("states", " ".join(STATES.values())[:40_000]),
        ("redact", "-eyJaaaaaaaa" * 20_000),
        ("redact", "-eyJaaaaaaaa" * 10_000 + ".eyJaaaaaaaa" * 2),
        ("redact", "eyJa-" * 40_000),
    ],
)
def test_what_once_took_seconds_is_read_at_once(reader, hostile):
    assert processor_seconds(lambda: READERS[reader](hostile)) < SECONDS


def test_of_a_long_paste_the_beginning_and_the_end_are_read_and_the_answer_says_so():
    text = "Error: first\n" + "x" * 5 * LONGEST + " middle " + "x" * 5 * LONGEST + " last"

    lines, is_whole = lines_of(text)

    assert sum(map(len, lines)) <= LONGEST + 1
    assert (lines[0], lines[-1][-5:], is_whole) == ("Error: first", " last", False)
    assert "its middle was not read" in plain(explain(text, {}).what)
    assert "its middle was not read" not in plain(explain(text[: LONGEST // 2], {}).what)


@pytest.mark.parametrize("frame", ["│ ", "│ │ ", "> > ", "\t│\u00a0", "│" * 50])
def test_frames_of_any_depth_are_taken_off(frame):
    assert [bare(line) for line in f"{frame}Error: one\n{frame}two".split("\n")] == ["Error: one", "two"]


@pytest.mark.parametrize("before", ["", "at ", "token-", "a_", "x/y ", "eyJshort-", "aGVhZGVy.", "a-eyJ-b_"])
def test_a_web_token_is_hidden_wherever_it_begins(before):
    shown = redact(f"{before}{JWT} end")

    assert "eyJhbGci" not in shown
    assert "eyJzdWIi" not in shown
    assert shown.endswith("[JSON web token removed] end")


@pytest.mark.parametrize("word", ["staging-1", "staging-1.", "(staging-1)", "on staging-1, now", "team-1/staging"])
def test_a_state_is_known_by_a_whole_word(word):
    assert states_spoken_of(f"look at {word}", ["staging-1"], {"team-1/staging": "staging-1"}, {}) == ["staging-1"]


@pytest.mark.parametrize("word", ["staging-12", "staging-1.tf", "x-staging-1", "staging-1..", "other/team-1/staging"])
def test_a_part_of_a_longer_word_is_no_state(word):
    assert states_spoken_of(f"look at {word}", ["staging-1"], {"team-1/staging": "staging-1"}, {}) == []


def test_a_path_with_a_space_is_found_as_well():
    assert states_spoken_of("at team 1/x now", ["a"], {"team 1/x": "a"}, {}) == ["a"]
    assert states_spoken_of("at team 1/xy now", ["a"], {"team 1/x": "a"}, {}) == []
