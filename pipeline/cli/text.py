"""What the commands print for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from manifests.rows import SAMPLE_RATE
from pipeline.planned import Plan
from pipeline.stages.build import BuildSummary

FLAC_SHARE = 0.6
"""FLAC against 16-bit PCM for music under noise at 22,050 Hz; an estimate for the plan only."""


def human_bytes(n_bytes: float) -> str:
    """Return a size for people, decimal units."""
    for unit in ("B", "kB", "MB", "GB"):
        if n_bytes < 1000:
            return f"{n_bytes:.0f} {unit}" if unit == "B" else f"{n_bytes:.1f} {unit}"
        n_bytes /= 1000
    return f"{n_bytes:.1f} TB"


def estimated_bytes(plan: Plan) -> float:
    """Return about how much disk a set will take."""
    share = 1.0 if plan.config.codec == "wav" else FLAC_SHARE
    return plan.seconds * SAMPLE_RATE * 2 * len(plan.config.members) * share


def counted(counts: Mapping[str, int]) -> str:
    """Return ``3 truncated, 1 silent``."""
    return ", ".join(f"{n:,} {name}" for name, n in counts.items()) or "none"


def plan_lines(plan: Plan) -> list[str]:
    """Return the summary of a plan: examples, hours, disk, halves, tags, rejects."""
    domains = Counter(row.domain for row in plan.rows if row.domain)
    halves = f" ({counted(domains)})" if domains else ""
    members = len(plan.config.members)
    reasons = dict(Counter(reject.reason for reject in plan.rejects).most_common())
    tags = plan.vocabulary if plan.config.with_tags else None
    lines = [
        f"{plan.config.name}: {len(plan.rows):,} examples{halves}, {plan.seconds / 3600:,.2f} h x "
        f"{members} members, about {human_bytes(estimated_bytes(plan))}, "
        f"{plan.rows[-1].shard + 1} shards",
        f"  band: {'up to ' + format(plan.band_hz, ',.0f') + ' Hz' if plan.band_hz else 'full'}",
        f"  rejects: {counted(reasons)}",
    ]
    if tags and tags.names:
        lines.append(f"  tags: {len(tags.names)} kept, {len(tags.lost)} left out")
    return lines


def tag_lines(plan: Plan) -> list[str]:
    """Return kept and lost tags with their clips by split."""
    vocabulary = plan.vocabulary
    rows = [(name, "kept", vocabulary.counts[name]) for name in vocabulary.names]
    rows += [(name, reason, counts) for name, reason, counts in vocabulary.lost]
    used = [row for row in rows if any(row[2].values())]
    unused = [name for name, _, counts in rows if not any(counts.values())]
    width = max((len(name) for name, _, _ in used), default=0)
    lines = [
        f"  {name:<{width}}  {', '.join(f'{s} {n:,}' for s, n in counts.items())}  {state}"
        for name, state, counts in used
    ]
    return [*lines, f"  {len(unused)} kept, on no clip: {', '.join(unused)}"] if unused else lines


def build_lines(summary: BuildSummary) -> list[str]:
    """Return the summary of a finished build."""
    resumed = f", {summary.n_resumed} of them already done" if summary.n_resumed else ""
    return [
        f"{summary.name}: {summary.n_examples:,} examples, {summary.hours:,.2f} h of music, "
        f"{summary.audio_hours:,.2f} h of audio in {summary.n_shards} shards{resumed}",
        f"  {human_bytes(summary.n_bytes)}, {summary.wall_s:,.1f} s, "
        f"{summary.realtime_factor:,.0f} x realtime",
        f"  rejects: {counted(summary.rejects)}",
        f"  {summary.out}",
    ]
