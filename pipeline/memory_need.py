"""Memory that a build's workers will need, so that a plan of whole, long files warns beforehand.

An excerpt is rendered in one piece: its gain follows from the peak of all its members. Excerpts of
half a minute take some 100 MB; whole recordings of hours take gigabytes each.
"""

from __future__ import annotations

import contextlib
import heapq
from pathlib import Path
from typing import Final

import psutil

from manifests.rows import SAMPLE_RATE, PlanRow
from pipeline.planned import Plan

PCM_BYTES: Final = 24
MIX_BYTES: Final = 42
RUNG_BYTES: Final = 10
NOISE_BYTES: Final = 8
"""What a worker holds at its peak for each sample of an excerpt, bytes: a recording alone; with
noise; and more for every SNR (a float64 mix and its rounded copy) and every noise. Measured with
tracemalloc: 60 for one noise and one SNR, 100 for one and five, 124 for four and five."""

GB: Final = 1e9
_CGROUP: Final = Path("/sys/fs/cgroup")


def memory_note(plan: Plan, jobs: int, available: int | None = None) -> str | None:
    """Return a warning where the longest excerpts may not fit into memory, else None.

    Args:
        plan: what will be rendered.
        jobs: workers on this machine, each of which may hold the longest excerpt of its shard.
        available: bytes that this machine has left; None asks it.
    """
    longest = {
        number: max(rows, key=lambda row: row.music.n_samples)
        for number, rows in plan.shards().items()
    }
    together = heapq.nlargest(jobs, longest.values(), key=lambda row: row.music.n_samples)
    needed = sum(_bytes(plan, row) for row in together)
    available = available_bytes() if available is None else available
    if needed <= available:
        return None
    first = together[0].music
    workers = "1 worker" if len(together) == 1 else f"{len(together)} workers"
    return (
        f"{first.path}: its excerpt of {first.n_samples / SAMPLE_RATE / 3600:.1f} h is rendered in "
        f"one piece: {workers} may need {needed / GB:.0f} GB of memory, this machine has "
        f"{available / GB:.0f} GB left; use --excerpt-s 30 (any length that fits) or fewer --jobs"
    )


def _bytes(plan: Plan, row: PlanRow) -> int:
    n_noises = len(row.noises)
    per_sample = PCM_BYTES
    if n_noises:
        per_sample = MIX_BYTES + RUNG_BYTES * len(plan.config.snrs_db) + NOISE_BYTES * n_noises
    return per_sample * row.music.n_samples


def available_bytes() -> int:
    """Return the memory that is left: on the machine, or within a container's limit.

    Pages of files that were read count as used there, but are given up when they are needed.
    """
    left = [int(psutil.virtual_memory().available)]
    with contextlib.suppress(OSError, ValueError):  # no cgroup here, or no limit ("max")
        limit, used = (int((_CGROUP / f"memory.{name}").read_text()) for name in ("max", "current"))
        stat = dict(line.split() for line in (_CGROUP / "memory.stat").read_text().splitlines())
        left.append(limit - used + int(stat.get("inactive_file", 0)))
    return max(min(left), 0)
