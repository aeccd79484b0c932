"""Music as a microphone in a real place hears it: a room's response, then noise.

The room is Moorer's model (About this reverberation business, Computer Music Journal 3(2), 1979):
direct sound, a few early reflections, then noise that decays exponentially, highs first.
"""

from __future__ import annotations

import numpy as np
from scipy import signal

from pipeline.demo.oscillators import Signal, band_noise, high_pass, low_pass


def room_response(sample_rate: int, t60_s: float, rng: np.random.Generator) -> Signal:
    """Return a room's impulse response.

    Args:
        sample_rate: Hz.
        t60_s: reverberation time of the middle frequencies in seconds.
        rng: generator of the room.

    Returns:
        The response, shape (n,), unit energy, direct sound at sample 0.
    """
    n = int(t60_s * sample_rate)
    t = np.arange(n) / sample_rate
    response = np.zeros(n)
    for low_hz, high_hz, share in ((60.0, 500.0, 1.1), (500.0, 2500.0, 1.0), (2500.0, 9000.0, 0.6)):
        response += band_noise(n, sample_rate, rng, low_hz, high_hz) * 10.0 ** (
            -3.0 * t / (share * t60_s)
        )
    response /= np.sqrt(np.sum(response * response))
    response[: int(0.004 * sample_rate)] = 0.0
    for delay_s in rng.uniform(0.002, 0.03, 7):
        response[int(delay_s * sample_rate)] += rng.uniform(0.1, 0.35) * rng.choice((-1.0, 1.0))
    response[0] = rng.uniform(0.9, 1.6)
    unit_energy: Signal = response / np.sqrt(np.sum(response * response))
    return unit_energy


def record(
    music: Signal, noise: Signal, snr_db: float, sample_rate: int, response: Signal
) -> Signal:
    """Play music through a room beside noise, into a small microphone.

    Args:
        music: shape (n,).
        noise: shape (n,).
        snr_db: level of the reverberated music over the noise, dB.
        sample_rate: Hz.
        response: the room's impulse response.

    Returns:
        The recording, shape (n,), without the lowest and highest octaves.
    """
    wet: Signal = signal.fftconvolve(music, response)[: len(music)]
    ratio = float(np.sqrt(np.sum(wet * wet) / np.sum(noise * noise)))
    mix = wet + noise * ratio * 10.0 ** (-snr_db / 20.0)
    return low_pass(high_pass(mix, sample_rate, 90.0), sample_rate, 12_000.0)
