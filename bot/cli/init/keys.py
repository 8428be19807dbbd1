"""A backend's values as Terraform has them, into a state's `backend` as this configuration has it.

What each backend's block says, its section knows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from bot.cli.init.blocks import NONE
from bot.cli.init.holes import is_known, shown
from bot.cli.init.syntax import blocks, listed, plain
from bot.config.checks import translated
from bot.config.models import BACKEND_SECTIONS
from bot.config.section import BackendSection


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
    if kind == NONE:
        return Keys(kind, {"type": "?"}, ["no file that it is made of says where its state is: where is it?"])
    if kind == "local":
        return Keys(kind, {"type": kind}, ["its state is a local file, which has no lock that others could see"])
    block, env = dict(_texts(given)), {**env, "TF_WORKSPACE": workspace or ""}
    # a backend that knows its states in another one's blocks is asked first
    for name, section in sorted(BACKEND_SECTIONS.items(), key=lambda each: each[0] == kind):
        told = section.read(block, env) if kind in section.blocks else None
        if told is not None:
            if section.has_workspaces() and workspace not in {None, "", "default"}:
                told.values["workspace"] = workspace
            keys = Keys(name, {"type": name, **told.values}, [], notes=[*map(shown, told.notes)])
            _judge(keys, section, told.missing)
            return keys
    return Keys(kind, {"type": kind}, [f"tflock does not know the backend {kind}"])


def _texts(given: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, str]]:
    for name, value in given.items():
        inner = [*blocks(given, name), None][0]
        if inner is not None:
            yield from _texts(inner, f"{before}{name}.")
        else:
            yield f"{before}{name}", ", ".join(map(plain, listed(value)))


def _judge(keys: Keys, section: type[BackendSection], missing: Mapping[str | None, str]) -> None:
    """Adds what is missing, and what this version of tflock would not take."""
    keys.missing += missing.values()
    for name, field_ in section.model_fields.items():
        if field_.is_required() and name not in keys.values and name not in missing:
            keys.missing.append(f"{name} is given nowhere that could be read")
    for name, value in keys.values.items():
        if isinstance(value, str) and not is_known(value):
            keys.missing.append(f"{name} is {shown(value)}, which is only known when its pipeline runs")
        elif isinstance(value, str) and "\ufffd" in value:
            keys.missing.append(f"{name} has signs in it that are not UTF-8: {value}")
    if not keys.missing:
        keys.missing += [words for words in _refused(section, keys.values) if words]


def _refused(section: type[BackendSection], values: Mapping[str, Any]) -> list[str]:
    try:
        section.model_validate(values)
    except ValidationError as invalid:
        found = [translated(error, values) for error in invalid.errors(include_url=False)]
        return [f"{'.'.join(map(str, path))} {reason}" for path, reason in found]
    return [f"{key or 'it'} {reason}" for key, reason in section.problems(values, has_region=True)]
