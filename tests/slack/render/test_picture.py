"""The README's pictures of the bot's messages, as a phone shows them. `make pictures` writes them into docs/images."""

import os
from datetime import timedelta
from io import BytesIO
from pathlib import Path

import pytest
from markupsafe import Markup
from PIL import Image
from playwright.sync_api import sync_playwright

from bot.core.gate.inspection import StateName
from bot.core.reports.owner_message import HolderRun, OwnerMessage, OwnerNews, OwnerNotice
from bot.core.reports.report import StatusReport
from bot.core.run import Conclusion, Phase
from bot.sandbox.page.blocks import drawn
from bot.sandbox.page.document import PHONE, document, message
from bot.sandbox.page.mrkdwn import Reader, formatted
from bot.slack.render import owner_message, status_message

COLOURS = 96
SCREEN = 664
"""What a phone of 844 px has left for messages."""


def report(scene, reader):
    asks = formatted("Deployments to staging fail: `Error acquiring the state lock`. Is anyone applying?", reader)
    return message("quinn", f"{scene.now - timedelta(minutes=5):%-I:%M %p}", asks, is_app=False)


def answer(scene, reader, sent, note=""):
    return message("tflock", f"{scene.now:%-I:%M %p}", drawn(sent.blocks, reader), is_app=True, note=note)


def status(scene, reader):
    inspection = scene.inspection()
    sent = status_message(StatusReport(inspection, scene.verdict(inspection)))
    return report(scene, reader) + answer(scene, reader, sent, "Only visible to you")


def owner(scene, reader):
    state, ended = StateName("staging", "", protected=False), scene.now - timedelta(minutes=110)
    run = HolderRun("deploy.yml #123", scene.run().ref.url, Phase.ENDED, Conclusion.TIMED_OUT, ended)
    asked = OwnerNotice(OwnerNews.ASKED, scene.now, "U0QUINN", "C0STAGING")
    asks = OwnerMessage(
        OwnerNews.ASKED, state, scene.lock, "U0QUINN", "C0STAGING", "r7k2", run, waiting=1, history=(asked,)
    )
    return answer(scene, reader, owner_message(asks))


@pytest.mark.parametrize("conversation", [status, owner], ids=["status", "owner"])
def test_a_message_and_its_first_button_fit_a_phones_screen(chromium, scene, tmp_path, conversation):
    reader = Reader({"U0ELLIOTT": "elliott", "U0QUINN": "quinn", "C0STAGING": "inc-staging"}, now=scene.now)
    body = Markup('<main style="padding: 8px 0">{}</main>').format(conversation(scene, reader))
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": PHONE, "height": SCREEN}, device_scale_factor=2)
        page.set_content(str(document(body, title="tflock")))
        whole, button = page.locator("main").bounding_box(), page.get_by_role("button").first.bounding_box()
        picture = page.locator("main").screenshot()
        browser.close()

    path = Path(os.environ.get("PICTURES", tmp_path)) / f"{conversation.__name__}.png"
    Image.open(BytesIO(picture)).quantize(COLOURS).save(path, optimize=True)

    assert whole["height"] < SCREEN
    assert button["y"] + button["height"] < SCREEN
    assert path.stat().st_size < 100_000
