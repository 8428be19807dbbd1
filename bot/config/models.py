"""The sections of the configuration file: every key, its meaning and its default.

A section that has been validated is the setting that the program works with, as a part of
`bot.config.settings.Config`. What the core works with (policy, people, watching) becomes one of the core's own values
in `bot.config.load`. A rule that looks at more than one key is in `bot.config.checks`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from functools import reduce
from importlib import import_module
from operator import or_
from types import UnionType
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias, Union, get_args, get_origin

from pydantic import Field, StrictBool

from bot.backends import NAMES
from bot.config.section import BackendSection, Section
from bot.config.text import KeyPath
from bot.config.values import (
    BucketName,
    Channel,
    ChannelId,
    Duration,
    Email,
    GroupId,
    Hours,
    LogGroup,
    LoopStarts,
    OverdueFactor,
    PipelineValue,
    Protected,
    RunIdTemplate,
    Text,
    Url,
    UserId,
    Variable,
    WaitTime,
    ZoneName,
)
from bot.core.policy import LoopRule, Policy, WatchRule
from bot.core.run import Conclusion

_DEFAULTS = Policy()


class SlackSection(Section):
    incident_channels: tuple[Channel, ...] = ()
    alerts_channel: ChannelId | None = None
    private_incident_channels: StrictBool = False


class AwsSection(Section):
    region: Text | None = None
    assume_role: Text | None = None
    endpoint_url: Url | None = None


class GithubActionsSection(Section):
    type: Literal["github_actions"]
    base_url: Url = "https://api.github.com"
    token_env: Variable = "GITHUB_TOKEN"  # noqa: S105 - the name of a variable


class GitlabSection(Section):
    type: Literal["gitlab"]
    base_url: Url = "https://gitlab.com/api/v4"
    token_env: Variable = "GITLAB_TOKEN"  # noqa: S105 - the name of a variable


class AzureDevopsSection(Section):
    type: Literal["azure_devops"]
    base_url: Url
    token_env: Variable = "AZURE_DEVOPS_TOKEN"  # noqa: S105 - the name of a variable


class JenkinsSection(Section):
    type: Literal["jenkins"]
    base_url: Url
    user_env: Variable = "JENKINS_USER"
    token_env: Variable = "JENKINS_TOKEN"  # noqa: S105 - the name of a variable


class HcpSection(Section):
    type: Literal["hcp"]
    base_url: Url = "https://app.terraform.io"
    token_env: Variable = "TFE_TOKEN"  # noqa: S105 - the name of a variable


class EcsSection(Section):
    type: Literal["ecs"]
    region: Text | None = None
    relist_delay: WaitTime = timedelta(seconds=5)
    log_groups: tuple[LogGroup, ...] = ()


CiSection: TypeAlias = Annotated[
    GithubActionsSection | GitlabSection | AzureDevopsSection | JenkinsSection | HcpSection | EcsSection,
    Field(discriminator="type"),
]


BACKEND_SECTIONS: Mapping[str, type[BackendSection]] = {
    name: import_module(f"bot.backends.{name}.section").Backend for name in NAMES
}
"""The sections that a state's `backend` may be, by their `type`."""

if TYPE_CHECKING:
    AnyBackend: TypeAlias = BackendSection
elif len(BACKEND_SECTIONS) == 1:
    AnyBackend = next(iter(BACKEND_SECTIONS.values()))
else:
    AnyBackend = Annotated[reduce(or_, BACKEND_SECTIONS.values()), Field(discriminator="type")]


class ApprovalSection(Section):
    by: Literal["nobody", "member", "group", "owner"] = "member"
    groups: tuple[GroupId, ...] = ()
    not_by_run_actor: StrictBool = False


class AutoReleaseSection(Section):
    after: Duration
    veto: Duration


class StateSection(Section):
    description: str = ""
    protected: Protected = False
    discover: StrictBool = False
    auto_release: AutoReleaseSection | None = None
    approval: ApprovalSection | None = None
    backend: AnyBackend
    pipelines: tuple[dict[str, PipelineValue], ...] = ()


class PersonSection(Section):
    slack: UserId | None = None
    email: Email | None = None
    github: Text | None = None
    gitlab: Text | None = None
    azure: Text | None = None
    jenkins: Text | None = None
    hcp: Text | None = None
    who: tuple[Text, ...] = ()
    hours: Hours | None = None


class HoldersSection(Section):
    ci_hosts: tuple[Text, ...] = ()
    run_id_hosts: tuple[RunIdTemplate, ...] = ()
    people: dict[str, PersonSection] = Field(default_factory=dict)


class SettleSection(Section):
    failed: WaitTime = _DEFAULTS.settle[Conclusion.FAILED]
    cancelled: WaitTime = _DEFAULTS.settle[Conclusion.CANCELLED]
    timed_out: WaitTime = _DEFAULTS.settle[Conclusion.TIMED_OUT]
    lost: WaitTime = _DEFAULTS.settle[Conclusion.LOST]


class LoopSection(Section):
    starts: LoopStarts = LoopRule().starts
    within: Duration = LoopRule().within


