"""Trained networks as the ``Predict`` and the ``Aggregate`` that evaluation asks for."""

from __future__ import annotations

import copy
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from manifests.errors import ManifestError
from trainer.evaluation.clip_scores import Embeddings, Floats, Waveform
from trainer.models.pooling import AttentionPooling


class TorchPredict:
    """Encoder and label predictor, in eval mode and without gradients.

    Args:
        encoder: chunks (B, 1, T) to embeddings h (B, D); put in eval mode here.
        label_predictor: embeddings to logits (B, n_tags); put in eval mode here.
        device: where they live.
        prepare: what every model input goes through, e.g. ``scale_to_rms``: (B, 1, T) to the same.
        autocast: opens the precision to compute in; results are float32 in any case.
    """

    def __init__(
        self,
        encoder: nn.Module,
        label_predictor: nn.Module,
        *,
        device: torch.device,
        prepare: Callable[[torch.Tensor], torch.Tensor],
        autocast: Callable[[], AbstractContextManager[object]] = nullcontext,
    ) -> None:
        self.encoder, self.label_predictor = encoder.eval(), label_predictor.eval()
        self.device, self.prepare, self.autocast = device, prepare, autocast

    @torch.inference_mode()
    def __call__(
        self, chunks: Waveform
    ) -> tuple[np.ndarray[tuple[int, ...], np.dtype[np.float32]], Embeddings]:
        """Return probabilities (n, n_tags) and embeddings (n, D) of chunks (n, 1, T)."""
        audio = self.prepare(torch.from_numpy(chunks).to(self.device))
        with self.autocast():
            embeddings = self.encoder(audio)
            logits = self.label_predictor(embeddings)
        # sigmoid in float32: in bfloat16 it has 8 bits, and ties would cost AUC
        return logits.float().sigmoid().cpu().numpy(), embeddings.float().cpu().numpy()


class AttentionAggregate:
    """Attention pooling of a clip's chunks, on the CPU and in float64.

    All chunks of a file are weighed at once. A chunk has a few hundred numbers here and tens of
    thousands of samples, so files that fit into memory are no longer a matter.

    Args:
        pooling: the trained head.
    """

    def __init__(self, pooling: AttentionPooling) -> None:
        self._pooling = copy.deepcopy(pooling).cpu().double().eval()

    @torch.inference_mode()
    def __call__(self, probabilities: NDArray[np.float32], embeddings: Embeddings) -> Floats:
        """Return the scores of a clip, (n_tags,); with equal weights ``mean_of_chunks``, exactly.

        Raises:
            ManifestError: the head gives weights that are no numbers.
        """
        weights = self._pooling(torch.from_numpy(embeddings).double()).numpy()
        if not np.isfinite(weights).all():
            raise ManifestError(
                "attention pooling: expected finite weights of the chunks, got others; the "
                "checkpoint is broken"
            )
        scores: Floats = np.average(probabilities, axis=0, weights=weights)
        return scores
