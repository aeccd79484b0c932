"""Waveforms from which every demo sound is made: table oscillators, envelopes, shaped noise.

A tone is one period with the wanted harmonics, read at the wanted pitch; two periods with
different spectra, cross-faded over the note, give a spectrum that changes with time at the price
of two look-ups a sample. Harmonics above 0.45 x the sample rate are left out, so nothing aliases.
"""

from __future__ import annotations

import functools
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import signal

Signal = NDArray[np.float64]
"""A waveform or curve, shape (n,) unless told otherwise; full scale = 1."""

_TABLE: Final = 8192
_SINE: Final = np.sin(2.0 * np.pi * np.arange(_TABLE) / _TABLE)


def harmonic_numbers(pitch_hz: float, sample_rate: int, limit: int = 40) -> Signal:
    """Return 1, 2, … up to the last harmonic below 0.45 x the sample rate, at most ``limit``."""
    count = max(1, min(limit, int(0.45 * sample_rate / pitch_hz)))
    numbers: Signal = np.linspace(1.0, count, count)
    return numbers


def harmonic_table(amplitudes: Signal) -> Signal:
    """Return one period, shape (8192,), of sine harmonics of the given amplitudes, RMS 1."""
    spectrum = np.zeros(_TABLE // 2 + 1, dtype=np.complex128)
    # Schroeder phases keep the crest factor low, so that levels add up predictably.
    k = np.arange(1, len(amplitudes) + 1)
    spectrum[1 : len(amplitudes) + 1] = amplitudes * np.exp(-1j * np.pi * k * k / (len(k) + 1))
    return unit_rms(np.fft.irfft(spectrum))


def phase_of(pitch_hz: Signal | float, n: int, sample_rate: int) -> Signal:
    """Integrate a pitch, constant or one value a sample (Hz), to a phase in cycles, shape (n,)."""
    phase: Signal
    if isinstance(pitch_hz, np.ndarray):
        phase = np.cumsum(pitch_hz) / sample_rate
    else:
        phase = seconds(n, sample_rate) * pitch_hz
    return phase


def table_index(phase: Signal) -> NDArray[np.int64]:
    """Turn a phase in cycles into the indices of a table, to be shared by several tables."""
    return (phase * _TABLE).astype(np.int64) & (_TABLE - 1)


def seconds(n: int, sample_rate: int) -> Signal:
    """Return the time of each of n samples, seconds."""
    return np.arange(n) / sample_rate


def decay(n: int, sample_rate: int, tau_s: float) -> Signal:
    """Return exp(-t / tau), shape (n,)."""
    return np.exp(seconds(n, sample_rate) * (-1.0 / tau_s))


def ramps(n: int, sample_rate: int, attack_s: float, release_s: float) -> Signal:
    """Return an envelope of ones with raised-cosine ramps at both ends, shape (n,)."""
    envelope = np.ones(n)
    rise = min(n, max(1, int(attack_s * sample_rate)))
    fall = min(n, max(1, int(release_s * sample_rate)))
    envelope[:rise] *= 0.5 - 0.5 * np.cos(np.pi * (np.arange(rise) + 0.5) / rise)
    envelope[n - fall :] *= 0.5 + 0.5 * np.cos(np.pi * (np.arange(fall) + 0.5) / fall)
    return envelope


def vibrato(
    n: int, sample_rate: int, rng: np.random.Generator, rate_hz: float, depth: float
) -> Signal:
    """Return a pitch factor around 1 that sets in over the first quarter of a second."""
    t = seconds(n, sample_rate)
    phase = t * (rate_hz * rng.uniform(0.9, 1.1)) + rng.random()
    return 1.0 + depth * np.minimum(1.0, 4.0 * t) * _SINE[table_index(phase)]


@functools.lru_cache(maxsize=512)
def _band_pass(low_hz: float, high_hz: float, sample_rate: int) -> Signal:
    sos: Signal = signal.butter(1, (low_hz, high_hz), "bandpass", fs=sample_rate, output="sos")
    return sos


def band_noise(
    n: int, sample_rate: int, rng: np.random.Generator, low_hz: float, high_hz: float
) -> Signal:
    """Return white noise between two edges (2nd-order slopes), RMS about 1, shape (n,)."""
    high = min(high_hz, 0.49 * sample_rate)
    low = min(low_hz, 0.7 * high)
    noise: Signal = signal.sosfilt(_band_pass(low, high, sample_rate), rng.standard_normal(n))
    noise /= np.sqrt(2.0 * (high - low) / sample_rate)
    return noise


def drift(n: int, sample_rate: int, rng: np.random.Generator, rate_hz: float) -> Signal:
    """Return a smooth random curve in 0 … 1 that turns about ``rate_hz`` times a second."""
    knots = rng.random(int(np.ceil(n / sample_rate * rate_hz)) + 2)
    at = seconds(n, sample_rate) * rate_hz
    left = at.astype(np.int64)
    blend = 0.5 - 0.5 * np.cos(np.pi * (at - left))
    curve: Signal = knots[left] * (1.0 - blend) + knots[left + 1] * blend
    return curve


def low_pass(x: Signal, sample_rate: int, corner_hz: float, order: int = 1) -> Signal:
    """Filter the last axis with a Butterworth low-pass."""
    corner = min(corner_hz, 0.45 * sample_rate)
    sos = signal.butter(order, corner, btype="lowpass", fs=sample_rate, output="sos")
    y: Signal = signal.sosfilt(sos, x)
    return y


def high_pass(x: Signal, sample_rate: int, corner_hz: float, order: int = 1) -> Signal:
    """Filter the last axis with a Butterworth high-pass."""
    sos = signal.butter(order, corner_hz, btype="highpass", fs=sample_rate, output="sos")
    y: Signal = signal.sosfilt(sos, x)
    return y


def unit_rms(x: Signal) -> Signal:
    """Scale to RMS 1 over all axes; silence stays silence."""
    rms = float(np.sqrt(np.mean(x * x))) if x.size else 0.0
    return x / rms if rms > 0.0 else x


def add_at(out: Signal, sound: Signal, start: int, gain: float = 1.0) -> None:
    """Add a sound into ``out`` from sample ``start`` on; what hangs over the end is cut."""
    stop = min(len(out), start + len(sound))
    if start < stop:
        out[start:stop] += gain * sound[: stop - start]
