"""All configured formats of an incident's record, in one directory."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import structlog

from bot.core.record.incident import Incident
from bot.export.csv_export import write_csv
from bot.export.gather import gathered
from bot.export.json.write import write_json
from bot.export.material import Material, Writer
from bot.ports.files import Written
from bot.ports.journal import Journal

log = structlog.get_logger()


def _chart(material: Material, path: Path) -> Path:
    from bot.export.chart.chart import write_png  # noqa: PLC0415 - matplotlib takes a second, and is only for this

    return write_png(material, path)


def _markdown(material: Material, path: Path) -> Path:
    from bot.export.markdown.page import write_markdown  # noqa: PLC0415 - a bot that only answers needs no Jinja

    return write_markdown(material, path)


def _html(material: Material, path: Path) -> Path:
    from bot.export.html.page import write_html  # noqa: PLC0415 - it holds the chart as well

    return write_html(material, path)


WRITERS: Mapping[str, tuple[str, Writer]] = MappingProxyType(
    {
        "json": (".json", write_json),
        "chart": (".png", _chart),
        "markdown": (".md", _markdown),
        "html": (".html", _html),
        "csv": (".csv", write_csv),
    }
)
"""Each format with the ending of its file, in the order of writing: the chart before Markdown, which shows it."""

ALWAYS = ("chart", "json")
"""Written whatever is configured: JSON can be verified and read back."""


class FileExporter:
    """Implements `bot.ports.files.Exporter`."""

    def __init__(self, journal: Journal, directory: Path, formats: Iterable[str]) -> None:
        self._journal = journal
        self._directory = directory
        self._formats = (*ALWAYS, *formats)

    async def write(
        self,
        incident: Incident,
        names: Mapping[str, str],
        zone: str,
        *,
        until: str | None = None,
        directory: Path | None = None,
    ) -> Written:
        async with gathered(self._journal, incident, names=names, zone=zone, until=until) as material:
            return await asyncio.to_thread(write_all, material, directory or self._directory, self._formats)


def write_all(material: Material, directory: Path, formats: Sequence[str]) -> Written:
    """Writes the formats, one after another. If one fails, `failed` says why, and the others are written."""
    paths, failed = list[Path](), dict[str, str]()
    for form, (suffix, writer) in WRITERS.items():
        if form in formats:
            path = directory / f"{material.account.incident.id}{suffix}"
            try:
                paths.append(writer(material, path))
            except OSError as error:
                failed[form] = f"{path} cannot be written: {error.strerror or error}"
            except Exception as error:  # a fault in one format must not cost the others
                log.exception("export.format_failed", incident=material.account.incident.id, format=form)
                failed[form] = f"an error in this format ({type(error).__name__})"
    return Written(material.account, tuple(paths), failed)
