"""A bounded sample of a set: drawn by hash, read by byte range."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from manifests import store
from manifests.canonical import hash64
from manifests.errors import ManifestError
from manifests.example import Example, decode_members
from manifests.shard import iter_examples
from manifests.shardset import SetIndex
from manifests.signal import Pcm
from pipeline.finish import ExampleRow


@dataclass(frozen=True)
class Place:
    """Where one example lies: shard file and byte range."""

    key: str
    file: str
    offset: int
    n_bytes: int


def place(row: ExampleRow, index: SetIndex) -> Place:
    """Return the place of an example."""
    return Place(row.key, index.shards[row.shard].file, row.offset, row.n_bytes)


def draw(rows: Sequence[ExampleRow], count: int, purpose: str) -> list[ExampleRow]:
    """Return the ``count`` examples with the smallest hashes, in the order they are stored.

    The same set always gives the same sample; ``purpose`` keeps samples for different ends apart.
    """
    drawn = sorted(rows, key=lambda row: hash64("report", purpose, row.key))[:count]
    return sorted(drawn, key=lambda row: (row.shard, row.offset))


def draw_songs(rows: Sequence[ExampleRow], count: int, purpose: str) -> list[ExampleRow]:
    """Return examples as ``draw`` does, but of different songs as far as there are so many."""
    songs: set[tuple[str, str]] = set()
    first: list[ExampleRow] = []
    later: list[ExampleRow] = []
    for row in sorted(rows, key=lambda row: hash64("report", purpose, row.key)):
        song = (row.corpus, row.song)
        (later if song in songs else first).append(row)
        songs.add(song)
    return [*first, *later][:count]


def read_example(url: str, where: Place) -> tuple[Example, dict[str, Pcm]]:
    """Read and decode one example by its byte range.

    Returns:
        Its sidecar, and samples by member name, int16 at 22,050 Hz.

    Raises:
        ManifestError: the shard is cut short or changed: the range holds something else.
    """
    name = f"{where.file}: {where.key}"
    with store.open_read(store.join(url, where.file)) as file:
        file.seek(where.offset)
        data = file.read(where.n_bytes)
    found = list(_examples(data, name))
    if [key for key, _ in found] != [where.key]:
        raise ManifestError(
            f"{name}: expected this example alone at bytes {where.offset} to "
            f"{where.offset + where.n_bytes}, got {[key for key, _ in found]}; prep verify shows "
            "what differs"
        )
    return decode_members(found[0][1], name)


def _examples(data: bytes, name: str) -> Iterator[tuple[str, dict[str, bytes]]]:
    if data:
        yield from iter_examples(io.BytesIO(data), name)
