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
from typing import Any, TypeAlias

from bot.sandbox.github.runs import log_of
from bot.sandbox.machine.aws import WrittenLock
from bot.sandbox.stage import SandboxState, merged
from tests.worlds.ci.azure.server import AzureStandIn
from tests.worlds.ci.ecs.server import EcsStandIn
from tests.worlds.ci.github import FullGitHub
from tests.worlds.ci.gitlab.server import GitLabStandIn
from tests.worlds.ci.jenkins.server import JenkinsStandIn
from tests.worlds.logs import at_work
from tests.worlds.slack.workspace import FullWorkspace
from tests.worlds.stage import FullStage, stage

Lines: TypeAlias = Sequence[tuple[datetime, str]]

REPO = "acme/infra"
ALWAYS = 1_000_000
"""How often a broken system answers so: until it is healed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """What one system makes of a deployment and of an update.

    `title` is what the bot calls it. `hosts` are the machines that they run on, `user` is Terraform's there. `places`
    are the pipelines in the system's own words, `at_place` gives one as the configuration names it. `section` is the
    configuration's section, `secrets` its environment. `start` gets a place, a host and whether it is an update.
    `write_log` gets the lines that Terraform printed in a run's job, with their times.
    """

    title: str
    serve: Callable[[], Any]
    hosts: tuple[str, str]
    user: str
    places: tuple[Any, Any]
    at_place: Callable[[Any], dict[str, Any]]
    section: Callable[[Any], dict[str, Any]]
    secrets: Callable[[Any], dict[str, str]]
    start: Callable[..., Any]
    end_badly: Callable[[Any, Any, datetime | None], None]
    write_log: Callable[[Any, Any, Lines], object]
    source_is_on: Callable[[Any], bool]
    url: Callable[[Any, Any], str]
    id: Callable[[Any], str] = lambda run: str(run.id)


_EXCEEDED = "org.jenkinsci.plugins.workflow.steps.TimeoutStepExecution$ExceededTimeout"

SYSTEMS: Mapping[str, System] = {
    "github": System(
        title="GitHub",
        serve=FullGitHub,
        hosts=("gha-runner-7", "gha-runner-8"),
        user="runner",
        places=("deploy.yml", "dependency-update.yml"),
        at_place=lambda file: {"repo": REPO, "workflow": file},
        section=lambda github: {"type": "github_actions", "base_url": github.base_url},
        secrets=lambda github: {"GITHUB_TOKEN": github.token},
        start=lambda github, file, host, at, _: github.runs.start_run(
            REPO, file, at=at, actor="elliott-ci", runner=host
        ),
        end_badly=lambda github, run, at: github.runs.finish(run.id, "timed_out", at=at),
        write_log=lambda _, run, lines: _github_log(run, lines),
        source_is_on=lambda github: github.runs.add_workflow(REPO, "dependency-update.yml").state == "active",
        url=lambda github, run: f"{github.base_url}/{REPO}/actions/runs/{run.id}",
    ),
    "gitlab": System(
        title="GitLab",
        serve=lambda: _with_schedule(GitLabStandIn()),
        hosts=("runner-t3qyxf-project-7120-concurrent-0", "runner-t3qyxf-project-7120-concurrent-1"),
        user="root",
        places=("main", "update"),
        at_place=lambda ref: {"project": REPO, "ref": ref},
        section=lambda gitlab: {"type": "gitlab", "base_url": gitlab.base_url},
        secrets=lambda gitlab: {"GITLAB_TOKEN": gitlab.token},
        start=lambda gitlab, ref, host, at, update: gitlab.runs.start_pipeline(
            REPO, ref, at=at, user="elliott-ci", host=host, source="schedule" if update else "push"
        ),
        end_badly=lambda gitlab, run, at: gitlab.runs.finish(run.id, "failed", reason="job_execution_timeout", at=at),
        write_log=lambda _, run, lines: _gitlab_log(run, lines),
        source_is_on=lambda gitlab: any(
            one.active for one in gitlab.runs.add_project(REPO).schedules if one.ref == "update"
        ),
        url=lambda gitlab, run: f"{gitlab.origin}/{REPO}/-/pipelines/{run.id}",
    ),
    "azure": System(
        title="Azure DevOps",
        serve=AzureStandIn,
        hosts=("build-agent-4", "build-agent-5"),
        user="vsts",
        places=(12, 13),
        at_place=lambda number: {"project": "infra", "definition": number},
        section=lambda azure: {"type": "azure_devops", "base_url": azure.base_url},
        secrets=lambda azure: {"AZURE_DEVOPS_TOKEN": azure.token},
        start=lambda azure, number, host, at, _: azure.runs.start_run(
            "infra", number, at=at, requested_for="elliott-ci", agent=host, machine=host
        ),
        end_badly=lambda azure, run, at: azure.runs.finish(run.id, "canceled", timed_out=True, at=at),
        write_log=lambda azure, run, lines: azure.runs.write_log(
            run.id, _stamped([(run.started_at, "##[section]Starting: Terraform"), *lines])
        ),
        source_is_on=lambda azure: azure.runs.add_definition("infra", 13).queue_status == "enabled",
        url=lambda azure, run: f"{azure.base_url}/infra/_build/results?buildId={run.id}&view=results",
    ),
    "jenkins": System(
        title="Jenkins",
        serve=JenkinsStandIn,
        hosts=("jenkins-worker-7f4b8d9c", "jenkins-worker-0a1b2c3d"),
        user="jenkins",
        places=("infra/deploy", "infra/update"),
        at_place=lambda job: {"job": job},
        section=lambda jenkins: {"type": "jenkins", "base_url": jenkins.base_url},
        secrets=lambda jenkins: {"JENKINS_USER": jenkins.user, "JENKINS_TOKEN": jenkins.token},
        start=lambda jenkins, job, host, at, _: jenkins.runs.start_build(job, at=at, actor="elliott-ci", agent=host),
        end_badly=lambda jenkins, run, at: jenkins.runs.finish(run, "ABORTED", interruption=_EXCEEDED, at=at),
        write_log=lambda jenkins, run, lines: [jenkins.runs.write(run, line, at) for at, line in lines],
        source_is_on=lambda jenkins: not jenkins.runs.add_job("infra/update").is_disabled,
        url=lambda jenkins, run: f"{jenkins.base_url}/job/{run.job.path.replace('/', '/job/')}/{run.number}/",
        id=lambda run: str(run.number),
    ),
    # nothing in ECS starts a task, so a loop has no source to switch off
    "ecs": System(
        title="ECS",
        serve=EcsStandIn,
        hosts=("ip-10-0-1-23.eu-west-1.compute.internal", "ip-10-0-1-24.eu-west-1.compute.internal"),
        user="root",
        places=("deploy", "update"),
        at_place=lambda family: {"cluster": "ci", "family": family},
        section=lambda ecs: {"type": "ecs", "region": ecs.region, "relist_delay": "1s"},
        secrets=lambda ecs: {"AWS_ACCESS_KEY_ID": ecs.access_key},
        start=lambda ecs, family, host, at, _: ecs.runs.start_run(
            "ci", family, at=at, address=host.partition(".")[0].removeprefix("ip-").replace("-", ".")
        ),
        end_badly=lambda ecs, run, at: ecs.runs.finish(run.id, 1, at=at),
        write_log=lambda _, run, lines: run.log.extend(lines),
        source_is_on=lambda _: True,
        url=lambda ecs, run: ecs.url(run),
    ),
}
"""By the name that the system and its state have in the stage's configuration."""


