"""Timelines in a real Redis, to be exported."""

import random
import re
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bot.core.instants import stamp
from bot.core.record.timeline import GENESIS, Entry, Kind, body_of_entry, link
from bot.export.exporter import WRITERS
from bot.export.gather import gathered
from bot.export.json.read import SCHEMA
from bot.export.json.row import row_of, spelled
from bot.store.chain import log_key
from bot.store.connect import connect
from bot.store.redis_journal import RedisJournal
from tests.worlds.clocks import SetClock
from tests.worlds.redis_server import own_redis

RECORDED = datetime(2026, 11, 21, 12, 30, tzinfo=UTC)


@pytest.fixture
async def journal() -> AsyncIterator[RedisJournal]:
    async with own_redis() as url:
        client = connect(url)
        yield RedisJournal(client, clock=SetClock(RECORDED), rng=random.Random(4))
        await client.aclose()


@pytest.fixture
def written(journal, tmp_path) -> Callable:
    """Writes one format of an incident as it stands, and returns the path."""

    async def write(incident, form: str, names: Mapping[str, str] | None = None, zone: str = "UTC", to=None) -> Path:
        suffix, writer = WRITERS[form]
        async with gathered(journal, incident, names=names or {}, zone=zone) as material:
            return writer(material, (to or tmp_path / "exports") / f"{incident.id}{suffix}")

    return write


@pytest.fixture
def recorded_long_ago(journal) -> Callable:
    """Puts an entry on a timeline as a version did that did not know the form of the secret in it."""

    async def record(incident, entry_id: str, text: str, **more: str) -> Entry:
        """Replaces the text of the entry `entry_id`, which must be the last one."""
        (last,) = await journal.tail(incident.id, 1)
        assert last.id == entry_id
        bare = Entry(
            last.id,
            last.at,
            last.recorded_at,
            last.kind,
            last.actor,
            text,
            {**last.facts, "said": text, **more},
            last.prev,
            "",
        )
        body = body_of_entry(bare)
        digest = link(last.prev, body)
        client, stream = journal._client, log_key(incident.id)
        ((_, fields),) = await client.xrange(stream, f"{entry_id}-0", f"{entry_id}-0")
        await client.xdel(stream, f"{entry_id}-0")
        await client.execute_command("XSETID", stream, f"{int(entry_id) - 1}-0")
        await client.xadd(stream, {**fields, "body": body, "hash": digest}, id=f"{entry_id}-0")
        head = f"tflock:{{{incident.id}}}:head"
        ordinal, _, recorded_at = (await client.hget(head, "tail")).split(" ")
        await client.hset(head, "tail", f"{ordinal} {digest} {recorded_at}")
        journal._recorder.forget(incident.id)
        return (await journal.tail(incident.id, 1))[0]

    return record


@pytest.fixture
def long_export(tmp_path) -> Callable[[int], Path]:
    """Makes the JSON export of an incident with so many entries, each of about a kilobyte."""

    def make(count: int) -> Path:
        path, prev = tmp_path / f"{count}.json", GENESIS
        opened = {"incident": "inc-long", "channel": "C1", "title": "long"}
        with path.open("w") as file:
            rows = []
            for n in range(1, count + 1):
                kind, facts = (
                    (Kind.NOTE_ADDED, {"n": n, "more": "x" * 600}) if n > 1 else (Kind.INCIDENT_OPENED, opened)
                )
                at = RECORDED + timedelta(seconds=n)
                text = f"note {n}: the deployment to staging is still blocked"
                entry = Entry(str(n), at, at, kind, "U1", text, facts, prev, "")
                prev = link(prev, body_of_entry(entry))
                rows.append(spelled(row_of(replace(entry, hash=prev), redacted=False)))
            at = stamp(RECORDED + timedelta(seconds=1))
            last = {"id": str(count), "hash": prev}
            head = {"id": "inc-long", "channel": "C1", "title": "long", "opened_at": at, "opened_by": "U1"}
            head |= {"closed_at": None, "last": last}
            file.write(f'{{"schema": "{SCHEMA}", "incident": {spelled(head)}, "entries": [')
            file.write(",\n".join(rows) + "]}")
        return path

    return make


@pytest.fixture
def described() -> Callable[[str, str], list[str]]:
    """The names in the first column of the table below a heading of a page in docs/."""

    def read(page: str, heading: str) -> list[str]:
        text = (Path(__file__).parents[2] / "docs" / page).read_text()
        section = text.split(f"\n{heading}\n", 1)[1].split("\n## ", 1)[0]
        return re.findall(r"^\| `([^`]+)`", section, re.MULTILINE)

    return read
