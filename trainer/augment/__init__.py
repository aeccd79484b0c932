"""Waveform augmentations, batched, on the model's device, each example by draws of its own."""

from trainer.augment.chain import CLMR, AugmentationChain, AugmentConfig
from trainer.augment.strong import STRONG

__all__ = ["CLMR", "STRONG", "AugmentConfig", "AugmentationChain"]
