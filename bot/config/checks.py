"""The configuration's rules on more than one key, and what pydantic found, in words for a person.

They look at the values of the file as they are, so that every problem is reported at once: no fault hides another.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic_core import ErrorDetails

from bot.config.models import BACKEND_SECTIONS, TICKET_SECTIONS, GithubActionsSection, known_keys_at, tag_of
from bot.config.section import REGION_VARIABLES, BackendSection
from bot.config.text import Finding, KeyPath
from bot.config.values import VARIABLE_NAME
from bot.core.nearest import did_you_mean
from bot.core.systems import BY_TYPE

_STATE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,59}", re.ASCII)
_VARIABLE = re.compile(r"\{[a-z][a-z0-9_]*\}")
_PLAIN = {
    "missing": "is required",
    "string_type": "must be text (put it in quotes)",
    "string_too_short": "must not be empty",
    "bool_type": "must be true or false",
    "int_type": "must be a whole number",
    "tuple_type": "must be a list",
    "dict_type": "must be a mapping of keys",
    "model_type": "must be a mapping of keys",
    "too_short": "must not be empty",
    "union_tag_not_found": "needs a `type`",
}


def cross_checks(values: Mapping[str, Any], environ: Mapping[str, str], *, need_slack: bool) -> Iterator[Finding]:
    """Every rule on more than one key, on values of any shape. Shapes themselves are not its matter."""
    has_region = bool(_mapping(values.get("aws")).get("region")) or any(name in environ for name in REGION_VARIABLES)
    states = _mapping(values.get("states"))
    kinds = {name: str(_mapping(entry).get("type")) for name, entry in _mapping(values.get("ci")).items()}
    yield from _channels(_mapping(values.get("slack")), need_slack=need_slack)
    yield from _unset_variables(_mapping(values.get("ci")), environ)
    yield from _tickets(_mapping(values.get("tickets")), environ)
    for name, state in states.items():
        path: KeyPath = ("states", name)
        yield from _state_name(path, name)
        yield from _approval((*path, "approval"), _mapping(_mapping(state).get("approval")))
        yield from _auto_release((*path, "auto_release"), _mapping(state))
        yield from _backend((*path, "backend"), _backend_of(state), environ, has_region=has_region)
        for index, pipeline in enumerate(_list(_mapping(state).get("pipelines"))):
            yield from _pipeline((*path, "pipelines", index), _mapping(pipeline), kinds)
    yield from _approval(("policy", "approval"), _mapping(_mapping(values.get("policy")).get("approval")))
    yield from _shared_states(states)


def translated(error: ErrorDetails, values: Any) -> Finding:
    """One error of pydantic's as a finding, without the value that was refused, which may be a secret."""
    path, here = _path_in(error["loc"], values)
    kind, context = error["type"], error.get("ctx", {})
    if kind == "extra_forbidden":
        return path, _unknown_key(str(path[-1]), known_keys_at(path[:-1], values))
    if kind == "union_tag_invalid":
        known = tuple(re.findall(r"'([^']+)'", str(context["expected_tags"])))
        return (*path, "type"), _not_one_of(_mapping(here).get("type"), known)
    if kind == "literal_error":
        return path, _not_one_of(error["input"], tuple(re.findall(r"'([^']+)'|\b(\d+)\b", context["expected"])))
    if kind == "value_error":
        return path, str(context["error"])
    return path, _PLAIN.get(kind) or error["msg"][:1].lower() + error["msg"][1:]


def _path_in(loc: Sequence[str | int], values: Any) -> tuple[KeyPath, Any]:
    """The path in the file: pydantic's own, without the tags that it adds where `type` chooses a model."""
    path: list[str | int] = []
    here = values
    for part in loc:
        keys = _mapping(here)
        if part == keys.get("type") and part not in keys:
            continue
        if part == "[key]":
            continue
        path.append(part)
        items = _list(here)
        here = keys.get(part) if keys else items[part] if isinstance(part, int) and part < len(items) else None
    return tuple(path), here


def _unknown_key(key: str, known: Sequence[str]) -> str:
    near = did_you_mean(key, known)
    return f"is not a key here; did you mean {near}?" if near else f"is not a key here; known: {', '.join(known)}"


def _not_one_of(value: object, known: Sequence[Any]) -> str:
    names = tuple("".join(name) if isinstance(name, tuple) else str(name) for name in known)
    near = did_you_mean(value, names) if isinstance(value, str) else None
    hint = "; write it without quotes" if value in names else f"; did you mean {near}?" if near else ""
    return f"must be {'one of ' if len(names) > 1 else ''}{', '.join(names)}{hint}"


def _channels(slack: Mapping[str, Any], *, need_slack: bool) -> Iterator[Finding]:
    if need_slack and not slack.get("incident_channels"):
        yield (
            ("slack", "incident_channels"),
            "names no channel, so nobody could unlock anything; give at least one name pattern or channel id",
        )
    if slack.get("private_incident_channels") is True and not slack.get("alerts_channel"):
        yield (
            ("slack", "private_incident_channels"),
            "needs slack.alerts_channel, where releases in private channels are announced",
        )


