"""What a scan adds up over a file, block by block: peak, mean, level curve and spectrum."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from manifests.rows import BAND_STEP_HZ, SAMPLE_RATE
from manifests.signal import Signal

FFT_SAMPLES: Final = 4096
BANDWIDTH_SHARE: Final = 1e-6
"""The occupied band ends where less than this share of the energy (-60 dB) lies above."""
SILENCE_DB: Final = -128


class RunningSums:
    """Running sums over the mono average of a file.

    Args:
        sample_rate: of the file, Hz.

    Attributes:
        n_samples: samples added.
        peak: largest magnitude, full scale = 1.
        total: sum of the samples.
    """

    def __init__(self, sample_rate: int) -> None:
        self.sample_rate = sample_rate
        self.n_samples = 0
        self.peak = 0.0
        self.total = 0.0
        self.frame_sums: list[NDArray[np.float64]] = []
        self.open_sums = np.zeros((2, 1))
        self.spectrum = np.zeros(FFT_SAMPLES // 2 + 1)
        self.window = np.hanning(FFT_SAMPLES)

    def add(self, mono: Signal, top: float) -> None:
        """Add a block ``(n,)``, n > 0, whose largest magnitude is ``top``."""
        self.peak = max(self.peak, top)
        self.total += float(np.sum(mono))
        self._add_levels(mono)
        whole = mono[: mono.size // FFT_SAMPLES * FFT_SAMPLES].reshape(-1, FFT_SAMPLES)
        if not whole.size and self.n_samples == 0:  # a file shorter than one frame
            whole = mono[np.newaxis]
        if whole.size:  # DC is removed before mixing, so it counts neither here nor in the levels
            varying = whole - np.mean(whole, axis=1, keepdims=True)
            varying *= self.window[: varying.shape[1]]
            spectra = np.fft.rfft(varying, n=FFT_SAMPLES, axis=1)
            self.spectrum += np.sum(spectra.real**2 + spectra.imag**2, axis=0)
        self.n_samples += mono.size

    def _add_levels(self, mono: Signal) -> None:
        """Sum samples and squares per frame; frame j: ceil(j r / 10) to ceil((j + 1) r / 10)."""
        rate, start, stop = self.sample_rate, self.n_samples, self.n_samples + mono.size
        first, last = start * 10 // rate, (stop - 1) * 10 // rate
        edges = -(-np.arange(first + 1, last + 1) * rate // 10) - start
        edges = np.concatenate([[0], edges]).astype(np.intp)
        sums = np.stack([np.add.reduceat(mono, edges), np.add.reduceat(mono * mono, edges)])
        if start > -(-first * rate // 10):  # the first frame began in the block before
            sums[:, :1] += self.open_sums
        elif start:
            self.frame_sums.append(self.open_sums)
        self.frame_sums.append(sums[:, :-1])
        self.open_sums = sums[:, -1:]

    def rms_db(self) -> bytes:
        """Return the level of each frame less its own mean: what of it no span's mean takes away.

        Silence and steady DC are both at the floor then, whatever DC the rest of the file has.
        """
        totals, energies = np.concatenate([*self.frame_sums, self.open_sums], axis=1)
        edges = -(-np.arange(totals.size + 1) * self.sample_rate // 10)
        edges[-1] = self.n_samples
        n = np.diff(edges)
        with np.errstate(divide="ignore"):
            level: Signal = 10.0 * np.log10(np.maximum(energies / n - (totals / n) ** 2, 0.0))
        return np.clip(np.rint(level), SILENCE_DB, 127).astype(np.int8).tobytes()

    def band_db(self) -> bytes:
        """Return the level of what lies below 250 Hz, 500 Hz … 11,000 Hz against all, dB, int8."""
        total = float(np.sum(self.spectrum))
        edges = np.arange(1, SAMPLE_RATE // 2 // BAND_STEP_HZ + 1) * BAND_STEP_HZ
        bins = np.ceil(edges * FFT_SAMPLES / self.sample_rate).astype(np.intp)
        below = np.concatenate([[0.0], np.cumsum(self.spectrum)])
        below = below[np.minimum(bins, self.spectrum.size)]
        with np.errstate(divide="ignore"):
            level: Signal = 10.0 * np.log10(below / total if total > 0.0 else np.ones(edges.size))
        return np.clip(np.rint(level), SILENCE_DB, 0).astype(np.int8).tobytes()

    def bandwidth_hz(self) -> float:
        """Return the upper edge of the occupied band, Hz; 0 where nothing varies."""
        above = np.cumsum(self.spectrum[::-1])[::-1]
        if above[0] <= 0.0:
            return 0.0
        occupied = int(np.count_nonzero(above > BANDWIDTH_SHARE * above[0]))
        return round(max(occupied - 1, 0) * self.sample_rate / FFT_SAMPLES, 1)
