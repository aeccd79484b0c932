"""A table of cells, as aligned text and as Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from trainer.bootstrap import Figure
from trainer.compare_cells import Entry, column_snr_db

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
        below: lines below the heading, on columns of other sets.
    """

    title: str
    columns: tuple[str, ...]
    sections: tuple[tuple[str, tuple[tuple[str, tuple[Cell, ...]], ...]], ...]
    below: tuple[str, ...] = ()


def filled(
    rows: Sequence[tuple[str, tuple[Cell, ...]]],
) -> tuple[tuple[str, tuple[Cell, ...]], ...]:
    """Return the rows that hold a figure at all."""
    return tuple((row, cells) for row, cells in rows if any(cell != Cell() for cell in cells))


def head(column: str) -> str:
    """Return the head of a column; SNRs get their unit."""
    return column if column_snr_db(column) is None else f"{column} dB"


def score_cell(entry: Entry | None) -> Cell:
    """Return a score with its interval or spread; a dash where there is none."""
    if entry is None:
        return Cell()
    if entry.spread is not None:
        return Cell(f"{entry.value:.3f}", f"±{entry.spread:.3f}")
    return Cell(f"{entry.value:.3f}", _interval(entry.low, entry.high))


def change_cell(figure: Figure) -> Cell:
    """Return a difference with its interval, marked where that holds no 0."""
    decided = figure.low is not None and figure.high is not None and figure.low * figure.high > 0
    text = f"{figure.value:+.3f}{'*' if decided else ''}"
    return Cell(text, _interval(figure.low, figure.high, signed=True))


def _interval(low: float | None, high: float | None, *, signed: bool = False) -> str:
    if low is None or high is None:
        return ""
    sign = "+" if signed else ""
    return f"[{low:{sign}.3f}, {high:{sign}.3f}]"


def text_lines(grid: Grid) -> Iterator[str]:
    """Yield a table as aligned text; intervals stand below the figures."""
    rows = [row for _, section in grid.sections for row in section]
    first = max(len(name) for name, _ in rows)
    widths = [
        max(len(head), *(max(len(cells[n].figure), len(cells[n].below)) for _, cells in rows))
        for n, head in enumerate(grid.columns)
    ]

    def line(name: str, texts: Sequence[str]) -> str:
        aligned = [f"{text:>{width}}" for text, width in zip(texts, widths, strict=True)]
        return "  ".join([f"{name:<{first}}", *aligned]).rstrip()

    yield from (grid.title, *grid.below)
    for title, section in grid.sections:
        yield ""
        yield title
        yield line("", grid.columns)
        for name, cells in section:
            yield line(name, [cell.figure for cell in cells])
            if any(cell.below for cell in cells):
                yield line("", [cell.below for cell in cells])
    yield ""


def markdown_lines(grid: Grid) -> Iterator[str]:
    """Yield a table as Markdown; intervals stand behind the figures."""

    def line(texts: Sequence[str]) -> str:
        return "| " + " | ".join(text.replace("|", "\\|") for text in texts) + " |"

    yield f"**{grid.title}**"
    for said in grid.below:
        yield from ("", said)
    for title, section in grid.sections:
        yield ""
        yield line([title, *grid.columns])
        yield line(["---", *("---:" for _ in grid.columns)])
        for name, cells in section:
            yield line([name, *(f"{cell.figure} {cell.below}".rstrip() for cell in cells)])
    yield ""
