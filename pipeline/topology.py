"""Whether a set feeds a training job: equal ranks, full batches, a worker each."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Final

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


def feeds(plan: Plan, topology: Topology) -> Verdict:
    """Say whether each half of a set gives every rank equal, full batches.

    Evaluation sets are split without padding and always serve. The trainer cuts the list of
    examples, not of shards, so a half needs at least one global batch; up to ranks - 1 examples of
    a half are left over in each epoch.
    """
    expected = (SOURCE, TARGET) if plan.config.has_halves else ()
    halves: Counter[str] = Counter(dict.fromkeys(expected, 0))
    halves.update(row.domain for row in plan.rows if row.domain)
    if not halves:
        return Verdict(True, "evaluation set: any number of ranks")
    parts = [_half(name, count, topology) for name, count in sorted(halves.items())]
    enough = all(count >= topology.ranks * topology.batch_size for count in halves.values())
    verdict = "feeds" if enough else "does not feed"
    shape = f"{topology.nodes} x {topology.gpus} ranks x {topology.workers} workers"
    return Verdict(enough, f"{verdict} {shape}: {'; '.join(parts)}")


def _half(name: str, count: int, topology: Topology) -> str:
    per_rank, left_over = divmod(count, topology.ranks)
    batches = per_rank // topology.batch_size
    needed = topology.ranks * topology.batch_size
    text = (
        f"{name} {per_rank:,} a rank ({batches} batches of {topology.batch_size}, "
        f"{left_over} left over)"
    )
    if count >= needed:
        return text
    text += f"; too few: {count} for a global batch of {needed}"
    if ranks := count // topology.batch_size:
        text += f"; use at most {ranks} ranks of {topology.batch_size}"
    if per_rank >= LEAST_BATCH:
        text += f"{', or' if ranks else '; use'} batches of at most {per_rank}"
    return text
