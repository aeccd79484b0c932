"""Plan: tables, config and seed -> one row per example. No audio is read and nothing is written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from manifests.canonical import hash64
from manifests.errors import ManifestError, UsageError
from manifests.reading import resampled_length
from manifests.rows import (
    ANY_SPLIT,
    SAMPLE_RATE,
    SOURCE,
    TARGET,
    Clip,
    PlanRow,
    Reject,
)
from manifests.signal import QUIETEST_DBFS
from pipeline.band import band_limit_hz
from pipeline.choose import Excerpt, NoisePool, draw_excerpts, lowest_levels_db
from pipeline.config import SetConfig
from pipeline.planned import Plan
from pipeline.reject_limit import commonest_reasons, counted_rejects
from pipeline.stages.scan import Scan
from pipeline.tags import TagVocabulary


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
    """Plan one set.

    Args:
        config: config of the set.
        music: scans of its music corpora.
        noise: scans of its noise corpora; empty for real recordings.
        vocabulary: tags to keep.
        band_hz: band limit, resolved over the suite (see ``resolve_band_hz``).

    Raises:
        ManifestError: no clip of the split, or no example is left.
    """
    clips = in_split([clip for s in music for clip in s.clips], config.split)
    noise_clips = in_split([clip for s in noise for clip in s.clips], config.noise_split)
    _expect_clips(clips, "music", config.music, config.split, music)
    if config.noise:
        _expect_clips(noise_clips, "noise", config.noise, config.noise_split, noise)
    rejects = [*_split_rejects(music, config.split), *_split_rejects(noise, config.noise_split)]
    here = counted_rejects(rejects)
    elsewhere = [(s.corpus, len(counted_rejects(s.rejects) - here)) for s in (*music, *noise)]
    rejects += [reject for clip in noise_clips for reject in _short_noise(clip, config)]
    drafts = []
    pool = NoisePool(noise_clips, config) if config.noise else None
    for clip in clips:
        drafts += _plan_clip(clip, config, pool, vocabulary, rejects)
    _expect_unique(drafts)
    rows = assign_shards(drafts, config)
    if not rows:
        raise ManifestError(
            f"{config.name}: expected examples to build, got none: {commonest_reasons(rejects)}"
        )
    return Plan(
        config=config,
        band_hz=band_hz,
        rows=rows,
        rejects=tuple(rejects),
        n_listed=_summed((s.corpus, len(s.clips) + len(s.rejects)) for s in (*music, *noise)),
        rejected_elsewhere=_summed(elsewhere),
        vocabulary=vocabulary,
        notes=tuple(f"{s.corpus}: {note}" for s in (*music, *noise) for note in s.notes),
        licences={s.corpus: s.licence for s in (*music, *noise)},
    )


def restricted(plan: Plan, keys: Collection[str], limit: int | None) -> Plan:
    """Return a plan that holds only some keys, at most ``limit`` of them, in shards anew.

    So that sets of a suite that share music hold the same keys: what one of them rejects, under its
    noise, all of them leave out.

    Raises:
        ManifestError: no key is left.
    """
    config = replace(plan.config, limit=limit)
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
    paths: dict[str, str] = {}
    for row in drafts:
        other = paths.setdefault(row.key, row.music.path)
        if other != row.music.path:
            raise ManifestError(
                f"{row.music.path}: expected a key of its own, got that of {other} ({row.key}); "
                "rename one of the files"
            )


def resolve_band_hz(
    config: SetConfig, music: Sequence[Scan], noise: Sequence[Scan]
) -> float | None:
    """Return the band limit in Hz for all that is built from these scans; None keeps all."""
    return band_limit_hz(config, [list(s.clips) for s in (*music, *noise)])


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


def _plan_clip(
    clip: Clip,
    config: SetConfig,
    pool: NoisePool | None,
    vocabulary: TagVocabulary,
    rejects: list[Reject],
) -> list[PlanRow]:
    """Return the rows of a clip without their shard; what cannot be used goes to ``rejects``."""
    n_samples = resampled_length(clip.source_samples, clip.source_rate)
    shortest = int(config.min_duration_s * SAMPLE_RATE)
    if n_samples < shortest:
        found = f"got {clip.duration_s:.3f} s"
        detail = f"expected at least {config.min_duration_s:.3f} s, {found}"
        rejects.append(_plan_reject(clip, "too-short", detail))
        return []
    rows, too_quiet = [], False
    for excerpt in draw_excerpts(clip, config):
        noises = pool.draw(excerpt.key, excerpt.span.n_samples) if pool else ()
        if pool and len(noises) < config.noises:
            raise UsageError(
                f"--noises {config.noises}: expected that many usable noise clips, "
                f"got {len(noises)} of split {config.noise_split}"
            )
        lowest_db = min(lowest_levels_db(excerpt, noises, config.snrs_db or (0.0,)))
        if noises and lowest_db < QUIETEST_DBFS:
            detail = (
                f"expected clean and noise above {QUIETEST_DBFS:.0f} dBFS at every SNR, "
                f"got {lowest_db:.0f} dBFS after the gain that keeps the loudest mix from clipping"
            )
            rejects.append(_plan_reject(clip, "too-quiet", f"{excerpt.key}: {detail}"))
            too_quiet = True
            continue
        rows.append(_row(excerpt, noises, config, vocabulary))
    if not rows and not too_quiet:
        detail = "expected a span with sound in half of it, got none"
        rejects.append(_plan_reject(clip, "inactive", detail))
    return rows


def _short_noise(clip: Clip, config: SetConfig) -> Iterator[Reject]:
    if clip.duration_s < config.min_noise_s:
        expected = f"expected at least {config.min_noise_s:.3f} s (--min-noise-s)"
        yield _plan_reject(clip, "too-short", f"{expected}, got {clip.duration_s:.3f} s")


def _plan_reject(clip: Clip, reason: str, detail: str) -> Reject:
    return Reject(
        corpus=clip.corpus,
        clip_id=clip.clip_id,
        path=clip.path,
        stage="plan",
        reason=reason,
        detail=f"{clip.path}: {detail}",
        split=clip.split,
        tags=clip.tags,
    )


def _row(
    excerpt: Excerpt, noises: Sequence[Any], config: SetConfig, vocabulary: TagVocabulary
) -> PlanRow:
    clip = excerpt.clip
    return PlanRow(
        key=excerpt.key,
        split=config.split,
        domain=song_half(clip, config),
        tags=vocabulary.select(clip.tags) if config.with_tags else (),
        shard=-1,
        music=excerpt.span,
        noises=tuple(span for span, _ in noises),
    )


def song_half(clip: Clip, config: SetConfig) -> str | None:
    """Return the half of a clip: a hash of (seed, song), so no song is in both halves."""
    if config.halves == "target":
        return TARGET
    if not config.has_halves:
        return None
    return (SOURCE, TARGET)[hash64(config.seed, "half", clip.corpus, clip.song) & 1]


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
