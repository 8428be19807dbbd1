"""The five CI systems in one vocabulary: any of them can be the CI of a stage.

    async with playing("gitlab", "jenkins") as systems, stage_with(tmp_path, systems) as world:
        run = systems["gitlab"].start(at=two_hours_ago)
        lock = await world.take_lock("gitlab", who=systems["gitlab"].who)
        systems["gitlab"].end_badly(run)

Each system has one state of its own name, mapped to a deployment and an update that may run Terraform on it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from bot.sandbox.stage import SandboxState, Stage, merged, stage
from tests.worlds.ci.players import AzureOnStage, EcsOnStage, GitHubOnStage, GitLabOnStage, JenkinsOnStage


class CiOnStage(Protocol):
    """A CI system with a deployment, and an update that may be started over and over.

    `title` is what the bot calls the system, `who` what Terraform writes into a lock on `host`, where its deployments
    run. `pipelines` are the deployment and the update as the configuration names them, `environment` the variables
    with its secrets, `ci` its section. A run is whatever the system's world has of one; only the system looks into it.
    """

    title: str
    host: str
    who: str
    server: Any

    @property
    def ci(self) -> dict[str, Any]: ...
    @property
    def environment(self) -> dict[str, str]: ...
    @property
    def pipelines(self) -> list[dict[str, Any]]: ...

    def start(self, *, at: datetime | None = None, update: bool = False) -> Any:
        """A run of the deployment, or of the update, goes on from then."""

    def end_badly(self, run: Any, *, at: datetime | None = None) -> None:
        """The run is ended by its time limit; where the system has none, it fails."""

    def source_is_on(self) -> bool:
        """Whether the system would start the update by itself. True where it has nothing to switch off."""

    def id_of(self, run: Any) -> str:
        """The run's id in the bot's messages."""

    def url_of(self, run: Any) -> str:
        """The run's page, as people copy it from the browser."""

    def is_over(self, run: Any) -> bool: ...
    def breaks(self, status: int) -> None:
        """From now on everything that it is asked is answered with this HTTP status."""

    def is_mended(self) -> None: ...
    def forget(self) -> None:
        """All its runs are gone."""


SYSTEMS: Mapping[str, Callable[[], CiOnStage]] = {
    "github": GitHubOnStage,
    "gitlab": GitLabOnStage,
    "azure": AzureOnStage,
    "jenkins": JenkinsOnStage,
    "ecs": EcsOnStage,
}
"""By the name that the system and its state have in the stage's configuration."""


@asynccontextmanager
async def playing(*names: str) -> AsyncIterator[dict[str, CiOnStage]]:
    """The stand-ins of these systems, all of them without a name, serve until the block ends."""
    async with AsyncExitStack() as stack:
        systems = {name: SYSTEMS[name]() for name in names or SYSTEMS}
        for system in systems.values():
            await stack.enter_async_context(system.server)
            for update in (False, True):
                system.start(update=update)
            system.forget()
        yield systems


@asynccontextmanager
async def stage_with(
    directory: Path,
    systems: Mapping[str, CiOnStage],
    *,
    processes: Sequence[str] = ("serve",),
    settings: Mapping[str, Any] | None = None,
    **more: Any,
) -> AsyncIterator[Stage]:
    """A stage with these systems and a state for each, of the system's name. `more` is as for `stage`."""
    states = [SandboxState(name, f"environments/{name}/terraform.tfstate") for name in systems]
    secrets = {key: value for system in systems.values() for key, value in system.environment.items()}
    async with stage(directory, states=states, processes=(), environment=secrets, settings=settings, **more) as made:
        made.settings = merged(made.settings, _settings(made, systems))
        for command in processes:
            await made.start(command)
        yield made


def _settings(made: Stage, systems: Mapping[str, CiOnStage]) -> dict[str, Any]:
    """ECS is asked at the address of `aws`, so the states' backends get that of the proxy for themselves."""
    states = {
        name: {
            "backend": {"endpoint_url": made.proxy.url},
            "pipelines": [{"ci": name, **pipeline} for pipeline in system.pipelines],
        }
        for name, system in systems.items()
    }
    ecs = systems.get("ecs")
    return {
        "ci": {name: system.ci for name, system in systems.items()},
        "states": states,
        "aws": {"endpoint_url": made.proxy.url if ecs is None else ecs.server.base_url},
        "holders": {"ci_hosts": [system.who for system in systems.values()]},
    }
