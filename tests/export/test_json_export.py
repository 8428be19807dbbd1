"""The JSON export proves itself: whatever was done to the file is found."""

import json
from datetime import UTC, datetime, timedelta
from importlib.resources import files

import pytest
from jsonschema import Draft202012Validator

from bot.core.account.values import Cause
from bot.core.record.incident import Incident
from bot.core.record.timeline import Draft, Kind, canonical, link
from bot.errors import ChainBroken, ExportInvalid, JournalAway
from bot.export.exporter import WRITERS
from bot.export.gather import gathered, gathered_file
from bot.export.json.read import SCHEMA, read_export, verify_json
from bot.export.json.write import write_json

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
TOKEN = "ghp_" + "a1B2" * 9
SCHEMA_FILE = files("bot.export") / "timeline.schema.json"
KEYS = ["id", "at", "recorded_at", "kind", "actor", "text", "facts", "prev", "hash"]


@pytest.fixture
async def incident(journal):
    made, _ = await journal.open(channel="C1", title="Stäging", by="U1", at=NOON)
    for n in range(3):
        facts = {"n": n, "float": 0.1 * n, "odd": "\ud800 \u2028 \x00"}
        await journal.append(made.id, Draft(NOON + timedelta(minutes=n), Kind.NOTE_ADDED, "U2", f"n{n} 😀", facts))
    return await journal.close(made.id, by="U1", at=NOON + timedelta(hours=1))


@pytest.fixture
def fits_the_schema():
    schema = Draft202012Validator(json.loads(SCHEMA_FILE.read_text()))

    def check(path):
        schema.validate(json.loads(path.read_text()))

    return check


@pytest.fixture
async def path(written, incident):
    return await written(incident, "json")


def change(path, how):
    export = json.loads(path.read_text())
    how(export)
    path.write_text(json.dumps(export))


async def test_the_export_has_the_keys_of_the_contract(path, incident):
    export = json.loads(path.read_text())

    assert path.name == f"{incident.id}.json"
    assert list(export) == ["schema", "incident", "display", "summary", "followups", "entries"]
    assert export["schema"] == SCHEMA
    assert export["incident"]["id"] == incident.id
    assert [list(entry) for entry in export["entries"]] == [KEYS] * 5
    assert export["entries"][0]["at"] == "2026-11-21T12:00:00.000000Z"


async def test_an_export_is_read_back_and_proves_whole(path, incident, journal):
    verified = verify_json(path)

    assert verified.incident == incident
    assert verified.entries == 5
    assert verified.last == (await journal.tail(incident.id, 1))[0].hash


async def test_the_file_may_be_spelled_otherwise_by_another_program(path):
    change(path, len)

    assert verify_json(path).entries == 5


async def test_it_fits_the_published_schema(path, incident, written, journal, fits_the_schema):
    fits_the_schema(path)
    await journal.append(incident.id, Draft(NOON, Kind.NOTE_ADDED, "U1", "late"))
    fits_the_schema(await written(incident, "json"))


def test_the_schema_names_every_cause_of_an_incident():
    causes = json.loads(SCHEMA_FILE.read_text())["properties"]["summary"]["properties"]["causes"]["items"]["enum"]

    assert causes == [cause.name.lower() for cause in Cause]


async def test_an_open_incident_is_exported_too(journal, written):
    incident, _ = await journal.open(channel="C2", title="", by="U1", at=NOON)

    verified = verify_json(await written(incident, "json"))

    assert verified.incident == incident
    assert verified.entries == 1


async def test_entries_behind_the_closing_are_in_the_export(journal, incident, written):
    await journal.append(incident.id, Draft(NOON, Kind.EXPORT_MADE, "tflock", "exported"))

    assert verify_json(await written(incident, "json")).entries == 6


async def test_an_incident_that_was_reopened_renamed_and_closed_again_proves_whole(journal, incident, written):
    await journal.reopen(incident.id, by="U2", at=NOON + timedelta(hours=2))
    reopened = await journal.rename(incident.id, "Still locked", by="U2", at=NOON + timedelta(hours=3))
    open_again = verify_json(await written(reopened, "json")).incident
    closed = await journal.close(incident.id, by="U2", at=NOON + timedelta(hours=4))

    path = await written(closed, "json")

    assert open_again.is_open
    assert verify_json(path).incident == closed
    assert closed.title == "Still locked"
    change(path, lambda export: export["incident"].update(closed_at="2026-11-21T13:00:00.000000Z"))
    with pytest.raises(ChainBroken, match="closing"):
        verify_json(path)


