"""What GitLab has to allow for states that it keeps.

Source: "Terraform state administration" and "Permissions and roles" in GitLab's documentation.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from bot.backends.gitlab.store import ADMIN, READ
from bot.core.rights import Grant, Right, Use

if TYPE_CHECKING:
    from bot.backends.gitlab.section import Backend

CLOUD = "GitLab"
_STATE = "/v4/projects/{project}/terraform/state/{state}"

RIGHTS = (
    Right(READ, "the state, its lock and its older versions",
          ("POST /graphql", "GET /v4/projects/{project}", f"GET {_STATE}", f"GET {_STATE}/versions/{{version}}")),
    Right(ADMIN, "the lock's ID, and the release by it", (f"DELETE {_STATE}/lock", f"POST {_STATE}/lock"),
          Use.RELEASE),
    Right(ADMIN, "doctor: removes the state that it tried", (f"DELETE {_STATE}",), Use.TRIAL),
)  # fmt: skip


def grants(section: Backend) -> Iterator[Grant]:
    """For one state. A token's rights are for its project."""
    return (Grant(right, section.project) for right in RIGHTS)
