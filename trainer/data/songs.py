"""Cut an order of examples into batches without two excerpts of one song.

Two excerpts of one recording in a contrastive batch are a false negative, and in any batch they
count one song twice.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Collection, Sequence
from typing import Final

LOOK_AHEAD_BATCHES: Final = 8
"""How far ahead, in batches, a rank looks for songs that no *other* rank has in this step."""


def full_batches(song_counts: Collection[int], n_examples: int, batch_size: int) -> int:
    """Return how many full batches of distinct songs any range of ``n_examples`` surely gives.

    k batches of B distinct songs exist exactly when sum_s min(c_s, k) >= k·B, c_s being the
    excerpts of song s in the range. A range holds at most the excerpts that the whole data hold,
    so n - sum_s max(0, c_s - k) >= k·B over the whole data is enough, whatever range was drawn.

    Args:
        song_counts: excerpts of each song in the whole data.
        n_examples: length of the range.
        batch_size: B.

    Returns:
        The largest such k; 0 where there is none.
    """
    histogram = Counter(song_counts)
    for k in range(n_examples // batch_size, 0, -1):
        excess = sum(songs * max(0, count - k) for count, songs in histogram.items())
        if n_examples - excess >= k * batch_size:
            return k
    return 0


def song_batches(
    orders: Sequence[Sequence[int]], songs: Sequence[str], batch_size: int, n_batches: int
) -> list[list[list[int]]]:
    """Cut every rank's order into batches without two excerpts of one song.

    A batch takes the next examples whose songs it does not hold yet. A song with as many excerpts
    left as there are batches to come is taken at once: by that rule, k batches come out whenever
    they exist (see ``full_batches``), for each batch lowers sum_s min(c_s, k) by exactly B. Among
    the next few batches' worth, songs that another rank has in the same step are passed over, so
    that negatives gathered over ranks are other songs too.

    Args:
        orders: examples of each rank, in order.
        songs: song of every example.
        batch_size: B.
        n_batches: k, at most ``full_batches``.

    Returns:
        By rank and batch, the B examples.
    """
    queues = [deque(order) for order in orders]
    left = [Counter(songs[example] for example in order) for order in orders]
    most = [max(counts.values(), default=0) for counts in left]
    batches: list[list[list[int]]] = [[] for _ in orders]
    for to_come in range(n_batches, 0, -1):
        elsewhere = set[str]()
        for rank, queue in enumerate(queues):
            batch = list[int]()
            if most[rank] >= to_come:
                batch = _take_critical(queue, left[rank], songs, batch_size, to_come)
            held = {songs[example] for example in batch}
            window = LOOK_AHEAD_BATCHES * batch_size
            _fill(queue, batch, held, elsewhere, songs, batch_size, window)
            _fill(queue, batch, held, set(), songs, batch_size, len(queue))
            left[rank].subtract(held)
            elsewhere |= held
            batches[rank].append(batch)
    return batches


def _take_critical(
    queue: deque[int], left: Counter[str], songs: Sequence[str], batch_size: int, to_come: int
) -> list[int]:
    """Take one excerpt of every song that must be in each batch to come."""
    critical = {song for song, count in left.items() if count >= to_come}
    batch = list[int]()
    for example in queue:
        if songs[example] in critical and len(batch) < batch_size:
            critical.remove(songs[example])
            batch.append(example)
    taken = set(batch)
    kept = [example for example in queue if example not in taken]
    queue.clear()
    queue.extend(kept)
    return batch


def _fill(
    queue: deque[int],
    batch: list[int],
    held: set[str],
    elsewhere: set[str],
    songs: Sequence[str],
    batch_size: int,
    window: int,
) -> None:
    """Move examples of new songs from the head of the queue to the batch until it is full."""
    skipped = list[int]()
    while queue and len(batch) < batch_size and len(skipped) < window:
        example = queue.popleft()
        song = songs[example]
        if song in held or song in elsewhere:
            skipped.append(example)
        else:
            held.add(song)
            batch.append(example)
    queue.extendleft(reversed(skipped))
