"""Per-example scores as Parquet: one row per clip and member, one column per tag.

Wide on purpose: ``pandas.read_parquet`` and ``frame[frame.member == "clean"]["score.guitar"]`` is
all that a reader needs. Besides ``manifests.tables`` the only module that imports pyarrow, because
its columns depend on the set's vocabulary.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from manifests.errors import ManifestError
from manifests.keys import check_key
from trainer.evaluation.clip_scores import ScoreTable

SCORE: Final = "score."
_TEXTS: Final = ("key", "cluster", "member")


def table_schema(tags: Sequence[str]) -> pa.Schema:
    """Return the columns: key, cluster, member, tags, and ``score.TAG`` per tag."""
    return pa.schema(
        [(name, pa.string()) for name in _TEXTS]
        + [("tags", pa.list_(pa.string()))]
        + [(SCORE + tag, pa.float64()) for tag in tags]
    )


def encode_scores(table: ScoreTable) -> bytes:
    """Return the Parquet file of a score table, members one after another."""
    carried = [
        [tag for tag, has in zip(table.tags, row, strict=True) if has] for row in table.labels
    ]
    members = list(table.scores)
    scores = np.concatenate([table.scores[member] for member in members])
    columns: list[Any] = [
        list(table.keys) * len(members),
        list(table.clusters) * len(members),
        [member for member in members for _ in table.keys],
        carried * len(members),
        *(np.ascontiguousarray(scores[:, column]) for column in range(len(table.tags))),
    ]
    schema = table_schema(table.tags)
    arrays = [
        pa.array(values, type=field.type) for values, field in zip(columns, schema, strict=True)
    ]
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_arrays(arrays, schema=schema), buffer, compression="zstd")
    return buffer.getvalue()


def decode_scores(
    data: bytes, name: str, tags: Sequence[str], members: Sequence[str], n_clips: int
) -> ScoreTable:
    """Read a score table back, strictly.

    Args:
        data: the Parquet file.
        name: for messages.
        tags: the vocabulary expected.
        members: the members expected, in order.
        n_clips: the number of clips expected.

    Raises:
        ManifestError: not Parquet, other columns or rows, a null, a score outside [0, 1], a key
            that is illegal or stands twice, or members that disagree about clips.
    """
    try:
        file = pq.ParquetFile(io.BytesIO(data))
        if file.metadata.num_rows != n_clips * len(members):
            raise ManifestError(
                f"{name}: expected {n_clips} clips × {len(members)} members, got "
                f"{file.metadata.num_rows} rows; evaluate again"
            )
        if file.schema_arrow.remove_metadata() != table_schema(tags):
            raise ManifestError(
                f"{name}: expected columns {', '.join(_TEXTS)}, tags and a score per tag of the "
                "score file, got others; evaluate again"
            )
        table = file.read()
    except (pa.ArrowException, OSError) as error:
        raise ManifestError(f"{name}: expected a Parquet table: {error}") from error
    if any(column.null_count for column in table.columns):
        raise ManifestError(f"{name}: expected values in every cell, got nulls; evaluate again")
    return _table(table, name, tuple(tags), tuple(members), n_clips)


def _table(
    table: pa.Table, name: str, tags: tuple[str, ...], members: tuple[str, ...], n_clips: int
) -> ScoreTable:
    rows = list(
        zip(*(table.column(column).to_pylist() for column in ("key", "cluster")), strict=True)
    )
    carried = table.column("tags").to_pylist()
    first, first_tags = rows[:n_clips], carried[:n_clips]
    said = [member for member in members for _ in range(n_clips)]
    if (
        table.column("member").to_pylist() != said
        or rows != first * len(members)
        or carried != first_tags * len(members)
    ):
        raise ManifestError(f"{name}: expected the same clips for {members}; evaluate again")
    keys = tuple(check_key(key) for key, _ in first)
    if len(set(keys)) != n_clips:
        raise ManifestError(f"{name}: expected each key once, got some twice; evaluate again")
    scores = np.empty((len(rows), len(tags)))
    for column, tag in enumerate(tags):
        scores[:, column] = table.column(SCORE + tag).to_numpy()
    if not ((scores >= 0) & (scores <= 1)).all():
        raise ManifestError(f"{name}: expected scores in [0, 1], got others; evaluate again")
    labels = np.zeros((n_clips, len(tags)), dtype=np.bool_)
    place = {tag: column for column, tag in enumerate(tags)}
    for row, names in enumerate(first_tags):
        unknown = [tag for tag in names if tag not in place]
        if unknown:
            raise ManifestError(f"{name}: {keys[row]}: expected tags of the set, got {unknown}")
        labels[row, [place[tag] for tag in names]] = True
    return ScoreTable(
        keys=keys,
        clusters=tuple(cluster for _, cluster in first),
        tags=tags,
        labels=labels,
        scores={
            member: scores[number * n_clips : (number + 1) * n_clips]
            for number, member in enumerate(members)
        },
    )
