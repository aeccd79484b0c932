"""The strong chain of the noisy student: CLMR's effects and ranges, with other probabilities.

minzwon/semi-supervised-music-tagging-transformer @9838d7f ``src/data_loader.py`` (METHOD.md 3.2):
torchaudio-augmentations at its own ranges, which are CLMR's, but for the white noise, which is loud
enough to be heard: 0.3 to 0.5 of the waveform's standard deviation, 10.5 to 6 dB SNR.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from trainer.augment.chain import CLMR

STRONG: Final = replace(
    CLMR,
    noise=replace(CLMR.noise, probability=0.3, ratio=(0.3, 0.5)),
    gain=replace(CLMR.gain, probability=0.2),
    delay=replace(CLMR.delay, probability=0.5),
    pitch=replace(CLMR.pitch, probability=0.4),
    reverb=replace(CLMR.reverb, probability=0.3),
)
"""Polarity .8, white noise .3, gain .2, high- or low-pass .8, delay .5, pitch .4, reverb .3."""
