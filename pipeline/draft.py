"""A set while it is planned: which of the excerpts that were drawn become rows, which rejects."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from manifests.canonical import hash64
from manifests.errors import UsageError
from manifests.reading import resampled_length
from manifests.resample import resampler_refusal
from manifests.rows import SAMPLE_RATE, SOURCE, TARGET, Clip, NoiseSpan, PlanRow, Reject
from manifests.signal import QUIETEST_DBFS
from pipeline.choose import Excerpt, NoisePool, draw_excerpts, lowest_levels_db
from pipeline.config import SetConfig
from pipeline.tags import TagVocabulary


@dataclass(frozen=True)
class Candidate:
    """A drawn excerpt with its noises, before anything is left out.

    Attributes:
        row: its row without a shard, with all noises that were drawn.
        excerpt: the music, with its level.
        noises: the noises with their clips, in the row's order.
    """

    row: PlanRow
    excerpt: Excerpt
    noises: tuple[tuple[NoiseSpan, Clip], ...]


def candidates(
    clip: Clip, config: SetConfig, pool: NoisePool | None, vocabulary: TagVocabulary
) -> Iterator[Candidate]:
    """Draw the excerpts of a clip, each with its noises; none where no span is active."""
    domain = song_half(clip, config)
    tags = vocabulary.select(clip.tags) if config.with_tags else ()
    for excerpt in draw_excerpts(clip, config):
        span = excerpt.span
        noises = pool.draw(excerpt.key, span.n_samples, span.source_sha256) if pool else ()
        row = PlanRow(
            key=excerpt.key,
            split=config.split,
            domain=domain,
            tags=tags,
            shard=-1,
            music=span,
            noises=tuple(noise for noise, _ in noises),
        )
        yield Candidate(row, excerpt, noises)


def song_half(clip: Clip, config: SetConfig) -> str | None:
    """Return the half of a clip: a hash of (seed, song), so no song is in both halves."""
    if config.halves == "target":
        return TARGET
    if not config.has_halves:
        return None
    return (SOURCE, TARGET)[hash64(config.seed, "half", clip.corpus, clip.song) & 1]


@dataclass
class Draft:
    """The rows and rejects of a set so far.

    Attributes:
        config: config of the set; of each candidate's noises it takes the first ``noises``.
        rejects: what cannot be used, and why.
        rows: rows without their shard.
    """

    config: SetConfig
    rejects: list[Reject]
    rows: list[PlanRow] = field(default_factory=list)

    def add(self, clip: Clip, drawn: Sequence[Candidate], unusable: Reject | None) -> None:
        """Add what was drawn of a clip, or the reason why nothing can be.

        Raises:
            UsageError: fewer noises could be drawn than the set wants.
        """
        if unusable:
            self.rejects.append(unusable)
            return
        for candidate in drawn:
            if reject := self._too_quiet(candidate):
                self.rejects.append(reject)
            else:
                self.rows.append(self._row(candidate))
        if not drawn:
            detail = "expected a span with sound in half of it, got none"
            self.rejects.append(plan_reject(clip, "inactive", detail))

    def _row(self, candidate: Candidate) -> PlanRow:
        row = candidate.row
        few = len(row.noises) > self.config.noises
        return replace(row, noises=row.noises[: self.config.noises]) if few else row

    def _too_quiet(self, candidate: Candidate) -> Reject | None:
        """Say where rounding to int16 would move the SNR of an example."""
        config, excerpt = self.config, candidate.excerpt
        noises = candidate.noises[: config.noises]
        if config.noise and len(noises) < config.noises:
            raise UsageError(
                f"--noises {config.noises}: expected that many usable noise clips, "
                f"got {len(noises)} of split {config.noise_split}"
            )
        if not noises:
            return None
        lowest_db = min(lowest_levels_db(excerpt, noises, config.snrs_db))
        if lowest_db >= QUIETEST_DBFS:
            return None
        detail = (
            f"expected clean and noise above {QUIETEST_DBFS:.0f} dBFS at every SNR, "
            f"got {lowest_db:.0f} dBFS after the gain that keeps the loudest mix from clipping"
        )
        return plan_reject(excerpt.clip, "too-quiet", f"{excerpt.key}: {detail}")


def too_short(clip: Clip, config: SetConfig) -> Reject | None:
    """Return the reject of a music clip that is shorter than one model input."""
    n_samples = resampled_length(clip.source_samples, clip.source_rate)
    if n_samples >= int(config.min_duration_s * SAMPLE_RATE):
        return None
    found = f"got {clip.duration_s:.3f} s"
    detail = f"expected at least {config.min_duration_s:.3f} s, {found}"
    return plan_reject(clip, "too-short", detail)


def short_noise(clip: Clip, config: SetConfig) -> Reject | None:
    """Return the reject of a noise clip that is too short to be looped."""
    if clip.duration_s >= config.min_noise_s:
        return None
    expected = f"expected at least {config.min_noise_s:.3f} s (--min-noise-s)"
    return plan_reject(clip, "too-short", f"{expected}, got {clip.duration_s:.3f} s")


def not_resampled(clip: Clip, config: SetConfig) -> Reject | None:
    """Return the reject of a clip that the set's resampler cannot take."""
    refused = resampler_refusal(config.resampler, clip.source_rate, SAMPLE_RATE, clip.peak)
    return plan_reject(clip, "not-resampled", refused) if refused else None


def plan_reject(clip: Clip, reason: str, detail: str) -> Reject:
    """Return the reject of a clip that was scanned and cannot be planned."""
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
