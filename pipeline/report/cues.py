"""What could give the domain away without listening: level, peak, silence, band above 8 kHz.

Each cue is measured on chunks of one model input (59,049 samples), once as stored and once scaled
to -20 dBFS RMS as the trainer does it, on the same chunks of clean and noisy members.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import scipy.signal

from manifests import signal
from manifests.keys import CLEAN
from manifests.rows import CHUNK_SAMPLES, FRAME_S, SAMPLE_RATE
from manifests.signal import Signal
from pipeline.report.sample import Place, read_example

CUES: Final = ("level", "peak", "silence", "band above 8 kHz")
CHUNKS_EACH: Final = 4
HEARD_DBFS: Final = -20.0
"""RMS to which the trainer scales every model input (DESIGN section 6)."""
SILENT_DBFS: Final = -100.0
"""Chunks quieter than this stay as they are, in the trainer and here."""
SILENT_FRAME_DBFS: Final = -60.0
BAND_HZ: Final = 8_000.0
EMPTY_BAND_DB: Final = -60.0
"""Less than this share above 8 kHz counts as nothing: where a scan sees the occupied band end."""
FFT_SAMPLES: Final = 4096


@dataclass(frozen=True)
class ChunkCues:
    """Cues of one chunk of one member.

    Attributes:
        song: corpus and song, the group of the cross-validation.
        target_db: SNR of the member; None for clean.
        stored: level and peak in dBFS, silence as the share of 0.1 s frames below -60 dBFS, band
            as the share of energy above 8 kHz in dB: the order of ``CUES``.
        heard: the same after scaling to -20 dBFS RMS.
    """

    song: str
    target_db: float | None
    stored: tuple[float, ...]
    heard: tuple[float, ...]


def measure_examples(url: str, places: Sequence[Place]) -> tuple[list[ChunkCues], int]:
    """Measure the cues of some examples' members, and count the examples; a task for workers."""
    return [cues for where in places for cues in measure_example(url, where)], len(places)


def measure_example(url: str, where: Place) -> list[ChunkCues]:
    """Measure the cues of up to four chunks of every member of one example."""
    example, members = read_example(url, where)
    song = f"{example.music.corpus}/{example.music.song}"
    chunks = chunk_slices(members[CLEAN].size)
    measured = []
    for member, pcm in members.items():
        samples = signal.from_pcm(pcm)
        for piece in chunks:
            band_db = band_share_db(samples[piece])  # a share does not move with the level
            stored = (*loudness_cues(samples[piece]), band_db)
            heard = (*loudness_cues(as_heard(samples[piece])), band_db)
            measured.append(ChunkCues(song, example.members[member].target_db, stored, heard))
    return measured


def chunk_slices(n_samples: int) -> list[slice]:
    """Return up to four whole chunks, evenly spread; all of it where it is shorter than one."""
    n_chunks = n_samples // CHUNK_SAMPLES
    if n_chunks == 0:
        return [slice(0, n_samples)]
    chosen = np.unique(np.linspace(0, n_chunks - 1, min(CHUNKS_EACH, n_chunks)).round().astype(int))
    return [slice(int(i) * CHUNK_SAMPLES, int(i + 1) * CHUNK_SAMPLES) for i in chosen]


def as_heard(samples: Signal) -> Signal:
    """Return a chunk ``(n,)`` scaled to -20 dBFS RMS; silence stays silence."""
    level_db = signal.power_db(signal.power(samples))
    if level_db <= SILENT_DBFS:
        return samples
    return samples * signal.amplitude(HEARD_DBFS - level_db)


def loudness_cues(samples: Signal) -> tuple[float, float, float]:
    """Return level and peak of a chunk ``(n,)``, dBFS, at least -100, and its share of silence."""
    level_db = max(signal.power_db(signal.power(samples)), SILENT_DBFS)
    peak = float(np.max(np.abs(samples), initial=0.0))
    peak_db = max(signal.power_db(peak * peak), SILENT_DBFS)
    # Scaled chunks have one level up to float rounding, which is no cue.
    return round(level_db, 6) + 0.0, round(peak_db, 6) + 0.0, silent_share(samples)


def silent_share(samples: Signal) -> float:
    """Return the share of whole 0.1 s frames with an RMS below -60 dBFS; 0 without a frame."""
    frame = round(FRAME_S * SAMPLE_RATE)
    n_frames = samples.size // frame
    if n_frames == 0:
        return 0.0
    power = np.mean(samples[: n_frames * frame].reshape(n_frames, frame) ** 2, axis=1)
    return float(np.mean(power < 10.0 ** (SILENT_FRAME_DBFS / 10.0)))


def band_share_db(samples: Signal) -> float:
    """Return the share of energy above 8 kHz, dB, at least -60 (4096-point Hann, averaged)."""
    size = min(FFT_SAMPLES, samples.size)
    if size == 0:
        return EMPTY_BAND_DB
    frequencies, density = scipy.signal.welch(
        samples, fs=SAMPLE_RATE, window="hann", nperseg=size, detrend=False
    )
    total = float(np.sum(density))
    above = float(np.sum(density[frequencies > BAND_HZ]))
    return max(signal.power_db(above / total), EMPTY_BAND_DB) if total > 0.0 else EMPTY_BAND_DB
