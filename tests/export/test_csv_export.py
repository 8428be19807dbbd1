"""The CSV export holds everything, and no spreadsheet takes any of it for a formula."""

import csv
import io
import json
import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.record.timeline import Draft, Kind
from bot.export.csv_export import COLUMNS, LONGEST, safe

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
FORMULAS = ("=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", " =1", '"=1"', "'=1")
WIDE_FORMULAS = ("\uff1d1", "\uff0b1", "\uff0d1", "\uff20x", "\u22121")
HIDDEN_FORMULAS = (
    "\ufeff=1",
    "\u200b=1",
    "\u202e=1",
    "\x00=1",
    "\u2028=1",
    "x;=1",
    "x|=1",
    "x\t@y",
    'x;"=1"',
    "x\n+1",
    "x\r\n-1",
)


@pytest.fixture
async def incident(journal):
    made, _ = await journal.open(channel="C1", title="Staging is locked", by="U1", at=NOON)
    return made


@pytest.fixture
def rows(written):
    async def read(incident, names=None, zone="UTC"):
        path = await written(incident, "csv", names, zone)
        with path.open(encoding="utf-8-sig", newline="") as file:
            return list(csv.DictReader(file, strict=True))

    return read


async def note(journal, incident, text, kind=Kind.NOTE_ADDED, /, actor="U2", **facts):
    draft = Draft(NOON + timedelta(minutes=5), kind, actor, text, facts)
    return (await journal.append(incident.id, draft)).entry


async def test_every_entry_is_a_row_with_the_documented_columns(journal, incident, rows, described):
    await note(journal, incident, "The job timed out", n=1)

    found = await rows(incident, {"U2": "parker"}, "Europe/Berlin")

    assert list(found[0]) == list(COLUMNS) == described("exports.md", "## CSV")
    (last,) = await journal.tail(incident.id, 1)
    assert found[1] == {
        "id": "2",
        "at_utc": "2026-11-21 12:05:00",
        "at_local": "2026-11-21 13:05:00",
        "local_offset": "UTC+01:00",
        "recorded_at_utc": "2026-11-21 12:30:00",
        "kind": "note.added",
        "actor": "U2",
        "actor_name": "parker",
        "text": "The job timed out",
        "key_moment": "no",
        "hidden": "no",
        "edited": "no",
        "edited_text": "",
        "edited_at_utc": "",
        "redacted": "no",
        "facts": '{"n":1}',
        "prev": last.prev,
        "hash": last.hash,
    }


async def test_it_is_as_rfc_4180_says_and_begins_with_the_mark_that_excel_needs(journal, incident, written):
    await note(journal, incident, "one\ntwo, three")

    found = (await written(incident, "csv")).read_bytes()

    assert found.startswith(b'\xef\xbb\xbf"id",')
    assert found.endswith(b'"\r\n')
    assert len(re.findall(rb'"\r\n', found)) == 3


async def test_hidden_and_corrected_entries_are_there_and_flagged(journal, incident, rows):
    hidden, edited, key = [await note(journal, incident, text) for text in ("anger", "the lok", "dead")]
    await note(journal, incident, "", Kind.ENTRY_HIDDEN, entry=hidden.id)
    at = (NOON + timedelta(minutes=1)).isoformat()
    await note(journal, incident, "", Kind.ENTRY_EDITED, entry=edited.id, text="the lock", at=at)
    await note(journal, incident, "", Kind.ENTRY_MARKED, entry=key.id)

    found = {row["id"]: row for row in await rows(incident)}

    assert [found[hidden.id][name] for name in ("text", "hidden")] == ["anger", "yes"]
    assert [found[edited.id][name] for name in ("text", "edited", "edited_text", "edited_at_utc")] == [
        "the lok", "yes", "the lock", "2026-11-21 12:01:00",
    ]  # fmt: skip
    assert found[key.id]["key_moment"] == "yes"
    assert [row["kind"] for row in found.values()].count("entry.hidden") == 1
    assert len(found) == 7


@pytest.mark.parametrize("evil", [*FORMULAS, *WIDE_FORMULAS, *HIDDEN_FORMULAS])
async def test_no_cell_is_a_formula_whichever_separator_a_spreadsheet_assumes(journal, incident, written, evil):
    await note(journal, incident, evil, actor=evil, said=evil)
    await note(journal, incident, evil, Kind.ENTRY_EDITED, entry="2", text=f"{evil} ", why=evil)

    text = (await written(incident, "csv", {evil: evil, "U1": evil})).read_text("utf-8-sig")

    for delimiter in ",;\t|":
        for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter):
            for cell in row:
                assert not re.match('[\\s"\ufeff\u200b]*[-=+@\uff1d\uff0b\uff0d\uff20\u2212]', cell), (delimiter, cell)


@given(st.text(max_size=60))
def test_no_text_whatever_begins_a_formula_or_holds_a_control_character(text):
    found = safe(text)

    assert not re.match(r"\s*[=+\-@]", found)
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069]", found)


async def test_facts_can_be_read_by_a_program_whatever_is_in_them(journal, incident, rows):
    said = 'a;=1 | "b"\n=c\u202e\t+1 \U000e0001'
    await note(journal, incident, "x", said=said)

    assert json.loads((await rows(incident))[1]["facts"]) == {"said": said}


async def test_a_cell_that_excel_would_break_is_cut_with_a_word_about_it(journal, incident, rows):
    await note(journal, incident, "y" * 100_000, said="z" * 100_000)

    row = (await rows(incident))[1]

    assert len(row["text"]) < 32_767
    assert row["text"].startswith("y" * LONGEST)
    assert "all 100000 characters" in row["text"]
    assert json.loads(row["facts"]) == {"too_long_for_a_cell": 100_011}


async def test_control_characters_are_shown_and_lines_are_kept(journal, incident, rows):
    await note(journal, incident, "a\x00b\x1b[31m\r\nsecond\rthird\u2028fourth")

    assert (await rows(incident))[1]["text"] == "a␀b␛[31m\nsecond\nthird\nfourth"
