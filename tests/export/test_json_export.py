"""The JSON export proves itself: whatever was done to the file is found."""

import json
import tracemalloc
from datetime import UTC, datetime, timedelta

import pytest

from bot.core.incident import Incident
from bot.core.timeline import Draft, Kind, link
from bot.errors import ChainBroken, ExportInvalid, JournalAway
from bot.export.json_export import SCHEMA, json_content, verify_json, write_json

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
KEYS = ["id", "at", "recorded_at", "kind", "actor", "text", "facts", "prev", "hash"]


@pytest.fixture
async def incident(journal):
    made, _ = await journal.open(channel="C1", title="Stäging", by="U1", at=NOON)
    for n in range(3):
        facts = {"n": n, "float": 0.1 * n, "odd": "\ud800 \u2028 \x00"}
        await journal.append(made.id, Draft(NOON + timedelta(minutes=n), Kind.NOTE_ADDED, "U2", f"n{n} 😀", facts))
    return await journal.close(made.id, by="U1", at=NOON + timedelta(hours=1))


@pytest.fixture
async def path(journal, incident, tmp_path):
    return await write_json(journal, incident, tmp_path / "exports" / "deep")


def change(path, how):
    export = json.loads(path.read_text())
    how(export)
    path.write_text(json.dumps(export))


async def test_the_export_has_the_keys_of_the_contract(path, incident):
    export = json.loads(path.read_text())

    assert path.name == f"{incident.id}.json"
    assert list(export) == ["schema", "incident", "entries"]
    assert export["schema"] == SCHEMA
    assert export["incident"]["id"] == incident.id
    assert [list(entry) for entry in export["entries"]] == [KEYS] * 5
    assert export["entries"][0]["at"] == "2026-11-21T12:00:00.000000Z"


async def test_an_export_is_read_back_and_proves_whole(path, incident, journal):
    verified = verify_json(path)

    assert verified.incident == incident
    assert verified.entries == 5
    assert verified.last == (await journal.tail(incident.id, 1))[0].hash


async def test_the_bytes_for_an_upload_are_those_of_the_file(path, journal, incident):
    assert await json_content(journal, incident) == path.read_bytes()


async def test_the_file_may_be_spelled_otherwise_by_another_program(path):
    change(path, len)

    assert verify_json(path).entries == 5


async def test_an_open_incident_is_exported_too(journal, tmp_path):
    incident, _ = await journal.open(channel="C2", title="", by="U1", at=NOON)

    verified = verify_json(await write_json(journal, incident, tmp_path))

    assert verified.incident == incident
    assert verified.entries == 1


async def test_entries_behind_the_closing_are_in_the_export(journal, incident, tmp_path):
    await journal.append(incident.id, Draft(NOON, Kind.EXPORT_MADE, "tflock", "exported"))

    assert verify_json(await write_json(journal, incident, tmp_path)).entries == 6


@pytest.mark.parametrize("name", [name for name in KEYS if name != "facts"])
@pytest.mark.parametrize("place", [0, 2, 4])
async def test_a_changed_field_is_found_at_its_entry(path, name, place):
    def forge(export):
        export["entries"][place][name] = str(export["entries"][place][name]).translate({ord("2"): "3"}) + "0"

    change(path, forge)

    with pytest.raises(ChainBroken) as caught:
        verify_json(path)
    assert caught.value.entry_id == str(place + 1) or name == "id"


@pytest.mark.parametrize(
    ("forge", "entry_id"),
    [
        (lambda entries: entries[2]["facts"].update(n=9), "3"),
        (lambda entries: entries[2]["facts"].update(n=1.0), "3"),
        (lambda entries: entries[2].update(more="x"), "3"),
        (lambda entries: entries[2].pop("text"), "3"),
        (lambda entries: entries[2].update(text="\ud800"), "3"),
        (lambda entries: entries[2].update(text=["x"]), "3"),
        (lambda entries: entries.__setitem__(2, "text"), "at place 3"),
        (lambda entries: entries.pop(0), "2"),
        (lambda entries: entries.pop(2), "4"),
        (lambda entries: entries.insert(2, entries[1]), "2"),
        (lambda entries: entries.insert(2, entries.pop(3)), "4"),
    ],
)
async def test_a_forged_list_of_entries_is_found_at_the_first_wrong_one(path, forge, entry_id):
    change(path, lambda export: forge(export["entries"]))

    with pytest.raises(ChainBroken) as caught:
        verify_json(path)
    assert caught.value.entry_id == entry_id


