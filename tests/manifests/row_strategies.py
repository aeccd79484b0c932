"""Hypothesis strategies for the row types, from their annotations."""

from __future__ import annotations

import dataclasses
import types
import typing
from typing import Any

from hypothesis import strategies as st

from manifests.example import Example
from manifests.rows import Clip, MusicSpan, NoiseSpan, PlanRow, Reject
from manifests.shard import ShardEntry, ShardSidecar
from manifests.shardset import SetIndex, ShardInfo

TABLE_ROWS = (Clip, Reject, MusicSpan, NoiseSpan, PlanRow)
"""Rows that go through Parquet."""
JSON_ROWS = (
    Reject, MusicSpan, NoiseSpan, PlanRow, Example, ShardEntry, ShardSidecar, ShardInfo, SetIndex
)  # fmt: skip
"""Rows that go through JSON: all without columns of bytes."""

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
PLAIN: dict[Any, st.SearchStrategy[Any]] = {
    str: TEXT,
    int: st.integers(-(2**63), 2**63 - 1),
    float: st.floats(allow_nan=False, allow_infinity=False),
    bool: st.booleans(),
    bytes: st.binary(max_size=20),
    Any: st.none() | TEXT | st.integers(-(2**53), 2**53) | st.lists(TEXT, max_size=2),
}


def values(annotation: Any) -> st.SearchStrategy[Any]:
    """Values of an annotation."""
    if annotation in PLAIN:
        return PLAIN[annotation]
    if dataclasses.is_dataclass(annotation):
        return rows(typing.cast(type, annotation))
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is tuple:
        return st.lists(values(arguments[0]), max_size=3).map(tuple)
    if origin is dict:
        return st.dictionaries(TEXT, values(arguments[1]), max_size=3)
    assert origin in (typing.Union, types.UnionType)
    return st.one_of(*(st.none() if a is type(None) else values(a) for a in arguments))


def rows(row_type: type) -> st.SearchStrategy[Any]:
    """Rows of a dataclass with any values of the right types."""
    hints = typing.get_type_hints(row_type)
    return st.builds(
        row_type,
        **{field.name: values(hints[field.name]) for field in dataclasses.fields(row_type)},
    )
