"""The table of ``trainer.compare`` for people: aligned text and Markdown, and CSV and JSON files.

One table per noise set: a section per metric, a row per run, a column for clean, for each SNR,
for their mean, and for every set of real recordings; then one per backbone where runs were
perturbed, one with the agreement of noisy and clean, and one with the paired differences.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Final

from manifests import store
from manifests.canonical import pretty_json
from manifests.keys import AUDIO
from manifests.tables import write_table
from trainer.compare import Comparison, SetNote
from trainer.compare_cells import REAL, Entry, snr_columns
from trainer.compare_grid import (
    Cell,
    Grid,
    change_cell,
    filled,
    head,
    markdown_lines,
    score_cell,
    text_lines,
)
from trainer.compare_robustness import robustness_grids
from trainer.evaluation.paired import NOISY_MEAN
from trainer.perturb.names import is_perturbation

_SCORES: Final = {"auc": "ROC-AUC", "ap": "Average precision"}
_AGREEMENT: Final = {
    "cosine_margin": "Cosine of clean and noisy, less that of random pairs (higher is better)",
    "retrieval_at_1": "Clean twin is the nearest clean clip, share (higher is better)",
    "tag_change": "Mean change of tag probabilities (lower is better)",
    "probe_auc": "Fresh domain classifier, ROC-AUC (0.5 = no cue left)",
}


def grids(comparison: Comparison) -> list[Grid]:
    """Return the tables of a comparison, in the order to print them."""
    real = [note.set for note in comparison.sets if _is_real(comparison, note)]
    noisy = [note for note in comparison.sets if note.set not in real]
    tables = [_score_grid(comparison, note, real) for note in noisy]
    if not noisy and real:
        notes = [note for note in comparison.sets if note.set in real]
        tables.append(_score_grid(comparison, notes[0], real))
    for note in (*noisy, *(note for note in comparison.sets if note.set in real)):
        tables += robustness_grids(comparison, note.set)
    tables += [_agreement_grid(comparison, note) for note in noisy]
    tables += [_difference_grid(comparison, name) for name in [*(n.set for n in noisy), *real]]
    tables.append(_cost_grid(comparison))
    return [grid for grid in tables if grid.sections]


def text_table(comparison: Comparison) -> str:
    """Return the tables as aligned text; intervals stand below the figures."""
    lines = [line for grid in grids(comparison) for line in text_lines(grid)]
    return "\n".join([*lines, *comparison.notes])


def markdown_table(comparison: Comparison) -> str:
    """Return the tables as Markdown; intervals stand behind the figures."""
    lines = [line for grid in grids(comparison) for line in markdown_lines(grid)]
    return "\n".join([*lines, *(f"* {note}" for note in comparison.notes)])


def write_comparison(folder: str, comparison: Comparison) -> list[str]:
    """Write ``table.txt``, ``.md``, ``.csv`` (one line per cell) and ``.json``; returns the URLs.

    Raises:
        ManifestError: a file cannot be written.
    """
    texts = {
        "table.txt": text_table(comparison),
        "table.md": markdown_table(comparison),
        "table.json": pretty_json(asdict(comparison)),
    }
    for name, text in texts.items():
        store.write_text(store.join(folder, name), text)
    write_table(store.join(folder, "table.csv"), comparison.entries + comparison.runs, Entry)
    return [store.join(folder, name) for name in (*texts, "table.csv")]


def set_line(note: SetNote) -> str:
    """Return one line on what a set's figures rest on."""
    recipe = f" recipe {note.recipe_id[:12]}…" if note.recipe_id else ""
    unknown = note.n_clusters - note.n_artists
    of, over = f" of {note.n_artists:,} artists", "artists"
    if not note.n_artists:
        of, over = " (artist unknown)", "clips"
    elif unknown:
        of, over = f"{of} and {unknown:,} without one", "artists and such clips"
    return (
        f"{note.set}{recipe}: {note.n_clips:,} clips{of}, "
        f"{note.n_tags} tags ({note.n_left_out} left out); {note.level:.0%} intervals from "
        f"{note.n_draws:,} draws over {over}, ± is the standard deviation over seeds"
    )


