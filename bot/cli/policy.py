"""`tflock policy`: the least rights for this configuration, as text, as one JSON document or as Terraform."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby, takewhile
from typing import Any

import typer

from bot.app.rights import Account, needed
from bot.ci.ecs.rights import CLUSTER, EVERY_LOG
from bot.cli.form import PolicyForm
from bot.cli.frame import OK
from bot.config.settings import Config
from bot.core.rights import Grant, Use
from bot.slack.rights import APP_TOKEN, RIGHTS

_LISTED = 10
"""So many objects of one bucket are listed; of more, what their names begin and end with."""

_LONGEST = 6_144
"""Characters of a managed policy without white space: "IAM and AWS STS quotas"."""

_LOGS = (
    "The right to read logs is for every log group, because the configuration does not name those of the ECS tasks: "
    "put the awslogs-group of their task definitions into log_groups of the ECS entry under ci."
)
_STORAGE = "/providers/Microsoft.Storage/"
_KMS = (
    "Is the bucket or the lock table encrypted with a KMS key of your own? Then allow kms:Decrypt on that key, and "
    "kms:GenerateDataKey for exports and holds. The configuration does not name keys, so no policy here has them."
)


def show_policy(config: Config, form: PolicyForm) -> int:
    accounts = needed(config)
    if form is PolicyForm.JSON:
        typer.echo(json.dumps(document(config, accounts), indent=2, ensure_ascii=False))
    else:
        typer.echo("\n".join((_text if form is PolicyForm.TEXT else _terraform)(config, accounts)))
    return OK


def document(config: Config, accounts: Sequence[Account]) -> dict[str, Any]:
    """`aws.policy` is for the bot's own role, `aws.assumed` by the ARN of each role that it assumes."""
    aws = {account.role: iam_policy(account.grants) for account in accounts if account.cloud == "aws"}
    return {
        "aws": {"policy": aws.pop("", None), "assumed": aws},
        "azure": [_azure_role(account) for account in accounts if account.cloud == "azure"],
        "google": [_google_role(account) for account in accounts if account.cloud == "google"],
        "systems": [_system(account) for account in accounts if account.cloud not in {"aws", "azure", "google"}],
        "slack": {
            "bot_scopes": [right.name for right in RIGHTS],
            "app_scopes": [APP_TOKEN.name] if config.slack.app_token else [],
        },
        "notes": _notes(accounts),
    }


def iam_policy(grants: Iterable[Grant]) -> dict[str, Any]:
    """An IAM policy: for each use, the actions that have the same resources are one statement."""
    return {"Version": "2012-10-17", "Statement": list(_statements(list(grants)))}


def _statements(grants: Sequence[Grant]) -> Iterator[dict[str, Any]]:
    for use in Use:
        on = dict[str, dict[str, None]]()
        for grant in grants:
            if grant.right.use is use:
                on.setdefault(grant.right.name, {})[grant.on] = None
        by_resources = dict[tuple[str, ...], list[str]]()
        for action, resources in on.items():
            by_resources.setdefault(_shortened(resources), []).append(action)
        for number, (places, actions) in enumerate(by_resources.items(), 1):
            clusters = [one.removeprefix(f"{CLUSTER}=") for one in places if one.startswith(f"{CLUSTER}=")]
            yield {
                "Sid": f"{use.name.title()}{number}",
                "Effect": "Allow",
                "Action": sorted(actions),
                "Resource": ["*"] if clusters or places == ("",) else list(places),
                **({"Condition": {"ArnEquals": {CLUSTER: clusters}}} if clusters else {}),
            }


def _shortened(resources: Iterable[str]) -> tuple[str, ...]:
    """Objects of one bucket by the folders that they share, where there are many."""
    found = list[str]()
    for _, group in groupby(sorted(resources), key=lambda one: one.partition("/")[0]):
        names = list(group)
        if len(names) <= _LISTED or ":s3:::" not in names[0]:
            found += names
            continue
        folders = zip(*(name.split("/")[:-1] for name in names), strict=False)
        shared = [level[0] for level in takewhile(lambda level: len(set(level)) == 1, folders)]
        end = ".tflock" if all(name.endswith(".tflock") for name in names) else ""
        found.append(f"{'/'.join(shared)}/*{end}")
    return tuple(found)


def _names(grants: Iterable[Grant]) -> list[str]:
    return list(dict.fromkeys(grant.right.name for grant in grants))


def _places(grants: Iterable[Grant]) -> list[str]:
    return sorted({grant.on for grant in grants})


def _azure_role(account: Account) -> dict[str, Any]:
    """A role definition as `az role definition create` takes it. It can be assigned in the resource groups; what it may
    reach is what it is assigned on, which `_notes` says.

    Source: "Understand Azure role definitions" and "Azure custom roles" in Azure's documentation: a resource among the
    `AssignableScopes` is possible and not recommended.
    """
    return {
        "Name": "tflock",
        "IsCustom": True,
        "Description": "Reads Terraform states and releases their leases",
        "Actions": [],
        "NotActions": [],
        "DataActions": _names(account.grants),
        "NotDataActions": [],
        "AssignableScopes": sorted({place.partition(_STORAGE)[0] for place in _places(account.grants)}),
    }


def _google_role(account: Account) -> dict[str, Any]:
    return {
        "title": "tflock",
        "description": "Reads Terraform states and releases their locks",
        "stage": "GA",
        "includedPermissions": _names(account.grants),
        "buckets": _places(account.grants),
    }


