"""Where a clip is loud enough to be drawn from: spans on the 0.1 s grid of its level curve."""

from __future__ import annotations

import functools
import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from manifests.measure import ACTIVE_FLOOR_DBFS
from manifests.rows import FRAME_S, SAMPLE_RATE

BELOW_LOUDEST_DB: Final = 40
MUSIC_SHARE: Final = 0.5
NOISE_SHARE: Final = 0.1
FRAME_SAMPLES: Final = round(FRAME_S * SAMPLE_RATE)

_POWERS: Final = 10.0 ** (np.arange(256, dtype=np.uint8).view(np.int8) / 10.0)
"""Power of each level by its byte."""


def levels_db(rms_db: bytes) -> NDArray[np.int8]:
    """Return the level curve of a clip, dBFS per 0.1 s, shape ``(n_frames,)``."""
    return np.frombuffer(rms_db, dtype=np.int8)


def active_frames(rms_db: bytes) -> NDArray[np.bool_]:
    """Mark frames within 40 dB of the clip's loudest and above -60 dBFS."""
    levels = levels_db(rms_db).astype(np.int16)
    if not levels.size:
        return np.zeros(0, dtype=np.bool_)
    active: NDArray[np.bool_] = (levels >= levels.max() - BELOW_LOUDEST_DB) & (
        levels > ACTIVE_FLOOR_DBFS
    )
    return active


def active_starts(
    rms_db: bytes, clip_samples: int, span_samples: int, share: float
) -> NDArray[np.intp]:
    """Return the frames at which a span may start so that enough of it is active.

    Args:
        rms_db: level curve, one int8 per 0.1 s.
        clip_samples: length of the clip at 22,050 Hz.
        span_samples: length of the span at 22,050 Hz, at most the clip's.
        share: least share of the span's frames that must be active.

    Returns:
        Frame numbers in rising order; a span at frame f starts at f * 2,205 samples.
    """
    active = active_frames(rms_db)
    last = (clip_samples - span_samples) // FRAME_SAMPLES
    span_frames = max(-(-span_samples // FRAME_SAMPLES), 1)
    sums = np.concatenate([[0], np.cumsum(active)])
    starts = np.arange(last + 1)
    stops = np.minimum(starts + span_frames, active.size)
    starts_in = np.minimum(starts, active.size)
    counts = sums[stops] - sums[starts_in]
    return np.flatnonzero(counts >= share * np.maximum(stops - starts_in, 1)).astype(np.intp)


@functools.lru_cache(maxsize=1 << 16)
def span_level_db(rms_db: bytes, start_frame: int, n_frames: int) -> float:
    """Return the RMS level of a span from the level curve, dBFS (to about 0.5 dB).

    Kept, since a noise that is looped is asked for whole, under one example after the other.
    """
    levels = np.frombuffer(rms_db, np.uint8)[start_frame : start_frame + n_frames]
    if not levels.size:
        return -128.0
    return 10.0 * math.log10(float(_POWERS[levels].sum()) / levels.size)
