"""High-pass or low-pass filter with a cutoff per example, batched by FFT.

The windowed-sinc design of julius (``julius/lowpass.py``, MIT), which CLMR's chain uses: a sinc of
eight zero crossings on each side under a Hann window, unit gain at 0 Hz, zero phase, edges
replicated; the high-pass is the input less the low-pass. The gain at the cutoff is one half.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import torch
from scipy.fft import next_fast_len
from torch.nn import functional as F

from manifests.rows import SAMPLE_RATE
from trainer.augment.selection import draw_selected, draw_uniform, transform_selected

ZEROS: Final = 8
"""Zero crossings of the sinc on each side; more is steeper and rings longer."""


@dataclass(frozen=True)
class HighLowPassDraws:
    """Decisions of ``HighLowPass``: ``selected``, ``high_pass`` (B,), bool; ``cutoff_hz`` (B,)."""

    selected: torch.Tensor
    high_pass: torch.Tensor
    cutoff_hz: torch.Tensor


@dataclass(frozen=True)
class HighLowPass:
    """Filter with a high-pass or, as often, a low-pass.

    Attributes:
        probability: of each example.
        highpass_hz: lowest and highest cutoff of the high-pass, Hz.
        lowpass_hz: lowest and highest cutoff of the low-pass, Hz.
        sample_rate: of the audio, Hz.
    """

    probability: float
    highpass_hz: tuple[float, float]
    lowpass_hz: tuple[float, float]
    sample_rate: int = SAMPLE_RATE

    def draw(self, n_examples: int, generator: torch.Generator) -> HighLowPassDraws:
        """Draw for a batch."""
        selected = draw_selected(self.probability, n_examples, generator)
        high_pass = draw_selected(0.5, n_examples, generator)
        high_hz = draw_uniform(self.highpass_hz, n_examples, generator)
        low_hz = draw_uniform(self.lowpass_hz, n_examples, generator)
        return HighLowPassDraws(selected, high_pass, torch.where(high_pass, high_hz, low_hz))

    def apply(self, audio: torch.Tensor, draws: HighLowPassDraws) -> torch.Tensor:
        """Apply to audio (B, 1, T); same shape."""
        lowest_hz = min(self.highpass_hz[0], self.lowpass_hz[0])
        half = math.ceil(ZEROS * self.sample_rate / (2 * lowest_hz))

        def filter_rows(chosen: torch.Tensor, indices: torch.Tensor) -> torch.Tensor:
            cutoff = (draws.cutoff_hz[indices] / self.sample_rate).to(chosen)
            high_pass = draws.high_pass[indices].to(chosen.device)
            return _filter(chosen, lowpass_kernels(cutoff, half), high_pass)

        return transform_selected(audio, draws.selected, filter_rows)


def lowpass_kernels(cutoff: torch.Tensor, half: int) -> torch.Tensor:
    """Design one low-pass kernel per cutoff.

    Args:
        cutoff: cutoffs as fractions of the sample rate, (n,).
        half: samples on each side of the centre; at least ZEROS/(2·cutoff), or it is cut short.

    Returns:
        Symmetric kernels with sum 1, (n, 2·half + 1).
    """
    time = torch.arange(-half, half + 1, device=cutoff.device, dtype=cutoff.dtype)
    width = ZEROS / (2 * cutoff[:, None])  # where the sinc has its last zero, in samples
    window = 0.5 + 0.5 * torch.cos(math.pi * time / width)
    kernels = torch.sinc(2 * cutoff[:, None] * time) * window * (time.abs() <= width)
    return kernels / kernels.sum(dim=1, keepdim=True)


def _filter(audio: torch.Tensor, kernels: torch.Tensor, high_pass: torch.Tensor) -> torch.Tensor:
    """Convolve (n, T) with symmetric kernels (n, 2·half + 1), or subtract that from the input."""
    half = kernels.shape[1] // 2
    n_samples = audio.shape[1]
    # With half a kernel of replicated edge on both sides, circular wrap-around only reaches the
    # padding, so the transform needs no room for the kernel's tail.
    n_fft = next_fast_len(n_samples + 2 * half, real=True)
    padded = F.pad(audio[:, None], (half, half), mode="replicate")[:, 0]
    centred = F.pad(kernels, (0, n_fft - kernels.shape[1])).roll(-half, dims=1)
    response = torch.fft.rfft(centred).real  # zero phase: symmetric around sample 0
    response = torch.where(high_pass[:, None], 1 - response, response)
    spectrum = torch.fft.rfft(padded, n=n_fft).mul_(response)
    filtered: torch.Tensor = torch.fft.irfft(spectrum, n=n_fft)
    return filtered[:, half : half + n_samples]
