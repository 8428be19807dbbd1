"""`verify` of a live timeline, and `import` of an exported one."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from bot.core.record.timeline import Draft, Kind
from bot.store.connect import connect
from bot.store.embedded import redis_for

OPENED = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)


@pytest.fixture
async def incident(redis, store_at, terminal):
    terminal.environ["REDIS_URL"] = redis
    async with store_at(redis) as store:
        made, _ = await store.journal.open(channel="C0STAGING", title="staging locked", by="U0ELLIOTT", at=OPENED)
        for n in range(5):
            await store.journal.append(made.id, Draft(OPENED, Kind.NOTE_ADDED, "U0QUINN", f"note {n}"))
        await store.journal.close(made.id, by="U0QUINN", at=OPENED)
    return made.id


@pytest.fixture
async def client(redis):
    client = connect(redis)
    yield client
    await client.aclose()


async def test_a_live_timeline_that_is_whole_is_told_with_its_last_hash(incident, terminal):
    ended = await terminal.run("verify", incident)

    assert ended.code == 0
    assert ended.lines[0].startswith(f"{incident}: whole. 7 entries; last hash ")


async def test_the_first_entry_that_does_not_fit_is_named_with_its_time(incident, terminal, client):
    await client.xdel(f"tflock:{{{incident}}}:log", "3-0")

    ended = await terminal.run("verify", incident)

    assert (ended.code, ended.out) == (1, "")
    assert f"{incident}: the chain is broken at entry 4 (20" in ended.err


async def test_an_unknown_incident_and_a_missing_file_are_told_apart(incident, terminal):
    unknown, missing = await terminal.run("verify", "inc-nowhere"), await terminal.run("verify", "nowhere.json")

    assert (unknown.code, missing.code) == (1, 1)
    assert incident in unknown.err
    assert "nowhere.json cannot be read" in missing.err


async def test_words_that_were_taken_out_in_the_export_are_said_not_to_be_proven(incident, terminal):
    await terminal.run("export", incident, "--format", "json")
    path = terminal.home / "exports" / f"{incident}.json"
    told = json.loads(path.read_text())
    told["entries"][3].update(text="use [GitHub token removed]", redacted=True)
    path.write_text(json.dumps(told))

    ended = await terminal.run("verify", str(path))

    assert ended.code == 1
    assert "not proven in all its words. 7 entries" in ended.lines[0]
    assert ended.lines[1].startswith("Redacted in the export: 4.")
    assert ended.lines[2].endswith(f"tflock verify {incident}")


async def test_an_export_is_put_back_into_another_redis_as_it_was(incident, terminal, tmp_path):
    await terminal.run("export", incident, "--format", "json")
    path = f"exports/{incident}.json"
    async with redis_for(None, terminal.home / "other") as url:
        put = await terminal.run("import", path, REDIS_URL=url)
        whole = await terminal.run("verify", incident, REDIS_URL=url)
        again = await terminal.run("import", path, REDIS_URL=url)
        same = await terminal.run("export", incident, "--format", "json", "--output", "second", REDIS_URL=url)

    assert (put.code, whole.code, again.code, same.code) == (0, 0, 1, 0)
    assert "there already" in again.err
    assert whole.out == (await terminal.run("verify", incident)).out
    texts = [(terminal.home / directory / f"{incident}.json").read_text() for directory in ("exports", "second")]
    assert texts[0] == texts[1]
