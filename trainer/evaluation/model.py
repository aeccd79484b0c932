"""A trained network as the ``Predict`` that evaluation asks for."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import numpy as np
import torch
from torch import nn

from trainer.evaluation.clip_scores import Embeddings, Waveform


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
