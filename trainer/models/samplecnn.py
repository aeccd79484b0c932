"""SampleCNN: the raw-waveform encoder of CLMR and of the thesis.

Lee et al. 2017 (arXiv:1703.01789), as coded in Spijkervet/CLMR ``clmr/models/sample_cnn.py``
(METHOD.md 2.1): eleven convolutions of three samples; the first strides by three, nine are
followed by a max pool of three, so 3**10 = 59,049 samples end as one frame of 512 features. Unlike
there, the unused ``fc`` and the supervised dropout are left out: the embedding h *is* the output.

The same weights run in two layouts. ``conv1d`` is the network as written above, the oracle of the
tests and the baseline of the benchmark. ``conv2d`` computes the same function for less memory
traffic, which is what bounds this network on a CPU (its first two activations hold 2.5 million
values each):

* a first convolution whose stride equals its kernel is a matrix product over reshaped input, its
  result is already channels-last, and on a CPU its normalisation folds into it
  (``folded_norm``);
* channels-last convolutions need no layout change before and after each call;
* in eval mode every normalisation folds into the convolution in front of it;
* ``relu(pool(x)) == pool(relu(x))`` because ReLU is monotone, and so are the gradients: the pool
  picks the same element, or all three are negative and the gradient is zero either way. Pooling
  first leaves a third of the values to ReLU.
"""

from __future__ import annotations

import itertools
from typing import ClassVar, Final, Literal, cast, get_args

import torch
from torch import nn
from torch.nn import functional as F

from manifests.errors import UsageError
from manifests.rows import CHUNK_SAMPLES
from trainer.models.backbone import Backbone, scaled
from trainer.models.folded_norm import fixed, folded

Layout = Literal["conv1d", "conv2d"]

KERNEL: Final = 3
"""Kernel, first stride and pool of every layer, in samples."""

BLOCK_CHANNELS: Final = (128, 128, 128, 256, 256, 256, 256, 256, 256, 512)
"""Output channels of the strided layer and the nine pooled layers at width 1."""

LAST_CHANNELS: Final = 512
"""Output channels of the unpooled last layer at width 1: the size of h."""


