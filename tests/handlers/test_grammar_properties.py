import time
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlers.typed.grammar import FORMS, form_of, parse
from handlers.typed.moments import Ago, ClockTime
from handlers.typed.values import KillJob, Misunderstood, Note, Status, Timeline, Unlock, Who

NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,20}", fullmatch=True).filter(lambda name: name.lower() != "because")
PROSE = st.from_regex(r"[a-z][a-z ,.']{0,40}[a-z]", fullmatch=True).map(lambda text: " ".join(text.split()))
FRAGMENTS = st.sampled_from(
    [
        "unlock",
        "kill-job",
        "staging",
        "because",
        "--dry-run",
        "\u2013when-safe",
        "<@U1|a b>",
        "<",
        ">",
        "&lt;",
        "&amp;",
        "<https://x|y>",
        "at 11:40",
        "-12m",
        "\n",
        "\xa0",
        "\u200b",
        "help",
        "'",
        "|",
        "<!here>",
        "��",
    ]
)


def _escaped(text):
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


@given(st.text(max_size=300) | st.lists(FRAGMENTS, max_size=12).map(" ".join))
def test_no_text_makes_it_raise(text):
    parse(text)


@given(st.text(max_size=60))
def test_an_unknown_first_word_never_becomes_an_unlock_or_a_kill(text):
    words = text.replace("\u200b", "").split()
    if words and form_of(words[0]) is None:
        command = parse(f"{text} staging")
        dangerous = isinstance(command, Unlock | KillJob)
        first = words[0].lower()
        assert not dangerous or "unlock" in first or "kill-job" in first or first in {"tflock", "/tflock", "@tflock"}


@given(st.from_regex(r"[a-z-]{1,12}", fullmatch=True).filter(lambda word: form_of(word) is None), NAMES)
def test_a_misspelt_command_is_misunderstood_or_help_and_does_nothing(word, state):
    command = parse(f"{word} {state}")
    assert not isinstance(command, Unlock | KillJob)
    assert isinstance(command, Misunderstood) or word in {"-h", "--help", "tflock", "--h"} or not word.strip("-")


@given(NAMES, st.booleans(), st.booleans(), st.none() | PROSE, st.randoms())
def test_an_unlock_reads_back_as_it_was_written_in_any_order_of_its_flags(state, dry_run, when_safe, reason, random):
    parts = [state, *["--dry-run"] * dry_run, *["--when-safe"] * when_safe]
    random.shuffle(parts)
    text = " ".join(["unlock", *parts, *([f"because {reason}"] if reason else [])])
    assert parse(text) == Unlock(state, dry_run=dry_run, when_safe=when_safe, reason=reason)


@given(NAMES, st.none() | PROSE)
def test_a_kill_reads_back_as_it_was_written(target, reason):
    assert parse(f"kill-job {target}" + (f" because {reason}" if reason else "")) == KillJob(target, reason)


@given(NAMES)
def test_names_keep_their_case_in_questions(state):
    assert parse(f"STATUS {state}") == Status(state)
    assert parse(f"Who {state}") == Who(state)


@given(st.integers(1, 1000))
def test_a_count_reads_back(count):
    assert parse(f"timeline {count}") == Timeline(count)


@given(PROSE, st.integers(0, 23), st.integers(0, 59))
def test_a_note_at_a_time_reads_back(text, hour, minute):
    assert parse(f"note {text} at {hour:02d}:{minute:02d}") == Note(text, ClockTime(hour, minute))


@given(PROSE, st.integers(0, 9999))
def test_a_note_some_minutes_ago_reads_back(text, minutes):
    assert parse(f"note {text} -{minutes}m") == Note(text, Ago(timedelta(minutes=minutes)))


@given(st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\u200b\u2060\ufeff"), max_size=80))
def test_a_reason_comes_back_as_it_was_typed_whatever_slack_escapes(reason):
    command = parse(f"unlock staging because {_escaped(reason)}")
    if reason.strip():
        assert command == Unlock("staging", reason=reason.strip())
    else:
        assert isinstance(command, Misunderstood)


@pytest.mark.parametrize("piece", ["<", "<@", "<a ", "at 1", "at ", " ", "-1", "because ", "&lt;", "<a|", "``", "--"])
@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
def test_ten_thousand_characters_are_read_in_no_time(form, piece):
    started = time.thread_time()
    parse(f"{form.name} {piece * (10_000 // len(piece))}")
    assert time.thread_time() - started < 1
