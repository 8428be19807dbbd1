"""Folders that Terraform is run in: those with a `backend` or `cloud` block, or with Terragrunt's `remote_state`.

Source: OpenTofu's early evaluation, for variables in a backend block.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from bot.cli.init.blocks import SIGN, Root, backends
from bot.cli.init.holes import hole, replaced
from bot.cli.init.syntax import blocks, hcl_of, json_of, labelled, line_of, mapping, plain
from bot.cli.init.terragrunt import units
from bot.cli.init.tree import Checkout, Place

_EXPRESSION = re.compile(r"\$\{((?:[^{}]|\{[^{}]*\})*)\}")


def roots(checkout: Checkout) -> tuple[Root, ...]:
    """All of the checkout's, by folder."""
    mine = [file for file in checkout.files if _is_within(checkout, file)]
    found = {root.folder: root for root in units(checkout, mine)}
    for root in _terraform(checkout, mine):
        unit = found.get(root.folder)
        if unit is not None and unit.kind == root.kind:  # Terragrunt gives the block what it leaves out
            found[root.folder] = replace(unit, values={**root.values, **unit.values})
        elif not _is_shared(checkout, root):
            found[root.folder] = root
    return tuple(found[folder] for folder in sorted(found))


def _is_within(checkout: Checkout, file: str) -> bool:
    return not checkout.within or file.startswith(f"{checkout.within}/")


def _is_shared(checkout: Checkout, root: Root) -> bool:
    """Whether nothing but the block is in its folder, for others that link to it: nobody runs Terraform there."""
    links = [link for link, target in checkout.links.items() if target == root.at.file]
    if len(links) <= 1 and not any(link.startswith(f"{root.folder}/") for link in links):
        return False
    return [file for file in checkout.in_folder(root.folder) if file.endswith((".tf", ".tofu"))] == [root.at.file]


def _terraform(checkout: Checkout, files: list[str]) -> Iterator[Root]:
    # an override file is merged last
    for path in sorted(files, key=lambda file: ("override" in posixpath.basename(file), file)):
        if not path.endswith((".tf", ".tofu", ".tf.json", ".tofu.json")):
            continue
        text = checkout.text(path)
        if text is None or not SIGN.search(text):
            continue
        body = mapping(json_of(checkout, path)) if path.endswith(".json") else hcl_of(checkout, path)
        folder = posixpath.dirname(path)
        for kind, values, pattern in backends(body):
            names = _Names(checkout, folder)
            read = {key: names.resolved(value) for key, value in values.items()}
            yield Root(folder, kind, read, Place(path, line_of(text, pattern)), tuple(names.guesses))


class _Names:
    """Replaces `var.x` and `local.x` by the literal values that a folder's files give them: OpenTofu allows that."""

    def __init__(self, checkout: Checkout, folder: str) -> None:
        self._checkout = checkout
        self._folder = folder
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
        kind, _, name = expression.partition(".")
        found = list(self._literals(kind, name)) if kind in {"var", "local"} and name.isidentifier() else []
        if not found:
            return hole(expression)
        self.guesses.append(f"{expression} is the default value in this folder")
        return found[-1]

    def _literals(self, kind: str, name: str) -> Iterator[str]:
        """The default first, then what files assign. A file is parsed only if it has the name: that takes a while."""
        declared = re.compile(rf'(?m)^\s*variable\s+"{name}"' if kind == "var" else rf"(?m)^\s*{name}\s*=")
        assigned = re.compile(rf"(?m)^\s*{name}\s*=")
        files = self._checkout.in_folder(self._folder)
        for path in files:
            if path.endswith((".tf", ".tofu")) and declared.search(self._checkout.text(path) or ""):
                body = hcl_of(self._checkout, path)
                given = [block for label, block in labelled(body, "variable") if kind == "var" and label == name]
                yield from (plain(each["default"]) for each in given if _is_literal(each.get("default")))
                given = [block for block in blocks(body, "locals") if kind == "local" and _is_literal(block.get(name))]
                yield from (plain(each[name]) for each in given)
        for path in files:
            is_given = posixpath.basename(path) in {"terraform.tfvars", "tofu.tfvars"} or path.endswith(".auto.tfvars")
            if kind == "var" and is_given and assigned.search(self._checkout.text(path) or ""):
                value = hcl_of(self._checkout, path).get(name)
                yield from [plain(value)] if _is_literal(value) else []


def _is_literal(value: object) -> bool:
    return isinstance(value, str | int | bool) and "${" not in str(value)
