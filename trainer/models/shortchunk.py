"""Short-chunk CNN with residual connections (Won et al. 2020, arXiv:2006.00751).

``ShortChunkCNN_Res`` of minzwon/sota-music-tagging-models ``training/model.py``, the variant of the
two with the better scores there (MTAT .9129/.4614, METHOD.md 3.1): seven residual blocks of stride
two, so a chunk of 3.69 s ends as one band and two frames, max over time, one dense layer. With its
head of 50 tags it has 12,104,244 parameters.

The dropout of 0.5 in front of the published head is left out, as SampleCNN's is: h feeds a
contrastive loss and a domain classifier too.
"""

from __future__ import annotations

import itertools
from typing import ClassVar, Final

import torch
from torch import nn
from torch.nn import functional as F

from manifests.rows import SAMPLE_RATE
from trainer.models.backbone import Backbone, scaled
from trainer.models.log_mel import LogMel, MelSettings
from trainer.models.residual import ResidualBlock

CHANNELS: Final = (128, 128, 256, 256, 256, 256, 512)
"""Output channels of the blocks at width 1."""

FRONT_END: Final = MelSettings(
    n_mels=128, n_fft=1024, window_samples=706, hop_samples=353, high_hz=8000.0
)
"""The published 512 and 256 samples at 16 kHz (32 ms, 16 ms), rounded at 22,050 Hz; same bands."""


class ShortChunkCNN(Backbone):
    """Encoder from a chunk of audio to h, 512 at width 1.

    Args:
        width: factor on every channel count, for small runs; 1 is the published network.
        chunk_samples: samples of one input; None is 81,365 (3.69 s).

    Raises:
        UsageError: for a width not above 0, or a chunk outside 1 to 60 s.
    """

    name: ClassVar[str] = "shortchunk"
    default_chunk: ClassVar[int] = 81_365
    shortest_chunk: ClassVar[int] = SAMPLE_RATE
    longest_chunk: ClassVar[int] = 60 * SAMPLE_RATE

    def __init__(self, width: float = 1.0, chunk_samples: int | None = None) -> None:
        super().__init__(chunk_samples)
        channels = [scaled(size, width) for size in CHANNELS]
        self.n_features = channels[-1]
        self.mel = LogMel(FRONT_END)
        self.blocks = nn.Sequential(
            *(
                ResidualBlock(before, after, stride=2)
                for before, after in itertools.pairwise([1, *channels])
            )
        )
        self.dense = nn.Linear(self.n_features, self.n_features)
        self.norm = nn.BatchNorm1d(self.n_features)

    def forward(self, audio: torch.Tensor) -> torch.Tensor:
        """Embed chunks.

        Args:
            audio: mono chunks at 22,050 Hz, (B, 1, chunk_samples).

        Returns:
            Embeddings h, (B, n_features).

        Raises:
            ManifestError: if the audio has another shape.
        """
        self.check_audio(audio)
        maps = self.blocks(self.mel(audio))  # (B, C, 1, frames / 128)
        pooled = maps.amax(dim=(2, 3))
        return F.relu(self.norm(self.dense(pooled)))
