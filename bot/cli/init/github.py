"""GitHub's workflows into what they do with Terraform.

Read: jobs, steps, `defaults`, `env`, `strategy.matrix`, inputs with their options, reusable workflows and composite
actions of the same repository, and the inputs of the actions that teams run Terraform with.
Source: GitHub's workflow syntax and its contexts.
"""

from __future__ import annotations

import itertools
import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from bot.cli.init.elsewhere import HINT, by_inputs, is_a_check
from bot.cli.init.expressions import Values, values_of
from bot.cli.init.holes import hole, is_known, name_of, replaced
from bot.cli.init.shell import ENV_FILE, OUTPUT_FILE, Session, joined, use_of
from bot.cli.init.syntax import listed, mapping, plain, yaml_of
from bot.cli.init.tree import Checkout, Place
from bot.cli.init.uses import Seen, Use

CI = "github"
_FOLDER = ".github/workflows"
_EXPRESSION = re.compile(r"\$\{\{(.*?)\}\}", re.DOTALL)
_FILES = (f"{ENV_FILE}.", f"{OUTPUT_FILE}.")
_MOST_COMBINATIONS = 256
_DEEPEST = 4


@dataclass(frozen=True, slots=True)
class _Action:
    """The inputs of an action that runs Terraform: where, with which configuration and workspace."""

    folder: str = ""
    config: str = ""
    files: str = ""
    workspace: str = ""
    command: str = ""


_ACTIONS = {
    r"dflook/(terraform|tofu)-.*": _Action("path", "backend_config", "backend_config_file", "workspace"),
    r"gruntwork-io/terragrunt-action": _Action("tg_dir", command="tg_command"),
    r"op5dev/tf-via-pr|devsectop/tf-via-pr.*": _Action(
        "working-directory", "arg-backend-config", "arg-backend-config", "arg-workspace", "command"
    ),
    r"hashicorp/terraform-github-actions": _Action("tf_actions_working_dir", command="tf_actions_subcommand"),
}
"""By the action's name, as a pattern."""


@dataclass
class _Scope:
    """What `${{ … }}` can mean in one combination of a job's matrix. `without_inputs`: it also runs without any."""

    values: dict[str, str] = field(default_factory=dict)
    options: dict[str, tuple[str, ...]] = field(default_factory=dict)
    without_inputs: bool = False

    def text(self, given: object) -> str:
        return replaced(plain(given), _EXPRESSION, lambda found: self._value_of(found[1].strip()))

    def all(self, expression: str) -> Values:
        return values_of(expression, self.values, self.options, without_inputs=self.without_inputs)

    def inside(self, values: Mapping[str, str]) -> _Scope:
        return _Scope({**self.values, **values}, dict(self.options), self.without_inputs)

    def _value_of(self, expression: str) -> str:
        found = self.all(expression)
        if len(found) == 1:
            return plain(found[0]) if not isinstance(found[0], list | dict) else hole(expression)
        texts = [value for value in found if isinstance(value, str) and value]
        known = tuple(value for value in texts if is_known(value))
        if known:
            self.options[name_of(expression)] = known
        return hole(expression)

    def hand_on(self, session: Session, step: str) -> None:
        """What the scripts of a step have written for the steps after it."""
        self.options |= {name: values for name, values in session.options.items() if name not in self.options}
        for name in [name for name in session.env if name.startswith(_FILES)]:
            value = session.env.pop(name)
            kind, _, own = name.partition(".")
            if kind == ENV_FILE:
                session.env[own] = value
                self.values[f"env.{own}"] = value
            elif step:
                self.values[f"steps.{step}.outputs.{own}"] = value

    def with_env(self, env: object) -> dict[str, str]:
        made = {str(name): self.text(value) for name, value in mapping(env).items()}
        self.values |= {f"env.{name}": value for name, value in made.items()}
        return made


def uses(checkout: Checkout) -> Iterator[Use]:
    remote = checkout.remote_on(CI)
    repo = remote.path if remote and remote.path.count("/") == 1 else ""
    for path in checkout.files:
        if posixpath.dirname(path) != _FOLDER or not path.endswith((".yml", ".yaml")):
            continue
        workflow = mapping(yaml_of(checkout, path))
        triggers = _triggers(workflow)
        if set(triggers) == {"workflow_call"}:
            continue  # its runs are those of the workflows that call it
        keys = (("repo", repo), ("workflow", posixpath.basename(path)))
        seen = Seen(CI, keys, "" if repo else "which repository on GitHub is this (owner/name)?")
        scope = _Scope(_fixed(repo), without_inputs=set(triggers) != {"workflow_dispatch"})
        manual = mapping(mapping(triggers.get("workflow_dispatch")).get("inputs"))
        _take_inputs(scope, manual, {}, is_open=True)
        yield from _Workflow(checkout, path, seen).uses(workflow, scope, 0)


def _triggers(workflow: Mapping[Any, Any]) -> dict[str, Any]:
    given = workflow.get("on", workflow.get("true"))
    if isinstance(given, dict):
        return given
    return {str(each): None for each in listed(given)}


