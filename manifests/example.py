"""One example of a set: its sidecar ``KEY.json`` and its audio members.

Members, in this order: ``KEY.clean.flac``, ``KEY.noisy.snr_10.flac`` ... (one per SNR as listed),
``KEY.json``; without noise ``KEY.audio.flac``, ``KEY.json``. See docs/shard-format.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from manifests.canonical import canonical_json
from manifests.errors import ManifestError
from manifests.keys import SIDECAR, check_key
from manifests.member_audio import decode_pcm, pcm_sha256
from manifests.records import row_from_json
from manifests.rows import SAMPLE_RATE
from manifests.signal import Pcm

FORMAT_VERSION: Final = 1
MAX_SIDECAR_BYTES: Final = 1 << 20


@dataclass(frozen=True)
class MusicSource:
    """Where the music of an example comes from."""

    corpus: str
    clip_id: str
    song: str
    artist: str
    licence: str
    source_sha256: str
    source_rate: int
    start_s: float
    duration_s: float


@dataclass(frozen=True)
class NoiseSource:
    """Where one noise of an example comes from; ``level_db`` is the gain to 0 dBFS RMS."""

    corpus: str
    clip_id: str
    labels: tuple[str, ...]
    licence: str
    source_sha256: str
    source_rate: int
    start_s: float
    looped: bool
    level_db: float


@dataclass(frozen=True)
class Member:
    """One audio member.

    Attributes:
        target_db: SNR asked for; None for clean and real recordings.
        mix_gain_db: gain of the noise sum before the common gain; None without noise.
        achieved_db: SNR of the int16 samples as written; None without noise.
        peak: largest magnitude, full scale = 1.
        n_samples: samples at 22,050 Hz.
        pcm_sha256: SHA-256 of the samples as little-endian int16.
    """

    target_db: float | None
    mix_gain_db: float | None
    achieved_db: float | None
    peak: float
    n_samples: int
    pcm_sha256: str


@dataclass(frozen=True)
class Example:
    """The sidecar of one example; ``members`` maps ``clean``, ``noisy.snr_-10`` ... to figures."""

    format_version: int
    key: str
    split: str
    domain: str | None
    tags: tuple[str, ...]
    music: MusicSource
    noises: tuple[NoiseSource, ...]
    gain_db: float
    band_hz: float | None
    chunk_snr_db: tuple[float, ...]
    members: dict[str, Member]


def encode_sidecar(example: Example) -> bytes:
    """Return the bytes of ``KEY.json``: canonical JSON (sorted keys, no NaN)."""
    return canonical_json(example).encode()


def decode_sidecar(data: bytes, name: str) -> Example:
    """Read ``KEY.json`` back, strictly.

    Raises:
        ManifestError: too large, not JSON, a wrong field, or another format version.
    """
    if len(data) > MAX_SIDECAR_BYTES:
        raise ManifestError(f"{name}: expected at most {MAX_SIDECAR_BYTES} bytes, got {len(data)}")
    example = row_from_json(data, Example, name)
    if example.format_version != FORMAT_VERSION:
        raise ManifestError(
            f"{name}: expected format version {FORMAT_VERSION}, got {example.format_version}"
        )
    check_key(example.key)
    return example


def decode_members(files: Mapping[str, bytes], name: str) -> tuple[Example, dict[str, Pcm]]:
    """Decode all files of one example, e.g. ``{"clean.flac": ..., "json": ...}``.

    Args:
        files: file contents by what stands after ``KEY.``.
        name: for messages, e.g. the shard and key.

    Returns:
        The sidecar and the samples of every member by name.

    Raises:
        ManifestError: a member is missing, extra, of another length, rate or content.
    """
    if SIDECAR not in files:
        raise ManifestError(f"{name}: expected a .json member, got {sorted(files)}")
    example = decode_sidecar(files[SIDECAR], f"{name}.json")
    audio = {file.rsplit(".", 1)[0]: data for file, data in files.items() if file != SIDECAR}
    if audio.keys() != example.members.keys() or len(audio) != len(files) - 1:
        raise ManifestError(
            f"{name}: expected members {sorted(example.members)}, "
            f"got {sorted(file for file in files if file != SIDECAR)}"
        )
    decoded = {}
    for member, figures in example.members.items():
        pcm, sample_rate = decode_pcm(audio[member], f"{name}.{member}", figures.n_samples)
        if sample_rate != SAMPLE_RATE:
            raise ManifestError(f"{name}.{member}: expected {SAMPLE_RATE} Hz, got {sample_rate} Hz")
        if pcm_sha256(pcm) != figures.pcm_sha256:
            raise ManifestError(
                f"{name}.{member}: expected samples with SHA-256 {figures.pcm_sha256[:12]}…, "
                f"got {pcm_sha256(pcm)[:12]}…"
            )
        decoded[member] = pcm
    return example, decoded
