"""Every limit of Slack's at its edge: the largest that it takes, and one more."""

import pytest

from bot.sandbox.slack.text import flat
from tests.worlds.slack.blocks import malformed, problems, size


def plain(text="x"):
    return {"type": "plain_text", "text": text}


def mrkdwn(text="x"):
    return {"type": "mrkdwn", "text": text}


def section(length=1, **more):
    return {"type": "section", "text": mrkdwn("x" * length), **more}


def button(**more):
    return {"type": "button", "text": plain(), "action_id": "go", **more}


def actions(*elements, **more):
    return {"type": "actions", "elements": list(elements), **more}


def confirm(**more):
    return {"title": plain(), "text": plain(), "confirm": plain(), "deny": plain(), **more}


def option(text="x", value="v"):
    return {"text": plain(text), "value": value}


def select(*options, **more):
    return {"type": "static_select", "action_id": "pick", "placeholder": plain(), "options": list(options), **more}


def buttons(count):
    return [button(action_id=f"go{number}") for number in range(count)]


EDGES = {
    "blocks in a message": (lambda n: [section() for _ in range(n)], 50),
    "characters of a section": (lambda n: [section(n)], 3000),
    "characters of a header": (lambda n: [{"type": "header", "text": plain("x" * n)}], 150),
    "fields": (lambda n: [{"type": "section", "fields": [mrkdwn() for _ in range(n)]}], 10),
    "characters of a field": (lambda n: [{"type": "section", "fields": [mrkdwn("x" * n)]}], 2000),
    "elements of a context": (lambda n: [{"type": "context", "elements": [mrkdwn() for _ in range(n)]}], 10),
    "buttons in a row": (lambda n: [actions(*buttons(n))], 25),
    "characters of a button": (lambda n: [actions(button(text=plain("x" * n)))], 75),
    "characters of a value": (lambda n: [actions(button(value="x" * n))], 2000),
    "characters of an action id": (lambda n: [actions(button(action_id="x" * n))], 255),
    "characters of a block id": (lambda n: [section(block_id="x" * n)], 255),
    "characters of a confirm title": (lambda n: [actions(button(confirm=confirm(title=plain("x" * n))))], 100),
    "characters of a confirm text": (lambda n: [actions(button(confirm=confirm(text=mrkdwn("x" * n))))], 300),
    "characters of a confirm button": (lambda n: [actions(button(confirm=confirm(confirm=plain("x" * n))))], 30),
    "characters of a deny button": (lambda n: [actions(button(confirm=confirm(deny=plain("x" * n))))], 30),
    "options": (lambda n: [actions(select(*(option(value=str(i)) for i in range(n))))], 100),
    "characters of an option": (lambda n: [actions(select(option("x" * n)))], 75),
    "characters of an option's value": (lambda n: [actions(select(option(value="x" * n)))], 150),
    "characters of a placeholder": (lambda n: [actions(select(option(), placeholder=plain("x" * n)))], 150),
    "characters of a message": (lambda n: [section(n // 4) for _ in range(4)], 11_000),
}


@pytest.mark.parametrize("edge", EDGES)
def test_slack_takes_as_much_as_this(edge):
    make, most = EDGES[edge]
    assert problems(make(most)) == []


@pytest.mark.parametrize("edge", EDGES)
def test_slack_refuses_one_more(edge):
    make, most = EDGES[edge]
    assert problems(make(most + (4 if edge == "characters of a message" else 1)))


@pytest.mark.parametrize(
    "blocks",
    [
        [{"type": "nonsense"}],
        [{"no": "type"}],
        ["text"],
        "text",
        {"type": "divider"},
        [{"type": "divider", "text": plain()}],
        [{"type": "section"}],
        [section(0)],
        [section(color="red")],
        [{"type": "section", "text": "bare"}],
        [{"type": "section", "text": {"type": "html", "text": "x"}}],
        [{"type": "header", "text": mrkdwn()}],
        [{"type": "context", "elements": []}],
        [{"type": "context", "elements": [button()]}],
        [actions()],
        [actions({"type": "image", "image_url": "https://example.com/a.png", "alt_text": "a"})],
        [actions(button(), button())],
        [actions(button(text=mrkdwn()))],
        [actions(button(style="blue"))],
        [actions(button(url="nowhere"))],
        [actions(button(confirm={"title": plain()}))],
        [actions({"type": "static_select", "action_id": "a"})],
        [section(block_id="a"), section(block_id="a")],
    ],
)
def test_slack_refuses_what_is_not_block_kit(blocks):
    assert problems(blocks)


def test_every_problem_points_at_its_place():
    [problem] = problems([section(), actions(button(text=plain("x" * 76)))])
    assert "[json-pointer:/blocks/1/elements/0/text/text]" in problem
    assert "76" in problem


def test_all_problems_are_told_at_once():
    assert len(problems([{"type": "nonsense"}, {"type": "header"}, section(3001)])) == 3


def test_a_message_that_is_only_too_long_is_not_malformed():
    long = [section(3000) for _ in range(4)]
    assert size(long) == 12_000
    assert malformed(long) == []
    assert "msg_blocks_too_long" in problems(long)[0]


def test_a_modal_may_have_more_blocks_than_a_message():
    many = [{"type": "divider"} for _ in range(100)]
    assert problems(many)
    assert problems(many, limit=100) == []


def test_a_message_reads_as_plain_lines():
    message = {
        "text": "fallback",
        "blocks": [
            {"type": "header", "text": plain("staging is locked")},
            {"type": "section", "text": mrkdwn("by *elliott*"), "fields": [mrkdwn("since"), mrkdwn("09:05")]},
            {"type": "divider"},
            {"type": "context", "elements": [mrkdwn("a"), mrkdwn("b")]},
            actions(button(text=plain("Unlock")), select(option(), placeholder=plain("Which run?"))),
        ],
    }
    assert flat(message).splitlines() == [
        "staging is locked",
        "by *elliott*",
        "since",
        "09:05",
        "───",
        "a · b",
        "[Unlock] [Which run? ▾]",
    ]


def test_a_message_without_blocks_reads_as_its_text():
    assert flat({"text": "fallback"}) == "fallback"
