"""axe-core finds nothing: on the exported page, and on the local page with its threads and dialogs."""

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.async_api import async_playwright

from bot.export.html.page import write_html
from bot.sandbox.page.document import DESKTOP, PHONE
from bot.sandbox.page.server import serving_page
from bot.sandbox.slack.views import stacked
from bot.sandbox.stage import CHANNEL
from tests.browser.test_local_page import GUIDE, NOTE, PLACES, QUINN, root_of, slack

__all__ = ["slack"]

RUN = """async () => (await axe.run(document, {resultTypes: ["violations"]})).violations
  .flatMap((found) => found.nodes.map((node) => `${found.id}: ${node.html.slice(0, 160)}`))"""


@pytest.fixture
async def found(chromium):
    """Unfolds everything on a page at an address, and gives what axe finds there."""
    async with async_playwright() as driver:
        browser = await driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])

        async def look(address, width, *, ready="body", scheme="light"):
            page = await browser.new_page(viewport={"width": width, "height": 844}, color_scheme=scheme)
            page.set_default_timeout(60_000)
            await page.goto(address)
            await page.wait_for_selector(ready, state="attached")
            await page.evaluate("() => document.querySelectorAll('main details').forEach((at) => { at.open = true; })")
            await page.evaluate(AXE_SCRIPT)
            troubles = await page.evaluate(RUN)
            await page.close()
            return troubles

        yield look
        await browser.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [PHONE, DESKTOP])
async def test_nothing_on_the_exported_page(found, scenario, tmp_path, width, scheme):
    path = write_html(scenario, tmp_path / "page.html")

    assert await found(path.as_uri(), width, scheme=scheme) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [PHONE, DESKTOP])
async def test_nothing_on_the_local_page(found, slack, width, scheme):
    async with serving_page(slack, GUIDE) as address:
        for place, thread in (*((place, "") for place in PLACES), (CHANNEL, root_of(slack))):
            there = f"{address}/?as={QUINN}&in={place}&thread={thread}"
            assert await found(there, width, ready="[data-live]", scheme=scheme) == [], there


@pytest.mark.parametrize("width", [PHONE, DESKTOP])
async def test_nothing_in_a_dialog(found, slack, width):
    stacked(slack.team, NOTE, slack.team.fresh("V"), user=QUINN, below=None)

    async with serving_page(slack, GUIDE) as address:
        assert await found(f"{address}/?as={QUINN}&in={CHANNEL}", width, ready="dialog[open] form") == []
