"""What every encoder is: chunks of audio in, one embedding a chunk out.

The stages, the evaluation and the exports know this and nothing else of a network, so that all of
them run with each backbone (docs/decisions/0008-backbones.md).
"""

from __future__ import annotations

from typing import ClassVar, Final

import torch
from torch import nn

from manifests.errors import ManifestError, UsageError
from manifests.rows import SAMPLE_RATE


class Backbone(nn.Module):
    """Base of the encoders.

    Args:
        chunk_samples: samples of one input; None takes the backbone's default.

    Attributes:
        name: what ``--backbone`` calls it.
        default_chunk: samples of one input where none are asked for.
        shortest_chunk: fewest samples that the network can be built for.
        longest_chunk: most samples.
        fewest_crops: crops that training needs at once: BatchNorm of embeddings needs two.
        options: fields of the model's config that this network has a use for and others have not.
        n_features: size of the embedding h.
        chunk_samples: samples of one input.
        sample_rate: sample rate of the input, Hz.

    Raises:
        UsageError: the network cannot be built for that length.
    """

    name: ClassVar[str]
    default_chunk: ClassVar[int]
    shortest_chunk: ClassVar[int]
    longest_chunk: ClassVar[int]
    fewest_crops: ClassVar[int] = 2
    options: ClassVar[tuple[str, ...]] = ()
    sample_rate: Final = SAMPLE_RATE
    n_features: int

    def __init__(self, chunk_samples: int | None = None) -> None:
        super().__init__()
        self.chunk_samples = self.checked_chunk(chunk_samples)

    @classmethod
    def checked_chunk(cls, chunk_samples: int | None) -> int:
        """Return the samples of one input, the default for None.

        Raises:
            UsageError: the network cannot be built for that length.
        """
        if chunk_samples is None:
            return cls.default_chunk
        if not cls.shortest_chunk <= chunk_samples <= cls.longest_chunk:
            bounds = (cls.shortest_chunk, cls.longest_chunk)
            expected = " to ".join(f"{n:,}" for n in dict.fromkeys(bounds))
            seconds = " to ".join(f"{n / SAMPLE_RATE:.3f}" for n in dict.fromkeys(bounds))
            raise UsageError(
                f"--chunk-s: expected {expected} samples ({seconds} s) for --backbone {cls.name}, "
                f"got {chunk_samples:,}; leave it out for {cls.default_chunk:,} samples"
            )
        return chunk_samples

    def check_audio(self, audio: torch.Tensor) -> None:
        """Check that audio is a batch of mono chunks.

        Raises:
            ManifestError: it has another shape.
        """
        if audio.ndim != 3 or audio.shape[1:] != (1, self.chunk_samples):
            raise ManifestError(
                f"audio: expected shape (batch, 1, {self.chunk_samples}), got "
                f"{tuple(audio.shape)}; cut mono chunks of {self.chunk_samples} samples at "
                f"{self.sample_rate} Hz"
            )

    def forward(self, audio: torch.Tensor) -> torch.Tensor:
        """Embed chunks (B, 1, chunk_samples): h, (B, n_features)."""
        raise NotImplementedError


def scaled(size: int, width: float, multiple: int = 1) -> int:
    """Return a layer's size at a width: rounded to a multiple, at least one multiple.

    Args:
        size: the published size.
        width: factor; 1 keeps the size.
        multiple: what the size must be divisible by, e.g. the number of attention heads.

    Raises:
        UsageError: the width is not above 0.
    """
    if not width > 0:
        raise UsageError(f"width: expected a factor above 0, got {width}; 1 is the full size")
    return multiple * max(1, round(width * size / multiple))
