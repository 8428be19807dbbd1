"""GitHub's stand-in as the demo plays it, which can also be made to fail."""

from __future__ import annotations

from dataclasses import dataclass

from bot.sandbox.github.server import GitHubStandIn
from tests.worlds.stand_in import FaultyCi


@dataclass(kw_only=True)
class FullGitHub(FaultyCi, GitHubStandIn):
    """The demo's GitHub, and what no demo does to it."""
