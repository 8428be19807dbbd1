"""Reads what a Terraform state has recorded as a stream: the address and the id of each object, none of its values.

Memory grows with the number of objects, up to a bound, and not with what they hold.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

import ijson

from bot.backends.state_text import Parser
from bot.core.recovery.contents import Contents, Instance, address_of

MOST = 200_000
"""Objects of one state; of a larger one it is not known what it lacks."""

_RESOURCE, _INSTANCE = "resources.item", "resources.item.instances.item"
_OF_INSTANCE = {
    f"{_INSTANCE}.{path}": name
    for path, name in (
        ("index_key", "key"),
        ("deposed", "deposed"),
        ("status", "status"),
        ("attributes.id", "id"),
        ("attributes.name", "name"),
        ("attributes_flat.id", "id"),
    )
}
_OF_RESOURCE = {f"{_RESOURCE}.{name}": name for name in ("module", "mode", "type", "name")}
_OF_STATE = frozenset({"version", "serial", "lineage", "terraform_version", "encrypted_data", "encryption_version"})


def read_contents(chunks: Iterable[bytes]) -> Contents:
    """Reads the chunks one by one. Never raises for what they contain."""
    reader = ContentsReader()
    for chunk in chunks:
        reader.feed(chunk)
    return reader.finish()


class ContentsReader:
    """Takes a state's text piece by piece. Never raises for what it contains."""

    def __init__(self) -> None:
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._size = 0
        self._reader = _Reader()

    def feed(self, chunk: bytes) -> None:
        self._md5.update(chunk)
        self._size += len(chunk)
        self._reader.feed(chunk)

    def gap(self) -> None:
        """Something was left out: what is read then is nothing. Its reader has to look at that."""

    def finish(self) -> Contents:
        return self._reader.close(self._size, self._md5.hexdigest())


class _Reader:
    def __init__(self) -> None:
        self._parser = Parser(ijson.parse_coro)
        self._is_cut = False
        self._state: dict[str, object] = {}
        self._resource: dict[str, object] = {}
        self._instance: dict[str, object] = {}
        self._print: Any = None
        self._pending: list[tuple[dict[str, object], bytes]] = []
        self._instances: list[Instance] = []

    def feed(self, chunk: bytes) -> None:
        self._take_in(self._parser.feed(chunk))

    def close(self, size: int, md5: str) -> Contents:
        self._take_in(self._parser.finish())
        state, is_broken = self._state, self._parser.is_broken
        serial, lineage, version = state.get("serial"), state.get("lineage"), state.get("terraform_version")
        is_encrypted = not is_broken and "encrypted_data" in state and "encryption_version" in state
        return Contents(
            size=size,
            md5=md5,
            serial=serial if isinstance(serial, int) and not isinstance(serial, bool) else None,
            lineage=lineage if isinstance(lineage, str) and lineage else None,
            terraform_version=version if isinstance(version, str) else None,
            instances=tuple(self._instances),
            fault=None if is_encrypted else self._fault(size),
            is_encrypted=is_encrypted,
            is_cut=self._is_cut,
        )

    def _fault(self, size: int) -> str | None:
        """Why this is no whole state. Never quotes it: a state holds secrets."""
        if size == 0:
            return "it is empty"
        if self._parser.is_broken:
            return "it is not valid JSON"
        missing = [name for name in ("version", "serial", "lineage") if name not in self._state]
        return f"it has no {' and no '.join(missing)}" if missing else None

    def _take_in(self, events: Iterable[tuple[str, str, Any]]) -> None:
        for prefix, event, value in events:
            self._follow(prefix, event, value)

    def _follow(self, prefix: str, event: str, value: Any) -> None:
        if not prefix.startswith(_RESOURCE):
            if prefix in _OF_STATE:
                self._state.setdefault(prefix, value)
        elif prefix.startswith(_INSTANCE):
            self._in_instance(prefix, event, value)
        elif prefix in _OF_RESOURCE:
            self._resource[_OF_RESOURCE[prefix]] = value
        elif prefix == _RESOURCE and event == "end_map":
            self._ends()

    def _in_instance(self, prefix: str, event: str, value: Any) -> None:
        if prefix == _INSTANCE and event == "start_map":
            self._instance, self._print = {}, hashlib.blake2b(digest_size=16)
        elif prefix == _INSTANCE and event == "end_map":
            if len(self._instances) + len(self._pending) < MOST:
                self._pending.append((self._instance, self._print.digest()))
            else:
                self._is_cut = True
        elif prefix in _OF_INSTANCE and event in {"string", "number"}:
            self._instance.setdefault(_OF_INSTANCE[prefix], value)
        if self._print is not None:
            self._print.update(f"{prefix}\0{event}\0{value}\0".encode("utf-8", "surrogatepass"))

    def _ends(self) -> None:
        module, mode, kind, name = (_text(self._resource.get(key)) for key in ("module", "mode", "type", "name"))
        for instance, printed in self._pending:
            address = address_of(module, kind, name, instance.get("key"), is_data=mode == "data")
            if mode == "managed":
                self._instances.append(
                    Instance(
                        address,
                        id=_text(instance.get("id")),
                        name=_text(instance.get("name")),
                        deposed=_text(instance.get("deposed")),
                        is_tainted=instance.get("status") == "tainted",
                        print=printed,
                    )
                )
        self._pending, self._resource = [], {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
