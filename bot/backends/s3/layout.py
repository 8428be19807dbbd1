"""Where Terraform's S3 backend keeps a workspace's state.

Source: Terraform's `internal/backend/remote-state/s3/backend_state.go`.
"""

from __future__ import annotations

import posixpath


def object_key(key: str, *, workspace: str, prefix: str) -> str:
    """The key of a workspace's state object, by `key`, `workspace` and `workspace_key_prefix` of the backend."""
    if workspace == "default":
        return key
    return posixpath.normpath("/".join(part for part in (prefix, workspace, key) if part))
