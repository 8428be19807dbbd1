"""The keys of a state in Azure Blob Storage, as in Terraform's backend block."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from bot.config.section import BackendSection, Listing
from bot.config.values import ContainerName, StateKey, StorageAccountName, Text, Url, Variable


class Backend(BackendSection):
    type: Literal["azurerm"]
    storage_account: StorageAccountName
    container: ContainerName
    key: StateKey
    workspace: Text = "default"
    endpoint_url: Url | None = None
    sas_token_env: Variable | None = None

    @classmethod
    def identity(cls, given: Mapping[str, Any]) -> tuple[str, ...] | None:
        defaults = {"workspace": "default", "endpoint_url": ""}
        parts = ("storage_account", "container", "key", *defaults)
        found = tuple(str(given.get(part) or defaults.get(part, "")) for part in parts)
        return found if all(found[:3]) else None

    @classmethod
    def identity_words(cls) -> str:
        return "storage account, container, key and workspace"

    @property
    def blob(self) -> str:
        """The name of the state's blob.

        Source: `keyEnvPrefix` in Terraform's `internal/backend/remote-state/azure/backend_state.go`.
        """
        return self.key if self.workspace == "default" else f"{self.key}env:{self.workspace}"

    @property
    def listing(self) -> Listing:
        return Listing((self.endpoint_url or "", self.storage_account, self.container), self.blob)

    @property
    def lock_path(self) -> str:
        return f"{self.container}/{self.blob}"
