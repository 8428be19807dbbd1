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
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from bot.sandbox.azure import AzureStandIn
from bot.sandbox.azure_world import BuildRecord
from bot.sandbox.ecs import EcsStandIn
from bot.sandbox.ecs_world import TaskRecord
from bot.sandbox.github import GitHubStandIn
from bot.sandbox.github_world import RunRecord
from bot.sandbox.gitlab import GitLabStandIn
from bot.sandbox.gitlab_world import PipelineRecord
from bot.sandbox.jenkins import JenkinsStandIn
from bot.sandbox.jenkins_world import Build
from bot.sandbox.stage import SandboxState, Stage, merged, stage

REPO = "acme/infra"
ALWAYS = 1_000_000
"""How often a broken system answers so: until it is mended."""

_GITHUB_FILES = ("deploy.yml", "dependency-update.yml")
_GITLAB_REFS = ("main", "update")
_AZURE_DEFINITIONS = (12, 13)
_JENKINS_JOBS = ("infra/deploy", "infra/update")
_ECS_FAMILIES = ("deploy", "update")
_CLUSTER = "ci"
_EXCEEDED = "org.jenkinsci.plugins.workflow.steps.TimeoutStepExecution$ExceededTimeout"


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

    def is_over(self, run: Any) -> bool: ...
    def breaks(self, status: int) -> None:
        """From now on everything that it is asked is answered with this HTTP status."""

    def is_mended(self) -> None: ...
    def forget(self) -> None:
        """All its runs are gone."""


@dataclass(slots=True)
class GitHubOnStage:
    title: str = "GitHub"
    host: str = "gha-runner-7"
    who: str = "runner@gha-runner-7"
    server: GitHubStandIn = field(default_factory=GitHubStandIn)

    @property
    def ci(self) -> dict[str, Any]:
        return {"type": "github_actions", "base_url": self.server.base_url}

    @property
    def environment(self) -> dict[str, str]:
        return {"GITHUB_TOKEN": self.server.token}

    @property
    def pipelines(self) -> list[dict[str, Any]]:
        return [{"repo": REPO, "workflow": file} for file in _GITHUB_FILES]

    def start(self, *, at: datetime | None = None, update: bool = False) -> RunRecord:
        runner = "gha-runner-8" if update else self.host
        return self.server.world.start_run(REPO, _GITHUB_FILES[update], at=at, actor="elliott-ci", runner=runner)

    def end_badly(self, run: RunRecord, *, at: datetime | None = None) -> None:
        self.server.world.finish(run.id, "timed_out", at=at)

    def source_is_on(self) -> bool:
        return self.server.world.add_workflow(REPO, _GITHUB_FILES[1]).state == "active"

    def id_of(self, run: RunRecord) -> str:
        return str(run.id)

    def is_over(self, run: RunRecord) -> bool:
        self.server.world.run(run.id)
        return run.has_ended

    def breaks(self, status: int) -> None:
        self.server.answer_next(".", status=status, body='{"message": "no"}', times=ALWAYS)

    def is_mended(self) -> None:
        self.server.heal()

    def forget(self) -> None:
        self.server.world.forget()


@dataclass(slots=True)
class GitLabOnStage:
    title: str = "GitLab"
    host: str = "runner-t3qyxf-project-7120-concurrent-0"
    who: str = "root@runner-t3qyxf-project-7120-concurrent-0"
    server: GitLabStandIn = field(default_factory=GitLabStandIn)

    def __post_init__(self) -> None:
        self.server.world.add_schedule(REPO, _GITLAB_REFS[1], "Update dependencies")

    @property
    def ci(self) -> dict[str, Any]:
        return {"type": "gitlab", "base_url": self.server.base_url}

    @property
    def environment(self) -> dict[str, str]:
        return {"GITLAB_TOKEN": self.server.token}

    @property
    def pipelines(self) -> list[dict[str, Any]]:
        return [{"project": REPO, "ref": ref} for ref in _GITLAB_REFS]

    def start(self, *, at: datetime | None = None, update: bool = False) -> PipelineRecord:
        host, source = ("runner-t3qyxf-project-7120-concurrent-1", "schedule") if update else (self.host, "push")
        return self.server.world.start_pipeline(
            REPO, _GITLAB_REFS[update], at=at, user="elliott-ci", host=host, source=source
        )

    def end_badly(self, run: PipelineRecord, *, at: datetime | None = None) -> None:
        self.server.world.finish(run.id, "failed", reason="job_execution_timeout", at=at)

    def source_is_on(self) -> bool:
        return any(one.active for one in self.server.world.add_project(REPO).schedules if one.ref == _GITLAB_REFS[1])

    def id_of(self, run: PipelineRecord) -> str:
        return str(run.id)

    def is_over(self, run: PipelineRecord) -> bool:
        self.server.world.pipeline(run.id)
        return run.has_ended

    def breaks(self, status: int) -> None:
        self.server.answer_next(".", status=status, body='{"message": "no"}', times=ALWAYS)

    def is_mended(self) -> None:
        self.server.server.heal()

    def forget(self) -> None:
        self.server.world.forget()


