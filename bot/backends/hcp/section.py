"""The keys of a state in HCP Terraform or Terraform Enterprise, as in Terraform's `cloud` block."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from bot.config.section import BackendSection, Listing, OwnRuns, Problem
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

    @classmethod
    def problems(cls, given: Mapping[str, Any], *, has_region: bool) -> Iterator[Problem]:  # noqa: ARG003 - AWS's
        if given.get("tags") and "{" not in str(given.get("workspace") or ""):
            yield "tags", "chooses among the workspaces of a pattern: this entry names its workspace"

    @classmethod
    def identity(cls, given: Mapping[str, Any]) -> tuple[str, ...] | None:
        defaults = {"hostname": "app.terraform.io", "endpoint_url": ""}
        is_pattern = "{" in str(given.get("workspace"))
        parts = ("organization", "workspace", *defaults, *(("project",) if is_pattern else ()))
        found = tuple(str(given.get(part) or defaults.get(part, "")) for part in parts)
        return found if all(found[:2]) else None

    @classmethod
    def identity_words(cls) -> str:
        return "organization and workspace"

    @property
    def address(self) -> str:
        return self.endpoint_url or f"https://{self.hostname}"

    @property
    def listing(self) -> Listing:
        """A workspace is in one project at a time. It may have any tags, which tell no two patterns apart."""
        part = (self.project or "").casefold()
        return Listing((self.address, self.organization.casefold()), self.workspace, part, is_folded=True)

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
