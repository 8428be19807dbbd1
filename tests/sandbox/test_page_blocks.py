"""Block Kit as HTML: everything that Slack shows is there, and nothing that somebody wrote becomes markup."""

import json
import re
from datetime import UTC, datetime
from html.parser import HTMLParser

import pytest

from bot.sandbox.page.blocks import drawn
from bot.sandbox.page.document import page_of
from bot.sandbox.page.mrkdwn import Reader, formatted

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
READER = Reader({"U0QUINN": "quinn", "C0INC": "inc-staging"}, UTC, NOON)
HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "</style></title><svg onload=alert(1)>",
    "<javascript:alert(1)|click>",
    '<https://a.example/" onclick="alert(1)|x>',
    "*<b>*_<i>_~<s>~`<code>`",
    "```<pre>```",
    "> <blockquote onclick=x>",
    "{{ 7 * 7 }} {0} {x!r} %s",
    "<!date^1^<b>{time}|<i>>",
    "&lt;script&gt;",
)
TAGS = {
    *("a", "article", "b", "blockquote", "body", "br", "button", "caption", "code", "details", "div", "figcaption"),
    *(
        "figure",
        "h2",
        "h3",
        "head",
        "hr",
        "html",
        "i",
        "img",
        "input",
        "label",
        "li",
        "main",
        "meta",
        "ol",
        "option",
        "p",
    ),
    *("pre", "s", "section", "select", "span", "style", "summary", "table", "tbody", "td", "textarea", "th", "thead"),
    *("time", "title", "tr", "u", "ul", "svg", "symbol", "defs", "use", "g", "path", "circle", "ellipse", "rect"),
}


def html(*blocks) -> str:
    return str(drawn(blocks, READER))


def said(text: str) -> str:
    return str(formatted(text, READER))


def words(text: str):
    return {"type": "mrkdwn", "text": text}


def plain(text: str):
    return {"type": "plain_text", "text": text}


