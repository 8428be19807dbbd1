"""The keys of a state behind the `http` protocol, as in Terraform's backend block."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from bot.config.section import BackendSection, Block, Told
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

    blocks: ClassVar = ("http",)
    place_keys: ClassVar = ("address",)
    place_words: ClassVar = "address"

    @classmethod
    def read(cls, block: Block, env: Mapping[str, str]) -> Told | None:
        """Terraform reads a variable only for what the block leaves out."""
        given = {name: block.get(name) or env.get(f"TF_HTTP_{name.upper()}", "") for name in cls.model_fields}
        told = super().read(given, env)
        if told is not None:
            told.notes.append("if the server requires a login, give username_env and password_env")
        return told

    @classmethod
    def identity(cls, given: Mapping[str, Any]) -> tuple[str, ...] | None:
        return super().identity({**given, "address": str(given.get("address") or "").rstrip("/")})

    @property
    def lock_at(self) -> str:
        return self.lock_address or self.address

    @property
    def unlock_at(self) -> str:
        return self.unlock_address or self.lock_at
