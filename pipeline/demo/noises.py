"""Everyday noise, one function a kind: crowds, weather, machines, warning signals.

Each function takes the length in samples, the sample rate in Hz and a generator, and returns a
waveform of shape (n,) that is sustained from end to end; levels are set by ``render_noise``.
Where the sample rate allows it, the sounds reach above 8 kHz.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from scipy import signal

from pipeline.demo.music import limited
from pipeline.demo.oscillators import (
    Signal,
    add_at,
    band_noise,
    decay,
    drift,
    harmonic_numbers,
    harmonic_table,
    high_pass,
    low_pass,
    phase_of,
    ramps,
    seconds,
    table_index,
    unit_rms,
)
from pipeline.demo.voices import talker


def _scattered(
    n: int, rng: np.random.Generator, count: int, kernels: list[Signal], weight: Signal
) -> Signal:
    """Scatter short sounds at random instants, more of them where ``weight`` (0 … 1) is high."""
    out = np.zeros(n)
    for kernel in kernels:
        at = rng.integers(0, n, max(1, count // len(kernels)))
        gains = rng.exponential(1.0, len(at)) * (rng.random(len(at)) < weight[at])
        impulses = np.bincount(at, weights=gains, minlength=n)
        out += signal.fftconvolve(impulses, kernel)[:n]
    return out


def babble(n: int, sample_rate: int, rng: np.random.Generator) -> Signal:
    """Eight people who talk at once, near and far."""
    out = np.zeros(n)
    for _ in range(8):
        out += rng.uniform(0.3, 1.0) * talker(n, sample_rate, rng)
    return unit_rms(out) + 0.05 * band_noise(n, sample_rate, rng, 200.0, 12000.0)


def speech(n: int, sample_rate: int, rng: np.random.Generator) -> Signal:
    """One person who talks in a quiet room."""
    return talker(n, sample_rate, rng) + 0.02 * rng.standard_normal(n)


def applause(n: int, sample_rate: int, rng: np.random.Generator) -> Signal:
    """Some forty pairs of hands, four claps a second each, that come and go."""
    length = int(0.02 * sample_rate)
    kernels = [
        band_noise(length, sample_rate, rng, centre, 4.0 * centre)
        * decay(length, sample_rate, rng.uniform(0.002, 0.005))
        for centre in (700.0, 1100.0, 1700.0, 2600.0)
    ]
    eager = 0.5 + 0.5 * drift(n, sample_rate, rng, 0.5)
    return _scattered(n, rng, int(160 * n / sample_rate), kernels, eager)


def rain(n: int, sample_rate: int, rng: np.random.Generator) -> Signal:
    """Steady hiss with drops near the microphone."""
    hiss = high_pass(rng.standard_normal(n), sample_rate, 1200.0)
    length = int(0.012 * sample_rate)
    t = seconds(length, sample_rate)
    drops = [
        np.sin(2 * np.pi * f * t) * decay(length, sample_rate, 0.0025)
        for f in (1800.0, 2700.0, 3900.0, 5600.0)
    ]
    patter = _scattered(n, rng, int(120 * n / sample_rate), drops, np.ones(n))
    return unit_rms(hiss) * (0.8 + 0.3 * drift(n, sample_rate, rng, 0.6)) + unit_rms(patter)


def engine(n: int, sample_rate: int, rng: np.random.Generator) -> Signal:
    """A motor whose firing rate wanders; exhaust noise pulses with it."""
    firing_hz = rng.uniform(28.0, 55.0) * (0.9 + 0.3 * drift(n, sample_rate, rng, 0.4))
    phase = phase_of(firing_hz, n, sample_rate)
    k = harmonic_numbers(70.0, sample_rate, 60)
    table = harmonic_table(rng.uniform(0.3, 1.0, len(k)) / k**0.6)
    exhaust = band_noise(n, sample_rate, rng, 150.0, 2500.0) * (1.0 + np.sin(2 * np.pi * phase))
    hiss = band_noise(n, sample_rate, rng, 3000.0, 14000.0)
    return low_pass(table[table_index(phase)], sample_rate, 900.0) + 0.4 * exhaust + 0.06 * hiss


def wind(n: int, sample_rate: int, rng: np.random.Generator) -> Signal:
    """Gusts: bands of noise that swell one by one, and a whistle in the highest."""
    out = 0.03 * band_noise(n, sample_rate, rng, 1000.0, 12000.0)
    for low_hz, high_hz, gain in ((30.0, 250.0, 1.0), (200.0, 800.0, 0.8), (700.0, 2500.0, 0.4)):
        gust = 0.1 + drift(n, sample_rate, rng, 0.8) ** 2
        out += gain * gust * band_noise(n, sample_rate, rng, low_hz, high_hz)
    return out


def alarm(n: int, sample_rate: int, rng: np.random.Generator) -> Signal:
    """An electronic beeper, two tones in turn, rich in harmonics."""
    high_hz = rng.uniform(2400.0, 3300.0)
    period_s = rng.uniform(0.35, 0.8)
    half = int(0.5 * period_s * sample_rate)
    gap = float(rng.choice((0.0, 0.35)))
    out = np.zeros(n)
    for i in range(n // half + 1):
        pitch = high_hz * (1.0 if i % 2 == 0 else 0.8)
        k = harmonic_numbers(pitch, sample_rate, 8)
        length = int(half * (1.0 - gap))
        tone = harmonic_table(np.where(k % 2 == 1, 1.0 / k, 0.1))
        beep = tone[table_index(phase_of(pitch, length, sample_rate))]
        add_at(out, beep * ramps(length, sample_rate, 0.004, 0.004), i * half)
    return out + 0.03 * rng.standard_normal(n)


def siren(n: int, sample_rate: int, rng: np.random.Generator) -> Signal:
    """A police siren: wails between 600 and 1,500 Hz over street noise."""
    rate_hz = rng.uniform(0.3, 1.2)
    wail = np.sin(2 * np.pi * (rate_hz * seconds(n, sample_rate) + rng.random()))
    pitch = 950.0 * 1.55**wail
    k = harmonic_numbers(1500.0, sample_rate, 12)
    tone = harmonic_table(1.0 / k**0.8)[table_index(phase_of(pitch, n, sample_rate))]
    return tone + 0.15 * band_noise(n, sample_rate, rng, 100.0, 9000.0)


def traffic(n: int, sample_rate: int, rng: np.random.Generator) -> Signal:
    """Rumble of a road with cars that pass, and now and then a horn."""
    out = band_noise(n, sample_rate, rng, 40.0, 300.0)
    out += 0.3 * band_noise(n, sample_rate, rng, 400.0, 4000.0)
    t = seconds(n, sample_rate)
    for _ in range(2 + int(n / sample_rate / 3)):
        centre_s, width_s = rng.uniform(0.0, n / sample_rate), rng.uniform(0.5, 1.1)
        passing = np.exp(-(((t - centre_s) / width_s) ** 2))
        out += 1.1 * passing * band_noise(n, sample_rate, rng, 500.0, 12000.0)
    if rng.random() < 0.5:
        length = int(0.5 * sample_rate)
        horn = sum(
            np.sin(2 * np.pi * f * k * t[:length]) / k for f in (415.0, 494.0) for k in range(1, 8)
        ) * ramps(min(length, n), sample_rate, 0.02, 0.05)
        add_at(out, horn, int(rng.uniform(0.0, 0.6) * n), 0.6)
    return out


def crowd(n: int, sample_rate: int, rng: np.random.Generator) -> Signal:
    """A stadium: a roar of open vowels that swells, whistles, far voices."""
    roar = np.zeros(n)
    for low_hz, high_hz, gain in ((300.0, 700.0, 1.0), (800.0, 1300.0, 0.9), (2200.0, 3400.0, 0.4)):
        swell = 0.4 + drift(n, sample_rate, rng, 0.7)
        roar += gain * swell * band_noise(n, sample_rate, rng, low_hz, high_hz)
    whistle_hz = 2600.0 + 900.0 * drift(n, sample_rate, rng, 3.0)
    whistle = np.sin(2 * np.pi * phase_of(whistle_hz, n, sample_rate))
    roar += 0.5 * whistle * (drift(n, sample_rate, rng, 1.5) > 0.75)
    far = 0.5 * babble(n, sample_rate, rng)
    return roar + far + 0.1 * band_noise(n, sample_rate, rng, 4000.0, 13000.0)


def vacuum(n: int, sample_rate: int, rng: np.random.Generator) -> Signal:
    """A vacuum cleaner: the motor's whine in the rush of air."""
    whine_hz = rng.uniform(210.0, 290.0) * (0.99 + 0.02 * drift(n, sample_rate, rng, 0.5))
    k = harmonic_numbers(300.0, sample_rate, 30)
    whine = harmonic_table(rng.uniform(0.2, 1.0, len(k)) / k**0.5)
    air = band_noise(n, sample_rate, rng, 300.0, 9000.0)
    return 0.7 * whine[table_index(phase_of(whine_hz, n, sample_rate))] + air


