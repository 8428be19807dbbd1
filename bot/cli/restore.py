"""`import`: an exported timeline is put back into Redis, as after a loss of it or on another installation."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from itertools import islice
from pathlib import Path

import typer

from bot.app.wiring import VAR, wired
from bot.config.load import Config
from bot.core.record.timeline import Entry
from bot.errors import ChainBroken
from bot.export.json.read import Export, read_export
from bot.store.embedded import redis_for

_TOGETHER = 200


async def put_back(config: Config, file: Path) -> int:
    """The exit code: 1 if the incident is there already. Needs no Slack, and starts an embedded Redis if none runs.

    Raises ExportInvalid, ChainBroken, JournalAway, or NotPermitted if the incident is open and its channel is not free.
    """
    export = await asyncio.to_thread(read_export, file)
    name = export.incident.id
    given = config.redis_url.get_secret_value() if config.redis_url else None
    async with redis_for(given, VAR) as url, wired(config, url) as wiring:
        is_new = await wiring.world.journal.restore(export.incident, _entries(export))
    if not is_new:
        typer.echo(f"{name} is there already. Nothing was changed.", err=True)
        return 1
    typer.echo(f"{name}: put back, {export.last[0]} entries; last hash {export.last[1]}")
    return 0


async def _entries(export: Export) -> AsyncIterator[Entry]:
    """Read in a thread, a part of the file at a time."""
    rows = export.rows()
    while part := await asyncio.to_thread(lambda: list(islice(rows, _TOGETHER))):
        for entry, was_redacted in part:
            if was_redacted:
                detail = "lost a secret in the export, so that it cannot be put back as it was recorded"
                raise ChainBroken(entry.id, detail)
            yield entry
