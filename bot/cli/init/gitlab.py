"""`.gitlab-ci.yml` into what it does with Terraform.

Read: local includes and child pipelines, `extends`, `default`, variables, `parallel: matrix`, and GitLab's own
templates and components for Terraform and OpenTofu. Source: GitLab's CI/CD YAML syntax reference; the templates
`Terraform/Base.gitlab-ci.yml` and `gitlab-terraform.sh`; the component `opentofu`.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import quote

from bot.cli.init.elsewhere import HINT, by_inputs, is_a_check
from bot.cli.init.holes import hole
from bot.cli.init.shell import Session, expanded, joined, use_of
from bot.cli.init.syntax import listed, mapping, plain, yaml_of
from bot.cli.init.tree import Checkout, Place
from bot.cli.init.uses import Seen, Use

CI = "gitlab"
_FILES = (".gitlab-ci.yml", ".gitlab-ci.yaml")
_NOT_JOBS = frozenset({"include", "stages", "variables", "default", "workflow", "image", "services", "cache",
                       "before_script", "after_script", "pages", "spec"})  # fmt: skip
_MOST_FILES = 200
_DEEPEST = 10
_STEPS = 4
_MOST_COMBINATIONS = 200


def uses(checkout: Checkout) -> Iterator[Use]:
    start = next((file for file in _FILES if checkout.has(file)), None)
    if start is None:
        yield from _of_other_projects(checkout)
        return
    remote = checkout.remote_on(CI)
    project = remote.path if remote else ""
    seen = Seen(CI, (("project", project),), "" if project else "which project on GitLab is this (group/name)?")
    read = dict[str, Mapping[Any, Any]]()
    fixed = {"CI_PROJECT_DIR": hole("CI_PROJECT_DIR")}
    if remote:
        server = f"https://{remote.host}"
        fixed |= {
            "CI_SERVER_URL": server, "CI_API_V4_URL": f"{server}/api/v4", "CI_PROJECT_PATH": project,
            "CI_PROJECT_NAME": checkout.name, "CI_PROJECT_ID": quote(project, safe=""),
        }  # fmt: skip
    queue = [start]
    while queue and len(read) < _MOST_FILES:
        path = queue.pop(0)
        if path in read or not checkout.has(path):
            continue
        read[path] = mapping(yaml_of(checkout, path))
        queue += _local(checkout, read[path])
    jobs, variables, default = dict[str, tuple[str, Mapping[Any, Any]]](), dict[str, str](), dict[Any, Any]()
    for path in reversed(read):  # what includes wins over what is included
        document = read[path]
        variables |= _variables(document.get("variables"))
        default |= mapping(document.get("default"))
        default |= {key: document[key] for key in ("before_script", "after_script") if key in document}
        jobs |= {str(name): (path, job) for name, job in document.items()
                 if name not in _NOT_JOBS and isinstance(job, dict)}  # fmt: skip
    env = _settled(fixed | variables)
    for path, document in read.items():
        yield from _templates(path, document, env, seen)
        yield from _elsewhere(path, document, env, seen)
    for name in jobs:
        if not name.startswith("."):
            yield from _job(checkout, name, jobs, default, env, seen)


def _of_other_projects(checkout: Checkout) -> Iterator[Use]:
    """Files in folders of their own: they are read by projects of which a part is here, or that name them."""
    for path in checkout.matching(*_FILES):
        seen = Seen(CI, (("project", ""),), f"which project on GitLab runs {path} (group/name)?", path)
        likely = HINT.search(checkout.text(path) or "") is not None
        yield Use("", Place(path), seen, applies=likely, elsewhere=path)


def _local(checkout: Checkout, document: Mapping[Any, Any]) -> Iterator[str]:
    includes = listed(document.get("include"))
    for job in document.values():
        includes += listed(mapping(mapping(job).get("trigger")).get("include"))
    for include in includes:
        given = include if isinstance(include, str) else mapping(include).get("local")
        if not isinstance(given, str) or given.startswith(("http://", "https://")):
            continue
        pattern = given.lstrip("/")
        yield from (file for file in checkout.files if "*" in pattern and fnmatchcase(file, pattern))
        yield pattern


def _variables(given: object) -> dict[str, str]:
    return {
        str(name): plain(value.get("value")) if isinstance(value, dict) else plain(value)
        for name, value in mapping(given).items()
    }


def _settled(variables: Mapping[str, str]) -> dict[str, str]:
    """Variables that are made of others, with the values of those."""
    made = dict(variables)
    for _ in range(_STEPS):
        made = {name: expanded(value, {**made, name: ""}) if "$" in value else value for name, value in made.items()}
    return made


def _templates(path: str, document: Mapping[Any, Any], env: Mapping[str, str], seen: Seen) -> Iterator[Use]:
    """GitLab's own templates and components, which run one folder with one managed state."""
    for include in listed(document.get("include")):
        about = mapping(include)
        template, component = plain(about.get("template")), plain(about.get("component"))
        line = getattr(about, "line", 1)
        inputs = {str(key): expanded(plain(value), env) for key, value in mapping(about.get("inputs")).items()}
        if re.match(r"Terraform(/Base)?(\.latest)?\.gitlab-ci\.yml", template):
            folder = env.get("TF_ROOT", "")
            yield _managed(folder, env.get("TF_STATE_NAME", "default"), Place(path, line), seen, env)
        elif re.search(r"components/opentofu/", component) and not re.search(r"/(fmt|validate|test)@", component):
            name = inputs.get("state_name") or env.get("GITLAB_TOFU_STATE_NAME", "default")
            yield _managed(inputs.get("root_dir", ""), name, Place(path, line), seen, env)


