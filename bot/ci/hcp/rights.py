"""What HCP Terraform has to allow a token for the runs of its workspaces.

Source: "Permissions in HCP Terraform", and the API's pages "Runs", "Plans" and "Applies".
"""

from bot.core.rights import Right, Use
from bot.hcp.api import ADMIN, APPLY, READ

GIVEN_ON = ("organization", "workspace")

RIGHTS = (
    Right(READ, "runs and the logs of their plans and applies",
          ("GET /api/v2/organizations/{organization}/workspaces/{workspace}", "GET /api/v2/workspaces/{workspace}/runs",
           "GET /api/v2/runs/{run}", "GET /api/v2/plans/{plan}", "GET /api/v2/applies/{apply}")),
    Right(APPLY, "end a run", ("POST /api/v2/runs/{run}/actions/discard", "POST /api/v2/runs/{run}/actions/cancel"),
          Use.END),
    Right(ADMIN, "end a run by force", ("POST /api/v2/runs/{run}/actions/force-cancel",), Use.END),
)  # fmt: skip
