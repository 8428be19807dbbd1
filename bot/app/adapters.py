"""Which adapter stands for which thing that the configuration names. Part of the composition root.

A CI or ticket system is imported where the configuration names it: few installations have more than two.
"""
# ruff: noqa: PLC0415

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import replace
from datetime import UTC, datetime
from typing import TypedDict

from bot.aws.clients import Access, AwsClients
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
    HcpSection,
    JenkinsSection,
    JiraTicketsSection,
    TicketsSection,
)
from bot.config.settings import Config, Secret
from bot.core.run import Pipeline
from bot.export.bucket import BucketTarget
from bot.ports.files import ExportTarget
from bot.ports.runs import RunSource
from bot.ports.tickets import Tickets
from bot.tickets.frame import TicketSystem, Tracker

_COUNTS_SLEEP = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""Linux leaves the machine's sleep out of its monotonic clock; macOS counts it there, and has no other."""


class SystemClock:
    """`bot.ports.clock.Clock` on this machine's clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def running(self) -> float:
        return time.clock_gettime(_COUNTS_SLEEP)


def run_sources(config: Config, aws: AwsClients, pipelines: Collection[Pipeline]) -> dict[str, RunSource]:
    """Every configured CI system, by its name in the configuration. `pipelines` are those of all states."""
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
        case HcpSection():
            from bot.ci.hcp.source import HcpTerraform

            return HcpTerraform(of, **_signed_in(section, config))
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
    section: GithubActionsSection | GitlabSection | AzureDevopsSection | HcpSection | TicketsSection, config: Config
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


def _access(section: AwsSection) -> Access:
    return Access(section.region, section.endpoint_url, section.assume_role)
