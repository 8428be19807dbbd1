"""HCL, JSON and YAML into plain values. What cannot be read is a fault of its file, with the line, and None."""

from __future__ import annotations

import json
import re
from typing import Any

import yaml

from bot.cli.init.tree import Checkout, Place
from bot.config.text import nests_too_deep

_OPTIONS: dict[str, bool] = {"strip_string_quotes": True, "with_comments": False, "explicit_blocks": False}


class Node(dict[Any, Any]):
    """A mapping of a YAML file, with the line that it begins on."""

    line: int = 1


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]  # which one is known at run time
    """Reads plain values, and takes a tag (`!reference`) for nothing but the value behind it."""


def _mapping(loader: Any, node: yaml.MappingNode) -> Node:
    loader.flatten_mapping(node)
    made = Node()
    made.line = node.start_mark.line + 1
    for key, value in node.value:
        name = key.value if isinstance(key, yaml.ScalarNode) else "?"  # `on` stays a name
        made[name] = loader.construct_object(value, deep=True)
    return made


def _tagged(loader: Any, tag: str, node: Any) -> Any:
    if isinstance(node, yaml.ScalarNode):
        return loader.construct_scalar(node)
    if isinstance(node, yaml.SequenceNode):
        parts = loader.construct_sequence(node, deep=True)
        return Node({"!reference": parts}) if tag == "reference" else parts
    return _mapping(loader, node)


def _plain_text(loader: Any, node: yaml.ScalarNode) -> str:
    return str(loader.construct_scalar(node))


_Loader.add_constructor("tag:yaml.org,2002:map", _mapping)
_Loader.add_constructor("tag:yaml.org,2002:timestamp", _plain_text)
_Loader.add_multi_constructor("!", _tagged)


def yaml_of(checkout: Checkout, path: str) -> Any:
    """The first document of a YAML file. Nobody may change it: the next one gets the same."""
    if path not in checkout.read:
        checkout.read[path] = _yaml(checkout, path)
    return checkout.read[path]


def _yaml(checkout: Checkout, path: str) -> Any:
    text = checkout.text(path)
    if text is None:
        return None
    if nests_too_deep(text):
        checkout.fault(Place(path), "nests too deep to be read")
        return None
    try:
        return next(iter(yaml.load_all(text, Loader=_Loader)), None)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        checkout.fault(Place(path, mark.line + 1 if mark else 1), "is not YAML that can be read")
    except (yaml.YAMLError, ValueError, TypeError, RecursionError, AttributeError):
        checkout.fault(Place(path), "is not YAML that can be read")
    return None


def json_of(checkout: Checkout, path: str) -> Any:
    text = checkout.text(path)
    try:
        return None if text is None else json.loads(text)
    except json.JSONDecodeError as error:
        checkout.fault(Place(path, error.lineno), "is not JSON that can be read")
    except (ValueError, RecursionError):
        checkout.fault(Place(path), "is not JSON that can be read")
    return None


def hcl_of(checkout: Checkout, path: str, text: str | None = None, *, above: int = 0) -> dict[str, Any]:
    """A file of HCL, or a text in it that begins below the line `above`; empty for one that cannot be read.

    Blocks are lists of mappings. An expression is `${…}`. Nobody may change it: the next one gets the same.
    """
    if text is not None:
        return _hcl(checkout, path, text, above)
    if path not in checkout.read:
        checkout.read[path] = _hcl(checkout, path, checkout.text(path), above)
    found: dict[str, Any] = checkout.read[path]
    return found


def _hcl(checkout: Checkout, path: str, text: str | None, above: int) -> dict[str, Any]:
    import hcl2  # noqa: PLC0415 - its grammar takes a second to make
    from lark.exceptions import LarkError, UnexpectedInput  # noqa: PLC0415 - as above

    if not text:
        return {}
    if nests_too_deep(text):
        checkout.fault(Place(path), "nests too deep to be read")
        return {}
    try:
        found = hcl2.loads(
            text if text.endswith("\n") else f"{text}\n",
            serialization_options=hcl2.SerializationOptions(**_OPTIONS),
        )
    except UnexpectedInput as error:
        line = error.line if error.line and error.line > 0 else text.count("\n")
        checkout.fault(Place(path, above + max(line, 1)), "is not HCL that can be read")
        return {}
    except (LarkError, RecursionError, ValueError, TypeError, KeyError, AttributeError, IndexError):
        checkout.fault(Place(path, above + 1), "is not HCL that can be read")
        return {}
    return found if isinstance(found, dict) else {}


def blocks(body: object, name: str) -> list[dict[str, Any]]:
    """The blocks of this name in a body of HCL or its JSON."""
    found = body.get(name) if isinstance(body, dict) else None
    listed = found if isinstance(found, list) else [found]
    return [each for each in listed if isinstance(each, dict)]


def labelled(body: object, name: str) -> list[tuple[str, dict[str, Any]]]:
    """The blocks of this name that have one label, with the label."""
    return [
        (str(label), inner if isinstance(inner, dict) else inner[0])
        for each in blocks(body, name)
        for label, inner in each.items()
        if isinstance(inner, dict) or (isinstance(inner, list) and inner and isinstance(inner[0], dict))
    ]


def heredoc(value: str) -> str:
    """The text of a heredoc, or the value as it is."""
    found = re.fullmatch(r"<<-?\s*(\w+)\r?\n(.*?)\r?\n?[ \t]*\1\s*", value, re.DOTALL)
    return found[2] if found else value


def line_of(text: str, pattern: str) -> int:
    """The first line that has the pattern."""
    found = re.search(pattern, text)
    return text.count("\n", 0, found.start()) + 1 if found else 1


def mapping(value: object) -> dict[Any, Any]:
    return value if isinstance(value, dict) else {}


def listed(value: object) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def plain(value: object) -> str:
    """A scalar as a pipeline's variable has it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None or isinstance(value, dict | list) else str(value)
