"""A backend's values as Terraform has them, into a state's `backend` as this configuration has it.

Sources: Terraform's pages on the backends s3, azurerm, gcs, http and remote, and on the cloud block; GitLab's
"GitLab-managed Terraform state" for the addresses of its states.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from pydantic import ValidationError

from bot.cli.init.blocks import CLOUD, NONE
from bot.cli.init.holes import is_known, shown
from bot.cli.init.syntax import blocks, mapping, plain
from bot.config.checks import translated
from bot.config.models import BACKEND_SECTIONS
from bot.config.section import Problem

_GITLAB = re.compile(r"(https?://[^/]+(?:/.*?)?/api/v4)/projects/([^/]+)/terraform/state/([^/?]+)(?:/lock)?/?")
_TRUE = frozenset({"true", "1"})
_SAME = {
    "s3": {
        "bucket": "bucket", "key": "key", "region": "region", "dynamodb_table": "dynamodb_table",
        "workspace_key_prefix": "workspace_key_prefix",
    },
    "azurerm": {"storage_account_name": "storage_account", "container_name": "container", "key": "key"},
    "gcs": {"bucket": "bucket", "prefix": "prefix"},
    "http": {
        "address": "address", "lock_address": "lock_address", "unlock_address": "unlock_address",
        "lock_method": "lock_method", "unlock_method": "unlock_method",
    },
}  # fmt: skip
_NEEDED = {
    "s3": ("bucket", "key"),
    "azurerm": ("storage_account", "container", "key"),
    "gcs": ("bucket",),
    "http": ("address",),
    "gitlab": ("base_url", "project", "state"),
    "hcp": ("organization", "workspace"),
}
_HTTP_ENV = {
    "TF_HTTP_ADDRESS": "address", "TF_HTTP_LOCK_ADDRESS": "lock_address", "TF_HTTP_UNLOCK_ADDRESS": "unlock_address",
    "TF_HTTP_LOCK_METHOD": "lock_method", "TF_HTTP_UNLOCK_METHOD": "unlock_method",
}  # fmt: skip
_NO_LOCK = (
    "Terraform takes no lock on it: set use_lockfile = true (Terraform 1.10 and newer) or dynamodb_table in its "
    "backend block, then here"
)


@dataclass
class Keys:
    """`values` are complete if `missing` is empty. `missing` are sentences, `guesses` are by key."""

    type: str
    values: dict[str, Any] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    guesses: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def keys_of(kind: str, given: Mapping[str, Any], workspace: str | None, env: Mapping[str, str]) -> Keys:
    """`env` has the variables that Terraform's backend would read."""
    if kind in {CLOUD, "remote"}:
        keys = _hcp(given, workspace, env)
    elif kind == "http":
        keys = _http(given, env)
    elif kind in _SAME:
        keys = _same(kind, given, workspace, env)
    elif kind == NONE:
        return Keys(kind, {"type": "?"}, ["no file that it is made of says where its state is: where is it?"])
    elif kind == "local":
        return Keys(kind, {"type": kind}, ["its state is a local file, which has no lock that others could see"])
    else:
        return Keys(kind, {"type": kind}, [f"tflock does not know the backend {kind}"])
    _judge(keys)
    return keys


def _same(kind: str, given: Mapping[str, Any], workspace: str | None, env: Mapping[str, str]) -> Keys:
    values = {ours: plain(given[theirs]) for theirs, ours in _SAME[kind].items() if plain(given.get(theirs))}
    keys = Keys(kind, {"type": kind, **values})
    if kind == "s3":
        _s3(keys, given, env)
    elif kind == "gcs" and plain(given.get("storage_custom_endpoint")):
        keys.values["endpoint_url"] = plain(given["storage_custom_endpoint"])
    elif kind == "azurerm" and plain(given.get("environment")) not in {"", "public"}:
        keys.notes.append(f"it is in Azure's cloud {plain(given['environment'])}: give endpoint_url")
    if workspace not in {None, "", "default"}:
        keys.values["workspace"] = workspace
    return keys


