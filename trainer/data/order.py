"""The order of the examples in a pass over the data, and each rank's range of it.

webdataset's own shuffling repeats one shard order every epoch and splits by rank *before* it
shuffles, so that a rank sees the same shards for ever (measured on 1.0.2). Here the whole list of
shards is shuffled from (seed, pass) first; then the examples in that order are cut into equal
ranges, one per rank, which may begin inside a shard; then each range is shuffled in windows, so
that a rank reads near one place of the disk at a time. In a pass whose ranges hold too many
excerpts of one song for full batches, songs are dealt over the ranks instead.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from manifests.canonical import hash64
from trainer.data.index import ExampleRef


def by_shard(refs: Sequence[ExampleRef]) -> list[list[int]]:
    """Group the indices of examples by shard, both in the order given."""
    shards: dict[tuple[str, str], list[int]] = {}
    for position, ref in enumerate(refs):
        shards.setdefault((ref.set_url, ref.shard), []).append(position)
    return list(shards.values())


def epoch_order(shards: Sequence[Sequence[int]], seed: int, pass_number: int) -> list[int]:
    """Return all examples of a pass, shard by shard, the shards shuffled from (seed, pass).

    Args:
        shards: the examples of each shard, as ``by_shard`` returns them.
        seed: seed of the run.
        pass_number: from 0.
    """
    rng = np.random.default_rng(hash64(seed, "shards", pass_number))
    return [example for shard in rng.permutation(len(shards)) for example in shards[shard]]


def rank_ranges(n_examples: int, world_size: int) -> tuple[list[range], int]:
    """Cut positions into equal ranges, one per rank.

    Returns:
        The ranges, and how many positions at the end are left over: at most ``world_size - 1``.
    """
    each = n_examples // world_size
    ranges = [range(rank * each, (rank + 1) * each) for rank in range(world_size)]
    return ranges, n_examples - each * world_size


def shuffle_in_windows(order: Sequence[int], window: int, rng: np.random.Generator) -> list[int]:
    """Shuffle each window of consecutive examples; the windows stay where they are."""
    shuffled = list[int]()
    for start in range(0, len(order), window):
        piece = order[start : start + window]
        shuffled.extend(piece[place] for place in rng.permutation(len(piece)))
    return shuffled


def rank_orders(
    shards: Sequence[Sequence[int]], world_size: int, window: int, seed: int, pass_number: int
) -> list[list[int]]:
    """Return the shuffled examples of every rank in a pass, the same length for each."""
    order = epoch_order(shards, seed, pass_number)
    ranges, _ = rank_ranges(len(order), world_size)
    pieces = [order[span.start : span.stop] for span in ranges]
    return _shuffled(pieces, window, seed, pass_number)


def dealt_orders(
    shards: Sequence[Sequence[int]],
    world_size: int,
    window: int,
    seed: int,
    pass_number: int,
    *,
    songs: Sequence[str],
    n_batches: int,
) -> list[list[int]]:
    """Return the shuffled examples of every rank where each song is dealt evenly over the ranks.

    The first k·R excerpts of every song, k on a rank at most, are dealt before the others, so that
    every rank holds k batches of different songs wherever ``manifests.batches`` finds them. Ranks
    then read from all shards, each in the pass' order; lengths differ by one example at most.

    Args:
        shards: as for ``rank_orders``, and so the four after it.
        world_size: R.
        window: examples that are shuffled together.
        seed: seed of the run.
        pass_number: from 0.
        songs: song of every example.
        n_batches: k.
    """
    order = epoch_order(shards, seed, pass_number)
    by_song: dict[str, list[int]] = {}
    for place, example in enumerate(order):
        by_song.setdefault(songs[example], []).append(place)
    most = n_batches * world_size
    useful = [place for places in by_song.values() for place in places[:most]]
    others = [place for places in by_song.values() for place in places[most:]]
    dealt = [*useful, *others]
    pieces = [[order[p] for p in sorted(dealt[rank::world_size])] for rank in range(world_size)]
    return _shuffled(pieces, window, seed, pass_number)


def _shuffled(
    pieces: Sequence[Sequence[int]], window: int, seed: int, pass_number: int
) -> list[list[int]]:
    """Shuffle the examples of every rank in windows, by draws of its own."""
    return [
        shuffle_in_windows(
            piece, window, np.random.default_rng(hash64(seed, "window", pass_number, rank))
        )
        for rank, piece in enumerate(pieces)
    ]
