"""What pipelines do with Terraform, whatever their CI system."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from bot.cli.init.tree import Place


@dataclass(frozen=True, slots=True)
class Seen:
    """A pipeline as the configuration names it. `keys` are in order; `ci` is the name of its entry under `ci`.

    A key that cannot be known from the files is empty: `asks` says what to fill in, for the pipeline of `file`.
    """

    ci: str
    keys: tuple[tuple[str, str], ...]
    asks: str = ""
    file: str = ""


@dataclass(frozen=True, slots=True)
class Use:
    """One initialised working directory of a pipeline.

    `folder` is relative to the checkout; it, `config` and `workspace` may have holes, and `options` has the values
    that a hole can have, where the pipeline says. `config` are the values of `-backend-config`, whose files are
    relative to the folder. `overrides` are keys of the backend that a task sets by inputs of its own. `env` has the
    variables of the environment that Terraform or its backend reads. `applies` is False where nothing but checks run.
    `pipeline` None: it is in a system that tflock cannot ask.
    """

    folder: str
    at: Place
    pipeline: Seen | None = None
    config: tuple[str, ...] = ()
    workspace: str | None = None
    overrides: Mapping[str, str] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    var_files: tuple[str, ...] = ()
    applies: bool = True
    below: bool = False
    """Also in all folders below: Terragrunt's `run --all`."""

    system: str = ""
    """What runs it, where tflock cannot ask that."""

    guess: str = ""
    """Why it is not sure that the pipeline runs Terraform there."""

    elsewhere: str = ""
    """What it calls that is in another repository, if that says nothing of a folder."""

    words: tuple[str, ...] = ()
    """The values that it is given: a file with one of them in its path is the one that it means."""
