"""What a GitHub token may, as fine-grained tokens and GitHub Apps call it.

Source: "Permissions required for fine-grained personal access tokens" in GitHub's REST reference.
"""

from bot.core.rights import Right, Use

_RUN = "/repos/{owner}/{repo}/actions/runs/{run}"
_WORKFLOW = "/repos/{owner}/{repo}/actions/workflows/{workflow}"

RIGHTS = (
    Right("actions: read", "workflows, runs, jobs and their logs",
          (f"GET {_WORKFLOW}", f"GET {_WORKFLOW}/runs", f"GET {_RUN}", f"GET {_RUN}/jobs",
           "GET /repos/{owner}/{repo}/actions/jobs/{job}/logs")),
    Right("actions: write", "cancel a run, disable and enable a workflow",
          (f"POST {_RUN}/cancel", f"POST {_RUN}/force-cancel", f"PUT {_WORKFLOW}/disable", f"PUT {_WORKFLOW}/enable"),
          Use.END),
)  # fmt: skip
