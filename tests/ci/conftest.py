"""A GitHub stand-in and a source that asks it. Clocks are real; runs are placed in the past by hand."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime

import pytest
from pydantic import SecretStr

from bot.ci.frame import Source
from bot.ci.github.source import GitHubActions
from bot.core.run import Pipeline
from bot.sandbox.github.server import GitHubStandIn

DEPLOY = Pipeline("github", (("repo", "acme/infra"), ("workflow", "deploy.yml"), ("branch", "main")))
UPDATE = Pipeline("github", (("repo", "acme/infra"), ("workflow", "dependency-update.yml")))


class WallClock:
    def now(self) -> datetime:
        return datetime.now(UTC)


@pytest.fixture
def deploy() -> Pipeline:
    return DEPLOY


@pytest.fixture
def update() -> Pipeline:
    return UPDATE


@pytest.fixture
async def github() -> AsyncIterator[GitHubStandIn]:
    async with GitHubStandIn() as standing:
        standing.runs.add_workflow("acme/infra", "deploy.yml")
        standing.runs.add_workflow("acme/infra", "dependency-update.yml")
        yield standing


@pytest.fixture
async def make_source(github: GitHubStandIn) -> AsyncIterator[Callable[..., Source]]:
    made: list[Source] = []

    def make(**changes: object) -> Source:
        settings = {
            "name": "github",
            "base_url": github.base_url,
            "token": SecretStr(github.token),
            "clock": WallClock(),
            "pipelines": (DEPLOY, UPDATE),
        }
        made.append(Source(GitHubActions(**{**settings, **changes})))
        return made[-1]

    yield make
    for source in made:
        await source.aclose()


@pytest.fixture
def source(make_source: Callable[..., Source]) -> Source:
    return make_source()
