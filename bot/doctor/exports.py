"""The doctor's look at where exports go. It writes nothing: whether a bucket takes files shows at the first export."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from bot.app.adapters import export_bucket
from bot.aws.clients import AwsClients
from bot.config.settings import Config
from bot.doctor.check import Check, Level
from bot.errors import Denied, UpstreamError

_ON_TRUST = "whether it takes files shows with the first export"


async def export_checks(config: Config, clients: AwsClients) -> list[Check]:
    """Nothing of this stops an unlock, or the closing of an incident."""
    directory = await asyncio.to_thread(_directory, Path(config.export.directory))
    return [directory, *await _bucket(config, clients)]


def _directory(path: Path) -> Check:
    there = next(parent for parent in (path, *path.absolute().parents) if parent.exists())
    if there.is_dir() and os.access(there, os.W_OK):
        return Check("exports", "directory", Level.OK, f"{path} can be written")
    mend = "let the bot's user write there, or name another export.directory"
    return Check("exports", "directory", Level.WARN, f"{path} cannot be written", mend)


async def _bucket(config: Config, clients: AwsClients) -> list[Check]:
    bucket = export_bucket(config, clients)
    if bucket is None:
        return []
    place = bucket.place("INCIDENT")
    try:
        await bucket.look()
    except Denied:
        told = f"{place}: s3:ListBucket is denied, which exports do not need; {_ON_TRUST}"
        return [Check("exports", "s3", Level.OK, told)]
    except UpstreamError as error:
        mend = "correct export.s3 or the way to AWS"
        return [Check("exports", "s3", Level.WARN, f"{place}: {error.detail}", mend)]
    return [Check("exports", "s3", Level.OK, f"{place}: the bucket is there; {_ON_TRUST}")]
