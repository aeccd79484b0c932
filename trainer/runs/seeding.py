"""Generators that depend on the step alone, so that a checkpoint need not hold their state."""

from __future__ import annotations

import torch

from manifests.canonical import hash64


def step_generator(
    seed: int, purpose: str, step: int, *, rank: int = 0, device: torch.device | None = None
) -> torch.Generator:
    """Return a generator seeded from (seed, purpose, step, rank).

    A stage that draws its augmentations from one of these per step gives the same bits whether
    it was resumed or not, and other bits on every rank.

    Args:
        seed: seed of the run.
        purpose: what it is for, e.g. ``augment``.
        step: the step.
        rank: this process.
        device: of the generator; the CPU where None.
    """
    generator = torch.Generator(device=device or torch.device("cpu"))
    return generator.manual_seed(hash64(seed, purpose, step, rank) >> 1)
