"""The batches of a loader: which examples, in which order, at every step of a run.

A pass goes once over the examples; step n of the optimizer is step n % k of pass n // k, k being
the same for every pass and rank. So the content of a step is a pure function of the step: any
process can make it, a resumed run starts at its step without decoding those before, and a half that
is shorter than the other simply begins its next pass.

With gradient accumulation a step is cut into N batches: its examples, and that all of their songs
differ, are those of one batch N times as large.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from manifests.batches import fills, full_batches, largest_batch, most_ranks
from manifests.errors import UsageError
from trainer.data.index import ExampleRef
from trainer.data.order import by_shard, dealt_orders, rank_orders, rank_ranges
from trainer.data.songs import song_batches

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
        accumulate: batches of one step of the optimizer.

    Attributes:
        steps_per_pass: steps of the optimizer in one pass, the same for every pass and rank.
        left_over: examples that a pass does not use.

    Raises:
        UsageError: too few examples or songs for one step on every rank, with the numbers that
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
        accumulate: int = 1,
    ) -> None:
        if min(batch_size, window, accumulate) < 1 or not 0 <= rank < world_size:
            raise UsageError(
                f"{name}: expected a batch size, a window and batches a step of at least 1 and a "
                f"rank below the number of ranks, got {batch_size}, {window}, {accumulate}, "
                f"{rank} of {world_size}"
            )
        self.batch_size, self.accumulate, self.seed, self.rank = batch_size, accumulate, seed, rank
        self.world_size, self.window = world_size, window
        self._songs = [ref.song for ref in refs]
        self._shards = by_shard(refs)
        self._pass: tuple[int, list[list[int]]] | None = None
        _, by_ranks = rank_ranges(len(refs), world_size)
        counts = list(Counter(self._songs).values())
        step_size = batch_size * accumulate
        self.steps_per_pass = full_batches(counts, step_size, world_size)
        if not self.steps_per_pass:
            raise UsageError(_too_few(name, counts, batch_size, accumulate, world_size))
        used = self.steps_per_pass * step_size * world_size
        self.left_over = LeftOver(by_ranks, len(refs) - by_ranks - used)
        shape = f"{batch_size} × {world_size}" + (f" × {accumulate}" if accumulate > 1 else "")
        logger.info(
            "%s: %d examples, %d steps a pass of %s; left over each pass: %d by the ranks, "
            "%d in %s that would not be full",
            *(name, len(refs), self.steps_per_pass, shape, by_ranks, self.left_over.by_batches),
            "steps" if accumulate > 1 else "batches",
        )

    def batch(self, number: int) -> tuple[int, list[int]]:
        """Return the pass and the examples of a batch, in order.

        Args:
            number: of the batch in the run, ``accumulate`` of them a step.
        """
        step, part = divmod(number, self.accumulate)
        pass_number, place = divmod(step, self.steps_per_pass)
        if self._pass is None or self._pass[0] != pass_number:
            size = self.batch_size * self.accumulate
            steps = song_batches(
                self._orders(pass_number, size), self._songs, size, self.steps_per_pass
            )
            self._pass = pass_number, steps[self.rank]
        first = part * self.batch_size
        return pass_number, self._pass[1][place][first : first + self.batch_size]

    def _orders(self, pass_number: int, size: int) -> list[list[int]]:
        """Return the order of every rank in a pass: its range, or dealt where ranges fall short.

        A range may happen to hold too many excerpts of one song for its batches. All ranks see
        that alike, for each knows the ranges of all.
        """
        shape = (self._shards, self.world_size, self.window, self.seed, pass_number)
        orders = rank_orders(*shape)
        counts = (Counter(self._songs[example] for example in order) for order in orders)
        if all(fills(own.values(), size, self.steps_per_pass) for own in counts):
            return orders
        return dealt_orders(*shape, songs=self._songs, n_batches=self.steps_per_pass)


def _too_few(
    name: str, counts: Sequence[int], batch_size: int, accumulate: int, world_size: int
) -> str:
    n_examples, n_songs = sum(counts), len(counts)
    held = largest_batch(counts, world_size)
    batch, parts = held // accumulate, held // batch_size
    ranks = most_ranks(counts, batch_size * accumulate)
    ways = []
    if batch > 1:  # one example may be refused elsewhere: BatchNorm has nothing to normalise it by
        sizes = "2" if batch == 2 else f"2 to {batch}"
        ways.append(f"a batch size of {sizes}{_on(world_size)}")
    if parts:
        ways.append(f"--accumulate {parts}{' or less' if parts > 1 else ''}")
    if ranks:
        where = f"{_on(ranks)} or fewer" if ranks > 1 else " in one process"
        ways.append(f"batch size {batch_size}{where}")
    what = f"batch of {batch_size}" if accumulate == 1 else f"step of {accumulate} × {batch_size}"
    return (
        f"{name}: expected at least {batch_size * accumulate * world_size} examples for one {what} "
        f"different songs{_on(world_size)}, got {n_examples} examples of {n_songs} songs; "
        f"{' or '.join(ways) or 'a larger set'} would work"
    )


def _on(world_size: int) -> str:
    """Return where a batch is needed; who started one process has never heard of ranks."""
    return f" on each of {world_size} processes" if world_size > 1 else ""
