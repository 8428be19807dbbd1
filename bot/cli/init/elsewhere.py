"""What a pipeline calls that lies in another repository: a reusable workflow, a template, a component, a library.

It cannot be read, but the inputs that it is given may say where it runs Terraform. That is a guess.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from bot.cli.init.holes import is_known
from bot.cli.init.shell import joined
from bot.cli.init.tree import Place
from bot.cli.init.uses import Seen, Use

HINT = re.compile(r"terra(form|grunt)|tofu|(^|[-_/])tf([-_/.]|$)|(^|[-_/])infra", re.IGNORECASE)
"""A name that has this may run Terraform."""

_CHECKING = re.compile(
    r"(^|[-_/.])(setup|install\w*|t?f?lint|fmt|format|validate|docs?|scan|trivy|checkov|tfsec|opa|conftest|costs?|infracost|"
    r"versions?|summar\w*|comment|static|lock|cache|unlock|release)([-_/.@]|$)",
    re.IGNORECASE,
)
_OF_A_SETUP = re.compile(r"version|token|wrapper|checksum|github")
_FOLDERS = (
    re.compile(
        r"work\w*dir|chdir|(^|_)(tf|tg|terraform|terragrunt|tofu)_?(root|dir|folder|path|base)|root_dir|(^|_)root$"
    ),
    re.compile(r"(dir|directory|path|folder|stack)$"),
)
"""The names of inputs with a folder, the surest first."""


def is_a_check(name: str) -> bool:
    """Whether something that has Terraform in its name installs it or looks at code, and works on no state."""
    return _CHECKING.search(name) is not None


def by_inputs(
    given: Mapping[str, str],
    at: Place,
    seen: Seen,
    options: Mapping[str, tuple[str, ...]],
    name: str,
    *,
    folder: str = "",
    env: Mapping[str, str] | None = None,
) -> Iterator[Use]:
    """Inputs with a folder's, a backend's and a workspace's name are believed. Without any, `folder` is where the file
    that calls it works; if that is empty, too, the use says only that it is elsewhere. `applies`: it is likely.
    """
    name = re.sub(r"@[0-9a-f]{40}$", "", name)
    names = {key.lower().replace("-", "_"): value for key, value in given.items() if value}
    if names and all(_OF_A_SETUP.search(key) for key in names):
        return
    told = [value for pattern in _FOLDERS for key, value in names.items()
            if pattern.search(key) and "env" not in key and "script" not in key]  # fmt: skip
    where = told[0] if told else folder
    config = [value for key, value in names.items() if "backend" in key and "=" not in key and "type" not in key]
    workspace = next((value for key, value in names.items() if "workspace" in key), None)
    likely = HINT.search(name.partition("@")[0]) is not None or any(HINT.search(key) for key in names)
    is_told = likely and bool(where or config or workspace)
    yield Use(
        folder=joined("", where),
        at=at,
        pipeline=seen,
        config=tuple(each for value in config for each in value.replace("-backend-config=", "").split()),
        workspace=workspace,
        env=dict(env or {}),
        options=options,
        applies=likely,
        guess=f"what it runs is in another repository ({name})",
        elsewhere="" if is_told else name,
        words=tuple(value for value in names.values() if is_known(value)),
    )
