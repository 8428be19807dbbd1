"""Export files: written part by part, and complete or not there."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

_CHUNK = 64 * 1024
"""Characters that are written together."""


def write(path: Path, parts: Iterable[str]) -> Path:
    """Writes the parts to the file in bounded memory; the file is replaced when all of it is on disk.

    Raises OSError; whatever goes wrong, a file that was there before stays as it was.
    """
    with drafted(path) as draft:
        for chunk in _chunks(parts):
            draft.write(chunk.encode())
    return path


@contextmanager
def drafted(path: Path) -> Iterator[IO[bytes]]:
    """A file to write to. It replaces `path` if all went well. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False)  # noqa: SIM115  closed, and moved or removed, below
    try:
        yield draft
        draft.flush()
        os.fsync(draft.fileno())
        draft.close()
        Path(draft.name).replace(path)
    except BaseException:
        Path(draft.name).unlink(missing_ok=True)
        with suppress(OSError):  # closing writes what is left, which a full disk does not take either
            draft.close()
        raise


def _chunks(parts: Iterable[str]) -> Iterator[str]:
    gathered, size = list[str](), 0
    for part in parts:
        gathered.append(part)
        size += len(part)
        if size >= _CHUNK:
            yield "".join(gathered)
            gathered, size = [], 0
    yield "".join(gathered)
