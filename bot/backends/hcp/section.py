"""The keys of a state in HCP Terraform or Terraform Enterprise, as in Terraform's `cloud` block."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from bot.config.section import BackendSection
from bot.config.values import Host, Text, Url, Variable


class Backend(BackendSection):
    type: Literal["hcp"]
    hostname: Host = "app.terraform.io"
    organization: Text
    workspace: Text
    endpoint_url: Url | None = None
    token_env: Variable = "TFE_TOKEN"  # noqa: S105 - the name of a variable

    @classmethod
    def identity(cls, given: Mapping[str, Any]) -> tuple[str, ...] | None:
        defaults = {"hostname": "app.terraform.io", "endpoint_url": ""}
        parts = ("organization", "workspace", *defaults)
        found = tuple(str(given.get(part) or defaults.get(part, "")) for part in parts)
        return found if all(found[:2]) else None

    @classmethod
    def identity_words(cls) -> str:
        return "organization and workspace"

    @property
    def address(self) -> str:
        return self.endpoint_url or f"https://{self.hostname}"

    @property
    def lock_path(self) -> str:
        """What Terraform calls the lock (`lock ID: "acme/network"`): it writes no `Path` here.

        Source: `Lock` in Terraform's `internal/cloud/state.go`.
        """
        return f"{self.organization}/{self.workspace}"
