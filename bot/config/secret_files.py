"""Secrets in files: `NAME_FILE` names a file that has the value of `NAME`, as orchestrators mount them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from bot.config.secret_text import SUFFIX, SecretUnreadable, given_in, secret_in
from bot.config.values import VARIABLE_NAME

OWN = ("SLACK_BOT_TOKEN", "SLACK_SIGNING_SECRET", "SLACK_APP_TOKEN", "REDIS_URL", "TFLOCK_CLAIM_TOKEN")
"""The secrets that no key of the configuration names."""


class SecretFile(SecretStr):
    """The secret of a variable, from its file. What asks for the value at each use has the newest one."""

    def __init__(self, variable: str, path: Path) -> None:
        """Raises SecretUnreadable."""
        super().__init__(secret_in(path))
        self.variable = variable
        self._path = path

    def read_again(self) -> bool:
        """True if the value is another one now. Raises SecretUnreadable; the value is then the one from before."""
        before, self._secret_value = self._secret_value, secret_in(self._path)
        return self._secret_value != before


@dataclass(frozen=True, slots=True)
class Resolved:
    """The environment with the secrets of the files in it. A problem is a variable, and what is wrong with it."""

    environ: Mapping[str, str]
    files: Mapping[str, SecretFile] = field(default_factory=dict)
    problems: tuple[tuple[str, str], ...] = ()


def resolved(environ: Mapping[str, str], names: Collection[str]) -> Resolved:
    """Reads the file of each of these secrets that has one."""
    files, problems = dict[str, SecretFile](), []
    for name in dict.fromkeys(names):
        try:
            path = given_in(environ, name)
            if path is not None:
                files[name] = SecretFile(name, path)
        except SecretUnreadable as why:
            problems.append((name + SUFFIX, str(why)))
    values = {name: file.get_secret_value() for name, file in files.items()}
    # what is wrong with a file is a problem of its own: its variable is not also "not set"
    broken = {name.removesuffix(SUFFIX): "" for name, _ in problems}
    return Resolved({**broken, **environ, **values}, files, tuple(problems))


def named_in(values: Any) -> Iterator[str]:
    """The variables that keys with `_env` at their end name, wherever they are in the file."""
    if isinstance(values, Mapping):
        for key, value in values.items():
            if str(key).endswith("_env") and isinstance(value, str) and VARIABLE_NAME.fullmatch(value):
                yield value
            yield from named_in(value)
