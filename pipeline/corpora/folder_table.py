"""The table of a user's folder: a CSV file with a header, as spreadsheets write it.

Columns ``path,split,tags,song,artist,licence``, of which only ``path`` must be there, separated by
comma, semicolon or TAB; tags are separated by ``;`` or ``|``. Other than in the official tables, a
quoted cell may hold line breaks.
"""

from __future__ import annotations

import csv
import posixpath
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from manifests.rows import ANY_SPLIT, SPLITS, Reject
from pipeline.corpora.checked_in import composed
from pipeline.corpora.licences import spdx
from pipeline.corpora.metadata_rows import (
    BadRowError,
    check_length,
    column_places,
    header_row,
    none_usable,
    parsed_rows,
)

COLUMNS: Final = ("path", "split", "tags", "song", "artist", "licence")
HEADER_ADVICE: Final = f"the first line should name columns of {','.join(COLUMNS)}"
SPLIT_NAMES: Final = {
    **{split: split for split in ("", *SPLITS, ANY_SPLIT)},
    "val": "valid",
    "validation": "valid",
}
"""Splits by what a table may call them, in lower case."""
LINES_OF_A_CELL: Final = 20
"""A quote that is not closed so soon is a stray one, and costs its own line alone."""


@dataclass(frozen=True)
class TableRow:
    """What a table says of one file; empty where it says nothing."""

    path: str
    split: str = ""
    tags: tuple[str, ...] = ()
    song: str = ""
    artist: str = ""
    licence: str = ""


def read_table(
    corpus: str, name: str, text: str, rejects: list[Reject], notes: list[str]
) -> list[TableRow]:
    """Return the rows of a table.

    Args:
        corpus: corpus name, for messages.
        name: file name of the table.
        text: what is in it.
        rejects: list to add malformed rows to.
        notes: list to add a line on unknown columns to.

    Raises:
        ManifestError: no column ``path``, or no usable row.
    """
    lines = _rows(text, _delimiter(text))
    header = [cell.strip().lower() for cell in header_row(lines, rel=name, advice=HEADER_ADVICE)]
    column_places(header, ("path",), rel=name, advice=HEADER_ADVICE)
    if unknown := [cell for cell in header if cell not in COLUMNS]:
        notes.append(f"{name}: columns passed over: {', '.join(unknown)}")

    def parse(cells: list[str]) -> TableRow:
        check_length(cells, header)
        row = {column: cell.strip() for column, cell in zip(header, cells, strict=True)}
        return _parsed(row)

    rows = list(parsed_rows(corpus, name, lines, parse, rejects))
    if not rows:
        raise none_usable(corpus, "rows", name, rejects)
    return rows


def _parsed(row: dict[str, str]) -> TableRow:
    path = plain_path(posixpath.normpath(row["path"].replace("\\", "/")))
    if not row["path"] or path.startswith(("/", "../")) or path in (".", ".."):
        raise BadRowError("a path below the folder", repr(row["path"]))
    said = row.get("split", "")
    split = SPLIT_NAMES.get(said.lower())
    if split is None:
        allowed = ", ".join((*SPLITS, ANY_SPLIT))
        raise BadRowError(f"a split, one of {allowed}", repr(said), clip_id=path)
    tags, song, artist, licence = (
        re.sub(r"\s*\n\s*", " ", row.get(column, "")) for column in COLUMNS[2:]
    )
    names = {tag.strip() for tag in re.split("[;|]", composed(tags))} - {""}
    return TableRow(path, split, tuple(sorted(names)), song, artist, spdx(licence) or licence)


def plain_path(path: str) -> str:
    """Return a path as tables and disks agree on it: macOS writes é as e and an accent."""
    return composed(path).replace("\\", "/")


def _delimiter(text: str) -> str:
    """Return the separator with which the first line has a column ``path``; a comma where none."""
    first = next((line for line in text.split("\n") if line.strip()), "")
    for delimiter in ",;\t":
        cells, _ = _first_row([first], delimiter, 0)
        if "path" in [cell.strip().lower() for cell in cells]:
            return delimiter
    return ","


def _rows(text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Yield (number of its first line from 1, cells) of every row that is not blank.

    What the csv module refuses, and a quote that stays open, comes as one cell, hence as a row of
    the wrong length.
    """
    lines = text.split("\n")
    width, at = 0, 0
    while at < len(lines):
        taken = 1
        if lines[at].strip():
            cells, taken = _first_row(lines[at : at + LINES_OF_A_CELL], delimiter, width)
            width = width or len(cells)
            yield at + 1, cells
        at += taken


def _first_row(lines: Sequence[str], delimiter: str, width: int) -> tuple[list[str], int]:
    """Return the cells of the row that begins with the first line, and how many lines it takes."""
    row = lines[0].rstrip("\r")
    for taken in range(1, len(lines) + 1):
        joined = "\n".join(lines[:taken]).rstrip("\r")
        try:
            cells = _cells(joined, delimiter, strict=True)
        except csv.Error as error:
            if "unexpected end of data" in str(error):
                continue  # a quote is open: its cell may go on in the next line
            return (_loosely(row, delimiter) if taken == 1 else [row]), 1
        return (cells, taken) if taken == 1 or len(cells) == width else ([row], 1)
    return [row], 1


def _loosely(row: str, delimiter: str) -> list[str]:
    try:
        return _cells(row, delimiter, strict=False)
    except csv.Error:
        return [row]


def _cells(row: str, delimiter: str, *, strict: bool) -> list[str]:
    reader = csv.reader([row], delimiter=delimiter, skipinitialspace=True, strict=strict)
    return next(reader)
