"""Pitch shift by a number of cents per example: phase vocoder, then windowed-sinc resampling.

For a factor r = 2^(cents/1200) the vocoder stretches time by r at equal pitch, and reading the
result r times as fast brings back the duration and moves the pitch. Unlike
``torchaudio.pitch_shift``, each example has its own factor, and its memory does not depend on it (a
rational resampler for odd cents builds kernels of gigabytes). The vocoder loses level, so the RMS
of the input is restored at the end.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch

from trainer.augment.selection import draw_selected, transform_selected
from trainer.augment.vocoder import play_at_speed

N_FFT: Final = 1024
"""Frames of 46 ms at 22,050 Hz: short enough for crops of seconds."""

GRID_BITS: Final = 11
GRID: Final = 1 << GRID_BITS
"""The factor is rounded to a multiple of 1/GRID (at most 0.6 cents off, at -700), so that every
position between samples is a multiple too, and one table holds all interpolation kernels. A
power of two: dividing whole numbers is slow."""

TAPS: Final = 16
KAISER_BETA: Final = 7.0
"""Interpolation kernel: 16 samples of a sinc under a Kaiser window, 70 dB of stop band."""

CPU_PART: Final = 3
BATCH_PARTS: Final = 6
"""How much is shifted at once: three examples on a CPU, whose caches then hold the work, and a
sixth of the batch elsewhere, which bounds the memory (13 batches) and still fills the device."""


@dataclass(frozen=True)
class PitchDraws:
    """Decisions of ``PitchShift``: ``selected`` (B,), bool; ``cents`` (B,), int64."""

    selected: torch.Tensor
    cents: torch.Tensor


@dataclass(frozen=True)
class PitchShift:
    """Shift the pitch at equal duration.

    Attributes:
        probability: of each example.
        cents: lowest and highest shift, cents, both included.
    """

    probability: float
    cents: tuple[int, int]

    def draw(self, n_examples: int, generator: torch.Generator) -> PitchDraws:
        """Draw for a batch."""
        selected = draw_selected(self.probability, n_examples, generator)
        low, high = self.cents
        return PitchDraws(
            selected, torch.randint(low, high + 1, (n_examples,), generator=generator)
        )

    def apply(self, audio: torch.Tensor, draws: PitchDraws) -> torch.Tensor:
        """Apply to audio (B, 1, T); same shape. A shift by 0 cents leaves the audio as it is."""
        part_size = CPU_PART if audio.device.type == "cpu" else math.ceil(len(audio) / BATCH_PARTS)

        def shift(chosen: torch.Tensor, indices: torch.Tensor) -> torch.Tensor:
            cents = draws.cents[indices]
            shifted = torch.empty_like(chosen)
            # Sorted by factor, the examples of a part have about the same number of frames.
            for part in torch.split(cents.argsort(stable=True), part_size):
                rows = part.to(chosen.device)
                shifted[rows] = shift_pitch(chosen[rows], cents[part])
            return shifted

        return transform_selected(audio, draws.selected & (draws.cents != 0), shift)


def shift_pitch(audio: torch.Tensor, cents: torch.Tensor, *, n_fft: int = N_FFT) -> torch.Tensor:
    """Shift each signal by its own number of cents.

    Args:
        audio: (n, T).
        cents: (n,), on the CPU.
        n_fft: length of the vocoder's frames.

    Returns:
        (n, T), each with the RMS of its input.

    Raises:
        ManifestError: the audio is too short to be reflected at its end.
    """
    n_samples = audio.shape[1]
    steps = (GRID * 2.0 ** (cents.double() / 1200)).round().long().to(audio.device)  # r·GRID, (n,)
    n_stretched = math.ceil(n_samples * int(steps.max()) / GRID + TAPS)
    stretched = play_at_speed(
        audio,
        GRID / steps.to(audio.dtype),
        n_stretched,
        n_fft=n_fft,
        keep=_below_new_nyquist(steps, n_fft, audio.dtype),
    )
    shifted = _resample(stretched, steps, n_samples, n_fft // 2)
    level = audio.square().mean(dim=1, keepdim=True)
    now = shifted.square().mean(dim=1, keepdim=True)
    return shifted * torch.where(now > 0, level / now, 0.0).sqrt()


def _below_new_nyquist(steps: torch.Tensor, n_fft: int, dtype: torch.dtype) -> torch.Tensor:
    """Mask (n, 1, bins) of what stays below half the sample rate when read r times as fast."""
    bins = torch.arange(n_fft // 2 + 1, device=steps.device)
    return (bins * steps[:, None] <= GRID * n_fft // 2).to(dtype)[:, None]


def _resample(
    stretched: torch.Tensor, steps: torch.Tensor, n_samples: int, lead_in: int
) -> torch.Tensor:
    """Read (n, lead-in + r·T + margin) at the positions i·r after the lead-in: (n, T)."""
    position = torch.arange(n_samples, device=stretched.device) * steps[:, None]  # i·r·GRID
    first = (position >> GRID_BITS) + (lead_in - TAPS // 2 + 1)
    first += torch.arange(len(stretched), device=stretched.device)[:, None] * stretched.shape[1]
    # Windows of the flattened signals: index_select then copies TAPS samples at a time.
    windows = stretched.contiguous().flatten().unfold(0, TAPS, 1)
    near = windows.index_select(0, first.flatten())
    near *= _kernels(stretched.device, stretched.dtype).index_select(
        0, (position & (GRID - 1)).flatten()
    )
    return near.sum(dim=1).view(len(stretched), n_samples)


@functools.lru_cache(maxsize=4)
def _kernels(device: torch.device, dtype: torch.dtype) -> torch.Tensor:
    """Interpolation weights (GRID, TAPS) of the samples around a position, by its fraction."""
    taps = np.arange(TAPS) - (TAPS // 2 - 1)
    distance = taps - np.arange(GRID)[:, None] / GRID  # -8 to 8
    inside = np.sqrt(np.clip(1 - (distance / (TAPS // 2)) ** 2, 0, None))
    window = np.i0(KAISER_BETA * inside) / np.i0(KAISER_BETA)
    return torch.from_numpy(np.sinc(distance) * window).to(device, dtype)
