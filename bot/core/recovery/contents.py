"""What a Terraform state has recorded, as values: addresses and ids of its objects, and nothing of their attributes.

Format: Terraform's `internal/states/statefile` (`version4.go`), addresses as its `internal/addrs` prints them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Instance:
    """One object of a state. `id` and `name` are its attributes of these names, empty where it has none.

    `deposed` is the key of an object that has been replaced and not yet destroyed. `print` is a hash of all that the
    state says of it: two that differ have changed.
    """

    address: str
    id: str = field(default="", repr=False)
    name: str = field(default="", repr=False)
    deposed: str = ""
    is_tainted: bool = False
    print: bytes = field(default=b"", repr=False)

    @property
    def shown(self) -> str:
        """As Terraform prints it."""
        return f"{self.address} (deposed object {self.deposed})" if self.deposed else self.address

    @property
    def type(self) -> str:
        return type_of(self.address)


@dataclass(frozen=True, slots=True)
class Contents:
    """What one version of a state holds. `fault` says why it is no whole state; its objects then are not all of them.

    `is_encrypted`: OpenTofu has encrypted it; such a state is not broken, it cannot be read here. `is_cut`: it has more
    objects than are followed. `md5` is of its bytes, and what Terraform keeps as its digest.
    """

    size: int
    md5: str
    serial: int | None = None
    lineage: str | None = None
    terraform_version: str | None = None
    instances: tuple[Instance, ...] = ()
    fault: str | None = None
    is_encrypted: bool = False
    is_cut: bool = False

    @property
    def is_readable(self) -> bool:
        """Whether its objects are known: all of them."""
        return self.fault is None and not self.is_encrypted and not self.is_cut


@dataclass(frozen=True, slots=True)
class Version:
    """A version of a state object as its store lists it. `id` is the store's. `at` is on the store's clock, and None
    where the store does not tell.
    """

    id: str
    at: datetime | None
    size: int
    is_newest: bool = False


def address_of(module: str, kind: str, name: str, key: object, *, is_data: bool = False) -> str:
    """The address of an instance as Terraform prints it. `key` is its `count` index or its `for_each` key, or None."""
    parts = [part for part in (module, "data" if is_data else "", kind, name) if part]
    return f"{'.'.join(parts)}{_bracketed(key)}"


def _bracketed(key: object) -> str:
    if key is None:
        return ""
    if isinstance(key, str):
        return f'["{quoted(key)}"]'
    return f"[{key}]"


_ESCAPES = {"\n": "\\n", "\r": "\\r", "\t": "\\t", '"': '\\"', "\\": "\\\\"}


def quoted(text: str) -> str:
    """The inside of a string of Terraform's language that means this text (`toHCLQuotedString` of `internal/addrs`)."""
    escaped = "".join(_ESCAPES.get(char, char) for char in text)
    return escaped.replace("${", "$${").replace("%{", "%%{")


def type_of(address: str) -> str:
    """The type of the object at an address: `aws_instance` for `module.a["x.y"].aws_instance.web[0]`."""
    parts = _parts(address)
    while len(parts) > 2 and parts[0] == "module":  # noqa: PLR2004 - a step of a module is two parts
        parts = parts[2:]
    return parts[1] if parts[0] == "data" and len(parts) > 1 else parts[0]


def _parts(address: str) -> list[str]:
    """The parts between the dots that are outside of keys, without the keys."""
    parts, part, is_key, is_quoted, is_escaped = [], "", False, False, False
    for char in address:
        if is_quoted:
            is_quoted = char != '"' or is_escaped
            is_escaped = char == "\\" and not is_escaped
        elif is_key:
            is_quoted, is_key = char == '"', char != "]"
        elif char == "[":
            is_key = True
        elif char == ".":
            parts.append(part)
            part = ""
        else:
            part += char
    return [*parts, part]