def waves(n: int, sample_rate: int, rng: np.random.Generator) -> Signal:
    """Surf: broadband noise that rises and breaks every few seconds."""
    rise = 0.15 + drift(n, sample_rate, rng, 0.45) ** 2
    foam = band_noise(n, sample_rate, rng, 1000.0, 14000.0)
    return rise * (band_noise(n, sample_rate, rng, 80.0, 900.0) + 0.6 * foam)


NOISES: Final[dict[str, Callable[[int, int, np.random.Generator], Signal]]] = {
    "babble": babble, "speech": speech, "applause": applause, "rain": rain, "engine": engine,
    "wind": wind, "alarm": alarm, "siren": siren, "traffic": traffic, "crowd": crowd,
    "vacuum": vacuum, "waves": waves,
}  # fmt: skip
"""Kinds of noise by name."""


def render_noise(
    kinds: tuple[str, ...],
    duration_s: float,
    sample_rate: int,
    channels: int,
    rng: np.random.Generator,
) -> Signal:
    """Render one or more kinds of noise over each other.

    Args:
        kinds: names out of ``NOISES``; each is as loud as the others.
        duration_s: length in seconds.
        sample_rate: Hz.
        channels: 1 or 2; the second channel is the first, some of it delayed by a metre.
        rng: generator of the file.

    Returns:
        The waveform, shape (n, channels), RMS -34 to -20 dBFS, peak at most 0.85.
    """
    n = round(duration_s * sample_rate)
    mono = np.zeros(n)
    for kind in kinds:
        mono += unit_rms(NOISES[kind](n, sample_rate, rng))
    level = 10.0 ** (rng.uniform(-34.0, -20.0) / 20.0)
    mono = limited(level * unit_rms(mono))
    if channels == 1:
        return mono[:, None]
    delay = max(1, int(0.003 * sample_rate))
    other = 0.7 * mono
    other[delay:] += 0.3 * mono[:-delay]
    return np.stack((mono, other), axis=1)
