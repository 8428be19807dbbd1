"""Jenkins, ECS task definitions, Atlantis, and systems that tflock cannot ask: what they do with Terraform. Read last:
the scripts of other systems name the clusters that tasks run in.

A Jenkinsfile is Groovy, which is not run: strings of `sh`, `dir(…) { }`, `environment { }` and choices of `parameters`
are taken from its text. Sources: Jenkins' Pipeline Syntax; "Task definition parameters" of Amazon ECS; "Repo level
atlantis.yaml config".
"""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Iterator

from bot.cli.init.holes import filled, hole, replaced
from bot.cli.init.shell import Session, joined, use_of
from bot.cli.init.syntax import json_of, listed, mapping, plain, yaml_of
from bot.cli.init.tree import Checkout, Place
from bot.cli.init.uses import Seen, Use

JENKINS, ECS = "jenkins", "ecs"
_UNKNOWN = {
    ".circleci/config.yml": "CircleCI",
    ".circleci/config.yaml": "CircleCI",
    "bitbucket-pipelines.yml": "Bitbucket Pipelines",
    ".travis.yml": "Travis CI",
    ".drone.yml": "Drone",
    ".buildkite/pipeline.yml": "Buildkite",
    ".buildkite/pipeline.yaml": "Buildkite",
    "cloudbuild.yaml": "Google Cloud Build",
    "cloudbuild.yml": "Google Cloud Build",
    "buildspec.yml": "AWS CodeBuild",
    "buildspec.yaml": "AWS CodeBuild",
    ".woodpecker.yml": "Woodpecker",
    "codefresh.yml": "Codefresh",
    ".spacelift/config.yml": "Spacelift",
    "terrateam.yml": "Terrateam",
    "digger.yml": "Digger",
}
_LARGEST_TASK = 256 * 1024
"""Bytes of a file with a task definition, which Amazon ECS allows 64 KiB."""

_TERRAFORM = re.compile(r"\b(terraform|terragrunt|tofu)\b")
_STRING = r"'''(?P<s3>.*?)'''|\"\"\"(?P<d3>.*?)\"\"\"|'(?P<s1>(?:[^'\\\n]|\\.)*)'|\"(?P<d1>(?:[^\"\\\n]|\\.)*)\""
_TOKEN = re.compile(
    rf"//[^\n]*|/\*.*?\*/|(?P<dir>\bdir\s*\(?\s*(?=['\"]))|(?P<open>\{{)|(?P<close>\}})|(?P<string>{_STRING})"
    r"|(?P<sh>\b(?:sh|bat|powershell|pwsh)\b\s*\(?\s*(?:script\s*:\s*)?)",
    re.DOTALL,
)
_LIBRARY = re.compile(r"""(?m)^\s*@?[Ll]ibrary\s*\(?\s*(?:identifier:\s*)?['"\[]+([\w./@-]+)""")
_PARAMETER = re.compile(r"\$\{\s*(?:params|env)\.(\w+)\s*\}|\$(?:params|env)\.(\w+)")


def uses(checkout: Checkout) -> Iterator[Use]:
    yield from _jenkins(checkout)
    yield from _ecs(checkout)
    yield from _atlantis(checkout)


def unknown_systems(checkout: Checkout) -> Iterator[tuple[str, Place]]:
    """Systems that run Terraform here, and that tflock cannot ask."""
    for path, system in _UNKNOWN.items():
        text = checkout.text(path) if checkout.has(path) else None
        found = _TERRAFORM.search(text) if text else None
        if text and found:
            yield system, Place(path, text.count("\n", 0, found.start()) + 1)


def _jenkins(checkout: Checkout) -> Iterator[Use]:
    for path in checkout.matching("Jenkinsfile*", "*.jenkinsfile", "*.Jenkinsfile"):
        text = checkout.text(path)
        if text is None:
            continue
        seen = Seen(JENKINS, (("job", ""),), f"which job runs {path} (its full name, folder/name)?", path)
        library = _LIBRARY.search(text)
        if library:
            at = Place(path, text.count("\n", 0, library.start()) + 1)
            likely = re.search(r"(?i)terra(form|grunt)|infra", text) is not None
            yield Use("", at, seen, applies=likely, elsewhere=f"the library {library[1]}")
        if not re.search(r"terraform|terragrunt|tofu|make\b|\.sh\b", text):
            continue
        env = _assigned(text)
        session = Session(checkout, Place(path), env)
        _follow(text, path, session)
        choices = {
            name: tuple(shlex.split(values.replace(",", " ").replace("\\n", " ")))
            for name, values in re.findall(r"name:\s*['\"](\w+)['\"]\s*,\s*choices:\s*\[([^\]]*)\]", text)
        } | {
            name: tuple(shlex.split(values.replace(",", " ").replace("\\n", " ")))
            for values, name in re.findall(r"choices:\s*\[([^\]]*)\]\s*,\s*name:\s*['\"](\w+)['\"]", text)
        }
        yield from (use_of(call, seen, {**session.options, **choices}) for call in session.calls)


