"""The README's pictures of a record: its first screen, and its chart. `make pictures` writes them into docs/images."""

import os
from io import BytesIO
from pathlib import Path

from PIL import Image
from playwright.async_api import async_playwright, expect

from tests.worlds.that_day import export_that_day

COLOURS = 96


async def test_the_first_screen_of_a_record_has_the_story_and_its_figures(chromium, tmp_path):
    files = {path.suffix: path for path in await export_that_day(tmp_path)}
    async with async_playwright() as driver:
        browser = await driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = await browser.new_page(viewport={"width": 1_000, "height": 1_180})
        await page.goto(files[".html"].as_uri())
        for words in ("Time to unlock", "Time locked", "Key moments"):
            await expect(page.locator("main").get_by_text(words, exact=True).first).to_be_in_viewport(timeout=60_000)
        picture = await page.screenshot()
        await browser.close()

    to = Path(os.environ.get("PICTURES", tmp_path))
    for name, drawn in (("record", BytesIO(picture)), ("chart", files[".png"])):
        Image.open(drawn).quantize(COLOURS).save(to / f"{name}.png", optimize=True)
        assert (to / f"{name}.png").stat().st_size < 100_000