def _fixed(repo: str) -> dict[str, str]:
    fixed = {"github.workspace": hole("github.workspace")}
    if repo:
        owner, _, name = repo.partition("/")
        fixed |= {
            "github.repository": repo, "github.event.repository.name": name, "github.repository_owner": owner,
        }  # fmt: skip
    return fixed


def _take_inputs(scope: _Scope, declared: Mapping[Any, Any], given: Mapping[str, str], *, is_open: bool) -> None:
    """`is_open`: a person may choose another value than the default."""
    for name, each in declared.items():
        about = mapping(each)
        choices = tuple(plain(option) for option in listed(about.get("options")))
        for key in (f"inputs.{name}", f"github.event.inputs.{name}"):
            if name in given:
                scope.values[key] = given[name]
            elif choices:
                scope.options[re.sub(r"[^A-Za-z0-9_.-]+", "_", key)] = choices
            elif "default" in about and not is_open:
                scope.values[key] = plain(about["default"])
            elif "default" in about and plain(about["default"]):
                scope.options[re.sub(r"[^A-Za-z0-9_.-]+", "_", key)] = (plain(about["default"]),)


@dataclass(frozen=True, slots=True)
class _Workflow:
    checkout: Checkout
    path: str
    seen: Seen

    def uses(self, workflow: Mapping[Any, Any], scope: _Scope, depth: int) -> Iterator[Use]:
        env = scope.with_env(workflow.get("env"))
        folder = _default_folder(workflow, scope)
        for name, given in mapping(workflow.get("jobs")).items():
            job = mapping(given)
            for values in _combinations(job, scope):
                inner = scope.inside(values)
                if "uses" in job:
                    yield from self._called(job, inner, depth, folder)
                else:
                    yield from self._job(job, inner, env, folder)
                for output, value in mapping(job.get("outputs")).items():
                    scope.values[f"needs.{name}.outputs.{output}"] = inner.text(value)
                    scope.options |= {key: each for key, each in inner.options.items() if key not in scope.options}

    def _called(self, job: Mapping[Any, Any], scope: _Scope, depth: int, folder: str) -> Iterator[Use]:
        """A reusable workflow: of this repository it is read, of another one its inputs may name a folder."""
        name = plain(job.get("uses"))
        given = {str(key): scope.text(value) for key, value in mapping(job.get("with")).items()}
        at = Place(self.path, getattr(job, "line", 1))
        local = name.removeprefix("./").partition("@")[0]
        if self.seen.keys[0][1] and local.startswith(f"{self.seen.keys[0][1]}/"):
            local = local.removeprefix(f"{self.seen.keys[0][1]}/")
        if not self.checkout.has(local):
            if not is_a_check(name.partition("@")[0]):
                yield from by_inputs(given, at, self.seen, scope.options, name, folder=folder)
            return
        if depth >= _DEEPEST:
            return
        workflow = mapping(yaml_of(self.checkout, local))
        call = mapping(_triggers(workflow).get("workflow_call"))
        kept = {key: value for key, value in scope.values.items() if key.startswith("github.")}
        inner = _Scope(kept, dict(scope.options), scope.without_inputs)
        _take_inputs(inner, mapping(call.get("inputs")), given, is_open=False)
        yield from _Workflow(self.checkout, local, self.seen).uses(workflow, inner, depth + 1)

    def _job(self, job: Mapping[Any, Any], scope: _Scope, env: dict[str, str], folder: str) -> Iterator[Use]:
        env = env | scope.with_env(job.get("env"))
        folder = _default_folder(job, scope) or folder
        session = Session(self.checkout, Place(self.path, getattr(job, "line", 1)), dict(env), folder)
        yield from self._steps(listed(job.get("steps")), scope, session, 0)
        yield from (use_of(call, self.seen, {**scope.options, **session.options}) for call in session.calls)

    def _steps(self, steps: list[Any], scope: _Scope, session: Session, depth: int) -> Iterator[Use]:
        for given in steps:
            step = mapping(given)
            at = Place(self.path, getattr(step, "line", 1))
            inner = _Scope(dict(scope.values), scope.options, scope.without_inputs)
            own = inner.with_env(step.get("env"))
            if "run" in step:
                session.at = at
                where = step.get("working-directory")
                before = (session.folder, dict(session.env))
                session.env |= own
                if where is not None:
                    session.folder = joined("", inner.text(where))
                session.run(inner.text(step["run"]), at=at)
                handed_on = {name: value for name, value in session.env.items() if name.startswith(_FILES)}
                session.folder, session.env = before[0], before[1] | handed_on
                scope.hand_on(session, plain(step.get("id")))
            elif "uses" in step:
                with_ = {str(key): inner.text(value) for key, value in mapping(step.get("with")).items()}
                yield from self._action(plain(step["uses"]), with_, at, inner, session, depth)

    def _action(
        self, name: str, given: dict[str, str], at: Place, scope: _Scope, session: Session, depth: int
    ) -> Iterator[Use]:
        if name.startswith("./"):
            yield from self._composite(name, given, scope, session, depth)
            return
        plain_name = name.partition("@")[0].lower()
        for pattern, inputs in _ACTIONS.items():
            if re.fullmatch(pattern, plain_name):
                yield from _by_action(plain_name, inputs, given, at, self.seen, scope, session)
                return
        hints = [plain_name, *(key for key in given if "version" not in key.lower())]
        if any(map(HINT.search, hints)) and not is_a_check(plain_name):
            yield from by_inputs(given, at, self.seen, scope.options, name, env=session.env)

    def _composite(
        self, name: str, given: dict[str, str], scope: _Scope, session: Session, depth: int
    ) -> Iterator[Use]:
        folder = posixpath.normpath(name)
        path = next((f"{folder}/{file}" for file in ("action.yml", "action.yaml")
                     if self.checkout.has(f"{folder}/{file}")), "")  # fmt: skip
        if not path or depth >= _DEEPEST:
            return
        action = mapping(yaml_of(self.checkout, path))
        values = {key: value for key, value in scope.values.items() if not key.startswith(("inputs.", "steps."))}
        inner = _Scope(values, scope.options, scope.without_inputs)
        _take_inputs(inner, mapping(action.get("inputs")), given, is_open=False)
        inner.values |= {"github.action_path": folder}
        steps = listed(mapping(action.get("runs")).get("steps"))
        below = _Workflow(self.checkout, path, self.seen)
        before = session.folder
        session.folder = ""  # a composite action does not have the job's default folder
        yield from below._steps(steps, inner, session, depth + 1)
        scope.values |= {key: value for key, value in inner.values.items() if key.startswith("env.")}
        session.folder = before


