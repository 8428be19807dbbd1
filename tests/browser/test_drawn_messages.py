"""Messages drawn as Slack shows them: as tall as there, no wider than a phone, with what is folded a tap away."""

import pytest

from bot.sandbox.page.document import DESKTOP, PHONE

BY = 22
LINE = 22
BUTTONS = 36
SMALL = 18
FOLD = 36
GAP = 8
AROUND = 16
LONG = "x" * 400


def section(text):
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}


def context(text):
    return {"type": "context", "elements": [{"type": "mrkdwn", "text": text}]}


def actions(*labels):
    return {
        "type": "actions",
        "elements": [
            {"type": "button", "text": {"type": "plain_text", "text": label}, "action_id": f"a{n}", "value": "v"}
            for n, label in enumerate(labels)
        ],
    }


def fold(*lines):
    return {
        "type": "container",
        "title": {"type": "plain_text", "text": "12 of 12 checks passed"},
        "is_collapsible": True,
        "default_collapsed": True,
        "child_blocks": [section(line) for line in lines],
    }


@pytest.mark.parametrize(
    ("blocks", "tall"),
    [
        ([section(":lock: *staging* is locked.")], LINE),
        ([section("one\ntwo")], 2 * LINE),
        ([section("one"), context("Lock `6f9f0e8e` :lock:")], LINE + GAP + SMALL),
        ([section("one"), actions("Unlock…", "Share")], LINE + GAP + BUTTONS),
        ([section("one"), actions("Unlock when safe", "Notify me when free", "Share")], LINE + GAP + 2 * BUTTONS + GAP),
        ([section("one"), fold("*dead:* it ended", "more")], LINE + GAP + FOLD),
    ],
    ids=["a line", "two lines", "small print", "buttons", "two rows of buttons", "a fold"],
)
def test_a_message_on_a_phone_is_as_tall_as_in_slack(height_of, blocks, tall):
    assert height_of(blocks) == AROUND + BY + tall


def test_a_fold_opens_with_a_tap(drawn):
    page = drawn([fold("*dead:* it ended")])
    inside = page.get_by_text("it ended")
    assert not inside.is_visible()

    page.get_by_text("12 of 12 checks passed").click()

    assert inside.is_visible()


@pytest.mark.parametrize("width", [PHONE, DESKTOP])
def test_a_button_beside_a_long_text_is_shown_whole_and_at_the_edge(drawn, width):
    details = actions("Details")["elements"][0]
    page = drawn([{**section("much to say " * 40), "accessory": details}], width=width)

    button, said = page.get_by_role("button"), page.locator(".section").bounding_box()

    assert button.evaluate("button => button.scrollWidth <= button.clientWidth")
    box = button.bounding_box()
    assert box["x"] + box["width"] == said["x"] + said["width"]


@pytest.mark.parametrize("width", [320, PHONE, DESKTOP])
def test_nothing_is_wider_than_the_window(drawn, width):
    rows = [[{"type": "raw_text", "text": f"{LONG[:30]} {n}"} for n in range(9)]] * 2
    field = {"type": "mrkdwn", "text": LONG}
    link = f"<https://ci.example/{LONG}|{LONG}>"
    page = drawn(
        [
            section(f"`{LONG}` {link} {LONG}"),
            {**section(LONG), "accessory": actions(LONG[:75])["elements"][0], "fields": [field, field]},
            actions(LONG[:75], LONG[:75]),
            context(LONG),
            fold(LONG),
            {"type": "table", "rows": rows},
            {"type": "header", "text": {"type": "plain_text", "text": LONG[:150]}},
        ],
        width=width,
    )

    assert page.evaluate("document.documentElement.scrollWidth") <= width
