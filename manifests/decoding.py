"""What decoding a file gives: a header and blocks, or an error that says why not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from manifests.errors import ManifestError

BLOCK_FRAMES: Final = 1 << 16
Block: TypeAlias = NDArray[np.float64]
"""Decoded samples, ``(n <= 65536, channels)``, full scale = 1."""


class AudioError(ManifestError):
    """A file cannot be used as audio; ``reason`` is the word it is counted under."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason

    def __reduce__(self) -> tuple[type[AudioError], tuple[str, str]]:
        """Pickle with both arguments: an error must survive the way back from a worker."""
        return type(self), (self.reason, str(self))


@dataclass(frozen=True)
class AudioHeader:
    """What a decoder says of a file before it is decoded.

    Attributes:
        format: container and coding, e.g. ``MP3/MPEG_LAYER_III``.
        sample_rate: Hz.
        channels: number of channels.
        n_samples: samples per channel announced; None where the decoder does not say.
        notes: the decoder's own log, e.g. libsndfile's list of chunks.
    """

    format: str
    sample_rate: int
    channels: int
    n_samples: int | None
    notes: str = ""
