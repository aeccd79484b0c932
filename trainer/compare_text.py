"""The table of ``trainer.compare`` for people: aligned text and Markdown, and CSV and JSON files.

One table per noise set: a section per metric, a row per run, a column for clean, for each SNR,
for their mean, and for every set of real recordings. A second one with the agreement of noisy and
clean, a third with the paired differences.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Final

from manifests import store
from manifests.canonical import pretty_json
from manifests.keys import AUDIO
from manifests.tables import write_table
from trainer.bootstrap import Figure
from trainer.compare import Comparison, Entry, SetNote
from trainer.evaluation.paired import NOISY_MEAN

REAL: Final = "real"
_SCORES: Final = {"auc": "ROC-AUC", "ap": "Average precision"}
_AGREEMENT: Final = {
    "cosine_margin": "Cosine of clean and noisy, less that of random pairs (higher is better)",
    "retrieval_at_1": "Clean twin is the nearest clean clip, share (higher is better)",
    "tag_change": "Mean change of tag probabilities (lower is better)",
    "probe_auc": "Fresh domain classifier, ROC-AUC (0.5 = no cue left)",
}
_DASH: Final = "–"


@dataclass(frozen=True)
class Cell:
    """A figure and what stands below it: interval or spread."""

    figure: str = _DASH
    below: str = ""


@dataclass(frozen=True)
class Grid:
    """One table.

    Attributes:
        title: heading.
        columns: heads of the columns after the row's name.
        sections: name of each section and its rows, name and cells.
    """

    title: str
    columns: tuple[str, ...]
    sections: tuple[tuple[str, tuple[tuple[str, tuple[Cell, ...]], ...]], ...]


def grids(comparison: Comparison) -> list[Grid]:
    """Return the tables of a comparison, in the order to print them."""
    real = [note.set for note in comparison.sets if _is_real(comparison, note)]
    noisy = [note for note in comparison.sets if note.set not in real]
    tables = [_score_grid(comparison, note, real) for note in noisy]
    if not noisy and real:
        notes = [note for note in comparison.sets if note.set in real]
        tables.append(_score_grid(comparison, notes[0], real))
    tables += [_agreement_grid(comparison, note) for note in noisy]
    tables += [_difference_grid(comparison, name) for name in [*(n.set for n in noisy), *real]]
    tables.append(_cost_grid(comparison))
    return [grid for grid in tables if grid.sections]


def text_table(comparison: Comparison) -> str:
    """Return the tables as aligned text; intervals stand below the figures."""
    return "\n".join(line for grid in grids(comparison) for line in _text(grid))


def markdown_table(comparison: Comparison) -> str:
    """Return the tables as Markdown; intervals stand behind the figures."""
    return "\n".join(line for grid in grids(comparison) for line in _markdown(grid))


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
    return (
        f"{note.set}{recipe}: {note.n_clips:,} clips of {note.n_clusters:,} artists, "
        f"{note.n_tags} tags ({note.n_left_out} left out); {note.level:.0%} intervals from "
        f"{note.n_draws:,} draws over artists, ± is the standard deviation over seeds"
    )


def _is_real(comparison: Comparison, note: SetNote) -> bool:
    return any(entry.set == note.set and entry.column == REAL for entry in comparison.entries)


def _columns(comparison: Comparison, set_name: str, metric: str) -> list[str]:
    columns = dict.fromkeys(
        entry.column
        for entry in comparison.entries
        if (entry.set, entry.metric) == (set_name, metric) and entry.column != REAL
    )
    snrs = sorted((c for c in columns if c not in ("clean", NOISY_MEAN)), key=float, reverse=True)
    edge = [c for c in ("clean",) if c in columns], [c for c in (NOISY_MEAN,) if c in columns]
    return [*edge[0], *snrs, *edge[1]]


def _score_grid(comparison: Comparison, note: SetNote, real: Sequence[str]) -> Grid:
    found = {(e.row, e.set, e.column, e.metric): e for e in comparison.entries}
    columns = _columns(comparison, note.set, "auc")
    places = [(note.set, column) for column in columns] + [(name, REAL) for name in real]
    sections = []
    for metric, title in _SCORES.items():
        rows = [
            (row, tuple(_cell(found.get((row, *place, metric))) for place in places))
            for row in comparison.rows
        ]
        if kept := _filled(rows):
            sections.append((title, kept))
    heads = tuple(_head(column) for column in columns) + tuple(real)
    return Grid(set_line(note), heads, tuple(sections))


def _agreement_grid(comparison: Comparison, note: SetNote) -> Grid:
    found = {(e.row, e.set, e.column, e.metric): e for e in comparison.entries}
    columns = _columns(comparison, note.set, "tag_change") or _columns(
        comparison, note.set, "probe_auc"
    )
    sections = []
    for metric, title in _AGREEMENT.items():
        rows = [
            (row, tuple(_cell(found.get((row, note.set, c, metric))) for c in columns))
            for row in comparison.rows
        ]
        if kept := _filled(rows):
            sections.append((title, kept))
    title = f"{note.set}: agreement of noisy clips with their clean versions"
    return Grid(title, tuple(_head(column) for column in columns), tuple(sections))


def _difference_grid(comparison: Comparison, set_name: str) -> Grid:
    pairs = [pair for pair in comparison.differences if pair.set == set_name]
    if not pairs:
        return Grid(set_name, (), ())
    sections = tuple(
        (
            title,
            tuple(
                (pair.row, tuple(_difference(getattr(d, metric)) for d in pair.differences))
                for pair in pairs
            ),
        )
        for metric, title in _SCORES.items()
    )
    members = [difference.member for difference in pairs[0].differences]
    return Grid(
        f"{set_name}: paired difference to {pairs[0].reference} (* = interval without 0)",
        tuple(_head({AUDIO: REAL}.get(m, m.removeprefix("noisy.snr_"))) for m in members),
        sections,
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


def _filled(
    rows: Sequence[tuple[str, tuple[Cell, ...]]],
) -> tuple[tuple[str, tuple[Cell, ...]], ...]:
    """Return the rows that hold a figure at all."""
    return tuple((row, cells) for row, cells in rows if any(cell != Cell() for cell in cells))


def _head(column: str) -> str:
    return column if column[-1:].isalpha() else f"{column} dB"


def _cell(entry: Entry | None) -> Cell:
    if entry is None:
        return Cell()
    if entry.spread is not None:
        return Cell(f"{entry.value:.3f}", f"±{entry.spread:.3f}")
    return Cell(f"{entry.value:.3f}", _interval(entry.low, entry.high))


def _difference(figure: Figure) -> Cell:
    decided = figure.low is not None and figure.high is not None and figure.low * figure.high > 0
    text = f"{figure.value:+.3f}{'*' if decided else ''}"
    return Cell(text, _interval(figure.low, figure.high, signed=True))


def _interval(low: float | None, high: float | None, *, signed: bool = False) -> str:
    if low is None or high is None:
        return ""
    sign = "+" if signed else ""
    return f"[{low:{sign}.3f}, {high:{sign}.3f}]"


def _text(grid: Grid) -> Iterator[str]:
    rows = [row for _, section in grid.sections for row in section]
    first = max(len(name) for name, _ in rows)
    widths = [
        max(len(head), *(max(len(cells[n].figure), len(cells[n].below)) for _, cells in rows))
        for n, head in enumerate(grid.columns)
    ]

    def line(name: str, texts: Sequence[str]) -> str:
        aligned = [f"{text:>{width}}" for text, width in zip(texts, widths, strict=True)]
        return "  ".join([f"{name:<{first}}", *aligned]).rstrip()

    yield grid.title
    for title, section in grid.sections:
        yield ""
        yield title
        yield line("", grid.columns)
        for name, cells in section:
            yield line(name, [cell.figure for cell in cells])
            if any(cell.below for cell in cells):
                yield line("", [cell.below for cell in cells])
    yield ""


def _markdown(grid: Grid) -> Iterator[str]:
    def line(texts: Sequence[str]) -> str:
        return "| " + " | ".join(text.replace("|", "\\|") for text in texts) + " |"

    yield f"**{grid.title}**"
    for title, section in grid.sections:
        yield ""
        yield line([title, *grid.columns])
        yield line(["---", *("---:" for _ in grid.columns)])
        for name, cells in section:
            yield line([name, *(f"{cell.figure} {cell.below}".rstrip() for cell in cells)])
    yield ""
