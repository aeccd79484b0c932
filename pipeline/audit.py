"""Check what was written, not what was meant: decode every member and measure it again."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from manifests import signal
from manifests.errors import ManifestError
from manifests.example import Example, decode_members
from manifests.keys import AUDIO, CLEAN, SIDECAR, noisy_name
from manifests.signal import Pcm, Signal


def audit_example(files: Mapping[str, bytes], name: str, snrs_db: tuple[float, ...]) -> Example:
    """Decode one example and check its members, hashes, peaks and SNRs.

    Args:
        files: member contents by what stands after ``KEY.``, as read back.
        name: for messages, e.g. ``shard-000000.tar: KEY``.
        snrs_db: SNRs of the set; empty for real recordings.

    Returns:
        The sidecar.

    Raises:
        ManifestError: what differs, with the example's name, what was expected and found.
    """
    example, pcms = decode_members(files, name)
    expected = [CLEAN, *(noisy_name(s) for s in snrs_db)] if snrs_db else [AUDIO]
    found = [file.rsplit(".", 1)[0] for file in files if file != SIDECAR]
    if found != expected or list(files)[-1] != SIDECAR:
        raise ManifestError(f"{name}: expected members {[*expected, SIDECAR]}, got {list(files)}")
    for member, pcm in pcms.items():
        if not pcm.size:
            raise ManifestError(f"{name}.{member}: expected samples, got none")
        _check_peak(example, member, pcm, name)
    if snrs_db:
        clean = pcms[CLEAN].astype(np.float64)
        for snr_db in snrs_db:
            _check_snr(example, clean, pcms[noisy_name(snr_db)] - clean, snr_db, name)
    return example


def _check_peak(example: Example, member: str, pcm: Pcm, name: str) -> None:
    peak = max(int(pcm.max()), -int(pcm.min())) / signal.FULL_SCALE
    if peak > signal.PEAK_LIMIT + 1 / signal.FULL_SCALE:
        raise ManifestError(f"{name}.{member}: clips: peak {peak:.6f} of full scale")
    if abs(peak - example.members[member].peak) > 1e-6:
        raise ManifestError(
            f"{name}.{member}: expected peak {example.members[member].peak}, got {peak:.6f}"
        )


def _check_snr(example: Example, music: Signal, noise: Signal, snr_db: float, name: str) -> None:
    """Check the achieved SNR of a pair, in int16 steps, against its target and its sidecar."""
    member = example.members[noisy_name(snr_db)]
    scale = signal.FULL_SCALE**2
    powers = signal.pcm_power(music) / scale, signal.pcm_power(noise) / scale
    achieved_db = signal.power_db(powers[0]) - signal.power_db(powers[1])
    loud = min(powers) > 10 ** (signal.QUIETEST_DBFS / 10)
    near = abs(achieved_db - snr_db) <= signal.SNR_TOLERANCE_DB
    if member.target_db != snr_db or not (near if loud else _fits_rounding(*powers, snr_db)):
        raise ManifestError(
            f"{name}.{noisy_name(snr_db)}: expected {snr_db} dB within "
            f"{signal.SNR_TOLERANCE_DB} dB, got {achieved_db:.3f} dB"
        )
    if member.achieved_db is None or not abs(member.achieved_db - achieved_db) <= 0.001:
        raise ManifestError(
            f"{name}.{noisy_name(snr_db)}: sidecar says {member.achieved_db} dB, "
            f"measured {achieved_db:.3f} dB"
        )


def _fits_rounding(music_power: float, noise_power: float, snr_db: float) -> bool:
    """Tell whether a pair that is too quiet for the tolerance fits the target within rounding.

    Clean and noisy are each rounded by at most half an LSB, so the RMS of their difference lies
    within 1 LSB of the noise's, and the noise's within 0.5 LSB x ratio of clean's RMS x ratio.
    """
    ratio = signal.amplitude(-snr_db)
    expected, found = math.sqrt(music_power) * ratio, math.sqrt(noise_power)
    return abs(found - expected) <= 1.01 * (1.0 + 0.5 * ratio) / signal.FULL_SCALE
