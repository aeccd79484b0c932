"""The charts of the report: SNR error, chunk SNR, levels, durations, cues."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from manifests.keys import CLEAN, format_snr, noisy_name
from manifests.signal import SNR_TOLERANCE_DB
from pipeline.report import svg
from pipeline.report.contents import Figures, SetContents, member_levels_db, snr_errors_db
from pipeline.report.sample import draw
from pipeline.report.snr import FAR_OFF_DB
from pipeline.report.spread import Spread

CHUNK_AXIS_DB: Final = 25.0
SCATTER_EXAMPLES: Final = 200
STEP_DB: Final = 0.001
"""Achieved SNRs are stored to this step, so narrower bins would be empty."""


def falling(snrs_db: Sequence[float]) -> list[float]:
    """Return SNRs from the highest to the lowest, the order of every chart and table."""
    return sorted(snrs_db, reverse=True)


def minus(snr_db: float) -> str:
    """Return an SNR with a typographic minus."""
    return format_snr(snr_db).replace("-", "\u2212")


def snr_error_chart(contents: SetContents) -> Markup:
    """Draw the histogram of achieved minus target SNR, stacked by SNR."""
    snrs = falling(contents.index.snrs_db)
    errors = [snr_errors_db(contents.rows, snr) for snr in snrs]
    reach = max(float(np.max(np.abs(values))) for values in errors)
    step = STEP_DB if reach <= 0.02 else reach / 20
    half = max(int(np.ceil(reach / step - 1e-9)), 5) + 0.5
    edges = np.arange(-half, half + 1) * step
    with svg.chart_style():
        figure, axes = svg.new_chart()
        colours = [svg.snr_colour(i, len(snrs)) for i in range(len(snrs))]
        axes.hist(
            errors,
            bins=list(edges),
            stacked=True,
            rwidth=0.9,
            color=colours,
            label=[f"{minus(snr)} dB" for snr in snrs],
        )
        if edges[-1] > SNR_TOLERANCE_DB:
            for limit in (-SNR_TOLERANCE_DB, SNR_TOLERANCE_DB):
                axes.axvline(limit, color=svg.INK, linewidth=1.0, linestyle="--")
        _finish(axes, "achieved − target SNR, dB", "noisy members")
        _legend(figure, len(snrs))
        return svg.to_svg(
            figure, f"Histogram of achieved minus target SNR, largest magnitude {reach:.3f} dB."
        )


def chunk_chart(contents: SetContents) -> Markup:
    """Draw the histogram of chunk SNR less the excerpt's SNR; the ends collect what is beyond."""
    values = np.array([value for row in contents.rows for value in row.chunk_snr_db])
    clipped = np.clip(values, -CHUNK_AXIS_DB + 0.5, CHUNK_AXIS_DB - 0.5)
    far = np.abs(clipped) > FAR_OFF_DB
    edges = list(np.arange(-CHUNK_AXIS_DB, CHUNK_AXIS_DB + 1))
    with svg.chart_style():
        figure, axes = svg.new_chart()
        axes.hist(
            [clipped[~far], clipped[far]],
            bins=edges,
            stacked=True,
            rwidth=0.88,
            color=[svg.CLEAN, svg.SNR_RAMP[1]],
            label=[f"within {FAR_OFF_DB:g} dB", f"over {FAR_OFF_DB:g} dB off"],
        )
        _finish(axes, "chunk SNR − excerpt SNR, dB", "chunks of 2.7 s")
        _legend(figure, 2)
        return svg.to_svg(
            figure,
            f"Histogram of the SNR of {values.size} chunks against their excerpts; "
            f"{np.mean(far):.0%} are more than {FAR_OFF_DB:g} dB off.",
        )


def level_chart(contents: SetContents) -> Markup:
    """Draw the level of each noisy version against its clean member, some 200 examples."""
    rows = draw(contents.rows, SCATTER_EXAMPLES, "levels")
    snrs = falling(contents.index.snrs_db)
    clean = member_levels_db(rows, CLEAN)
    with svg.chart_style():
        figure, axes = svg.new_chart(height_in=3.3)
        noisy = {snr: member_levels_db(rows, noisy_name(snr)) for snr in snrs}
        low = min(float(clean.min()), *(float(v.min()) for v in noisy.values())) - 1
        high = max(float(clean.max()), *(float(v.max()) for v in noisy.values())) + 1
        line = [low, high]
        axes.plot(line, line, color=svg.MUTED, linewidth=0.9, linestyle="--", label="as clean")
        for place, (snr, values) in enumerate(noisy.items()):
            axes.scatter(
                clean,
                values,
                s=13,
                color=svg.snr_colour(place, len(snrs)),
                alpha=0.75,
                linewidths=0,
                label=f"{minus(snr)} dB",
            )
        axes.set_xlim(float(clean.min()) - 1, float(clean.max()) + 1)
        axes.set_ylim(low, high)
        _finish(axes, "clean, dBFS RMS", "noisy, dBFS RMS")
        _legend(figure, len(snrs) + 1)
        return svg.to_svg(
            figure, "Scatter of noisy against clean level: the lower the SNR, the louder the mix."
        )


