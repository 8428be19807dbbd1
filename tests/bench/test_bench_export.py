"""The export of 100,000 entries in all formats: seconds, CPU and memory, beside a bare read of the same stream."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bot.core.record.incident import Incident
from bot.core.record.timeline import GENESIS, Draft, Kind, body_of, link, recordable
from bot.export.json.read import verify_json
from bot.store.chain import log_key
from bot.store.connect import Client, connect
from bot.store.embedded import redis_for
from bot.store.redis_journal import RedisJournal

pytestmark = [pytest.mark.bench, pytest.mark.timeout(1_800)]

ENTRIES = 100_000
AT_ONCE = 1_000
MOST_MEGABYTES = 300
OPENED = datetime(2026, 11, 21, 9, tzinfo=UTC)
ALL = ("json", "chart", "markdown", "html", "csv")

EXPORT = """
    import asyncio, json, random, re, sys, time
    from datetime import UTC, datetime
    from pathlib import Path
    from bot.export.exporter import FileExporter
    from bot.store.connect import connect
    from bot.store.redis_journal import RedisJournal

    class WallClock:
        def now(self):
            return datetime.now(UTC)

    async def main(url, incident, directory, formats):
        client, started = connect(url), time.perf_counter()
        journal = RedisJournal(client, clock=WallClock(), rng=random.Random())
        found = await journal.find(incident)
        written = await FileExporter(journal, Path(directory), formats.split()).write(found, {}, "Europe/Berlin")
        seconds = time.perf_counter() - started
        await client.aclose()
        return {"seconds": seconds, "failed": dict(written.failed)}

    told = asyncio.run(main(*sys.argv[1:]))
    told["cpu"] = time.process_time()
    told["kilobytes"] = int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
    print(json.dumps(told))
"""

BARE = """
    import asyncio, json, re, sys, time
    from pathlib import Path
    from bot.store.connect import connect

    async def main(url, key):
        client, started, last, count = connect(url), time.perf_counter(), "-", 0
        while page := await client.xrange(key, last, "+", count=100):
            count, last = count + len(page), f"({page[-1][0]}"
        seconds = time.perf_counter() - started
        await client.aclose()
        return {"seconds": seconds, "count": count}

    told = asyncio.run(main(*sys.argv[1:]))
    told["cpu"] = time.process_time()
    told["kilobytes"] = int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
    print(json.dumps(told))