def _by_action(
    name: str, inputs: _Action, given: Mapping[str, str], at: Place, seen: Seen, scope: _Scope, session: Session
) -> Iterator[Use]:
    config = [each.strip() for each in re.split(r"[,\n]", given.get(inputs.config, "")) if each.strip()]
    files = [each.strip() for each in re.split(r"[,\n]", given.get(inputs.files, "")) if each.strip()]
    folder = joined("", given.get(inputs.folder, "") or ".")
    # the files of these actions are named from the checkout's folder
    near = [posixpath.relpath(file, folder or ".") if is_known(file) else file for file in files]
    command = given.get(inputs.command, "") or re.sub(r".*?(terraform|tofu)-", "", name)
    yield Use(
        folder=folder,
        at=at,
        pipeline=seen,
        config=tuple(dict.fromkeys([*(near if inputs.files != inputs.config else ()), *config])),
        workspace=given.get(inputs.workspace) or session.env.get("TF_WORKSPACE"),
        env=dict(session.env),
        options=scope.options,
        applies=not re.match(r"(fmt|validate|output|version|hcl|remote)", command),
        below="run-all" in command or "--all" in command,
    )


def _default_folder(given: Mapping[Any, Any], scope: _Scope) -> str:
    where = mapping(mapping(given.get("defaults")).get("run")).get("working-directory")
    return joined("", scope.text(where)) if where is not None else ""


def _combinations(job: Mapping[Any, Any], scope: _Scope) -> Iterator[dict[str, str]]:
    """The values of each combination of a job's matrix, as `matrix.NAME`; one without any if it has none."""
    matrix = mapping(mapping(job.get("strategy")).get("matrix"))
    axes = {str(name): _values(value, scope) for name, value in matrix.items() if name not in {"include", "exclude"}}
    made: list[dict[str, Any]] = [
        dict(zip(axes, combination, strict=True))
        for combination in itertools.islice(itertools.product(*axes.values()), _MOST_COMBINATIONS)
    ]
    left_out = [mapping(each) for each in listed(matrix.get("exclude"))]
    made = [each for each in made if not any(_agrees(each, one) for one in left_out if one)]
    include = [dict(each) for each in listed(matrix.get("include")) if isinstance(each, dict)]
    if include and not axes:
        made = []
    for extra in include[:_MOST_COMBINATIONS]:
        own = {name: value for name, value in extra.items() if name in axes}
        joining = [each for each in made if all(plain(each.get(name)) == plain(value) for name, value in own.items())]
        if joining and axes:
            for each in joining:
                each.update(extra)
        else:
            made.append(dict(extra))
    for each in made or [{}]:
        yield dict(_flat("matrix", each, scope))


def _values(value: object, scope: _Scope) -> list[Any]:
    """The values of one axis, all that an expression in its place can give."""
    if isinstance(value, list):
        return value
    whole = re.fullmatch(r"\$\{\{(.*)\}\}", value.strip(), re.DOTALL) if isinstance(value, str) else None
    found = scope.all(whole[1].strip()) if whole else (scope.text(value),)
    return [one for each in found for one in (each if isinstance(each, list) else [each])]


def _flat(prefix: str, value: Any, scope: _Scope) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _flat(f"{prefix}.{name}", inner, scope)
    elif not isinstance(value, list):
        yield prefix, scope.text(value)


def _agrees(combination: Mapping[str, Any], pattern: Mapping[Any, Any]) -> bool:
    return all(plain(combination.get(str(name))) == plain(value) for name, value in pattern.items())


def _at(values: list[str], index: int) -> str:
    return values[index] if index < len(values) else hole(f"format.{index}")
