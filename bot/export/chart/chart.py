"""The chart of an incident: who held the lock, what died, what queued, and when it was freed, on one time axis.

Drawing is slow (tens of milliseconds, the first time a second), so call it in a thread. One thread of its own draws
them all: matplotlib's settings belong to the process, and glibc keeps 25 MB for each thread that has drawn one.
"""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

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

_DRAWING = ThreadPoolExecutor(1, "chart")


def chart_svg(account: Account) -> str:
    """The chart for a page: one `<svg>`, light and dark, for a phone and for a desk.

    It has a title, a description and its own ids; no scripts, and no references to anything outside. The same account
    gives the same text.
    """
    title, *rest = text_alternative(account)

    def draw() -> str:
        return page_svg(plan(account, Size.WIDE), plan(account, Size.NARROW), title, " ".join(rest[:_IN_SHORT]))

    return _DRAWING.submit(draw).result()


def write_png(material: Material, path: Path) -> Path:
    """Writes the chart for the channel, readable at the width that Slack shows it. Raises OSError."""
    picture = _DRAWING.submit(_png, material.account).result()
    with drafted(path) as draft:
        draft.write(picture)
    return path


def _png(account: Account) -> bytes:
    from matplotlib import rc_context  # noqa: PLC0415  matplotlib is slow to import
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415  slow

    made = io.BytesIO()
    with rc_context({"hatch.linewidth": 1.4}):
        figure = drawn(plan(account, Size.NARROW))
        figure.set_dpi(POINTS_AN_INCH * _SCALE)
        FigureCanvasAgg(figure).print_png(made, metadata={"Software": None})  # type: ignore[no-untyped-call]  # matplotlib has no types here
    return made.getvalue()


def text_alternative(account: Account) -> tuple[str, ...]:
    """What the chart shows, in sentences: the headline, each row, each mark with its time in UTC."""
    contents = told(account, _IN_WORDS)
    rows = (row.title for row in contents.rows)
    inside = (bar.inside for row in contents.rows for bar in row.bars if bar.inside)
    sentences = (contents.headline, contents.subline, *rows, *inside, *(event.label for event in contents.events))
    return tuple(f"{sentence}." for sentence in (*sentences, contents.more_title) if sentence)
