"""Whether a set feeds a training job: equal ranks, full batches of different songs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from manifests.batches import full_batches, largest_batch, most_ranks
from manifests.rows import SOURCE, TARGET
from pipeline.planned import Plan

LEAST_BATCH: Final = 2
"""Batch statistics and pairs need two examples."""


@dataclass(frozen=True)
class Topology:
    """Shape of a training job: machines, ranks of each, loader workers of each rank."""

    nodes: int
    gpus: int
    workers: int
    batch_size: int

    @property
    def ranks(self) -> int:
        """Number of processes that train."""
        return self.nodes * self.gpus


@dataclass(frozen=True)
class Verdict:
    """Whether there is enough, and a line that says why."""

    enough: bool
    line: str


def feeds(plan: Plan, topology: Topology, *, pretraining: bool = False) -> Verdict:
    """Say whether each half of a set gives every rank equal, full batches.

    Evaluation sets are split without padding and always serve. The trainer cuts the list of
    examples, not of shards, and no batch holds two excerpts of one song: what a pass leaves over is
    what does not divide by the ranks, and what is short of one more such batch on each.

    Args:
        plan: plan of the set.
        topology: shape of the job.
        pretraining: the set is for stage 1 alone, whose batches come from both halves together.
    """
    expected = (SOURCE, TARGET) if plan.config.has_halves else ()
    halves = {domain: Counter[tuple[str, str]]() for domain in expected}
    for row in plan.rows:
        if row.domain:
            # A recording without a name is a song of its own, as it is to the trainer.
            song = row.music.corpus, row.music.song or row.music.clip_id
            halves.setdefault(row.domain, Counter())[song] += 1
    if not halves:
        return Verdict(True, "evaluation set: any number of ranks")
    if pretraining and all(halves.values()):
        halves = {"both halves": sum(halves.values(), Counter[tuple[str, str]]())}
    parts = [_half(name, songs.values(), topology) for name, songs in sorted(halves.items())]
    enough = all(part.enough for part in parts)
    verdict = "feeds" if enough else "does not feed"
    shape = f"{topology.nodes} x {topology.gpus} ranks x {topology.workers} workers"
    return Verdict(enough, f"{verdict} {shape}: {'; '.join(part.line for part in parts)}")


def _half(name: str, song_counts: Collection[int], topology: Topology) -> Verdict:
    count, ranks, batch_size = sum(song_counts), topology.ranks, topology.batch_size
    per_rank = count // ranks
    batches = full_batches(song_counts, batch_size, ranks)
    text = (
        f"{name} {per_rank:,} a rank ({batches} batches of {batch_size}, "
        f"{count - ranks * batches * batch_size:,} left over)"
    )
    if batches:
        return Verdict(True, text)
    text += (
        f"; too few: {count:,} examples of {len(song_counts):,} songs for a global batch of "
        f"{ranks * batch_size:,} with no song twice on a rank"
    )
    ways = []
    if most := most_ranks(song_counts, batch_size):
        ways.append(f"at most {most} ranks of {batch_size}")
    if (largest := largest_batch(song_counts, ranks)) >= LEAST_BATCH:
        ways.append(f"batches of at most {largest}")
    return Verdict(False, f"{text}; use {', or '.join(ways)}" if ways else text)
