"""Reads a Terraform state as a stream: what it is, its MD5, and whether it is valid. Memory does not grow with it.

Format: Terraform's `internal/states/statefile` (top-level `version`, `terraform_version`, `serial`, `lineage`).
A state that OpenTofu has encrypted is one text with `serial` and `lineage` beside it, and is held in memory once
(OpenTofu's `internal/encryption`: `basedata` in base.go, `statedata` in state.go).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import ijson
from ijson.utils import sendable_list

from bot.core.lock import StateSeen

CHUNK = 64 * 1024

_WANTED = frozenset({"version", "terraform_version", "serial", "lineage"})
_ENCRYPTED = frozenset({"encrypted_data", "encryption_version"})
_OPENING = frozenset({"start_map", "start_array"})
_CLOSING = frozenset({"end_map", "end_array"})


@dataclass(frozen=True, slots=True)
class StateText:
    """What the bytes of a state object say. `size` in bytes.

    `fault` is None if it is a whole state of Terraform's, or one that OpenTofu has encrypted.
    """

    size: int
    md5: str
    serial: int | None
    lineage: str | None
    terraform_version: str | None
    fault: str | None
    is_encrypted: bool = False

    def seen(self, last_written: datetime, version_id: str | None) -> StateSeen:
        """As the state object's content, with what its store says of it."""
        return StateSeen(
            size=self.size, last_written=last_written, md5=self.md5, serial=self.serial, lineage=self.lineage,
            terraform_version=self.terraform_version, fault=self.fault, version_id=version_id,
            is_encrypted=self.is_encrypted,
        )  # fmt: skip


def read_state_text(chunks: Iterable[bytes]) -> StateText:
    """Reads the chunks one by one. Never raises for what they contain."""
    reader = StateReader()
    for chunk in chunks:
        reader.feed(chunk)
    return reader.finish()


class StateReader:
    """Takes a state's text piece by piece. Never raises for what it contains."""

    def __init__(self) -> None:
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._outline = _Outline()
        self._size = 0

    def feed(self, chunk: bytes) -> None:
        self._md5.update(chunk)
        self._size += len(chunk)
        self._outline.feed(chunk)

    def gap(self) -> None:
        """Something was left out: nothing more is known of the text. Its reader has to look at that."""

    def finish(self) -> StateText:
        """What the text says, once it was all fed."""
        outline = self._outline
        outline.finish()
        serial, lineage, version = (outline.found.get(key) for key in ("serial", "lineage", "terraform_version"))
        return StateText(
            size=self._size,
            md5=self._md5.hexdigest(),
            serial=serial if _is_number(serial) else None,
            lineage=lineage if isinstance(lineage, str) and lineage else None,
            terraform_version=version if isinstance(version, str) else None,
            fault="it is empty" if self._size == 0 else outline.fault(),
            is_encrypted=outline.is_encrypted,
        )


class Parser:
    """Drives one of ijson's parsers: pieces of a text in, events out. Never raises for what the text contains."""

    def __init__(self, parser: Callable[[Any], Any]) -> None:
        self.is_broken = False
        self._events: Any = sendable_list()
        self._parser = parser(self._events)

    def feed(self, chunk: bytes) -> list[Any]:
        """The events that this piece brought."""
        return self._driven(self._parser.send, chunk) if chunk else []  # to the parser no bytes mean the end

    def finish(self) -> list[Any]:
        return self._driven(self._parser.close)

    def _driven(self, step: Callable[..., Any], *args: bytes) -> list[Any]:
        if self.is_broken:
            return []
        try:
            step(*args)
        except ijson.JSONError:
            self.is_broken = True
        except (ValueError, ArithmeticError, SystemError):
            # a number that Python does not convert; ijson then leaves events with null pointers, not to be looked at
            self.is_broken = True
            self._events.clear()
        events = list(self._events)
        self._events.clear()
        return events


class _Outline:
    """Follows a JSON document as it comes in and keeps only the wanted top-level values."""

    def __init__(self) -> None:
        self.found: dict[str, Any] = {}
        self._parser = Parser(ijson.basic_parse_coro)
        self._depth = 0
        self._key: str | None = None
        self._is_object: bool | None = None

    def feed(self, chunk: bytes) -> None:
        self._take_in(self._parser.feed(chunk))

    def finish(self) -> None:
        self._take_in(self._parser.finish())

    @property
    def is_encrypted(self) -> bool:
        """Both say something, in valid JSON."""
        return not self._parser.is_broken and all(self.found.get(name) for name in _ENCRYPTED)

    def fault(self) -> str | None:
        """Why this is not a valid state. Never quotes it: a state holds secrets."""
        if self._parser.is_broken:
            return "it is not valid JSON"
        if not self._is_object:
            return "it is JSON, but not an object"
        if self.is_encrypted:
            return None
        missing = [
            name
            for name, there in (
                ("version", _is_number(self.found.get("version"))),
                ("serial", _is_number(self.found.get("serial"))),
                ("lineage", isinstance(self.found.get("lineage"), str) and bool(self.found["lineage"])),
            )
            if not there
        ]
        return f"it has no {' and no '.join(missing)}" if missing else None

    def _take_in(self, events: Iterable[tuple[str, Any]]) -> None:
        for event, value in events:
            if self.found.keys() >= _WANTED:
                return  # what is left only has to parse
            self._follow(event, value)

    def _follow(self, event: str, value: Any) -> None:
        if self._is_object is None:
            self._is_object = event == "start_map"
        if event in _OPENING:
            self._depth += 1
        elif event in _CLOSING:
            self._depth -= 1
        elif self._depth == 1 and event == "map_key":
            self._key = value
        elif self._depth == 1 and self._key in _WANTED and self._is_object:
            self.found[self._key] = value
        elif self._depth == 1 and self._key in _ENCRYPTED and self._is_object:
            self.found[self._key] = isinstance(value, str) and bool(value)


def _is_number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
