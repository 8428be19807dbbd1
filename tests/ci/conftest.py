"""A GitHub stand-in, and sources that ask a stand-in. Clocks are real; runs are placed in the past by hand."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from functools import partial

import pytest

from bot.ci.frame import Source
from bot.ci.github.source import GitHubActions
from bot.core.run import Pipeline
from tests.worlds.ci.github import FullGitHub
from tests.worlds.ci.sources import source_of

DEPLOY = Pipeline("github", (("repo", "acme/infra"), ("workflow", "deploy.yml"), ("branch", "main")))
UPDATE = Pipeline("github", (("repo", "acme/infra"), ("workflow", "dependency-update.yml")))


@pytest.fixture(autouse=True, scope="module")
def _now(request: pytest.FixtureRequest) -> None:
    """A module's `NOW` is when its tests begin: however long the others took, minutes ago are minutes ago."""
    if hasattr(request.module, "NOW"):
        request.module.NOW = datetime.now(UTC).replace(microsecond=0)


@pytest.fixture
def deploy() -> Pipeline:
    return DEPLOY


@pytest.fixture
def update() -> Pipeline:
    return UPDATE


@pytest.fixture
async def github() -> AsyncIterator[FullGitHub]:
    async with FullGitHub() as standing:
        standing.runs.add_workflow("acme/infra", "deploy.yml")
        standing.runs.add_workflow("acme/infra", "dependency-update.yml")
        yield standing


@pytest.fixture
async def made() -> AsyncIterator[Callable[..., Source]]:
    """Makes sources as `source_of` does, and closes them."""
    sources: list[Source] = []

    def make(*args: object, **changes: object) -> Source:
        sources.append(source_of(*args, **changes))
        return sources[-1]

    yield make
    for source in sources:
        await source.aclose()


@pytest.fixture
def make_source(made: Callable[..., Source], github: FullGitHub) -> Callable[..., Source]:
    return partial(made, GitHubActions, github, DEPLOY, UPDATE)


@pytest.fixture
def source(make_source: Callable[..., Source]) -> Source:
    return make_source()
