"""The rights that this configuration needs, gathered from the tables beside the adapters. Asks nobody."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Protocol

from bot.aws.clients import Access, is_amazons
from bot.ci.ecs.rights import grants as ecs_grants
from bot.config.models import EcsSection
from bot.config.section import BackendSection
from bot.config.settings import Config
from bot.core.rights import Grant, Right, Use
from bot.core.run import Pipeline
from bot.core.systems import BY_TYPE
from bot.export.rights import export_grants
from bot.tickets.rights import RIGHTS as TICKET_RIGHTS

_PACKAGES = {
    "github_actions": "github",
    "gitlab": "gitlab",
    "azure_devops": "azure",
    "jenkins": "jenkins",
    "hcp": "hcp",
}
_OWN = {"aws": "the bot's own role", "azure": "the bot's identity", "google": "the bot's account"}
ASSUME = Right("sts:AssumeRole", "act as the role that the configuration names", ("sts:AssumeRole",))


class BackendRights(Protocol):
    """The module `rights` of a backend's package. `CLOUD` is aws, azure or google, or what else gives the rights."""

    CLOUD: str

    def grants(self, section: BackendSection) -> Iterator[Grant]: ...


@dataclass(frozen=True, slots=True)
class Account:
    """What a token, a user or a role has to be allowed: `name` is where the configuration has it, `cloud` who gives it.

    `role` is the AWS role that is assumed, empty for the bot's own credentials and elsewhere.
    """

    name: str
    cloud: str
    grants: tuple[Grant, ...]
    role: str = ""


def needed(config: Config) -> tuple[Account, ...]:
    """Every account with what it needs, without rights that are only for a throw-away lock where none is needed."""
    return (*_clouds(config), *_systems(config), *_tickets(config))


def _clouds(config: Config) -> Iterator[Account]:
    found = dict[tuple[str, str], dict[Grant, None]]()
    for cloud, role, grant in _cloud_grants(config):
        found.setdefault((cloud, role), {})[grant] = None
    for cloud, role in list(found):
        if role:
            found.setdefault((cloud, ""), {})[Grant(ASSUME, role)] = None
    for (cloud, role), grants in sorted(found.items()):
        yield Account(
            role or "the bot's own role" if cloud == "aws" else "the bot's identity", cloud, tuple(grants), role
        )


def _cloud_grants(config: Config) -> Iterator[tuple[str, str, Grant]]:
    for state in config.reached:
        section = state.backend
        rights = _backend_rights(section.type)
        role, wants_trial = getattr(section, "assume_role", None) or "", _needs_proof(section)
        for grant in rights.grants(section):
            if wants_trial or grant.right.use is not Use.TRIAL:
                yield rights.CLOUD, role, grant
    aws = Access(config.aws.region, config.aws.endpoint_url, config.aws.assume_role)
    if config.export.s3 is not None:
        for grant in export_grants(config.export.s3.bucket, config.export.s3.prefix, aws):
            yield "aws", aws.assume_role or "", grant
    for name, entry in config.ci.items():
        if isinstance(entry, EcsSection):
            access = Access(entry.region, config.aws.endpoint_url, config.aws.assume_role)
            for grant in ecs_grants(_pipelines(config, name), access, entry.log_groups):
                yield "aws", aws.assume_role or "", grant


def _backend_rights(kind: str) -> BackendRights:
    found: BackendRights = import_module(f"bot.backends.{kind}.rights")
    return found


def _needs_proof(section: BackendSection) -> bool:
    """Whether the store has to show on a throw-away lock that it honours conditions, before anything is released."""
    endpoint = getattr(section, "endpoint_url", None)
    return endpoint is not None and not is_amazons(endpoint)


def _systems(config: Config) -> Iterator[Account]:
    for name, section in config.ci.items():
        if section.type in _PACKAGES:
            module, system = import_module(f"bot.ci.{_PACKAGES[section.type]}.rights"), BY_TYPE[section.type]
            rights: Iterable[Right] = module.RIGHTS
            # what a right is given on is the first key that a pipeline needs, or what its module says
            keys = getattr(module, "GIVEN_ON", system.required[:1])
            pipelines = _pipelines(config, name)
            places = dict.fromkeys("/".join(pipeline.get(key) or "" for key in keys) for pipeline in pipelines)
            yield Account(f"ci.{name}", system.name, tuple(_everywhere(rights, places)))


def _tickets(config: Config) -> Iterator[Account]:
    given = config.tickets
    if given is not None:
        place = str(getattr(given, "repo", None) or getattr(given, "project", ""))
        yield Account("tickets", given.type, tuple(_everywhere(TICKET_RIGHTS[given.type], {place: None})))


def _everywhere(rights: Iterable[Right], places: Mapping[str, None]) -> Iterator[Grant]:
    return (Grant(right, place) for right in rights for place in places)


def _pipelines(config: Config, ci: str) -> Iterator[Pipeline]:
    return (pipeline for state in config.reached for pipeline in state.pipelines if pipeline.ci == ci)
