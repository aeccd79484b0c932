"""Tables of row dataclasses as Parquet or CSV: the only module that imports pandas and pyarrow.

A misspelt or missing column fails here, at the border, and names itself.
"""

from __future__ import annotations

import csv
import dataclasses
import io
import itertools
import types
import typing
from collections.abc import Iterable
from typing import Any, Final, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from manifests import store
from manifests.errors import ManifestError
from manifests.records import row_builder

Row = TypeVar("Row")
_BATCH_ROWS: Final = 1000

_PLAIN: dict[Any, pa.DataType] = {
    str: pa.string(),
    int: pa.int64(),
    float: pa.float64(),
    bool: pa.bool_(),
    bytes: pa.binary(),
}


def arrow_type(annotation: Any) -> pa.DataType:
    """Return the Arrow type of a field's annotation; nested dataclasses become structs.

    Raises:
        TypeError: the annotation has no Arrow counterpart.
    """
    if annotation in _PLAIN:
        return _PLAIN[annotation]
    if dataclasses.is_dataclass(annotation):
        hints = typing.get_type_hints(annotation)
        names = [field.name for field in dataclasses.fields(annotation)]
        return pa.struct([(name, arrow_type(hints[name])) for name in names])
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is tuple and arguments[1:] == (Ellipsis,):
        return pa.list_(arrow_type(arguments[0]))
    if origin in (typing.Union, types.UnionType):
        (kept,) = [a for a in arguments if a is not type(None)]
        return arrow_type(kept)
    raise TypeError(f"no column type for {annotation}")


def table_schema(row_type: type) -> pa.Schema:
    """Return the Arrow schema of a row dataclass."""
    hints = typing.get_type_hints(row_type)
    return pa.schema([(f.name, arrow_type(hints[f.name])) for f in dataclasses.fields(row_type)])


def to_arrow(rows: Iterable[Any], row_type: type) -> pa.Table:
    """Return rows as an Arrow table.

    A thousand at a time: a row as a dictionary takes ten times what it takes in a column. The
    columns are joined, so that the bytes of a Parquet file do not depend on the size of a batch.
    """
    schema, left = table_schema(row_type), iter(rows)
    batches = []
    while records := [dataclasses.asdict(row) for row in itertools.islice(left, _BATCH_ROWS)]:
        batches.append(pa.RecordBatch.from_pylist(records, schema=schema))
    return pa.Table.from_batches(batches, schema=schema).combine_chunks()


def write_table(url: str, rows: Iterable[Any], row_type: type) -> None:
    """Write rows as Parquet, or as CSV where the name ends in ``.csv``; atomically.

    Rows of Parquet may come one after the other: only their columns are held. CSV holds lists
    joined by ``;`` and leaves out byte columns; cells that a spreadsheet would take for a formula
    get a leading apostrophe.
    """
    buffer = io.BytesIO()
    if url.endswith(".csv"):
        buffer.write(_csv(rows, row_type).encode())
    else:
        pq.write_table(to_arrow(rows, row_type), buffer, compression="zstd")
    store.write_bytes(url, buffer.getvalue())


def _csv(rows: Iterable[Any], row_type: type) -> str:
    import pandas as pd

    names = [f.name for f in dataclasses.fields(row_type) if not isinstance(f.default, bytes)]
    records = [{name: _cell(getattr(row, name)) for name in names} for row in rows]
    frame = pd.DataFrame(records, columns=names)
    text: str = frame.to_csv(index=False)
    if "\r" in text:  # left bare, a spreadsheet would begin a row, and so a cell, behind it
        text = frame.to_csv(index=False, quoting=csv.QUOTE_NONNUMERIC)
    return text


def _cell(value: Any) -> Any:
    if isinstance(value, tuple):
        value = ";".join(str(item) for item in value)
    if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r", "\n"):
        return "'" + value
    return value


def read_table(url: str, row_type: type[Row]) -> list[Row]:
    """Read Parquet rows back as dataclasses.

    Raises:
        ManifestError: not a Parquet file, or its columns are not the row type's.
    """
    try:
        # No threads: those of a table that turns out broken may outlive the interpreter.
        file = pq.ParquetFile(io.BytesIO(store.read_bytes(url)))
        table = file.read(use_threads=False)
        records = table.to_pylist()
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise ManifestError(f"{url}: expected a Parquet table: {error}") from error
    expected = table_schema(row_type)
    if table.schema.remove_metadata() != expected:
        wrong = [
            f"{field.name}: {field.type}"
            for field in expected
            if table.schema.get_field_index(field.name) < 0
            or table.schema.field(field.name).type != field.type
        ]
        raise ManifestError(
            f"{url}: expected the columns of {row_type.__name__}, missing or of another type: "
            f"{', '.join(wrong) or 'none, but there are others'}"
        )
    build = row_builder(row_type)
    return [build(record) for record in records]
