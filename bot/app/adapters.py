"""Which adapter stands for which thing that the configuration names. Part of the composition root."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TypeAlias

from bot.aws.clients import Access, AwsClients
from bot.backends.s3.backend import S3Backend, S3Place
from bot.backends.s3.bucket import BucketTarget
from bot.backends.s3.sweep import S3Sweep
from bot.ci.azure.source import AzureDevOps
from bot.ci.ecs.source import Ecs
from bot.ci.frame import CiSystem, Source
from bot.ci.github.source import GitHubActions
from bot.ci.gitlab.source import GitLab
from bot.ci.jenkins.api import Credentials
from bot.ci.jenkins.source import Jenkins
from bot.config.load import CiSettings, Config, StateSettings, TicketSettings
from bot.core.gate.inspection import StateName
from bot.core.run import Pipeline
from bot.export.markdown.ticket import ticket_markdown
from bot.ports.files import Target
from bot.ports.runs import RunSource
from bot.ports.tickets import Tickets
from bot.tickets.github import GitHubTickets
from bot.tickets.gitlab import GitLabTickets
from bot.tickets.jira import JiraTickets
from bot.usecases.world import State


class SystemClock:
    """`bot.ports.Clock` on this machine's clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)


Maker: TypeAlias = Callable[[CiSettings, Sequence[Pipeline], AwsClients], CiSystem]


def run_sources(config: Config, aws: AwsClients) -> dict[str, RunSource]:
    """Every configured CI system, by its name in the configuration."""
    pipelines = [pipeline for state in config.states.values() for pipeline in state.pipelines]
    return {ci.name: Source(MAKERS[ci.type](ci, pipelines, aws)) for ci in config.ci.values()}


def export_targets(config: Config, aws: AwsClients) -> dict[str, Target]:
    """Where exports go beside the directory and the channel, by name."""
    bucket = export_bucket(config, aws)
    return {} if bucket is None else {bucket.name: bucket}


def export_bucket(config: Config, aws: AwsClients) -> BucketTarget | None:
    """The bucket of `export.s3`, with the AWS defaults of the configuration."""
    there = config.export_bucket
    if there is None:
        return None
    access = Access(there.region, there.endpoint_url, there.assume_role)
    return BucketTarget(there.bucket, there.prefix, access, aws)


def ticket_system(config: Config) -> Tickets | None:
    """Where follow-ups are filed, if that is configured."""
    return None if config.tickets is None else TICKET_MAKERS[config.tickets.type](config.tickets)


def _github_tickets(given: TicketSettings) -> Tickets:
    return GitHubTickets(
        repo=given.place,
        base_url=given.base_url,
        token=given.token,
        token_name=given.token_name,
        clock=SystemClock(),
        write=ticket_markdown,
    )


def _gitlab_tickets(given: TicketSettings) -> Tickets:
    return GitLabTickets(
        project=given.place,
        base_url=given.base_url,
        token=given.token,
        token_name=given.token_name,
        clock=SystemClock(),
        write=ticket_markdown,
    )


def _jira_tickets(given: TicketSettings) -> Tickets:
    return JiraTickets(
        project=given.place,
        issue_type=given.issue_type,
        base_url=given.base_url,
        user=given.user,
        user_name=given.user_name,
        token=given.token,
        token_name=given.token_name,
        clock=SystemClock(),
    )


TICKET_MAKERS: Mapping[str, Callable[[TicketSettings], Tickets]] = {
    "github": _github_tickets,
    "gitlab": _gitlab_tickets,
    "jira": _jira_tickets,
}
"""The types of `tickets` in the configuration; a test holds that each has its maker."""


def _by_token(adapter: Callable[..., CiSystem]) -> Maker:
    """For the systems that want an address and a token, and nothing else."""

    def make(ci: CiSettings, pipelines: Sequence[Pipeline], _: AwsClients) -> CiSystem:
        return adapter(
            name=ci.name,
            base_url=ci.base_url,
            token=ci.token,
            token_name=ci.token_name,
            clock=SystemClock(),
            pipelines=pipelines,
        )

    return make


def _jenkins(ci: CiSettings, pipelines: Sequence[Pipeline], _: AwsClients) -> CiSystem:
    credentials = Credentials(ci.user, ci.token, user_name=ci.user_name, token_name=ci.token_name)
    return Jenkins(
        name=ci.name, base_url=ci.base_url, credentials=credentials, clock=SystemClock(), pipelines=pipelines
    )


def _ecs(ci: CiSettings, pipelines: Sequence[Pipeline], aws: AwsClients) -> CiSystem:
    access = Access(ci.region, ci.endpoint_url, ci.assume_role)
    return Ecs(
        name=ci.name,
        region=ci.region,
        client=lambda: aws.client("ecs", access),
        run=aws.run,
        clock=SystemClock(),
        pipelines=pipelines,
        relist_delay=ci.relist_delay,
    )


MAKERS: Mapping[str, Maker] = {
    "github_actions": _by_token(GitHubActions),
    "gitlab": _by_token(GitLab),
    "azure_devops": _by_token(AzureDevOps),
    "jenkins": _jenkins,
    "ecs": _ecs,
}
"""The CI types of the configuration; a test holds that each has its maker."""


def lock_backends(config: Config, aws: AwsClients) -> dict[str, State]:
    """Every configured state with its backend, by its name."""
    return {name: _state(settings, aws) for name, settings in config.states.items()}


def lock_sweep(config: Config, aws: AwsClients) -> S3Sweep:
    """Reads the locks of all configured states together."""
    places = {name: place_of(settings) for name, settings in config.states.items()}
    return S3Sweep(places, aws, SystemClock(), rng=random.SystemRandom())


def place_of(settings: StateSettings) -> S3Place:
    """Where a state and its lock stand."""
    backend = settings.backend
    return S3Place(
        bucket=backend.bucket,
        key=backend.key,
        region=backend.region,
        workspace=backend.workspace,
        workspace_key_prefix=backend.workspace_key_prefix,
        dynamodb_table=backend.dynamodb_table,
        use_lockfile=backend.use_lockfile,
        endpoint_url=backend.endpoint_url,
        assume_role=backend.assume_role,
    )


def _state(settings: StateSettings, aws: AwsClients) -> State:
    name = StateName(settings.name, settings.description, settings.protected)
    place = place_of(settings)
    table = (place.access, place.dynamodb_table) if place.dynamodb_table else None
    return State(
        name,
        S3Backend(place, aws, SystemClock()),
        "S3 backend",
        settings.pipelines,
        table,
        place.lock_key,
        settings.approval,
        place.dynamodb_table or "",
    )
