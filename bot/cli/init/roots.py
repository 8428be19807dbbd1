"""Folders that Terraform is run in: those with a `backend` or `cloud` block, or with Terragrunt's `remote_state`.

Sources: "Backend block" and "cloud block" of Terraform's language; OpenTofu's early evaluation; Terragrunt's
`remote_state`, `generate`, `include` and its functions `path_relative_to_include`, `find_in_parent_folders`,
`read_terragrunt_config` and `get_env`.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bot.cli.init.holes import hole, is_known, replaced
from bot.cli.init.syntax import blocks, hcl_of, heredoc, json_of, labelled, line_of, mapping, plain
from bot.cli.init.tree import Checkout, Place

CLOUD = "cloud"
"""The kind of a root with a `cloud` block."""

_SIGN = re.compile(r'\bbackend"?\s*(?:"|:)|\bcloud"?\s*[{:]')
_EXPRESSION = re.compile(r"\$\{((?:[^{}]|\{[^{}]*\})*)\}")
_TERRAGRUNT = ("terragrunt.hcl", "terragrunt.hcl.json")
_OWN_FOLDER = frozenset({
    "basename(get_terragrunt_dir())", "basename(get_original_terragrunt_dir())", "get_path_from_repo_root()",
    "get_terragrunt_dir()",
})  # fmt: skip
_STEPS = 6
"""So often is a value looked up in another one."""


@dataclass(frozen=True, slots=True)
class Root:
    """`kind` is the backend's type as Terraform calls it. A value may have holes. `guesses` say what was worked out."""

    folder: str
    kind: str
    values: Mapping[str, Any]
    at: Place
    guesses: tuple[str, ...] = ()


def roots(checkout: Checkout) -> tuple[Root, ...]:
    """All of the checkout's, by folder."""
    mine = [file for file in checkout.files if _is_within(checkout, file)]
    found = {root.folder: root for root in _terragrunt(checkout, mine)}
    found |= {root.folder: root for root in _terraform(checkout, mine)}
    return tuple(found[folder] for folder in sorted(found))


def _is_within(checkout: Checkout, file: str) -> bool:
    return not checkout.within or file.startswith(f"{checkout.within}/")


def _terraform(checkout: Checkout, files: list[str]) -> Iterator[Root]:
    # an override file is merged last
    for path in sorted(files, key=lambda file: ("override" in posixpath.basename(file), file)):
        if not path.endswith((".tf", ".tofu", ".tf.json", ".tofu.json")):
            continue
        text = checkout.text(path)
        if text is None or not _SIGN.search(text):
            continue
        body = mapping(json_of(checkout, path)) if path.endswith(".json") else hcl_of(checkout, path)
        folder = posixpath.dirname(path)
        for kind, values, pattern in _backends(body):
            names = _Names(checkout, folder)
            read = {key: names.resolved(value) for key, value in values.items()}
            yield Root(folder, kind, read, Place(path, line_of(text, pattern)), tuple(names.guesses))


def _backends(body: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any], str]]:
    for terraform in blocks(body, "terraform"):
        for kind, values in labelled(terraform, "backend"):
            yield kind, values, rf'\bbackend"?\s*:?\s*\{{?\s*"{re.escape(kind)}"'
        for values in blocks(terraform, "cloud"):
            yield CLOUD, values, r'\bcloud"?\s*[{:]'


