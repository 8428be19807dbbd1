"""The five CI systems, each as a `CiOnStage` of `tests.worlds.ci.systems`: what each makes of runs and their ends."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from bot.sandbox.github.server import GitHubStandIn
from bot.sandbox.github.world import RunRecord
from tests.worlds.ci.azure import AzureStandIn
from tests.worlds.ci.azure_world import BuildRecord
from tests.worlds.ci.ecs import EcsStandIn
from tests.worlds.ci.ecs_world import TaskRecord
from tests.worlds.ci.gitlab import GitLabStandIn
from tests.worlds.ci.gitlab_world import PipelineRecord
from tests.worlds.ci.jenkins import JenkinsStandIn
from tests.worlds.ci.jenkins_world import Build

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

    def url_of(self, run: RunRecord) -> str:
        return f"{self.server.base_url}/{REPO}/actions/runs/{run.id}"

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

    def url_of(self, run: PipelineRecord) -> str:
        return f"{self.server.server.base_url}/{REPO}/-/pipelines/{run.id}"

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

    def url_of(self, run: BuildRecord) -> str:
        return f"{self.server.base_url}/infra/_build/results?buildId={run.id}&view=results"

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

    def url_of(self, run: Build) -> str:
        return f"{self.server.base_url}/job/{run.job.path.replace('/', '/job/')}/{run.number}/"

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

    def url_of(self, run: TaskRecord) -> str:
        return self.server.url(run)

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
