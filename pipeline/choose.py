"""Draw the spans of one example. All randomness of a build is here.

Every draw is a hash of the seed, the example's key and what is drawn, so it depends neither on the
order of the corpus nor on the number of workers.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from manifests import signal
from manifests.canonical import fraction
from manifests.keys import example_key
from manifests.reading import resampled_length
from manifests.rows import FRAME_S, Clip, MusicSpan, NoiseSpan
from pipeline.activity import (
    FRAME_SAMPLES,
    MUSIC_SHARE,
    NOISE_SHARE,
    active_frames,
    active_starts,
    span_level_db,
)
from pipeline.config import SetConfig
from pipeline.noise_draw import noise_hashes, ranked_noises


@dataclass(frozen=True)
class Excerpt:
    """A drawn music span with what is needed to choose its noises."""

    key: str
    clip: Clip
    span: MusicSpan
    level_db: float


def draw_excerpts(clip: Clip, config: SetConfig) -> Iterator[Excerpt]:
    """Draw the excerpts of a music clip: one from each equal part of its possible starts.

    Starts are those of active spans only; where a part has none, those of the whole clip serve.
    No start serves twice: fewer excerpts where the clip has no more. Yields nothing where it has no
    active span.
    """
    n_samples = resampled_length(clip.source_samples, clip.source_rate)
    length = config.excerpt_samples(n_samples)
    starts = active_starts(clip.rms_db, n_samples, length, MUSIC_SHARE)
    if not starts.size:
        return
    last = (n_samples - length) // FRAME_SAMPLES + 1
    n_excerpts = min(config.excerpts_per_track, last)
    taken: set[int] = set()
    for number in range(n_excerpts):
        low, high = last * number // n_excerpts, last * (number + 1) // n_excerpts
        part = starts[(starts >= low) & (starts < high)]
        key = example_key(clip.corpus, clip.clip_id, number)
        frame = _pick(part if part.size else starts, config.seed, key, "start")
        if frame in taken:
            left = np.setdiff1d(starts, list(taken))
            if not left.size:
                break
            frame = _pick(left, config.seed, key, "start")
        taken.add(frame)
        span = MusicSpan(
            corpus=clip.corpus,
            clip_id=clip.clip_id,
            path=clip.path,
            song=clip.song,
            artist=clip.artist,
            licence=clip.licence,
            source_sha256=clip.source_sha256,
            source_rate=clip.source_rate,
            source_samples=clip.source_samples,
            start_s=_seconds(frame),
            n_samples=length,
        )
        level_db = span_level_db(clip.rms_db, frame, -(-length // FRAME_SAMPLES))
        yield Excerpt(key, clip, span, level_db)


def _pick(values: NDArray[np.intp], *parts: object) -> int:
    return int(values[int(fraction(*parts) * values.size)])


def _seconds(frame: int) -> float:
    return round(frame * FRAME_S, 1)


class NoisePool:
    """The noise clips that may serve a set.

    Args:
        clips: noise clips of the split, of all noise corpora.
        config: gives seed, k and the shortest noise.
    """

    def __init__(self, clips: Sequence[Clip], config: SetConfig) -> None:
        self.clips = [clip for clip in clips if clip.duration_s >= config.min_noise_s]
        self.seed, self.k = config.seed, config.noises
        self._hashes = noise_hashes([(clip.corpus, clip.clip_id) for clip in self.clips])
        self._lengths = [
            resampled_length(clip.source_samples, clip.source_rate) for clip in self.clips
        ]

    def draw(
        self, key: str, n_samples: int, music_sha256: str | None = None
    ) -> tuple[tuple[NoiseSpan, Clip], ...]:
        """Return the k noises with the smallest hashes among those with an active span.

        Fewer than k where the pool has no more. The music's own file is passed over: with one
        folder as music and as noise it would only be mixed with itself.
        """
        drawn: list[tuple[NoiseSpan, Clip]] = []
        for position in ranked_noises(self.seed, key, self._hashes, self.k):
            if self.clips[position].source_sha256 == music_sha256:
                continue
            starts = self._active_starts(position, n_samples)
            if starts.size:
                drawn.append(self._span(position, key, n_samples, starts))
            if len(drawn) == self.k:
                break
        return tuple(drawn)

    def _active_starts(self, position: int, n_samples: int) -> NDArray[np.intp]:
        length = self._lengths[position]
        return _noise_starts(self.clips[position].rms_db, length, min(n_samples, length))

    def _span(
        self, position: int, key: str, n_samples: int, starts: NDArray[np.intp]
    ) -> tuple[NoiseSpan, Clip]:
        clip = self.clips[position]
        frame = _pick(starts, self.seed, key, "noise", clip.corpus, clip.clip_id)
        span = NoiseSpan(
            corpus=clip.corpus,
            clip_id=clip.clip_id,
            path=clip.path,
            labels=clip.tags,
            licence=clip.licence,
            source_sha256=clip.source_sha256,
            source_rate=clip.source_rate,
            source_samples=clip.source_samples,
            start_s=_seconds(frame),
            looped=self._lengths[position] < n_samples,
        )
        return span, clip


@functools.lru_cache(maxsize=1 << 16)
def _noise_starts(rms_db: bytes, length: int, span: int) -> NDArray[np.intp]:
    """Return where a noise may start; the 21 sets of a suite ask for the same ones."""
    if span < length:
        return active_starts(rms_db, length, span, NOISE_SHARE)
    active = active_frames(rms_db)
    return np.flatnonzero([active.mean() >= NOISE_SHARE] if active.size else [])


def lowest_levels_db(
    excerpt: Excerpt, noises: Sequence[tuple[NoiseSpan, Clip]], snrs_db: Sequence[float]
) -> tuple[float, float]:
    """Return lower bounds of the levels of clean and of the faintest noise part, dBFS.

    What makes a pair faint is the common gain, and that depends on the mix's peak, which is at
    most the sum of the parts' peaks: ``p_music + g * sum_i p_i / rms_i`` with the loudest rung's
    ``g = rms_music * 10**(-snr / 20) / rms(sum)``. The sum of k noises of unit RMS is taken to
    have at least half of the power k. 1 dB is allowed for the whole-dB level curve.
    """
    music_db, peak = excerpt.level_db, excerpt.clip.peak + abs(excerpt.clip.mean)
    n_frames = math.ceil(excerpt.span.n_samples / FRAME_SAMPLES)
    for span, clip in noises:
        start = 0 if span.looped else round(span.start_s / FRAME_S)
        noise_db = span_level_db(clip.rms_db, start, n_frames)
        loudest_db = music_db - min(snrs_db) - 10 * math.log10(0.5 * len(noises))
        crest = (clip.peak + abs(clip.mean)) / signal.amplitude(noise_db)
        peak += crest * signal.amplitude(loudest_db)
    clean_db = music_db + signal.common_gain_db(peak) - 1.0
    return clean_db, clean_db - max(snrs_db) if noises else clean_db
