"""Expressions of HCL into values, where all that they are made of is in files: `local.parts[0]`, `split("/", …)`.

What cannot be worked out is a hole with the expression's name. Sources: the expressions of Terraform's language, its
functions, and Terragrunt's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from bot.cli.init.holes import hole, is_known
from bot.cli.init.syntax import plain

_TOKEN = re.compile(
    r"\s*(?:(?P<number>\d+(?:\.\d+)?)|(?P<sign>&&|\|\||==|!=|<=|>=|=>|[-+*/%<>!?:(),\[\]{}=.])|(?P<name>[A-Za-z_][\w-]*))"
)
_ORDER = ({"||"}, {"&&"}, {"==", "!="}, {"<", ">", "<=", ">="}, {"+", "-"}, {"*", "/", "%"})
_DEEPEST = 40


class Missing(Exception):
    """Terraform would fail here: an attribute, an index or a file is not there. `try` then takes what follows it."""


class Unreadable(Exception):
    """An expression of a form that is not read here."""


Names = Callable[[str], Any]
"""The value of a first name: `local`, `include`, `var`. Raises Unreadable."""


def value_of(given: Any, names: Names, functions: Mapping[str, Callable[..., Any]], *, is_final: bool = False) -> Any:
    """A value as HCL was read into: a text may have `${…}` in it. What is not known is a hole; `is_final`: so is what
    is Missing, which raises if not.
    """
    if isinstance(given, dict):
        return {key.strip('"'): value_of(inner, names, functions, is_final=is_final) for key, inner in given.items()}
    if isinstance(given, list):
        return [value_of(inner, names, functions, is_final=is_final) for inner in given]
    if not isinstance(given, str) or "${" not in given:
        return given
    parts = list[Any]()
    for is_expression, text in _parts(given):
        try:
            parts.append(_worked_out(text, names, functions) if is_expression else text)
        except Missing:
            if not is_final:
                raise
            parts.append(hole(text))
    if len(parts) == 1:
        return parts[0]
    return "".join(plain(part) if not isinstance(part, list | dict) else hole("list") for part in parts)


def _worked_out(text: str, names: Names, functions: Mapping[str, Callable[..., Any]]) -> Any:
    try:
        reader = _Reader(text, names, functions)
        found = reader.expression()
        reader.end()
    except (Unreadable, IndexError, ValueError, TypeError, KeyError, AttributeError, RecursionError, re.error):
        return hole(text)
    return found


def _parts(text: str) -> list[tuple[bool, str]]:
    """The literal parts of a template, and its expressions."""
    found, literal, position = list[tuple[bool, str]](), "", 0
    while position < len(text):
        if text.startswith("$${", position):
            literal, position = literal + "${", position + 3
        elif text.startswith("${", position):
            end = _end_of(text, position + 2)
            if literal:
                found.append((False, literal))
            literal = ""
            found.append((True, text[position + 2 : end].strip().strip("~").strip()))
            position = end + 1
        else:
            literal, position = literal + text[position], position + 1
    return [*found, *([(False, literal)] if literal or not found else [])]


def _end_of(text: str, position: int) -> int:
    """Where the brace is that closes an expression."""
    depth = 0
    while position < len(text):
        sign = text[position]
        if sign == '"':
            position = _end_of_text(text, position + 1)
        elif sign == "{":
            depth += 1
        elif sign == "}":
            if not depth:
                return position
            depth -= 1
        position += 1
    return position


def _end_of_text(text: str, position: int) -> int:
    """Where the quote is that closes a text, which may have expressions in it."""
    while position < len(text) and text[position] != '"':
        if text[position] == "\\":
            position += 1
        elif text.startswith("${", position) and text[position - 1] != "$":
            position = _end_of(text, position + 2)
        position += 1
    return position


class _Reader:
    def __init__(self, text: str, names: Names, functions: Mapping[str, Callable[..., Any]]) -> None:
        self._text = text
        self._names = names
        self._functions = functions
        self._at = 0
        self._depth = 0

    def end(self) -> None:
        if self._text[self._at :].strip():
            raise Unreadable(self._text)

    def expression(self) -> Any:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise Unreadable(self._text)
        condition = self._binary(0)
        if self._takes("?"):
            chosen = self._one_of_two(condition)
            self._depth -= 1
            return chosen
        self._depth -= 1
        return condition

    def _one_of_two(self, condition: Any) -> Any:
        first = self._tried()
        self._expect(":")
        second = self._tried()
        if _is_open(condition):
            raise Unreadable(self._text)
        found = first if condition in {True, "true"} else second
        if isinstance(found, Missing):
            raise found
        return found

    def _tried(self) -> Any:
        """The value, or why there is none."""
        start, depth = self._at, self._depth
        try:
            return self.expression()
        except Missing as missing:
            self._at, self._depth = self._skipped(start), depth
            return missing

    def _skipped(self, position: int) -> int:
        """Where an expression ends that has no value."""
        depth = 0
        while position < len(self._text):
            sign = self._text[position]
            if sign == '"':
                position = _end_of_text(self._text, position + 1)
            elif sign in "([{":
                depth += 1
            elif sign in ")]},:" and not depth:
                return position
            elif sign in ")]}":
                depth -= 1
            position += 1
        return position

    def _binary(self, level: int) -> Any:
        if level == len(_ORDER):
            return self._unary()
        left = self._binary(level + 1)
        while (sign := self._peek()) in _ORDER[level]:
            self._takes(sign)
            left = _combined(sign, left, self._binary(level + 1))
        return left

    def _unary(self) -> Any:
        if self._takes("!"):
            value = self._unary()
            if _is_open(value):
                raise Unreadable(self._text)
            return value not in {True, "true"}
        if self._takes("-"):
            return -int(self._unary())
        return self._behind(self._single())

    def _behind(self, value: Any) -> Any:
        """Attributes and indexes."""
        while True:
            if self._takes("."):
                value = _part_of(value, self._name())
            elif self._takes("["):
                index = self.expression()
                self._expect("]")
                value = _part_of(value, index)
            else:
                return value

    def _single(self) -> Any:
        if self._next_char() == '"':
            return self._quoted()
        opening = next((each for each in _OPENED if self._takes(each)), "")
        if opening:
            return _OPENED[opening](self)
        kind, text = self._token()
        if kind == "number":
            return float(text) if "." in text else int(text)
        if kind != "name" or text == "for":
            raise Unreadable(self._text)
        if self._takes("("):
            return self._called(text)
        return _CONSTANTS[text] if text in _CONSTANTS else self._names(text)

    def _quoted(self) -> Any:
        end = _end_of_text(self._text, self._at + 1)
        inner = self._text[self._at + 1 : end]
        self._at = end + 1
        found = value_of(inner, self._names, self._functions)
        return re.sub(r'\\(["\\])', r"\1", found) if isinstance(found, str) else found

    def bracketed(self) -> Any:
        found = self.expression()
        self._expect(")")
        return found

    def listed(self) -> list[Any]:
        return self._list("]")

    def _called(self, name: str) -> Any:
        if name == "try":
            return self._first_that_works()
        arguments = self._list(")")
        function = self._functions.get(name, FUNCTIONS.get(name))
        if function is None or any(_is_open(each) for each in arguments):
            raise Unreadable(self._text)
        return function(*arguments)

    def _first_that_works(self) -> Any:
        found: Any = Missing(self._text)
        while not self._takes(")"):
            value = self._tried()
            found = value if isinstance(found, Missing) else found
            self._takes(",")
        if isinstance(found, Missing):
            raise found
        return found

    def _list(self, closing: str) -> list[Any]:
        found = list[Any]()
        while not self._takes(closing):
            found.append(self.expression())
            if not self._takes(",") and self._peek() != closing:
                raise Unreadable(self._text)
        return found

    def object(self) -> dict[str, Any]:
        found = dict[str, Any]()
        while not self._takes("}"):
            is_text = self._next_char() == '"' or self._peek() == "("
            key = plain(self._single()) if is_text else self._name()
            if not self._takes("=") and not self._takes(":"):
                raise Unreadable(self._text)
            found[key] = self.expression()
            self._takes(",")
        return found

    def _next_char(self) -> str:
        while self._text[self._at : self._at + 1].isspace():
            self._at += 1
        return self._text[self._at : self._at + 1]

    def _peek(self) -> str:
        found = _TOKEN.match(self._text, self._at)
        return found["sign"] or "" if found else ""

    def _takes(self, sign: str) -> bool:
        found = _TOKEN.match(self._text, self._at)
        if found is None or found["sign"] != sign:
            return False
        self._at = found.end()
        return True

    def _expect(self, sign: str) -> None:
        if not self._takes(sign):
            raise Unreadable(self._text)

    def _token(self) -> tuple[str, str]:
        found = _TOKEN.match(self._text, self._at)
        if found is None or not found.lastgroup:
            raise Unreadable(self._text)
        self._at = found.end()
        return found.lastgroup, found[found.lastgroup]

    def _name(self) -> str:
        kind, text = self._token()
        if kind not in {"name", "number"}:
            raise Unreadable(self._text)
        return text


_OPENED: dict[str, Callable[[_Reader], Any]] = {"(": _Reader.bracketed, "[": _Reader.listed, "{": _Reader.object}
_CONSTANTS = {"true": True, "false": False, "null": None}


def _is_open(value: Any) -> bool:
    return isinstance(value, str) and not is_known(value)


def _part_of(value: Any, key: Any) -> Any:
    if _is_open(value) or _is_open(key):
        raise Unreadable(key)
    if isinstance(value, list):
        if str(key).lstrip("-").isdigit() and 0 <= int(key) < len(value):
            return value[int(key)]
        raise Missing(key)
    if callable(getattr(value, "part", None)):
        return value.part(str(key))
    if isinstance(value, dict) and str(key) in value:
        return value[str(key)]
    raise Missing(key)


def _combined(sign: str, left: Any, right: Any) -> Any:
    if _is_open(left) or _is_open(right):
        raise Unreadable(sign)
    if sign in {"&&", "||"}:
        first, second = left in {True, "true"}, right in {True, "true"}
        return (first and second) if sign == "&&" else (first or second)
    if sign in {"==", "!="}:
        return (plain(left) == plain(right) if not isinstance(left, list | dict) else left == right) == (sign == "==")
    return _ARITHMETIC[sign](float(left), float(right))


_ARITHMETIC: dict[str, Callable[[float, float], Any]] = {
    "<": lambda a, b: a < b, ">": lambda a, b: a > b, "<=": lambda a, b: a <= b, ">=": lambda a, b: a >= b,
    "+": lambda a, b: int(a + b), "-": lambda a, b: int(a - b), "*": lambda a, b: int(a * b), "/": lambda a, b: a / b,
    "%": lambda a, b: int(a % b),
}  # fmt: skip


def _lookup(given: dict[str, Any], key: str, *default: Any) -> Any:
    if isinstance(given, dict) and key in given:
        return given[key]
    if default:
        return default[0]
    raise Missing(key)


def _format(pattern: str, *values: Any) -> str:
    left = iter(values)
    return re.sub(r"%[-0-9.]*[svdq]", lambda _: plain(next(left)), pattern)


def _regex(pattern: str, text: str) -> Any:
    found = re.search(pattern, text)
    if found is None:
        raise Missing(pattern)
    return found.groupdict() or (list(found.groups()) if found.groups() else found[0])


def _replace(text: str, old: str, new: str) -> str:
    if len(old) > 1 and old.startswith("/") and old.endswith("/"):
        return re.sub(old[1:-1], re.sub(r"\$\{?(\w+)\}?", r"\\g<\1>", new), text)
    return text.replace(old, new)


def _merged(*given: Any) -> dict[str, Any]:
    found = dict[str, Any]()
    for each in given:
        found |= each if isinstance(each, dict) else each.all()
    return found


def _element(given: list[Any], index: Any) -> Any:
    return given[int(index) % len(given)]


FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "split": lambda by, text: text.split(by),
    "join": lambda by, parts: by.join(plain(each) for each in parts),
    "compact": lambda parts: [each for each in parts if each not in {"", None}],
    "concat": lambda *lists: [one for each in lists for one in each],
    "reverse": lambda parts: parts[::-1],
    "distinct": lambda parts: list(dict.fromkeys(parts)),
    "slice": lambda parts, start, end: parts[int(start) : int(end)],
    "element": _element,
    "length": len,
    "basename": lambda path: path.rstrip("/").rpartition("/")[2],
    "dirname": lambda path: path.rpartition("/")[0] or ".",
    "lower": str.lower,
    "upper": str.upper,
    "title": str.title,
    "replace": _replace,
    "format": _format,
    "trimprefix": str.removeprefix,
    "trimsuffix": str.removesuffix,
    "trimspace": str.strip,
    "trim": str.strip,
    "substr": lambda text, start, size: (
        text[int(start) : int(start) + int(size)] if int(size) >= 0 else text[int(start) :]
    ),
    "startswith": str.startswith,
    "endswith": str.endswith,
    "contains": lambda parts, each: each in parts,
    "coalesce": lambda *values: next(each for each in values if each not in {"", None}),
    "lookup": _lookup,
    "merge": _merged,
    "regex": _regex,
    "tostring": plain,
    "tonumber": int,
    "abspath": lambda path: path,
}