def _assigned(text: str) -> dict[str, str]:
    """The literal values of `environment` blocks."""
    env = dict[str, str]()
    for block in re.findall(r"\benvironment\s*\{([^{}]*(?:\$\{[^}]*\}[^{}]*)*)\}", text):
        for name, _, value in re.findall(r"(?m)^\s*([A-Za-z_]\w*)\s*=\s*(['\"])(.*?)\2\s*$", block):
            env[name] = _names(value)
    return env


def _names(value: str) -> str:
    """Groovy's `${params.X}` as a hole; `$X` is left to the shell's rules."""
    return replaced(value, _PARAMETER, lambda found: hole(found[1] or found[2]))


def _follow(text: str, path: str, session: Session) -> None:
    """Goes through the text once: the braces around a script say which folder it runs in."""
    folders, depth, pending, wanted = [("", -1)], 0, "", ""
    for token in _TOKEN.finditer(text):
        if token["string"] is not None:
            value = _names(next(token[name] for name in ("s3", "d3", "s1", "d1") if token[name] is not None))
            value = filled(value, session.env)
            if wanted == "dir":
                pending = value
            elif wanted == "sh":
                session.folder = folders[-1][0]
                session.run(value.replace("\\n", "\n"), at=Place(path, text.count("\n", 0, token.start()) + 1))
            wanted = ""
        elif token["open"] is not None:
            depth += 1
            if pending:
                folders.append((joined(folders[-1][0], pending), depth))
            pending = ""
        elif token["close"] is not None:
            if folders[-1][1] == depth:
                folders.pop()
            depth -= 1
        else:
            wanted = next((name for name in ("dir", "sh") if token[name] is not None), wanted)


def _ecs(checkout: Checkout) -> Iterator[Use]:
    for path in checkout.matching("*.json"):
        text = checkout.text(path) if checkout.size(path) <= _LARGEST_TASK else None
        if text is None or '"containerDefinitions"' not in text or not _TERRAFORM.search(text):
            continue
        about = mapping(json_of(checkout, path))
        about = mapping(about.get("taskDefinition", about))
        family = plain(about.get("family"))
        at = Place(path, 1)
        cluster = checkout.clusters.get(family, "")
        seen = Seen(ECS, (("cluster", cluster), ("family", family)), _which(path) if not cluster else "")
        for container in map(mapping, listed(about.get("containerDefinitions"))):
            env = {plain(each.get("name")): plain(each.get("value"))
                   for each in map(mapping, listed(container.get("environment")))}  # fmt: skip
            session = Session(checkout, at, env, joined("", plain(container.get("workingDirectory"))))
            entry = [plain(word) for word in listed(container.get("entryPoint"))]
            words = [*entry, *(plain(word) for word in listed(container.get("command")))]
            is_image = "terraform" in plain(container.get("image")) and not entry
            if is_image and words[:1] and posixpath.basename(words[0]) not in {"terraform", "sh", "bash"}:
                words = ["terraform", *words]
            session.run(shlex.join(words))
            if family:
                yield from (use_of(call, seen, session.options) for call in session.calls)


def _which(path: str) -> str:
    return f"in which ECS cluster does {path} run?"


def _atlantis(checkout: Checkout) -> Iterator[Use]:
    path = next((file for file in ("atlantis.yaml", "atlantis.yml") if checkout.has(file)), None)
    if path is None:
        return
    for project in map(mapping, listed(mapping(yaml_of(checkout, path)).get("projects"))):
        folder = joined("", plain(project.get("dir")) or ".")
        workspace = plain(project.get("workspace")) or None
        yield Use(folder, Place(path, getattr(project, "line", 1)), None, workspace=workspace, system="Atlantis")
