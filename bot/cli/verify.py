"""`verify FILE`: an export is proven from nothing but the file, without a configuration."""

from __future__ import annotations

from pathlib import Path

from bot.cli.frame import FAILED, OK, checked, output
from bot.export.json.read import verify_json

_MOST_LISTED = 10


def verify_file(file: Path) -> int:
    """The exit code: 1 if a word of it is not proven. Ends the command with the first broken entry if there is one."""
    found = checked(lambda: verify_json(file), str(file))
    counted = f"{found.entries} entries of {found.incident.id}; last hash {found.last}"
    if not found.redacted:
        output([f"{file}: whole. {counted}"])
        return OK
    listed = ", ".join(found.redacted[:_MOST_LISTED]) + (" …" if len(found.redacted) > _MOST_LISTED else "")
    output([
        f"{file}: not proven in all its words. {counted}",
        f"Redacted in the export: {listed}. Their places in the chain are proven, their words are not.",
        f"Where the timeline itself still is, this proves them: tflock verify {found.incident.id}",
    ])  # fmt: skip
    return FAILED
