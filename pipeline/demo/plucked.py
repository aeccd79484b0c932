"""Instruments whose notes are struck or plucked and then die away.

Each function plays one note: pitch in Hz, duration in seconds until the string is damped, the
sample rate in Hz, a generator; it returns the note with its ring, shape (n,), RMS of the order 0.3.
Spectra follow the textbook pictures (Fletcher & Rossing, The Physics of Musical Instruments):
a string plucked at the fraction p of its length lacks the harmonics near multiples of 1/p.
"""

from __future__ import annotations

import numpy as np

from pipeline.demo.oscillators import (
    Signal,
    band_noise,
    decay,
    harmonic_numbers,
    harmonic_table,
    phase_of,
    ramps,
    seconds,
    table_index,
)


def guitar(
    pitch_hz: float, duration_s: float, sample_rate: int, rng: np.random.Generator
) -> Signal:
    """Play a nylon string: warm, highs gone after a tenth of a second, body resonances."""
    n = int((duration_s + 0.35) * sample_rate)
    k = harmonic_numbers(pitch_hz, sample_rate, 24)
    f = k * pitch_hz
    body = 1.0 + 1.5 * np.exp(-(((f - 110) / 40) ** 2)) + 1.2 * np.exp(-(((f - 215) / 50) ** 2))
    pluck = np.abs(np.sin(np.pi * k * rng.uniform(0.19, 0.27))) + 0.03
    bright = body * pluck / k**0.9
    dull = bright * np.exp(-0.55 * (k - 1))
    index = table_index(phase_of(pitch_hz, n, sample_rate))
    tone = harmonic_table(bright)[index] * decay(n, sample_rate, 0.10)
    tone += 0.8 * harmonic_table(dull)[index] * decay(n, sample_rate, 0.75)
    pick = band_noise(n, sample_rate, rng, 900.0, 3500.0) * decay(n, sample_rate, 0.006)
    return (tone + 0.6 * pick) * ramps(n, sample_rate, 0.002, 0.2)


def piano(pitch_hz: float, duration_s: float, sample_rate: int, rng: np.random.Generator) -> Signal:
    """Play a struck string: stretched partials, two-stage decay, felt hammer knock."""
    n = int((duration_s + 0.25) * sample_rate)
    t = seconds(n, sample_rate)
    k = harmonic_numbers(pitch_hz * 1.1, sample_rate, 8)
    f = k * pitch_hz * np.sqrt(1.0 + 6e-4 * k * k)
    amplitude = (0.25 + np.abs(np.sin(np.pi * k / 7.5))) / k**1.15
    tone = np.zeros(n)
    for f_k, a_k, k_k in zip(f, amplitude, k, strict=True):
        # The prompt sound dies fast, the after-sound slowly: two polarisations of the string.
        fall = 0.7 * np.exp(t * (-(1 + 0.5 * k_k) / 0.35)) + 0.3 * np.exp(
            t * (-(1 + 0.2 * k_k) / 1.6)
        )
        tone += a_k * np.sin(2 * np.pi * (f_k * t + rng.random())) * fall
    knock = band_noise(n, sample_rate, rng, 90.0, 600.0) * decay(n, sample_rate, 0.018)
    return (1.3 * tone + 1.1 * knock) * ramps(n, sample_rate, 0.003, 0.12)


def harpsichord(
    pitch_hz: float, duration_s: float, sample_rate: int, rng: np.random.Generator
) -> Signal:
    """Play a quilled string near the bridge: bright to the top, jack clicks at both ends."""
    n = int((duration_s + 0.12) * sample_rate)
    k = harmonic_numbers(pitch_hz, sample_rate, 40)
    eight = (np.abs(np.sin(np.pi * k * 0.09)) + 0.05) * np.exp(-k * pitch_hz / 9000.0)
    four = np.where(k % 2 == 0, 0.6 * np.exp(-k * pitch_hz / 7000.0), 0.0)
    index = table_index(phase_of(pitch_hz, n, sample_rate))
    tone = harmonic_table(eight + four)[index] * decay(n, sample_rate, 0.30)
    click = band_noise(n, sample_rate, rng, 2500.0, 7000.0) * decay(n, sample_rate, 0.003)
    tone += 1.2 * click
    damper = int(duration_s * sample_rate)
    tone[damper:] += 0.35 * click[: n - damper]
    return tone * ramps(n, sample_rate, 0.0005, 0.08)


def sitar(pitch_hz: float, duration_s: float, sample_rate: int, rng: np.random.Generator) -> Signal:
    """Play a string over a curved bridge: a buzz whose brightness sweeps, glides, resonance."""
    n = int((duration_s + 0.5) * sample_rate)
    t = seconds(n, sample_rate)
    glide = rng.choice((-2.0, 0.0, 0.0, 1.0, 2.0)) / 12.0
    pitch = pitch_hz * 2.0 ** (glide * np.exp(-t / 0.07))
    phase = phase_of(pitch, n, sample_rate)
    index = table_index(phase)
    k = harmonic_numbers(pitch_hz * 1.15, sample_rate, 40)
    tone = np.zeros(n)
    # Jawari: the bridge feeds energy upwards, so the loudest band wanders down through the note.
    for centre_hz, tau_s, gain in ((4200.0, 0.22, 0.8), (2300.0, 0.5, 0.9), (900.0, 1.0, 0.7)):
        shape = np.exp(-((np.log2(k * pitch_hz / centre_hz) / 0.55) ** 2)) + 0.02 / k
        tone += gain * harmonic_table(shape)[index] * decay(n, sample_rate, tau_s)
    tone *= 1.0 + 0.25 * np.sin(2 * np.pi * 7.0 * t)
    return tone * ramps(n, sample_rate, 0.001, 0.3)


def bells(pitch_hz: float, duration_s: float, sample_rate: int, rng: np.random.Generator) -> Signal:
    """Strike a small bell: partials of a minor-third bell, long ring."""
    n = int((duration_s + 0.8) * sample_rate)
    t = seconds(n, sample_rate)
    tone = np.zeros(n)
    for ratio, gain, tau_s in (
        (0.5, 0.4, 1.6), (1.0, 1.0, 1.2), (1.2, 0.7, 0.9), (1.5, 0.4, 0.7),
        (2.0, 0.9, 0.6), (2.66, 0.4, 0.3), (3.01, 0.3, 0.25), (4.17, 0.2, 0.15),
    ):  # fmt: skip
        if ratio * pitch_hz < 0.45 * sample_rate:
            tone += (
                gain
                * np.sin(2 * np.pi * (ratio * pitch_hz * t + rng.random()))
                * np.exp(-t / tau_s)
            )
    return 0.5 * tone * ramps(n, sample_rate, 0.001, 0.3)
