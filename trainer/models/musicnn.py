"""Musicnn: filters shaped after music (Pons et al. 2018, arXiv:1711.02520).

As in minzwon/sota-music-tagging-models ``training/model.py`` with its MTAT sizes: tall filters for
timbre and long ones for rhythm over a mel spectrogram, three temporal convolutions with shortcuts,
max and mean over time, one dense layer. With its head of 50 tags it has 784,300 parameters.

The dropout of 0.5 in front of the published head is left out, as SampleCNN's is: h feeds a
contrastive loss and a domain classifier too.
"""

from __future__ import annotations

from typing import ClassVar, Final

import torch
from torch import nn
from torch.nn import functional as F

from manifests.rows import SAMPLE_RATE
from trainer.models.backbone import Backbone, scaled
from trainer.models.log_mel import LogMel, MelSettings

FRONT_END: Final = MelSettings(
    n_mels=96, n_fft=1024, window_samples=706, hop_samples=353, high_hz=8000.0
)
"""The published 512 and 256 samples at 16 kHz (32 ms, 16 ms), rounded at 22,050 Hz; same bands."""

TALL_BANDS: Final = (67, 38)
"""Heights of the timbre filters, mel bands: 70 % and 40 % of 96; all are 7 frames wide."""

LONG_FRAMES: Final = (129, 65, 33)
"""Lengths of the rhythm filters, frames: 2.1, 1.0 and 0.5 s."""

TALL_CHANNELS: Final = 204
LONG_CHANNELS: Final = 51
BACK_CHANNELS: Final = 64
N_FEATURES: Final = 200
WIDE_FRAMES: Final = 7
"""Kernel of the timbre filters in time and of the temporal convolutions, frames."""


class Musicnn(Backbone):
    """Encoder from a chunk of audio to h, 200 at width 1.

    Args:
        width: factor on every channel count, for small runs; 1 is the published network.
        chunk_samples: samples of one input; None is 66,150 (3 s).

    Raises:
        UsageError: for a width not above 0, or a chunk outside 1 to 60 s.
    """

    name: ClassVar[str] = "musicnn"
    default_chunk: ClassVar[int] = 66_150
    shortest_chunk: ClassVar[int] = SAMPLE_RATE
    longest_chunk: ClassVar[int] = 60 * SAMPLE_RATE

    def __init__(self, width: float = 1.0, chunk_samples: int | None = None) -> None:
        super().__init__(chunk_samples)
        tall, long, back, self.n_features = (
            scaled(size, width)
            for size in (TALL_CHANNELS, LONG_CHANNELS, BACK_CHANNELS, N_FEATURES)
        )
        n_front = len(TALL_BANDS) * tall + len(LONG_FRAMES) * long
        self.mel = LogMel(FRONT_END)
        self.tall = nn.ModuleList(_Tall(tall, bands) for bands in TALL_BANDS)
        self.long = nn.ModuleList(_temporal(1, long, frames) for frames in LONG_FRAMES)
        self.back = nn.ModuleList(
            _temporal(n_in, back, WIDE_FRAMES) for n_in in (n_front, back, back)
        )
        self.dense = nn.Linear(2 * (n_front + len(self.back) * back), self.n_features)
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
        mel = self.mel(audio)  # (B, 1, 96, frames)
        energy = mel.mean(dim=2)  # (B, 1, frames): rhythm is read off the mean over bands
        front = torch.cat(
            [*(tall(mel) for tall in self.tall), *(long(energy) for long in self.long)], dim=1
        )
        first = self.back[0](front)
        second = self.back[1](first) + first
        third = self.back[2](second) + second
        every = torch.cat([front, first, second, third], dim=1)  # (B, C, frames)
        pooled = torch.cat([every.amax(dim=2), every.mean(dim=2)], dim=1)
        return F.relu(self.norm(self.dense(pooled)))


class _Tall(nn.Module):
    """Timbre: filters over many bands and few frames, then the maximum over bands."""

    def __init__(self, n_out: int, bands: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, n_out, (bands, WIDE_FRAMES), padding=(0, WIDE_FRAMES // 2))
        self.norm = nn.BatchNorm2d(n_out)
        self.places = FRONT_END.n_mels - bands + 1

    def forward(self, mel: torch.Tensor) -> torch.Tensor:
        """Return (B, n_out, frames) of spectrograms (B, 1, bands, frames)."""
        # max_pool2d, for amax over this axis compiled for a CPU corrupts memory at 6 channels
        # (torch 2.11); ReLU is monotone, so it may come after the pool.
        tall = F.max_pool2d(self.norm(self.conv(mel)), (self.places, 1))
        return F.relu(tall).squeeze(2)


def _temporal(n_in: int, n_out: int, frames: int) -> nn.Sequential:
    """Return a convolution over time that keeps the number of frames."""
    return nn.Sequential(
        nn.Conv1d(n_in, n_out, frames, padding=frames // 2), nn.BatchNorm1d(n_out), nn.ReLU()
    )
