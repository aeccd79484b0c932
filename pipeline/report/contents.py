"""All tables of a set in one place, checked against its index: what the report counts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from manifests import store
from manifests.errors import ManifestError
from manifests.keys import AUDIO, member_names
from manifests.records import parse_json
from manifests.rows import Reject
from manifests.shardset import EXAMPLES, REJECTS, TAGS, SetIndex, load_set
from manifests.tables import read_table
from pipeline.finish import ExampleRow
from pipeline.tag_vocabulary import TagVocabulary

Figures = NDArray[np.float64]


@dataclass(frozen=True)
class SetContents:
    """A finished set's tables.

    Attributes:
        url: path or URL of the set.
        index: its index.
        rows: ``examples.parquet``.
        rejects: ``rejects.parquet``; None where the set came without it.
        vocabulary: ``tags.json``; None where the set came without it.
    """

    url: str
    index: SetIndex
    rows: tuple[ExampleRow, ...]
    rejects: tuple[Reject, ...] | None
    vocabulary: TagVocabulary | None

    @property
    def has_noise(self) -> bool:
        """Whether the set holds clean and noisy members, not recordings as they are."""
        return bool(self.index.snrs_db)


def load_contents(url: str) -> SetContents:
    """Load index and tables of a finished set.

    Raises:
        ManifestError: no finished set, or a table that does not fit its index.
    """
    index = load_set(url).index
    rows = tuple(read_table(store.join(url, EXAMPLES), ExampleRow))
    _check_rows(url, index, rows)
    rejects_url, tags_url = store.join(url, REJECTS), store.join(url, TAGS)
    return SetContents(
        url=url,
        index=index,
        rows=rows,
        rejects=tuple(read_table(rejects_url, Reject)) if store.exists(rejects_url) else None,
        vocabulary=_vocabulary(tags_url) if store.exists(tags_url) else None,
    )


def _vocabulary(url: str) -> TagVocabulary:
    record = parse_json(store.read_bytes(url), url)
    if not isinstance(record, dict):
        raise ManifestError(f"{url}: expected an object, got {type(record).__name__}")
    return TagVocabulary.from_dict(record)


def _check_rows(url: str, index: SetIndex, rows: Sequence[ExampleRow]) -> None:
    listed = sum(shard.n_examples for shard in index.shards)
    if not rows or len(rows) != listed:
        raise ManifestError(
            f"{url}: {EXAMPLES}: expected {listed} examples by its index, got {len(rows)}; "
            "prep verify shows what differs"
        )
    members = set(member_names(index.snrs_db, bool(index.snrs_db)))
    for row in rows:
        _check_row(url, index, row, members)


def _check_row(url: str, index: SetIndex, row: ExampleRow, members: set[str]) -> None:
    name = f"{url}: {EXAMPLES}: {row.key}"
    n = len(members)
    noisy = 0 if members == {AUDIO} else n - 1
    lengths = [len(f) for f in (row.members, row.levels_db, row.peaks, row.targets_db)]
    if set(row.members) != members or [*lengths, len(row.achieved_db)] != [n, n, n, noisy, noisy]:
        raise ManifestError(f"{name}: expected figures of {sorted(members)}, got {row.members}")
    if set(row.targets_db) != set(index.snrs_db):
        raise ManifestError(
            f"{name}: expected targets {list(index.snrs_db)} dB by its index, got "
            f"{list(row.targets_db)}"
        )
    figures = (*row.levels_db, *row.peaks, *row.targets_db, *row.achieved_db, *row.chunk_snr_db)
    if not all(math.isfinite(value) for value in (*figures, row.duration_s, row.gain_db)):
        raise ManifestError(f"{name}: expected finite figures, got NaN or infinity")
    n_bytes = index.shards[row.shard].bytes if 0 <= row.shard < len(index.shards) else 0
    if not (row.offset >= 0 and row.n_bytes > 0 and row.offset + row.n_bytes <= n_bytes):
        raise ManifestError(
            f"{name}: expected a place inside one of {len(index.shards)} shards, got shard "
            f"{row.shard}, bytes {row.offset} to {row.offset + row.n_bytes}"
        )


def member_levels_db(rows: Sequence[ExampleRow], member: str) -> Figures:
    """Return the RMS of one member of every example, dBFS, ``(n_examples,)``."""
    return np.array([row.levels_db[row.members.index(member)] for row in rows])


def snr_errors_db(rows: Sequence[ExampleRow], target_db: float) -> Figures:
    """Return achieved minus target SNR of one noisy member of every example, dB."""
    return np.array([row.achieved_db[row.targets_db.index(target_db)] - target_db for row in rows])