def _s3(keys: Keys, given: Mapping[str, Any], env: Mapping[str, str]) -> None:
    region = env.get("AWS_REGION") or env.get("AWS_DEFAULT_REGION")
    if region and "region" not in keys.values:
        keys.values["region"] = region
    if plain(given.get("use_lockfile")).lower() in _TRUE:
        keys.values["use_lockfile"] = True
    endpoints = [*blocks(given, "endpoints"), {}]
    endpoint = plain(given.get("endpoint")) or plain(endpoints[0].get("s3"))
    if endpoint:
        keys.values["endpoint_url"] = endpoint if "://" in endpoint or not is_known(endpoint) else f"https://{endpoint}"
    role = plain(given.get("role_arn")) or plain([*blocks(given, "assume_role"), {}][0].get("role_arn"))
    if role:
        keys.notes.append(f"Terraform assumes {shown(role)}; if tflock's own role may not, give assume_role")
    if not keys.values.get("use_lockfile") and "dynamodb_table" not in keys.values:
        keys.missing.append(_NO_LOCK)


def _http(given: Mapping[str, Any], env: Mapping[str, str]) -> Keys:
    values = {ours: env[theirs] for theirs, ours in _HTTP_ENV.items() if env.get(theirs)}
    # Terraform reads a variable only for what the block leaves out
    values |= {ours: plain(given[theirs]) for theirs, ours in _SAME["http"].items() if plain(given.get(theirs))}
    managed = _GITLAB.fullmatch(values.get("address", ""))
    if managed:
        base, project, state = managed.groups()
        return Keys(
            "gitlab",
            {
                "type": "gitlab", "base_url": base, "project": unquote(project), "state": unquote(state),
                "token_env": "GITLAB_TOKEN",
            },
        )  # fmt: skip
    keys = Keys("http", {"type": "http", **values})
    keys.notes.append("if the server requires a login, give username_env and password_env")
    return keys


def _hcp(given: Mapping[str, Any], workspace: str | None, env: Mapping[str, str]) -> Keys:
    hostname = plain(given.get("hostname")) or env.get("TF_CLOUD_HOSTNAME", "")
    organization = plain(given.get("organization")) or env.get("TF_CLOUD_ORGANIZATION", "")
    chosen = [*blocks(given, "workspaces"), {}][0]
    prefix = plain(chosen.get("prefix"))
    name = plain(chosen.get("name")) or (f"{prefix}{workspace}" if workspace else "")
    keys = Keys("hcp", {"type": "hcp"})
    keys.values |= {"hostname": hostname} if hostname else {}
    keys.values |= {"organization": organization} if organization else {}
    keys.values |= {"workspace": name, "token_env": "TFE_TOKEN"} if name else {"token_env": "TFE_TOKEN"}
    if not name and (chosen.get("tags") or prefix):
        by = f"the prefix {prefix}" if prefix else f"the tags {_tags(chosen.get('tags'))}"
        keys.missing.append(f"its workspaces are those with {by}: which ones are there?")
    return keys


def _tags(given: object) -> str:
    if isinstance(given, list):
        return ", ".join(map(plain, given))
    return ", ".join(f"{key}={plain(value)}" for key, value in mapping(given).items())


def _judge(keys: Keys) -> None:
    """Adds what is missing, and what this version of tflock would not take."""
    for name in _NEEDED.get(keys.type, ()):
        if name not in keys.values and not (keys.type == "hcp" and keys.missing):
            keys.missing.append(f"{name} is given nowhere that could be read")
    for name, value in keys.values.items():
        if isinstance(value, str) and not is_known(value):
            keys.missing.append(f"{name} is {shown(value)}, which is only known when its pipeline runs")
        elif isinstance(value, str) and "\ufffd" in value:
            keys.missing.append(f"{name} has signs in it that are not UTF-8: {value}")
    section = BACKEND_SECTIONS.get(keys.type)
    if section is None:
        keys.missing.append(f"this version of tflock has no backend {keys.type}")
    elif not keys.missing:
        keys.missing += [words for words in _refused(section, keys.values) if words]


def _refused(section: Any, values: Mapping[str, Any]) -> list[str]:
    try:
        section.model_validate(values)
    except ValidationError as invalid:
        found = [translated(error, values) for error in invalid.errors(include_url=False)]
        return [f"{'.'.join(map(str, path))} {reason}" for path, reason in found]
    problems: list[Problem] = list(section.problems(values, has_region=True))
    return [f"{key or 'it'} {reason}" for key, reason in problems]
