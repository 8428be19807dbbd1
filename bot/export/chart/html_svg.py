"""The chart as a part of the page, under a policy that lets no element carry a style of its own."""

from __future__ import annotations

import re
from dataclasses import dataclass
from xml.etree import ElementTree as ET

from markupsafe import Markup

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_NAMESPACE = "{http://www.w3.org/2000/svg}"


@dataclass(frozen=True, slots=True)
class Drawing:
    """An `<svg>` without styles, and the rules that it wants in the page's head."""

    svg: Markup
    rules: Markup


def drawing(svg: str) -> Drawing:
    """Turns each style attribute into a class with a rule. `svg` is one element, as `chart.py` makes it."""
    root = ET.fromstring(_NOT_XML.sub("\N{REPLACEMENT CHARACTER}", svg))  # noqa: S314  made by ourselves
    rules, classes = _without_rules(root), dict[str, str]()
    for element in root.iter():
        element.tag = element.tag.removeprefix(_NAMESPACE)
        style = element.attrib.pop("style", None)
        if style is not None:
            name = classes.setdefault(style, f"tfc{len(classes)}")
            element.set("class", f"{element.get('class', '')} {name}".strip())
    rules += [f".{name}{{{style}}}" for style, name in classes.items()]
    return Drawing(Markup(ET.tostring(root, "unicode")), Markup("\n".join(rules)))  # noqa: S704  escaped by ElementTree


def _without_rules(root: ET.Element) -> list[str]:
    found = list[str]()
    for parent in list(root.iter()):
        for child in [child for child in parent if child.tag.removeprefix(_NAMESPACE) == "style"]:
            found.append(child.text or "")
            parent.remove(child)
    return found
