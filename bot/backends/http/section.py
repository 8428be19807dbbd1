"""The keys of a state behind the `http` protocol, as in Terraform's backend block."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from bot.config.section import BackendSection
from bot.config.values import HttpMethod, Url, Variable


class Backend(BackendSection):
    type: Literal["http"]
    address: Url
    lock_address: Url | None = None
    unlock_address: Url | None = None
    lock_method: HttpMethod = "LOCK"
    unlock_method: HttpMethod = "UNLOCK"
    username_env: Variable | None = None
    password_env: Variable | None = None

    @classmethod
    def identity(cls, given: Mapping[str, Any]) -> tuple[str, ...] | None:
        found = str(given.get("address") or "").rstrip("/")
        return (found,) if found else None

    @classmethod
    def identity_words(cls) -> str:
        return "address"

    @property
    def lock_path(self) -> str:
        """Empty: Terraform's `http` backend gives its locks no `Path`."""
        return ""

    @property
    def lock_at(self) -> str:
        return self.lock_address or self.address

    @property
    def unlock_at(self) -> str:
        return self.unlock_address or self.lock_at