def duration_chart(contents: SetContents) -> Markup:
    """Draw the histogram of durations."""
    values = np.array([row.duration_s for row in contents.rows])
    low, high = float(values.min()), float(values.max())
    if high - low < 1.0:  # one length, up to a frame of MP3: a bar of its own, not a spread
        low, high = (low + high) / 2 - 2.25, (low + high) / 2 + 2.25
        edges = np.linspace(low, high, 10)
    else:
        edges = np.linspace(low, high, 25)
    return _histogram(
        values,
        edges,
        ("duration, s", "examples"),
        f"Histogram of durations, {values.min():.1f} to {values.max():.1f} seconds.",
    )


def song_chart(contents: SetContents) -> Markup:
    """Draw how many songs have one example, two, and so on."""
    songs = Counter((row.corpus, row.song) for row in contents.rows)
    values = np.array(list(songs.values()))
    top = int(values.max())
    step = max(1, -(-top // 24))
    edges = np.arange(0.5, max(top, 5) + step + 0.5, step)
    return _histogram(
        values,
        edges,
        ("examples of one song", "songs"),
        f"Histogram of examples per song, at most {top}.",
    )


def _histogram(
    values: Figures, edges: Figures, labels: tuple[str, str], description: str
) -> Markup:
    with svg.chart_style():
        figure, axes = svg.new_chart()
        axes.hist(values, bins=list(edges), rwidth=0.88, color=svg.CLEAN)
        _finish(axes, *labels)
        if float(np.ptp(edges)) < 10 and np.all(values == np.round(values)):
            axes.xaxis.set_major_locator(MaxNLocator(7, integer=True))
        return svg.to_svg(figure, description)


def cue_chart(spreads: Mapping[str, Mapping[str, Spread]], units: Mapping[str, str]) -> Markup:
    """Draw the spread of each cue in clean and at each SNR, one small panel a cue.

    Args:
        spreads: by cue, then by member (``clean`` or SNR).
        units: axis label of each cue.
    """
    with svg.chart_style():
        figure = Figure(figsize=(4.8, 4.0), layout="constrained")
        for panel, (cue, members) in enumerate(spreads.items()):
            axes = figure.add_subplot(2, 2, panel + 1)
            _strips(axes, list(members.values()), 0.03 if cue == "silence" else 2.0)
            axes.set_title(cue)
            axes.set_ylabel(units[cue])
            names = [name.replace("-", "\u2212") for name in members]
            axes.set_xticks(range(len(members)), names, fontsize=8)
            axes.tick_params(axis="x", length=0)
            axes.grid(axis="y")
            axes.yaxis.set_major_locator(MaxNLocator(4))
            if cue == "silence":
                axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
                axes.set_yticks([tick for tick in axes.get_yticks() if 0.0 <= tick <= 1.0])
        return svg.to_svg(figure, f"Spread of {', '.join(spreads)} in clean and noisy members.")


def _strips(axes: Axes, spreads: Sequence[Spread], smallest_margin: float) -> None:
    """Draw 5-95 % as a thin line, the middle half as a thick one, the median as a dot."""
    for place, found in enumerate(spreads):
        colour = svg.CLEAN if place == 0 else svg.snr_colour(place - 1, len(spreads) - 1)
        axes.vlines(place, found.p5, found.p95, color=colour, linewidth=1.2)
        axes.vlines(place, found.p25, found.p75, color=colour, linewidth=6.0)
        axes.plot([place], [found.median], "o", markersize=4.0, zorder=4,
                  markerfacecolor=svg.CARD, markeredgecolor=colour)  # fmt: skip
    low, high = min(s.p5 for s in spreads), max(s.p95 for s in spreads)
    margin = max(0.08 * (high - low), smallest_margin)
    axes.set_ylim(low - (margin if low else margin / 4), high + margin)
    axes.set_xlim(-0.6, len(spreads) - 0.4)


def _finish(axes: Axes, x_label: str, y_label: str) -> None:
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    axes.grid(axis="y")
    axes.xaxis.set_major_locator(MaxNLocator(7))
    axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))


def _legend(figure: Figure, entries: int) -> None:
    if entries > 1:
        figure.legend(
            loc="outside upper left",
            ncols=min(entries, 6),
            fontsize=8,
            handlelength=0.9,
            handleheight=0.9,
            columnspacing=1.1,
        )