def _is_real(comparison: Comparison, note: SetNote) -> bool:
    return any(entry.set == note.set and entry.column == REAL for entry in comparison.entries)


def _columns(comparison: Comparison, set_name: str, metric: str) -> list[str]:
    columns = dict.fromkeys(
        entry.column
        for entry in comparison.entries
        if (entry.set, entry.metric) == (set_name, metric) and entry.column != REAL
    )
    snrs = snr_columns(columns)
    edge = [c for c in ("clean",) if c in columns], [c for c in (NOISY_MEAN,) if c in columns]
    return [*edge[0], *snrs, *edge[1]]


def _score_grid(comparison: Comparison, note: SetNote, real: Sequence[str]) -> Grid:
    found = {(e.row, e.set, e.column, e.metric): e for e in comparison.entries}
    columns = _columns(comparison, note.set, "auc")
    places = [(note.set, column) for column in columns] + [(name, REAL) for name in real]
    sections = []
    for metric, title in _SCORES.items():
        rows = [
            (row, tuple(score_cell(found.get((row, *place, metric))) for place in places))
            for row in comparison.rows
        ]
        if kept := filled(rows):
            sections.append((title, kept))
    heads = tuple(head(column) for column in columns) + tuple(real)
    others = [one for one in comparison.sets if one.set in real and one != note]
    return Grid(set_line(note), heads, tuple(sections), tuple(map(set_line, others)))


def _agreement_grid(comparison: Comparison, note: SetNote) -> Grid:
    found = {(e.row, e.set, e.column, e.metric): e for e in comparison.entries}
    columns = _columns(comparison, note.set, "tag_change") or _columns(
        comparison, note.set, "probe_auc"
    )
    sections = []
    for metric, title in _AGREEMENT.items():
        rows = [
            (row, tuple(score_cell(found.get((row, note.set, c, metric))) for c in columns))
            for row in comparison.rows
        ]
        if kept := filled(rows):
            sections.append((title, kept))
    title = f"{note.set}: agreement of noisy clips with their clean versions"
    return Grid(title, tuple(head(column) for column in columns), tuple(sections))


def _difference_grid(comparison: Comparison, set_name: str) -> Grid:
    pairs = [pair for pair in comparison.differences if pair.set == set_name]
    if not pairs:
        return Grid(set_name, (), ())
    held = dict.fromkeys(d.member for pair in pairs for d in pair.differences)
    members = sorted(held, key=is_perturbation)  # they come last, behind the ladder and its mean
    sections = []
    for metric, title in _SCORES.items():
        rows = []
        for pair in pairs:
            own = {d.member: change_cell(getattr(d, metric)) for d in pair.differences}
            rows.append((pair.row, tuple(own.get(member, Cell()) for member in members)))
        sections.append((title, tuple(rows)))
    return Grid(
        f"{set_name}: paired difference to {pairs[0].reference} (* = interval without 0)",
        tuple(head({AUDIO: REAL}.get(m, m.removeprefix("noisy.snr_"))) for m in members),
        tuple(sections),
    )


def _cost_grid(comparison: Comparison) -> Grid:
    """Return the table of costs; the figures of one machine compare, those of several do not."""

    def cell(value: float | None, form: str, factor: float = 1.0) -> Cell:
        return Cell() if value is None else Cell(format(value * factor, form))

    rows = tuple(
        (
            cost.row,
            (
                cell(float(cost.n_parameters), ",.0f"),
                cell(cost.examples_per_s, ",.1f"),
                cell(cost.train_s, ",.1f", 1 / 60),
                cell(cost.memory_mb, ",.0f"),
            ),
        )
        for cost in comparison.costs
    )
    heads = ("parameters", "crops/s", "last stage, min", "memory, MB")
    return Grid("Cost, as the runs' own logs have it", heads, (("", rows),) if rows else ())
