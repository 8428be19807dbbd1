"""The keys of a state that GitLab manages.

Source of its address in a block of `http`: GitLab's "GitLab-managed Terraform state".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar, Literal
from urllib.parse import unquote

from bot.config.section import BackendSection, Block, Listing, OwnRuns, Told
from bot.config.values import PipelineValue, Text, Url, Variable

_GITLABS = "https://gitlab.com/api/v4"
_STATE = re.compile(r"(https?://[^/]+(?:/.*?)?/api/v4)/projects/([^/]+)/terraform/state/([^/?]+)(?:/lock)?/?")


class Backend(BackendSection):
    type: Literal["gitlab"]
    base_url: Url = _GITLABS
    project: PipelineValue
    state: Text
    token_env: Variable = "GITLAB_TOKEN"  # noqa: S105 - the name of a variable

    blocks: ClassVar = ("http",)
    name_keys: ClassVar = ("state",)
    place_keys: ClassVar = ("base_url", "project", "state")
    place_words: ClassVar = "base_url, project and state"

    @classmethod
    def read(cls, block: Block, env: Mapping[str, str]) -> Told | None:
        found = _STATE.fullmatch(block.get("address") or env.get("TF_HTTP_ADDRESS", ""))
        if found is None:
            return None
        project, state, token = unquote(found[2]), unquote(found[3]), cls.model_fields["token_env"].default
        return Told({"base_url": found[1], "project": project, "state": state, "token_env": token})

    @classmethod
    def identity(cls, given: Mapping[str, Any]) -> tuple[str, ...] | None:
        return super().identity({**given, "base_url": str(given.get("base_url") or _GITLABS).rstrip("/")})

    @property
    def listing(self) -> Listing:
        return Listing((self.api, self.project.casefold()), self.state, f"GitLab's project {self.project}")

    def runs_of(self, run: str) -> OwnRuns | None:
        """A job's page has its project before `/-/`."""
        project = run.partition("/-/")[0].strip("/")
        return OwnRuns("gitlab", self.base_url, self.token_env, {"project": project}) if project else None

    @property
    def api(self) -> str:
        """The address under which both of GitLab's interfaces are: `/v4` and `/graphql`."""
        return f"{self.base_url.removesuffix('/v4').removesuffix('/api')}/api"