async def test_what_happened_to_the_incident_since_it_was_looked_up_is_in_the_export(journal, written):
    stale, _ = await journal.open(channel="C4", title="t", by="U1", at=NOON)
    await journal.rename(stale.id, "new title", by="U1", at=NOON)
    closed = await journal.close(stale.id, by="U1", at=NOON + timedelta(hours=1))

    assert verify_json(await written(stale, "json")).incident == closed


async def test_entries_that_are_added_meanwhile_are_not_in_the_export(journal, incident, tmp_path):
    async with gathered(journal, incident, names={}, zone="UTC") as material:
        await journal.append(incident.id, Draft(NOON, Kind.NOTE_ADDED, "U1", "late"))
        path = write_json(material, tmp_path / "x.json")

    assert verify_json(path).entries == 5


async def test_a_secret_whose_form_is_known_only_now_is_taken_out_and_the_place_is_still_proven(
    journal, incident, written, recorded_long_ago, fits_the_schema
):
    old = await recorded_long_ago(incident, "5", f"use {TOKEN}")
    await journal.append(incident.id, Draft(NOON, Kind.NOTE_ADDED, "U1", "later"))
    assert TOKEN in old.text

    paths = [await written(incident, form) for form in ("json", "csv", "markdown", "html")]
    verified = verify_json(paths[0])

    assert not [path for path in paths if TOKEN in path.read_text()]
    fits_the_schema(paths[0])
    rows = json.loads(paths[0].read_text())["entries"]
    assert [row.get("redacted") for row in rows] == [None] * 4 + [True, None]
    assert rows[4]["facts"]["said"] == "use [GitHub token removed]"
    assert (verified.entries, verified.redacted) == (6, ("5",))


@pytest.mark.parametrize(
    "said",
    [
        'password                = "hunter2hunter2" -> "hunter2hunter3"',
        "docker login -u ci -p hunter2hunter2 registry.example.com",
        "https://acme.blob.core.windows.net/x?sp=r&sig=hunter2hunter2%3D",
        "-----BEGIN " + "RSA PRIVATE KEY-----\nhunter2hunter2hunter2",
    ],
)
async def test_no_format_shows_a_secret_of_any_kind(incident, written, recorded_long_ago, said):
    await recorded_long_ago(incident, "5", said)

    paths = [await written(incident, form) for form in ("json", "csv", "markdown", "html", "chart")]

    assert not [path for path in paths if b"hunter2" in path.read_bytes()]
    assert verify_json(paths[0]).redacted == ("5",)


async def test_what_stands_under_a_telling_name_is_taken_out_of_an_old_entry_as_well(
    journal, incident, written, recorded_long_ago
):
    await recorded_long_ago(incident, "5", "logged in", password="correct horse")

    paths = [await written(incident, form) for form in ("json", "csv", "markdown", "html")]

    assert not [path for path in paths if "correct horse" in path.read_text()]
    assert verify_json(paths[0]).redacted == ("5",)


async def test_words_cannot_be_changed_under_the_pretence_of_a_redaction(incident, written):
    path = await written(incident, "json")
    change(path, lambda export: export["entries"][3].update(text="it was quinn", redacted=True))

    with pytest.raises(ChainBroken, match="none was taken out") as broken:
        verify_json(path)
    assert broken.value.entry_id == "4"


async def test_a_number_that_no_journal_writes_is_refused_and_digits_in_a_text_are_not(journal, incident, written):
    await journal.append(incident.id, Draft(NOON, Kind.NOTE_ADDED, "U1", 'digits "' + "9" * 9_000, {"number": 7}))
    path = await written(incident, "json")
    assert verify_json(path).entries == 6

    path.write_text(
        path.read_text()
        .replace('"number":7', '"number":' + "9" * 6_000)
        .replace('"number": 7', '"number": ' + "9" * 6_000)
    )
    with pytest.raises(ExportInvalid, match="more than 4,000 digits"):
        verify_json(path)


