"""Read a span of an audio file as the mono 22,050 Hz signal that the mixing contract names.

Order (normative): linear decode, average to mono, resample in float64, band limit, crop. Samples
around the span are resampled and filtered with it, so its edges are what they are in the file.
"""

from __future__ import annotations

import contextlib
import functools
import io
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
import scipy.signal

from manifests import store
from manifests.audio import AudioError, open_audio, to_mono
from manifests.errors import UsageError
from manifests.resample import resample
from manifests.rows import SAMPLE_RATE
from manifests.signal import Signal

CONTEXT_S: Final = 0.25
"""Audio read on each side of a span for the filters to ring in; soxr VHQ needs under 0.05 s."""
TRANSITION_HZ: Final = 500.0
STOP_DB: Final = 84.0
"""What Kaiser's formula is asked for: asked for 80 dB it falls up to 1.6 dB short, so 80 dB are
had from 84 (band edges to 10.9 kHz, measured)."""
IN_MEMORY_BYTES: Final = 64 << 20


@dataclass(frozen=True)
class ReadOptions:
    """How files become signals; part of a set's identity.

    Attributes:
        decoder: ``soundfile`` or ``ffmpeg``.
        resampler: ``soxr``, ``sox`` or ``torchaudio``.
        band_hz: upper edge of the band kept, Hz; None keeps all.
        keep_dc: keep the span's mean instead of removing it.
    """

    decoder: str = "soundfile"
    resampler: str = "soxr"
    band_hz: float | None = None
    keep_dc: bool = False


@functools.lru_cache(maxsize=8)
def band_filter(band_hz: float) -> Signal:
    """Return a linear-phase low-pass for 22,050 Hz: 80 dB down from ``band_hz`` on.

    Kaiser window design (Kaiser 1974): the 500 Hz transition ends at ``band_hz``; odd length, so
    the delay is a whole number of samples.

    Raises:
        UsageError: the edge is not between the transition's width and half the sample rate.
    """
    if not TRANSITION_HZ < band_hz <= SAMPLE_RATE / 2:
        raise UsageError(
            f"--band-limit: expected above {TRANSITION_HZ:g} to {SAMPLE_RATE // 2} Hz, "
            f"got {band_hz:g} Hz"
        )
    n_taps, beta = scipy.signal.kaiserord(STOP_DB, TRANSITION_HZ / (SAMPLE_RATE / 2))
    taps: Signal = scipy.signal.firwin(
        n_taps | 1, band_hz - TRANSITION_HZ / 2, window=("kaiser", beta), fs=SAMPLE_RATE
    )
    return taps


def limit_band(signal: Signal, band_hz: float) -> Signal:
    """Low-pass a 22,050 Hz signal without delay; same length ``(n_samples,)``."""
    filtered: Signal = scipy.signal.oaconvolve(signal, band_filter(band_hz), mode="same")
    return filtered


def resampled_length(source_samples: int, source_rate: int) -> int:
    """Return how many samples at 22,050 Hz a file holds; rounded down."""
    return source_samples * SAMPLE_RATE // source_rate


