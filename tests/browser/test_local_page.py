"""The local page in a browser, without a bot: readable, reachable with the keyboard, and careful with what is typed."""

import pytest
from playwright.async_api import async_playwright, expect

from bot.sandbox.page.document import DESKTOP, PHONE
from bot.sandbox.page.scene import DIRECT, HOME, Guide
from bot.sandbox.page.server import serving_page
from bot.sandbox.slack.reading import address_of
from bot.sandbox.slack.team import BOT_USER
from bot.sandbox.slack.views import publish_view, replaced, stacked
from bot.sandbox.slack.workspace import SlackWorkspace
from bot.sandbox.stage import CHANNEL, populate

QUINN, ELLIOTT = "U0QUINN", "U0ELLIOTT"
GUIDE = Guide(
    {QUINN: "wants to deploy", ELLIOTT: "owns the lock"},
    "It began.",
    (("Is staging locked?", "status staging"), ("Help", "help")),
    "source env",
)
NAMELESS = """() => [...document.querySelectorAll("a, button, input, select, textarea, summary, [role], nav, aside")]
  .filter((at) => at.checkVisibility() && !at.closest("[aria-hidden=true]"))
  .filter((at) => !(at.getAttribute("aria-label") || at.getAttribute("aria-labelledby") || at.labels?.length
    || at.role === "status" || at.textContent.trim()))
  .map((at) => at.outerHTML.slice(0, 80))"""
PLACES = (CHANNEL, DIRECT, HOME, "")


def plain(text):
    return {"type": "plain_text", "text": text}


def words(text):
    return {"type": "mrkdwn", "text": text}


def button(text, **facts):
    return {"type": "button", "text": plain(text), "action_id": text, "value": "v", **facts}


CONFIRM = {
    "title": plain("Unlock staging?"),
    "text": words("*It* goes."),
    "confirm": plain("Unlock"),
    "deny": plain("No"),
}
OPTIONS = [{"text": plain("Edit"), "value": "edit"}, {"text": plain("Hide"), "value": "hide"}]
ALL_KINDS = (
    {"type": "header", "text": plain("Locks")},
    {"type": "section", "text": words(":lock: *staging* `x` <https://ci.example/1|run> <@U0QUINN>"),
     "accessory": {"type": "overflow", "action_id": "menu", "options": OPTIONS}},
    {"type": "actions", "elements": [
        button("Unlock", style="danger", confirm=CONFIRM), button("Share", style="primary"), button("Cancel"),
        {"type": "static_select", "action_id": "choose", "placeholder": plain("Choose"), "options": OPTIONS}]},
    {"type": "container", "title": plain("12 of 12"), "is_collapsible": True, "default_collapsed": True,
     "child_blocks": [{"type": "section", "text": words("*dead*")}]},
    {"type": "data_table", "caption": "States", "rows": [[{"type": "raw_text", "text": "a"}]] * 2},
    {"type": "context", "elements": [words("checked <!date^1^{time}|then> <https://ci.example/2|run>")]},
)  # fmt: skip
NOTE = {
    "type": "modal",
    "title": plain("Edit entry 4"),
    "submit": plain("Save"),
    "blocks": [
        {"type": "input", "block_id": "note", "label": plain("What happened"), "hint": plain("Short"),
         "element": {"type": "plain_text_input", "action_id": "text", "multiline": True}},
        {"type": "input", "block_id": "day", "optional": True, "label": plain("Day"),
         "element": {"type": "datepicker", "action_id": "day"}},
    ],
}  # fmt: skip


@pytest.fixture
async def slack():
    async with SlackWorkspace(bot_url="http://127.0.0.1:9/", retry_scale=0) as made:
        populate(made)
        root = made.say(QUINN, CHANNEL, "blocked")
        made.say(ELLIOTT, CHANNEL, "same here", thread_ts=root.ts)
        root.reactions["pushpin"] = [ELLIOTT]
        for channel in (CHANNEL, made.team.direct(QUINN).id):
            made.team.keep(channel, BOT_USER, "Locks", ALL_KINDS)
        made.team.keep(CHANNEL, BOT_USER, "a whisper", to=QUINN)
        home = {"type": "home", "blocks": [one for one in ALL_KINDS if one["type"] != "data_table"]}
        publish_view(made.team, {"user_id": QUINN, "view": home})
        yield made


@pytest.fixture
async def visit(chromium, slack):
    """Opens the page as quinn at a place."""
    async with serving_page(slack, GUIDE) as address, async_playwright() as driver:
        launched = await driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        troubles = []

        async def open_page(place=CHANNEL, *, width=DESKTOP, thread=""):
            page = await launched.new_page(viewport={"width": width, "height": 844})
            page.set_default_timeout(60_000)
            page.on("pageerror", lambda error: troubles.append(str(error)))
            await page.goto(f"{address}/?as={QUINN}&in={place}&thread={thread}")
            await page.wait_for_selector("[data-live]", state="attached")
            return page

        yield open_page
        await launched.close()
        assert troubles == []


def opens(slack, view=NOTE):
    return stacked(slack.team, view, slack.team.fresh("V"), user=QUINN, below=None)


def root_of(slack):
    return next(message.ts for message in slack.team.messages if message.text == "blocked")


