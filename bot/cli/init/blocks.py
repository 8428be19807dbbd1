"""A folder that Terraform is run in, and the blocks that say where its state is.

Sources: "Backend block" and "cloud block" of Terraform's language.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bot.cli.init.syntax import blocks, labelled
from bot.cli.init.tree import Place

CLOUD = "cloud"
"""The kind of a root with a `cloud` block."""

NONE = "none"
"""The kind of a unit of Terragrunt's for which no file has a backend."""

SIGN = re.compile(r'\bbackend"?\s*(?:"|:)|\bcloud"?\s*[{:]')
"""A text without it has no such block."""


@dataclass(frozen=True, slots=True)
class Root:
    """`kind` is the backend's type as Terraform calls it. A value may have holes. `guesses` say what was worked out."""

    folder: str
    kind: str
    values: Mapping[str, Any]
    at: Place
    guesses: tuple[str, ...] = ()


def backends(body: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any], str]]:
    """The kind of each block, its values, and a pattern for the line that it begins on."""
    for terraform in blocks(body, "terraform"):
        for kind, values in labelled(terraform, "backend"):
            yield kind, values, rf'\bbackend"?\s*:?\s*\{{?\s*"{re.escape(kind)}"'
        for values in blocks(terraform, "cloud"):
            yield CLOUD, values, r'\bcloud"?\s*[{:]'