def _state_name(path: KeyPath, name: str) -> Iterator[Finding]:
    if name.isdigit():
        yield path, "a state's name must not be just a number: kill-job could not distinguish it from a run id"
    elif _STATE_NAME.fullmatch(_VARIABLE.sub("x", name)) is None:
        yield path, "a state's name begins with a letter or digit, and has at most 60 letters, digits, . _ or -"


def _unset_variables(entries: Mapping[str, Any], environ: Mapping[str, str]) -> Iterator[Finding]:
    """Variables of GitHub tokens that are not set.

    A missing token of another system spoils only that system's answers, which say so, and `doctor` fails on it.
    """
    for name, given in entries.items():
        entry = _mapping(given)
        if entry.get("type") != "github_actions":
            continue
        variable = entry.get("token_env", GithubActionsSection.model_fields["token_env"].default)
        if isinstance(variable, str) and VARIABLE_NAME.fullmatch(variable) and variable not in environ:
            yield ("ci", name, "token_env"), f"the environment variable {variable} is not set"


def _tickets(given: Mapping[str, Any], environ: Mapping[str, str]) -> Iterator[Finding]:
    """Without its credentials there is nothing that a ticket system could do."""
    section = TICKET_SECTIONS.get(str(given.get("type")))
    for key in ("user_env", "token_env"):
        if section is None or key not in section.model_fields:
            continue
        variable = given.get(key, section.model_fields[key].default)
        if isinstance(variable, str) and VARIABLE_NAME.fullmatch(variable) and variable not in environ:
            yield ("tickets", key), f"the environment variable {variable} is not set"
    if given.get("type") == "github" and not re.fullmatch(r"[^/\s]+/[^/\s]+", str(given.get("repo", "a/b"))):
        yield ("tickets", "repo"), "must be owner/name"


def _approval(path: KeyPath, given: Mapping[str, Any]) -> Iterator[Finding]:
    if given.get("by") == "group" and not given.get("groups"):
        yield (*path, "by"), "names no group: give approval.groups, or nobody could approve"
    if given.get("groups") and given.get("by") != "group":
        yield (*path, "groups"), "is only for by: group"
    if given.get("by") == "owner" and given.get("not_by_run_actor"):
        yield (*path, "not_by_run_actor"), "contradicts by: owner, who is mostly the one that started the run"


def _auto_release(path: KeyPath, state: Mapping[str, Any]) -> Iterator[Finding]:
    if state.get("auto_release") is not None and state.get("protected") is True:
        yield path, "is not for a protected state, whose release always needs a second person; remove one of the two"


def _backend(
    path: KeyPath, given: Mapping[str, Any], environ: Mapping[str, str], *, has_region: bool
) -> Iterator[Finding]:
    section = _section_of(given)
    if section is None:
        return
    for key, reason in section.problems(given, has_region=has_region):
        yield (path if key is None else (*path, key)), reason
    for key, field in section.model_fields.items():
        variable = given.get(key, field.default) if key.endswith("_env") else None
        if isinstance(variable, str) and VARIABLE_NAME.fullmatch(variable) and variable not in environ:
            yield (*path, key), f"the environment variable {variable} is not set"


def _backend_of(state: object) -> Mapping[Any, Any]:
    return _mapping(_mapping(state).get("backend"))


def _section_of(backend: Mapping[Any, Any]) -> type[BackendSection] | None:
    """The section that `type` chooses; None for no type, or one that there is not."""
    kind = backend.get("type")
    return BACKEND_SECTIONS.get(kind) if isinstance(kind, str) else None


def _pipeline(path: KeyPath, pipeline: Mapping[str, Any], kinds: Mapping[str, str]) -> Iterator[Finding]:
    ci = pipeline.get("ci")
    if ci is None:
        yield (*path, "ci"), f"is required: one of {', '.join(map(str, kinds)) or 'the names under ci'}"
        return
    if not isinstance(ci, str) or ci not in kinds:
        near = did_you_mean(ci, kinds) if isinstance(ci, str) else None
        yield (*path, "ci"), "is not a name under ci" + (f"; did you mean {near}?" if near else "")
        return
    if kinds[ci] not in BY_TYPE:
        return
    system = BY_TYPE[kinds[ci]]
    missing = (key for key in system.required if key not in pipeline)
    yield from (((*path, key), f"is required for a {system.type} pipeline") for key in missing)
    known = ("ci", *system.required, *system.optional)
    yield from (((*path, key), _unknown_key(str(key), known)) for key in pipeline if key not in known)
    if kinds[ci] == "github_actions" and not re.fullmatch(r"[^/\s]+/[^/\s]+", str(pipeline.get("repo", "a/b"))):
        yield (*path, "repo"), "must be owner/name"


def _shared_states(states: Mapping[Any, Any]) -> Iterator[Finding]:
    first: dict[tuple[str, ...], str] = {}
    for name, state in states.items():
        section = _section_of(_backend_of(state))
        identity = None if section is None else section.identity(_backend_of(state))
        if section is None or identity is None:
            continue
        place = (str(tag_of(section)), *identity)
        if place in first:
            same = f"is the same state object as that of {first[place]} ({section.place_words})"
            yield ("states", name, "backend"), same
        first.setdefault(place, str(name))


def _mapping(value: object) -> Mapping[Any, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: object) -> Sequence[Any]:
    return value if isinstance(value, list) else ()