"""


def facts_of(place: int) -> dict[str, Any]:
    """As large as what the bot writes: of ten entries one holds the evidence of a decision, the others a message."""
    if place % 10:
        return {"permalink": f"https://acme.slack.com/archives/C0STAGING/p17000{place:011d}", "author": "U0QUINN"}
    run = {
        "ci": "github", "system": "GitHub Actions", "pipeline": "acme/infra deploy.yml", "id": "9876543210",
        "url": "https://github.com/acme/infra/actions/runs/9876543210", "attempt": 1, "actor": "elliott",
        "trigger": "push", "phase": "ended", "conclusion": "timed_out",
        "started_at": "2026-11-21T09:02:00.000000Z", "ended_at": "2026-11-21T09:15:00.000000Z",
    }  # fmt: skip
    lock = {
        "id": "6638e4a0-0000-4000-8000-000000000001", "operation": "OperationTypeApply", "who": "runner@fv-az881-525",
        "created": "2026-11-21T09:05:00.000000Z", "version": "1.11.4",
        "path": "acme-tfstate/environments/staging/terraform.tfstate",
    }  # fmt: skip
    rules = ("same lock", "requester", "attributed", "dead", "settled", "quiet", "whole", "digest", "owner", "fresh")
    findings = [
        {"rule": rule, "effect": "holds", "reason": f"{rule}: seen at 2026-11-21 11:40:00 UTC"} for rule in rules
    ]
    evidence = {
        "state": "staging", "lock_id": lock["id"], "seen_at": "2026-11-21T11:40:00.000000Z",
        "lock": {"held": [{"half": "dynamodb", "lock_id": lock["id"]}], "free": [], "unseen": [], "locks": [lock]},
        "holder": {"strength": "window", "reason": "the only job at that time", "runs": [run], "unseen": []},
        "contenders": 3, "contending": [run, run, run], "loops": [],
    }  # fmt: skip
    return {
        "state": "staging",
        "verdict": {"ruling": "refuse", "until": None, "findings": findings},
        "evidence": evidence,
    }


def items(incident: Incident) -> Iterator[dict[str, str]]:
    """The whole timeline as stream items, chained."""
    prev = GENESIS
    for place in range(1, ENTRIES + 1):
        at = OPENED + timedelta(seconds=(place - 1) // 10)
        kind, facts = (Kind.MESSAGE_CAPTURED if place % 10 else Kind.GATE_DECIDED), facts_of(place)
        text = f"message {place}: the deployment to staging is still blocked, the job's log says the same as before"
        if place == 1:
            kind = Kind.INCIDENT_OPENED
            facts = {"incident": incident.id, "channel": incident.channel, "title": incident.title}
        body = body_of(str(place), recordable(Draft(at, kind, incident.opened_by, text, facts)), at)
        digest = link(prev, body)
        yield {"body": body, "prev": prev, "hash": digest}
        prev = digest


async def filled(client: Client) -> Incident:
    """An incident whose timeline is put there at once: appending has a benchmark of its own."""
    journal = RedisJournal(client, clock=WallClock(), rng=random.Random(4))
    incident, _ = await journal.open(channel="C0STAGING", title="staging locked", by="U0QUINN", at=OPENED)
    key, place = log_key(incident.id), 0
    await client.delete(key)
    pipe = client.pipeline(transaction=False)
    for place, item in enumerate(items(incident), start=1):
        pipe.xadd(key, item, id=f"{place}-0")
        if place % AT_ONCE == 0:
            await pipe.execute()
    return incident


class WallClock:
    def now(self) -> datetime:
        return OPENED


@pytest.fixture
async def url() -> AsyncIterator[str]:
    with tempfile.TemporaryDirectory(prefix="tf-") as directory:
        async with redis_for(None, Path(directory)) as made:
            yield made


def run(program: str, *arguments: str) -> dict[str, Any]:
    command = [sys.executable, "-c", textwrap.dedent(program), *arguments]
    told: dict[str, Any] = json.loads(subprocess.run(command, capture_output=True, check=True, text=True).stdout)
    return told


async def test_a_hundred_thousand_entries_are_exported_in_bounded_memory(url: str, tmp_path: Path, bench: Any) -> None:
    client = connect(url)
    incident = await filled(client)
    await client.aclose()

    bare = run(BARE, url, log_key(incident.id))
    alone = run(EXPORT, url, incident.id, str(tmp_path), "json")
    every = run(EXPORT, url, incident.id, str(tmp_path), " ".join(ALL))

    assert bare["count"] == ENTRIES
    assert not every["failed"]
    assert verify_json(tmp_path / f"{incident.id}.json").entries == ENTRIES
    assert {Path(name).suffix for name in os.listdir(tmp_path)} == {".json", ".png", ".md", ".html", ".csv"}  # noqa: PTH208 - pathlib's own would be a blocking call here
    for what, side in (("json and chart", alone), ("all formats", every)):
        megabytes = side["kilobytes"] / 1024
        bench.compared(
            f"export of {ENTRIES:,} entries, {what}",
            f"{side['seconds']:.0f} s (CPU {side['cpu']:.0f} s), XRANGE {bare['seconds']:.0f} s; {megabytes:.0f} MB",
            ratio=f"{side['cpu'] / bare['cpu']:.1f} times its CPU",
            target=f"60 s, {MOST_MEGABYTES} MB",
        )
        assert megabytes < MOST_MEGABYTES
