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
from pipeline.corpora import corpus
from pipeline.planned import Plan
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
    leave_out: Collection[str] = (),
) -> Plan:
    """Plan one set.

    Args:
        config: config of the set.
        music: scans of its music corpora.
        noise: scans of its noise corpora; empty for real recordings.
        vocabulary: tags to keep.
        band_hz: band limit, resolved over the suite (see ``resolve_band_hz``).
        leave_out: keys not to use, so that sets of a suite that share music hold the same keys.

    Raises:
        ManifestError: no clip of the split, or no example is left.
    """
    clips = in_split([clip for s in music for clip in s.clips], config.split)
    noise_clips = in_split([clip for s in noise for clip in s.clips], config.noise_split)
    _expect_clips(clips, "music", config.music, config.split, music)
    if config.noise:
        _expect_clips(noise_clips, "noise", config.noise, config.noise_split, noise)
    rejects = [*_split_rejects(music, config.split), *_split_rejects(noise, config.noise_split)]
    n_listed = Counter(c.corpus for c in [*clips, *noise_clips])
    n_listed.update(r.corpus for r in rejects)
    drafts = []
    pool = NoisePool(noise_clips, config) if config.noise else None
    for clip in clips:
        drafts += _plan_clip(clip, config, pool, vocabulary, rejects)
    kept = [row for row in drafts if row.key not in leave_out]
    rows = assign_shards(kept, config)
    if not rows:
        reasons = Counter(reject.reason for reject in rejects).most_common(3)
        raise ManifestError(f"{config.name}: expected examples to build, got none; {reasons}")
    return Plan(
        config=config,
        band_hz=band_hz,
        rows=rows,
        rejects=tuple(rejects),
        n_listed=dict(n_listed),
        vocabulary=vocabulary,
        notes=tuple(f"{s.corpus}: {note}" for s in (*music, *noise) for note in s.notes),
        licences={s.corpus: s.licence for s in (*music, *noise)},
    )


def resolve_band_hz(
    config: SetConfig, music: Sequence[Scan], noise: Sequence[Scan]
) -> float | None:
    """Return the band limit in Hz for all that is built from these scans; None keeps all."""
    return band_limit_hz(config, [list(s.clips) for s in (*music, *noise)])


def _expect_clips(
    clips: Sequence[Clip], role: str, names: Sequence[str], split: str, scans: Sequence[Scan]
) -> None:
    if not clips:
        found = Counter(clip.split for s in scans for clip in s.clips)
        raise ManifestError(
            f"{', '.join(names)}: expected {role} clips of split {split}, got none; "
            f"usable clips by split: {dict(found) or 'none'}"
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
    rows = []
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
            continue
        rows.append(_row(excerpt, noises, config, vocabulary))
    if not rows and not (rejects and rejects[-1].clip_id == clip.clip_id):
        detail = "expected a span with sound in half of it, got none"
        rejects.append(_plan_reject(clip, "inactive", detail))
    return rows


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


def reject_share(plan: Plan) -> dict[str, tuple[int, int]]:
    """Return (rejects that count, clips listed) by corpus.

    Clips that are known to be broken upstream do not count, nor, where a corpus loses files by its
    nature (AudioSet), those that are missing.
    """
    shares = {}
    for name, listed in plan.n_listed.items():
        ignored = {"known-broken"} | ({"missing"} if corpus(name).MISSING_IS_NORMAL else set())
        counted = {
            (r.path, r.clip_id or r.detail)
            for r in plan.rejects
            if r.corpus == name and r.reason not in ignored
        }
        shares[name] = (len(counted), listed)
    return shares


def check_rejects(plan: Plan, max_reject_percent: float) -> None:
    """Stop before rendering where too much of a corpus is unusable.

    Raises:
        ManifestError: with the counts by reason and the first file of each.
    """
    for name, (n_rejects, listed) in reject_share(plan).items():
        if n_rejects > max_reject_percent / 100.0 * listed:
            of_corpus = [r for r in plan.rejects if r.corpus == name]
            reasons = Counter(r.reason for r in of_corpus)
            first = {r.reason: r.detail for r in reversed(of_corpus)}
            shown = "; ".join(f"{n} {why} (e.g. {first[why]})" for why, n in reasons.most_common(4))
            raise ManifestError(
                f"{name}: expected at most {max_reject_percent:g} % rejects, got {n_rejects} of "
                f"{listed} clips: {shown}. Mend the copy or raise --max-reject-percent"
            )
