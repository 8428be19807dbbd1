"""The keys of a state in Google Cloud Storage, as in Terraform's backend block."""

from __future__ import annotations

import posixpath
from typing import ClassVar, Literal

from bot.config.section import BackendSection, Listing
from bot.config.values import GoogleBucketName, Text, Url, Variable


class Backend(BackendSection):
    type: Literal["gcs"]
    bucket: GoogleBucketName
    prefix: str = ""
    workspace: Text = "default"
    endpoint_url: Url | None = None
    access_token_env: Variable | None = None

    blocks: ClassVar = ("gcs",)
    spelled: ClassVar = {"endpoint_url": "storage_custom_endpoint"}
    name_keys: ClassVar = ("prefix", "workspace")
    place_keys: ClassVar = ("bucket", "prefix", "workspace", "endpoint_url")
    place_words: ClassVar = "bucket, prefix and workspace"

    @property
    def object_base(self) -> str:
        """The name of the state object and of its lock, without the suffix.

        Source: Terraform's `internal/backend/remote-state/gcs/backend_state.go`, and `prefix` in its `backend.go`.
        """
        prefix = self.prefix.lstrip("/")
        return posixpath.normpath(f"{prefix}/{self.workspace}") if prefix else self.workspace

    @property
    def listing(self) -> Listing:
        container = (self.endpoint_url or "", self.bucket)
        return Listing(container, f"{self.object_base}.tfstate", f"gs://{self.bucket}", has_others=True)

    def keys_at(self, name: str) -> dict[str, str]:
        folder, _, workspace = name.removesuffix(".tfstate").rpartition("/")
        return {"prefix": folder, "workspace": workspace}

    @property
    def lock_path(self) -> str:
        return f"gs://{self.bucket}/{self.object_base}.tflock"
