"""A finished plan: one row per example, and what was left out and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from manifests.canonical import canonical_json, sha256_lines
from manifests.rows import SAMPLE_RATE, MusicSpan, NoiseSpan, PlanRow, Reject
from pipeline.config import SetConfig
from pipeline.tags import TagVocabulary


@dataclass(frozen=True)
class Plan:
    """What a build will render.

    Attributes:
        config: config of the set.
        band_hz: upper edge of the band kept, Hz; None keeps all.
        rows: one row per example, in shard order.
        rejects: clips of the set's split that will not be used, from metadata, scan and plan.
        n_listed: clips of each corpus over all splits, with the rejects that count against
            ``--max-reject-percent``.
        rejected_elsewhere: rejects of each corpus in other splits, for the limit of rejects.
        vocabulary: kept and lost tags with their counts.
        notes: facts of the scans, one line each.
        licences: licence of each corpus as a whole.
    """

    config: SetConfig
    band_hz: float | None
    rows: tuple[PlanRow, ...]
    rejects: tuple[Reject, ...]
    n_listed: dict[str, int]
    rejected_elsewhere: dict[str, int]
    vocabulary: TagVocabulary
    notes: tuple[str, ...]
    licences: dict[str, str]

    @property
    def seconds(self) -> float:
        """Sum of the examples' durations (one member each), seconds."""
        return sum(row.music.n_samples for row in self.rows) / SAMPLE_RATE

    def shards(self) -> dict[int, list[PlanRow]]:
        """Return the rows of each shard."""
        shards: dict[int, list[PlanRow]] = {}
        for row in self.rows:
            shards.setdefault(row.shard, []).append(row)
        return shards

    def sha256(self) -> str:
        """Return the SHA-256 over the plan's canonical JSON lines."""
        return sha256_lines(plan_line(row) for row in self.rows)


def plan_line(row: PlanRow) -> str:
    """Return the canonical JSON line of a row: all but the paths, which differ between copies."""
    noises = [_without_path(noise) for noise in row.noises]
    return canonical_json({**vars(row), "music": _without_path(row.music), "noises": noises})


def _without_path(span: MusicSpan | NoiseSpan) -> dict[str, Any]:
    fields = dict(vars(span))
    del fields["path"]
    return fields
