"""Measure an audio file in one linear decode: length, levels, bandwidth, hash, and what is wrong.

Everything that could make a build fail later is found here, before anything is planned.
"""

from __future__ import annotations

import contextlib
import hashlib
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any, Final

import numpy as np

from manifests import store
from manifests.audio import AudioError, AudioHeader, Block, open_audio, to_mono
from manifests.errors import ManifestError, UsageError
from manifests.mp3 import MP3_SUFFIXES, count_frames
from manifests.ogg import count_chained
from manifests.running_sums import RunningSums
from manifests.signal import peak

ACTIVE_FLOOR_DBFS: Final = -60.0
"""A frame quieter than this is not active (DESIGN section 3); a file without one is silent."""
LOUDEST_PEAK: Final = 1e6
"""120 dB above full scale: floats on the scale of int16 pass, noise from misread bytes does not."""
RATES_HZ: Final = (4_000, 384_000)
MAX_CHANNELS: Final = 64
SUFFIXES: Final = {
    "WAV": (".wav", ".wave"),
    "WAVEX": (".wav", ".wave"),
    "RF64": (".wav", ".rf64", ".w64"),
    "FLAC": (".flac",),
    "OGG": (".ogg", ".oga", ".opus"),
    "MP3": MP3_SUFFIXES,
    "AIFF": (".aif", ".aiff", ".aifc"),
}
"""How the names of a container end."""
_CHUNK: Final = re.compile(
    r"^\s*(?:data|SSND|Data Size|riff|Riff size)\s*: (\d+) \(should be (\d+)\)", re.MULTILINE
)
"""libsndfile's notes on the chunk that holds the audio of WAV, AIFF, AU, W64 and RF64."""
_NO_OGG_END: Final = "Last page lacks an end-of-stream bit"


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
    band_db: bytes = b""


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
        AudioError: the file is missing, unreadable, empty, renamed, undecodable, truncated,
            damaged, silent, not finite, or has an absurd rate or level; ``reason`` is that word.
        ManifestError: a remote file cannot be read, which says nothing about the file.
        UsageError: the decoder's program is missing.
    """
    size = store.size_bytes(url)
    if size is None:
        raise AudioError("missing", f"{name}: expected an audio file, found none")
    if size == 0:
        raise AudioError("empty", f"{name}: expected audio, got 0 bytes")
    with _opened(url, name) as file:
        digest = _sha256(file)
        source: Any = store.local_path(url) if store.is_local(url) else file
        with open_audio(source, name, decoder) as (header, blocks):
            _check_header(header, name, decoder)
            sums = RunningSums(header.sample_rate)
            for block in blocks:
                _add_finite(sums, block, name)
        if sums.n_samples == 0:
            raise AudioError("empty", f"{name}: expected audio, decoded 0 samples")
        file.seek(0)
        _check_length(file, name, header, sums.n_samples, expected_s, decoder)
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
        band_db=sums.band_db(),
    )


@contextlib.contextmanager
def _opened(url: str, name: str) -> Iterator[IO[bytes]]:
    """Open a file; one of this machine that cannot be read is a reject, not the end of a scan."""
    try:
        with store.open_read(url) as file:
            yield file
    except (AudioError, UsageError):
        raise
    except (ManifestError, OSError) as error:
        if not store.is_local(url):
            raise ManifestError(f"{name}: cannot be read: {error}") from error
        cause = error.__cause__ or error
        said = getattr(cause, "strerror", None) or type(cause).__name__
        raise AudioError("unreadable", f"{name}: cannot be read: {said}") from error


def _sha256(file: IO[bytes]) -> str:
    digest = hashlib.sha256()
    while data := file.read(1 << 20):
        digest.update(data)
    file.seek(0)
    return digest.hexdigest()


def _add_finite(sums: RunningSums, block: Block, name: str) -> None:
    with np.errstate(over="ignore", invalid="ignore"):
        mono = to_mono(block)
    top = peak(mono)
    if not math.isfinite(top):
        raise AudioError("not-finite", f"{name}: expected finite samples, got NaN or infinity")
    if top > LOUDEST_PEAK:
        raise AudioError(
            "absurd-level",
            f"{name}: expected a peak of at most {LOUDEST_PEAK:g} of full scale, got {top:.3g}",
        )
    sums.add(mono, top)


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
    suffixes = SUFFIXES.get(container)
    suffix = "." + name.rsplit(".", 1)[-1].lower()
    known = {s for group in SUFFIXES.values() for s in group}
    if decoder == "soundfile" and suffixes and suffix in known and suffix not in suffixes:
        raise AudioError(
            "renamed", f"{name}: expected {suffix[1:].upper()} audio, got {container}; rename it"
        )


def _check_length(
    file: IO[bytes],
    name: str,
    header: AudioHeader,
    n_samples: int,
    expected_s: float,
    decoder: str,
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
    if decoder == "soundfile" and header.format.startswith("OGG"):
        _check_ogg(file, name)
    if header.format.startswith("MP3"):
        _check_mp3(file.read(), name, n_samples)
    chunk = _CHUNK.search(header.notes)
    if chunk and not _is_placeholder(int(chunk[1])) and int(chunk[1]) > int(chunk[2]) * 1.01:
        raise AudioError("truncated", f"{name}: expected {chunk[1]} bytes of audio, got {chunk[2]}")
    if _NO_OGG_END in header.notes and not expected_s:
        raise AudioError(
            "truncated",
            f"{name}: expected an Ogg stream with an end, got {duration_s:.1f} s without one",
        )


def _is_placeholder(n_bytes: int) -> bool:
    """Tell whether a chunk's size was written by a program that could not know it (a pipe).

    ffmpeg writes 0xFFFFFFFF, sox 0x7FFFF000 and thereabouts in WAV and 0x7F000008 in AIFF.
    """
    return 0x7F000000 <= n_bytes <= 0x7FFFFFFF or n_bytes >= 0xFFFFFF00


def _check_ogg(file: IO[bytes], name: str) -> None:
    """Refuse a chain of streams, of which libsndfile decodes the first alone and says nothing."""
    n_streams = count_chained(file)
    if n_streams > 1:
        raise AudioError(
            "truncated",
            f"{name}: expected one Ogg stream, got {n_streams} joined one behind the other, of "
            "which the first alone is decoded; take them apart or use --decoder ffmpeg",
        )


def _check_mp3(data: bytes, name: str, n_samples: int) -> None:
    """Compare frames counted from headers with what was announced and what was decoded.

    Encoders pad and decoders trim up to about eight frames, so that much is allowed beside 1 %.
    """
    frames = count_frames(data)
    if frames is None:
        return
    slack = 8 * frames.samples_per_frame
    announced = frames.announced_frames
    if (
        announced is not None
        and frames.n_frames > 1.01 * announced + 8
        and n_samples < 0.99 * frames.n_samples - slack
    ):
        raise AudioError(
            "truncated",
            f"{name}: expected {frames.n_frames} MP3 frames to be decoded, got the {announced} "
            "that its header announces: files that were joined to one; take them apart, or "
            "rewrite the header with 'ffmpeg -c copy'",
        )
    if abs(frames.n_samples - n_samples) > 0.01 * frames.n_samples + slack:
        raise AudioError(
            "truncated",
            f"{name}: expected {frames.n_samples} samples by its {frames.n_frames} frame headers, "
            f"decoded {n_samples}; a VBR file without header: rewrite it with 'ffmpeg -c copy'",
        )
    if announced is not None and frames.n_frames < 0.99 * announced - 1:
        raise AudioError(
            "truncated", f"{name}: expected {announced} MP3 frames, found {frames.n_frames}"
        )
    if frames.junk_bytes > 0.01 * len(data):
        raise AudioError(
            "damaged",
            f"{name}: {frames.junk_bytes} of {len(data)} bytes belong to no MP3 frame like the "
            "first",
        )
