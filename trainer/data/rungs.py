"""Noisy audio at any SNR from what a set stores.

Music m and noise n of an example stand in exact proportion: the rung at s dB is m + g(s)·n with
g(s) = 10^(-s/20), n at 0 dB. Two rungs therefore span every mix of the two, so that a target
example is heard at any SNR between its rungs although its clean member is never opened.
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from manifests.errors import UsageError
from manifests.signal import QUIETEST_DBFS, amplitude, power, power_db

Waveform: TypeAlias = NDArray[np.float32]
SnrOver = Literal["clip", "crop"]

MAX_SHIFT_DB: Final = 20.0
"""Largest difference between the SNR of a clip and of a crop of it that is levelled out. Beyond it
one of the two is all but silent in the crop, and levelling would only blow up rounding noise."""


def mix_from_rungs(
    noisy_a: Waveform, noisy_b: Waveform, a_db: float, b_db: float, target_db: float
) -> Waveform:
    """Mix two stored rungs into the rung at another SNR.

    w·a + (1 - w)·b keeps the music at 1 and has the noise at w·g(a) + (1 - w)·g(b), which is
    g(target) for w = (g(target) - g(b)) / (g(a) - g(b)). Between the rungs 0 <= w <= 1, so the
    rounding of the two members is averaged, not amplified: within 2 LSB of a direct mix.

    Args:
        noisy_a: rung at ``a_db``, (..., n_samples), float32.
        noisy_b: rung at ``b_db``, same shape.
        a_db: SNR of the first rung, dB.
        b_db: SNR of the second, dB.
        target_db: SNR wanted, dB.

    Returns:
        The mix, same shape, float32.

    Raises:
        UsageError: both rungs have one SNR.
    """
    gain_a, gain_b = amplitude(-a_db), amplitude(-b_db)
    if gain_a == gain_b:
        raise UsageError(f"rungs: expected two different SNRs, got {a_db:g} dB twice")
    weight = np.float32((amplitude(-target_db) - gain_b) / (gain_a - gain_b))
    mix: Waveform = noisy_a - noisy_b
    mix *= weight
    mix += noisy_b
    return mix


def parts_from_rungs(
    noisy_a: Waveform, noisy_b: Waveform, a_db: float, b_db: float
) -> tuple[Waveform, Waveform]:
    """Solve two rungs for the music and for the noise as it stands in the second one.

    Only their *powers* are used, to find the SNR of a crop; the music is never given to a model.

    Returns:
        Music and noise, both (..., n_samples), float32.
    """
    gain_a, gain_b = amplitude(-a_db), amplitude(-b_db)
    noise = (noisy_b - noisy_a) * np.float32(gain_b / (gain_b - gain_a))
    return noisy_b - noise, noise


def clip_target_db(music: Waveform, noise: Waveform, noise_db: float, target_db: float) -> float:
    """Return the SNR to ask of the clip so that this crop is heard at ``target_db``.

    Args:
        music: the crop's music, (n_samples,).
        noise: the crop's noise at the level of the clip at ``noise_db``, same shape.
        noise_db: SNR of the whole clip with that noise, dB.
        target_db: SNR wanted in the crop, dB.

    Returns:
        ``target_db`` less the difference between crop and clip; ``target_db`` itself where music
        or noise is below -70 dBFS in the crop (no SNR to speak of) or the difference above 20 dB.
    """
    music_db = power_db(power(music.astype(np.float64)))
    heard_db = power_db(power(noise.astype(np.float64)))
    if min(music_db, heard_db) < QUIETEST_DBFS:
        return target_db
    shift_db = (music_db - heard_db) - noise_db
    return target_db - shift_db if abs(shift_db) <= MAX_SHIFT_DB else target_db