@pytest.mark.parametrize("width", [PHONE, DESKTOP])
async def test_every_place_can_be_read_and_named_and_fits_the_window(visit, slack, contrast, width):
    for place, thread in (*((place, "") for place in PLACES), (CHANNEL, root_of(slack))):
        page = await visit(place, width=width, thread=thread)
        for summary in await page.locator(".container summary:visible, .terminal summary:visible").all():
            await summary.click()

        assert await page.evaluate(contrast) == []
        assert await page.evaluate(NAMELESS) == []
        assert await page.evaluate("document.documentElement.scrollWidth") <= width
        assert await page.locator("main").count() == 1
        assert await page.get_by_role("heading", level=1).count() == 1
        ids = await page.evaluate("[...document.querySelectorAll('[id]')].map((at) => at.id)")
        assert len(ids) == len(set(ids))
        await page.close()


@pytest.mark.parametrize("width", [PHONE, DESKTOP])
async def test_a_dialog_can_be_read_and_takes_the_keyboard(visit, slack, contrast, width):
    opens(slack)
    page = await visit(width=width)

    await expect(page.get_by_label("What happened")).to_be_focused()

    assert await page.evaluate(contrast) == []
    assert await page.evaluate(NAMELESS) == []
    await page.keyboard.press("Escape")
    await expect(page.locator("#dialog")).to_be_hidden()
    assert slack.dialogs(QUINN) == []


@pytest.mark.parametrize("width", [PHONE, DESKTOP])
async def test_the_buttons_of_a_long_dialog_are_in_sight(visit, slack, width):
    opens(slack, {**NOTE, "blocks": [{"type": "section", "text": words("a line\n" * 200)}, *NOTE["blocks"]]})
    page = await visit(width=width)

    await expect(page.get_by_role("button", name="Save")).to_be_in_viewport(ratio=1)
    await expect(page.get_by_role("heading", name="Edit entry 4")).to_be_in_viewport(ratio=1)


async def test_what_is_typed_stays_while_messages_come_and_after_a_reload(visit, slack):
    page = await visit()
    line = page.get_by_label("Message to #inc-staging")
    await line.fill("/tflock unl")

    slack.say(ELLIOTT, CHANNEL, "news")

    await expect(page.locator("#feed")).to_contain_text("news")
    await expect(line).to_have_value("/tflock unl")
    await expect(line).to_be_focused()
    await page.reload()
    await expect(line).to_have_value("/tflock unl")


async def test_what_is_typed_and_open_stays_while_a_dialog_and_a_message_change(visit, slack):
    page = await visit()
    await page.get_by_text("12 of 12").click()
    message = slack.messages(CHANNEL)[0]
    message.replace("Locks", [*message.blocks, {"type": "context", "elements": [words("counted down")]}], "9.9")
    await expect(page.locator("#feed")).to_contain_text("counted down")
    await expect(page.get_by_text("dead", exact=True)).to_be_visible()

    view = opens(slack)
    await page.get_by_label("What happened").fill("half a sentence")
    block = {**view["blocks"][0], "hint": plain("Another hint")}
    replaced(slack.team, view, {**NOTE, "blocks": [block, *view["blocks"][1:]]})

    await expect(page.locator("#dialog")).to_contain_text("Another hint")
    await expect(page.get_by_label("What happened")).to_have_value("half a sentence")
    await expect(page.get_by_label("What happened")).to_be_focused()


async def test_a_button_that_asks_first_sends_nothing_when_the_answer_is_no(visit, slack):
    page = await visit()
    await page.locator("#feed").get_by_role("button", name="Unlock").click()
    await expect(page.locator("#confirm")).to_contain_text("It goes.")

    await page.locator("#confirm").get_by_role("button", name="No").click()
    await page.locator("#feed").get_by_role("button", name="Share").click()
    await expect(page.locator("#toast")).to_contain_text("did not answer")

    sent = [delivery.payload["actions"][0]["action_id"] for delivery in slack._running.sent]
    assert sent == ["Share"]


async def test_the_keyboard_alone_reaches_a_menu_and_leaves_it(visit):
    page = await visit()
    menu = page.locator("#feed").get_by_label("More actions", exact=True)
    await menu.focus()

    await page.keyboard.press("Enter")
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("button", name="Edit")).to_be_focused()
    await page.keyboard.press("Escape")

    await expect(page.get_by_role("button", name="Edit")).to_be_hidden()
    await expect(menu).to_be_focused()


async def test_on_a_phone_one_gets_from_the_list_to_a_channel_to_a_thread_and_back(visit):
    page = await visit("", width=PHONE)

    await page.get_by_role("link", name="inc-staging").click()
    await page.get_by_role("link", name="1 reply").click()
    await expect(page.get_by_text("same here")).to_be_visible()
    await page.get_by_role("link", name="Close the thread").click()
    await page.get_by_role("link", name="Back to the list").click()

    await expect(page.get_by_role("link", name="Home")).to_be_visible()


@pytest.mark.parametrize("name", ["a link", "a button"])
async def test_slacks_address_of_a_message_leads_to_it_in_its_thread(visit, slack, name):
    reply = next(message for message in slack.team.messages if message.text == "same here")
    link = {"type": "section", "text": words(f"<{address_of(reply)}|a link>")}
    pressed = {"type": "actions", "elements": [button("a button", url=address_of(reply))]}
    slack.team.keep(slack.team.direct(QUINN).id, BOT_USER, "asked there", [link, pressed])
    page = await visit(DIRECT)

    await page.get_by_text(name, exact=True).click()

    await expect(page.locator(".named")).to_contain_text("same here")
    await expect(page.locator(".named")).to_be_in_viewport()


async def test_somebody_else_is_one_click_away(visit, slack):
    page = await visit()

    await page.get_by_role("link", name="elliott").click()

    await expect(page.locator("#feed")).to_contain_text("blocked")
    await expect(page.locator("#feed")).not_to_contain_text("a whisper")
