"""A chart as SVG within a page: with its own names and the reader's colours, fonts and characters.

matplotlib's SVG is a document: it brings rules for all elements of a page, ids that two charts would share, and the
texts as its fonts can show them. Here it loses all of that.
"""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from hashlib import sha256
from xml.etree import ElementTree as ET

from markupsafe import Markup

from bot.export.chart.draw import DARK, LIGHT, drawn
from bot.export.chart.plan import Label, Plan

_SVG = "{http://www.w3.org/2000/svg}"
_XLINK = "{http://www.w3.org/1999/xlink}"
_FONTS = 'system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans","Liberation Sans",Arial,sans-serif'
_PHONE = "(max-width:640px)"
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_NARROW, _WIDE = "narrow", "wide"
_ISOLATED = "\u2066{}\u2069"
"""Left-to-right isolate: a name in Hebrew does not turn the times around it."""


@dataclass(frozen=True, slots=True)
class Drawing:
    """An `<svg>` without styles, and the rules for it in the page's head."""

    svg: Markup
    rules: Markup


def page_svg(wide: Plan, narrow: Plan, title: str, description: str) -> str:
    """One `<svg>` that shows the narrow chart on a phone and the wide one elsewhere, in the colours of the reader."""
    drawings = [(_WIDE, wide, _drawing(wide)), (_NARROW, narrow, _drawing(narrow))]
    told = "".join((title, description, *(ET.tostring(drawing, "unicode") for _, _, drawing in drawings)))
    prefix = f"tfchart-{sha256(told.encode()).hexdigest()[:10]}"
    root = ET.Element("svg", {"id": prefix, "role": "img", "aria-labelledby": f"{prefix}-title {prefix}-desc"})
    root.set("xmlns", "http://www.w3.org/2000/svg")
    ET.SubElement(root, "title", {"id": f"{prefix}-title"}).text = title
    ET.SubElement(root, "desc", {"id": f"{prefix}-desc"}).text = description
    ET.SubElement(root, "style").text = _rules(prefix, wide, narrow)
    for name, plan, drawing in drawings:
        root.append(_part(drawing, plan, f"{prefix}-{name}"))
    return re.sub(r">\s+<", "><", ET.tostring(root, "unicode"))


def drawing(svg: str) -> Drawing:
    """Turns each style attribute into a class with a rule: the page's policy allows no others. `svg` is one element."""
    root = ET.fromstring(_NOT_XML.sub("\N{REPLACEMENT CHARACTER}", svg))  # noqa: S314  made by ourselves
    rules, classes = list[str](), dict[str, str]()
    for parent in list(root.iter()):
        parent.tag = parent.tag.removeprefix(_SVG)
        for sheet in [child for child in parent if child.tag.removeprefix(_SVG) == "style"]:
            rules.append(sheet.text or "")
            parent.remove(sheet)
    for element in root.iter():
        style = element.attrib.pop("style", None)
        if style is not None:
            name = classes.setdefault(style, f"tfc{len(classes)}")
            element.set("class", f"{element.get('class', '')} {name}".strip())
    rules += [f".{name}{{{style}}}" for style, name in classes.items()]
    return Drawing(Markup(ET.tostring(root, "unicode")), Markup("\n".join(rules)))  # noqa: S704  escaped by ElementTree


def _drawing(plan: Plan) -> ET.Element:
    import matplotlib as mpl  # noqa: PLC0415  slow
    from matplotlib.backends.backend_svg import FigureCanvasSVG  # noqa: PLC0415  slow

    made = io.StringIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "tflock", "hatch.linewidth": 1.4}):
        FigureCanvasSVG(drawn(plan)).print_svg(  # type: ignore[no-untyped-call]  # matplotlib has no types here
            made, metadata={"Date": None, "Creator": None}
        )
    return ET.fromstring(made.getvalue())  # noqa: S314  matplotlib wrote it just now


def _part(drawing: ET.Element, plan: Plan, prefix: str) -> ET.Element:
    """The drawing as an element in another: without metadata and rules, and with names of its own."""
    part = ET.Element("svg", {"class": prefix, "viewBox": f"0 0 {plan.format.width:g} {plan.height:g}"})
    part.set("width", "100%")
    part.set("height", "100%")
    for child in drawing:
        if child.tag in {f"{_SVG}g", f"{_SVG}defs"} and child.find(f"{_SVG}style") is None:
            part.append(child)
    for element in part.iter():
        element.tag = element.tag.removeprefix(_SVG)
        _own_names(element, prefix)
    labels = plan.labels
    for group in part.iter("g"):
        place = group.attrib.pop("id", "").removeprefix(f"{prefix}-text-")
        text = group.find("text")
        if text is not None:
            _say(text, labels[int(place)])
    return part


def _say(text: ET.Element, label: Label) -> None:
    """The words as they are, in the size of the plan and the fonts of the page."""
    is_mixed = any(ord(c) > 0x58F for c in label.text)  # noqa: PLR2004  scripts from the right begin after it
    text.text = _ISOLATED.format(label.text) if is_mixed else label.text
    text.attrib.pop("transform", None)
    kept = re.findall(r"(?:text-anchor|fill): [^;]+", text.attrib.pop("style"))
    weight = ["font-weight: 700"] if label.bold else []
    text.set("style", "; ".join((f"font-size: {label.size:g}px", *weight, *kept)))


def _own_names(element: ET.Element, prefix: str) -> None:
    if "id" in element.attrib:
        element.set("id", f"{prefix}-{element.get('id')}")
    link = element.attrib.pop(f"{_XLINK}href", "")
    if link:
        element.set("href", f"#{prefix}-{link.removeprefix('#')}")
    for name, value in element.attrib.items():
        if name in {"style", "fill"}:
            own = value.replace("url(#", f"url(#{prefix}-")
            for colour, code in LIGHT.items():
                own = own.replace(code, f"var(--{colour})")
            element.set(name, own)
    if "fill" in element.attrib:
        element.set("style", f"fill: {element.attrib.pop('fill')}")
    if "d" in element.attrib:
        element.set("d", " ".join(element.attrib["d"].split()))


def _rules(prefix: str, wide: Plan, narrow: Plan) -> str:
    """Rules for this chart only."""
    here = f"#{prefix}"
    light, dark = ("".join(f"--{colour}:{code};" for colour, code in palette.items()) for palette in (LIGHT, DARK))
    return "".join(
        (
            f"{here}{{display:block;width:100%;max-width:{wide.format.width:g}px;height:auto;font-family:{_FONTS};",
            f"aspect-ratio:{wide.format.width:g}/{wide.height:g};{light}}}",
            f"{here} path{{stroke-linejoin:round}}{here} .{prefix}-{_NARROW}{{display:none}}",
            f"@media screen and (prefers-color-scheme:dark){{{here}{{{dark}}}}}",
            f"@media screen and {_PHONE}{{{here}{{aspect-ratio:{narrow.format.width:g}/{narrow.height:g}}}",
            f"{here} .{prefix}-{_NARROW}{{display:inline}}{here} .{prefix}-{_WIDE}{{display:none}}}}",
        )
    )
