"""Checkouts that are laid out from one text each: `remote: URL`, then `-- path --` before the text of each file."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

LAYOUTS = Path(__file__).parent / "layouts"


def unpack(text, folder):
    """Writes the files, and what git would know of the remote. Returns the folder."""
    remote = re.search(r"(?m)^remote: (.+)$", text)
    if remote:
        write(folder / ".git/config", f'[core]\n\tbare = false\n[remote "origin"]\n\turl = {remote[1]}\n')
    for path, content in re.findall(r"(?ms)^-- (\S+) --\n(.*?)(?=^-- \S+ --\n|\Z)", text):
        write(folder / path, content)
    return folder


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")


@pytest.fixture
def laid_out(tmp_path):
    """Unpacks a layout of the folder `layouts`, or a text, as a checkout in a folder of this name."""
    return lambda name, folder="checkout": unpack(
        (LAYOUTS / f"{name}.txt").read_text(encoding="utf-8") if "\n" not in name else name, tmp_path / folder
    )
