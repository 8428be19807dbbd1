"""Terragrunt's units, with the `remote_state` or the generated backend block that they have or include.

Worked out without Terragrunt: locals, files above, included files, JSON and YAML that they read, and the functions that
need nothing but the checkout. Source: Terragrunt's pages on its configuration and its functions.
"""

from __future__ import annotations

import json
import posixpath
from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Any

from bot.cli.init.blocks import NONE, SIGN, Root, backends
from bot.cli.init.holes import hole, is_known, shown
from bot.cli.init.syntax import blocks, hcl_of, heredoc, labelled, line_of, plain, yaml_of
from bot.cli.init.tree import Checkout, Place
from bot.cli.init.values import Missing, Unreadable, value_of

_NAME = "terragrunt.hcl"
_STACK = "terragrunt.stack.hcl"
_TOP = "/\x01"
"""The folder of the checkout, whose name on the machine that runs Terragrunt is not known."""

_MOST_FILES = 60
_GUESS = "worked out without running Terragrunt"


def units(checkout: Checkout, files: list[str]) -> Iterator[Root]:
    """Each unit, which is a folder with a `terragrunt.hcl` that has a source, or that includes a parent's."""
    paths = [path for path in files if posixpath.basename(path) == _NAME]
    parents = {parent for path in paths for parent in _above(posixpath.dirname(path))}
    for path in files:
        if posixpath.basename(path) == _STACK:
            yield from _stack(checkout, path)
    for path in paths:
        folder = posixpath.dirname(path)
        body = hcl_of(checkout, path)
        has_source = any("source" in each for each in blocks(body, "terraform"))
        if not has_source and not body.get("include") and folder in parents:
            continue
        yield from _unit(_File(checkout, folder, path, {}))


def _stack(checkout: Checkout, path: str) -> Iterator[Root]:
    """The units of a stack, which Terragrunt generates from sources that may be elsewhere."""
    text = checkout.text(path) or ""
    for name, _ in labelled(hcl_of(checkout, path), "unit"):
        at = Place(path, line_of(text, rf'\bunit\s+"{name}"'))
        yield Root(posixpath.join(posixpath.dirname(path), name), NONE, {}, at)


def _above(folder: str) -> Iterator[str]:
    while folder:
        folder = posixpath.dirname(folder)
        yield folder


def _unit(own: _File) -> Iterator[Root]:
    for file in (own, *own.included()):
        text = own.checkout.text(file.path) or ""
        state = next(iter(blocks(file.body, "remote_state")), None)
        if state is not None:
            at = Place(file.path, line_of(text, r"\bremote_state\b"))
            kind, config = file.value(state.get("backend"), is_final=True), state.get("config")
            values = file.value(next(iter(config), {}) if isinstance(config, list) else config, is_final=True)
            if isinstance(kind, str) and is_known(kind) and kind:
                yield Root(own.unit, kind, _without_top(values), at, file.guesses(values))
                return
            own.checkout.fault(at, "remote_state has a backend that is only known when Terragrunt runs")
            break
        for _, generate in labelled(file.body, "generate"):
            contents = heredoc(plain(generate.get("contents")))
            if not SIGN.search(contents):
                continue
            start = line_of(text, r"\bgenerate\b")
            # what Terragrunt fills in may be anything: it is no HCL before
            inner = hcl_of(own.checkout, file.path, plain(file.value(contents, is_final=True)), above=start)
            for kind, values, _ in backends(inner):
                yield Root(own.unit, kind, _without_top(values), Place(file.path, start), file.guesses(values))
                return
    yield Root(own.unit, NONE, {}, Place(own.path))


def _without_top(values: Any) -> dict[str, Any]:
    given = values if isinstance(values, dict) else {}
    return {
        key: value.replace(_TOP, hole("checkout")) if isinstance(value, str) else value for key, value in given.items()
    }


class _Reading(Enum):
    """How a unit comes to a file, which decides what Terragrunt's functions about folders give in it."""

    OWN = "its own"
    INCLUDED = "included"
    READ = "read_terragrunt_config"


