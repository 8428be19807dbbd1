"""Export files: written part by part, and there as a whole or not at all."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import IO

_CHUNK = 64 * 1024
"""Characters that are gathered before they are written."""


async def save(path: Path, parts: AsyncIterator[str]) -> Path:
    """Writes the parts to the file in bounded memory; the file is replaced when all of it is on disk.

    Raises OSError; whatever goes wrong, a file that was there before stays as it was.
    """
    draft = await asyncio.to_thread(_draft, path)
    try:
        async for chunk in _chunks(parts):
            await asyncio.to_thread(draft.write, chunk.encode())
        await asyncio.to_thread(_finish, draft, path)
    except BaseException:
        draft.close()
        Path(draft.name).unlink(missing_ok=True)  # noqa: ASYNC240  one call, on the way out of a failure
        raise
    return path


async def content(parts: AsyncIterator[str]) -> bytes:
    """The parts as the bytes of a file, for an upload."""
    return "".join([part async for part in parts]).encode()


async def _chunks(parts: AsyncIterator[str]) -> AsyncIterator[str]:
    gathered, size = list[str](), 0
    async for part in parts:
        gathered.append(part)
        size += len(part)
        if size >= _CHUNK:
            yield "".join(gathered)
            gathered, size = [], 0
    yield "".join(gathered)


def _draft(path: Path) -> IO[bytes]:
    path.parent.mkdir(parents=True, exist_ok=True)
    return tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False)


def _finish(draft: IO[bytes], path: Path) -> None:
    draft.flush()
    os.fsync(draft.fileno())
    draft.close()
    Path(draft.name).replace(path)