def _elsewhere(path: str, document: Mapping[Any, Any], env: Mapping[str, str], seen: Seen) -> Iterator[Use]:
    """What is included from other projects, with its inputs."""
    for include in listed(document.get("include")):
        about = mapping(include)
        names = [plain(about.get(key)) for key in ("project", "remote", "component") if about.get(key)]
        if not names or "components/opentofu/" in names[0]:
            continue
        files = [plain(each) for each in listed(about.get("file"))] or [""]
        inputs = {str(key): expanded(plain(value), env) for key, value in mapping(about.get("inputs")).items()}
        for file in files:
            if is_a_check(file):
                continue
            yield from by_inputs(inputs, Place(path, getattr(about, "line", 1)), seen, {}, f"{names[0]} {file}".strip())


def _managed(folder: str, name: str, at: Place, seen: Seen, env: Mapping[str, str]) -> Use:
    address = f"{env.get('CI_API_V4_URL', '')}/projects/{env.get('CI_PROJECT_ID', '')}/terraform/state/{name}"
    address = env.get("TF_ADDRESS") or address
    known = {"TF_HTTP_ADDRESS": expanded(address, env)} if not address.startswith("/projects//") else {}
    return Use(joined("", folder), at, seen, env=known | dict(env))


def _job(
    checkout: Checkout,
    name: str,
    jobs: Mapping[str, tuple[str, Mapping[Any, Any]]],
    default: Mapping[Any, Any],
    env: Mapping[str, str],
    seen: Seen,
) -> Iterator[Use]:
    path, _ = jobs[name]
    job = {**default, **_merged(name, jobs, 0)}
    inner = dict(env) | _variables(job.get("variables"))
    at = Place(path, getattr(jobs[name][1], "line", 1))
    for combination in _combinations(job):
        values = _settled({**inner, **combination, "CI_JOB_NAME": name})
        session = Session(checkout, at, values)
        script = [
            line for part in ("before_script", "script", "after_script") for line in _lines(job.get(part), jobs, 0)
        ]
        session.run("\n".join(script))
        parents = [parent for parent in map(plain, listed(job.get("extends"))) if parent not in jobs]
        if parents and HINT.search(" ".join([*parents, *_variables(job.get("variables"))])):
            given = {**values, **_variables(job.get("variables"))}
            given = {key: expanded(value, values) for key, value in given.items() if key.startswith(("TF_", "TG_"))}
            yield from by_inputs(given, at, seen, session.options, parents[0])
        for call in session.calls:
            yield _of_call(use_of(call, seen, session.options), call.program, values)


def _of_call(use: Use, program: str, env: Mapping[str, str]) -> Use:
    if program != "gitlab":
        return use
    name = env.get("TF_STATE_NAME") or env.get("GITLAB_TOFU_STATE_NAME") or "default"
    made = _managed(use.folder, name, use.at, use.pipeline or Seen(CI, ()), env)
    return Use(made.folder, use.at, use.pipeline, use.config, use.workspace, env=made.env, applies=use.applies)


def _merged(name: str, jobs: Mapping[str, tuple[str, Mapping[Any, Any]]], depth: int) -> dict[Any, Any]:
    """The job with what it extends, deep for mappings as GitLab merges them."""
    if name not in jobs or depth > _DEEPEST:
        return {}
    own = jobs[name][1]
    made = dict[Any, Any]()
    for parent in listed(own.get("extends")):
        made = _over(made, _merged(plain(parent), jobs, depth + 1))
    return _over(made, own)


def _over(below: Mapping[Any, Any], above: Mapping[Any, Any]) -> dict[Any, Any]:
    return {**below, **{
        key: _over(below[key], value) if isinstance(value, dict) and isinstance(below.get(key), dict) else value
        for key, value in above.items()
    }}  # fmt: skip


def _lines(given: object, jobs: Mapping[str, tuple[str, Mapping[Any, Any]]], depth: int) -> Iterator[str]:
    if depth > _DEEPEST:
        return
    for each in listed(given):
        if isinstance(each, str):
            yield each
        elif isinstance(each, list):
            yield from _lines(each, jobs, depth + 1)
        elif "!reference" in mapping(each):
            parts = [plain(part) for part in each["!reference"]]
            there: Any = _merged(parts[0], jobs, 0) if parts else None
            for part in parts[1:]:
                there = mapping(there).get(part)
            yield from _lines(there, jobs, depth + 1)


def _combinations(job: Mapping[Any, Any]) -> Iterator[dict[str, str]]:
    matrix = listed(mapping(job.get("parallel")).get("matrix"))
    made = [
        dict(zip(axes, values, strict=True))
        for axes in map(mapping, matrix)
        for values in itertools.product(*([plain(one) for one in listed(each)] for each in axes.values()))
    ]
    yield from made[:_MOST_COMBINATIONS] or [{}]
