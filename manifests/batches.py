"""How many batches of different songs a rank surely gets: one rule for ``prep plan`` and ``train``.

k batches of B different songs exist exactly when sum_s min(c_s, k) >= k·B, c_s being the excerpts
of song s in the rank's range. A range holds at most the excerpts that the whole data hold, so
n - sum_s max(0, c_s - k) >= k·B over the whole data is enough, whatever range of n was drawn.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection


def full_batches(song_counts: Collection[int], n_examples: int, batch_size: int) -> int:
    """Return how many full batches of different songs any range of ``n_examples`` surely gives.

    Args:
        song_counts: excerpts of each song in the whole data.
        n_examples: length of the range, n.
        batch_size: B.

    Returns:
        The largest such k; 0 where there is none.
    """
    histogram = Counter(song_counts)
    for k in range(n_examples // batch_size, 0, -1):
        if n_examples - _excess(histogram, k) >= k * batch_size:
            return k
    return 0


def shortest_range(song_counts: Collection[int], batch_size: int) -> int:
    """Return the least ``n_examples`` for which ``full_batches`` is not 0."""
    histogram = Counter(song_counts)
    # With k beyond the largest count nothing is in excess, and k·B only grows.
    most = max(histogram, default=1)
    return min(_excess(histogram, k) + k * batch_size for k in range(1, most + 1))


def largest_batch(song_counts: Collection[int], n_examples: int) -> int:
    """Return the largest ``batch_size`` for which ``full_batches`` is not 0; 0 where none is."""
    histogram = Counter(song_counts)
    most = max(histogram, default=1)
    return max(0, *((n_examples - _excess(histogram, k)) // k for k in range(1, most + 1)))


def _excess(histogram: Counter[int], k: int) -> int:
    """Return the excerpts that k batches cannot hold: those of a song beyond its first k."""
    return sum(songs * max(0, count - k) for count, songs in histogram.items())
