"""The batches of a loader: which examples, in which order, at every step of a run.

A pass goes once over the examples; step n is batch n % k of pass n // k, k being the same for
every pass and rank. So the content of a step is a pure function of the step: any process can
make it, a resumed run starts at its step without decoding those before, and a half that is
shorter than the other simply begins its next pass.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from manifests.errors import UsageError
from trainer.data.index import ExampleRef
from trainer.data.order import by_shard, rank_orders, rank_ranges
from trainer.data.songs import full_batches, song_batches

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class LeftOver:
    """Examples that a pass does not use; other ones in every pass.

    Attributes:
        by_ranks: lost where the examples do not divide by the ranks, at most ``world_size - 1``.
        by_batches: lost over all ranks where a rank's range does not divide into full batches
            without two excerpts of one song.
    """

    by_ranks: int
    by_batches: int


class BatchPlan:
    """The batches of one rank.

    Args:
        name: for messages, e.g. ``train/source``.
        refs: all examples of all ranks.
        batch_size: examples of a batch on one rank.
        seed: seed of the run.
        rank: this process, from 0.
        world_size: number of processes.
        window: examples that are shuffled together, see ``trainer.data.order``.

    Raises:
        UsageError: too few examples or songs for one batch on every rank, with the numbers that
            would work.
    """

    def __init__(
        self,
        name: str,
        refs: Sequence[ExampleRef],
        *,
        batch_size: int,
        seed: int,
        rank: int = 0,
        world_size: int = 1,
        window: int = 4096,
    ) -> None:
        if batch_size < 1 or window < 1 or not 0 <= rank < world_size:
            raise UsageError(
                f"{name}: expected a batch size and a window of at least 1 and a rank below the "
                f"number of ranks, got {batch_size}, {window}, {rank} of {world_size}"
            )
        self.batch_size, self.seed, self.rank = batch_size, seed, rank
        self.world_size, self.window = world_size, window
        self._songs = [ref.song for ref in refs]
        self._shards = by_shard(refs)
        self._pass: tuple[int, list[list[int]]] | None = None
        ranges, by_ranks = rank_ranges(len(refs), world_size)
        counts = list(Counter(self._songs).values())
        self.batches_per_pass = full_batches(counts, len(ranges[0]), batch_size)
        if not self.batches_per_pass:
            raise UsageError(_too_few(name, len(refs), counts, batch_size, world_size))
        used = self.batches_per_pass * batch_size * world_size
        self.left_over = LeftOver(by_ranks, len(refs) - by_ranks - used)
        logger.info(
            "%s: %d examples, %d steps a pass of %d × %d; left over each pass: %d by the ranks, "
            "%d in batches that would not be full",
            *(name, len(refs), self.batches_per_pass, batch_size, world_size),
            *(by_ranks, self.left_over.by_batches),
        )

    def batch(self, step: int) -> tuple[int, list[int]]:
        """Return the number of the pass and the examples of a step, in order."""
        pass_number, place = divmod(step, self.batches_per_pass)
        if self._pass is None or self._pass[0] != pass_number:
            orders = rank_orders(self._shards, self.world_size, self.window, self.seed, pass_number)
            batches = song_batches(orders, self._songs, self.batch_size, self.batches_per_pass)
            self._pass = pass_number, batches[self.rank]
        return pass_number, self._pass[1][place]


def _too_few(
    name: str, n_examples: int, counts: Sequence[int], batch_size: int, world_size: int
) -> str:
    n_songs = len(counts)
    largest = next(
        (b for b in range(batch_size, 0, -1) if full_batches(counts, n_examples // world_size, b)),
        0,
    )
    ranks = next(
        (w for w in range(world_size, 0, -1) if full_batches(counts, n_examples // w, batch_size)),
        0,
    )
    ways = []
    if largest:
        ways.append(f"a batch size of {largest} or less{_on(world_size)}")
    if ranks and ranks < world_size:
        where = f"{_on(ranks)} or fewer" if ranks > 1 else " in one process"
        ways.append(f"batch size {batch_size}{where}")
    return (
        f"{name}: expected at least {batch_size * world_size} examples for one batch of "
        f"{batch_size} different songs{_on(world_size)}, got {n_examples} examples of {n_songs} "
        f"songs; {' or '.join(ways) or 'a larger set'} would work"
    )


def _on(world_size: int) -> str:
    """Return where a batch is needed; who started one process has never heard of ranks."""
    return f" on each of {world_size} processes" if world_size > 1 else ""
