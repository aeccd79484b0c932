"""Pitch shift by a number of cents per example: phase vocoder, then windowed-sinc resampling.

Flanagan & Golden 1966; the frame arithmetic of ``torchaudio.functional.phase_vocoder``. For a
factor r = 2^(cents/1200) the vocoder stretches time by r at equal pitch, and reading the result r
times as fast brings back the duration and moves the pitch. Unlike ``torchaudio.pitch_shift``, each
example has its own factor, and its memory does not depend on it (a rational resampler for odd
cents builds kernels of gigabytes).

Analysis and synthesis use one hop, so a bin's phase advance from frame to frame is used as it is,
modulo 2π, and needs no unwrapping.

A vocoder blurs what is not tonal: overlapping frames of noise add up incoherently, 2 to 3 dB below
the input. The RMS of the input is therefore restored at the end.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from torch.nn import functional as F

from manifests.errors import ManifestError
from trainer.augment.selection import draw_selected, transform_selected

N_FFT: Final = 1024
HOP: Final = N_FFT // 4
"""Hann frames of 46 ms at 22,050 Hz, three quarters overlapping."""

TAIL_FRAMES: Final = 5
"""Hops of reflected audio after the end, so that the frames that overlap the last sample exist."""

GRID: Final = 2048
"""The factor is rounded to a multiple of 1/GRID (at most 0.6 cents off, at -700), so that every
position between samples is a multiple too, and one table holds all interpolation kernels."""

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


def shift_pitch(audio: torch.Tensor, cents: torch.Tensor) -> torch.Tensor:
    """Shift each signal by its own number of cents.

    Args:
        audio: (n, T).
        cents: (n,), on the CPU.

    Returns:
        (n, T), each with the RMS of its input.

    Raises:
        ManifestError: if the audio is too short to be reflected at its end.
    """
    n_samples = audio.shape[1]
    if n_samples <= N_FFT // 2 + TAIL_FRAMES * HOP:
        raise ManifestError(
            f"audio: expected more than {N_FFT // 2 + TAIL_FRAMES * HOP} samples, got {n_samples}; "
            "shift longer chunks"
        )
    steps = (GRID * 2.0 ** (cents.double() / 1200)).round().long().to(audio.device)  # r·GRID, (n,)
    stretched = _stretch(audio, steps)
    shifted = _resample(stretched, steps, n_samples)
    level = audio.square().mean(dim=1, keepdim=True)
    now = shifted.square().mean(dim=1, keepdim=True)
    return shifted * torch.where(now > 0, level / now, 0.0).sqrt()


def _stretch(audio: torch.Tensor, steps: torch.Tensor) -> torch.Tensor:
    """Stretch (n, T) by r = steps/GRID: (n, N_FFT/2 + r·T + margin), N_FFT/2 samples of lead-in."""
    window = torch.hann_window(N_FFT, device=audio.device, dtype=audio.dtype)
    ends = (N_FFT // 2, N_FFT // 2 + TAIL_FRAMES * HOP)
    padded = F.pad(audio[:, None], ends, mode="reflect")[:, 0]
    spectrum = torch.fft.rfft(padded.unfold(1, N_FFT, HOP) * window)  # (n, frames, bins)
    magnitude = spectrum.abs()
    phase = spectrum.angle()
    del spectrum
    # Frame m of the stretched signal shows the source at frame m/r; past the end, the last one.
    n_frames = spectrum_frames(audio.shape[1], int(steps.max()))
    place = torch.arange(n_frames, device=audio.device) * (GRID / steps[:, None].to(audio.dtype))
    before = place.long().clamp(max=magnitude.shape[1] - 2)
    share = (place - before).clamp(max=1.0)[..., None]
    rows = torch.arange(len(audio), device=audio.device)[:, None]
    # Folding the advance into (-π, π] keeps the running sum small enough for float32.
    advance = torch.diff(phase, dim=1)
    advance -= (2 * math.pi) * torch.round(advance / (2 * math.pi))
    running = advance[rows, before[:, :-1]].cumsum_(dim=1)
    running = torch.cat([phase[:, :1], running.add_(phase[:, :1])], dim=1)
    del advance, phase
    loudness = magnitude[rows, before].lerp_(magnitude[rows, before + 1], share)
    loudness *= _below_new_nyquist(steps, loudness.dtype)
    return _overlap_add(torch.fft.irfft(_lock(loudness, running), n=N_FFT), window)


def _lock(loudness: torch.Tensor, phase: torch.Tensor) -> torch.Tensor:
    """Spectrum of given loudness whose phases agree within each spectral peak.

    The bins of one partial keep whatever phases they had when it began, so that they partly cancel:
    up to 7 dB, measured. Puckette 1995 ("Phase-locked vocoder"): give each bin the phase of itself
    *less* its two neighbours; the phases within the main lobe of a Hann window alternate in sign,
    so the strongest bin of a peak then rules the others.
    """
    spectrum = torch.polar(loudness, phase)
    locked = spectrum.clone()
    locked[..., 1:] -= spectrum[..., :-1]
    locked[..., :-1] -= spectrum[..., 1:]
    return locked.mul_(loudness / locked.abs().clamp(min=1e-20))


def spectrum_frames(n_samples: int, largest_step: int) -> int:
    """Frames needed so that four of them overlap up to the last sample that is read."""
    return math.ceil((n_samples * largest_step / GRID + TAPS) / HOP) + 3


def _below_new_nyquist(steps: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Mask (n, 1, bins) of what stays below half the sample rate when read r times as fast."""
    bins = torch.arange(N_FFT // 2 + 1, device=steps.device)
    return (bins * steps[:, None] <= GRID * N_FFT // 2).to(dtype)[:, None]


def _overlap_add(frames: torch.Tensor, window: torch.Tensor) -> torch.Tensor:
    """Overlap-add frames (n, M, N_FFT) with synthesis window: (n, (M + 3)·HOP)."""
    overlap = N_FFT // HOP
    n_frames = frames.shape[1]
    frames *= window
    pieces = frames.view(len(frames), n_frames, overlap, HOP)
    weights = window.square().view(overlap, HOP)
    total = frames.new_zeros(len(frames), n_frames + overlap - 1, HOP)
    weight = frames.new_zeros(n_frames + overlap - 1, HOP)
    for piece in range(overlap):
        total[:, piece : piece + n_frames] += pieces[:, :, piece]
        weight[piece : piece + n_frames] += weights[piece]
    return (total / weight.clamp(min=1e-3)).view(len(frames), -1)


def _resample(stretched: torch.Tensor, steps: torch.Tensor, n_samples: int) -> torch.Tensor:
    """Read (n, lead-in + r·T + margin) at the positions i·r after the lead-in: (n, T)."""
    position = torch.arange(n_samples, device=stretched.device) * steps[:, None]  # i·r·GRID
    first = position // GRID + (N_FFT // 2 - TAPS // 2 + 1)
    first += torch.arange(len(stretched), device=stretched.device)[:, None] * stretched.shape[1]
    # Windows of the flattened signals: index_select then copies TAPS samples at a time.
    windows = stretched.contiguous().flatten().unfold(0, TAPS, 1)
    near = windows.index_select(0, first.flatten())
    near *= _kernels(stretched.device, stretched.dtype).index_select(0, (position % GRID).flatten())
    return near.sum(dim=1).view(len(stretched), n_samples)


@functools.lru_cache(maxsize=4)
def _kernels(device: torch.device, dtype: torch.dtype) -> torch.Tensor:
    """Interpolation weights (GRID, TAPS) of the samples around a position, by its fraction."""
    taps = np.arange(TAPS) - (TAPS // 2 - 1)
    distance = taps - np.arange(GRID)[:, None] / GRID  # -8 to 8
    inside = np.sqrt(np.clip(1 - (distance / (TAPS // 2)) ** 2, 0, None))
    window = np.i0(KAISER_BETA * inside) / np.i0(KAISER_BETA)
    return torch.from_numpy(np.sinc(distance) * window).to(device, dtype)
