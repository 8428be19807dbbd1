"""The keys of a state that GitLab manages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from bot.config.section import BackendSection, Listing
from bot.config.values import PipelineValue, Text, Url, Variable

_GITLABS = "https://gitlab.com/api/v4"


class Backend(BackendSection):
    type: Literal["gitlab"]
    base_url: Url = _GITLABS
    project: PipelineValue
    state: Text
    token_env: Variable = "GITLAB_TOKEN"  # noqa: S105 - the name of a variable

    @classmethod
    def identity(cls, given: Mapping[str, Any]) -> tuple[str, ...] | None:
        found = tuple(str(given.get(part) or "") for part in ("project", "state"))
        return (str(given.get("base_url") or _GITLABS).rstrip("/"), *found) if all(found) else None

    @classmethod
    def identity_words(cls) -> str:
        return "base_url, project and state"

    @property
    def lock_path(self) -> str:
        """Empty: Terraform's `http` backend gives its locks no `Path`."""
        return ""

    @property
    def listing(self) -> Listing:
        return Listing((self.api, self.project.casefold()), self.state)

    @property
    def api(self) -> str:
        """The address under which both of GitLab's interfaces are: `/v4` and `/graphql`."""
        return f"{self.base_url.removesuffix('/v4').removesuffix('/api')}/api"
