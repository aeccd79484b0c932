"""What happens to a waveform between the shard and the model: SNR, band and level.

Level is a cue that must not help: noisy members are louder than clean ones, and the mixer's common
gain makes clean ones quieter than ordinary files (DESIGN.md section 6). So every model input is
scaled to one RMS.
"""

from __future__ import annotations

import functools
from typing import Final

import scipy.signal
import torch
from scipy.fft import next_fast_len

from manifests.errors import UsageError
from manifests.reading import STOP_DB, TRANSITION_HZ

QUIETEST_DBFS: Final = -100.0
"""Chunks below this RMS are silence: int16 rounding alone is at -101 dBFS."""


def scale_to_rms(audio: torch.Tensor, target_dbfs: float = -20.0) -> torch.Tensor:
    """Scale each chunk to one RMS.

    Args:
        audio: (B, 1, T), full scale = 1.
        target_dbfs: RMS wanted, dB; a square wave at full scale has 0.

    Returns:
        (B, 1, T). Chunks below -100 dBFS are silent and come back as they are.
    """
    rms = audio.square().mean(dim=(1, 2), keepdim=True).sqrt()
    audible = rms > 10.0 ** (QUIETEST_DBFS / 20)
    return audio * torch.where(audible, 10.0 ** (target_dbfs / 20) / rms, 1.0)


def relevel(
    clean: torch.Tensor,
    noisy_lowest: torch.Tensor,
    lowest_db: float,
    snr_db: float | torch.Tensor,
) -> torch.Tensor:
    """Mix at another SNR from a stored pair: clean + (noisy - clean)·10^((lowest - s)/20).

    Music and noise are stored in exact proportion, so the noise part only needs another gain
    (DESIGN.md section 3; ``manifests.signal.relevel`` is the same for one pair in numpy).

    Args:
        clean: (B, 1, T).
        noisy_lowest: the members with the lowest stored SNR, (B, 1, T).
        lowest_db: SNR of ``noisy_lowest``, dB.
        snr_db: SNR wanted, dB: one number, or one per example (B,). Below ``lowest_db`` it would
            amplify rounding noise.

    Returns:
        (B, 1, T), float32.
    """
    snrs_db = torch.as_tensor(snr_db, dtype=torch.float64).reshape(-1, 1, 1)
    factor = (10.0 ** ((lowest_db - snrs_db) / 20)).to(clean.device, torch.float32)
    quiet, loud = clean.float(), noisy_lowest.float()
    return quiet + (loud - quiet) * factor


def band_limit(audio: torch.Tensor, cutoff_hz: float, sample_rate: int) -> torch.Tensor:
    """Low-pass audio as the shards of a set with ``band_hz`` were, without delay.

    The design of ``manifests.reading.band_filter``: linear-phase Kaiser window, 80 dB down from
    ``cutoff_hz`` on, the 500 Hz below it being the transition. A checkpoint remembers the band of
    its shards; ordinary files need it too, or they hold a band that the model never heard.

    Args:
        audio: (B, 1, T).
        cutoff_hz: upper edge of the band kept, Hz.
        sample_rate: Hz.

    Returns:
        (B, 1, T). As if silence surrounded the audio: edges of 5 ms fade.

    Raises:
        UsageError: for a cutoff outside 500 Hz to half the sample rate.
    """
    if not TRANSITION_HZ < cutoff_hz <= sample_rate / 2:
        raise UsageError(
            f"band limit: expected {TRANSITION_HZ:g} to {sample_rate / 2:g} Hz, got "
            f"{cutoff_hz:g}; use the band_hz of the checkpoint"
        )
    taps = _band_taps(cutoff_hz, sample_rate).to(audio)
    n_samples, half = audio.shape[-1], len(taps) // 2
    n_fft = next_fast_len(n_samples + 2 * half, real=True)
    spectrum = torch.fft.rfft(audio, n=n_fft) * torch.fft.rfft(taps, n=n_fft)
    filtered: torch.Tensor = torch.fft.irfft(spectrum, n=n_fft)
    return filtered[..., half : half + n_samples]


def narrower_hz(limit_hz: float | None, band_hz: float | None) -> float | None:
    """Return a limit where it takes something away from a band, None where it does not.

    Args:
        limit_hz: upper edge wanted, Hz; None wants no limit.
        band_hz: upper edge of the audio, Hz; None where its band is full.
    """
    cuts = limit_hz is not None and (band_hz is None or limit_hz < band_hz)
    return limit_hz if cuts else None


@functools.lru_cache(maxsize=8)
def _band_taps(cutoff_hz: float, sample_rate: int) -> torch.Tensor:
    n_taps, beta = scipy.signal.kaiserord(STOP_DB, TRANSITION_HZ / (sample_rate / 2))
    taps = scipy.signal.firwin(
        n_taps | 1, cutoff_hz - TRANSITION_HZ / 2, window=("kaiser", beta), fs=sample_rate
    )
    return torch.from_numpy(taps)
