"""How many batches of different songs the ranks get: one rule for ``prep plan`` and ``train``.

k batches of B different songs on each of R ranks exist exactly when sum_s min(c_s, k·R) >= k·R·B,
c_s being the excerpts of song s in all the data: of each song every batch of every rank may hold
one. ``trainer.data.order`` makes them, so a half is refused for nothing else.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection


def full_batches(song_counts: Collection[int], batch_size: int, ranks: int = 1) -> int:
    """Return how many full batches of different songs every rank can have.

    Args:
        song_counts: excerpts of each song.
        batch_size: B.
        ranks: R.

    Returns:
        The largest such k; 0 where there is none.
    """
    histogram = Counter(song_counts)
    for k in range(sum(song_counts) // (batch_size * ranks), 0, -1):
        if _fills(histogram, batch_size, k * ranks):
            return k
    return 0


def fills(song_counts: Collection[int], batch_size: int, n_batches: int) -> bool:
    """Tell whether excerpts of so many songs hold k batches of B different songs."""
    return _fills(Counter(song_counts), batch_size, n_batches)


def largest_batch(song_counts: Collection[int], ranks: int = 1) -> int:
    """Return the largest ``batch_size`` for which ``full_batches`` is not 0; 0 where none is."""
    return _held(Counter(song_counts), ranks) // ranks


def most_ranks(song_counts: Collection[int], batch_size: int) -> int:
    """Return the largest ``ranks`` for which ``full_batches`` is not 0; 0 where none is."""
    return full_batches(song_counts, batch_size)


def _fills(histogram: Counter[int], batch_size: int, batches: int) -> bool:
    return _held(histogram, batches) >= batches * batch_size


def _held(histogram: Counter[int], batches: int) -> int:
    """Return the excerpts that so many batches can hold of all songs."""
    return sum(songs * min(count, batches) for count, songs in histogram.items())