class _File:
    """A file of Terragrunt's as a unit reads it. `read` has all that this unit has read already, by path."""

    def __init__(
        self, checkout: Checkout, unit: str, path: str, read: dict[str, _File], how: _Reading = _Reading.OWN
    ) -> None:
        self.checkout = checkout
        self.unit = unit
        self.path = path
        self.body = hcl_of(checkout, path)
        self._read = read
        self._how = how
        self._folder = posixpath.dirname(path)
        self._base = self._folder if how is _Reading.READ else unit
        """The folder that Terragrunt takes for that of the configuration, as its options have it."""

        self._read_env: dict[str, str] = {}
        self._values: dict[str, Any] = {}
        self._locals: dict[str, Any] = {}
        self._used = False
        for block in blocks(self.body, "locals"):
            self._locals |= block

    def value(self, given: Any, *, is_final: bool = False) -> Any:
        """Raises Missing, unless it is final."""
        found = value_of(given, self._name, self._functions(), is_final=is_final)
        self._used = self._used or found != given
        return found

    def guesses(self, values: object) -> tuple[str, ...]:
        if not self._used or not values:
            return ()
        taken = {name: shown(value).replace(_TOP, "{checkout}") or "empty" for name, value in self._read_env.items()}
        return (_GUESS, *(f"{name} is not set, and is taken for {value}" for name, value in taken.items()))

    def included(self) -> Iterator[_File]:
        """The files that it includes, of which not all need be there."""
        found = [*labelled(self.body, "include")] or [("", each) for each in blocks(self.body, "include")]
        for label, block in found:
            path = self._included_path(block)
            if path is not None:
                name = f"include {path}"
                if name not in self._read:
                    self._read[name] = _File(self.checkout, self.unit, path, self._read, _Reading.INCLUDED)
                self._values[f"include {label}"] = self._read[name]
                yield self._read[name]

    def part(self, name: str) -> Any:
        """An attribute of what `read_terragrunt_config` or `include` gives."""
        if name == "locals":
            return _Locals(self)
        if name in {"inputs", "remote_state", "dependency"} and name in self.body:
            return self.value(self.body[name])
        if name in self.body:
            return self.value(self.body[name])
        raise Missing(name)

    def local(self, name: str) -> Any:
        if name not in self._locals:
            raise Missing(name)
        if name not in self._values:
            self._values[name] = hole(f"local.{name}")  # of itself
            self._values[name] = self.value(self._locals[name])
        return self._values[name]

    def all_locals(self) -> dict[str, Any]:
        return {name: self.local(name) for name in self._locals}

    def _included_path(self, block: Mapping[str, Any]) -> str | None:
        found = self.value(block.get("path"), is_final=True)
        return self._in_checkout(found) if isinstance(found, str) else None

    def _in_checkout(self, path: str) -> str | None:
        """A path as the checkout has it; None for a file that is not there."""
        joined = posixpath.join(f"{_TOP}/{self._folder}", path)
        inside = posixpath.normpath(joined.removeprefix(_TOP).lstrip("/")) if joined.startswith(_TOP) else ""
        return inside if is_known(inside) and self.checkout.has(inside) else None

    def _name(self, name: str) -> Any:
        if name == "local":
            return _Locals(self)
        if name == "include":
            files = {key.removeprefix("include "): self._values[key] for key in self._include_labels()}
            return files[""] if list(files) == [""] else files
        raise Unreadable(name)

    def _include_labels(self) -> list[str]:
        if not any(key.startswith("include ") for key in self._values):
            list(self.included())
        return [key for key in self._values if key.startswith("include ")]

    def _functions(self) -> dict[str, Any]:
        return {
            "path_relative_to_include": lambda *_: self._between(self._base, self._folder),
            "path_relative_from_include": lambda *_: self._between(self._folder, self._base),
            "get_terragrunt_dir": lambda: self._at(self._base),
            "get_original_terragrunt_dir": lambda: self._at(self.unit),
            "get_parent_terragrunt_dir": lambda *_: self._at(self._folder),
            "get_repo_root": lambda: _TOP,
            "get_path_to_repo_root": lambda: f"{posixpath.relpath('.', self.unit or '.')}/",
            "get_path_from_repo_root": lambda: self.unit or ".",
            "find_in_parent_folders": self._find,
            "read_terragrunt_config": self._config,
            "get_env": self._environment,
            "file": self._text,
            "fileexists": lambda path: self._in_checkout(path) is not None,
            "jsondecode": json.loads,
            "yamldecode": self._yaml,
        }

    def _between(self, to: str, start: str) -> str:
        if self._how is not _Reading.INCLUDED:
            return "."
        return posixpath.relpath(to or ".", start or ".")

    def _at(self, folder: str) -> str:
        return f"{_TOP}/{folder}" if folder else _TOP

    def _find(self, name: str = _NAME, *fallback: str) -> str:
        folder, found = self._base, ""
        while folder and not found:
            folder = posixpath.dirname(folder)
            path = posixpath.normpath(posixpath.join(folder, name))
            found = path if self.checkout.has(path) else ""
        if found:
            return self._at(found)
        if fallback:
            return fallback[0]
        raise Missing(name)

    def _config(self, path: str, *default: Any) -> Any:
        inside = self._in_checkout(path)
        if inside is None:
            if default:
                return default[0]
            raise Missing(path)
        if inside not in self._read:
            if len(self._read) >= _MOST_FILES:
                raise Unreadable(inside)
            self._read[inside] = _File(self.checkout, self.unit, inside, self._read, _Reading.READ)
        return self._read[inside]

    def _environment(self, name: str, *default: str) -> str:
        if default:
            self._read_env[name] = plain(default[0])
        return default[0] if default else hole(f"get_env_{name}")

    def _text(self, path: str) -> str:
        inside = self._in_checkout(path)
        text = self.checkout.text(inside) if inside else None
        if text is None:
            raise Missing(path)
        # YAML is read from the file and not from its text
        return f"\x02{inside}\x02{text}" if inside and inside.endswith((".yml", ".yaml")) else text

    def _yaml(self, text: str) -> Any:
        # only what `file` has read: a text of its own is nothing that configurations have
        _, path, _ = text.split("\x02", 2)
        return yaml_of(self.checkout, path)


class _Locals:
    def __init__(self, file: _File) -> None:
        self._file = file

    def part(self, name: str) -> Any:
        return self._file.local(name)

    def all(self) -> dict[str, Any]:
        return self._file.all_locals()
