"""The human voice as a pulse train through formants: singers, a choir, talkers.

Formant frequencies are the averages of Peterson & Barney, "Control methods used in a study of the
vowels" (JASA 24, 1952), men and women.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from pipeline.demo.oscillators import (
    Signal,
    add_at,
    band_noise,
    harmonic_numbers,
    harmonic_table,
    phase_of,
    ramps,
    seconds,
    table_index,
    unit_rms,
    vibrato,
)

VOWELS_MALE: Final = (
    (730, 1090, 2440), (530, 1840, 2480), (270, 2290, 3010), (570, 840, 2410), (300, 870, 2240),
)  # fmt: skip
VOWELS_FEMALE: Final = (
    (850, 1220, 2810), (610, 2330, 2990), (310, 2790, 3310), (590, 920, 2710), (370, 950, 2670),
)  # fmt: skip
"""First three formants in Hz of the vowels of father, bed, heed, bought, boot."""

_BANDWIDTHS_HZ: Final = (80.0, 100.0, 150.0, 220.0)


def vowel_table(
    pitch_hz: float, formants_hz: tuple[int, int, int], sample_rate: int, tilt: float = 1.3
) -> Signal:
    """Return one period of a vowel: harmonics falling as k**-tilt through four resonances."""
    k = harmonic_numbers(pitch_hz * 1.05, sample_rate, 60)
    f = k * pitch_hz
    gain = np.zeros(len(k))
    # A parallel formant synthesiser: each resonance |H| = 1 / sqrt(1 + ((f - F) / (B/2))^2).
    centres = (*formants_hz, formants_hz[2] + 900)
    for centre, width, level in zip(centres, _BANDWIDTHS_HZ, (1.0, 0.7, 0.5, 0.3), strict=True):
        gain += level / np.sqrt(1.0 + ((f - centre) / (0.5 * width)) ** 2)
    return harmonic_table(gain * (k**-tilt) * (1.0 + f / 600.0))


def _sing(
    pitch_hz: float,
    duration_s: float,
    sample_rate: int,
    rng: np.random.Generator,
    vowels: tuple[tuple[int, int, int], ...],
) -> Signal:
    n = int((duration_s + 0.06) * sample_rate)
    first, second = (vowels[i] for i in rng.integers(0, len(vowels), 2))
    scoop = 1.0 - 0.06 * np.exp(-seconds(n, sample_rate) / 0.05)
    pitch = pitch_hz * scoop * vibrato(n, sample_rate, rng, 5.5, 0.012)
    index = table_index(phase_of(pitch, n, sample_rate))
    blend = np.linspace(0.0, 1.0, n)
    tone = vowel_table(pitch_hz, first, sample_rate)[index] * (1.0 - blend)
    tone += vowel_table(pitch_hz, second, sample_rate)[index] * blend
    tone *= ramps(n, sample_rate, 0.06, 0.08)
    consonant = int(rng.uniform(0.03, 0.07) * sample_rate)
    hiss = band_noise(consonant, sample_rate, rng, 2500.0, 7000.0)
    add_at(tone, hiss * ramps(consonant, sample_rate, 0.01, 0.02), 0, 0.25)
    return 0.5 * tone


def male(pitch_hz: float, duration_s: float, sample_rate: int, rng: np.random.Generator) -> Signal:
    """Sing one syllable with a man's formants, shape (n,)."""
    return _sing(pitch_hz, duration_s, sample_rate, rng, VOWELS_MALE)


def female(
    pitch_hz: float, duration_s: float, sample_rate: int, rng: np.random.Generator
) -> Signal:
    """Sing one syllable with a woman's formants, shape (n,)."""
    return _sing(pitch_hz, duration_s, sample_rate, rng, VOWELS_FEMALE)


def choir(pitch_hz: float, duration_s: float, sample_rate: int, rng: np.random.Generator) -> Signal:
    """Sing one long vowel with four detuned voices, slow to rise and to fall, shape (n,)."""
    n = int((duration_s + 0.4) * sample_rate)
    family = VOWELS_FEMALE if pitch_hz > 240.0 else VOWELS_MALE
    vowel = family[(0, 3, 4)[int(rng.integers(0, 3))]]
    table = vowel_table(pitch_hz, vowel, sample_rate, tilt=1.1)
    tone = np.zeros(n)
    for _ in range(4):
        pitch = pitch_hz * rng.uniform(0.991, 1.009) * vibrato(n, sample_rate, rng, 5.0, 0.006)
        tone += table[table_index(phase_of(pitch, n, sample_rate) + rng.random())]
    return 0.25 * tone * ramps(n, sample_rate, 0.25, 0.4)


def talker(n: int, sample_rate: int, rng: np.random.Generator) -> Signal:
    """Speak n samples: syllables with falling pitch, fricatives, pauses; RMS 1, shape (n,)."""
    woman = bool(rng.integers(0, 2))
    vowels = VOWELS_FEMALE if woman else VOWELS_MALE
    base_hz = rng.uniform(180.0, 240.0) if woman else rng.uniform(95.0, 140.0)
    out = np.zeros(n)
    at, phrase = int(rng.uniform(0.0, 0.2) * sample_rate), 0
    while at < n:
        length = int(rng.uniform(0.10, 0.24) * sample_rate)
        pitch_hz = base_hz * (1.25 - 0.05 * phrase) * rng.uniform(0.92, 1.08)
        glide = pitch_hz * np.linspace(1.05, 0.95, length)
        index = table_index(phase_of(glide, length, sample_rate))
        table = vowel_table(pitch_hz, vowels[int(rng.integers(0, 5))], sample_rate)
        add_at(out, table[index] * ramps(length, sample_rate, 0.03, 0.05), at, rng.uniform(0.5, 1))
        if rng.random() < 0.4:
            hiss_n = int(rng.uniform(0.05, 0.10) * sample_rate)
            hiss = band_noise(hiss_n, sample_rate, rng, 3000.0, 11000.0)
            add_at(out, hiss * ramps(hiss_n, sample_rate, 0.02, 0.02), at + length, 0.25)
        at += int(length * rng.uniform(0.95, 1.3))
        phrase += 1
        if phrase > rng.integers(5, 11):
            at, phrase = at + int(rng.uniform(0.15, 0.45) * sample_rate), 0
    return unit_rms(out)
