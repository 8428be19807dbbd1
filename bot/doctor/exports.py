"""Where exports go. Nothing is written: whether a bucket takes files shows at the first export."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

from bot.app.adapters import export_bucket
from bot.app.wiring import Wiring
from bot.aws.clients import AwsClients
from bot.config.settings import Config
from bot.doctor.check import Area, Result
from bot.errors import Denied, UpstreamError
from bot.store.embedded import free_at, how_full

_EXPORTS = Area("exports")
_ON_TRUST = "whether it takes files shows with the first export"


async def checks(config: Config, wiring: Wiring) -> list[Result]:
    """Nothing of this stops an unlock, or the closing of an incident."""
    directory = await asyncio.to_thread(_directory, Path(config.export.directory))
    return [directory, *await _bucket(config, wiring.aws)]


def _directory(path: Path, *, free_at: Callable[[Path], int] = free_at) -> Result:
    there = next(parent for parent in (path, *path.absolute().parents) if parent.exists())
    if there.is_dir() and os.access(there, os.W_OK):
        full = how_full(free_at(there))
        if full:
            return _EXPORTS.warn("directory", f"the disk of {path} is {full}", "free that disk")
        return _EXPORTS.ok("directory", f"{path} can be written")
    fix = "let the bot's user write there, or name another export.directory"
    return _EXPORTS.warn("directory", f"{path} cannot be written", fix)


async def _bucket(config: Config, clients: AwsClients) -> list[Result]:
    bucket = export_bucket(config, clients)
    if bucket is None:
        return []
    place = bucket.place("INCIDENT")
    try:
        await bucket.look()
    except Denied:
        detail = f"{place}: s3:ListBucket is denied, which exports do not need; {_ON_TRUST}"
        return [_EXPORTS.ok("s3", detail)]
    except UpstreamError as error:
        said, fix = (_EXPORTS.unproven, "try again") if error.passes else (_EXPORTS.warn, "correct export.s3")
        return [said("s3", f"{place}: {error.detail}", fix)]
    return [_EXPORTS.ok("s3", f"{place}: the bucket is there; {_ON_TRUST}")]
