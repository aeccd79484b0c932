"""The memoryless effects of the CLMR chain: polarity, white noise and gain.

Spijkervet/torchaudio-augmentations; ranges in METHOD.md 2.3 (CLMR) and 3.2 (noisy student).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from trainer.augment.selection import draw_selected, draw_uniform, transform_selected


@dataclass(frozen=True)
class PolarityDraws:
    """Decisions of ``Polarity``: ``selected`` (B,), bool."""

    selected: torch.Tensor


@dataclass(frozen=True)
class Polarity:
    """Turn the waveform upside down.

    Attributes:
        probability: of each example.
    """

    probability: float

    def draw(self, n_examples: int, generator: torch.Generator) -> PolarityDraws:
        """Draw for a batch."""
        return PolarityDraws(draw_selected(self.probability, n_examples, generator))

    def apply(self, audio: torch.Tensor, draws: PolarityDraws) -> torch.Tensor:
        """Apply to audio (B, 1, T); same shape."""
        sign = torch.where(draws.selected, -1.0, 1.0).to(audio)
        return audio * sign[:, None, None]


@dataclass(frozen=True)
class GainDraws:
    """Decisions of ``Gain``: ``selected`` (B,), bool; ``gain_db`` (B,)."""

    selected: torch.Tensor
    gain_db: torch.Tensor


@dataclass(frozen=True)
class Gain:
    """Scale the waveform.

    Attributes:
        probability: of each example.
        gain_db: lowest and highest gain, dB; uniform in dB.
    """

    probability: float
    gain_db: tuple[float, float]

    def draw(self, n_examples: int, generator: torch.Generator) -> GainDraws:
        """Draw for a batch."""
        selected = draw_selected(self.probability, n_examples, generator)
        return GainDraws(selected, draw_uniform(self.gain_db, n_examples, generator))

    def apply(self, audio: torch.Tensor, draws: GainDraws) -> torch.Tensor:
        """Apply to audio (B, 1, T); same shape."""
        gain_db = torch.where(draws.selected, draws.gain_db, 0.0)
        return audio * (10.0 ** (gain_db / 20.0)).to(audio)[:, None, None]


@dataclass(frozen=True)
class NoiseDraws:
    """Decisions of ``Noise``: ``selected`` (B,), bool; ``ratio`` (B,); ``seed`` (B,), int64."""

    selected: torch.Tensor
    ratio: torch.Tensor
    seed: torch.Tensor


@dataclass(frozen=True)
class Noise:
    """Add white Gaussian noise.

    Attributes:
        probability: of each example.
        ratio: lowest and highest ratio of the noise's standard deviation to the waveform's
            (torchaudio-augmentations calls it "snr"; 1e-4 to 1e-2 is 80 to 40 dB SNR).
    """

    probability: float
    ratio: tuple[float, float]

    def draw(self, n_examples: int, generator: torch.Generator) -> NoiseDraws:
        """Draw for a batch: a seed stands for each example's noise, so that draws stay small."""
        selected = draw_selected(self.probability, n_examples, generator)
        ratio = draw_uniform(self.ratio, n_examples, generator)
        seed = torch.randint(2**62, (n_examples,), generator=generator)
        return NoiseDraws(selected, ratio, seed)

    def apply(self, audio: torch.Tensor, draws: NoiseDraws) -> torch.Tensor:
        """Apply to audio (B, 1, T); same shape. The noise is made on the CPU for any device."""

        def add(chosen: torch.Tensor, indices: torch.Tensor) -> torch.Tensor:
            noise = torch.stack([_white(seed, chosen.shape[1]) for seed in draws.seed[indices]])
            std = chosen.std(dim=1) * draws.ratio[indices].to(chosen)
            return chosen + noise.to(chosen) * std[:, None]

        return transform_selected(audio, draws.selected, add)


def _white(seed: torch.Tensor, n_samples: int) -> torch.Tensor:
    return torch.randn(n_samples, generator=torch.Generator().manual_seed(int(seed)))
