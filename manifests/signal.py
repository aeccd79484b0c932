"""The mixing arithmetic, normative: power, SNR, loops, gains, rounding, re-levelling.

Signals are 1-D float64 arrays of shape ``(n_samples,)``, full scale = 1. Power is a plain
``numpy.sum`` of squares (pairwise summation, no BLAS), so it does not move with the number of
threads or the BLAS build. Gains are rounded to 0.0001 dB *before* they are used and stored as
used, so that another machine renders with the very same figures.
"""

from __future__ import annotations

import math
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from manifests.errors import ManifestError

Signal: TypeAlias = NDArray[np.float64]
Pcm: TypeAlias = NDArray[np.int16]

FULL_SCALE: Final = 32_768.0
PEAK_LIMIT: Final = 32_766.0 / FULL_SCALE
"""Largest magnitude after the common gain; one LSB below the top, so that rounding cannot clip."""
CROSSFADE_S: Final = 0.05
QUIETEST_DBFS: Final = -70.0
"""Below this level int16 rounding (-98 dBFS on a difference) starts to move a measured SNR."""
SNR_TOLERANCE_DB: Final = 0.05


def power(signal: Signal) -> float:
    """Return the mean square of a signal; 0 for an empty one."""
    return float(np.sum(signal * signal)) / max(len(signal), 1)


def peak(signal: Signal) -> float:
    """Return the largest magnitude of a signal, 0 for an empty one; NaN where it holds one."""
    if not len(signal):
        return 0.0
    return float(np.maximum(np.max(signal), -np.min(signal)))


def pcm_power(samples: Signal) -> float:
    """Return the mean square of whole numbers up to 2**16, e.g. int16 samples or differences.

    Squares of such numbers and their sums below 2**53 are exact in float64, whatever the order of
    summation, so this faster form gives the very figure that ``power`` gives.
    """
    return float(np.einsum("i,i->", samples, samples)) / max(len(samples), 1)


def power_db(value: float) -> float:
    """Return ``10 log10(value)``, -inf for zero."""
    return 10.0 * math.log10(value) if value > 0.0 else -math.inf


def amplitude(gain_db: float) -> float:
    """Return the factor of a gain in dB."""
    return float(10.0 ** (gain_db / 20.0))


def round_gain_db(gain_db: float) -> float:
    """Return a gain rounded to the 0.0001 dB grid on which gains are stored and used.

    Raises:
        ManifestError: it is not finite, since music or noise is silent over the span.
    """
    if not math.isfinite(gain_db):
        raise ManifestError(f"gain of {gain_db} dB: expected music and noise above silence")
    return round(gain_db, 4) + 0.0


def snr_db(signal: Signal, noise: Signal) -> float:
    """Return total power of the signal over total power of the noise, dB, over equal lengths."""
    return power_db(power(signal)) - power_db(power(noise))


