"""The keys of a state in HCP Terraform or Terraform Enterprise, as in Terraform's `cloud` block."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Literal

from bot.config.section import BackendSection, Block, Listing, OwnRuns, Problem, Told
from bot.config.values import Host, TagName, Text, Url, Variable


class Backend(BackendSection):
    type: Literal["hcp"]
    hostname: Host = "app.terraform.io"
    organization: Text
    workspace: Text
    project: Text | None = None
    tags: tuple[TagName, ...] = ()
    endpoint_url: Url | None = None
    token_env: Variable = "TFE_TOKEN"  # noqa: S105 - the name of a variable

    blocks: ClassVar = ("cloud", "remote")
    name_keys: ClassVar = ("workspace",)
    place_keys: ClassVar = ("organization", "workspace", "hostname", "endpoint_url")
    place_words: ClassVar = "organization and workspace"

    @classmethod
    def read(cls, block: Block, env: Mapping[str, str]) -> Told:
        """As Terraform's pages on the cloud block and the backend `remote` have it."""
        names = ("hostname", "organization")
        given = {name: block.get(name) or env.get(f"TF_CLOUD_{name.upper()}") for name in names}
        told = Told({name: text for name, text in given.items() if text})
        prefix, workspace = block.get("workspaces.prefix", ""), env.get("TF_WORKSPACE", "")
        if name := block.get("workspaces.name") or (f"{prefix}{workspace}" if workspace else ""):
            told.values["workspace"] = name
        told.values["token_env"] = cls.model_fields["token_env"].default
        inner = "workspaces.tags."
        tags = block.get("workspaces.tags") or ", ".join(
            f"{key.removeprefix(inner)}={text}" for key, text in block.items() if key.startswith(inner)
        )
        if not name and (tags or prefix):
            by = f"the prefix {prefix}" if prefix else f"the tags {tags}"
            told.missing["workspace"] = f"its workspaces are those with {by}: which ones are there?"
        return told

    @classmethod
    def problems(cls, given: Mapping[str, Any], *, has_region: bool) -> Iterator[Problem]:  # noqa: ARG003 - AWS's
        if given.get("tags") and "{" not in str(given.get("workspace") or ""):
            yield "tags", "chooses among the workspaces of a pattern: this entry names its workspace"

    @classmethod
    def identity(cls, given: Mapping[str, Any]) -> tuple[str, ...] | None:
        found = super().identity(given)
        is_pattern = "{" in str(given.get("workspace"))
        return (*found, str(given.get("project") or "")) if found and is_pattern else found

    @property
    def address(self) -> str:
        return self.endpoint_url or f"https://{self.hostname}"

    @property
    def listing(self) -> Listing:
        """A workspace is in one project at a time. It may have any tags, which tell no two patterns apart."""
        part = (self.project or "").casefold()
        container, where = (self.address, self.organization.casefold()), f"organization {self.organization}"
        return Listing(container, self.workspace, where, part, is_folded=True)

    @property
    def own_runs(self) -> OwnRuns:
        keys = {"organization": self.organization, "workspace": self.workspace}
        return OwnRuns("hcp", self.address, self.token_env, keys)

    @property
    def lock_path(self) -> str:
        """What Terraform calls the lock (`lock ID: "acme/network"`): it writes no `Path` here.

        Source: `Lock` in Terraform's `internal/cloud/state.go`.
        """
        return f"{self.organization}/{self.workspace}"
