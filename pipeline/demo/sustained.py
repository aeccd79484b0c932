"""Instruments whose notes hold: bowed strings, flute, synthesizer.

Each function plays one note: pitch in Hz, duration in seconds, the sample rate in Hz, a generator;
it returns the note with its release, shape (n,), RMS of the order 0.5.
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
    vibrato,
)


def strings(
    pitch_hz: float, duration_s: float, sample_rate: int, rng: np.random.Generator
) -> Signal:
    """Bow a section of three: sawtooth spectrum, slow vibrato apart from each other, body hills."""
    n = int((duration_s + 0.15) * sample_rate)
    k = harmonic_numbers(pitch_hz * 1.05, sample_rate, 36)
    f = k * pitch_hz
    body = 0.35 + np.exp(-(((f - 480) / 180) ** 2)) + 0.9 * np.exp(-(((f - 2600) / 1100) ** 2))
    table = harmonic_table(body / k**0.85)
    tone = np.zeros(n)
    for detune in (-0.004, 0.001, 0.005):
        pitch = pitch_hz * (1.0 + detune) * vibrato(n, sample_rate, rng, 5.6, 0.008)
        tone += table[table_index(phase_of(pitch, n, sample_rate) + rng.random())]
    bow = band_noise(n, sample_rate, rng, 1500.0, 5000.0)
    return 0.3 * (tone + 0.12 * bow) * ramps(n, sample_rate, 0.10, 0.14)


def flute(pitch_hz: float, duration_s: float, sample_rate: int, rng: np.random.Generator) -> Signal:
    """Blow a near sine with breath noise that pulses with the tremolo, and a chiff at the onset."""
    n = int((duration_s + 0.08) * sample_rate)
    t = seconds(n, sample_rate)
    table = harmonic_table(np.array([1.0, 0.16, 0.07, 0.02]))
    pitch = pitch_hz * vibrato(n, sample_rate, rng, 4.8, 0.004)
    tremolo = 1.0 + 0.22 * np.sin(2 * np.pi * (4.8 * t + rng.random()))
    tone = table[table_index(phase_of(pitch, n, sample_rate))] * tremolo
    breath = band_noise(n, sample_rate, rng, 1.5 * pitch_hz, 6000.0)
    tone += breath * (0.13 * tremolo + 0.5 * decay(n, sample_rate, 0.03))
    return 0.6 * tone * ramps(n, sample_rate, 0.05, 0.07)


def synth(pitch_hz: float, duration_s: float, sample_rate: int, rng: np.random.Generator) -> Signal:
    """Gate a narrow pulse and a detuned twin through a resonant filter that snaps shut."""
    n = int((duration_s * 0.85 + 0.02) * sample_rate)
    k = harmonic_numbers(pitch_hz * 1.05, sample_rate, 40)
    pulse = np.abs(np.sin(np.pi * k * 0.28)) / k + 0.02
    f = k * pitch_hz
    peak = 1.0 + 5.0 * np.exp(-(((f - 1300.0) / 350.0) ** 2))
    open_ = harmonic_table(pulse * peak)
    shut = harmonic_table(pulse * np.exp(-((f / 900.0) ** 2)) + 1e-4 / k)
    sweep = decay(n, sample_rate, max(0.06, 0.35 * duration_s))
    tone = np.zeros(n)
    for detune in (-0.006, 0.006):
        index = table_index(phase_of(pitch_hz * (1.0 + detune), n, sample_rate) + rng.random())
        tone += open_[index] * sweep + shut[index] * (1.0 - sweep)
    return 0.35 * tone * ramps(n, sample_rate, 0.004, 0.02)
