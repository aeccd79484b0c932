"""Waveforms to the bytes of a WAV, FLAC or MP3 file."""

from __future__ import annotations

import io
from dataclasses import dataclass, replace
from typing import Final

import soundfile

from pipeline.demo.oscillators import Signal

_MP3_QUALITY: Final = {
    # libsndfile has no bit rates, only a quality from 0 to 1: these give the rate in the key.
    "32k": ("CONSTANT", 0.842),
    "96k": ("CONSTANT", 0.77),
    "vbr": ("VARIABLE", 0.8),
}


@dataclass(frozen=True)
class Encoding:
    """How a file is written.

    Attributes:
        container: ``WAV``, ``FLAC`` or ``MP3``.
        sample_rate: Hz.
        channels: 1 or 2.
        coding: ``PCM_16`` or ``PCM_24``; for MP3 ``32k`` (constant, as in MagnaTagATune), ``96k``
            (constant) or ``vbr``.
    """

    container: str
    sample_rate: int
    channels: int = 1
    coding: str = "PCM_16"

    def lossless_twin(self, container: str) -> Encoding:
        """Return the same rate and channels in another container, 16 bit."""
        return replace(self, container=container, coding="PCM_16")


def encode(waveform: Signal, encoding: Encoding) -> bytes:
    """Encode a waveform.

    Args:
        waveform: shape (n, channels), full scale = 1.
        encoding: container, rate, channels and coding.

    Returns:
        The bytes of the file; the same on every call.
    """
    buffer = io.BytesIO()
    if encoding.container == "MP3":
        mode, quality = _MP3_QUALITY[encoding.coding]
        soundfile.write(
            buffer,
            waveform,
            encoding.sample_rate,
            format="MP3",
            subtype="MPEG_LAYER_III",
            compression_level=quality,
            bitrate_mode=mode,
        )
    else:
        soundfile.write(
            buffer,
            waveform,
            encoding.sample_rate,
            format=encoding.container,
            subtype=encoding.coding,
        )
    return buffer.getvalue()
