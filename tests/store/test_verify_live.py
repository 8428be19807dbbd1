"""`verify` on a timeline in Redis that somebody has tampered with."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from bot.core.record.timeline import Draft, Kind
from bot.usecases.record.verify import verify

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.fixture
def journal(make_journal, redis_url):
    return make_journal(redis_url)


@pytest.fixture
async def incident(journal):
    made, _ = await journal.open(channel="C1", title="staging", by="U1", at=NOON)
    for n in range(250):
        await journal.append(made.id, Draft(NOON, Kind.NOTE_ADDED, "U1", f"note {n}"))
    return await journal.close(made.id, by="U1", at=NOON)


def log(incident):
    return f"tflock:{{{incident.id}}}:log"


async def test_a_timeline_as_it_was_recorded_is_whole(journal, incident):
    checked = await verify(journal, incident)

    assert (checked.entries, checked.broken) == (252, None)
    assert checked.last == (await journal.tail(incident.id, 1))[0].hash


async def test_what_is_added_meanwhile_breaks_nothing(journal, make_journal, redis_url, incident):
    class Busy:
        """Adds an entry whenever something is read."""

        def __getattr__(self, name):
            async def call(*arguments):
                await journal.append(incident.id, Draft(NOON, Kind.NOTE_ADDED, "U1", name))
                return await getattr(journal, name)(*arguments)

            return call

        async def entries(self, incident_id):
            async for entry in journal.entries(incident_id):
                if entry.id in {"1", "100", "252"}:
                    await journal.rename(incident_id, f"t{entry.id}", by="U1", at=NOON)
                yield entry

    assert (await verify(Busy(), incident)).broken is None


async def changed(client, incident):
    ((_, fields),) = await client.xrange(log(incident), "120-0", "120-0")
    all_ = await client.xrange(log(incident))
    await client.delete(log(incident))
    for name, values in all_:
        said = values["body"].replace("note 118", "note 9") if name == "120-0" else values["body"]
        await client.xadd(log(incident), values | {"body": said}, id=name)
    assert fields


async def removed(client, incident):
    await client.xdel(log(incident), "120-0")


async def first_removed(client, incident):
    await client.xdel(log(incident), "1-0")


async def cut_off(client, incident):
    await client.xtrim(log(incident), maxlen=0, approximate=False)


async def end_cut_off(client, incident):
    await client.xdel(log(incident), "251-0", "252-0")


async def added(client, incident):
    ((_, fields),) = await client.xrange(log(incident), "252-0", "252-0")
    await client.xadd(log(incident), fields | {"body": fields["body"].replace('"id":"252"', '"id":"253"')}, id="253-0")


async def no_entry(client, incident):
    await client.xadd(log(incident), {"body": "[]"}, id="253-0")


async def retitled(client, incident):
    await client.hset(f"tflock:{{{incident.id}}}:head", "title", "all was well")


async def reopened(client, incident):
    await client.hdel(f"tflock:{{{incident.id}}}:head", "closed_at")


async def tailless(client, incident):
    await client.hset(f"tflock:{{{incident.id}}}:head", "tail", "x")


@pytest.mark.parametrize(
    ("tamper", "entry", "is_timed"),
    [
        (changed, "120", True),
        (removed, "121", True),
        (first_removed, "2", True),
        (cut_off, "1", False),
        (end_cut_off, "251", False),
        (added, "253", True),
        (no_entry, "253", False),
        (retitled, "252", True),
        (reopened, "252", True),
        (tailless, "?", False),
    ],
)
async def test_the_first_entry_that_does_not_fit_is_named(journal, incident, client, tamper, entry, is_timed):
    await tamper(client, incident)

    broken = (await verify(journal, incident)).broken

    assert broken is not None
    assert broken.entry_id == entry
    assert (broken.at is not None) == is_timed
    assert broken.detail
