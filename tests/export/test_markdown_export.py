"""The Markdown export reads well and takes no orders from those whose words it shows."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

from bot.core.incident import Incident
from bot.core.timeline import Draft, Kind
from bot.errors import JournalAway
from bot.export.markdown import escaped, markdown_content, write_markdown

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
APART = "\u200b"


@pytest.fixture
async def incident(journal):
    made, _ = await journal.open(channel="C1", title="Staging is locked", by="U1", at=NOON)
    return made


async def lines(journal, incident):
    return (await markdown_content(journal, incident)).decode().splitlines()


def row_with(text, found):
    (row,) = [line for line in found if text in line]
    return row


async def note(journal, incident, text, kind=Kind.NOTE_ADDED, /, actor="U2", **facts):
    appended = await journal.append(incident.id, Draft(NOON + timedelta(minutes=5), kind, actor, text, facts))
    return appended.entry.id


async def test_it_tells_the_incident_from_its_title_to_the_hash_of_its_last_entry(journal, incident):
    await note(journal, incident, "The job of elliott timed out at 09:15")
    closed = await journal.close(incident.id, by="U1", at=NOON + timedelta(minutes=65))

    found = await lines(journal, closed)

    assert found[0] == "# Staging is locked"
    assert "| Opened | 2026-11-21 12:00:00 UTC by U1 |" in found
    assert "| Closed | 2026-11-21 13:05:00 UTC, after 1 h 05 min |" in found
    assert "| People | U1, U2 |" in found
    assert "| Entries | 3 recorded, 0 edited, 0 hidden |" in found
    assert "| 2026-11-21 12:05:00 UTC | U2 | The job of elliott timed out at 09:15 | note.added |" in found
    assert found[-1].strip() == (await journal.tail(incident.id, 1))[0].hash


async def test_every_table_is_whole(journal, incident):
    await note(journal, incident, "a | b\n\n| c")
    found = await lines(journal, incident)

    tables = "\n".join(found).split("\n\n")
    for table in (part.splitlines() for part in tables if part.startswith("|")):
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table}) == 1


async def test_an_open_incident_says_that_it_is_open(journal, incident):
    assert "| Closed | not yet |" in await lines(journal, incident)


async def test_the_file_is_named_after_the_incident_and_holds_the_same(journal, incident, tmp_path):
    path = await write_markdown(journal, incident, tmp_path / "exports")

    assert path == tmp_path / "exports" / f"{incident.id}.md"
    assert path.read_bytes() == await markdown_content(journal, incident)


async def test_an_edited_entry_shows_its_new_text_with_a_mark(journal, incident):
    entry_id = await note(journal, incident, "The lok is held")
    await note(journal, incident, "put right", Kind.ENTRY_EDITED, entry=entry_id, text="The lock is held")

    found = await lines(journal, incident)

    assert row_with("The lock is held", found).endswith("| U2 | The lock is held (edited) | note.added |")
    assert not [line for line in found if "lok" in line]
    assert "| Entries | 3 recorded, 1 edited, 0 hidden |" in found


async def test_a_hidden_entry_is_left_out_and_counted(journal, incident):
    entry_id = await note(journal, incident, "said in anger")
    await note(journal, incident, "", Kind.ENTRY_HIDDEN, entry=entry_id)

    found = "\n".join(await lines(journal, incident))

    assert "anger" not in found
    assert "1 hidden entry is left out here" in found


async def test_a_late_note_stands_where_it_happened(journal, incident):
    await note(journal, incident, "second")
    await journal.append(incident.id, Draft(NOON + timedelta(minutes=2), Kind.NOTE_ADDED, "U2", "first"))
    moved = await note(journal, incident, "third")
    at = (NOON + timedelta(minutes=9)).isoformat()
    await note(journal, incident, "put right", Kind.ENTRY_EDITED, entry=moved, at=at)

    found = "\n".join(await lines(journal, incident))

    assert found.index("| first |") < found.index("| second |") < found.index("| third (edited) |")


async def test_a_kind_that_this_version_does_not_know_is_shown(journal, incident):
    await note(journal, incident, "The moon rose", "moon.rose")

    assert row_with("moon", await lines(journal, incident)).endswith("| The moon rose | moon.rose |")


async def test_a_text_of_several_lines_keeps_them(journal, incident):
    await note(journal, incident, "Error:\n  state is locked\n")

    assert "| Error:<br>state is locked |" in row_with("Error", await lines(journal, incident))


async def test_nothing_that_was_written_by_others_becomes_markup(journal):
    evil = "<script>x</script> [a](javascript:b) ![i](//e) **b** `c` @channel #12 https://e.example"
    evil += " www.e.example a@b.c | _d_"
    incident, _ = await journal.open(channel=evil, title=evil, by=evil, at=NOON)
    await note(journal, incident, evil, actor=evil)

    text = "\n".join(await lines(journal, incident))

    assert "<script" not in text
    assert not re.search(r"(?<!\\)[\[\]`*_]", text)
    assert not re.search(r"[@#](?=[\w])", text)
    assert "https://" not in text
    assert "www.e" not in text


async def test_secrets_that_slipped_into_an_old_timeline_are_not_exported(journal):
    incident = Incident("inc-x", "C1", "ghp_" + "a1B2" * 9, NOON, "U1")
    await journal._client.hset("tflock:{inc-x}:head", "tail", "0 0 2026-11-21T12:00:00.000000Z")
    await journal.append("inc-x", Draft(NOON, Kind.NOTE_ADDED, "U1", "x"))

    assert "GitHub token removed" in (await lines(journal, incident))[0]


async def test_an_incident_without_a_timeline_is_not_exported(journal):
    with pytest.raises(JournalAway):
        await markdown_content(journal, Incident("inc-nowhere", "C1", "x", NOON, "U1"))


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_an_escaped_text_is_one_line_and_leaves_no_special_character_bare(text):
    found = escaped(text)

    assert "\n" not in found
    assert not re.search(r"(?<!\\)(?:\\\\)*[`*_\[\]|~$]", found)
    assert "<" not in found
    assert ">" not in found
    assert not re.search(r"[@#](?![\u200b\\]|\s|$)", found)


def test_what_this_program_made_is_not_escaped_again():
    assert escaped(Markup("**x**")) == "**x**"


async def test_people_and_the_channel_are_called_by_name_where_the_name_is_known(journal, incident):
    await note(journal, incident, "Killed the loop", actor="U2")
    names = {"U2": "parker | <b>", "C1": "#inc-staging"}

    found = (await markdown_content(journal, incident, names)).decode().splitlines()

    assert f"| Channel | #{APART}inc-staging \\(C1\\) |" in found
    assert row_with("Killed the loop", found).split(" | ")[1] == "parker \\| &lt;b&gt;"
    assert row_with("| People |", found) == "| People | U1, parker \\| &lt;b&gt; \\(U2\\) |"