class SampleCNN(Backbone):
    """Encoder from a chunk of audio to an embedding h; 2,368,512 parameters at width 1.

    Initialised as PyTorch does by default, as CLMR is.

    Args:
        width: factor on every channel count, for small runs; 1 is the published network.
        last_kernel: kernel of the last convolution: 3 as in CLMR's code, 1 as in the thesis'
            Table 3.1.
        layout: ``conv2d`` (fast) or ``conv1d`` (plain); same parameters, same state dict.
        chunk_samples: 59,049 or None: the layers fit no other length.

    Raises:
        UsageError: for a width not above 0, another kernel, layout or length.
    """

    name: ClassVar[str] = "samplecnn"
    default_chunk: ClassVar[int] = CHUNK_SAMPLES
    shortest_chunk: ClassVar[int] = CHUNK_SAMPLES
    longest_chunk: ClassVar[int] = CHUNK_SAMPLES
    options: ClassVar[tuple[str, ...]] = ("last_kernel",)

    def __init__(
        self,
        width: float = 1.0,
        last_kernel: int = KERNEL,
        *,
        layout: Layout = "conv2d",
        chunk_samples: int | None = None,
    ) -> None:
        super().__init__(chunk_samples)
        if last_kernel not in (1, KERNEL):
            raise UsageError(
                f"last_kernel: expected 1 (thesis) or 3 (CLMR), got {last_kernel}; use one of them"
            )
        if layout not in get_args(Layout):
            raise UsageError(
                f"layout: expected one of {', '.join(get_args(Layout))}, got {layout}; "
                "use one of them"
            )
        channels = [scaled(size, width) for size in BLOCK_CHANNELS]
        self.n_features = scaled(LAST_CHANNELS, width)
        self.layout = layout
        self.first = _Block(1, channels[0], stride=KERNEL)
        self.pooled = nn.ModuleList(
            _Block(before, after, padding=1) for before, after in itertools.pairwise(channels)
        )
        self.last = _Block(
            channels[-1], self.n_features, kernel=last_kernel, padding=last_kernel // 2
        )

    def forward(self, audio: torch.Tensor) -> torch.Tensor:
        """Embed chunks.

        Args:
            audio: mono chunks at 22,050 Hz, (B, 1, 59,049).

        Returns:
            Embeddings h, (B, n_features).

        Raises:
            ManifestError: if the audio has another shape.
        """
        self.check_audio(audio)
        return self._plain(audio) if self.layout == "conv1d" else self._channels_last(audio)

    def _plain(self, audio: torch.Tensor) -> torch.Tensor:
        frames = F.relu(self.first.norm(self.first.conv(audio)))  # (B, C, 19683)
        for module in self.pooled:
            block = cast(_Block, module)
            frames = F.max_pool1d(F.relu(block.norm(block.conv(frames))), KERNEL)
        return F.relu(self.last.norm(self.last.conv(frames))).squeeze(2)  # (B, D, 1) -> (B, D)

    def _channels_last(self, audio: torch.Tensor) -> torch.Tensor:
        frames = self._first(audio)
        for module in self.pooled:
            block = cast(_Block, module)
            pooled = F.max_pool2d(block.wide(frames), (1, KERNEL))
            frames = F.relu(pooled, inplace=True)
        return F.relu(self.last.wide(frames), inplace=True).flatten(1)

    def _first(self, audio: torch.Tensor) -> torch.Tensor:
        """Return the first layer's activations, (B, C, 1, 19683) in channels-last memory."""
        norm, weight = self.first.norm, self.first.conv.weight.squeeze(1)
        bias = cast(torch.Tensor, self.first.conv.bias)
        triples = audio.reshape(-1, KERNEL)  # (B * 19683, 3)
        shape = (-1, 1, self.chunk_samples // KERNEL, len(weight))
        if not self._folds(audio):
            frames = norm(F.linear(triples, weight, bias).view(shape).permute(0, 3, 1, 2))
            return F.relu(frames, inplace=True)
        weight, bias = folded(triples, weight, bias, norm)
        # ReLU before any view: in place behind one, autograd copies the whole activation
        return F.relu(F.linear(triples, weight, bias), inplace=True).view(shape).permute(0, 3, 1, 2)

    def _folds(self, audio: torch.Tensor) -> bool:
        """Tell whether the first norm is folded.

        SyncBatchNorm takes the statistics of all ranks; on a GPU folding has not been measured.
        """
        return isinstance(self.first.norm, _TimeBatchNorm) and audio.device.type == "cpu"


class _Block(nn.Module):
    """Parameters of one convolution and its normalisation, for either layout."""

    def __init__(
        self,
        n_in: int,
        n_out: int,
        *,
        kernel: int = KERNEL,
        stride: int = 1,
        padding: int = 0,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv1d(n_in, n_out, kernel, stride=stride, padding=padding)
        self.norm = _TimeBatchNorm(n_out)

    def wide(self, frames: torch.Tensor) -> torch.Tensor:
        """Convolve and normalise (B, C, 1, T) in channels-last memory."""
        weight, bias = self.conv.weight, cast(torch.Tensor, self.conv.bias)
        padding = (0, cast(int, self.conv.padding[0]))
        if self.norm.training:
            wide = F.conv2d(frames, weight.unsqueeze(2), bias, padding=padding)
            return cast(torch.Tensor, self.norm(wide))
        weight, bias = fixed(weight, bias, self.norm)
        return F.conv2d(frames, weight.unsqueeze(2), bias, padding=padding)


class _TimeBatchNorm(nn.BatchNorm1d):
    """BatchNorm1d that takes (B, C, 1, T) too: the statistics are per channel in both shapes."""

    def _check_input_dim(self, input: torch.Tensor) -> None:
        if input.ndim not in (3, 4):
            raise ValueError(f"expected a 3-D or 4-D input, got {input.ndim}-D")