async def test_around_a_redacted_entry_every_change_is_found(incident, written, recorded_long_ago):
    await recorded_long_ago(incident, "5", f"use {TOKEN}")
    path = await written(incident, "json")
    whole = path.read_text()

    for forge in (
        lambda rows: rows[4].update(prev="0" * 64),
        lambda rows: rows[4].update(hash="0" * 64),
        lambda rows: rows[4].update(redacted=False),
        lambda rows: rows[4].pop("redacted"),
        lambda rows: rows[3].update(text="other"),
        lambda rows: rows.pop(4),
    ):
        path.write_text(whole)
        change(path, lambda export, forge=forge: forge(export["entries"]))
        with pytest.raises(ChainBroken):
            verify_json(path)


@pytest.mark.parametrize("form", ["markdown", "html", "json", "csv", "chart"])
async def test_an_export_is_read_back_and_renders_the_same(journal, incident, written, form, tmp_path):
    await journal.append(
        incident.id, Draft(NOON, Kind.ENTRY_EDITED, "U1", "e", {"entry": "3", "text": "better", "why": "typo"})
    )
    await journal.append(incident.id, Draft(NOON, Kind.ENTRY_MARKED, "U1", "m", {"entry": "2"}))
    await journal.append(incident.id, Draft(NOON, Kind.ENTRY_HIDDEN, "U1", "h", {"entry": "4"}))
    names, zone = {"U1": "quinn", "C1": "#inc"}, "Asia/Kathmandu"
    live = await written(incident, form, names, zone)
    source = await written(incident, "json", names, zone, to=tmp_path / "source")

    with gathered_file(source) as material:
        again = WRITERS[form][1](material, tmp_path / "again" / live.name)

    assert again.read_bytes() == live.read_bytes()


async def test_the_same_entries_make_the_same_files(incident, written):
    first = (await written(incident, "json")).read_bytes()

    assert (await written(incident, "json")).read_bytes() == first


async def test_only_the_record_counts_and_what_was_made_of_it_is_made_again(path):
    change(path, lambda export: [export.pop(name) for name in ("display", "summary", "followups")])
    assert verify_json(path).entries == 5

    change(path, lambda export: export.update(display={"zone": "../etc/passwd", "names": {"U1": 3}}))
    export = read_export(path)

    assert (export.names, export.zone) == ({}, "UTC")


async def test_the_entries_may_stand_before_the_incident(path):
    change(path, lambda export: export.update(incident=export.pop("incident")))

    assert verify_json(path).entries == 5


async def test_an_incident_whose_id_is_no_file_name_is_not_imported(path):
    def rename(export):
        entry = export["entries"][0]
        entry["facts"]["incident"] = export["incident"]["id"] = "../../etc/x"
        body = {name: value for name, value in entry.items() if name not in {"prev", "hash"}}
        entry["hash"] = link(entry["prev"], canonical(body))
        export["entries"] = [entry]
        export["incident"].update(last={"id": "1", "hash": entry["hash"]}, closed_at=None)

    change(path, rename)

    with pytest.raises(ExportInvalid, match="file name"):
        read_export(path)


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

    with pytest.raises(ChainBroken):
        verify_json(path)


@pytest.mark.parametrize("closed_at", [None, "2026-11-21T13:00:01Z", "soon"])
async def test_a_changed_closing_is_found(path, closed_at):
    change(path, lambda export: export["incident"].update(closed_at=closed_at))

    with pytest.raises((ChainBroken, ExportInvalid), match=r"closing|times"):
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
        ('{"schema": ' + "[" * 5_000 + "]" * 5_000 + "}", "nested"),
        ('{"schema": "%s", "incident": {}, "entries": [1], "more": 1}', "not the export"),
        ('{"schema": "%s", "incident": {}, "entries": [{"id": "1", "id": "2"}]}', "twice"),
        ('{"schema": "%s", "incident": {}, "entries": [1]} {}', "not JSON"),
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


async def test_a_failed_export_leaves_the_earlier_file_and_nothing_else(journal, path, incident, written):
    before = path.read_bytes()
    gone = Incident(incident.id, "C1", "x", NOON, "U1")
    await journal._client.xdel(f"tflock:{{{incident.id}}}:log", "3-0")
    await journal._client.xadd(f"tflock:{{{incident.id}}}:log", {"body": "broken"}, id="9-0")

    with pytest.raises(ChainBroken):
        await written(gone, "json")
    with pytest.raises(JournalAway):
        await written(Incident("inc-nowhere", "C1", "x", NOON, "U1"), "json")

    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]
