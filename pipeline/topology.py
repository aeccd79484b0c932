"""Whether a set feeds a training job: equal ranks, full batches, a worker each."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from pipeline.planned import Plan


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
    halves = Counter(row.domain for row in plan.rows if row.domain)
    if not halves:
        return Verdict(True, "evaluation set: any number of ranks")
    needed = topology.ranks * topology.batch_size
    parts, enough = [], True
    for domain, count in sorted(halves.items()):
        per_rank, left_over = divmod(count, topology.ranks)
        parts.append(
            f"{domain} {per_rank:,} a rank ({per_rank // topology.batch_size} batches of "
            f"{topology.batch_size}, {left_over} left over)"
        )
        if count < needed:
            enough = False
            ranks = count // topology.batch_size
            parts.append(
                f"too few: {count} for a global batch of {needed}; "
                f"use at most {ranks} ranks of {topology.batch_size}, "
                f"or batches of at most {count // topology.ranks}"
                if ranks
                else f"too few: {count} for a global batch of {needed}; "
                f"use batches of at most {count // topology.ranks}"
            )
    verdict = "feeds" if enough else "does not feed"
    shape = f"{topology.nodes} x {topology.gpus} ranks x {topology.workers} workers"
    return Verdict(enough, f"{verdict} {shape}: {'; '.join(parts)}")
