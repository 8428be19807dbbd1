"""Where Terraform's S3 backend keeps a state and its lock.

Source of the layout: Terraform's `internal/backend/remote-state/s3` (`client.go`, `backend_state.go`).
"""

from __future__ import annotations

from dataclasses import dataclass

from bot.aws.clients import Access


@dataclass(frozen=True, slots=True)
class S3Address:
    """One state's object, and its lock: in an item of the table if there is one, in a `.tflock` object, or in both.

    `access` is the way to both services; `key` is the state object's, with the workspace in it.
    """

    access: Access
    bucket: str
    key: str
    dynamodb_table: str | None = None
    use_lockfile: bool = False

    @property
    def lock_key(self) -> str:
        return f"{self.bucket}/{self.key}"

    @property
    def digest_key(self) -> str:
        """The partition key of the item that holds the state's MD5. It is not a lock."""
        return f"{self.lock_key}-md5"

    @property
    def lockfile_key(self) -> str:
        return f"{self.key}.tflock"
