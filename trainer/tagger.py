"""A trained tagger as others use it: networks, tags, and what their input must go through."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from manifests.errors import ManifestError
from manifests.reading import ReadOptions, read_file
from manifests.rows import CHUNK_SAMPLES
from trainer.compute import prepared
from trainer.config import ModelConfig
from trainer.evaluation.model import TorchPredict
from trainer.models.heads import LabelPredictor
from trainer.models.samplecnn import SampleCNN
from trainer.runs.restore import load_weights
from trainer.stage1_encoder import new_encoder
from trainer.weights import find_checkpoint, weights_sha256


@dataclass(frozen=True)
class Tagger:
    """A trained tagger.

    Attributes:
        name: name of the run.
        encoder: audio (B, 1, 59,049) to embeddings (B, D).
        predictor: embeddings to tag logits (B, n_tags).
        tags: names of the outputs, in order.
        band_hz: upper edge of the band of its training sets, Hz; None where it was full.
        model: what its input goes through.
        sha256: hash of its weights.
        card: what its checkpoint says beside.
    """

    name: str
    encoder: SampleCNN
    predictor: LabelPredictor
    tags: tuple[str, ...]
    band_hz: float | None
    model: ModelConfig
    sha256: str
    card: dict[str, Any]

    @property
    def prepare(self) -> Callable[[torch.Tensor], torch.Tensor]:
        """What every model input goes through."""
        return prepared(self.model)

    def predict(self, device: torch.device) -> TorchPredict:
        """Return the model as evaluation asks for it, in float32."""
        return TorchPredict(
            self.encoder.to(device),
            self.predictor.to(device),
            device=device,
            prepare=self.prepare,
        )


def load_tagger(path: Path) -> Tagger:
    """Load the best checkpoint of a run.

    Raises:
        UsageError: there is no checkpoint.
        ManifestError: it holds no tagger, or is damaged.
    """
    checkpoint = find_checkpoint(path)
    card = checkpoint.progress
    if "tags" not in card:
        raise ManifestError(
            f"{path}: expected a tagger, got a checkpoint of stage {card.get('stage')}; name the "
            "run's own folder"
        )
    model = ModelConfig(**card["model"])
    encoder = new_encoder(model)
    predictor = LabelPredictor(encoder.n_features, len(card["tags"]))
    load_weights(checkpoint, "encoder", encoder)
    load_weights(checkpoint, "predictor", predictor)
    return Tagger(
        name=_run_name(path),
        encoder=encoder.eval(),
        predictor=predictor.eval(),
        tags=tuple(card["tags"]),
        band_hz=card["band_hz"],
        model=model,
        sha256=weights_sha256(checkpoint),
        card=card,
    )


def _run_name(path: Path) -> str:
    resolved = path.resolve()
    return resolved.parents[1].name if resolved.parent.name == "checkpoints" else resolved.name


def random_tagger(like: Tagger, seed: int = 0) -> Tagger:
    """Return an untrained tagger of the same shape: the table's first row."""
    torch.manual_seed(seed)
    encoder = new_encoder(like.model)
    predictor = LabelPredictor(encoder.n_features, len(like.tags))
    return Tagger(
        name="random",
        encoder=encoder.eval(),
        predictor=predictor.eval(),
        tags=like.tags,
        band_hz=like.band_hz,
        model=like.model,
        sha256=hashlib.sha256(f"random {seed}".encode()).hexdigest(),
        card={**like.card, "method": "random-encoder", "seed": seed},
    )


def file_chunks(url: str, tagger: Tagger, decoder: str = "soundfile") -> NDArray[np.float32]:
    """Read an audio file of any rate and length as the model's chunks.

    Files shorter than one chunk are padded with silence, others lose their tail.

    Args:
        url: path or URL.
        tagger: gives the band limit.
        decoder: see ``manifests.audio.DECODERS``.

    Returns:
        (n_chunks, 1, 59,049).

    Raises:
        AudioError: it does not decode, or is silent.
    """
    signal = read_file(url, options=ReadOptions(decoder=decoder, band_hz=tagger.band_hz))
    if not signal.size or not np.any(signal):
        raise ManifestError(f"{url}: expected sound, got {signal.size} silent samples")
    if signal.size < CHUNK_SAMPLES:
        signal = np.pad(signal, (0, CHUNK_SAMPLES - signal.size))
    n_chunks = signal.size // CHUNK_SAMPLES
    chunks = signal[: n_chunks * CHUNK_SAMPLES].reshape(n_chunks, 1, CHUNK_SAMPLES)
    return chunks.astype(np.float32)
