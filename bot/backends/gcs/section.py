"""The keys of a state in Google Cloud Storage, as in Terraform's backend block."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from typing import Any, Literal

from bot.config.section import BackendSection, Listing
from bot.config.values import GoogleBucketName, Text, Url, Variable


class Backend(BackendSection):
    type: Literal["gcs"]
    bucket: GoogleBucketName
    prefix: str = ""
    workspace: Text = "default"
    endpoint_url: Url | None = None
    access_token_env: Variable | None = None

    @classmethod
    def identity(cls, given: Mapping[str, Any]) -> tuple[str, ...] | None:
        defaults = {"prefix": "", "workspace": "default", "endpoint_url": ""}
        found = tuple(str(given.get(part) or defaults.get(part, "")) for part in ("bucket", *defaults))
        return found if found[0] else None

    @classmethod
    def identity_words(cls) -> str:
        return "bucket, prefix and workspace"

    @property
    def object_base(self) -> str:
        """The name of the state object and of its lock, without the suffix.

        Source: Terraform's `internal/backend/remote-state/gcs/backend_state.go`, and `prefix` in its `backend.go`.
        """
        prefix = self.prefix.lstrip("/")
        return posixpath.normpath(f"{prefix}/{self.workspace}") if prefix else self.workspace

    @property
    def listing(self) -> Listing:
        return Listing((self.endpoint_url or "", self.bucket), f"{self.object_base}.tfstate")

    @property
    def lock_path(self) -> str:
        return f"gs://{self.bucket}/{self.object_base}.tflock"
