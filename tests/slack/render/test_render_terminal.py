"""Messages as `make demo` draws them in a terminal."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from bot.core.gate.stages import KillStage
from bot.core.reports.kill import KillReport, Stake
from bot.core.reports.report import StatusReport
from bot.sandbox.demo.terminal import draw, styled
from bot.slack.render import kill_message, status_message


def drawn(author, text, blocks, **more):
    console = Console(file=io.StringIO(), width=110, color_system=None)
    draw(console, author, text, blocks, **more)
    return console.file.getvalue()


def test_a_message_is_drawn_with_its_emoji_dates_and_buttons(scene):
    inspection = scene.inspection()
    message = status_message(StatusReport(inspection, scene.verdict(inspection)))
    shown = drawn("tflock", message.text, message.blocks)
    assert "🔒 staging is locked by a dead run" in shown
    assert ":15), owner" in shown
    assert "[ Share ]" in shown
    assert "<!date" not in shown
    assert ":white_check_mark:" not in shown
    assert "*" not in shown


def test_mentions_get_the_names_that_are_known(scene):
    inspection = scene.inspection()
    message = status_message(StatusReport(inspection, scene.verdict(inspection)))
    assert "@elliott" in drawn("tflock", message.text, message.blocks, names={"U0ELLIOTT": "elliott"})


def test_a_choice_is_drawn_as_a_list(scene):
    targets = tuple(scene.run_target(Stake.CONTENDS, number) for number in range(12))
    message = kill_message(KillReport(scene.kill_request, KillStage.CHOOSE, targets))
    shown = drawn("tflock", message.text, message.blocks)
    assert "Choose what to end" in shown
    assert "· #0 running" in shown
    assert "and 4 more" in shown


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("*bold* and _slanted_ and ~gone~", "bold and slanted and gone"),
        ("snake_case_name stays", "snake_case_name stays"),
        ("`code *not bold*`", "code *not bold*"),
        ("<https://ci.example.com/1|run 1>", "run 1"),
        ("<https://ci.example.com/1>", "https://ci.example.com/1"),
        ("<#C0INC|inc-1> and <!channel>", "#inc-1 and @channel"),
        ("&lt;!channel&gt; &amp;amp;", "<!channel> &amp;"),
        ("<!date^99999999999999^{time}|long ago>", "long ago"),
        (":no-such-emoji:", ":no-such-emoji:"),
    ],
)
def test_mrkdwn_is_read_as_slack_reads_it(written, read):
    assert styled(written).plain == read


def test_a_messages_text_stands_in_where_there_are_no_blocks():
    assert "only words" in drawn("quinn", "only *words*", [])


def test_every_other_kind_of_block_is_drawn():
    plain = {"type": "plain_text", "text": "Title"}
    button = {"type": "button", "text": plain, "style": "danger"}
    blocks = [
        {"type": "header", "text": plain},
        {"type": "divider"},
        {"type": "section", "fields": [plain, {"type": "mrkdwn", "text": "*two*"}], "accessory": button},
    ]
    shown = drawn("tflock", "", blocks)
    assert shown.count("Title") == 3
    assert "two" in shown


@given(st.text(max_size=60))
def test_hostile_text_is_neither_markup_nor_control(text):
    block = {"type": "section", "text": {"type": "mrkdwn", "text": f"[bold red]{text}[/] \x1b[2J"}}
    shown = drawn(text, "", [block])
    assert "[bold red]" in shown
    assert "\x1b" not in shown
