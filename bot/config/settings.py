"""What the configuration comes to, with the environment resolved: the sections of the file, and what goes with them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TypeAlias

from pydantic import SecretStr

from bot.config.models import AwsSection, CiSection, ExportSection, TicketsSection, TimelineSection
from bot.config.patterns import filled, readings, variables
from bot.config.secret_files import SecretFile
from bot.config.section import BackendSection, Listing
from bot.core.nearest import did_you_mean, known_as
from bot.core.policy import ApprovalPolicy, AutoRelease, Holders, Policy, WatchRule
from bot.core.run import Pipeline
from bot.errors import UnknownState

Secret: TypeAlias = SecretStr
"""A text that is masked wherever it is shown; `get_secret_value()` is the only way to it."""


@dataclass(frozen=True, slots=True)
class SlackSettings:
    """`api_url` ends with `/`. With `app_token` the bot uses Socket Mode, and the signing secret may be missing."""

    incident_channels: tuple[str, ...]
    alerts_channel: str | None
    private_incident_channels: bool
    bot_token: Secret | None
    signing_secret: Secret | None
    app_token: Secret | None
    api_url: str


@dataclass(frozen=True, slots=True)
class StateSettings:
    """One Terraform state, with every pipeline that may run Terraform on it.

    `backend` has the defaults of `aws` filled in. `approval` None: as the policy says for all states.
    `auto_release` None: never without being asked. `shared` are those of its pipelines that work on other states of its
    pattern as well, found or not.
    """

    name: str
    description: str
    protected: bool
    backend: BackendSection
    pipelines: tuple[Pipeline, ...]
    approval: ApprovalPolicy | None = None
    auto_release: AutoRelease | None = None
    shared: tuple[Pipeline, ...] = ()


@dataclass(frozen=True, slots=True)
class StatePattern:
    """One entry for many states. `template` has `{variables}` in its texts, and so has the name that `listing` lists
    them by. `protected` are the values of variables, with `*` for anything, of which a state that has one is protected.
    """

    template: StateSettings
    listing: Listing
    protected: Mapping[str, tuple[str, ...]]

    def state(self, listed_as: str) -> StateSettings | None:
        """The state of this name in the store; None if the pattern does not mean it, or if it is unclear."""
        found = readings(self.listing.name, listed_as)
        return self._with(found[0]) if len(found) == 1 else None

    def by_path(self, lock_path: str) -> StateSettings | None:
        """The state whose locks would have this `Path`, whether or not its store lists it; None as for `state`."""
        found = readings(self.template.backend.lock_path, lock_path)
        return self._with(found[0]) if len(found) == 1 else None

    def unclear(self, listed_as: str) -> str:
        """The two ways to read a name that the pattern could mean, for people; empty if there is one, or none."""
        found = readings(self.listing.name, listed_as)
        ways = (", ".join(f"{name}={value}" for name, value in values.items()) for values in found)
        return " or ".join(ways) if len(found) > 1 else ""

    def can_be_called(self, name: str) -> bool:
        """Whether a state of this pattern may have the name, upper and lower case being the same."""
        return bool(readings(self.template.name.casefold(), name.casefold()))

    @property
    def widest(self) -> StateSettings:
        """With `*` for each variable: what rights for all of its states are given on. No state has this name."""
        return self._with(dict.fromkeys(variables(self.listing.name), "*"))

    @property
    def shared(self) -> tuple[Pipeline, ...]:
        """Those of its pipelines that work on all of its states, found or not."""
        return tuple(each for each in self.template.shared if not any(variables(value) for _, value in each.fields))

    def _with(self, values: Mapping[str, str]) -> StateSettings:
        template = self.template
        is_protected = template.protected or any(
            fnmatchcase(values[name], wanted) for name, texts in self.protected.items() for wanted in texts
        )
        texts = ((key, value) for key, value in template.backend if isinstance(value, str) and "{" in value)

        def of_this(pipelines: tuple[Pipeline, ...]) -> tuple[Pipeline, ...]:
            return tuple(
                replace(each, fields=tuple((key, filled(value, values)) for key, value in each.fields))
                for each in pipelines
            )

        changed = {key: filled(value, values) for key, value in texts}
        return replace(
            template,
            name=filled(template.name, values),
            description=filled(template.description, values),
            protected=is_protected,
            backend=template.backend.model_copy(update=changed),
            pipelines=of_this(template.pipelines),
            shared=of_this(template.shared),
            auto_release=None if is_protected else template.auto_release,
        )


@dataclass(frozen=True, slots=True)
class Config:
    """All that is configured. `tickets` None: follow-ups are filed nowhere. `states` are those that the file names
    one by one; those that `patterns` mean are found while tflock runs (`bot.app.discovery`).

    `aws` and the ECS sections of `ci` have the region that the environment names if the file names none; None, or
    for ECS empty, leaves it to botocore. `secrets` has the value of each variable that a section names in a
    key with `_env` at its end, empty if it is not set. `secret_files` are those of all secrets that came from a file.
    """

    path: Path
    slack: SlackSettings
    aws: AwsSection
    ci: Mapping[str, CiSection]
    states: Mapping[str, StateSettings]
    patterns: tuple[StatePattern, ...]
    holders: Holders
    policy: Policy
    watch: WatchRule
    timeline: TimelineSection
    export: ExportSection
    tickets: TicketsSection | None
    secrets: Mapping[str, Secret]
    secret_files: tuple[SecretFile, ...]
    port: int
    worker_port: int | None
    redis_url: Secret | None
    claim_token: Secret | None
    log_format: str
    log_level: str

    def meant(self, lock_path: str) -> tuple[str, str] | None:
        """The pattern that would mean the state of this path, and the state's name, whether or not a store lists it."""
        for pattern in self.patterns:
            state = pattern.by_path(lock_path)
            if state is not None:
                return pattern.template.name, state.name
        return None

    @property
    def reached(self) -> tuple[StateSettings, ...]:
        """All that rights are needed for: the states of the file, and each pattern with `*` for its variables."""
        return (*self.states.values(), *(pattern.widest for pattern in self.patterns))

    def named(self, name: str) -> str:
        """The state's name, upper and lower case being the same. Raises UnknownState, with the nearest name and all."""
        found = known_as(name, self.states)
        if found is None:
            raise UnknownState(name, nearest=did_you_mean(name, self.states), known=tuple(self.states))
        return found

    def state(self, name: str) -> StateSettings:
        """The state of this name, as `named`."""
        return self.states[self.named(name)]
