"""Sounds whose figures are known, and files of them."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import soundfile

from manifests.signal import Signal

SINE_DBFS = 10.0 * np.log10(0.5)
"""Level of a sine that reaches full scale: -3.01 dBFS."""


def tone(
    frequency_hz: float, n_samples: int, sample_rate: int = 22_050, peak: float = 1.0
) -> Signal:
    """A sine, ``(n_samples,)``; over whole periods its power is ``peak**2 / 2``."""
    return peak * np.sin(2 * np.pi * frequency_hz * np.arange(n_samples) / sample_rate)


def white(n_samples: int, seed: int = 0, rms: float = 0.1) -> Signal:
    """White noise, ``(n_samples,)``."""
    return rms * np.random.default_rng(seed).standard_normal(n_samples)


def write(path: Path, signal: Signal, sample_rate: int = 22_050, subtype: str = "PCM_16") -> Path:
    """Write a file in the format of its name."""
    soundfile.write(path, signal, sample_rate, subtype=subtype)
    return path


def mp3_bytes(signal: Signal, sample_rate: int, mode: str = "CONSTANT") -> bytes:
    """Encode as MP3 with LAME: ``CONSTANT`` or ``VARIABLE`` bit rate, with a Xing/Info frame."""
    buffer = io.BytesIO()
    soundfile.write(
        buffer,
        signal,
        sample_rate,
        format="MP3",
        subtype="MPEG_LAYER_III",
        bitrate_mode=mode,
        compression_level=0.5,
    )
    return buffer.getvalue()


def uneven_music(n_samples: int, sample_rate: int, seed: int = 1) -> Signal:
    """A tone that swells and noise that comes and goes: a VBR encoder spends bits unevenly."""
    t = np.arange(n_samples) / sample_rate
    swell = 0.5 * (1.0 + np.sin(2 * np.pi * 0.7 * t))
    return 0.3 * swell * np.sin(2 * np.pi * 440.0 * t) + white(n_samples, seed) * (t % 2.0 > 1.0)


def frame_offsets(data: bytes, sample_rate: int = 44_100) -> list[int]:
    """Where the frames of a whole MPEG-1 file begin, by ISO/IEC 11172-3: 144 x bit rate / rate."""
    kbps = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
    at, found = 0, []
    while at < len(data):
        assert data[at] == 0xFF and data[at + 1] & 0xFE == 0xFA
        found.append(at)
        at += 144_000 * kbps[data[at + 2] >> 4] // sample_rate + (data[at + 2] >> 1 & 1)
    return found
