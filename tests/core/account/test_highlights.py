"""The key moments of an incident: what a reader gets who reads nothing else."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from bot.core.account.highlights import MOST_MOMENTS, key_moments, unnoticed
from bot.core.phrase import plain
from bot.core.record.timeline import Kind


def told(account):
    return [f"{moment.at:%H:%M} {moment.words}: {plain(moment.said)}" for moment in key_moments(account)]


def test_the_scenario_is_told_in_its_key_moments(chronicle):
    chronicle.tell_scenario()

    assert told(chronicle.account()) == [
        "09:05 Lock taken: staging by runner@fv-az881-525, for apply",
        "09:15 Run timed out: run 1 of deploy.yml in acme/infra, after 13 min",
        "09:45 Loop began: dependency-update.yml in acme/infra is started again and again from here on, one a minute",
        "11:02 First command: /tflock status staging",
        "11:45 Lock table refuses requests: acme-tf-locks",
        "11:56 Runs ended: 47 runs ended",
        "12:06 Owner answered: says that it is dead",
        "12:07 Lock released: released the lock (staging)",
    ]


def test_the_time_that_nobody_noticed_is_from_the_lock_to_the_first_command(chronicle):
    chronicle.tell_scenario()
    assert unnoticed(chronicle.account()) == timedelta(hours=1, minutes=57)


def test_without_a_lock_or_a_command_nobody_knows_how_long_it_went_unnoticed(chronicle):
    chronicle.add("11:02", Kind.INCIDENT_OPENED, "U0QUINN")
    assert unnoticed(chronicle.account()) is None
    assert told(chronicle.account()) == []


def test_what_a_person_marked_is_a_key_moment_and_once_if_it_was_one_anyhow(chronicle):
    chronicle.tell_scenario()
    released = chronicle.entries[-1].id
    note = chronicle.add("12:10", Kind.NOTE_ADDED, "U0QUINN", "the deployment went through").id
    for entry in (released, note):
        chronicle.add("12:20", Kind.ENTRY_MARKED, "U0PARKER", entry=entry)

    chosen = [moment for moment in key_moments(chronicle.account()) if moment.chosen]

    assert [(moment.words, moment.entry) for moment in chosen] == [("Lock released", released), ("Key moment", note)]


def test_a_key_moment_is_named_by_what_it_was_and_links_the_message_that_it_is_about(chronicle):
    page = "https://example.slack.com/archives/C1/p1763722812000100"
    said = chronicle.add("12:10", Kind.MESSAGE_CAPTURED, "U0QUINN", "deployments fail", permalink=page).id
    chronicle.add("12:20", Kind.ENTRY_MARKED, "U0PARKER", entry=said, milestone="detected")
    chronicle.add("12:21", Kind.ENTRY_MARKED, "U0PARKER", entry=said, milestone="never heard of")
    before = chronicle.account()
    chronicle.add("12:22", Kind.ENTRY_MARKED, "U0PARKER", entry=said, milestone="fixed")

    (moment,) = [moment for moment in key_moments(chronicle.account()) if moment.chosen]

    assert (moment.words, moment.page) == ("Fixed", page)
    assert [one.words for one in key_moments(before) if one.chosen] == ["Key moment"]


def test_a_lock_comes_before_the_end_of_its_run_which_is_told_in_whole_seconds(chronicle):
    chronicle.tell_scenario()
    account = chronicle.account()
    lock = replace(account.locks[0], since=chronicle.make.at("09:15") + timedelta(milliseconds=600))

    moments = key_moments(replace(account, locks=(lock,)))

    assert [moment.words for moment in moments[:2]] == ["Lock taken", "Run timed out"]


def test_of_too_many_moments_those_that_people_chose_stay(chronicle):
    chronicle.tell_scenario()
    chosen = chronicle.add("12:10", Kind.NOTE_ADDED, "U0QUINN", "the deployment went through").id
    chronicle.add("12:20", Kind.ENTRY_MARKED, "U0PARKER", entry=chosen)
    account = chronicle.account()
    alerts = [replace(mark, kind="alert", entry=str(1000 + n)) for n, mark in enumerate(account.marks * 20)]

    moments = key_moments(replace(account, marks=(*account.marks, *alerts)))

    assert len(moments) == MOST_MOMENTS
    assert chosen in {moment.entry for moment in moments}
