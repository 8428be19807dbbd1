"""The keys of a state in S3, as in Terraform's backend block."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Literal, Self

from pydantic import StrictBool

from bot.backends.s3.layout import object_key
from bot.config.section import REGION_VARIABLES, BackendSection, Block, Listing, Problem, Told
from bot.config.values import BucketName, StateKey, TableName, Text, Url

_SAME = ("bucket", "key", "region", "dynamodb_table", "workspace_key_prefix")
_NO_LOCK = (
    "Terraform takes no lock on it: set use_lockfile = true (Terraform 1.10 and newer) or dynamodb_table in its "
    "backend block, then here"
)


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

    blocks: ClassVar = ("s3",)
    name_keys: ClassVar = ("key", "workspace")
    place_keys: ClassVar = ("bucket", "key", "workspace", "workspace_key_prefix", "endpoint_url")
    place_words: ClassVar = "bucket, key and workspace"

    @classmethod
    def read(cls, block: Block, env: Mapping[str, str]) -> Told:
        """As Terraform's page on the backend has it."""
        told = Told({name: block[name] for name in _SAME if block.get(name)})
        region = next(filter(None, map(env.get, REGION_VARIABLES)), None)
        if region and "region" not in told.values:
            told.values["region"] = region
        if block.get("use_lockfile", "").lower() in {"true", "1"}:
            told.values["use_lockfile"] = True
        if endpoint := block.get("endpoint") or block.get("endpoints.s3"):
            is_host = "://" not in endpoint and endpoint[0].isalnum()  # else a part that is not known may have it
            told.values["endpoint_url"] = f"https://{endpoint}" if is_host else endpoint
        if role := block.get("role_arn") or block.get("assume_role.role_arn"):
            told.notes.append(f"Terraform assumes {role}; if tflock's own role may not, give assume_role")
        if not told.values.get("use_lockfile") and "dynamodb_table" not in told.values:
            told.missing[None] = _NO_LOCK
        return told

    @classmethod
    def problems(cls, given: Mapping[str, Any], *, has_region: bool) -> Iterator[Problem]:
        if not given.get("region") and not has_region:
            yield "region", f"is given neither here, nor in aws.region, nor in {REGION_VARIABLES[0]}"
        if not given.get("dynamodb_table") and not given.get("use_lockfile"):
            yield None, "has no lock to look at: give dynamodb_table, or use_lockfile: true, or both, as in Terraform"

    @property
    def object_key(self) -> str:
        return object_key(self.key, workspace=self.workspace, prefix=self.workspace_key_prefix)

    @property
    def lock_path(self) -> str:
        return f"{self.bucket}/{self.object_key}"

    @property
    def listing(self) -> Listing:
        container = (self.endpoint_url or "", self.bucket)
        return Listing(container, self.object_key, f"s3://{self.bucket}", has_others=True)

    def keys_at(self, name: str) -> dict[str, str]:
        before = f"{self.workspace_key_prefix}/"
        workspace, _, key = name.removeprefix(before).partition("/")
        is_workspaces = bool(name.startswith(before) and workspace and key)
        return {"key": key, "workspace": workspace} if is_workspaces else {"key": name, "workspace": "default"}

    def with_defaults(self, aws: Mapping[str, Any]) -> Self:
        return self.model_copy(update={key: getattr(self, key) or default for key, default in aws.items()})
