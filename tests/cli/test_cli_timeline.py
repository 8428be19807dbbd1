"""`timeline`, `export` and `verify`, on the record of a real incident in Redis."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from bot.core.record.timeline import Draft, Kind
from bot.store.embedded import redis_for

OPENED = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)


async def recorded(store):
    """An incident with a note whose text and time were corrected, and one that was taken back."""
    incident, _ = await store.journal.open(channel="C0STAGING", title="staging locked", by="U0ELLIOTT", at=OPENED)
    texts = ("the aply hangs", "wrong channel")
    notes = [
        (
            await store.journal.append(
                incident.id, Draft(OPENED + timedelta(minutes=5), Kind.NOTE_ADDED, "U0QUINN", text)
            )
        )
        for text in texts
    ]
    earlier = (OPENED + timedelta(minutes=2)).isoformat()
    edit = {"entry": notes[0].entry.id, "text": "the apply hangs", "at": earlier}
    now = OPENED + timedelta(minutes=9)
    await store.journal.append(incident.id, Draft(now, Kind.ENTRY_EDITED, "U0QUINN", "corrected", edit))
    hidden = {"entry": notes[1].entry.id}
    await store.journal.append(incident.id, Draft(now, Kind.ENTRY_HIDDEN, "U0QUINN", "taken back", hidden))
    return incident.id


@pytest.fixture
async def incident(redis, store_at, terminal):
    terminal.environ["REDIS_URL"] = redis
    async with store_at(redis) as store:
        return await recorded(store)


async def test_a_timeline_shows_edits_applied_and_dates_in_utc(incident, terminal):
    ended = await terminal.run("timeline", incident)

    assert ended.code == 0
    assert "staging locked" in ended.lines[0]
    assert "2026-11-21 09:02:00 UTC  U0QUINN  note.added: the apply hangs (edited)" in ended.lines
    assert "wrong channel" not in ended.out
    assert "elliott" in ended.out


async def test_the_json_of_a_timeline_has_the_documented_keys(incident, terminal, described):
    ended = await terminal.run("timeline", incident, "--json")

    assert ended.code == 0
    named = described("commands-json.md", "`timeline INCIDENT`")
    assert set(ended.document) == {name for name in named if "." not in name}
    entries = ended.document["entries"]
    assert [entry["text"] for entry in entries] == ["Incident opened: staging locked", "the apply hangs"]
    assert {f"entries[].{key}" for key in entries[0]} <= {name for name in named if "." in name}


async def test_an_unknown_incident_exits_1_with_the_known_ones(incident, terminal):
    for command in ("timeline", "export"):
        ended = await terminal.run(command, "inc-20261121-stging")
        assert (ended.code, ended.out) == (1, "")
        assert incident in ended.err


async def test_without_any_timeline_it_is_said_so_and_nothing_is_made(terminal):
    ended = await terminal.run("timeline", "inc-1")

    assert ended.code == 1
    assert "REDIS_URL is not set" in ended.err
    assert not (terminal.home / "var").exists()


async def test_a_redis_that_is_away_exits_1(terminal):
    ended = await terminal.run("timeline", "inc-1", REDIS_URL="redis://:distinctive@127.0.0.1:1/0")

    assert ended.code == 1
    assert "Redis" in ended.err


async def test_an_embedded_redis_is_started_to_read_its_timelines(terminal, store_at):
    async with redis_for(None, terminal.home / "var") as url, store_at(url) as store:
        incident = await recorded(store)

    ended = await terminal.run("timeline", incident)

    assert ended.code == 0
    assert "the apply hangs" in ended.out


async def test_an_export_writes_the_configured_formats_and_prints_their_paths(incident, terminal):
    ended = await terminal.run("export", incident)

    assert ended.code == 0
    assert sorted(ended.lines) == [f"exports/{incident}.{suffix}" for suffix in ("json", "md", "png")]
    document = json.loads((terminal.home / "exports" / f"{incident}.json").read_text())
    assert document["entries"][0]["kind"] == "incident.opened"


@pytest.mark.parametrize(
    ("form", "suffix"), [("markdown", "md"), ("json", "json"), ("csv", "csv"), ("html", "html"), ("chart", "png")]
)
async def test_one_format_can_be_asked_for_and_a_directory(form, suffix, incident, terminal):
    ended = await terminal.run("export", incident, "--format", form, "--output", "elsewhere")

    assert (ended.code, ended.lines) == (0, [f"elsewhere/{incident}.{suffix}"])
    assert [path.name for path in (terminal.home / "elsewhere").iterdir()] == [f"{incident}.{suffix}"]


async def test_an_unknown_format_exits_2_with_the_nearest(incident, terminal):
    for source in (incident, "some.json"):
        unknown = await terminal.run("export", source, "--format", "markdwn")

        assert unknown.code == 2
        assert "Did you mean markdown?" in unknown.err
    assert not (terminal.home / "exports").exists()


async def test_a_directory_that_cannot_be_written_exits_1(incident, terminal):
    (terminal.home / "taken").write_text("a file")

    ended = await terminal.run("export", incident, "--output", "taken")

    assert ended.code == 1
    assert "cannot be written" in ended.err


async def test_an_export_can_be_verified_and_an_altered_one_is_found_out(incident, terminal):
    await terminal.run("export", incident, "--format", "json")
    path = terminal.home / "exports" / f"{incident}.json"

    whole = await terminal.run("verify", str(path))
    path.write_text(path.read_text().replace("the aply hangs", "the apply went well"))
    altered = await terminal.run("verify", str(path))

    assert (whole.code, altered.code) == (0, 1)
    assert incident in whole.out
    assert "the chain is broken" in altered.err


async def test_the_other_formats_are_written_again_from_the_json_export_alone(incident, terminal):
    await terminal.run("export", incident)
    live = terminal.home / "exports"
    (terminal.home / "tflock.yml").unlink()

    ended = await terminal.run("export", f"exports/{incident}.json", "--output", "again", REDIS_URL="")

    assert ended.code == 0
    assert sorted(ended.lines) == [f"again/{incident}.{suffix}" for suffix in ("csv", "html", "md", "png")]
    for suffix in ("md", "png"):
        name = f"{incident}.{suffix}"
        assert (terminal.home / "again" / name).read_bytes() == (live / name).read_bytes()


async def test_an_altered_export_is_not_written_again(incident, terminal):
    await terminal.run("export", incident, "--format", "json")
    path = terminal.home / "exports" / f"{incident}.json"
    path.write_text(path.read_text().replace("the aply hangs", "the apply went well"))

    ended = await terminal.run("export", str(path), "--output", "again")

    assert (ended.code, ended.out) == (1, "")
    assert "the chain is broken" in ended.err
    assert not (terminal.home / "again").exists()
