"""The keys of a state in S3, as in Terraform's backend block."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal, Self

from pydantic import StrictBool

from bot.backends.s3.layout import object_key
from bot.config.section import REGION_VARIABLES, BackendSection, Listing, Problem
from bot.config.values import BucketName, StateKey, TableName, Text, Url


class Backend(BackendSection):
    type: Literal["s3"]
    bucket: BucketName
    key: StateKey
    region: Text | None = None
    assume_role: Text | None = None
    endpoint_url: Url | None = None
    workspace: Text = "default"
    workspace_key_prefix: StateKey = "env:"
    dynamodb_table: TableName | None = None
    use_lockfile: StrictBool = False

    @classmethod
    def problems(cls, given: Mapping[str, Any], *, has_region: bool) -> Iterator[Problem]:
        if not given.get("region") and not has_region:
            yield "region", f"is given neither here, nor in aws.region, nor in {REGION_VARIABLES[0]}"
        if not given.get("dynamodb_table") and not given.get("use_lockfile"):
            yield None, "has no lock to look at: give dynamodb_table, or use_lockfile: true, or both, as in Terraform"

    @classmethod
    def identity(cls, given: Mapping[str, Any]) -> tuple[str, ...] | None:
        defaults = {"workspace": "default", "workspace_key_prefix": "env:", "endpoint_url": ""}
        found = tuple(str(given.get(part) or defaults.get(part, "")) for part in ("bucket", "key", *defaults))
        return found if found[0] and found[1] else None

    @classmethod
    def identity_words(cls) -> str:
        return "bucket, key and workspace"

    @property
    def object_key(self) -> str:
        return object_key(self.key, workspace=self.workspace, prefix=self.workspace_key_prefix)

    @property
    def lock_path(self) -> str:
        return f"{self.bucket}/{self.object_key}"

    @property
    def listing(self) -> Listing:
        return Listing((self.endpoint_url or "", self.bucket), self.object_key)

    def with_defaults(self, aws: Mapping[str, Any]) -> Self:
        return self.model_copy(update={key: getattr(self, key) or default for key, default in aws.items()})
