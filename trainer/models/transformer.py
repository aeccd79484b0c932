"""Music tagging transformer (Won, Choi & Serra 2021, arXiv:2111.13457).

As in minzwon/semi-supervised-music-tagging-transformer ``src/models.py`` and ``src/modules.py``
(METHOD.md 3.2): three residual convolutions turn a mel spectrogram into one token per four frames,
four transformer layers read them together with a class token, and h is that token's last state
after a LayerNorm. With a head of 50 tags it has 4,567,732 parameters (the teacher), and 1,108,852
with tokens of 64 (the compact student).
"""

from __future__ import annotations

from typing import ClassVar, Final

import torch
from torch import nn
from torch.nn import functional as F

from manifests.errors import UsageError
from manifests.rows import SAMPLE_RATE
from trainer.models.backbone import Backbone, scaled
from trainer.models.log_mel import LogMel, MelSettings
from trainer.models.residual import ResidualBlock

FRONT_END: Final = MelSettings(
    n_mels=128, n_fft=1024, window_samples=1024, hop_samples=512, high_hz=11_025.0
)

CHANNELS: Final = 128
POOLS: Final = ((2, 2), (2, 2), (2, 1))
"""Pools of the three convolutions, (mel bands, frames): 128 bands end as 16, four frames as one."""

N_HEADS: Final = 8
N_LAYERS: Final = 4
N_POSITIONS: Final = 513
"""Position embeddings: the class token and up to 512 tokens, 47.6 s."""

DROPOUT: Final = 0.1
FRAMES_PER_TOKEN: Final = 4


class MusicTaggingTransformer(Backbone):
    """Encoder from a chunk of audio to h, 256 at width 1.

    Args:
        width: factor on channels and token size, for small runs; 1 is the published network.
        attention_dim: size of a token at width 1: 256 is the teacher, 64 the compact student.
        chunk_samples: samples of one input; None is 81,365 (3.69 s).

    Raises:
        UsageError: for a width not above 0, a token size that the eight heads cannot share, or a
            chunk that is shorter than 1 s or has more than 512 tokens.
    """

    name: ClassVar[str] = "transformer"
    default_chunk: ClassVar[int] = 81_365
    shortest_chunk: ClassVar[int] = SAMPLE_RATE
    longest_chunk: ClassVar[int] = (FRAMES_PER_TOKEN * N_POSITIONS - 1) * FRONT_END.hop_samples - 1
    fewest_crops: ClassVar[int] = 1
    options: ClassVar[tuple[str, ...]] = ("attention_dim",)

    def __init__(
        self, width: float = 1.0, attention_dim: int = 256, chunk_samples: int | None = None
    ) -> None:
        super().__init__(chunk_samples)
        if attention_dim < N_HEADS or attention_dim % N_HEADS:
            raise UsageError(
                f"--attention-dim: expected a multiple of {N_HEADS}, got {attention_dim}; 256 is "
                "the teacher's, 64 the compact student's"
            )
        channels = scaled(CHANNELS, width)
        self.n_features = dim = scaled(attention_dim, width, N_HEADS)
        self.mel = LogMel(FRONT_END)
        self.blocks = nn.Sequential(
            *(
                ResidualBlock(channels if number else 1, channels, pool=pool)
                for number, pool in enumerate(POOLS)
            )
        )
        self.to_tokens = nn.Linear(FRONT_END.n_mels // 2 ** len(POOLS) * channels, dim)
        self.class_token = nn.Parameter(torch.randn(dim))
        self.positions = nn.Parameter(torch.randn(N_POSITIONS, dim))
        self.dropout = nn.Dropout(DROPOUT)
        self.layers = nn.Sequential(*(_Layer(dim) for _ in range(N_LAYERS)))
        self.norm = nn.LayerNorm(dim)

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
        maps = self.blocks(self.mel(audio))  # (B, C, 16, N)
        tokens = self.to_tokens(maps.permute(0, 3, 1, 2).flatten(2))  # (B, N, D)
        first = self.class_token.expand(tokens.shape[0], 1, -1)
        states = torch.cat([first.to(tokens.dtype), tokens], dim=1)
        states = self.dropout(states + self.positions[: states.shape[1]])
        h: torch.Tensor = self.norm(self.layers(states)[:, 0])
        return h


class _Layer(nn.Module):
    """Attention and perceptron, each behind a LayerNorm and beside a shortcut (pre-LN)."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(dim)
        self.to_qkv = nn.Linear(dim, 3 * dim, bias=False)
        self.to_out = nn.Linear(dim, dim)
        self.dropout = nn.Dropout(DROPOUT)
        self.perceptron = nn.Sequential(
            nn.LayerNorm(dim),
            nn.Linear(dim, 4 * dim),
            nn.GELU(),
            nn.Dropout(DROPOUT),
            nn.Linear(4 * dim, dim),
            nn.Dropout(DROPOUT),
        )

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        """Return the next states, (B, 1 + N, D) as the input."""
        states = states + self.dropout(self.to_out(self._attend(self.attention_norm(states))))
        changed: torch.Tensor = states + self.perceptron(states)
        return changed

    def _attend(self, states: torch.Tensor) -> torch.Tensor:
        heads = self.to_qkv(states).unflatten(2, (3, N_HEADS, -1))  # (B, 1 + N, 3, H, D/H)
        query, key, value = heads.permute(2, 0, 3, 1, 4)  # (B, H, 1 + N, D/H) each
        attended = F.scaled_dot_product_attention(query, key, value)
        return attended.transpose(1, 2).flatten(2)