def _system(account: Account) -> dict[str, Any]:
    rights = dict.fromkeys(grant.right for grant in account.grants)
    return {
        "name": account.name,
        "system": account.cloud,
        "rights": [
            {
                "right": right.name,
                "for": right.purpose,
                "use": right.use.value,
                "on": _places(grant for grant in account.grants if grant.right == right),
                "calls": list(right.calls),
            }
            for right in rights
        ],
    }


def _containers(accounts: Sequence[Account]) -> list[list[str]]:
    return [_places(account.grants) for account in accounts if account.cloud == "azure"]


def _notes(accounts: Sequence[Account]) -> list[str]:
    clouds = {account.cloud for account in accounts}
    notes = [_KMS] if "aws" in clouds else []
    if any(grant.on.endswith(EVERY_LOG) for account in accounts for grant in account.grants):
        notes.append(_LOGS)
    if "azure" in clouds:
        notes.append("Put your subscription and resource group in place of SUBSCRIPTION and GROUP.")
        notes += [f"Assign Azure's role on these containers only: {', '.join(each)}" for each in _containers(accounts)]
    for account in accounts:
        size = len(json.dumps(iam_policy(account.grants), separators=(",", ":"))) if account.cloud == "aws" else 0
        if size > _LONGEST:
            notes.append(
                f"The policy of {account.name} has {size} characters, more than the {_LONGEST} of a managed policy: "
                "split its statements over several policies."
            )
    return notes


def _text(config: Config, accounts: Sequence[Account]) -> Iterator[str]:
    for account in accounts:
        yield f"{account.cloud}: {account.name}"
        yield from _rights_lines(account.grants)
        yield ""
    yield "slack: the bot's scopes, as in `tflock manifest`"
    yield from (f"  {right.name}: {right.purpose}" for right in RIGHTS)
    if config.slack.app_token:
        yield "slack: the scope of SLACK_APP_TOKEN"
        yield f"  {APP_TOKEN.name}: {APP_TOKEN.purpose}"
    for note in _notes(accounts):
        yield from ("", note)


def _rights_lines(grants: Sequence[Grant]) -> Iterator[str]:
    for use in Use:
        rights = dict.fromkeys(grant.right for grant in grants if grant.right.use is use)
        if rights:
            yield f"  {use}"
        for right in rights:
            yield f"    {right.name}: {right.purpose}"
            places = _shortened(dict.fromkeys(grant.on for grant in grants if grant.right == right))
            yield from (f"      on {place}" for place in places if place)


def _terraform(config: Config, accounts: Sequence[Account]) -> Iterator[str]:
    found = document(config, accounts)
    yield "# The least rights for tflock, printed by `tflock policy --format terraform`"
    for number, account in enumerate(account for account in accounts if account.cloud == "aws"):
        name = f"tflock_{number}" if number else "tflock"
        body = {"name": name.replace("_", "-"), "policy": _Call("jsonencode", iam_policy(account.grants))}
        yield from ("", f"# For {account.name}", *_block("aws_iam_policy", name, body))
    for role in found["azure"]:
        body = {"name": "tflock", "scope": role["AssignableScopes"][0], "assignable_scopes": role["AssignableScopes"]}
        inner = {"data_actions": role["DataActions"]}
        yield from ("", *_block("azurerm_role_definition", "tflock", body, permissions=inner))
    yield from (f"# Assign it on these containers only: {', '.join(each)}" for each in _containers(accounts))
    for role in found["google"]:
        body = {"role_id": "tflock", "title": "tflock", "permissions": role["includedPermissions"]}
        yield from ("", *_block("google_project_iam_custom_role", "tflock", body))
        yield f"# Bind it on the buckets: {', '.join(role['buckets'])}"
    for system in found["systems"]:
        yield from ("", f"# {system['name']} ({system['system']}): rights of the token, which Terraform cannot give")
        yield from (f"#   {one['right']}: {one['for']} ({one['use']})" for one in system["rights"])
    yield from ("", f"# Slack: {', '.join(found['slack']['bot_scopes'] + found['slack']['app_scopes'])}")
    yield from (f"# {note}" for note in found["notes"])


class _Call:
    """A function of Terraform's on a value."""

    def __init__(self, name: str, value: object) -> None:
        self.name = name
        self.value = value


def _block(kind: str, name: str, body: Mapping[str, object], **inner: Mapping[str, object]) -> Iterator[str]:
    yield f'resource "{kind}" "{name}" {{'
    yield from _arguments(body, "  ")
    for label, content in inner.items():
        yield from ("", f"  {label} {{")
        yield from _arguments(content, "    ")
        yield "  }"
    yield "}"


def _arguments(body: Mapping[str, object], indent: str) -> Iterator[str]:
    """As `terraform fmt` would have them: what is on one line is aligned."""
    written = {key: _expression(value, indent) for key, value in body.items()}
    width = max((len(key) for key, text in written.items() if "\n" not in text), default=0)
    for key, text in written.items():
        yield f"{indent}{key if chr(10) in text else key.ljust(width)} = {text}"


def _expression(value: object, indent: str) -> str:
    """JSON is an expression of Terraform's; only the indentation is the surrounding block's."""
    if isinstance(value, _Call):
        return f"{value.name}({_expression(value.value, indent)})"
    is_map = isinstance(value, Mapping)
    text = json.dumps(value, indent=2, separators=(",", " : ")) if is_map else json.dumps(value)
    return text.replace("\n", f"\n{indent}")
