"""What a ticket says, in Markdown and in Atlassian's format: nothing that others wrote is more than words."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.core.account.ticket import dump_followup, load_followup, marker_of, ticket_of, ticket_title
from bot.core.account.values import FollowUp
from bot.core.phrase import Linked, Person, Quoted
from bot.export.markdown.ticket import ticket_markdown
from bot.tickets.adf import adf_of
from tests.worlds.tickets import is_adf

NOW = datetime(2026, 11, 21, 12, 30, tzinfo=UTC)
HOSTILE = (
    "@acme/everyone please",
    "/close",
    "/assign @root\n/close",
    "closes #1 and acme/infra#2 GH-3 !4 ~5 %6 $7",
    "<script>alert(1)</script><!-- x -->",
    "[click](javascript:alert(1)) ![i](http://evil.example.com/p.png)",
    "--> <!-- tflock-inc-other-000000000000 -->",
    "# heading\n- [ ] task\n```\ncode",
    "| a | b |\n|---|---|",
    "https://evil.example.com www.evil.example.com",
    "\u202egnitirw\u0000\u200b",
    "{{7*7}} ${x} $`x`$",
    "x" * 5_000,
)
hostile = st.one_of(st.sampled_from(HOSTILE), st.text(max_size=40))


def ticket(words, url="https://ci.example.com/1"):
    followup = FollowUp(
        f"time-out:{words}",
        f"Let {words} end in time",
        (Quoted(words), " was started by ", Person("U0QUINN", ""), " ", Linked(words, url), " at ", NOW, "."),
        ((Quoted(words), " for ", timedelta(minutes=5)),),
    )
    return ticket_of(followup, "inc-1", (("Incident:", (Quoted(words),)),), {"U0QUINN": words})


def test_a_ticket_in_markdown_reads_like_this():
    said = FollowUp(
        "time-out:deploy.yml",
        "Let Terraform in deploy.yml end before its job times out",
        ("Run ", Linked("4711", "https://ci.example.com/4711"), " timed out at ", NOW, "."),
        (("Set ", Quoted("-lock-timeout=5m"), " on the apply."), ("Set an alert on the job's duration.",)),
    )
    facts = (("Incident:", (Quoted("Staging is stuck"), " (", Quoted("inc-1"), ")")), ("Locked for:", (timedelta(0),)))

    assert ticket_markdown(ticket_of(said, "inc-1", facts, {})).replace("\\", "") == (
        f"<!-- {marker_of('inc-1', 'time-out:deploy.yml')} -->\n\n"
        "**Why:** Run [4711](<https://ci.example.com/4711>) timed out at 2026-11-21 12:30:00 UTC.\n\n"
        "### What to do\n\n"
        "1. Set -lock-timeout=5m on the apply.\n"
        "2. Set an alert on the job's duration.\n\n"
        "### The incident\n\n"
        "- Incident: Staging is stuck (inc-1)\n"
        "- Locked for: 0 s\n"
    )


@settings(max_examples=60, deadline=None)
@given(hostile)
def test_in_markdown_nobody_is_mentioned_nothing_is_ordered_and_one_marker_stands(words):
    text = re.sub(r"(?<![\\`])`[^`]+`", "", ticket_markdown(ticket(words)))  # what is in code refers to nobody

    assert re.findall(r"<!--.*?-->", text) == [f"<!-- {marker_of('inc-1', f'time-out:{words}')} -->"]
    assert not re.search(r"^\s*/", text, re.MULTILINE)
    assert not re.search(r"@\w", text)
    assert not re.search(r"(?<!&)#\d", text)
    assert "<script" not in text
    assert not re.search(r"(?<!\\)\]\((?!<https:)", text)
    starts = {line.split(" ")[0] for line in text.splitlines() if line}
    assert starts <= {"<!--", "**Why:**", "###", "1.", "-"}


@settings(max_examples=60, deadline=None)
@given(hostile)
def test_in_atlassians_format_all_of_it_is_text(words):
    document = adf_of(ticket(words))

    assert is_adf(document)
    assert '"mention"' not in json.dumps(document)
    links = re.findall(r'"href": "([^"]*)"', json.dumps(document))
    assert set(links) <= {"https://ci.example.com/1"}


@pytest.mark.parametrize("url", ["javascript:alert(1)", "data:text/html,x", "ftp://x", "http://a b", None, ""])
def test_what_is_no_page_is_linked_nowhere(url):
    made = ticket("words", url)

    assert "](" not in ticket_markdown(made)
    assert "href" not in json.dumps(adf_of(made))


@pytest.mark.parametrize("words", HOSTILE)
def test_a_title_is_one_line_that_all_three_take_and_that_notifies_nobody(words):
    title = ticket_title(f"Stop {words}")

    assert 0 < len(title) <= 255
    assert "\n" not in title
    assert not re.search(r"[@#]\w", title)


def test_a_secret_that_somebody_pasted_does_not_leave_in_a_ticket():
    secret = "ghp_" + "a1B2" * 9
    made = ticket(f"deploy with {secret}", f"https://ci.example.com/?token={secret}")

    assert secret not in f"{made.title} {ticket_markdown(made)} {adf_of(made)}".replace("\\", "")


def test_a_title_without_words_is_a_title():
    assert ticket_title("\n\t") == "Follow-up"


@pytest.mark.parametrize("words", HOSTILE)
def test_a_marker_fits_a_label_and_tells_proposals_apart(words):
    marker = marker_of("inc-20261121-staging-7f3a2", words)

    assert re.fullmatch(r"tflock-inc-20261121-staging-7f3a2-[0-9a-f]{12}", marker)
    assert marker != marker_of("inc-20261121-staging-7f3a2", f"{words} ")


@settings(max_examples=60, deadline=None)
@given(hostile)
def test_a_proposal_is_read_as_it_was_written_with_all_its_values(words):
    followup = FollowUp(
        words,
        words,
        (words, Quoted(words), Linked(words, None), Linked(words, words), Person(None, words), NOW, timedelta(hours=2)),
        ((words,), ()),
    )

    assert load_followup(json.loads(json.dumps(dump_followup(followup)))) == followup


@pytest.mark.parametrize("part", [["shout", "x"], ["text"], ["text", 7], "text", None, ["at", "yesterday"]])
def test_what_is_no_proposal_is_not_read(part):
    with pytest.raises((ValueError, TypeError)):
        load_followup({"key": "k", "title": "t", "reason": [part], "todo": []})
