"""A YAML text as plain values, and where in the text each of them is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import yaml

KeyPath: TypeAlias = tuple[str | int, ...]
Finding: TypeAlias = tuple[KeyPath, str]
"""Where, and what is wrong there, in plain words."""

_TEXT = "tag:yaml.org,2002:str"
_MERGE = "tag:yaml.org,2002:merge"


@dataclass(frozen=True, slots=True)
class Parsed:
    """`values` is what the text says; `lines` are counted from 1. `findings` are faults of the text itself."""

    values: Mapping[str, Any] = field(default_factory=dict)
    lines: Mapping[KeyPath, int] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()

    def line_of(self, path: KeyPath) -> int:
        """The line of the key, or of the nearest thing around it that is in the text."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


def parse(text: str) -> Parsed:
    """Reads one YAML mapping. Never raises: what cannot be read is a finding."""
    try:
        loader = yaml.SafeLoader(text)
        root = loader.get_single_node()
        if root is None:
            return _faulty((), "the file is empty; tflock.example.yml shows a complete one", line=1)
        if not isinstance(root, yaml.MappingNode):
            return _faulty((), "must be a mapping of keys (version, slack, states …)", line=_line(root))
        places = _Places()
        places.walk(root, (), frozenset())
        if places.unusable:
            return Parsed(lines=places.lines, findings=tuple(places.findings))
        return Parsed(loader.construct_document(root), places.lines, tuple(places.findings))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        return _faulty((), f"is not YAML: {error.problem or error.context}", line=mark.line + 1 if mark else 1)
    except (yaml.YAMLError, ValueError, RecursionError, TypeError):
        # PyYAML's other messages quote the text, in which a secret may have been pasted
        return _faulty((), "is not YAML that can be read", line=1)


class _Places:
    """Collects the line of each key, and keys that occur twice or contain themselves, which PyYAML accepts.

    Makes every plain key a text, so that `on` and `42` are names like any other.
    """

    def __init__(self) -> None:
        self.lines: dict[KeyPath, int] = {}
        self.findings: list[Finding] = []
        self.unusable = False

    def walk(self, node: yaml.Node, path: KeyPath, above: frozenset[int]) -> None:
        self.lines.setdefault(path, _line(node))
        if id(node) in above:
            self.unusable = True
            self.findings.append((path, "refers to itself"))
            return
        around = above | {id(node)}
        if isinstance(node, yaml.MappingNode):
            self._walk_mapping(node, path, around)
        elif isinstance(node, yaml.SequenceNode):
            for index, item in enumerate(node.value):
                self.walk(item, (*path, index), around)

    def _walk_mapping(self, node: yaml.MappingNode, path: KeyPath, around: frozenset[int]) -> None:
        seen: dict[str, int] = {}
        for key, value in node.value:
            line = _line(key)
            if not isinstance(key, yaml.ScalarNode):
                self.unusable = True
                self.findings.append((path, f"has a key on line {line} that is not text"))
                continue
            if key.tag != _MERGE:
                key.tag = _TEXT
            name = str(key.value)
            here = (*path, name)
            if name in seen and key.tag != _MERGE:
                self.findings.append((here, f"occurs twice, on lines {seen[name]} and {line}"))
            seen.setdefault(name, line)
            self.lines.setdefault(here, line)
            self.walk(value, here, around)


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def _faulty(path: KeyPath, reason: str, *, line: int) -> Parsed:
    return Parsed(lines={(): line}, findings=((path, reason),))
