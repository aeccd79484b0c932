"""A run over time, from its ``metrics.jsonl``: losses, domain accuracy, validation AUC."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from matplotlib.figure import Figure as Canvas

from manifests.errors import UsageError
from trainer.plots import Floats, look, panels, style

CHANCE: Final = 0.5
_ROWS: Final = {"loss": "Loss", "accuracy": "Domain accuracy", "auc": "Validation ROC-AUC"}
_SMOOTHED_FROM: Final = 100
"""Curves with more points are drawn faint, with their running mean on top."""


_MARKED_TO: Final = 30
"""Curves with so few points show each of them."""


def has_curves(records: Sequence[Mapping[str, Any]]) -> bool:
    """Tell whether there is anything to plot."""
    return any(_curves(records, kind) for kind in _ROWS)


def plot_training(records: Sequence[Mapping[str, Any]], title: str) -> Canvas:
    """Plot every loss, accuracy and AUC of a run, one column of panels per stage.

    Args:
        records: as ``trainer.runs.metrics_log.read_records`` returns them: ``stage``, ``step`` and
            figures by name, None where one was not finite.
        title: name of the run.

    Raises:
        UsageError: nothing to plot.
    """
    stages = list(dict.fromkeys(str(record["stage"]) for record in records))
    curves = {
        (kind, stage): _curves([r for r in records if r["stage"] == stage], kind)
        for kind in _ROWS
        for stage in stages
    }
    kinds = [kind for kind in _ROWS if any(curves[kind, stage] for stage in stages)]
    if not kinds:
        raise UsageError(f"{title}: expected losses or accuracies in its metrics, got none")
    with style():
        canvas, axes = panels(
            1.0 + 5.2 * len(stages), 0.8 + 2.8 * len(kinds), len(kinds), len(stages)
        )
        for column, stage in enumerate(stages):
            for row, kind in enumerate(kinds):
                _panel(axes[row, column], curves[kind, stage], kind)
            axes[0, column].set_title(f"Stage {stage}")
        canvas.suptitle(title)
    return canvas


def _curves(records: Sequence[Mapping[str, Any]], kind: str) -> dict[str, tuple[Floats, Floats]]:
    """Return steps and values of each figure of a kind, those that are not finite left out."""
    names = dict.fromkeys(
        name for record in records for name in record if kind in name.rsplit("/", 1)[-1]
    )
    found = {}
    for name in names:
        points = [(r["step"], r[name]) for r in records if r.get(name) is not None]
        if points:
            steps, values = np.array(points, dtype=np.float64).T
            found[name] = (steps, values)
    return found


def _panel(axes: Any, curves: Mapping[str, tuple[Floats, Floats]], kind: str) -> None:
    if not curves:
        axes.set_axis_off()
        return
    for number, name in enumerate(sorted(curves, key=_order)):
        steps, values = curves[name]
        marks = look(number)
        label = _label(name)
        if len(values) > _SMOOTHED_FROM:
            axes.plot(steps, values, color=marks["color"], alpha=0.2, linewidth=0.8)
            smooth = _running_mean(steps, values)
            axes.plot(*smooth, color=marks["color"], linewidth=1.8, label=label)
        else:
            marks |= {"markersize": 4} if len(values) <= _MARKED_TO else {"marker": ""}
            axes.plot(steps, values, label=label, **marks)
    if kind == "accuracy":
        axes.axhline(CHANCE, color="#666666", linewidth=1, linestyle="--", label="chance")
        axes.set_ylim(0, 1.02)
    axes.set(xlabel="Training steps", ylabel=_ROWS[kind])
    # Beside the panel, where it covers no curve.
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize=9, handlelength=1.5)


def _label(name: str) -> str:
    """Return e.g. ``valid auc, −10 dB`` for ``valid/auc_snr_-10``."""
    stem, _, snr = name.partition("_snr_")
    text = stem.replace("_", " ").replace("/", " ")
    return f"{text}, {snr.replace('-', '−')} dB" if snr else text


def _order(name: str) -> tuple[str, float]:
    """Sort by name, SNRs by their number, highest first."""
    stem, _, snr = name.partition("_snr_")
    return (stem, -float(snr)) if snr else (name, 0.0)


def _running_mean(steps: Floats, values: Floats) -> tuple[Floats, Floats]:
    """Return means over a twentieth of the curve, at the centres of full windows only."""
    width = max(2, len(values) // 20)
    kernel = np.full(width, 1 / width)
    return np.convolve(steps, kernel, "valid"), np.convolve(values, kernel, "valid")
