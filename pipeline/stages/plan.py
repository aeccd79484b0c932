"""Plan: tables, config and seed -> one row per example. No audio is read and nothing is written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, Final

from manifests.canonical import hash64
from manifests.errors import ManifestError
from manifests.rows import ANY_SPLIT, SOURCE, TARGET, Clip, PlanRow, Reject
from pipeline.band import band_limit_hz
from pipeline.choose import NoisePool
from pipeline.config import SetConfig
from pipeline.draft import Draft, candidates, not_resampled, short_noise, too_short
from pipeline.heard import NOISE_LOSS_DB, as_heard, out_of_band
from pipeline.planned import Plan
from pipeline.reject_limit import commonest_reasons, counted_rejects, n_to_be_had
from pipeline.stages.scan import Scan
from pipeline.tags import TagVocabulary

CLASHES_SHOWN: Final = 20
"""Pairs of files with one key that are named at once."""


def in_split(clips: Iterable[Clip], split: str) -> list[Clip]:
    """Return the clips that may serve a split."""
    return [c for c in clips if split in (c.split, "all") or c.split == ANY_SPLIT]


def plan_set(
    config: SetConfig,
    music: Sequence[Scan],
    noise: Sequence[Scan],
    vocabulary: TagVocabulary,
    *,
    band_hz: float | None,
) -> Plan:
    """Plan one set; see ``plan_sets``."""
    return plan_sets([config], music, noise, vocabulary, band_hz=band_hz)[0]


def plan_sets(
    configs: Sequence[SetConfig],
    music: Sequence[Scan],
    noise: Sequence[Scan],
    vocabulary: TagVocabulary,
    *,
    band_hz: float | None,
) -> list[Plan]:
    """Plan sets that differ in name and number of noises alone.

    The one noise of an example is the first of its two, and those are the first of its four: so
    excerpts and noises are drawn once, for the largest number, and the plans share them.

    Args:
        configs: configs of the sets.
        music: scans of their music corpora.
        noise: scans of their noise corpora; empty for real recordings.
        vocabulary: tags to keep.
        band_hz: band limit, resolved over the suite (see ``resolve_band_hz``).

    Raises:
        ManifestError: no clip of the split, or no example of a set is left.
        UsageError: fewer usable noises than a set wants for each example.
    """
    most = max(configs, key=lambda config: config.noises)
    clips = in_split([clip for s in music for clip in s.clips], most.split)
    noise_clips = in_split([clip for s in noise for clip in s.clips], most.noise_split)
    _expect_clips(clips, "music", most.music, most.split, music)
    if most.noise:
        _expect_clips(noise_clips, "noise", most.noise, most.noise_split, noise)
    every = (*music, *noise)
    rejects = [*_split_rejects(music, most.split), *_split_rejects(noise, most.noise_split)]
    here = counted_rejects(rejects)
    elsewhere = [(s.corpus, len(counted_rejects(s.rejects) - here)) for s in every]
    heard, unusable = _usable_noises(noise_clips, most, band_hz)
    drafts = [Draft(config, [*rejects, *unusable]) for config in configs]
    pool = NoisePool(heard, most) if most.noise else None
    for clip in clips:
        reject = too_short(clip, most) or _unplayable(clip, most, band_hz)
        found = () if reject else candidates(as_heard(clip, band_hz), most, pool, vocabulary)
        drawn = list(found)
        for draft in drafts:
            draft.add(clip, drawn, reject)
    shared = {
        "band_hz": band_hz,
        "n_listed": _summed((s.corpus, n_to_be_had(s.clips, s.rejects)) for s in every),
        "rejected_elsewhere": _summed(elsewhere),
        "vocabulary": vocabulary,
        "notes": tuple(f"{s.corpus}: {note}" for s in every for note in s.notes),
        "licences": {s.corpus: s.licence for s in every},
    }
    return [_finished(draft, shared) for draft in drafts]


def _unplayable(clip: Clip, config: SetConfig, band_hz: float | None) -> Reject | None:
    return not_resampled(clip, config) or out_of_band(clip, band_hz)


def _usable_noises(
    clips: Iterable[Clip], config: SetConfig, band_hz: float | None
) -> tuple[list[Clip], list[Reject]]:
    """Return the noises that can be drawn, with the levels that are heard, and the others."""
    heard, rejects = [], []
    for clip in clips:
        if reject := short_noise(clip, config) or _unplayable(clip, config, band_hz):
            rejects.append(reject)
        else:
            heard.append(as_heard(clip, band_hz, NOISE_LOSS_DB))
    return heard, rejects


def _finished(draft: Draft, shared: dict[str, Any]) -> Plan:
    _expect_unique(draft.rows)
    if not draft.rows:
        raise ManifestError(
            f"{draft.config.name}: expected examples to build, got none: "
            f"{commonest_reasons(draft.rejects)}"
        )
    rows, rejects = assign_shards(draft.rows, draft.config), tuple(draft.rejects)
    return Plan(config=draft.config, rows=rows, rejects=rejects, **shared)


def restricted(plan: Plan, keys: Collection[str], limit: int | None) -> Plan:
    """Return a plan that holds only some keys, at most ``limit`` of them, in shards anew.

    So that sets of a suite that share music hold the same keys: what one of them rejects, under its
    noise, all of them leave out.

    Raises:
        ManifestError: no key is left.
    """
    config = replace(plan.config, limit=limit)
    if limit is None and all(row.key in keys for row in plan.rows):
        return replace(plan, config=config)
    kept = [row for row in plan.rows if row.key in keys]
    if not kept:
        raise ManifestError(
            f"{config.name}: expected examples that all sets on {', '.join(config.music)} "
            f"{config.split} can hold, got none: {commonest_reasons(plan.rejects)}"
        )
    lost = len(plan.rows) - len(kept)
    note = f"{config.name}: {lost} examples left out, as other sets on the same music reject them"
    notes = (*plan.notes, *([note] if lost else []))
    return replace(plan, config=config, rows=assign_shards(kept, config), notes=notes)


def _expect_unique(drafts: Iterable[PlanRow]) -> None:
    """Refuse two clips with one key: 8 hex digits of a hash tell clips of one slug apart."""
    first: dict[str, str] = {}
    clashes: dict[tuple[str, str], str] = {}
    for row in drafts:
        path, other = row.music.path, first.setdefault(row.key, row.music.path)
        if other != path:
            clashes.setdefault((path, other), f"{path} and {other} ({row.key})")
    if clashes:
        shown = "; ".join([*clashes.values()][:CLASHES_SHOWN])
        more = f"; and {n:,} more" if (n := len(clashes) - CLASHES_SHOWN) > 0 else ""
        raise ManifestError(
            f"expected a key of its own for every file, got one for {shown}{more}; rename one file "
            "of each pair"
        )


def resolve_band_hz(
    config: SetConfig, music: Sequence[Scan], noise: Sequence[Scan]
) -> float | None:
    """Return the band limit in Hz for all that is built from these scans; None keeps all."""
    return band_limit_hz(config, [s.clips for s in (*music, *noise)])


def _summed(counts: Iterable[tuple[str, int]]) -> dict[str, int]:
    """Add up counts by corpus: one may serve as music and as noise."""
    summed: dict[str, int] = {}
    for name, count in counts:
        summed[name] = summed.get(name, 0) + count
    return summed


def _expect_clips(
    clips: Sequence[Clip], role: str, names: Sequence[str], split: str, scans: Sequence[Scan]
) -> None:
    if not clips:
        found = Counter(clip.split for s in scans for clip in s.clips)
        reasons = commonest_reasons(reject for s in scans for reject in s.rejects)
        raise ManifestError(
            f"{', '.join(names)}: expected {role} clips of split {split}, got none; "
            f"usable clips by split: {dict(found) or 'none'}"
            + (f"; rejects: {reasons}" if reasons else "")
        )


def _split_rejects(scans: Sequence[Scan], split: str) -> Iterator[Reject]:
    for s in scans:
        for reject in s.rejects:
            if split in (reject.split, "all") or reject.split in ("", ANY_SPLIT):
                yield reject


def assign_shards(drafts: Sequence[PlanRow], config: SetConfig) -> tuple[PlanRow, ...]:
    """Put rows into shards in hash order, one half a shard; ``--limit`` keeps the first N."""
    ordered = sorted(drafts, key=lambda row: (hash64(config.seed, "order", row.key), row.key))
    ordered = ordered[: config.limit] if config.limit is not None else ordered
    rows: list[PlanRow] = []
    shard = 0
    for domain in (None, SOURCE, TARGET):
        half = [row for row in ordered if row.domain == domain]
        for position, row in enumerate(half):
            rows.append(replace(row, shard=shard + position // config.examples_per_shard))
        shard += -(-len(half) // config.examples_per_shard)
    return tuple(rows)
