"""The signs of all messages: one table, one meaning each."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bot.slack.render.icons import Icon

RENDER = Path(__file__).parents[3] / "bot" / "slack" / "render"
DOCS = Path(__file__).parents[3] / "docs" / "messages.md"


def test_each_sign_is_there_once():
    emoji = [icon.emoji for icon in Icon]
    assert len(emoji) == len(set(emoji)) == len(Icon.__members__)


@pytest.mark.parametrize("page", sorted(RENDER.glob("*.py")), ids=lambda page: page.stem)
def test_no_message_has_a_sign_that_is_not_in_the_table(page):
    written = re.findall(r'["\s(]:([a-z_]+):[ "*]', page.read_text())
    assert written == []


def test_the_page_says_the_same_of_every_sign():
    told = re.findall(r"^\| :([a-z_]+): \|", DOCS.read_text(), re.MULTILINE)
    assert told
    assert set(told) <= {icon.emoji for icon in Icon}
