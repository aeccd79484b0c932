"""Members of a set: 16-bit mono FLAC or WAV from samples and back, whole or a crop."""

from __future__ import annotations

import hashlib
import io
from typing import Final

import numpy as np
import soundfile

from manifests.decoding import AudioError
from manifests.errors import UsageError
from manifests.linear_file import LinearFile, said_by
from manifests.signal import Pcm

CODECS: Final = ("flac", "wav")
MAX_SAMPLES: Final = 1 << 30
"""Longest member that is decoded: 13.5 h, 2 GiB. A hostile header may announce 2**36 samples."""


def encode_pcm(pcm: Pcm, sample_rate: int, codec: str) -> bytes:
    """Encode 16-bit mono samples ``(n,)`` as FLAC or WAV; lossless, the same bytes every time.

    Raises:
        UsageError: unknown codec.
    """
    if codec not in CODECS:
        raise UsageError(f"codec {codec!r}: expected one of {', '.join(CODECS)}")
    buffer = io.BytesIO()
    soundfile.write(buffer, pcm, sample_rate, format=codec.upper(), subtype="PCM_16")
    return buffer.getvalue()


def decode_pcm(data: bytes, name: str, n_samples: int | None = None) -> tuple[Pcm, int]:
    """Decode a member of a set.

    Args:
        data: the member's bytes.
        name: for messages.
        n_samples: length that the sidecar states; a header that announces another one is refused
            before anything is decoded (a few kB of FLAC can unpack to gigabytes).

    Returns:
        Samples ``(n,)`` int16, and the sample rate in Hz.

    Raises:
        AudioError: it is not 16-bit mono audio, or does not decode.
    """
    try:
        with soundfile.SoundFile(io.BytesIO(data)) as sound:
            if sound.channels != 1 or sound.subtype != "PCM_16":
                raise AudioError(
                    "undecodable",
                    f"{name}: expected 16-bit mono, got {sound.subtype} with "
                    f"{sound.channels} channels",
                )
            if n_samples is not None and sound.frames != n_samples:
                raise AudioError(
                    "truncated", f"{name}: expected {n_samples} samples, got {sound.frames}"
                )
            if sound.frames > MAX_SAMPLES:
                raise AudioError(
                    "undecodable",
                    f"{name}: expected at most {MAX_SAMPLES} samples, got {sound.frames}",
                )
            pcm: Pcm = sound.read(dtype="int16")
            if len(pcm) != sound.frames:
                raise AudioError(
                    "truncated", f"{name}: expected {sound.frames} samples, got {len(pcm)}"
                )
            return pcm, sound.samplerate
    except soundfile.SoundFileError as error:
        raise AudioError("undecodable", f"{name}: {said_by(error)}") from error


def pcm_sha256(pcm: Pcm) -> str:
    """Return the SHA-256 of samples as little-endian int16: equal for any lossless coding."""
    return hashlib.sha256(np.ascontiguousarray(pcm, dtype="<i2").data).hexdigest()


def decode_crop(data: bytes | io.RawIOBase, name: str, start: int, n_samples: int) -> Pcm:
    """Decode only samples ``start`` to ``start + n_samples`` of a lossless member.

    Seeking is exact in FLAC and WAV, so a crop costs a fraction of the whole.

    Args:
        data: the member's bytes, or a file of them that can seek, wherever it stands.
        name: for messages.
        start: first sample.
        n_samples: how many.

    Returns:
        ``(n_samples,)``, int16.

    Raises:
        AudioError: not 16-bit mono FLAC or WAV, or shorter than the crop needs.
    """
    try:
        file = io.BytesIO(data) if isinstance(data, bytes) else data
        file.seek(0)
        with LinearFile(file) as sound:  # a seek after the read would decode two frames more
            if sound.format not in ("FLAC", "WAV") or sound.channels != 1:
                raise AudioError(
                    "undecodable", f"{name}: expected mono FLAC or WAV, got {sound.format}"
                )
            if not 0 <= start <= sound.frames - n_samples:
                raise AudioError(
                    "truncated",
                    f"{name}: expected samples {start} to {start + n_samples}, got {sound.frames}",
                )
            sound.seek(start)
            pcm: Pcm = sound.read(n_samples, dtype="int16")
            if len(pcm) != n_samples:
                raise AudioError(
                    "truncated", f"{name}: expected {n_samples} samples, got {len(pcm)}"
                )
            return pcm
    except soundfile.SoundFileError as error:
        raise AudioError("undecodable", f"{name}: {said_by(error)}") from error
