"""A hold's lock: what it says, how it is read again, and what is never taken for it."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bot.core.hold import (
    OPERATION,
    HoldWords,
    held_by,
    hold_in,
    hold_info,
    is_hold,
    is_of,
    prolonged,
    throw_away,
    words_of,
)
from bot.core.lock import LockPlace, LockSeen, PlaceKind, lock_text, parse_lock_info
from bot.core.phrase import plain

NOON = datetime(2026, 11, 21, 12, 0, 0, 250_000, tzinfo=UTC)
LINK = "https://acme.slack.com/archives/C0INC/p1700000000000100"
SAID = HoldWords("h1", "quinn", "inc-staging", "the apply died", NOON.replace(microsecond=0), LINK)
HOLD = hold_info("0e8400e2-29b4-41d4-a716-446655440000", SAID, created=NOON, path="acme/staging")
TEXT = st.text(max_size=300)


def test_a_hold_says_who_why_until_when_and_where_as_terraform_prints_it():
    said = json.loads(lock_text(hold_info("1", SAID, created=NOON, path="acme/staging")))

    assert said["Operation"] == "tflock hold"
    assert said["Who"] == "tflock@inc-staging (@quinn)"
    assert said["Info"] == f"the apply died; until 2026-11-21 12:00:00 UTC; {LINK}; hold h1"


@given(user=TEXT, channel=TEXT, reason=TEXT, link=TEXT)
def test_whatever_people_write_a_hold_is_read_again_with_its_name_and_its_end(user, channel, reason, link):
    said = replace(SAID, user=user, channel=channel, reason=reason, link=link)

    info = parse_lock_info(lock_text(hold_info("l1", said, created=NOON, path="p")))

    read = words_of(info)
    assert (read.ref, read.until) == (SAID.ref, SAID.until)
    assert is_of(info, HOLD) is (info.who == HOLD.who)
    assert len(lock_text(info)) < 6_000  # Azure's metadata takes 8 KiB


@given(user=TEXT, channel=st.sampled_from(["inc-staging", "C0INC", "größe-" * 14]))
@example(user="q" * 79 + " uinn", channel="inc-staging")
@example(user="quinn (@q", channel="inc-staging")
def test_what_a_hold_says_makes_the_same_hold_again_where_its_record_is_lost(user, channel):
    """Else its end would be reported, and its lock would stay."""
    placed = hold_info("l1", replace(SAID, user=user, channel=channel), created=NOON, path="p")

    again = hold_info("l1", words_of(placed), created=NOON, path="p")

    assert is_of(placed, again)


@pytest.mark.parametrize("link", ["", "a link", "https://größe.example.com", "https://example.com/\x07"])
def test_what_nobody_said_is_said_in_the_lock_and_read_as_nothing(link):
    hold = hold_info("l1", replace(SAID, reason=" ;. ", link=link), created=NOON, path="p")

    assert hold.info == "no reason given; until 2026-11-21 12:00:00 UTC; -; hold h1"
    assert words_of(hold) == replace(SAID, reason="", link="")
    assert words_of(HOLD) == SAID
    with pytest.raises(ValueError, match="has an end"):
        hold_info("l1", replace(SAID, until=None), created=NOON, path="p")


def test_a_reason_has_two_hundred_characters_and_a_name_eighty():
    said = words_of(hold_info("l1", replace(SAID, user="u" * 81, reason="r" * 201), created=NOON, path="p"))

    assert (said.user, said.reason) == ("u" * 80, "r" * 200)


@pytest.mark.parametrize(
    ("until", "is_read"),
    [
        ("2000-01-01 00:00:00", True),
        ("1999-12-31 23:59:59", False),
        ("8999-12-31 23:59:59", True),
        ("9000-01-01 00:00:00", False),
        ("2026-02-30 00:00:00", False),
        ("٢٠٢٦-11-21 12:00:00", False),
    ],
)
def test_an_end_is_read_as_it_is_written_and_in_years_that_can_be_counted(until, is_read):
    said = words_of(replace(HOLD, info=f"one\nline\nmore; until {until} UTC; -; hold h1"))

    assert (said.until is not None) is is_read
    assert said.reason.split()[:2] == ["one", "line"]


def test_the_hold_of_a_state_is_found_in_any_of_its_places():
    apply = replace(HOLD, operation="OperationTypeApply")

    def seen(*locks):
        places = tuple(LockPlace(PlaceKind.ITEM, "locks", "fence", lock, None) for lock in locks)
        return LockSeen(places, (), (), NOON)

    assert hold_in(seen(apply, HOLD)) == HOLD
    assert hold_in(seen(apply)) is None


def test_a_hold_to_try_a_store_on_ends_by_itself_and_is_no_other_one():
    one, two = throw_away(NOON), throw_away(NOON)

    assert (one.created, one.path, words_of(one).until) == (NOON, "", NOON.replace(minute=1, microsecond=0))
    assert one.id != two.id
    assert not is_of(one, two)


@given(info=TEXT, who=TEXT)
def test_a_hold_of_another_form_is_a_hold_without_an_end(info, who):
    odd = words_of(replace(HOLD, info=info, who=who))

    assert odd is not None
    assert odd.until is None
    assert plain(held_by(odd))


def test_a_lock_of_terraforms_own_is_no_hold_whatever_its_info_says():
    apply = replace(HOLD, operation="OperationTypeApply")

    assert not is_hold(apply)
    assert words_of(apply) is None
    assert not is_of(apply, HOLD)
    assert not is_of(HOLD, apply)
    assert not is_of(apply, apply)


def test_a_hold_without_a_name_of_its_own_is_neither_ended_nor_prolonged_for_another():
    odd = replace(HOLD, info="written by hand")

    assert not is_of(odd, odd)
    with pytest.raises(ValueError, match="not a hold"):
        prolonged(odd, NOON)


@pytest.mark.parametrize(
    "other",
    [
        replace(HOLD, info=HOLD.info.replace("hold h1", "hold h2")),
        replace(HOLD, who="tflock@inc-staging (@parker)"),
        replace(HOLD, created=NOON + timedelta(seconds=1)),
        None,
    ],
)
def test_another_hold_is_not_this_one(other):
    assert is_of(HOLD, HOLD)
    assert not is_of(other, HOLD)


def test_a_prolonged_hold_is_the_same_hold_with_another_end():
    longer = prolonged(HOLD, NOON + timedelta(hours=1))

    assert is_of(longer, HOLD)
    assert words_of(longer).until == SAID.until + timedelta(hours=1)
    assert words_of(longer).reason == SAID.reason
    with pytest.raises(ValueError, match="not a hold"):
        prolonged(replace(HOLD, operation="OperationTypeApply"), NOON)


def test_a_hold_is_said_with_its_end_or_that_it_is_over():
    assert plain(held_by(SAID)) == "held by quinn until 2026-11-21 12:00:00 UTC"
    for late in (timedelta(0), timedelta(seconds=1)):
        over = plain(held_by(SAID, now=SAID.until + late))
        assert over == "held by quinn, which ended at 2026-11-21 12:00:00 UTC"
    early = SAID.until - timedelta(seconds=1)
    assert plain(held_by(replace(SAID, user=""), now=early)) == "held by tflock until 2026-11-21 12:00:00 UTC"
    assert HOLD.operation == OPERATION
