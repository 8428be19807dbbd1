"""Texts in a chart: made harmless, measured, and shortened to fit.

Widths are those of the font that comes with matplotlib. It runs wider than the fonts of most systems, so what fits here
fits there.
"""

from __future__ import annotations

from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from bot.core.phrase import one_line
from bot.core.record.redact import redact

if TYPE_CHECKING:
    from matplotlib.font_manager import FontProperties

_UNKNOWN = "\u25a1"
"""An empty box: a character that the font lacks."""

_FROM_LEFT = "\u200e"
"""A mark without width that keeps a text going from left to right, whatever name it begins with."""

_LONGEST = 4_000
"""Characters of a text that are looked at: no chart has room for more."""

_SPARE = 1.03
"""Rasterised text is a little wider than its outline."""


def clean(text: str) -> str:
    """Someone's text on one line, without secrets and control characters."""
    return one_line(redact(text[:_LONGEST]))


def legible(text: str) -> str:
    """The text in characters that the font of pictures has."""
    return _FROM_LEFT * (not text.isascii()) + "".join(c if ord(c) in _characters() else _UNKNOWN for c in text)


@lru_cache(maxsize=4_096)
def width(text: str, size: float, *, bold: bool = False) -> float:
    """How wide a text is, in the unit of the size."""
    from matplotlib.textpath import text_to_path  # noqa: PLC0415  matplotlib is slow to import

    if not text:
        return 0.0
    measured = text_to_path.get_text_width_height_descent(legible(text), font(size, bold=bold), ismath=False)
    return _SPARE * float(measured[0])


def fitted(text: str, room: float, size: float, *, bold: bool = False) -> str:
    """The text, or as much of its beginning as there is room for and an ellipsis; empty if there is none."""
    if width(text, size, bold=bold) <= room:
        return text
    fits, over = 0, min(len(text), 400)
    while over - fits > 1:
        middle = (fits + over) // 2
        if width(text[:middle].rstrip() + "…", size, bold=bold) <= room:
            fits = middle
        else:
            over = middle
    return text[:fits].rstrip() + "…" if fits else ""


def wrapped(text: str, room: float, size: float, *, most: int, bold: bool = False) -> tuple[str, ...]:
    """The text on as many lines as it needs, and no more than `most`; the last is shortened."""
    lines: list[str] = []
    rest = text.split(" ")
    while rest and len(lines) < most - 1:
        many = next((n for n in range(len(rest), 0, -1) if width(" ".join(rest[:n]), size, bold=bold) <= room), 1)
        lines.append(fitted(" ".join(rest[:many]), room, size, bold=bold))
        rest = rest[many:]
    return (*lines, fitted(" ".join(rest), room, size, bold=bold)) if rest else tuple(lines)


def font(size: float, *, bold: bool = False) -> FontProperties:
    """The font of pictures: always the same, whatever is installed."""
    import matplotlib as mpl  # noqa: PLC0415  slow
    from matplotlib.font_manager import FontProperties  # noqa: PLC0415  slow

    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return FontProperties(fname=str(Path(mpl.get_data_path()) / "fonts" / "ttf" / name), size=size)


@cache
def _characters() -> frozenset[int]:
    """Those that both fonts have."""
    from matplotlib.font_manager import get_font  # noqa: PLC0415  slow

    regular, bold = (get_font(str(font(1, bold=bold).get_file())).get_charmap() for bold in (False, True))
    return frozenset(regular) & frozenset(bold)
