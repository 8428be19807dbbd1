"""The README's picture of the first answer, as a phone shows it. `make pictures` writes it into docs/images."""

import os
from datetime import timedelta
from io import BytesIO
from pathlib import Path

from markupsafe import Markup
from PIL import Image
from playwright.sync_api import sync_playwright

from bot.core.reports.report import StatusReport
from bot.sandbox.page.blocks import drawn
from bot.sandbox.page.document import PHONE, document, message
from bot.sandbox.page.mrkdwn import Reader, formatted
from bot.slack.render import status_message

COLOURS = 96
SCREEN = 664
"""What a phone of 844 px has left for messages."""


def conversation(scene):
    reader = Reader({"U0ELLIOTT": "elliott", "U0QUINN": "quinn"}, now=scene.now)
    inspection = scene.inspection()
    answer = status_message(StatusReport(inspection, scene.verdict(inspection)))
    asks = formatted("Deployments to staging fail: `Error acquiring the state lock`. Is anyone applying?", reader)
    report = message("quinn", f"{scene.now - timedelta(minutes=5):%-I:%M %p}", asks, is_app=False)
    said = drawn(answer.blocks, reader)
    told = message("tflock", f"{scene.now:%-I:%M %p}", said, is_app=True, note="Only visible to you")
    return document(Markup('<main style="padding: 8px 0">{}{}</main>').format(report, told), title="tflock")


def test_the_answer_to_status_and_its_first_button_fit_a_phones_screen(chromium, scene, tmp_path):
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": PHONE, "height": SCREEN}, device_scale_factor=2)
        page.set_content(str(conversation(scene)))
        whole, button = page.locator("main").bounding_box(), page.get_by_role("button").first.bounding_box()
        picture = page.locator("main").screenshot()
        browser.close()

    path = Path(os.environ.get("PICTURES", tmp_path)) / "status.png"
    Image.open(BytesIO(picture)).quantize(COLOURS).save(path, optimize=True)

    assert whole["height"] < SCREEN
    assert button["y"] + button["height"] < SCREEN
    assert path.stat().st_size < 100_000