async def test_an_export_that_was_cut_short_is_found(path):
    change(path, lambda export: export["entries"].pop())

    with pytest.raises(ChainBroken):
        verify_json(path)


async def test_an_entry_that_was_added_at_the_end_with_a_fitting_hash_is_found(path):
    def add(export):
        body = {name: value for name, value in export["entries"][1].items() if name not in {"prev", "hash"}}
        body |= {"id": "6"}
        prev = export["entries"][-1]["hash"]
        text = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        export["entries"].append(body | {"prev": prev, "hash": link(prev, text)})

    change(path, add)

    with pytest.raises(ChainBroken, match="last entry"):
        verify_json(path)


@pytest.mark.parametrize("name", ["id", "channel", "title", "opened_by"])
async def test_a_changed_head_is_found(path, name):
    change(path, lambda export: export["incident"].update({name: "other"}))

    with pytest.raises(ChainBroken, match="entry 1"):
        verify_json(path)


@pytest.mark.parametrize("closed_at", [None, "2026-11-21T13:00:01Z"])
async def test_a_changed_closing_is_found(path, closed_at):
    change(path, lambda export: export["incident"].update(closed_at=closed_at))

    with pytest.raises(ChainBroken, match="closing"):
        verify_json(path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "not JSON"),
        ("# Markdown", "not JSON"),
        ("[1, 2]", "not the export"),
        ("{}", "not the export"),
        ('{"schema": 9, "incident": {}, "entries": [1]}', "schema"),
        ('{"schema": "%s", "incident": {}, "entries": []}', "no entries"),
        ('{"schema": "%s", "incident": {}, "entries": [1]}', "lacks"),
        ('{"schema": "%s", "schema": "%s", "incident": {}, "entries": [1]}', "twice"),
        ('{"schema": NaN}', "NaN"),
        ("[" * 200_000, "not JSON"),
    ],
)
def test_what_is_no_export_is_said_clearly(tmp_path, text, said):
    path = tmp_path / "file.json"
    path.write_text(text.replace("%s", SCHEMA))

    with pytest.raises(ExportInvalid, match=said):
        verify_json(path)


def test_a_file_that_is_not_there_or_not_text_is_said_clearly(tmp_path):
    with pytest.raises(ExportInvalid, match="cannot be read"):
        verify_json(tmp_path / "nothing.json")
    (tmp_path / "bytes.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ExportInvalid, match="not JSON"):
        verify_json(tmp_path / "bytes.json")


async def test_a_failed_export_leaves_the_earlier_file_and_nothing_else(journal, path, incident):
    before = path.read_bytes()
    gone = Incident(incident.id, "C1", "x", NOON, "U1")
    await journal._client.xdel(f"tflock:{{{incident.id}}}:log", "3-0")
    await journal._client.xadd(f"tflock:{{{incident.id}}}:log", {"body": "broken"}, id="9-0")

    with pytest.raises(ChainBroken):
        await write_json(journal, gone, path.parent)
    with pytest.raises(JournalAway):
        await write_json(journal, Incident("inc-nowhere", "C1", "x", NOON, "U1"), path.parent)

    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


async def test_memory_does_not_grow_with_the_timeline(journal, tmp_path):
    incident, _ = await journal.open(channel="C3", title="long", by="U1", at=NOON)
    for n in range(1500):
        await journal.append(incident.id, Draft(NOON, Kind.MESSAGE_CAPTURED, "U1", f"{n} " + "x" * 4000))

    tracemalloc.start()
    path = await write_json(journal, incident, tmp_path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert path.stat().st_size > 6_000_000
    assert peak < 3_500_000
    assert verify_json(path).entries == 1501
