"""A perturbation applied to a stored clip, in the band of its set, with the SNR it came to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

from manifests.errors import ManifestError
from manifests.rows import SAMPLE_RATE
from manifests.signal import Signal, snr_db
from trainer.level import band_limit
from trainer.perturb.perturbation import Perturbation


def apply_perturbation(
    perturbation: Perturbation,
    signal: Signal,
    *,
    key: str,
    gain_db: float = 0.0,
    band_hz: float | None = None,
) -> tuple[Signal, float | None]:
    """Perturb a whole clip.

    The result stays in the band of the clip's set: a network trained below 7.2 kHz shall not meet
    noise above it, of which ``train tag`` would rid a file too.

    Args:
        perturbation: what is done.
        signal: (n_samples,), float64, full scale = 1.
        key: key of the example.
        gain_db: common gain of the example, over its source file.
        band_hz: upper edge of the example's band, Hz; None where it is full.

    Returns:
        The perturbed clip, (n_samples after,), and the SNR of the whole clip, dB, as the network
        hears it; None where no noise was added.

    Raises:
        ManifestError: the clip is silent, too short, or holds figures that no clip can have; the
            message begins with the key.
    """
    if not signal.any():
        raise ManifestError(f"{key}: expected sound to perturb, got silence; leave the clip out")
    with _one_thread(), np.errstate(all="ignore"):  # a wild gain or band is reported below
        try:
            done = perturbation.perturb(signal, key=key, gain_db=gain_db)
            heard = _in_band(done.signal, band_hz)
            noise = None if done.added is None else _in_band(done.added, band_hz)
        except (ManifestError, OverflowError, ZeroDivisionError) as error:
            raise ManifestError(f"{key}: {perturbation.name}: {error}") from error
    if not np.isfinite(heard).all():
        raise ManifestError(
            f"{key}: {perturbation.name}: expected finite samples, got others; check gain_db "
            f"({gain_db:g}) in the example's sidecar"
        )
    return heard, None if noise is None else snr_db(heard - noise, noise)


def _in_band(signal: Signal, band_hz: float | None) -> Signal:
    if band_hz is None:
        return signal
    audio = torch.from_numpy(signal)[None, None]
    limited: Signal = band_limit(audio, band_hz, SAMPLE_RATE)[0, 0].numpy()
    return limited


@contextmanager
def _one_thread() -> Iterator[None]:
    """Compute on one thread: sums over threads round differently, and workers have one each."""
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(n_threads)
