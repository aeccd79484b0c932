"""One echo: y[n] = (x[n] + ½·x[n - d]) / 2, as in Spijkervet/torchaudio-augmentations."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from manifests.errors import UsageError
from manifests.rows import SAMPLE_RATE
from trainer.augment.selection import draw_selected, transform_selected


@dataclass(frozen=True)
class DelayDraws:
    """Decisions of ``Delay``: ``selected`` (B,), bool; ``delay_ms`` (B,), int64."""

    selected: torch.Tensor
    delay_ms: torch.Tensor


@dataclass(frozen=True)
class Delay:
    """Mix the waveform with a later, quieter copy of itself, at half the level.

    Attributes:
        probability: of each example.
        delays_ms: the delays to choose from, ms.
        echo: amplitude of the copy.
        sample_rate: of the audio, Hz.
    """

    probability: float
    delays_ms: tuple[int, ...]
    echo: float = 0.5
    sample_rate: int = SAMPLE_RATE

    def __post_init__(self) -> None:
        if not self.delays_ms or min(self.delays_ms) < 0:
            raise UsageError(
                f"delay: expected one or more delays of at least 0 ms, got {self.delays_ms}; "
                "set the probability to 0 to turn the effect off"
            )

    def draw(self, n_examples: int, generator: torch.Generator) -> DelayDraws:
        """Draw for a batch."""
        selected = draw_selected(self.probability, n_examples, generator)
        choice = torch.randint(len(self.delays_ms), (n_examples,), generator=generator)
        return DelayDraws(selected, torch.tensor(self.delays_ms)[choice])

    def apply(self, audio: torch.Tensor, draws: DelayDraws) -> torch.Tensor:
        """Apply to audio (B, 1, T); same shape, so an echo may run past the end."""

        def echo(chosen: torch.Tensor, indices: torch.Tensor) -> torch.Tensor:
            offset = draws.delay_ms[indices] * self.sample_rate // 1000  # rounded down, as there
            source = torch.arange(chosen.shape[1], device=chosen.device) - offset.to(
                chosen.device
            ).unsqueeze(1)
            later = chosen.gather(1, source.clamp(min=0)) * (source >= 0)
            return (chosen + self.echo * later) / 2

        return transform_selected(audio, draws.selected, echo)
