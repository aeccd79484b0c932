"""Rows of the corpora's CSV and TSV files, read so that one bad row costs one row.

Every physical line is parsed by itself: in the official files no cell holds a line break, and a
stray quote would otherwise swallow the lines after it.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Sequence
from typing import Final, TypeVar

from manifests.errors import ManifestError
from manifests.rows import Reject
from pipeline.corpora.files import FileTree, base_name

T = TypeVar("T")
FETCH_AGAIN: Final = "fetch the file again"


class BadRowError(Exception):
    """A row cannot be used; becomes a reject, never leaves ``parsed_rows``."""

    def __init__(self, expected: str, found: str, *, clip_id: str = "") -> None:
        super().__init__(expected, found)
        self.expected = expected
        self.found = found
        self.clip_id = clip_id


def read_rows(text: str, *, delimiter: str, quoted: bool = True) -> Iterator[tuple[int, list[str]]]:
    """Yield (line number from 1, cells) of every line that is not blank.

    A line that the csv module refuses comes as one cell, hence as a row of the wrong length.

    Args:
        text: the whole file.
        delimiter: one character; white space after it is skipped where it is a comma.
        quoted: cells may stand in double quotes; otherwise a quote is an ordinary character.
    """
    for number, line in enumerate(text.split("\n"), start=1):
        row = line.rstrip("\r")
        if not row.strip():
            continue
        reader = csv.reader(
            [row],
            delimiter=delimiter,
            quoting=csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE,
            skipinitialspace=delimiter == ",",
        )
        try:
            yield number, next(reader)
        except csv.Error:
            yield number, [row]


def column_places(
    header: Sequence[str], wanted: Sequence[str], *, rel: str, advice: str = FETCH_AGAIN
) -> dict[str, int]:
    """Return the position of each wanted column by its name.

    Args:
        header: cells of the first row.
        wanted: names of columns.
        rel: path of the table.
        advice: what to do where one is not there.

    Raises:
        ManifestError: one is missing or named twice.
    """
    for name in wanted:
        if header.count(name) != 1:
            shown = ", ".join(header[:6])[:120] + (", …" if len(header) > 6 else "")
            raise ManifestError(
                f"{rel}: expected a header with one column {name}, got: {shown}; {advice}"
            )
    return {name: header.index(name) for name in wanted}


def header_row(
    rows: Iterator[tuple[int, list[str]]], *, rel: str, advice: str = FETCH_AGAIN
) -> list[str]:
    """Return the cells of the first row; raises ManifestError where the file is empty."""
    for _, cells in rows:
        return cells
    raise ManifestError(f"{rel}: expected a header and rows, got an empty file; {advice}")


def parsed_rows(
    corpus: str,
    rel: str,
    rows: Iterator[tuple[int, list[str]]],
    parse: Callable[[list[str]], T],
    rejects: list[Reject],
) -> Iterator[T]:
    """Yield the parsed rows; those for which ``parse`` raises BadRowError go to ``rejects``.

    Args:
        corpus: corpus name.
        rel: path of the table, which becomes the reject's path.
        rows: (line number, cells), without the header.
        parse: makes a value of a row's cells.
        rejects: list to add to; what was found is cut to 80 characters.
    """
    for line, cells in rows:
        try:
            value = parse(cells)
        except BadRowError as bad:
            detail = f"{rel} line {line}: expected {bad.expected}, got {bad.found[:80]}"
            rejects.append(Reject(corpus, bad.clip_id, rel, "metadata", "ragged", detail))
        else:
            yield value


def none_usable(
    corpus: str, what: str, rel: str, rejects: Sequence[Reject], *, advice: str = ""
) -> ManifestError:
    """Return the error for a table without one usable row, with what is wrong with the first."""
    details = [reject.detail for reject in rejects if reject.path == rel]
    first = f" ({len(details):,} malformed, the first: {details[0]})" if details else ""
    do = f"; {advice}" if advice else ""
    return ManifestError(f"{corpus}: expected {what} in {rel}, got none usable{first}{do}")


def check_length(cells: Sequence[str], header: Sequence[str]) -> None:
    """Raise BadRowError where a row is not as long as the header."""
    if len(cells) != len(header):
        raise BadRowError(f"{len(header)} columns", str(len(cells)))


def one_line(layout: str) -> str:
    """Return a multi-line layout as one line, for error messages."""
    return "; ".join(" ".join(line.split()) for line in layout.strip().splitlines())


def require_file(tree: FileTree, candidates: Sequence[str], *, corpus: str, layout: str) -> str:
    """Return the first of the candidate paths that is there; raises ManifestError."""
    for rel in candidates:
        if tree.exists(rel):
            return rel
    raise missing_file(tree, candidates, corpus=corpus, layout=layout)


def missing_file(
    tree: FileTree, candidates: Sequence[str], *, corpus: str, layout: str
) -> ManifestError:
    """Return the error for a table that is in none of its places.

    One line: what was looked for, where, and the layout, and the place where a file of that name
    does lie.
    """
    name = base_name(candidates[0])
    elsewhere = next((path for path in tree.paths if base_name(path) == name), "")
    hint = f"; {elsewhere} is there: name the folder that the layout starts at" if elsewhere else ""
    return ManifestError(
        f"{corpus}: expected {' or '.join(candidates)} in {tree.root}, got no such file{hint}; "
        f"the folder should hold: {one_line(layout)}; metadata elsewhere: --metadata {corpus}=DIR"
    )
