"""The robustness study of Won et al. 2020, one table per set and backbone.

Columns are the unchanged clip, every perturbation, and then the set's own ladder of noise.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from manifests.keys import CLEAN
from trainer.bootstrap import Figure
from trainer.compare import Comparison
from trainer.compare_cells import REAL, Entry, snr_columns
from trainer.compare_grid import Cell, Grid, change_cell, filled, head, score_cell
from trainer.perturb.names import is_perturbation


def robustness_grids(comparison: Comparison, set_name: str) -> list[Grid]:
    """Return a table per backbone of which a run was perturbed, in the order of the rows.

    Args:
        comparison: the table as data.
        set_name: name of the set.
    """
    own = [entry for entry in comparison.entries if entry.set == set_name]
    backbones = dict.fromkeys(entry.backbone for entry in own)
    found = [_grid(comparison, set_name, backbone, own) for backbone in backbones]
    return [grid for grid in found if any(map(is_perturbation, grid.columns))]


def _grid(comparison: Comparison, set_name: str, backbone: str, entries: list[Entry]) -> Grid:
    own = [entry for entry in entries if entry.backbone == backbone]
    columns = dict.fromkeys(entry.column for entry in own if entry.metric == "auc")
    unchanged = [column for column in columns if column in (CLEAN, REAL)]
    shown = [*unchanged, *filter(is_perturbation, columns), *snr_columns(columns)]
    places = {(entry.row, entry.column, entry.metric): entry for entry in own}
    sections = []
    for metric, (title, cell) in _SECTIONS.items():
        rows = [
            (row, tuple(cell(places.get((row, column, metric))) for column in shown))
            for row in comparison.rows
        ]
        if kept := filled(rows):
            sections.append((title, kept))
    return Grid(
        f"{set_name}: robustness of {backbone}",
        tuple(head(column) for column in shown),
        tuple(sections),
    )


def _change(entry: Entry | None) -> Cell:
    if entry is None:
        return Cell()
    if entry.spread is not None:
        return Cell(f"{entry.value:+.3f}", f"±{entry.spread:.3f}")
    return change_cell(Figure(entry.value, entry.low, entry.high))


_SECTIONS: Final[dict[str, tuple[str, Callable[[Entry | None], Cell]]]] = {
    "auc": ("ROC-AUC", score_cell),
    "ap": ("Average precision", score_cell),
    "auc_change": (
        "Change of ROC-AUC to the unchanged clips, paired (* = interval without 0)",
        _change,
    ),
    "ap_change": (
        "Change of average precision to the unchanged clips, paired (* = interval without 0)",
        _change,
    ),
}
