"""The lines of a text that comes in pieces, each of them bounded. Pure."""

from __future__ import annotations

import codecs
from collections.abc import Iterator

LONGEST_LINE = 65_536


class Lines:
    """`is_cut` once a line was longer than it may be: then its end was left out."""

    def __init__(self) -> None:
        self.is_cut = False
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._rest = ""
        self._is_passing_over = False

    def feed(self, chunk: bytes) -> Iterator[str]:
        *lines, self._rest = (self._rest + self._decoder.decode(chunk)).split("\n")
        for line in lines:
            if not self._is_passing_over:
                yield line
            self._is_passing_over = False
        if len(self._rest) > LONGEST_LINE:
            if not self._is_passing_over:
                yield self._rest[:LONGEST_LINE]
            self._rest, self._is_passing_over, self.is_cut = "", True, True

    def gap(self) -> None:
        """Something was left out: the line before has no end, and the next one no beginning."""
        self._decoder.reset()
        self._rest, self._is_passing_over = "", True

    def close(self) -> Iterator[str]:
        if self._rest and not self._is_passing_over:
            yield self._rest
        self._rest = ""
