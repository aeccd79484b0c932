"""Cut an order of examples into batches without two excerpts of one song.

Two excerpts of one recording in a contrastive batch are a false negative, and in any batch they
count one song twice.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from typing import Final

LOOK_AHEAD_BATCHES: Final = 8
"""How far ahead, in batches, a rank looks for songs that no *other* rank has in this step."""


def song_batches(
    orders: Sequence[Sequence[int]], songs: Sequence[str], batch_size: int, n_batches: int
) -> list[list[list[int]]]:
    """Cut every rank's order into batches without two excerpts of one song.

    A batch takes the next examples whose songs it does not hold yet. A song with as many excerpts
    left as there are batches to come is taken at once: by that rule, k batches come out whenever
    they exist (see ``manifests.batches``), for each batch lowers sum_s min(c_s, k) by exactly B.
    Among the next few batches' worth, songs that another rank has in the same step are passed over,
    so that negatives gathered over ranks are other songs too.

    Args:
        orders: examples of each rank, in order.
        songs: song of every example.
        batch_size: B.
        n_batches: k, so many that every order fills them.

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