def loop_to_length(clip: Signal, n_samples: int, sample_rate: int) -> Signal:
    """Repeat a clip until it fills ``n_samples``, joints cross-faded.

    Each joint overlaps the clip's end with its own beginning over 50 ms (half the clip where it is
    shorter than 100 ms) under raised-cosine equal-power weights: fade-in ``sin(pi t / 2)``,
    fade-out ``cos(pi t / 2)``, whose squares sum to one, so noise keeps its power at the joint.

    Args:
        clip: ``(n,)``, n >= 2.
        n_samples: length to reach.
        sample_rate: Hz, for the length of the fade.

    Returns:
        ``(n_samples,)``.

    Raises:
        ManifestError: the clip holds fewer than two samples.
    """
    if clip.size < 2:
        raise ManifestError(f"noise of {clip.size} samples: expected at least 2 to loop it")
    if clip.size >= n_samples:
        return clip[:n_samples].copy()
    fade = min(round(CROSSFADE_S * sample_rate), clip.size // 2)
    t = (np.arange(fade) + 0.5) / fade
    fade_in, fade_out = np.sin(0.5 * np.pi * t), np.cos(0.5 * np.pi * t)
    joint = clip[-fade:] * fade_out + clip[:fade] * fade_in
    period = np.concatenate([joint, clip[fade : clip.size - fade]])
    repeats = -(-(n_samples - (clip.size - fade)) // period.size)
    looped = np.concatenate([clip[: clip.size - fade], np.tile(period, max(repeats, 0))])
    return looped[:n_samples]


def normalising_gain_db(noise: Signal) -> float:
    """Return the gain that brings a noise to an RMS of full scale (0 dBFS), rounded.

    Raises:
        ManifestError: the noise is silent over the span.
    """
    level_db = power_db(power(noise))
    if not math.isfinite(level_db):
        raise ManifestError("noise is silent over the span: expected a finite level")
    return round_gain_db(-level_db)


def sum_noises(noises: list[Signal]) -> tuple[Signal, tuple[float, ...]]:
    """Sum noises, each brought to the same RMS first.

    Returns:
        The sum ``(n_samples,)`` and the gain in dB that was applied to each.
    """
    levels_db = tuple(normalising_gain_db(noise) for noise in noises)
    total = np.zeros_like(noises[0])
    for noise, level_db in zip(noises, levels_db, strict=True):
        total += amplitude(level_db) * noise
    return total, levels_db


def mix_gain_db(music: Signal, noise_sum: Signal, target_db: float) -> float:
    """Return the gain of the noise sum that puts the mix at an SNR, rounded.

    SNR = total power of the music span over total power of the *sum* of the noises (not of each
    noise: k noises at s dB each would make s - 10 log10 k), over exactly the span.
    """
    return round_gain_db(snr_db(music, noise_sum) - target_db)


def common_gain_db(peak: float) -> float:
    """Return the gain, never above 0 dB, that brings ``peak`` to the limit; rounded *down*.

    One gain for the clean member and all its noisy versions keeps them in exact proportion.

    Raises:
        ManifestError: the peak is NaN or infinite.
    """
    if not math.isfinite(peak):
        raise ManifestError(f"peak {peak}: expected a finite signal")
    if peak <= PEAK_LIMIT:
        return 0.0
    exact_db = 20.0 * math.log10(PEAK_LIMIT / peak)
    return math.floor(exact_db * 1e4) / 1e4


def rounded(signal: Signal) -> Signal:
    """Round to the whole numbers of int16, still in float64: the one rounding (half to even).

    Raises:
        ManifestError: a sample is not finite or would clip.
    """
    scaled = signal * FULL_SCALE
    np.rint(scaled, out=scaled)
    top = peak(scaled)
    if not top <= FULL_SCALE - 1:
        raise ManifestError(f"peak {top / FULL_SCALE:.6f}: expected at most 1 - 1/32768 of scale")
    return scaled


def to_pcm(signal: Signal) -> Pcm:
    """Round to int16; raises ManifestError where a sample is not finite or would clip."""
    return rounded(signal).astype(np.int16)


def from_pcm(pcm: Pcm) -> Signal:
    """Return int16 samples as float64 in [-1, 1)."""
    return pcm.astype(np.float64) / FULL_SCALE


def achieved_snr_db(clean: Pcm, noisy: Pcm) -> float:
    """Return the SNR of a written pair: clean against (noisy - clean), dB."""
    music = clean.astype(np.float64)
    return power_db(pcm_power(music)) - power_db(pcm_power(noisy - music))


def chunk_snrs_db(music: Signal, noise_at_0db: Signal, chunk_samples: int) -> tuple[float, ...]:
    """Return the SNR of each whole chunk of the 0 dB mix, dB, clamped to +-99.999.

    A clip at 0 dB as a whole is rarely at 0 dB in the chunk that a model hears.
    """
    shape = (music.size // chunk_samples, chunk_samples)
    whole = slice(0, shape[0] * shape[1])
    chunks = (part[whole].reshape(shape) for part in (music, noise_at_0db))
    music_power, noise_power = (np.sum(part * part, axis=1) / chunk_samples for part in chunks)
    ratios_db = 10.0 * np.log10((music_power + 1e-20) / (noise_power + 1e-20))
    return tuple(round(float(r), 3) + 0.0 for r in np.clip(ratios_db, -99.999, 99.999))


def relevel(
    clean: NDArray[np.float32],
    noisy_lowest: NDArray[np.float32],
    lowest_db: float,
    target_db: float,
) -> NDArray[np.float32]:
    """Return the mix at another SNR from the stored pair with the lowest one.

    Music and noise are in exact proportion, so the noise part ``noisy_lowest - clean`` only needs
    scaling: ``clean + (noisy_lowest - clean) * 10**((lowest - target) / 20)``. Within 2 LSB of a
    direct mix.

    Args:
        clean: ``(..., n_samples)``, float32.
        noisy_lowest: same shape, the stored member with the lowest SNR.
        lowest_db: SNR of ``noisy_lowest``.
        target_db: SNR wanted; at least ``lowest_db`` or rounding noise is amplified.
    """
    factor = np.float32(10.0 ** ((lowest_db - target_db) / 20.0))
    return clean + (noisy_lowest - clean) * factor
