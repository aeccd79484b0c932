"""Measure an audio file in one linear decode: length, levels, bandwidth, hash, and what is wrong.

Everything that could make a build fail later is found here, before anything is planned.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import IO, Any, Final

import numpy as np
from numpy.typing import NDArray

from manifests import store
from manifests.audio import AudioError, AudioHeader, Block, open_audio, to_mono
from manifests.mp3 import count_frames
from manifests.signal import Signal

FFT_SAMPLES: Final = 4096
BANDWIDTH_SHARE: Final = 1e-6
"""The occupied band ends where less than this share of the energy (-60 dB) lies above."""
SILENCE_DB: Final = -128
ACTIVE_FLOOR_DBFS: Final = -60.0
"""A frame quieter than this is not active (DESIGN section 3); a file without one is silent."""
RATES_HZ: Final = (4_000, 384_000)
MAX_CHANNELS: Final = 64
_SUFFIXES: Final = {
    "WAV": (".wav", ".wave"),
    "WAVEX": (".wav", ".wave"),
    "RF64": (".wav", ".rf64", ".w64"),
    "FLAC": (".flac",),
    "OGG": (".ogg", ".oga", ".opus"),
    "MP3": (".mp3", ".mp2", ".mpga"),
    "AIFF": (".aif", ".aiff", ".aifc"),
}


@dataclass(frozen=True)
class Measurement:
    """Measured facts of one file; the fields are those of ``manifests.rows.Clip``."""

    source_sha256: str
    source_bytes: int
    source_format: str
    source_rate: int
    channels: int
    source_samples: int
    peak: float
    mean: float
    bandwidth_hz: float
    rms_db: bytes


class _Accumulator:
    """Running sums over the mono average of a file, block by block."""

    def __init__(self, sample_rate: int) -> None:
        self.sample_rate = sample_rate
        self.n_samples = 0
        self.peak = 0.0
        self.total = 0.0
        self.frame_energy: list[NDArray[np.float64]] = []
        self.open_energy = 0.0
        self.spectrum = np.zeros(FFT_SAMPLES // 2 + 1)
        self.window = np.hanning(FFT_SAMPLES)

    def add(self, mono: Signal) -> None:
        self.peak = max(self.peak, float(np.max(np.abs(mono))))
        self.total += float(np.sum(mono))
        self._add_levels(mono)
        whole = mono[: mono.size // FFT_SAMPLES * FFT_SAMPLES].reshape(-1, FFT_SAMPLES)
        if not whole.size and self.n_samples == 0:  # a file shorter than one frame
            whole = np.zeros((1, FFT_SAMPLES))
            whole[0, : mono.size] = mono
        spectra = np.fft.rfft(whole * self.window, axis=1)
        self.spectrum += np.sum(spectra.real**2 + spectra.imag**2, axis=0)
        self.n_samples += mono.size

    def _add_levels(self, mono: Signal) -> None:
        """Add squares into frames; frame j is samples ceil(j r / 10) to ceil((j + 1) r / 10)."""
        rate, start, stop = self.sample_rate, self.n_samples, self.n_samples + mono.size
        first, last = start * 10 // rate, (stop - 1) * 10 // rate
        edges = -(-np.arange(first + 1, last + 1) * rate // 10) - start
        energy = np.add.reduceat(mono * mono, np.concatenate([[0], edges]).astype(np.intp))
        if start > -(-first * rate // 10):  # the first frame began in the block before
            energy[0] += self.open_energy
        elif start:
            self.frame_energy.append(np.array([self.open_energy]))
        self.frame_energy.append(energy[:-1])
        self.open_energy = float(energy[-1])

    def rms_db(self) -> bytes:
        energy = np.concatenate([*self.frame_energy, [self.open_energy]])
        edges = -(-np.arange(energy.size + 1) * self.sample_rate // 10)
        edges[-1] = self.n_samples
        mean = self.total / self.n_samples
        with np.errstate(divide="ignore"):  # DC is removed before mixing, so it is no level
            power = np.maximum(energy / np.maximum(np.diff(edges), 1) - mean * mean, 0.0)
            level = 10.0 * np.log10(power)
        return np.clip(np.rint(level), SILENCE_DB, 127).astype(np.int8).tobytes()

    def bandwidth_hz(self) -> float:
        above = np.cumsum(self.spectrum[::-1])[::-1]
        if above[0] <= 0.0:
            return 0.0
        occupied = int(np.count_nonzero(above > BANDWIDTH_SHARE * above[0]))
        return round(max(occupied - 1, 0) * self.sample_rate / FFT_SAMPLES, 1)


def measure(
    url: str, name: str, *, expected_s: float = 0.0, decoder: str = "soundfile"
) -> Measurement:
    """Decode a file once and measure it.

    Args:
        url: path or fsspec URL.
        name: path below the corpus root, for messages.
        expected_s: duration that the metadata states, 0 for none.
        decoder: see ``manifests.audio.DECODERS``.

    Raises:
        AudioError: the file is missing, empty, renamed, undecodable, truncated, damaged, silent,
            not finite, or has an absurd rate; ``reason`` is that word.
    """
    size = store.size_bytes(url)
    if size is None:
        raise AudioError("missing", f"{name}: expected an audio file, found none")
    if size == 0:
        raise AudioError("empty", f"{name}: expected audio, got 0 bytes")
    with store.open_read(url) as file:
        digest = _sha256(file)
        source: Any = store.local_path(url) if store.is_local(url) else file
        with open_audio(source, name, decoder) as (header, blocks):
            _check_header(header, name, decoder)
            sums = _Accumulator(header.sample_rate)
            for block in blocks:
                _add_finite(sums, block, name)
        if sums.n_samples == 0:
            raise AudioError("empty", f"{name}: expected audio, decoded 0 samples")
        file.seek(0)
        _check_length(file, name, header, sums.n_samples, expected_s)
    loudest_db = max(memoryview(rms_db := sums.rms_db()).cast("b"))
    if loudest_db < ACTIVE_FLOOR_DBFS:
        found = "zeros only" if sums.peak == 0.0 else f"{loudest_db} dBFS"
        raise AudioError(
            "silent", f"{name}: expected a frame above {ACTIVE_FLOOR_DBFS:.0f} dBFS, got {found}"
        )
    return Measurement(
        source_sha256=digest,
        source_bytes=size,
        source_format=header.format,
        source_rate=header.sample_rate,
        channels=header.channels,
        source_samples=sums.n_samples,
        peak=round(sums.peak, 6),
        mean=round(sums.total / sums.n_samples, 6) + 0.0,
        bandwidth_hz=sums.bandwidth_hz(),
        rms_db=rms_db,
    )


def _sha256(file: IO[bytes]) -> str:
    digest = hashlib.sha256()
    while data := file.read(1 << 20):
        digest.update(data)
    file.seek(0)
    return digest.hexdigest()


def _add_finite(sums: _Accumulator, block: Block, name: str) -> None:
    mono = to_mono(block)
    if not np.isfinite(mono).all():
        raise AudioError("not-finite", f"{name}: expected finite samples, got NaN or infinity")
    sums.add(mono)


def _check_header(header: AudioHeader, name: str, decoder: str) -> None:
    low, high = RATES_HZ
    if not low <= header.sample_rate <= high:
        raise AudioError(
            "absurd-rate", f"{name}: expected {low} to {high} Hz, got {header.sample_rate} Hz"
        )
    if header.channels > MAX_CHANNELS:
        raise AudioError(
            "undecodable", f"{name}: expected at most 64 channels, got {header.channels}"
        )
    container = header.format.split("/")[0]
    suffixes = _SUFFIXES.get(container)
    suffix = "." + name.rsplit(".", 1)[-1].lower()
    known = {s for group in _SUFFIXES.values() for s in group}
    if decoder == "soundfile" and suffixes and suffix in known and suffix not in suffixes:
        raise AudioError(
            "renamed", f"{name}: expected {suffix[1:].upper()} audio, got {container}; rename it"
        )


def _check_length(
    file: IO[bytes], name: str, header: AudioHeader, n_samples: int, expected_s: float
) -> None:
    duration_s = n_samples / header.sample_rate
    allowed_s = 0.5 if expected_s <= 60.0 else 0.01 * expected_s
    if expected_s and duration_s < expected_s - allowed_s:
        raise AudioError(
            "truncated",
            f"{name}: expected {expected_s:.1f} s by the metadata, got {duration_s:.1f} s",
        )
    if header.n_samples is not None and n_samples < 0.99 * header.n_samples - 4608:
        raise AudioError(
            "truncated", f"{name}: expected {header.n_samples} samples, decoded {n_samples}"
        )
    if header.format.startswith("MP3"):
        _check_mp3(file.read(), name, n_samples)
    declared = re.search(r"data\s*: (\d+) \(should be (\d+)\)", header.notes)
    if declared and int(declared[1]) > int(declared[2]) * 1.01 and int(declared[1]) < 0xFFFFFFFF:
        raise AudioError(
            "truncated", f"{name}: expected {declared[1]} bytes of audio, got {declared[2]}"
        )


def _check_mp3(data: bytes, name: str, n_samples: int) -> None:
    """Compare frames counted from headers with what was announced and what was decoded.

    Encoders pad and decoders trim up to about eight frames, so that much is allowed beside 1 %.
    """
    frames = count_frames(data)
    if frames is None:
        return
    slack = 8 * frames.samples_per_frame
    if abs(frames.n_samples - n_samples) > 0.01 * frames.n_samples + slack:
        raise AudioError(
            "truncated",
            f"{name}: expected {frames.n_samples} samples by its {frames.n_frames} frame headers, "
            f"decoded {n_samples}; a VBR file without header: rewrite it with 'ffmpeg -c copy'",
        )
    announced = frames.announced_frames
    if announced is not None and frames.n_frames < 0.99 * announced - 1:
        raise AudioError(
            "truncated", f"{name}: expected {announced} MP3 frames, found {frames.n_frames}"
        )
    if frames.junk_bytes > 0.01 * len(data):
        raise AudioError(
            "damaged", f"{name}: {frames.junk_bytes} of {len(data)} bytes belong to no MP3 frame"
        )
