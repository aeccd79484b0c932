"""The encoder and what goes into it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

InputLevel = Literal["rms", "asis"]
BackboneName = Literal["samplecnn", "transformer", "shortchunk", "musicnn"]


@dataclass(frozen=True)
class ModelConfig:
    """The encoder and what goes into it.

    Attributes:
        backbone: network of the encoder: ``samplecnn`` hears the waveform, the others a mel
            spectrogram.
        chunk_s: length of one input, s; 0 is the backbone's own (2.68, 3.69, 3.69, 3).
        width: factor on the network's channels; 1 is the published size.
        last_kernel: kernel of ``samplecnn``'s last convolution: 3 (CLMR) or 1 (thesis, table 3.1).
        attention_dim: size of ``transformer``'s tokens: 256 (teacher) or 64 (compact student).
        input_level: ``rms`` scales every input to one level, ``asis`` does not (thesis): such a
            tagger expects the levels of its training shards.
        level_dbfs: that level, RMS, dBFS.
    """

    backbone: BackboneName = "samplecnn"
    chunk_s: float = 0.0
    width: float = 1.0
    last_kernel: int = 3
    attention_dim: int = 256
    input_level: InputLevel = "rms"
    level_dbfs: float = -20.0
