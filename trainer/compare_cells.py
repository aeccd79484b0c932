"""The cells of the table: what a score file gives, and how runs of several seeds become one."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from manifests.keys import AUDIO, CLEAN, format_snr
from trainer.bootstrap import MIN_CLUSTERS, Figure
from trainer.evaluation.figures import MemberFigures
from trainer.evaluation.paired import NOISY_MEAN
from trainer.evaluation.score_file import ScoreFile
from trainer.perturb.names import is_perturbation

REAL: Final = "real"
"""Column of recordings that no noise was added to."""

CONSISTENCY: Final = ("cosine_margin", "retrieval_at_1", "tag_change", "probe_auc")
"""Metrics of the second table, by noisy member."""


@dataclass(frozen=True)
class Entry:
    """One cell of the table.

    Attributes:
        row: name of the row.
        runs: names of the runs behind it.
        seeds: their seeds.
        method: what they trained.
        backbone: network of their encoders.
        set: name of the set.
        column: ``clean``, ``10`` (an SNR in dB), ``noisy mean``, ``real`` (no noise added) or a
            perturbation (``drc:speech``).
        metric: ``auc``, ``ap``, ``auc_change`` and ``ap_change`` (less clean or real, paired), or
            one of ``CONSISTENCY``.
        value: the figure; the mean over several seeds.
        low: lower bound of the bootstrap interval of a single run; None for several and for
            metrics without one.
        high: the upper bound.
        spread: standard deviation over seeds (n - 1); None for a single run.
    """

    row: str
    runs: tuple[str, ...]
    seeds: tuple[int, ...]
    method: str
    backbone: str
    set: str
    column: str
    metric: str
    value: float
    low: float | None
    high: float | None
    spread: float | None


def cells_of(name: str, row: str, file: ScoreFile) -> Iterator[Entry]:
    """Yield all cells of one score file.

    Args:
        name: name of the set.
        row: name of the row.
        file: the score file.
    """
    # older score files have intervals of no width where one cluster was all that could be drawn
    bounded = file.figures.n_clusters >= MIN_CLUSTERS

    def cell(column: str, metric: str, figure: Figure | None) -> Iterator[Entry]:
        if figure is not None:
            run, bounds = file.run, (figure.low, figure.high) if bounded else (None, None)
            yield Entry(
                row, (run.shown,), (run.seed,), run.method, run.backbone, name, column, metric,
                figure.value, *bounds, None,
            )  # fmt: skip

    for member in file.figures.members:
        yield from cell(column_of(member), "auc", member.auc)
        yield from cell(column_of(member), "ap", member.ap)
    columns = {member.member: column_of(member) for member in file.figures.members}
    for change in file.figures.changes:
        yield from cell(columns[change.member], "auc_change", change.auc)
        yield from cell(columns[change.member], "ap_change", change.ap)
    yield from cell(NOISY_MEAN, "auc", file.figures.noisy_mean_auc)
    yield from cell(NOISY_MEAN, "ap", file.figures.noisy_mean_ap)
    for noise in file.figures.noise:
        column = format_snr(noise.snr_db)
        for metric in CONSISTENCY:
            holder = noise if metric == "probe_auc" else noise.consistency
            value = getattr(holder, metric, None)
            yield from cell(column, metric, None if value is None else Figure(value, None, None))


def column_of(member: MemberFigures) -> str:
    """Return the column of a member: ``clean``, its SNR in dB, ``real``, or its perturbation."""
    if member.snr_db is not None:
        return format_snr(member.snr_db)
    return {CLEAN: "clean", AUDIO: REAL}.get(member.member, member.member)


def column_snr_db(column: str) -> float | None:
    """Return the SNR that a column stands for, dB; None for all other columns."""
    other = column in (CLEAN, REAL, NOISY_MEAN) or is_perturbation(column)
    return None if other else float(column)


def snr_columns(columns: Iterable[str]) -> list[str]:
    """Return the columns of SNRs, the highest first."""
    found = [(snr_db, c) for c in columns if (snr_db := column_snr_db(c)) is not None]
    return [column for _, column in sorted(found, reverse=True)]


def merge_cells(row: str, runs: Sequence[Sequence[Entry]]) -> Iterator[Entry]:
    """Yield the cells of a row: those of its run, or mean and spread over its seeds.

    A perturbation that not all seeds were scored on is left out; ``perturbation_notes`` says so.
    """
    places: dict[tuple[str, str], list[Entry]] = {}
    for cells in runs:
        for cell in cells:
            places.setdefault((cell.column, cell.metric), []).append(cell)
    for (column, _), cells in places.items():
        if is_perturbation(column) and len(cells) < len(runs):
            continue
        first, values = cells[0], [cell.value for cell in cells]
        several = len(cells) > 1
        yield Entry(
            row=row,
            runs=tuple(cell.runs[0] for cell in cells),
            seeds=tuple(cell.seeds[0] for cell in cells),
            method=first.method,
            backbone=first.backbone,
            set=first.set,
            column=first.column,
            metric=first.metric,
            value=statistics.fmean(values),
            low=None if several else first.low,
            high=None if several else first.high,
            spread=statistics.stdev(values) if several else None,
        )