@dataclass(slots=True)
class AzureOnStage:
    title: str = "Azure DevOps"
    host: str = "build-agent-4"
    who: str = "vsts@build-agent-4"
    server: AzureStandIn = field(default_factory=AzureStandIn)

    @property
    def ci(self) -> dict[str, Any]:
        return {"type": "azure_devops", "base_url": self.server.base_url}

    @property
    def environment(self) -> dict[str, str]:
        return {"AZURE_DEVOPS_TOKEN": self.server.token}

    @property
    def pipelines(self) -> list[dict[str, Any]]:
        return [{"project": "infra", "definition": number} for number in _AZURE_DEFINITIONS]

    def start(self, *, at: datetime | None = None, update: bool = False) -> BuildRecord:
        machine = "build-agent-5" if update else self.host
        return self.server.world.start_run(
            "infra", _AZURE_DEFINITIONS[update], at=at, requested_for="elliott-ci", agent=machine, machine=machine
        )

    def end_badly(self, run: BuildRecord, *, at: datetime | None = None) -> None:
        self.server.world.finish(run.id, "canceled", timed_out=True, at=at)

    def source_is_on(self) -> bool:
        return self.server.world.add_definition("infra", _AZURE_DEFINITIONS[1]).queue_status == "enabled"

    def id_of(self, run: BuildRecord) -> str:
        return str(run.id)

    def is_over(self, run: BuildRecord) -> bool:
        self.server.world.run(run.id)
        return run.has_ended

    def breaks(self, status: int) -> None:
        self.server.answer_next(".", status=status, body='{"message": "no"}', times=ALWAYS)

    def is_mended(self) -> None:
        self.server.heal()

    def forget(self) -> None:
        self.server.world.forget()


@dataclass(slots=True)
class JenkinsOnStage:
    title: str = "Jenkins"
    host: str = "jenkins-worker-7f4b8d9c"
    who: str = "jenkins@jenkins-worker-7f4b8d9c"
    server: JenkinsStandIn = field(default_factory=JenkinsStandIn)

    @property
    def ci(self) -> dict[str, Any]:
        return {"type": "jenkins", "base_url": self.server.base_url}

    @property
    def environment(self) -> dict[str, str]:
        return {"JENKINS_USER": self.server.user, "JENKINS_TOKEN": self.server.token}

    @property
    def pipelines(self) -> list[dict[str, Any]]:
        return [{"job": job} for job in _JENKINS_JOBS]

    def start(self, *, at: datetime | None = None, update: bool = False) -> Build:
        agent = "jenkins-worker-0a1b2c3d" if update else self.host
        return self.server.world.start_build(_JENKINS_JOBS[update], at=at, actor="elliott-ci", agent=agent)

    def end_badly(self, run: Build, *, at: datetime | None = None) -> None:
        self.server.world.finish(run, "ABORTED", interruption=_EXCEEDED, at=at)

    def source_is_on(self) -> bool:
        return not self.server.world.add_job(_JENKINS_JOBS[1]).is_disabled

    def id_of(self, run: Build) -> str:
        return str(run.number)

    def is_over(self, run: Build) -> bool:
        self.server.world.settle()
        return run.has_ended

    def breaks(self, status: int) -> None:
        self.server.answer_next(".", status=status, body="no", times=ALWAYS)

    def is_mended(self) -> None:
        self.server.server.heal()

    def forget(self) -> None:
        self.server.world.forget()


@dataclass(slots=True)
class EcsOnStage:
    """Nothing in ECS starts a task by itself, so a loop has no source to switch off."""

    title: str = "ECS"
    host: str = "ip-10-0-1-23.eu-west-1.compute.internal"
    who: str = "root@ip-10-0-1-23.eu-west-1.compute.internal"
    server: EcsStandIn = field(default_factory=EcsStandIn)

    @property
    def ci(self) -> dict[str, Any]:
        return {"type": "ecs", "region": self.server.region, "relist_delay": "1s"}

    @property
    def environment(self) -> dict[str, str]:
        return {"AWS_ACCESS_KEY_ID": self.server.access_key}

    @property
    def pipelines(self) -> list[dict[str, Any]]:
        return [{"cluster": _CLUSTER, "family": family} for family in _ECS_FAMILIES]

    def start(self, *, at: datetime | None = None, update: bool = False) -> TaskRecord:
        address = "10.0.1.24" if update else "10.0.1.23"
        return self.server.world.start_run(_CLUSTER, _ECS_FAMILIES[update], at=at, address=address)

    def end_badly(self, run: TaskRecord, *, at: datetime | None = None) -> None:
        self.server.world.finish(run.id, 1, at=at)

    def source_is_on(self) -> bool:
        return True

    def id_of(self, run: TaskRecord) -> str:
        return run.id

    def is_over(self, run: TaskRecord) -> bool:
        self.server.world.run(run.id)
        return run.has_ended

    def breaks(self, status: int) -> None:
        self.server.answer_next(".", status=status, body="{}", times=ALWAYS)

    def is_mended(self) -> None:
        self.server.heal()

    def forget(self) -> None:
        self.server.world.forget()
        for family in _ECS_FAMILIES:
            self.server.world.add_family(_CLUSTER, family)


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
