"""Scores against SNR, and what all plots share: canvas, palette, saving.

Drawn with matplotlib's Agg canvas through figure objects, never through pyplot's global state, and
saved as PNG and SVG without dates or random ids: the same data give the same SVG. Colours are those
of Okabe & Ito (2008), told apart with any colour vision; every run has a marker of its own too.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any, Final, TypeAlias

import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure as Canvas
from numpy.typing import NDArray

from manifests import store
from manifests.errors import UsageError
from manifests.keys import CLEAN
from trainer.compare import Comparison
from trainer.compare_cells import Entry, column_snr_db

Floats: TypeAlias = NDArray[np.float64]

COLOURS: Final = (
    "#0072B2",  # blue
    "#D55E00",  # vermilion
    "#009E73",  # green
    "#CC79A7",  # purple
    "#E69F00",  # orange
    "#56B4E9",  # sky
    "#000000",  # black
    "#8C6D1F",  # brown, in place of Okabe & Ito's yellow, which white paper swallows
)
MARKERS: Final = ("o", "s", "^", "D", "v", "P", "X", "*")
_STYLE: Final[Any] = {
    "font.size": 11,
    "axes.titlesize": 12,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#DDDDDD",
    "grid.linewidth": 0.8,
    "legend.frameon": False,
    "svg.hashsalt": "robust-tagger",
    "svg.fonttype": "none",
}
_DODGE_DB: Final = 0.35
"""Distance between the markers of two runs at one SNR, so that intervals do not overlap."""
_SPREAD_DB: Final = 2.4
"""Most that the markers of all runs at one SNR take together."""
_LEGEND_IN: Final = (0.6, 0.085)
"""Width of an entry of the legend without its name, and of a letter, inches."""
_CLEAN_GAP_DB: Final = 7.0
"""Clean has no SNR: it stands this far right of the highest one, behind a gap."""


def save_plot(folder: str, name: str, canvas: Canvas) -> list[str]:
    """Write ``NAME.png`` (150 dpi) and ``NAME.svg``; returns the URLs.

    Raises:
        ManifestError: a file cannot be written.
    """
    urls = []
    for kind, metadata in (("png", {"Software": None}), ("svg", {"Date": None})):
        buffer = io.BytesIO()
        with style():
            canvas.savefig(buffer, format=kind, dpi=150, metadata=metadata)
        urls.append(store.join(folder, f"{name}.{kind}"))
        store.write_bytes(urls[-1], buffer.getvalue())
    return urls


def style() -> Any:
    """Return the context that plots are drawn in: fonts, grid and spines."""
    return mpl.rc_context(_STYLE)


def panels(
    width: float, height: float, n_rows: int, n_columns: int, **more: Any
) -> tuple[Canvas, Any]:
    """Return a figure of a size in inches and its axes, (n_rows, n_columns)."""
    canvas = Canvas(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(canvas)
    return canvas, canvas.subplots(n_rows, n_columns, squeeze=False, **more)


def plot_scores(comparison: Comparison) -> Canvas:
    """Plot macro AUC and AP against SNR, one column of panels per noise set.

    Bars are bootstrap intervals over artists, or the standard deviation of rows of several seeds.
    Sets without tags are left out: how far noise moves their clips is measured, but no score is.

    Raises:
        UsageError: no set with noise and tags.
    """
    scored = {e.set for e in comparison.entries if e.metric == "auc" and _snr_db(e) is not None}
    sets = [note.set for note in comparison.sets if note.set in scored]
    if not sets:
        raise UsageError(
            "plot: expected scores on a set with noise and tags, got none; evaluate one"
        )
    with style():
        canvas, axes = panels(1.2 + 4.9 * len(sets), 8.0, 2, len(sets), sharex="col", sharey="row")
        for column, name in enumerate(sets):
            for row, (metric, label) in enumerate(
                (("auc", "ROC-AUC"), ("ap", "Average precision"))
            ):
                _score_panel(axes[row, column], comparison, name, metric)
                if not column:
                    axes[row, column].set_ylabel(f"{label} (macro)")
            axes[0, column].set_title(name)
            axes[1, column].set_xlabel("SNR of music to noise (dB)")
        legend_below(canvas, axes[0, 0])
    return canvas


def _score_panel(axes: Any, comparison: Comparison, name: str, metric: str) -> None:
    entries = [e for e in comparison.entries if (e.set, e.metric) == (name, metric)]
    snrs_db = sorted({snr for e in entries if (snr := _snr_db(e)) is not None})
    clean_at = snrs_db[-1] + _CLEAN_GAP_DB
    middle = (len(comparison.rows) - 1) / 2
    step_db = min(_DODGE_DB, _SPREAD_DB / max(2 * middle, 1))
    for number, row in enumerate(comparison.rows):
        own = [e for e in entries if e.row == row]
        noisy = sorted(((s, e) for e in own if (s := _snr_db(e)) is not None), key=lambda p: p[0])
        clean = [(clean_at, e) for e in own if e.column == CLEAN]
        dodge = (number - middle) * step_db
        marks = look(number) | {"capsize": 2.5, "elinewidth": 1.2}
        for points, line in ((noisy, "-"), (clean, "none")):
            if points:
                x = [at + dodge for at, _ in points]
                y = [e.value for _, e in points]
                axes.errorbar(
                    x, y, yerr=_bars([e for _, e in points]), linestyle=line, label=row, **marks
                )
    axes.axvline(clean_at - _CLEAN_GAP_DB / 2, color="#999999", linewidth=1, linestyle=":")
    axes.set_xticks([*snrs_db, clean_at], [*(_signed(snr) for snr in snrs_db), "clean"])
    axes.grid(visible=False, axis="x")


def _snr_db(entry: Entry) -> float | None:
    """Return the SNR of a column of scores, None for the other columns."""
    return column_snr_db(entry.column)


def _signed(snr_db: float) -> str:
    return f"{snr_db:g}".replace("-", "−")


def _bars(entries: Sequence[Entry]) -> Floats:
    """Return distances below and above, (2, n); a figure without interval has none."""
    bars = np.zeros((2, len(entries)))
    for n, entry in enumerate(entries):
        if entry.spread is not None:
            bars[:, n] = entry.spread
        elif entry.low is not None and entry.high is not None:
            bars[:, n] = max(0.0, entry.value - entry.low), max(0.0, entry.high - entry.value)
    return bars


def look(number: int) -> dict[str, Any]:
    """Return colour, marker and sizes of the n-th line."""
    return {
        "color": COLOURS[number % len(COLOURS)],
        # after eight runs the markers shift against the colours, so that pairs stay unique
        "marker": MARKERS[(number + number // len(COLOURS)) % len(MARKERS)],
        "markersize": 5.5,
        "linewidth": 1.6,
    }


def legend_below(canvas: Canvas, axes: Any) -> None:
    """Put one legend of all rows below the panels, where it covers nothing."""
    handles, labels = axes.get_legend_handles_labels()
    # The first of a name is the one with a line; the point of clean comes after it.
    unique = dict(zip(reversed(labels), reversed(handles), strict=True))
    unique = dict(reversed(unique.items()))
    entry_in = _LEGEND_IN[0] + _LEGEND_IN[1] * max(map(len, unique))
    canvas.legend(
        list(unique.values()),
        list(unique),
        loc="outside lower center",
        ncols=max(1, min(4, len(unique), int(canvas.get_figwidth() / entry_in))),
    )
