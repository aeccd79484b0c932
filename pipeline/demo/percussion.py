"""Drums: single strokes and the three patterns built of them.

Patterns take the length in samples, the sample rate in Hz, the tempo in beats per minute and a
generator, and return a waveform of shape (n,).
"""

from __future__ import annotations

import numpy as np

from pipeline.demo.oscillators import Signal, add_at, band_noise, decay, high_pass, ramps, seconds


def _swept_sine(n: int, sample_rate: int, high_hz: float, low_hz: float, tau_s: float) -> Signal:
    """Return a sine that falls from one pitch to another, as a drum skin does when struck."""
    pitch = low_hz + (high_hz - low_hz) * decay(n, sample_rate, tau_s)
    tone: Signal = np.sin(2 * np.pi * np.cumsum(pitch) / sample_rate)
    return tone


def kick(sample_rate: int, rng: np.random.Generator, hard: bool) -> Signal:
    """Strike a bass drum; ``hard`` is the long, clicking one of dance music."""
    n = int(0.32 * sample_rate)
    high_hz, low_hz, ring_s = (260.0, 48.0, 0.13) if hard else (130.0, 62.0, 0.08)
    body = _swept_sine(n, sample_rate, high_hz, low_hz, 0.035) * decay(n, sample_rate, ring_s)
    click = band_noise(n, sample_rate, rng, 1200.0, 5000.0) * decay(n, sample_rate, 0.004)
    return (1.4 * body + (0.6 if hard else 0.3) * click) * ramps(n, sample_rate, 0.001, 0.05)


def snare(sample_rate: int, rng: np.random.Generator) -> Signal:
    """Strike a snare drum: skin at 190 Hz and the rattle of the wires."""
    n = int(0.25 * sample_rate)
    skin = _swept_sine(n, sample_rate, 240.0, 185.0, 0.02) * decay(n, sample_rate, 0.05)
    wires = band_noise(n, sample_rate, rng, 1200.0, 9000.0) * decay(n, sample_rate, 0.085)
    return (0.7 * skin + 0.8 * wires) * ramps(n, sample_rate, 0.001, 0.04)


def hat(sample_rate: int, rng: np.random.Generator, tau_s: float) -> Signal:
    """Strike a hi-hat; 0.02 s is closed, 0.12 s open."""
    n = int((4 * tau_s + 0.02) * sample_rate)
    noise = high_pass(rng.standard_normal(n), sample_rate, min(5500.0, 0.35 * sample_rate), 2)
    return noise * decay(n, sample_rate, tau_s) * ramps(n, sample_rate, 0.001, 0.01)


def _ring(sample_rate: int, pitch_hz: float, tau_s: float) -> Signal:
    n = int(5 * tau_s * sample_rate)
    return np.sin(2 * np.pi * pitch_hz * seconds(n, sample_rate)) * decay(n, sample_rate, tau_s)


def kit(n: int, sample_rate: int, bpm: float, rng: np.random.Generator) -> Signal:
    """Play an acoustic kit: kick on 1 and 3, snare on 2 and 4, closed hats in quavers."""
    out = np.zeros(n)
    low, high, closed = kick(sample_rate, rng, False), snare(sample_rate, rng), 0.022
    beat_s = 60.0 / bpm
    for eighth in range(int(n / sample_rate / beat_s * 2) + 1):
        at = int((eighth * 0.5 * beat_s + rng.uniform(0.0, 0.008)) * sample_rate)
        add_at(out, hat(sample_rate, rng, closed), at, rng.uniform(0.25, 0.4))
        if eighth % 4 == 0 or (eighth % 8 == 5 and rng.random() < 0.6):
            add_at(out, low, at, rng.uniform(0.8, 1.0))
        if eighth % 4 == 2:
            add_at(out, high, at, rng.uniform(0.8, 1.0))
        elif rng.random() < 0.08:
            add_at(out, high, at, 0.3)
    return out


def four_on_the_floor(n: int, sample_rate: int, bpm: float, rng: np.random.Generator) -> Signal:
    """Play dance music's pattern: hard kick on every beat, open hat between, clap on 2 and 4."""
    out = np.zeros(n)
    low, open_, tick = kick(sample_rate, rng, True), hat(sample_rate, rng, 0.07), 0.012
    clap_n = int(0.15 * sample_rate)
    clap = band_noise(clap_n, sample_rate, rng, 900.0, 2500.0) * decay(clap_n, sample_rate, 0.04)
    beat_s = 60.0 / bpm
    for sixteenth in range(int(n / sample_rate / beat_s * 4) + 1):
        at = int(sixteenth * 0.25 * beat_s * sample_rate)
        if sixteenth % 4 == 0:
            add_at(out, low, at)
        elif sixteenth % 4 == 2:
            add_at(out, open_, at, 0.45)
        else:
            add_at(out, hat(sample_rate, rng, tick), at, 0.25)
        if sixteenth % 8 == 4:
            add_at(out, clap, at, 0.5)
    return out


def tabla(n: int, sample_rate: int, bpm: float, rng: np.random.Generator) -> Signal:
    """Play a pair of tablas: a ringing treble drum and a bass drum whose pitch bends upwards."""
    out = np.zeros(n)
    slap_n = int(0.03 * sample_rate)
    slap = band_noise(slap_n, sample_rate, rng, 1500.0, 4500.0) * decay(slap_n, sample_rate, 0.006)
    bass_n = int(0.35 * sample_rate)
    bend = _swept_sine(bass_n, sample_rate, 72.0, 105.0, 0.08) * decay(bass_n, sample_rate, 0.12)
    treble = _ring(sample_rate, 330.0, 0.09)
    add_at(treble, _ring(sample_rate, 664.0, 0.06), 0, 0.5)
    beat_s = 60.0 / bpm
    for eighth in range(int(n / sample_rate / beat_s * 2) + 1):
        at = int(eighth * 0.5 * beat_s * sample_rate)
        if eighth % 4 == 0:
            add_at(out, bend, at, 1.2)
        if rng.random() < (0.85 if eighth % 2 else 0.6):
            add_at(out, treble, at, rng.uniform(0.3, 0.6))
            add_at(out, slap, at, 0.3)
    return out
