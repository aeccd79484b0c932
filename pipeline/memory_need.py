"""Memory that a build's workers will need, so that a plan of whole, long files warns beforehand.

An excerpt is rendered in one piece: its gain follows from the peak of all its members. Excerpts of
half a minute take some 100 MB; whole recordings of hours take gigabytes each.
"""

from __future__ import annotations

import heapq
from typing import Final

import psutil

from manifests.rows import SAMPLE_RATE
from pipeline.planned import Plan

BYTES_PER_SAMPLE: Final = 64
"""What rendering holds at once for each sample of an excerpt, bytes: some eight arrays of float64
(music, noise, mixes, their copies), as measured at a worker's peak."""

GB: Final = 1e9


def memory_note(plan: Plan, jobs: int, available: int | None = None) -> str | None:
    """Return a warning where the longest excerpts may not fit into memory, else None.

    Args:
        plan: what will be rendered.
        jobs: workers on this machine, which may all hold a long excerpt at once.
        available: bytes that this machine has left; None asks it.
    """
    longest = heapq.nlargest(jobs, plan.rows, key=lambda row: row.music.n_samples)
    needed = BYTES_PER_SAMPLE * sum(row.music.n_samples for row in longest)
    available = psutil.virtual_memory().available if available is None else available
    if needed <= available:
        return None
    first = longest[0].music
    return (
        f"{first.path}: its excerpt of {first.n_samples / SAMPLE_RATE / 3600:.1f} h is rendered in "
        f"one piece: {jobs} worker{'s' if jobs > 1 else ''} may need {needed / GB:.0f} GB of "
        f"memory, this machine has {available / GB:.0f} GB left; use --excerpt-s 30 (any length "
        "that fits) or fewer --jobs"
    )
