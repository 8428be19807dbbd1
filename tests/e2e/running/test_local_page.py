"""The local page in a real browser, with the real bot behind it: the whole incident with the mouse alone."""

import re

import pytest
from playwright.async_api import async_playwright, expect

from bot.sandbox.demo.page import PEOPLE, TRIES
from bot.sandbox.demo.scenario import POLICY, REPORT, StagedIncident, settings
from bot.sandbox.page.document import PHONE
from bot.sandbox.page.scene import Guide
from bot.sandbox.page.server import serving_page
from bot.sandbox.stage import CHANNEL
from tests.worlds.stage import stage

QUINN, PARKER, ELLIOTT = PEOPLE
PATIENCE = 60_000
SOON = {**POLICY, "settle": {"timed_out": "2s", "cancelled": "2s"}, "state_quiet": "0s"}


@pytest.fixture
async def incident(tmp_path):
    async with stage(tmp_path, policy=SOON, settings=settings()) as made:
        staged = StagedIncident(made, "staging", None)
        await staged.deploy_well()
        await staged.lose_a_deployment(held=6)  # long enough for its log to show it at work
        await made.slack.speak(QUINN, CHANNEL, REPORT)
        await staged.start_the_loop()
        await made.slack.wait_for(staged.is_looping)
        yield staged
        await staged.aclose()


@pytest.fixture
async def come(chromium, incident):
    """Opens the page as somebody at a place, on a phone of their own."""
    guide = Guide(PEOPLE, "It began.", TRIES)
    async with serving_page(incident.stage.slack, guide) as address, async_playwright() as driver:
        browser = await driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])

        async def open_page(user, place=CHANNEL):
            page = await browser.new_page(viewport={"width": PHONE, "height": 844})
            page.set_default_timeout(PATIENCE)
            await page.goto(f"{address}/?as={user}&in={place}")
            await page.wait_for_selector("[data-live]", state="attached")
            return page

        yield open_page
        await browser.close()


async def press(page, action):
    """Clicks the newest button with that action, and confirms if it is asked."""
    button = page.locator(f"[data-act*='\"{action}\"']").last
    asks = await button.get_attribute("data-confirm")
    await button.click()
    if asks:
        await page.locator("#confirm [value=yes]").click()


async def tries(page, label):
    await page.get_by_role("group", name="Commands to try").get_by_role("button", name=label).click()


async def says(page, words):
    await expect(page.locator("#feed")).to_contain_text(re.compile(words, re.IGNORECASE), timeout=PATIENCE)


async def test_the_whole_incident_is_played_with_the_mouse_alone(incident, come):
    quinn, parker, elliott = await come(QUINN), await come(PARKER), await come(ELLIOTT, "direct")

    await tries(quinn, "Is staging locked?")
    await says(quinn, "Only visible to you")
    await press(elliott, "owner.dead")
    await tries(parker, "Stop the loop")
    await press(parker, "kill.confirm")
    await tries(quinn, "Unlock when safe")
    await says(parker, "staging is unlocked")
    await parker.locator('[data-act*="kill.restart"]').wait_for()
    await parker.get_by_label("More actions for the message of quinn").click()
    await parker.get_by_role("button", name="Mark with pushpin").last.click()
    await expect(parker.locator(".reactions")).to_have_text(" 1")
    await tries(parker, "Close the incident")
    await parker.locator("#dialog").get_by_role("button", name="Skip").click()
    await says(parker, "export of")
    await parker.get_by_role("link", name=re.compile("repl")).last.click()
    chart = parker.locator("#thread .files img")
    await expect(chart).to_be_visible(timeout=PATIENCE)

    assert await chart.evaluate("image => image.decode().then(() => image.naturalWidth)") > 0
    assert not await incident.stage.lock_stands()
