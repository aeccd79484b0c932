"""Which examples of a batch an effect touches, and how it touches only those.

Every decision is drawn on the CPU from one generator, for every example whether selected or not,
and then moved: a run draws the same on any device, and what example i hears depends on its own
draws alone.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

from manifests.errors import UsageError


def draw_selected(probability: float, n_examples: int, generator: torch.Generator) -> torch.Tensor:
    """Decide for each example whether an effect is applied.

    Args:
        probability: of each example, independently.
        n_examples: batch size B.
        generator: on the CPU.

    Returns:
        (B,), bool, on the CPU.

    Raises:
        UsageError: if the probability is outside [0, 1].
    """
    if not 0 <= probability <= 1:
        raise UsageError(f"probability: expected 0 to 1, got {probability}; 0 turns an effect off")
    return torch.rand(n_examples, generator=generator) < probability


def draw_uniform(
    bounds: tuple[float, float], n_examples: int, generator: torch.Generator
) -> torch.Tensor:
    """Draw one number per example, uniform between the bounds: (B,), float32, on the CPU."""
    low, high = bounds
    return low + (high - low) * torch.rand(n_examples, generator=generator)


def transform_selected(
    audio: torch.Tensor,
    selected: torch.Tensor,
    transform: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
) -> torch.Tensor:
    """Transform the selected examples; the others come back as they are.

    An example whose result is not finite keeps its input, as in torchaudio-augmentations.

    Args:
        audio: (B, 1, T).
        selected: (B,), bool, on the CPU.
        transform: takes the selected audio (n, T) and their indices in the batch (n,) on the
            CPU, and returns (n, T); it must not change its input. Not called for n = 0.

    Returns:
        (B, 1, T), a new tensor where anything was selected.
    """
    indices = selected.nonzero().squeeze(1)
    if len(indices) == 0:
        return audio
    rows = indices.to(audio.device)
    before = audio[rows, 0]
    after = transform(before, indices)
    finite = torch.isfinite(after.sum(dim=1, keepdim=True))  # inf and NaN both survive a sum
    result = audio.clone()
    result[rows, 0] = torch.where(finite, after, before)
    return result
