"""Azure's YAML pipelines into what they do with Terraform.

Read: stages, jobs, deployments and steps, templates of the same repository with their parameters, variables,
`strategy: matrix`, `${{ each }}` over a list that is in the file, scripts, and the Terraform tasks of the marketplace.
Source: the YAML schema of Azure Pipelines, "Templates", and the inputs of the Terraform tasks by Microsoft DevLabs
and by Charles Zipp.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from bot.cli.init.elsewhere import by_inputs, is_a_check
from bot.cli.init.holes import hole, is_known, replaced
from bot.cli.init.shell import Session, joined, use_of
from bot.cli.init.syntax import listed, mapping, plain, yaml_of
from bot.cli.init.tree import Checkout, Place
from bot.cli.init.uses import Seen, Use

CI = "azure"
_ROOT = frozenset({"trigger", "pr", "schedules", "pool", "resources", "extends"})
_PARTS = frozenset({"stages", "jobs", "steps", "extends"})
_SIGNS = (
    re.compile(r"(?m)^(trigger|pr|schedules|pool|resources)\s*:"),
    re.compile(r"(?m)^(stages|jobs|steps|extends)\s*:"),
)
"""What a pipeline has at its left edge, in whatever folder it is."""

_EXPRESSION = re.compile(r"\$\{\{(.*?)\}\}|\$\(([A-Za-z_][\w.]*)\)", re.DOTALL)
_EACH = re.compile(r"\$\{\{\s*each\s+(\w+)\s+in\s+parameters\.(\w+)\s*\}\}")
_TASK = re.compile(r"(.*\.)?Terraform(TaskV\d|Task|CLI|-cli)?@\d+", re.IGNORECASE)
_INPUTS = {
    "backendazurermstorageaccountname": "storage_account_name",
    "backendazurermcontainername": "container_name",
    "backendazurermkey": "key",
    "backendawsbucketname": "bucket",
    "backendawskey": "key",
    "backendgcpbucketname": "bucket",
    "backendgcpprefix": "prefix",
}
_GIVEN = ("variables.Build", "variables.System", "variables.Agent", "variables.Pipeline")
_DEEPEST = 6
_STEPS = 4
_MOST_VALUES = 200


@dataclass
class _Scope:
    values: dict[str, Any] = field(default_factory=dict)
    options: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def text(self, given: object) -> str:
        text = plain(given)
        for _ in range(_STEPS):  # a parameter's value may have a variable in it
            before = text
            text = replaced(
                text,
                _EXPRESSION,
                lambda found: self._value_of((found[1] or found[2]).strip(), is_compiled=bool(found[1])),
            )
            if text == before:
                break
        return text

    def value(self, given: object) -> Any:
        """A list or mapping where an expression is all of the text, and names one."""
        found = re.fullmatch(r"\$\{\{\s*([\w.]+)\s*\}\}", given) if isinstance(given, str) else None
        known = self.values.get(found[1]) if found else None
        return known if isinstance(known, dict | list) else self.text(given) if isinstance(given, str) else given

    def _value_of(self, expression: str, *, is_compiled: bool = False) -> str:
        changed = re.fullmatch(r"(lower|upper)\((.*)\)", expression)
        if changed:
            inner = self._value_of(changed[2].strip(), is_compiled=is_compiled)
            return inner if not is_known(inner) else inner.lower() if changed[1] == "lower" else inner.upper()
        indexed = re.sub(r"\[\s*'([^']+)'\s*\]", r".\1", expression)
        known = self.values.get(indexed, self.values.get(f"variables.{indexed}"))
        if known is None and is_compiled and indexed.startswith("variables.") and not indexed.startswith(_GIVEN):
            return ""  # a template sees the variables of the files, and no other ones
        return plain(known) if known is not None and not isinstance(known, dict | list) else hole(indexed)

    def inside(self, values: Mapping[str, Any]) -> _Scope:
        return _Scope(self.values | dict(values), self.options)


def uses(checkout: Checkout) -> Iterator[Use]:
    for path in checkout.matching("*.yml", "*.yaml"):
        name, text = posixpath.basename(path), checkout.text(path) or ""
        is_named = re.match(r"\.?azure[-_]?pipelines?", name, re.IGNORECASE) is not None
        if path.startswith(".github/") or not (is_named or all(sign.search(text) for sign in _SIGNS)):
            continue
        document = mapping(yaml_of(checkout, path))
        if not _PARTS & document.keys() or not (_ROOT & document.keys() or is_named):
            continue
        project = _project(checkout)
        asks = f"which number has the pipeline of {path} (definitionId in its address)?"
        seen = Seen(CI, (("project", project), ("definition", "")), asks, path)
        yield from _Pipeline(checkout, path, seen).uses(document, _Scope(), 0)


def organisation(checkout: Checkout) -> str:
    """The address of the organisation on Azure DevOps, or nothing."""
    if checkout.remote is None:
        return ""
    host, parts = checkout.remote.host, checkout.remote.path.split("/")
    if host == "ssh.dev.azure.com" and parts[0] == "v3":
        return f"https://dev.azure.com/{parts[1]}"
    if host == "dev.azure.com":
        return f"https://dev.azure.com/{parts[0]}"
    return f"https://{host}" if host.endswith(".visualstudio.com") else ""


def _project(checkout: Checkout) -> str:
    if not organisation(checkout) or checkout.remote is None:
        return ""
    parts = checkout.remote.path.split("/")
    if "_git" in parts:
        return parts[parts.index("_git") - 1]
    return parts[2] if parts[0] == "v3" and len(parts) > 2 else ""  # noqa: PLR2004 - v3/organisation/project/name


@dataclass(frozen=True, slots=True)
class _Pipeline:
    checkout: Checkout
    path: str
    seen: Seen

    def uses(self, document: Mapping[Any, Any], scope: _Scope, depth: int) -> Iterator[Use]:
        scope = _with_parameters(document, scope, is_open=not depth)
        yield from self._part(document, scope, depth)

    def _part(self, given: Any, scope: _Scope, depth: int) -> Iterator[Use]:
        """Anything that has jobs or steps somewhere in it."""
        if isinstance(given, list):
            for each in given:
                yield from self._part(each, scope, depth)
            return
        part = mapping(given)
        if not part:
            return
        scope = scope.inside(self._variables(part.get("variables"), scope))
        if "template" in part and "steps" not in part:
            yield from self._template(part, scope, depth)
        if {"steps", "strategy"} & part.keys() and "jobs" not in part:
            for values in _combinations(part, scope):
                yield from self._job(part, scope.inside(values), depth)
        yield from self._inner(part, scope, depth)

    def _inner(self, part: Mapping[Any, Any], scope: _Scope, depth: int) -> Iterator[Use]:
        for key, value in part.items():
            if key in {"stages", "jobs", "extends"}:
                yield from self._part(value, scope, depth)
            elif str(key).startswith("${{"):
                for inner in _repeated(str(key), scope):
                    yield from self._part(value, inner, depth)

    def _job(self, job: Mapping[Any, Any], scope: _Scope, depth: int) -> Iterator[Use]:
        env = {str(key).removeprefix("variables.").upper().replace(".", "_"): plain(value)
               for key, value in scope.values.items() if key.startswith("variables.")}  # fmt: skip
        session = Session(self.checkout, Place(self.path, getattr(job, "line", 1)), env)
        found = list[Use]()
        for steps in _steps_in(job):
            found += self._steps(steps, scope, session, depth)
        for call in session.calls:
            use = use_of(call, self.seen, {**scope.options, **session.options})
            tasks = [each for each in found if each.folder == call.folder and each.overrides]
            # what a task says of the backend is part of this initialisation
            found = [each for each in found if each not in tasks]
            yield from [replace(use, overrides=each.overrides, at=each.at) for each in tasks] or [use]
        yield from found

    def _steps(self, steps: Any, scope: _Scope, session: Session, depth: int) -> Iterator[Use]:
        for given in listed(steps):
            step = mapping(given)
            at = Place(self.path, getattr(step, "line", 1))
            for key in step:
                if str(key).startswith("${{"):
                    for inner in _repeated(str(key), scope):
                        yield from self._steps(step[key], inner, session, depth)
            if "template" in step:
                yield from self._step_template(step, scope, session, depth)
            script = next((step[key] for key in ("script", "bash", "pwsh", "powershell") if key in step), None)
            inputs = {str(key).lower(): scope.text(value) for key, value in mapping(step.get("inputs")).items()}
            task = plain(step.get("task"))
            if _TASK.fullmatch(task):
                yield from self._task(inputs, at, scope, session)
                continue
            if script is None and task:
                script = inputs.get("inlinescript") or inputs.get("script") or inputs.get("scriptpath")
                script = script or inputs.get("filepath")
            if script is not None:
                where = scope.text(step.get("workingDirectory")) or inputs.get("workingdirectory", "")
                before = (session.folder, dict(session.env))
                session.env |= {str(key): scope.text(value) for key, value in mapping(step.get("env")).items()}
                session.folder = joined("", where)
                session.run(scope.text(script), at=at)
                session.folder, session.env = before

    def _task(self, inputs: Mapping[str, str], at: Place, scope: _Scope, session: Session) -> Iterator[Use]:
        options = inputs.get("commandoptions", "")
        overrides = {name: inputs[key] for key, name in _INPUTS.items() if inputs.get(key)}
        folder = joined("", inputs.get("workingdirectory", ""))
        command = inputs.get("command", "init")
        before = session.folder
        session.folder = folder
        session.run(f"terraform {command} {options}" if command != "custom" else
                    f"terraform {inputs.get('customcommand', '')} {options}", at=at)  # fmt: skip
        session.folder = before
        if overrides:
            yield Use(folder, at, self.seen, overrides=overrides, options=scope.options, env=dict(session.env))

    def _elsewhere(self, part: Mapping[Any, Any], scope: _Scope) -> Iterator[Use]:
        """A template of another repository, with the parameters that it is given."""
        name = plain(part.get("template"))
        if "@" in name and not name.endswith("@self") and not is_a_check(name.partition("@")[0]):
            given = {str(key): scope.text(value) for key, value in mapping(part.get("parameters")).items()}
            at = Place(self.path, getattr(part, "line", 1))
            yield from by_inputs(given, at, self.seen, scope.options, name)

    def _template(self, part: Mapping[Any, Any], scope: _Scope, depth: int) -> Iterator[Use]:
        path, document = self._file(plain(part.get("template")), depth)
        yield from self._elsewhere(part, scope)
        if document:
            given = {f"parameters.{key}": scope.value(value) for key, value in mapping(part.get("parameters")).items()}
            inner = _Scope({**_kept(scope), **dict(_flat(given))}, scope.options)
            yield from _Pipeline(self.checkout, path, self.seen).uses(document, inner, depth + 1)

    def _step_template(self, part: Mapping[Any, Any], scope: _Scope, session: Session, depth: int) -> Iterator[Use]:
        path, document = self._file(plain(part.get("template")), depth)
        yield from self._elsewhere(part, scope)
        if document:
            given = {f"parameters.{key}": scope.value(value) for key, value in mapping(part.get("parameters")).items()}
            inner = _with_parameters(document, _Scope({**_kept(scope), **dict(_flat(given))}, scope.options))
            below = _Pipeline(self.checkout, path, self.seen)
            yield from below._steps(document.get("steps"), inner, session, depth + 1)

    def _file(self, name: str, depth: int) -> tuple[str, Mapping[Any, Any]]:
        """A template of this repository: `@self` is it, any other `@name` is not."""
        name, _, repository = name.partition("@")
        if depth >= _DEEPEST or repository not in {"", "self"}:
            return "", {}
        near = joined(posixpath.dirname(self.path), name) if not name.startswith("/") else name.lstrip("/")
        path = next((each for each in (near, name.lstrip("/")) if self.checkout.has(each)), "")
        return path, mapping(yaml_of(self.checkout, path)) if path else {}

    def _variables(self, given: Any, scope: _Scope) -> dict[str, Any]:
        if isinstance(given, dict):
            return {f"variables.{name}": scope.text(value) for name, value in given.items()
                    if not str(name).startswith("${{")}  # fmt: skip
        found = dict[str, Any]()
        for each in map(mapping, listed(given)):
            if "name" in each and "value" in each:
                found[f"variables.{plain(each['name'])}"] = scope.inside(found).text(each["value"])
            elif "template" in each:
                _, document = self._file(scope.text(each["template"]), 0)
                given = {f"parameters.{key}": scope.inside(found).value(value)
                         for key, value in mapping(each.get("parameters")).items()}  # fmt: skip
                inner = _with_parameters(document, scope.inside(found).inside(dict(_flat(given))))
                found |= self._variables(document.get("variables"), inner)
        return found


def _with_parameters(document: Mapping[Any, Any], scope: _Scope, *, is_open: bool = False) -> _Scope:
    """The parameters that nobody gave have their defaults. `is_open`: a person may choose one of their values."""
    made = _Scope(dict(scope.values), dict(scope.options))
    declared = document.get("parameters")
    listed_ = (
        [{"name": name, "default": value} for name, value in declared.items()]
        if isinstance(declared, dict)
        else [mapping(each) for each in listed(declared)]
    )
    for each in listed_:
        name = f"parameters.{plain(each.get('name'))}"
        if name in made.values:
            continue
        values = tuple(plain(value) for value in listed(each.get("values")))
        if values and (is_open or "default" not in each):
            made.options[name] = values
        elif "default" in each:
            made.values |= dict(_flat({name: each["default"]}))
    return made


def _kept(scope: _Scope) -> dict[str, Any]:
    return {key: value for key, value in scope.values.items() if not key.startswith("parameters.")}


def _flat(values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        yield name, value
        if isinstance(value, dict):
            yield from _flat({f"{name}.{key}": inner for key, inner in value.items()})


def _repeated(key: str, scope: _Scope) -> Iterator[_Scope]:
    """The scopes of `${{ each x in parameters.y }}`; of `${{ if … }}` the one there is, whatever its condition."""
    found = _EACH.match(key)
    if found is None:
        yield scope
        return
    values = scope.values.get(f"parameters.{found[2]}")
    if isinstance(values, dict):
        pairs = [{f"{found[1]}.key": name, f"{found[1]}.value": value} for name, value in values.items()]
    elif isinstance(values, list):
        pairs = [{found[1]: value} for value in values]
    else:
        pairs = [{}]
    for each in pairs[:_MOST_VALUES]:
        yield scope.inside(dict(_flat(each)))


def _steps_in(job: Mapping[Any, Any]) -> Iterator[Any]:
    """The steps of a job, or of each phase of a deployment's strategy."""
    if "steps" in job:
        yield job["steps"]
    for phase in mapping(job.get("strategy")).values():
        for name in ("preDeploy", "deploy", "routeTraffic", "postRouteTraffic"):
            if "steps" in mapping(mapping(phase).get(name)):
                yield phase[name]["steps"]


def _combinations(job: Mapping[Any, Any], scope: _Scope) -> Iterator[dict[str, str]]:
    matrix = mapping(mapping(job.get("strategy")).get("matrix"))
    made = [
        {f"variables.{name}": scope.text(value) for name, value in mapping(each).items()} for each in matrix.values()
    ]
    yield from made[:_MOST_VALUES] or [{}]
