"""What the configuration comes to, with the environment resolved: the values that the program gets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TypeAlias

from pydantic import SecretStr

from bot.config.models import ExportSection, TimelineSection
from bot.core.nearest import did_you_mean
from bot.core.policy import ApprovalPolicy, Holders, Policy, WatchRule
from bot.core.run import Pipeline
from bot.errors import UnknownState

Secret: TypeAlias = SecretStr
"""A text that is masked wherever it is shown; `get_secret_value()` is the only way to it."""


@dataclass(frozen=True, slots=True)
class SlackSettings:
    """`api_url` ends with `/`. With `app_token` the bot uses Socket Mode, and the signing secret may be missing."""

    incident_channels: tuple[str, ...]
    alerts_channel: str | None
    bot_token: Secret | None
    signing_secret: Secret | None
    app_token: Secret | None
    api_url: str


@dataclass(frozen=True, slots=True)
class CiSettings:
    """One CI system. `name` is its key in the file. A text or secret that its type does not have is empty.

    `token_name` and `user_name` are the environment variables of the secrets, so that a refusal can name them.
    `assume_role` and `endpoint_url` are those of `aws`, for systems that live there.
    """

    name: str
    type: str
    base_url: str
    token: Secret
    token_name: str
    user: Secret
    user_name: str
    region: str
    relist_delay: timedelta
    assume_role: str | None
    endpoint_url: str | None


@dataclass(frozen=True, slots=True)
class S3Settings:
    """Where a state stands, with the defaults of `aws` filled in.

    `endpoint_url` and `assume_role` None leave the choice to boto3.
    """

    bucket: str
    key: str
    workspace: str
    workspace_key_prefix: str
    dynamodb_table: str | None
    use_lockfile: bool
    region: str
    assume_role: str | None
    endpoint_url: str | None


@dataclass(frozen=True, slots=True)
class StateSettings:
    """One Terraform state, with every pipeline that may run Terraform on it.

    `approval` None: as the policy says for all states.
    """

    name: str
    description: str
    protected: bool
    backend: S3Settings
    pipelines: tuple[Pipeline, ...]
    approval: ApprovalPolicy | None = None


@dataclass(frozen=True, slots=True)
class BucketSettings:
    """Where exports are copied to, with the defaults of `aws` filled in."""

    bucket: str
    prefix: str
    region: str | None = None
    assume_role: str | None = None
    endpoint_url: str | None = None


@dataclass(frozen=True, slots=True)
class TicketSettings:
    """Where follow-ups are filed: `place` is the repository or project. What a type does not have is empty.

    `token_name` and `user_name` are the environment variables of the secrets, so that a refusal can name them.
    """

    type: str
    place: str
    base_url: str
    token: Secret
    token_name: str
    user: Secret
    user_name: str
    issue_type: str


@dataclass(frozen=True, slots=True)
class Config:
    """All that is configured. `tickets` None: follow-ups are filed nowhere."""

    path: Path
    slack: SlackSettings
    ci: Mapping[str, CiSettings]
    states: Mapping[str, StateSettings]
    holders: Holders
    policy: Policy
    timeline: TimelineSection
    export: ExportSection
    port: int
    redis_url: Secret | None
    claim_token: Secret | None
    log_format: str
    log_level: str
    export_bucket: BucketSettings | None = None
    watch: WatchRule = field(default_factory=WatchRule)
    tickets: TicketSettings | None = None

    def state(self, name: str) -> StateSettings:
        """The state of this name. Raises UnknownState, with the nearest name and all known ones."""
        found = self.states.get(name)
        if found is None:
            raise UnknownState(name, nearest=did_you_mean(name, self.states), known=tuple(self.states))
        return found
