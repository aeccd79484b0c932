"""Render the page: one HTML file with all styles, charts, pictures and players inside.

Names, tags and details come from files of other people, so everything is escaped, and the page's
own policy forbids scripts and any address but ``data:``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Final

import jinja2
from markupsafe import Markup, escape
from matplotlib.ticker import EngFormatter

from manifests.keys import format_snr
from pipeline.report import charts
from pipeline.report.advice import cue_advice
from pipeline.report.contents import SetContents
from pipeline.report.cues import EMPTY_BAND_DB
from pipeline.report.figures import SetFigures
from pipeline.report.gallery import GalleryExample

TEMPLATE: Final = "report.html.j2"
CUE_UNITS: Final = {
    "level": "dBFS RMS",
    "peak": "dBFS",
    "silence": "share of frames",
    "band above 8 kHz": "dB of all energy",
}


def render_page(contents: SetContents, figures: SetFigures, shown: Sequence[GalleryExample]) -> str:
    """Return the page as HTML; the same set gives the same bytes."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("pipeline.report", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "snr": format_snr,
        "count": lambda value: f"{value:,.0f}",
        "signed": lambda value, digits=2: f"{value:+.{digits}f}".replace("-", "\u2212"),
        "fixed": lambda value, digits=2: f"{round(value, digits) + 0.0:,.{digits}f}".replace(
            "-", "\u2212"
        ),
        "percent": lambda value, digits=0: f"{value:.{digits}%}",
        "size": EngFormatter(unit="B", places=1),
        "hours": hours_text,
        "heat": heat,
        "code": code,
    }
    environment.globals["tick_positions"] = tick_positions
    return environment.get_template(TEMPLATE).render(
        head=figures.head,
        figures=figures,
        index=contents.index,
        has_rejects_table=contents.rejects is not None,
        charts=_charts(contents, figures),
        advice=cue_advice(figures.cues, figures.head.band_hz),
        cue_units=CUE_UNITS,
        empty_band_db=EMPTY_BAND_DB,
        gallery=shown,
        top_frequency_khz=figures.head.sample_rate / 2000,
    )


def code(text: str) -> Markup:
    """Return a text with `quoted` parts as code, escaped."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))


def hours_text(hours: float) -> str:
    """Return a stretch of time for people: ``45 s``, ``26.4 min``, ``1,108.80 h``."""
    if hours < 1 / 60:
        return f"{hours * 3600:.0f} s"
    return f"{hours * 60:.1f} min" if hours < 1 else f"{hours:,.2f} h"


def heat(auc: float) -> int:
    """Return how strongly a cell is coloured, percent: 0 at .5 and below, 100 at 1."""
    return round(100 * min(max(2.0 * auc - 1.0, 0.0), 1.0))


def _charts(contents: SetContents, figures: SetFigures) -> dict[str, Markup]:
    drawn = {
        "durations": charts.duration_chart(contents),
        "songs": charts.song_chart(contents),
    }
    if contents.has_noise:
        drawn["snr_error"] = charts.snr_error_chart(contents)
        drawn["levels"] = charts.level_chart(contents)
    if figures.chunk_snr_db:
        drawn["chunks"] = charts.chunk_chart(contents)
    for version, spreads in (figures.cues.spreads or {}).items():
        drawn[f"cues_{version}"] = charts.cue_chart(spreads, CUE_UNITS)
    return drawn


def tick_positions(seconds: float) -> list[int]:
    """Return whole seconds at which a spectrogram's time axis is marked, at most five."""
    step = max(1, math.ceil(seconds / 4))
    return list(range(0, math.floor(seconds) + 1, step))
