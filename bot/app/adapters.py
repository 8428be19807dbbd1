"""Which adapter stands for which thing that the configuration names. Part of the composition root.

A CI or ticket system is imported where the configuration names it: few installations have more than two.
"""
# ruff: noqa: PLC0415

from __future__ import annotations

import random
import time
from dataclasses import replace
from datetime import UTC, datetime
from typing import TypedDict

from bot.aws.clients import Access, AwsClients
from bot.backends.s3.address import S3Address, object_key
from bot.backends.s3.backend import S3Backend
from bot.backends.s3.bucket import BucketTarget
from bot.backends.s3.proof import Proofs
from bot.backends.s3.sweep import S3Sweep
from bot.ci.frame import CiSystem, Configured, Source
from bot.config.models import (
    AwsSection,
    AzureDevopsSection,
    CiSection,
    EcsSection,
    GithubActionsSection,
    GithubTicketsSection,
    GitlabSection,
    GitlabTicketsSection,
    JenkinsSection,
    JiraTicketsSection,
    S3Section,
    TicketsSection,
)
from bot.config.settings import Config, Secret, StateSettings
from bot.core.gate.inspection import StateName
from bot.ports.files import ExportTarget
from bot.ports.records import Records
from bot.ports.runs import RunSource
from bot.ports.tickets import Tickets
from bot.tickets.frame import TicketSystem, Tracker
from bot.usecases.world import State

_COUNTS_SLEEP = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""Linux leaves the machine's sleep out of its monotonic clock; macOS counts it there, and has no other."""


class SystemClock:
    """`bot.ports.clock.Clock` on this machine's clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def running(self) -> float:
        return time.clock_gettime(_COUNTS_SLEEP)


def run_sources(config: Config, aws: AwsClients) -> dict[str, RunSource]:
    """Every configured CI system, by its name in the configuration."""
    pipelines = [pipeline for state in config.states.values() for pipeline in state.pipelines]
    return {
        name: Source(_ci_system(section, Configured(name=name, clock=SystemClock(), pipelines=pipelines), config, aws))
        for name, section in config.ci.items()
    }


def _ci_system(section: CiSection, of: Configured, config: Config, aws: AwsClients) -> CiSystem:
    match section:
        case GithubActionsSection():
            from bot.ci.github.source import GitHubActions

            return GitHubActions(of, **_signed_in(section, config))
        case GitlabSection():
            from bot.ci.gitlab.source import GitLab

            return GitLab(of, **_signed_in(section, config))
        case AzureDevopsSection():
            from bot.ci.azure.source import AzureDevOps

            return AzureDevOps(of, **_signed_in(section, config))
        case JenkinsSection(user_env=user, token_env=token):
            from bot.ci.jenkins.api import Credentials
            from bot.ci.jenkins.source import Jenkins

            credentials = Credentials(config.secrets[user], config.secrets[token], user_name=user, token_name=token)
            return Jenkins(of, base_url=section.base_url, credentials=credentials)
        case EcsSection():
            from bot.ci.ecs.source import Ecs

            access = Access(section.region, config.aws.endpoint_url, config.aws.assume_role)
            return Ecs(
                of,
                region=section.region or "",
                client=lambda: aws.client("ecs", access),
                logs=lambda region: aws.client("logs", replace(access, region=region or access.region)),
                run=aws.run,
                relist_delay=section.relist_delay,
            )


class _SignedIn(TypedDict):
    base_url: str
    token: Secret
    token_name: str


def _signed_in(
    section: GithubActionsSection | GitlabSection | AzureDevopsSection | TicketsSection, config: Config
) -> _SignedIn:
    """For the systems that want an address and a token."""
    return {
        "base_url": section.base_url,
        "token": config.secrets[section.token_env],
        "token_name": section.token_env,
    }


def export_targets(config: Config, aws: AwsClients) -> dict[str, ExportTarget]:
    """Where exports go in addition to the directory and the channel, by name."""
    bucket = export_bucket(config, aws)
    return {} if bucket is None else {bucket.name: bucket}


def export_bucket(config: Config, aws: AwsClients) -> BucketTarget | None:
    """The bucket of `export.s3`, with the AWS defaults of the configuration."""
    there = config.export.s3
    return None if there is None else BucketTarget(there.bucket, there.prefix, _access(config.aws), aws)


def ticket_system(config: Config) -> Tickets | None:
    """Where follow-ups are filed, if that is configured."""
    return None if config.tickets is None else Tracker(_ticket_system(config.tickets, config))


def _ticket_system(section: TicketsSection, config: Config) -> TicketSystem:
    clock, signed_in = SystemClock(), _signed_in(section, config)
    match section:
        case GithubTicketsSection():
            from bot.export.markdown.ticket import ticket_markdown
            from bot.tickets.github import GitHubTickets

            return GitHubTickets(repo=section.repo, clock=clock, write=ticket_markdown, **signed_in)
        case GitlabTicketsSection():
            from bot.export.markdown.ticket import ticket_markdown
            from bot.tickets.gitlab import GitLabTickets

            return GitLabTickets(project=section.project, clock=clock, write=ticket_markdown, **signed_in)
        case JiraTicketsSection(user_env=user):
            from bot.tickets.jira import JiraTickets

            return JiraTickets(
                project=section.project,
                issue_type=section.issue_type,
                user=config.secrets[user],
                user_name=user,
                clock=clock,
                **signed_in,
            )


def lock_backends(config: Config, aws: AwsClients, records: Records) -> dict[str, State]:
    """Every configured state with its backend, by its name."""
    return {name: _state(settings, aws, Proofs(records, SystemClock())) for name, settings in config.states.items()}


def lock_sweep(config: Config, aws: AwsClients) -> S3Sweep:
    """Reads the locks of all configured states together."""
    addresses = {name: address_of(settings.backend) for name, settings in config.states.items()}
    return S3Sweep(addresses, aws, SystemClock(), rng=random.SystemRandom())


def address_of(backend: S3Section) -> S3Address:
    """Where a state and its lock are."""
    key = object_key(backend.key, workspace=backend.workspace, prefix=backend.workspace_key_prefix)
    return S3Address(_access(backend), backend.bucket, key, backend.dynamodb_table, backend.use_lockfile)


def _access(section: AwsSection | S3Section) -> Access:
    return Access(section.region, section.endpoint_url, section.assume_role)


def _state(settings: StateSettings, aws: AwsClients, proofs: Proofs) -> State:
    address = address_of(settings.backend)
    table = address.dynamodb_table
    return State(
        name=StateName(settings.name, settings.description, settings.protected),
        backend=S3Backend(address, aws, SystemClock(), proofs=proofs),
        backend_system="S3 backend",
        pipelines=settings.pipelines,
        lock_table=(address.access, table) if table else None,
        path=address.lock_key,
        approvers=settings.approval,
        table=table or "",
        auto_release=settings.auto_release,
    )