class _Names:
    """Replaces `var.x` and `local.x` by the literal values that a folder's files give them: OpenTofu allows that."""

    def __init__(self, checkout: Checkout, folder: str) -> None:
        self._checkout = checkout
        self._folder = folder
        self._values: dict[str, str] | None = None
        self.guesses: list[str] = []

    def resolved(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {key: self.resolved(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [self.resolved(inner) for inner in value]
        if not isinstance(value, str):
            return value
        return replaced(value, _EXPRESSION, lambda found: self._value_of(found[1].strip())).replace("$${", "${")

    def _value_of(self, expression: str) -> str:
        if self._values is None:
            self._values = self._literals()
        found = self._values.get(expression)
        if found is None:
            return hole(expression)
        self.guesses.append(f"{expression} is the default value in this folder")
        return found

    def _literals(self) -> dict[str, str]:
        given, assigned = dict[str, str](), dict[str, str]()
        for path in self._checkout.files:
            if posixpath.dirname(path) != self._folder:
                continue
            if path.endswith((".tf", ".tofu")):
                body = hcl_of(self._checkout, path)
                given |= {
                    f"var.{name}": plain(block["default"])
                    for name, block in labelled(body, "variable")
                    if _is_literal(block.get("default"))
                }
                for block in blocks(body, "locals"):
                    given |= {f"local.{name}": plain(each) for name, each in block.items() if _is_literal(each)}
            elif posixpath.basename(path) in {"terraform.tfvars", "tofu.tfvars"} or path.endswith(".auto.tfvars"):
                body = hcl_of(self._checkout, path)
                assigned |= {f"var.{name}": plain(each) for name, each in body.items() if _is_literal(each)}
        return given | assigned


def _is_literal(value: object) -> bool:
    return isinstance(value, str | int | bool) and "${" not in str(value)


def _terragrunt(checkout: Checkout, files: list[str]) -> Iterator[Root]:
    """Each unit, which is a folder with a `terragrunt.hcl` that has a source, or that includes a parent's."""
    paths = [path for path in files if posixpath.basename(path) in _TERRAGRUNT and path.endswith(".hcl")]
    parents = {posixpath.dirname(path) for path in paths}
    for path in paths:
        body = hcl_of(checkout, path)
        folder = posixpath.dirname(path)
        includes = [*blocks(body, "include")]
        labels = [inner for _, inner in labelled(body, "include")]
        has_units_below = any(each.startswith(f"{folder}/" if folder else "") and each != folder for each in parents)
        is_unit = any("source" in each for each in blocks(body, "terraform")) or labels or includes
        if not is_unit and has_units_below:
            continue
        chain = [(path, body)]
        for include in labels or includes:
            parent = _parent(checkout, folder, plain(include.get("path")))
            if parent is not None:
                chain.append((parent, hcl_of(checkout, parent)))
        yield from _unit(checkout, folder, chain)


def _unit(checkout: Checkout, folder: str, chain: list[tuple[str, dict[str, Any]]]) -> Iterator[Root]:
    for path, body in chain:
        scope = _Terragrunt(checkout, folder, path, body, is_included=path != chain[0][0])
        text = checkout.text(path) or ""
        state = next(iter(blocks(body, "remote_state")), None)
        if state is not None:
            kind = scope.resolved(plain(state.get("backend")))
            at = Place(path, line_of(text, r"\bremote_state\b"))
            config = next(iter(blocks(state, "config")), {})
            if is_known(kind) and kind:
                yield Root(folder, kind, scope.all(config), at, tuple(scope.guesses))
                return
            checkout.fault(at, "remote_state has a backend that is only known when Terragrunt runs")
            return
        for _, generate in labelled(body, "generate"):
            contents = heredoc(plain(generate.get("contents")))
            if not _SIGN.search(contents):
                continue
            start = line_of(text, r"\bgenerate\b")
            # what Terragrunt fills in may be anything: it is no HCL before
            filled_in = scope.resolved(contents)
            inner = hcl_of(checkout, path, filled_in, above=start)
            for kind, values, _ in _backends(inner):
                yield Root(folder, kind, scope.all(values), Place(path, start), tuple(scope.guesses))
                return


def _parent(checkout: Checkout, folder: str, path: str) -> str | None:
    """The file that an `include` means, where it can be found without Terragrunt."""
    found = re.fullmatch(r'\$\{find_in_parent_folders\(\s*(?:"([^"]+)")?\s*\)\}', path)
    if found:
        return _upwards(checkout, posixpath.dirname(folder), found[1] or "terragrunt.hcl") if folder else None
    here = replaced(path, re.compile(r"\$\{(?:get_terragrunt_dir|get_original_terragrunt_dir)\(\)\}"), lambda _: folder)
    here = replaced(here, re.compile(r"\$\{(?:get_repo_root|get_path_to_repo_root)\(\)\}/?"), lambda _: "")
    if "${" in here:
        up = re.search(r"/([\w.-]+\.hcl)$", here)
        return _upwards(checkout, folder, up[1]) if up and "find_in_parent_folders" in here else None
    joined = here if here.startswith(folder) and folder else posixpath.normpath(posixpath.join(folder, here))
    return joined if checkout.has(joined) else None


def _upwards(checkout: Checkout, folder: str, name: str) -> str | None:
    while True:
        path = f"{folder}/{name}" if folder else name
        if checkout.has(path):
            return path
        if not folder:
            return None
        folder = posixpath.dirname(folder)


class _Terragrunt:
    """Works out the few functions that most configurations have. All else is a hole."""

    def __init__(self, checkout: Checkout, unit: str, path: str, body: Mapping[str, Any], *, is_included: bool) -> None:
        self._checkout = checkout
        self._unit = unit
        self._path = path
        self._locals: dict[str, Any] = {}
        for block in blocks(body, "locals"):
            self._locals |= block
        self._is_included = is_included
        self.guesses: list[str] = []

    def all(self, values: Mapping[str, Any]) -> dict[str, Any]:
        return {
            key: self.resolved(value)
            if isinstance(value, str)
            else self.all(value)
            if isinstance(value, dict)
            else value
            for key, value in values.items()
        }

    def resolved(self, value: str, steps: int = _STEPS) -> str:
        return replaced(value, _EXPRESSION, lambda found: self._value_of(found[1].strip(), steps)).replace("$${", "${")

    def _value_of(self, expression: str, steps: int) -> str:
        value = None if steps <= 0 else self._worked_out(expression, steps)
        if value is None:
            return hole(expression)
        guess = "worked out without running Terragrunt"
        if guess not in self.guesses:
            self.guesses.append(guess)
        return value

    def _worked_out(self, expression: str, steps: int) -> str | None:
        if re.fullmatch(r'path_relative_to_include\((?:"[^"]*")?\)', expression):
            parent = posixpath.dirname(self._path)
            return posixpath.relpath(self._unit or ".", parent or ".") if self._is_included else "."
        if expression in _OWN_FOLDER:
            return posixpath.basename(self._unit) if expression.startswith("basename") else self._unit
        literal = re.fullmatch(r'"([^"$]*)"|get_env\(\s*"[^"]+"\s*,\s*"([^"$]*)"\s*\)', expression)
        if literal:
            return literal[1] or literal[2] or ""
        local = re.fullmatch(r"local\.(\w+)(?:\.locals\.(\w+))?", expression)
        value = self._locals.get(local[1]) if local else None
        if local and local[2]:
            return self._from_file(plain(value), local[2], steps)
        return self.resolved(plain(value), steps - 1) if _is_scalar(value) else None

    def _from_file(self, expression: str, name: str, steps: int) -> str | None:
        """`local.account.locals.name`, where `account` was read from a file in a folder above."""
        found = re.search(r'read_terragrunt_config\(\s*find_in_parent_folders\(\s*"([\w.-]+)"', expression)
        path = _upwards(self._checkout, self._unit, found[1]) if found else None
        if path is None:
            return None
        for block in blocks(hcl_of(self._checkout, path), "locals"):
            if _is_scalar(block.get(name)):
                there = _Terragrunt(self._checkout, self._unit, path, {"locals": [block]}, is_included=True)
                value = there.resolved(plain(block[name]), steps - 1)
                return value if is_known(value) else None
        return None


def _is_scalar(value: object) -> bool:
    return isinstance(value, str | int | bool)
