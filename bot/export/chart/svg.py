"""A chart as SVG that can stand in a page: its own names, the reader's colours, fonts and characters.

matplotlib's SVG is a document: it brings rules for all elements of a page, ids that two charts would share, and the
texts as its fonts can show them. What comes out here has none of that.
"""

from __future__ import annotations

import io
import re
from hashlib import sha256
from xml.etree import ElementTree as ET

from bot.export.chart.draw import DARK, LIGHT, Palette, drawn
from bot.export.chart.plan import Plan

_SVG = "{http://www.w3.org/2000/svg}"
_XLINK = "{http://www.w3.org/1999/xlink}"
_FONTS = 'system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans","Liberation Sans",Arial,sans-serif'
_PHONE = "(max-width:640px)"
_NARROW, _WIDE = "narrow", "wide"
_ISOLATED = "\u2066{}\u2069"
"""Left-to-right isolate: a name in Hebrew does not turn the times around it."""


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
    return _plain(ET.tostring(root, "unicode"))


def _drawing(plan: Plan) -> ET.Element:
    import matplotlib as mpl  # noqa: PLC0415  slow
    from matplotlib.backends.backend_svg import FigureCanvasSVG  # noqa: PLC0415  slow

    made = io.StringIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "tflock", "hatch.linewidth": 1.4}):
        FigureCanvasSVG(drawn(plan, LIGHT)).print_svg(  # type: ignore[no-untyped-call]  # matplotlib has no types here
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
    labels = plan.labels
    for element in part.iter():
        element.tag = element.tag.removeprefix(_SVG)
        _own_names(element, prefix)
    for group in part.iter("g"):
        place = group.attrib.pop("id", "").removeprefix(f"{prefix}-text-")
        text = group.find("text")
        if text is not None:
            _say(text, labels[int(place)].text, labels[int(place)].size, bold=labels[int(place)].bold)
    return part


def _say(text: ET.Element, words: str, size: float, *, bold: bool) -> None:
    """The words as they are, in the size of the plan, by the fonts of the page."""
    text.text = _ISOLATED.format(words) if any(ord(c) > 0x58F for c in words) else words  # noqa: PLR2004  scripts from the right begin after it
    text.attrib.pop("transform", None)
    kept = re.findall(r"(?:text-anchor|fill): [^;]+", text.attrib.pop("style"))
    weight = ["font-weight: 700"] if bold else []
    text.set("style", "; ".join((f"font-size: {size:g}px", *weight, *kept)))


def _own_names(element: ET.Element, prefix: str) -> None:
    if "id" in element.attrib:
        element.set("id", f"{prefix}-{element.get('id')}")
    link = element.attrib.pop(f"{_XLINK}href", "")
    if link:
        element.set("href", f"#{prefix}-{link.removeprefix('#')}")
    for name, value in element.attrib.items():
        if name in {"style", "fill"}:
            element.set(name, _coloured(value.replace("url(#", f"url(#{prefix}-")))
    if "fill" in element.attrib:
        element.set("style", f"fill: {element.attrib.pop('fill')}")
    if "d" in element.attrib:
        element.set("d", " ".join(element.attrib["d"].split()))


def _coloured(style: str) -> str:
    for role, colour in LIGHT.items():
        style = style.replace(colour, f"var(--{role})")
    return style


def _rules(prefix: str, wide: Plan, narrow: Plan) -> str:
    """Rules for this chart alone."""
    here = f"#{prefix}"
    return "".join(
        (
            f"{here}{{display:block;width:100%;max-width:{wide.format.width:g}px;height:auto;font-family:{_FONTS};",
            f"aspect-ratio:{wide.format.width:g}/{wide.height:g};{_variables(LIGHT)}}}",
            f"{here} path{{stroke-linejoin:round}}{here} .{prefix}-{_NARROW}{{display:none}}",
            f"@media screen and (prefers-color-scheme:dark){{{here}{{{_variables(DARK)}}}}}",
            f"@media screen and {_PHONE}{{{here}{{aspect-ratio:{narrow.format.width:g}/{narrow.height:g}}}",
            f"{here} .{prefix}-{_NARROW}{{display:inline}}{here} .{prefix}-{_WIDE}{{display:none}}}}",
        )
    )


def _variables(palette: Palette) -> str:
    return "".join(f"--{role}:{colour};" for role, colour in palette.items())


def _plain(svg: str) -> str:
    return re.sub(r">\s+<", "><", svg)
