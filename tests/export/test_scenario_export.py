"""The incident that this program exists for, exported: as a team lead reads it the next morning."""

from __future__ import annotations

import re

import pytest

from bot.export.json.read import verify_json
from tests.worlds.that_day import export_that_day


@pytest.fixture
async def files(tmp_path):
    return {path.suffix: path for path in await export_that_day(tmp_path)}


async def test_the_day_is_told_with_its_figures_its_moments_and_what_to_do(files):
    page = files[".md"].read_text("utf-8")

    assert "| State staging | locked for 3 h 2 min, free now |" in page
    assert "| Lock to first command | 1 h 55 min |" in page
    assert "| First command to unlock | 1 h 7 min |" in page
    moments = page.split("## Key moments")[1].split("\n## ")[0]
    assert re.findall(r"^- \*\*(\d\d:\d\d).*?\*\*([A-Z][a-z ]+)\*\*", moments, re.MULTILINE) == [
        ("09:05", "Lock taken"),
        ("09:15", "Run timed out"),
        ("09:50", "Loop began"),
        ("11:00", "First command"),
        ("11:32", "Lock table refuses requests"),
        ("11:58", "Runs ended"),
        ("12:07", "Lock released"),
    ]
    assert re.findall(r"^\d+\. \*\*(\w+ \w+)", page, re.MULTILINE) == [
        "Switch lock",
        "Stop dependency",
        "Let Terraform",
        "Let deploy",
    ]


async def test_no_line_of_the_story_needs_a_machine_to_be_read(files):
    page = files[".md"].read_text("utf-8")
    story = page[: page.index("## Integrity")]

    assert not re.search(r"[0-9a-f]{8}-[0-9a-f]{4}-", story), "the id of a lock"
    assert not re.search(r"gate\.decided|OperationType|U0[A-Z]+\b(?!\))", story)


async def test_the_same_day_verifies(files):
    assert verify_json(files[".json"]).entries == 26
    assert sorted(files) == [".csv", ".html", ".json", ".md", ".png"]
