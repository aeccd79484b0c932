"""Matplotlib figures as inline SVG that takes its colours and font from the page.

Charts are drawn in marker colours, which the export replaces by the page's CSS variables, so the
same figure reads on light and on dark ground.
"""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Iterator
from typing import Any, Final

import matplotlib.style
from markupsafe import Markup, escape
from matplotlib.axes import Axes
from matplotlib.figure import Figure

INK: Final = "#010101"
MUTED: Final = "#020202"
GRID: Final = "#030303"
CLEAN: Final = "#040404"
CARD: Final = "#050505"
ACCENT: Final = "#060606"
_VARIABLES: Final = {
    INK: "--ink",
    MUTED: "--muted",
    GRID: "--grid",
    CLEAN: "--clean",
    CARD: "--card",
    ACCENT: "--accent",
}
SNR_RAMP: Final = ("#c98500", "#d95926", "#cf3d63", "#a5479b", "#7c5bc7")
"""High to low SNR; every step stands 3:1 or nearly so against white and near-black."""

_STYLE: Final[dict[Any, Any]] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "report",
    "font.size": 9.0,
    "font.family": ["DejaVu Sans"],
    "text.color": INK,
    "axes.edgecolor": GRID,
    "axes.labelcolor": MUTED,
    "axes.titlecolor": INK,
    "axes.titlesize": 9.0,
    "axes.titlelocation": "left",
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.unicode_minus": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "xtick.color": GRID,
    "ytick.color": GRID,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "xtick.major.size": 3.0,
    "ytick.major.size": 0.0,
    "legend.frameon": False,
    "legend.labelcolor": INK,
    "patch.linewidth": 0.0,
}


def snr_colour(place: int, count: int) -> str:
    """Return the colour of the ``place``-th of ``count`` SNRs, from the highest down."""
    if count <= 1:
        return SNR_RAMP[2]
    at = place / (count - 1) * (len(SNR_RAMP) - 1)
    low = min(int(at), len(SNR_RAMP) - 2)
    below, above = (_rgb(SNR_RAMP[i]) for i in (low, low + 1))
    mixed = (round(a + (b - a) * (at - low)) for a, b in zip(below, above, strict=True))
    return "#" + "".join(f"{value:02x}" for value in mixed)


def _rgb(colour: str) -> tuple[int, ...]:
    return tuple(int(colour[i : i + 2], 16) for i in (1, 3, 5))


@contextlib.contextmanager
def chart_style() -> Iterator[None]:
    """Draw and export inside this: fonts, lines and marker colours of the report.

    It starts from matplotlib's own defaults, so a user's matplotlibrc does not change the page.
    """
    with matplotlib.style.context(["default", _STYLE]):
        yield


def new_chart(width_in: float = 4.8, height_in: float = 2.7) -> tuple[Figure, Axes]:
    """Return a figure with one pair of axes; 4.8 inches fill a phone or half a screen."""
    figure = Figure(figsize=(width_in, height_in), layout="constrained")
    return figure, figure.add_subplot()


def to_svg(figure: Figure, description: str) -> Markup:
    """Return a figure as inline SVG.

    Args:
        figure: drawn in the marker colours, inside ``chart_style``.
        description: what it shows, for those who do not see it.
    """
    buffer = io.StringIO()
    empty = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    figure.savefig(buffer, format="svg", transparent=True, metadata=empty)
    text = buffer.getvalue()
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    box = re.search(r'viewBox="([^"]+)"', text)
    body = text[text.index(">", text.index("<svg ")) + 1 :].replace("xlink:href", "href")
    body = re.sub(r"'DejaVu Sans'[^;\"]*", "var(--font)", body)
    for colour, variable in _VARIABLES.items():
        body = body.replace(colour, f"var({variable})")
    head = f'<svg viewBox="{box[1] if box else ""}" role="img" aria-label="{escape(description)}">'
    return Markup(head + body)
