"""What HCP Terraform has to allow a token for its workspaces.

Source: "Permissions in HCP Terraform", and the API's pages "Workspaces", "Runs" and "State versions".
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from bot.core.rights import Grant, Right, Use
from bot.hcp.api import ADMIN, APPLY, READ

if TYPE_CHECKING:
    from bot.backends.hcp.section import Backend

CLOUD = "HCP Terraform"

RIGHTS = (
    Right(READ, "the workspace, its lock, its runs and its states",
          ("GET /api/v2/organizations/{organization}/workspaces", "GET /api/v2/organizations/{organization}/projects",
           "GET /api/v2/organizations/{organization}/workspaces/{workspace}", "GET /api/v2/runs/{run}",
           "GET /api/v2/workspaces/{workspace}/runs", "GET /api/v2/state-versions",
           "GET /api/v2/state-versions/{version}")),
    Right(APPLY, "a release, by the end of the very run that holds the lock",
          ("POST /api/v2/runs/{run}/actions/discard", "POST /api/v2/runs/{run}/actions/cancel"), Use.RELEASE),
    Right(ADMIN, "a release of an account's lock, and the end of a run by force",
          ("POST /api/v2/workspaces/{workspace}/actions/force-unlock", "POST /api/v2/runs/{run}/actions/force-cancel"),
          Use.RELEASE),
)  # fmt: skip


def grants(section: Backend) -> Iterator[Grant]:
    """For one state. A team's rights are for its workspace."""
    return (Grant(right, f"{section.organization}/{section.workspace}") for right in RIGHTS)