class PolicySection(Section):
    settle: SettleSection = SettleSection()
    state_quiet: WaitTime = _DEFAULTS.state_quiet
    clock_skew: WaitTime = _DEFAULTS.clock_skew
    evidence_max_age: Duration = _DEFAULTS.evidence_max_age
    unlock_groups: tuple[GroupId, ...] = ()
    by_time: Literal["approval", "refuse"] = "approval"
    approval: ApprovalSection = ApprovalSection()
    approval_timeout: Duration = _DEFAULTS.approval_timeout
    release_deadline: Duration = _DEFAULTS.release_deadline
    lock_age_alert: Duration = _DEFAULTS.lock_age_alert
    loop: LoopSection = LoopSection()


class WatchSection(Section):
    every: Duration = WatchRule().every
    look_every: Duration = WatchRule().look_every
    overdue_factor: OverdueFactor = WatchRule().overdue_factor
    head_start: WaitTime = WatchRule().head_start
    wait_for: Duration = WatchRule().wait_for


class TimelineSection(Section):
    retention: Duration = timedelta(days=400)
    close_after_quiet: Duration = timedelta(hours=24)
    capture_reactions: tuple[Text, ...] = ("pushpin", "round_pushpin")


class BucketSection(Section):
    bucket: BucketName
    prefix: str = ""


class ExportSection(Section):
    formats: tuple[Literal["markdown", "html", "json", "csv"], ...] = ("markdown", "html", "json", "csv")
    directory: Text = "exports"
    timezone: ZoneName | None = None
    s3: BucketSection | None = None
    upload_to_channel: StrictBool = True


class GithubTicketsSection(Section):
    type: Literal["github"]
    repo: Text
    base_url: Url = "https://api.github.com"
    token_env: Variable = "GITHUB_TOKEN"  # noqa: S105 - the name of a variable


class GitlabTicketsSection(Section):
    type: Literal["gitlab"]
    project: Text
    base_url: Url = "https://gitlab.com/api/v4"
    token_env: Variable = "GITLAB_TOKEN"  # noqa: S105 - the name of a variable


class JiraTicketsSection(Section):
    type: Literal["jira"]
    project: Text
    base_url: Url
    issue_type: Text = "Task"
    user_env: Variable = "JIRA_USER"
    token_env: Variable = "JIRA_TOKEN"  # noqa: S105 - the name of a variable


TicketsSection: TypeAlias = Annotated[
    GithubTicketsSection | GitlabTicketsSection | JiraTicketsSection,
    Field(discriminator="type"),
]

TICKET_SECTIONS: Mapping[str, type[Section]] = {
    "github": GithubTicketsSection,
    "gitlab": GitlabTicketsSection,
    "jira": JiraTicketsSection,
}


class ConfigFile(Section):
    version: Literal[1] = 1
    slack: SlackSection = SlackSection()
    aws: AwsSection = AwsSection()
    ci: dict[str, CiSection] = Field(default_factory=dict)
    states: Annotated[dict[str, StateSection], Field(min_length=1)]
    holders: HoldersSection = HoldersSection()
    policy: PolicySection = PolicySection()
    watch: WatchSection = WatchSection()
    timeline: TimelineSection = TimelineSection()
    export: ExportSection = ExportSection()
    tickets: TicketsSection | None = None


DEFAULT_VARIABLES = frozenset(
    str(field.default)
    for section in (*get_args(get_args(CiSection)[0]), *TICKET_SECTIONS.values())
    for key, field in section.model_fields.items()
    if key.endswith("_env")
)
"""The variables that sections mean where they name none."""


def sections_in(annotation: Any) -> tuple[type[Section], ...]:
    """The models that an annotation may hold: one, several where `type` tells them apart, or none."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return (annotation,)
    if get_origin(annotation) in {Union, UnionType, Annotated, dict, tuple}:
        return tuple(model for part in get_args(annotation) for model in sections_in(part))
    return ()


def tag_of(model: type[Section]) -> str | None:
    """The value of `type` by which a model is chosen."""
    field = model.model_fields.get("type")
    return None if field is None else str(get_args(field.annotation)[0])


CI_SECTIONS: Mapping[str, type[Section]] = {str(tag_of(model)): model for model in sections_in(CiSection)}
"""The sections that an entry under `ci` may be, by their `type`."""


def keys_of(model: type[Section] = ConfigFile, path: str = "") -> Iterator[str]:
    """Every key of the file as a dotted path; `*` stands for a name that the team chooses."""
    for name, field in model.model_fields.items():
        here = f"{path}{name}"
        yield here
        is_named = get_origin(field.annotation) is dict
        for child in sections_in(field.annotation):
            yield from keys_of(child, f"{here}.*." if is_named else f"{here}.")


def known_keys_at(path: KeyPath, values: Any) -> tuple[str, ...]:
    """The keys that the mapping at this path may have."""
    model: type[Section] = ConfigFile
    steps = list(path)
    while steps:
        annotation = model.model_fields[str(steps[0])].annotation
        depth = 2 if get_origin(annotation) is dict else 1
        for step in steps[:depth]:
            values = values[step]
        choices = sections_in(annotation)
        model = next((choice for choice in choices if tag_of(choice) == values.get("type")), choices[0])
        steps = steps[depth:]
    return tuple(model.model_fields)