@dataclass(slots=True)
class CiOnStage:
    """A CI system with a deployment, and an update that may be started over and over.

    A run is whatever the system's stand-in has of one; only the system looks into it.
    """

    system: System
    server: Any = field(init=False)

    def __post_init__(self) -> None:
        self.server = self.system.serve()

    @property
    def title(self) -> str:
        return self.system.title

    @property
    def host(self) -> str:
        """Where its deployments run."""
        return self.system.hosts[0]

    @property
    def who(self) -> str:
        """What Terraform writes into a lock there."""
        return f"{self.system.user}@{self.host}"

    @property
    def ci(self) -> dict[str, Any]:
        return self.system.section(self.server)

    @property
    def environment(self) -> dict[str, str]:
        return self.system.secrets(self.server)

    @property
    def pipelines(self) -> list[dict[str, Any]]:
        """The deployment and the update, as the configuration names them."""
        return [self.system.at_place(place) for place in self.system.places]

    def start(self, *, at: datetime | None = None, update: bool = False) -> Any:
        """A run of the deployment, or of the update, goes on from then."""
        return self.system.start(self.server, self.system.places[update], self.system.hosts[update], at, update)

    def holds(self, run: Any, lock: WrittenLock) -> None:
        """The run's job logs that its Terraform was at work from the lock on."""
        self.system.write_log(self.server, run, at_work(lock))

    def end_badly(self, run: Any, *, at: datetime | None = None) -> None:
        """The run is ended by its time limit; where the system has none, it fails."""
        self.system.end_badly(self.server, run, at)

    def source_is_on(self) -> bool:
        """Whether the system would start the update. True where it has nothing to switch off."""
        return self.system.source_is_on(self.server)

    def id_of(self, run: Any) -> str:
        """The run's id in the bot's messages."""
        return self.system.id(run)

    def url_of(self, run: Any) -> str:
        """The run's page, as people copy it from the browser."""
        return self.system.url(self.server, run)

    def is_over(self, run: Any) -> bool:
        self.server.runs.settle()
        return bool(run.has_ended)

    def breaks(self, status: int) -> None:
        """From now on everything that it is asked is answered with this HTTP status."""
        self.server.answer_next(".", status=status, body='{"message": "no"}', times=ALWAYS)

    def heal(self) -> None:
        self.server.heal()

    def forget(self) -> None:
        """All its runs are gone."""
        self.server.runs.forget()


