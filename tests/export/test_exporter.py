"""All formats of an incident at once: one pass over the timeline, and none that fails costs the others."""

import subprocess
import sys
import textwrap
from datetime import UTC, datetime, timedelta

import pytest

from bot.core.record.timeline import Draft, Kind
from bot.errors import ChainBroken, JournalAway
from bot.export.exporter import ALWAYS, WRITERS, FileExporter
from bot.export.gather import gathered
from bot.export.json.read import read_export

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
ALL = ("markdown", "html", "json", "csv")


@pytest.fixture
async def incident(journal):
    made, _ = await journal.open(channel="C1", title="Staging is locked", by="U1", at=NOON)
    return made


async def test_all_configured_formats_and_the_chart_are_written(journal, incident, tmp_path):
    written = await FileExporter(journal, tmp_path / "deep" / "er", ALL).write(incident, {}, "UTC")

    assert {path.name for path in written.paths} == {
        f"{incident.id}{suffix}" for suffix in (".md", ".html", ".json", ".csv", ".png")
    }
    assert not written.failed
    assert written.account.incident == incident
    assert sorted((tmp_path / "deep" / "er").iterdir()) == sorted(written.paths)


async def test_json_and_the_chart_are_written_whatever_is_configured(journal, incident, tmp_path):
    written = await FileExporter(journal, tmp_path, ()).write(incident, {}, "UTC")

    assert [path.suffix for path in written.paths] == [".json", ".png"]
    assert set(ALWAYS) <= set(WRITERS)


async def test_a_format_that_cannot_be_written_is_told_and_the_others_are_there(journal, incident, tmp_path):
    (tmp_path / f"{incident.id}.html").mkdir()

    written = await FileExporter(journal, tmp_path, ALL).write(incident, {}, "UTC")

    assert list(written.failed) == ["html"]
    assert "cannot be written" in written.failed["html"]
    assert {path.suffix for path in written.paths} == {".json", ".png", ".md", ".csv"}
    assert len(list(tmp_path.iterdir())) == 5


async def test_a_timeline_that_is_broken_or_not_there_is_not_exported(journal, incident, tmp_path):
    exporter = FileExporter(journal, tmp_path, ALL)
    await journal.append(incident.id, Draft(NOON, Kind.NOTE_ADDED, "U1", "x"))
    await journal.append(incident.id, Draft(NOON, Kind.NOTE_ADDED, "U1", "y"))
    await journal._client.xdel(f"tflock:{{{incident.id}}}:log", "2-0")

    with pytest.raises(ChainBroken) as broken:
        await exporter.write(incident, {}, "UTC")
    await journal._client.delete(f"tflock:{{{incident.id}}}:log")
    with pytest.raises(JournalAway):
        await exporter.write(incident, {}, "UTC")

    assert broken.value.entry_id == "3"
    assert not list(tmp_path.iterdir())


async def test_both_iterations_can_be_made_again_and_at_the_same_time(journal, incident):
    for n in range(3):
        await journal.append(incident.id, Draft(NOON + timedelta(minutes=5 - n), Kind.NOTE_ADDED, "U1", str(n)))

    async with gathered(journal, incident, names={}, zone="UTC") as material:
        pairs = list(zip(material.lines(), material.records(), strict=True))
        again = [line.entry.id for line in material.lines()]

    assert [line.entry.id for line, _ in pairs] == again == ["1", "4", "3", "2"]
    assert [record.entry.id for _, record in pairs] == ["1", "2", "3", "4"]


async def test_an_edited_time_orders_the_lines(journal, incident):
    for n in range(3):
        await journal.append(incident.id, Draft(NOON + timedelta(minutes=n), Kind.NOTE_ADDED, "U1", str(n)))
    edit = {"entry": "3", "at": (NOON + timedelta(hours=1)).isoformat()}
    await journal.append(incident.id, Draft(NOON, Kind.ENTRY_EDITED, "U2", "", edit))

    async with gathered(journal, incident, names={}, zone="UTC") as material:
        lines = list(material.lines())

    assert [line.entry.id for line in lines] == ["1", "2", "4", "3"]
    assert [change.by for change in lines[-1].changes] == ["U2"]


GROWTH = """
    import re, sys
    from pathlib import Path
    from bot.export.exporter import write_all
    from bot.export.gather import gathered_file

    with gathered_file(Path(sys.argv[1])) as material:
        written = write_all(material, Path(sys.argv[2]), ("json", "csv", "markdown", "html"))
        assert not written.failed, written.failed
    print(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
"""


def test_memory_does_not_grow_with_the_entries(long_export, tmp_path):
    """Import and all text formats in a process of their own: its peak, with 2,000 entries and with 10,000."""
    peaks = []
    for count in (2_000, 10_000):
        path = long_export(count)
        command = [sys.executable, "-c", textwrap.dedent(GROWTH), str(path), str(tmp_path / "out")]
        peaks.append(int(subprocess.run(command, capture_output=True, check=True, text=True).stdout))
        assert path.stat().st_size > count * 900

    assert peaks[1] - peaks[0] < 6 * 1024, f"{peaks} kB: 8,000 entries are 8 MB of JSON"


def test_an_export_of_ten_thousand_entries_is_read_back(long_export):
    assert sum(1 for _ in read_export(long_export(10_000)).rows()) == 10_000
