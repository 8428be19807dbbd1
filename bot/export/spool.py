"""Lines on disk, read back in any order: so that an export's entries need not be in memory."""

from __future__ import annotations

import os
import tempfile
from array import array
from types import TracebackType
from typing import Self


class Spool:
    """Lines in a file without a name, which is gone with the process. Memory grows by eight bytes a line.

    It is filled first and read afterwards; several threads may read at once. Raises OSError where there is no room.
    """

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115  closed by __exit__
        self._starts = array("Q", [0])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._file.close()

    def __len__(self) -> int:
        return len(self._starts) - 1

    def add(self, line: bytes) -> None:
        self._file.write(line)
        self._starts.append(self._starts[-1] + len(line))

    def seal(self) -> None:
        """Ends the filling."""
        self._file.flush()

    def __getitem__(self, place: int) -> bytes:
        start, end = self._starts[place], self._starts[place + 1]
        return os.pread(self._file.fileno(), end - start, start)
