"""A YAML text as plain values, and where in the text each of them is."""

from __future__ import annotations

import gc
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any, TypeAlias

import yaml

KeyPath: TypeAlias = tuple[str | int, ...]
Finding: TypeAlias = tuple[KeyPath, str]
"""Where, and what is wrong there, in plain words."""

_TEXT = "tag:yaml.org,2002:str"
_MERGE = "tag:yaml.org,2002:merge"
_DEEPEST = 500
"""So deep does a text nest that the parser written in C reads: it recurses without a limit, and would crash."""

_QUOTE_IT = "put the value in quotes"
_PLAIN_WORDS = (
    ("tab", "has a tab where YAML needs spaces: indent with spaces only"),
    ("cannot start any token", f"has a value that begins with a character of YAML's own: {_QUOTE_IT}"),
    ("mapping values are not allowed", f"has a colon too many, or the line above lacks its colon; or {_QUOTE_IT}"),
    ("could not find expected ':'", "has a key without its colon"),
    ("expected key", "is indented differently from the lines that it belongs to"),
    ("<block end>", "is indented differently from the lines that it belongs to"),
    ("'-' indicator", "is indented differently from the list that it belongs to, or lacks its “- ”"),
    ("<document start>", "is indented differently from the first line"),
    ("end of stream", "begins a quote that is never closed"),
    ("']'", "begins a list with [ that is never closed"),
    ("'}'", "begins a mapping with { that is never closed"),
    ("alias", "refers with * to a name that no & gives"),
    ("occurrence", "gives a name with & that another line gives already"),
    ("escape character", "has a backslash in double quotes that begins no escape: use single quotes"),
    ("constructor for the tag", "has a tag (a word that begins with !), which is nothing here"),
    ("another document", "begins a second document (---): one file is one document"),
)
"""What the parsers complain of, and what a person has to look for."""

_AT_ITS_BEGINNING = ("end of stream", "']'", "'}'")
"""Complaints that are where something began and not where it was missed."""


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
        with _uncollected():
            return _parsed(_loader(text))
    except yaml.MarkedYAMLError as error:
        return _faulty((), *_in_plain_words(error, text))
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        return _faulty((), "has a character that no text has: remove it, and write the line again", line=line)
    except (yaml.YAMLError, ValueError, RecursionError, TypeError):
        # PyYAML's other messages quote the text, in which a secret may have been pasted
        return _faulty((), "is not YAML that can be read", line=1)


def _parsed(loader: Any) -> Parsed:
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


@contextmanager
def _uncollected() -> Iterator[None]:
    """Without garbage collection: of millions of nodes that are all in use it would look at each many times."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _loader(text: str) -> Any:
    """The parser in C where PyYAML has it, which is ten times as fast; the other one for what nests too deep for it."""
    return (yaml.SafeLoader if nests_too_deep(text) else getattr(yaml, "CSafeLoader", yaml.SafeLoader))(text)


def nests_too_deep(text: str) -> bool:
    """Whether a text may nest deeper than the parser in C can recurse."""
    deepest = max(accumulate(_BRACKETS[found] for found in re.findall(r"[][{}]", text)), default=0)
    return deepest > _DEEPEST or max(map(len, re.findall(r"(?m)^[ ?-]*", text)), default=0) > _DEEPEST


def _in_plain_words(error: yaml.MarkedYAMLError, text: str) -> tuple[str, int]:
    """What is wrong, and in which line."""
    said, mark = str(error.problem or error.context), error.problem_mark or error.context_mark
    if error.context_mark is not None and any(words in said for words in _AT_ITS_BEGINNING):
        mark = error.context_mark
    if mark is None:
        return "is not YAML that can be read", 1
    lines = text.splitlines()
    if mark.line < len(lines) and "\t" in lines[mark.line][: mark.column + 1]:
        said = "tab"
    plain = (words for sign, words in _PLAIN_WORDS if sign in said)
    return next(plain, "is not YAML that can be read"), mark.line + 1


_BRACKETS = {"[": 1, "{": 1, "]": -1, "}": -1}


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


def _faulty(path: KeyPath, reason: str, line: int) -> Parsed:
    return Parsed(lines={(): line}, findings=((path, reason),))
