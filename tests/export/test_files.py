"""Files that are complete or not there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bot.export.files import drafted, write


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no device that is always full")
def test_a_disk_that_is_full_keeps_the_file_of_before_and_no_draft(tmp_path):
    write(tmp_path / "incident.md", ["before"])

    def fill():
        with drafted(tmp_path / "incident.md") as draft:
            full = os.open("/dev/full", os.O_WRONLY)
            os.dup2(full, draft.fileno())
            os.close(full)
            draft.write(b"after")

    with pytest.raises(OSError, match="No space left"):
        fill()
    assert [path.name for path in tmp_path.iterdir()] == ["incident.md"]
    assert (tmp_path / "incident.md").read_text("utf-8") == "before"
    write(tmp_path / "incident.md", ["after"])
    assert (tmp_path / "incident.md").read_text("utf-8") == "after"
