"""What a message says to a reader."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.core.record.message import base_name, channels_in, people_in, readable

NAMES = {"U1": "quinn", "C1": "#inc-1", "C2": "inc-2"}


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("ask <@U1> or <@U2|parker> or <@U9>", "ask @quinn or @parker or @U9"),
        ("in <#C1>, <#C2|> and <#C3|general>", "in #inc-1, #inc-2 and #general"),
        ("<!here> <!channel|@channel> <!subteam^S1|@oncall> <!subteam^S2>", "@here @channel @oncall @S2"),
        ("<!date^1392734382^{date}|18 Feb 2014>", "18 Feb 2014"),
        ("<https://example.com>", "https://example.com"),
        ("<https://example.com|example.com>", "https://example.com"),
        ("<https://example.com/1|the run>", "the run (https://example.com/1)"),
        ("<mailto:bot@example.com|bot@example.com>", "bot@example.com"),
        ("a &lt; b &amp;&amp; c &gt; d", "a < b && c > d"),
        ("&lt;@U1&gt; typed by hand", "<@U1> typed by hand"),
        ("&amp;lt;", "&lt;"),
        ("  two\nlines  ", "two\nlines"),
    ],
)
def test_a_text_is_shown_as_people_read_it(raw, text):
    assert readable(raw, NAMES) == text


def test_only_names_that_are_not_given_are_asked_for():
    raw = "<@U1> <@U2|parker> <#C1> <#C2|> <#C3|general> <@U1>"
    assert people_in(raw) == ("U1",)
    assert channels_in(raw) == ("C1", "C2")


@pytest.mark.parametrize("name", ["thumbsup", "thumbsup::skin-tone-2", ":thumbsup:"])
def test_a_skin_tone_is_no_other_reaction(name):
    assert base_name(name) == "thumbsup"


@settings(max_examples=100)
@given(st.text(max_size=200))
def test_any_text_can_be_shown(raw):
    assert "<!channel>" not in readable(raw.replace("&", ""), {})
