"""What an expression of GitHub's workflows can come to: `${{ inputs.env || (github.ref_name == 'main' && 'prod') }}`.

Nothing is decided that is only known when the workflow runs: a comparison with such a value is both true and false,
and every value that the expression can then have is given. Source: GitHub's page on expressions.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from bot.cli.init.holes import hole, holes_in, is_known, name_of
from bot.cli.init.syntax import plain

Values = tuple[Any, ...]
"""All values that are possible. A text with a hole in it is one that is not known."""

_TOKEN = re.compile(
    r"\s*(?:(?P<text>'(?:[^']|'')*')|(?P<number>-?\d+(?:\.\d+)?)(?![\w.])|(?P<sign>&&|\|\||==|!=|<=|>=|[<>!(),\[\]])"
    r"|(?P<name>[A-Za-z_][\w-]*(?:\.(?:[A-Za-z_*][\w-]*))*)|(?P<rest>\S))"
)
_EITHER: Values = (True, False)
_MOST = 64
_CONSTANTS = {"true": True, "false": False, "null": ""}
_ALWAYS = {"always": (True,), "success": _EITHER, "failure": _EITHER, "cancelled": _EITHER}


def values_of(
    expression: str, known: Mapping[str, str], options: Mapping[str, Sequence[str]], *, without_inputs: bool = False
) -> Values:
    """All values of an expression; `options` has those that a name can have, and the result is then worked out for
    each of them. `without_inputs`: it also runs where nobody gave inputs. An expression that cannot be read is a hole.
    """
    names = [name for name in dict.fromkeys(re.findall(r"[A-Za-z_][\w.-]*", expression))
             if name not in known and name_of(name) in options]  # fmt: skip
    if expression.strip() in names:
        return (hole(expression),)  # its options are known by its name already
    choices = [(*options[name_of(name)], *([""] if without_inputs and "inputs." in name else [])) for name in names]
    found = list[Any]()
    for chosen in itertools.islice(itertools.product(*choices), _MOST):
        reader = _Reader(expression, {**known, **dict(zip(names, chosen, strict=True))})
        found += reader.all()
    return _each_once(found)


class _Reader:
    """Reads from left to right, with GitHub's order of operators."""

    def __init__(self, expression: str, known: Mapping[str, str]) -> None:
        self._expression = expression
        self._known = known
        self._tokens = [(str(found.lastgroup), found[found.lastgroup or 0]) for found in _TOKEN.finditer(expression)]
        self._at = 0

    def all(self) -> Values:
        try:
            found = self._or()
        except (IndexError, ValueError, RecursionError):
            return (hole(self._expression),)
        return found if self._at == len(self._tokens) else (hole(self._expression),)

    def _next_is(self, *signs: str) -> bool:
        if self._at < len(self._tokens) and self._tokens[self._at][0] == "sign":
            return self._tokens[self._at][1] in signs
        return False

    def _or(self) -> Values:
        left = self._and()
        while self._next_is("||"):
            self._at += 1
            right = self._and()
            left = _each_once(value for one in left for value in _or(one, right))
        return left

    def _and(self) -> Values:
        left = self._compared()
        while self._next_is("&&"):
            self._at += 1
            right = self._compared()
            left = _each_once(value for one in left for value in _and(one, right))
        return left

    def _compared(self) -> Values:
        left = self._single()
        while self._next_is("==", "!=", "<", ">", "<=", ">="):
            sign = self._tokens[self._at][1]
            self._at += 1
            right = self._single()
            left = _compared(sign, left, right)
        return left

    def _single(self) -> Values:
        kind, text = self._tokens[self._at]
        self._at += 1
        if kind in {"text", "number"}:
            return (text[1:-1].replace("''", "'") if kind == "text" else text,)
        if text == "!":
            values = self._single()
            return _each_once(
                one for value in values for one in (_EITHER if _is_open(value) else (not _is_true(value),))
            )
        if text == "(":
            return self._closed(self._or())
        if kind != "name":
            raise ValueError(text)
        return self._named(text)

    def _named(self, text: str) -> Values:
        if self._next_is("("):
            self._at += 1
            return _called(text.lower(), self._arguments(), self._expression)
        if text.lower() in _CONSTANTS:
            return (_CONSTANTS[text.lower()],)
        while self._next_is("["):
            self._at += 1
            inner = self._or()
            self._expect("]")
            text = f"{text}.{plain(inner[0])}" if len(inner) == 1 else f"{text}.unknown"
        return (self._known[text],) if text in self._known else (hole(text),)

    def _arguments(self) -> list[Values]:
        found = list[Values]()
        while not self._next_is(")"):
            found.append(self._or())
            if self._next_is(","):
                self._at += 1
        self._at += 1
        return found

    def _closed(self, found: Values) -> Values:
        self._expect(")")
        return found

    def _expect(self, sign: str) -> None:
        if not self._next_is(sign):
            raise ValueError(sign)
        self._at += 1


def _each_once(values: Iterable[Any]) -> Values:
    found = list[Any]()
    for value in values:
        if not any(type(one) is type(value) and one == value for one in found):
            found.append(value)
    return tuple(found[:_MOST])


def _is_open(value: Any) -> bool:
    return isinstance(value, str) and not is_known(value)


def _is_true(value: Any) -> bool:
    return value not in {"", "0"} if isinstance(value, str) else bool(value) or isinstance(value, list | dict)


def _or(left: Any, right: Values) -> Values:
    if _is_open(left):
        return (left, *right)
    return (left,) if _is_true(left) else right


def _and(left: Any, right: Values) -> Values:
    if _is_open(left):
        return (*right, "")
    return right if _is_true(left) else (left,)


def _compared(sign: str, left: Values, right: Values) -> Values:
    if sign not in {"==", "!="} or any(_is_open(value) for value in (*left, *right)):
        return _EITHER
    same = {plain(one).lower() == plain(other).lower() for one in left for other in right}
    return _each_once(each == (sign == "==") for each in same)


def _called(name: str, arguments: list[Values], expression: str) -> Values:
    if name in _ALWAYS:
        return _ALWAYS[name]
    if name in {"contains", "startswith", "endswith"}:
        return _EITHER
    if name not in _FUNCTIONS or not arguments:
        return (hole(expression if len(expression) < len(name) * 4 else name),)
    return _each_once(_FUNCTIONS[name](*each) for each in itertools.islice(itertools.product(*arguments), _MOST))


def _format(pattern: Any, *given: Any) -> str:
    texts = [plain(value) for value in given]
    made = re.sub(
        r"\{(\d+)\}", lambda found: texts[int(found[1])] if int(found[1]) < len(texts) else found[0], plain(pattern)
    )
    return made.replace("{{", "{").replace("}}", "}")


def _from_json(text: Any) -> Any:
    if not isinstance(text, str) or not is_known(text):
        names = holes_in(text) if isinstance(text, str) else ()
        whole = isinstance(text, str) and re.fullmatch(r'\s*\[\s*"([^"]*)"\s*\]\s*', text)
        return [whole[1]] if whole else hole(f"fromJSON.{names[0]}") if names else text
    found = json.loads(text)
    return found if isinstance(found, list | dict | bool) else plain(found)


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "format": _format,
    "fromjson": _from_json,
    "tojson": lambda value: json.dumps(value) if isinstance(value, list | dict) else value,
}
