"""The augmentation chain of stage 1 and of the noisy student: seven effects in a fixed order.

CLMR (Spijkervet & Burgoyne 2021, arXiv:2103.09410; METHOD.md 2.3). The random crop that opens
CLMR's list belongs to the loader. SoX's pitch and reverb are replaced by torch (see ``pitch`` and
``reverb``), so the chain runs batched on the model's device and needs no program.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import torch

from manifests.errors import ManifestError
from trainer.augment.delay import Delay, DelayDraws
from trainer.augment.filters import HighLowPass, HighLowPassDraws
from trainer.augment.pitch import PitchDraws, PitchShift
from trainer.augment.reverb import Reverb, ReverbDraws
from trainer.augment.simple import (
    Gain,
    GainDraws,
    Noise,
    NoiseDraws,
    Polarity,
    PolarityDraws,
)


@dataclass(frozen=True)
class AugmentConfig:
    """The effects of a chain, in the order in which they are applied.

    Attributes:
        polarity: first.
        noise: second.
        gain: third.
        high_low_pass: fourth.
        delay: fifth.
        pitch: sixth.
        reverb: last.
    """

    polarity: Polarity
    noise: Noise
    gain: Gain
    high_low_pass: HighLowPass
    delay: Delay
    pitch: PitchShift
    reverb: Reverb


CLMR: Final = AugmentConfig(
    polarity=Polarity(0.8),
    noise=Noise(0.01, ratio=(1e-4, 1e-2)),
    gain=Gain(0.3, gain_db=(-20.0, -1.0)),
    high_low_pass=HighLowPass(0.8, highpass_hz=(200.0, 1200.0), lowpass_hz=(2200.0, 4000.0)),
    delay=Delay(0.3, delays_ms=(200, 250, 300, 350, 400, 450)),
    pitch=PitchShift(0.6, cents=(-700, 700)),
    reverb=Reverb(0.6),
)
"""The chain of contrastive pretraining (METHOD.md 2.3)."""


@dataclass(frozen=True)
class ChainDraws:
    """The decisions of all effects for one batch, named as in ``AugmentConfig``."""

    polarity: PolarityDraws
    noise: NoiseDraws
    gain: GainDraws
    high_low_pass: HighLowPassDraws
    delay: DelayDraws
    pitch: PitchDraws
    reverb: ReverbDraws


class AugmentationChain:
    """Augment a batch, each example by decisions of its own.

    Args:
        config: the effects; ``CLMR``, ``strong.STRONG`` or others.
    """

    def __init__(self, config: AugmentConfig = CLMR) -> None:
        self.config = config

    def __call__(self, audio: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Draw and apply.

        Args:
            audio: (B, 1, T), float32, on any device.
            generator: on the CPU, so that a seed gives the same decisions on any device.

        Returns:
            (B, 1, T); finite where the input is.

        Raises:
            ManifestError: if the audio has another shape.
        """
        return self.apply(audio, self.draw(len(audio), generator))

    def draw(self, n_examples: int, generator: torch.Generator) -> ChainDraws:
        """Draw the decisions for a batch of ``n_examples``; ``generator`` on the CPU."""
        effects = self.config
        return ChainDraws(
            polarity=effects.polarity.draw(n_examples, generator),
            noise=effects.noise.draw(n_examples, generator),
            gain=effects.gain.draw(n_examples, generator),
            high_low_pass=effects.high_low_pass.draw(n_examples, generator),
            delay=effects.delay.draw(n_examples, generator),
            pitch=effects.pitch.draw(n_examples, generator),
            reverb=effects.reverb.draw(n_examples, generator),
        )

    @torch.no_grad()
    def apply(self, audio: torch.Tensor, draws: ChainDraws) -> torch.Tensor:
        """Apply given decisions to audio (B, 1, T); draws nothing."""
        if audio.ndim != 3 or audio.shape[1] != 1:
            raise ManifestError(
                f"audio: expected shape (batch, 1, samples), got {tuple(audio.shape)}; "
                "augment mono chunks"
            )
        effects = self.config
        audio = effects.polarity.apply(audio, draws.polarity)
        audio = effects.noise.apply(audio, draws.noise)
        audio = effects.gain.apply(audio, draws.gain)
        audio = effects.high_low_pass.apply(audio, draws.high_low_pass)
        audio = effects.delay.apply(audio, draws.delay)
        audio = effects.pitch.apply(audio, draws.pitch)
        return effects.reverb.apply(audio, draws.reverb)
