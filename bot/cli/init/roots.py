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
        for path in self._checkout.in_folder(self._folder):
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
