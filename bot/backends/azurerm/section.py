"""The keys of a state in Azure Blob Storage, as in Terraform's backend block."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from bot.config.section import BackendSection, Block, Listing, Told
from bot.config.values import ContainerName, StateKey, StorageAccountName, Text, Url, Variable


class Backend(BackendSection):
    type: Literal["azurerm"]
    storage_account: StorageAccountName
    container: ContainerName
    key: StateKey
    workspace: Text = "default"
    endpoint_url: Url | None = None
    sas_token_env: Variable | None = None

    blocks: ClassVar = ("azurerm",)
    spelled: ClassVar = {"storage_account": "storage_account_name", "container": "container_name"}
    name_keys: ClassVar = ("key", "workspace")
    place_keys: ClassVar = ("storage_account", "container", "key", "workspace", "endpoint_url")
    place_words: ClassVar = "storage account, container, key and workspace"

    @classmethod
    def read(cls, block: Block, env: Mapping[str, str]) -> Told | None:
        told = super().read(block, env)
        if told is not None and (cloud := block.get("environment", "")) not in {"", "public"}:
            told.notes.append(f"it is in Azure's cloud {cloud}: give endpoint_url")
        return told

    @property
    def blob(self) -> str:
        """The name of the state's blob.

        Source: `keyEnvPrefix` in Terraform's `internal/backend/remote-state/azure/backend_state.go`.
        """
        return self.key if self.workspace == "default" else f"{self.key}env:{self.workspace}"

    @property
    def listing(self) -> Listing:
        container = (self.endpoint_url or "", self.storage_account, self.container)
        where = f"container {self.container} of {self.storage_account}"
        return Listing(container, self.blob, where, has_others=True)

    def keys_at(self, name: str) -> dict[str, str]:
        key, mark, workspace = name.rpartition("env:")
        is_workspaces = bool(mark and key and workspace) and "/" not in workspace
        return {"key": key, "workspace": workspace} if is_workspaces else {"key": name, "workspace": "default"}

    @property
    def lock_path(self) -> str:
        return f"{self.container}/{self.blob}"
