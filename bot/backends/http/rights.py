"""What a server of Terraform's `http` protocol has to allow. How it does that is the server's own choice."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from bot.core.rights import Grant, Right, Use

if TYPE_CHECKING:
    from bot.backends.http.section import Backend

CLOUD = "the state's server"
READ, LOCK, UNLOCK = "the right to read the state", "the right to lock", "the right to unlock"

RIGHTS = (
    Right(READ, "the state; its lock is not shown", ("GET /{path}",)),
    Right(LOCK, "who holds the lock: only a try to lock the state shows it", ("LOCK /{path}", "POST /{path}"),
          Use.RELEASE),
    Right(UNLOCK, "the release, and the end of a try", ("UNLOCK /{path}", "DELETE /{path}"), Use.RELEASE),
)  # fmt: skip
"""The methods are Terraform's own and GitLab's; the configuration may name others."""


def grants(section: Backend) -> Iterator[Grant]:
    """For one state."""
    return (Grant(right, section.address) for right in RIGHTS)