class Parsed(HTMLParser):
    """The tags and attributes of a page, and the text between them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags, self.facts, self.text = set(), [], ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.facts += attrs

    def handle_data(self, data):
        self.text += data


@pytest.mark.parametrize(
    ("mrkdwn", "shown"),
    [
        ("*bold* and _slanted_ and ~gone~", "<b>bold</b> and <i>slanted</i> and <s>gone</s>"),
        ("`a < b`", "<code>a &lt; b</code>"),
        ("a\nb", "a<br>b"),
        ("<@U0QUINN> in <#C0INC>", '<span class="mention">@quinn</span> in <span class="mention">#inc-staging</span>'),
        ("<@U0NOBODY|them>", '<span class="mention">@them</span>'),
        ("> quoted\n> twice\nnot", "<blockquote>quoted<br>twice</blockquote>not"),
        ("&gt; quoted", "<blockquote>quoted</blockquote>"),
        ("```\nx *y*\n```", "<pre>x *y*</pre>"),
        ("2*3*4 and snake_case_name", "2*3*4 and snake_case_name"),
        ("5 &lt; 6 &amp;amp;", "5 &lt; 6 &amp;amp;"),
        ("at 12:05:30, :not_an_emoji:", "at 12:05:30, :not_an_emoji:"),
        ("<javascript:alert(1)|x>", "&lt;javascript:alert(1)|x&gt;"),
    ],
)
def test_mrkdwn_comes_out_as_slack_shows_it(mrkdwn, shown):
    assert said(mrkdwn) == shown


def test_a_link_opens_elsewhere_and_may_stand_in_bold():
    shown = said("*see <https://ci.example/a_b_c|deploy.yml #123>*")

    assert 'href="https://ci.example/a_b_c"' in shown
    assert 'rel="noopener noreferrer"' in shown
    assert shown.startswith("<b>see <a ")
    assert ">deploy.yml #123</a></b>" in shown


@pytest.mark.parametrize(
    ("form", "shown"),
    [
        ("{time}", "9:15 AM"),
        ("{time_secs}", "9:15:08 AM"),
        ("{date_short_pretty} {time}", "today 9:15 AM"),
        ("{date_num}", "2026-11-21"),
        ("{date_short}", "Nov 21, 2026"),
        ("{date}", "November 21st, 2026"),
        ("{date_long} at {time}", "Saturday, November 21st, 2026 at 9:15 AM"),
        ("{ago}", "3 hours ago"),
        ("{unheard_of}", "{unheard_of}"),
    ],
)
def test_a_date_is_by_the_readers_clock(form, shown):
    at = int(datetime(2026, 11, 21, 9, 15, 8, tzinfo=UTC).timestamp())

    assert re.sub(r"<[^>]*>", "", said(f"<!date^{at}^{form}|then>")) == shown


def test_a_date_that_no_calendar_has_is_its_fallback():
    assert said("<!date^99999999999999999^{time}|some day>") == "some day"


def test_an_emoji_is_a_picture_with_a_name():
    assert 'aria-label="hourglass flowing sand"' in said(":hourglass_flowing_sand:")
    assert "<svg" in said(":lock:")
    assert 'aria-label="rocket"' in said(":rocket:")


def test_a_button_says_what_its_click_sends_and_what_is_asked_before():
    confirm = {"title": plain("Sure?"), "text": words("*It* goes."), "confirm": plain("Go"), "deny": plain("No")}
    button = {"type": "button", "text": plain("Unlock"), "action_id": "unlock.confirm", "value": '{"a":"<b>"}'}
    block = {"type": "actions", "block_id": "b1", "elements": [{**button, "style": "danger", "confirm": confirm}]}

    facts = dict(Parsed(html(block)).facts)

    assert json.loads(facts["data-act"]) == {"block": "b1", "action": "unlock.confirm", "value": '{"a":"<b>"}'}
    assert "<b>It</b> goes." in facts["data-confirm"]
    assert Parsed(facts["data-confirm"]).text == "Sure?It goes.NoGo"


@pytest.mark.parametrize(("url", "opens"), [("https://x.example/", True), ("javascript:alert(1)", False)])
def test_a_button_with_an_address_opens_it_if_it_is_a_page(url, opens):
    button = {"type": "button", "text": plain("Open"), "action_id": "home.open", "url": url}

    assert ("data-url" in html({"type": "actions", "block_id": "b", "elements": [button]})) == opens


def test_a_label_for_screen_readers_stands_in_for_a_buttons_text():
    button = {"type": "button", "text": plain("Details"), "action_id": "a", "accessibility_label": "Details of staging"}

    assert 'aria-label="Details of staging"' in html({"type": "actions", "block_id": "b", "elements": [button]})


def test_each_choice_of_a_menu_sends_its_own_value():
    options = [{"text": plain("Edit"), "value": "e"}, {"text": plain("Hide"), "value": "h"}]
    menu = {"type": "overflow", "action_id": "entry.menu", "options": options}
    block = {"type": "section", "block_id": "b", "text": words("Entry 4"), "accessory": menu}

    sent = [json.loads(value) for name, value in Parsed(html(block)).facts if name == "data-act"]

    assert [one["value"] for one in sent] == ["e", "h"]


def test_a_list_shows_what_is_chosen():
    options = [{"text": plain(name), "value": name} for name in ("staging", "prod")]
    select = {"type": "static_select", "action_id": "s", "options": options, "initial_option": options[1]}

    shown = html({"type": "actions", "block_id": "b", "elements": [select]})

    assert '<option value="prod" selected>prod</option>' in shown


def test_a_folded_container_is_closed_and_has_its_lines_inside():
    fold = {"type": "container", "title": plain("11 of 12 checks passed"), "is_collapsible": True}
    lines = [{"type": "section", "text": words("*dead:* it ended")}]

    closed = html({**fold, "default_collapsed": True, "child_blocks": lines})
    opened = html({**fold, "child_blocks": lines})

    assert '<details class="container"><summary' in closed
    assert '<details class="container" open>' in opened
    assert "<b>dead:</b> it ended" in closed


def test_a_tables_first_row_is_its_header():
    rows = [[{"type": "raw_text", "text": cell} for cell in row] for row in (("State", "Held"), ("staging", "2 h"))]

    plain_table = html({"type": "table", "rows": rows})
    data_table = html({"type": "data_table", "caption": "Locks", "rows": rows})

    assert plain_table.count('scope="col"') == 2
    assert '<th scope="row">staging</th>' in data_table
    assert "<caption>Locks</caption>" in data_table


def test_rich_text_has_its_lists_and_styles():
    text = {"type": "text", "text": "plan", "style": {"code": True, "bold": True}}
    item = {"type": "rich_text_section", "elements": [text, {"type": "user", "user_id": "U0QUINN"}]}
    block = {"type": "rich_text", "elements": [{"type": "rich_text_list", "style": "ordered", "elements": [item]}]}

    assert '<li><b><code>plan</code></b><span class="mention">@quinn</span></li>' in html(block)


def test_an_input_has_a_label_of_its_own_and_says_whether_it_must_be_filled_in():
    element = {
        "type": "plain_text_input",
        "action_id": "text",
        "multiline": True,
        "initial_value": "\nas </textarea> is",
    }
    block = {"type": "input", "block_id": "note", "label": plain("Impact"), "element": element, "hint": plain("Short")}

    must, may = html(block), html({**block, "optional": True})

    assert '<label for="input-note-text">Impact</label>' in must
    assert 'name="note text" required id="input-note-text"' in must
    assert "(optional)" in may
    assert "required" not in may
    assert "&lt;/textarea&gt;" in must


def test_what_is_not_drawn_here_says_so():
    assert "not drawn here" in html({"type": "video"})


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_that_somebody_wrote_becomes_markup(text):
    option = {"text": plain(text), "value": text}
    confirm = {"title": plain(text), "text": words(text), "confirm": plain(text), "deny": plain(text), "style": text}
    button = {
        "type": "button",
        "text": plain(text),
        "action_id": text,
        "value": text,
        "style": text,
        "confirm": confirm,
    }
    inputs = ("plain_text_input", "static_select", "datepicker", "timepicker", "users_select", text)
    element = {"action_id": text, "placeholder": plain(text), "options": [option], "initial_value": text}
    rich = {
        "type": "rich_text",
        "elements": [
            {
                "type": "rich_text_section",
                "elements": [
                    {"type": "text", "text": text},
                    {"type": "link", "url": text, "text": text},
                    {"type": "emoji", "name": text},
                    {"type": "broadcast", "range": text},
                    {"type": "date", "timestamp": 1, "format": text, "fallback": text},
                ],
            }
        ],
    }
    blocks = [
        {"type": "section", "text": words(text), "fields": [words(text), plain(text)], "accessory": button},
        {"type": "context", "elements": [words(text), {"type": "image", "image_url": text, "alt_text": text}]},
        {"type": "actions", "block_id": text, "elements": [button, {**element, "type": "overflow"}]},
        {"type": "header", "text": plain(text)},
        {"type": "image", "image_url": "https://x.example/" + text, "alt_text": text, "title": plain(text)},
        {"type": "container", "title": plain(text), "subtitle": words(text), "child_blocks": [rich]},
        {"type": "data_table", "caption": text, "rows": [[{"type": "raw_text", "text": text}]] * 2},
        {"type": text},
        {"type": "markdown", "text": text},
        *({"type": "input", "block_id": text, "label": plain(text), "hint": plain(text),
           "element": {**element, "type": kind, "initial_date": text, "initial_time": text}} for kind in inputs),
    ]  # fmt: skip

    page = Parsed(page_of(blocks, reader=Reader({"U1": text}, UTC, NOON), note=text))

    assert page.tags <= TAGS
    assert [name for name, _ in page.facts if name.startswith("on")] == []
    assert [
        value for name, value in page.facts if name in ("href", "src") and not re.match(r"https?://|#|/", value)
    ] == []