@asynccontextmanager
async def playing(*names: str) -> AsyncIterator[dict[str, CiOnStage]]:
    """The stand-ins of these systems, all of them without a name, serve until the block ends."""
    async with AsyncExitStack() as stack:
        systems = {name: CiOnStage(SYSTEMS[name]) for name in names or SYSTEMS}
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
) -> AsyncIterator[FullStage]:
    """A stage with these systems and a state for each, of the system's name. `more` is as for `stage`."""
    states = [SandboxState(name, f"environments/{name}/terraform.tfstate") for name in systems]
    secrets = {key: value for system in systems.values() for key, value in system.environment.items()}
    given = {"slack": FullWorkspace(), "processes": (), "environment": secrets, "settings": settings, **more}
    async with stage(directory, states=states, **given) as made:
        made.settings = merged(made.settings, _settings(made, systems))
        for command in processes:
            await made.start(command)
        yield made


def _settings(made: FullStage, systems: Mapping[str, CiOnStage]) -> dict[str, Any]:
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


def _stamped(lines: Lines, end: str = "\n") -> str:
    return "".join(f"{at:%Y-%m-%dT%H:%M:%S.%f}Z {line}{end}" for at, line in lines)


def _github_log(run: Any, lines: Lines) -> None:
    run.jobs[-1].log = log_of(lines, begun=run.started_at, commands=["terraform apply"])


def _gitlab_log(run: Any, lines: Lines) -> None:
    run.jobs[-1].trace += _stamped(lines)


def _with_schedule(gitlab: GitLabStandIn) -> GitLabStandIn:
    gitlab.runs.add_schedule(REPO, "update", "Update dependencies")
    return gitlab