def read_span(
    url: str,
    name: str,
    *,
    source_rate: int,
    start: int,
    n_samples: int,
    options: ReadOptions,
    data: bytes | None = None,
) -> Signal:
    """Read ``n_samples`` from sample ``start`` (both at 22,050 Hz) of a file.

    The source block that is resampled begins where output and source grids meet, so a span holds
    the same samples however much is read around it.

    Args:
        url: path or fsspec URL.
        name: for messages.
        source_rate: rate that the scan found, Hz.
        start: first sample at 22,050 Hz.
        n_samples: length at 22,050 Hz.
        options: decoder, resampler, band limit; the mean is removed unless ``keep_dc``.
        data: the file's bytes where they are already in memory.

    Returns:
        ``(n_samples,)``.

    Raises:
        AudioError: the file is not what the scan saw (``changed``) or does not decode.
    """
    common = math.gcd(SAMPLE_RATE, source_rate)
    up, down = SAMPLE_RATE // common, source_rate // common
    context = round(CONTEXT_S * SAMPLE_RATE)
    first = max(start - context, 0) // up * up
    source_first = first // up * down
    source_last = -(-(start + n_samples + context) * source_rate // SAMPLE_RATE)
    mono = _decode(url, name, source_rate, source_first, source_last, options, data)
    signal = resample(mono, source_rate, SAMPLE_RATE, options.resampler)
    if options.band_hz is not None:
        signal = limit_band(signal, options.band_hz)
    span = signal[start - first : start - first + n_samples]
    if span.size < n_samples - 1:
        raise AudioError(
            "changed",
            f"{name}: expected {n_samples} samples from {start}, got {span.size}; "
            "the file changed since it was scanned",
        )
    if span.size < n_samples:  # a resampler that rounds its length down by one
        span = np.concatenate([span, np.zeros(n_samples - span.size)])
    return span if options.keep_dc else span - np.sum(span) / span.size


def _decode(
    url: str,
    name: str,
    source_rate: int,
    first: int,
    last: int,
    options: ReadOptions,
    data: bytes | None,
) -> Signal:
    """Return mono source samples ``first`` to ``last`` (cut at the end of the file)."""
    source: Any = io.BytesIO(data) if data is not None else _source(url)
    pieces, at = [], 0
    try:
        with open_audio(source, name, options.decoder) as (header, blocks):
            if header.sample_rate != source_rate:
                raise AudioError(
                    "changed", f"{name}: expected {source_rate} Hz, got {header.sample_rate} Hz"
                )
            for block in blocks:
                if at + len(block) > first:
                    pieces.append(to_mono(block[max(first - at, 0) : last - at]))
                at += len(block)
                if at >= last:
                    break
    finally:
        if hasattr(source, "close"):
            source.close()
    return np.concatenate(pieces) if pieces else np.zeros(0)


def _source(url: str) -> IO[bytes] | Any:
    return store.local_path(url) if store.is_local(url) else store.open_read(url)


def read_file(url: str, *, options: ReadOptions | None = None) -> Signal:
    """Read a whole file of any rate and channel count as ``(n_samples,)`` at 22,050 Hz.

    Raises:
        AudioError: it does not decode.
    """
    options = options or ReadOptions()
    with contextlib.ExitStack() as stack:
        source = _source(url)
        if not isinstance(source, Path):
            stack.enter_context(source)
        header, blocks = stack.enter_context(open_audio(source, url, options.decoder))
        mono = np.concatenate([to_mono(block) for block in blocks] or [np.zeros(0)])
    signal = resample(mono, header.sample_rate, SAMPLE_RATE, options.resampler)
    if options.band_hz is not None:
        signal = limit_band(signal, options.band_hz)
    return signal


def read_pieces(
    url: str, n_samples: int, *, options: ReadOptions | None = None
) -> Iterator[Signal]:
    """Read a file of any length a piece at a time, in the memory of a piece.

    As in ``read_span``, what is resampled begins where output and source grids meet and reaches
    ``CONTEXT_S`` beyond the piece, so the pieces follow each other without a seam.

    Args:
        url: path or fsspec URL.
        n_samples: length of a piece at 22,050 Hz.
        options: decoder, resampler, band limit; the mean stays.

    Yields:
        ``(n_samples,)`` at 22,050 Hz, the last one shorter; nothing for a file without samples.

    Raises:
        AudioError: it does not decode.
    """
    options, context = options or ReadOptions(), round(CONTEXT_S * SAMPLE_RATE)
    with contextlib.ExitStack() as stack:
        source = _source(url)
        if not isinstance(source, Path):
            stack.enter_context(source)
        header, blocks = stack.enter_context(open_audio(source, url, options.decoder))
        rate = header.sample_rate
        common = math.gcd(SAMPLE_RATE, rate)
        up, down = SAMPLE_RATE // common, rate // common
        held, held_from, start, ended = np.zeros(0), 0, 0, False
        while True:
            first = max(start - context, 0) // up * up
            source_first = first // up * down
            source_last = -(-(start + n_samples + context) * rate // SAMPLE_RATE)
            pieces = [held[source_first - held_from :]]
            n_held = len(pieces[0])
            while n_held < source_last - source_first and not ended:
                block = next(blocks, None)
                ended = block is None
                pieces += [] if block is None else [to_mono(block)]
                n_held += 0 if block is None else len(block)
            held, held_from = np.concatenate(pieces), source_first
            signal = resample(
                held[: source_last - source_first], rate, SAMPLE_RATE, options.resampler
            )
            if options.band_hz is not None and signal.size:
                signal = limit_band(signal, options.band_hz)
            piece = signal[start - first : start - first + n_samples]
            if piece.size:
                yield piece
            if piece.size < n_samples:
                return
            start += n_samples
