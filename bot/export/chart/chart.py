"""The chart of an incident: who held the lock, what died, what queued, and when it was freed, on one time axis.

Drawing is slow (tens of milliseconds, the first time a second), so call it in a thread. One thread draws at a time,
since matplotlib's settings belong to the process.
"""

from __future__ import annotations

import io
from pathlib import Path
from threading import Lock

from bot.core.account.values import Account
from bot.export.chart.draw import POINTS_AN_INCH, drawn
from bot.export.chart.layout import plan
from bot.export.chart.plan import RowLimits, Size
from bot.export.chart.rows import told
from bot.export.chart.svg import page_svg
from bot.export.files import drafted
from bot.export.material import Material

_SCALE = 2.25
"""Pixels of a picture for each unit of its plan: sharp on screens that show it at half its size."""

_IN_WORDS = RowLimits(states=40, runs=12, loops=12, events=60, name=120)
_IN_SHORT = 12
"""Sentences in the description of a chart. The page has all of them as tables."""

_DRAWING = Lock()


def chart_svg(account: Account) -> str:
    """The chart for a page: one `<svg>`, light and dark, for a phone and for a desk.

    It has a title, a description and its own ids; no scripts, and no references to anything outside. The same account
    gives the same text.
    """
    title, *rest = text_alternative(account)
    with _DRAWING:
        return page_svg(plan(account, Size.WIDE), plan(account, Size.NARROW), title, " ".join(rest[:_IN_SHORT]))


def write_png(material: Material, path: Path) -> Path:
    """Writes the chart for the channel, readable at the width that Slack shows it. Raises OSError."""
    from matplotlib import rc_context  # noqa: PLC0415  matplotlib is slow to import
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415  slow

    made = io.BytesIO()
    with _DRAWING, rc_context({"hatch.linewidth": 1.4}):
        figure = drawn(plan(material.account, Size.NARROW))
        figure.set_dpi(POINTS_AN_INCH * _SCALE)
        FigureCanvasAgg(figure).print_png(made, metadata={"Software": None})  # type: ignore[no-untyped-call]  # matplotlib has no types here
    with drafted(path) as draft:
        draft.write(made.getvalue())
    return path


def text_alternative(account: Account) -> tuple[str, ...]:
    """What the chart shows, in sentences: the headline, each row, each mark with its time in UTC."""
    contents = told(account, _IN_WORDS)
    rows = (row.title for row in contents.rows)
    inside = (bar.inside for row in contents.rows for bar in row.bars if bar.inside)
    sentences = (contents.headline, contents.subline, *rows, *inside, *(event.label for event in contents.events))
    return tuple(f"{sentence}." for sentence in (*sentences, contents.more_title) if sentence)
