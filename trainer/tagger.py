"""A trained tagger as others use it: networks, tags, and what their input must go through."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, get_args

import torch

from manifests.errors import ManifestError
from manifests.reading import TRANSITION_HZ
from manifests.rows import SAMPLE_RATE
from trainer.attention import POOLING, load_attention
from trainer.compute import prepared
from trainer.config import Aggregation, InputLevel, ModelConfig
from trainer.evaluation.clip_scores import Aggregate, mean_of_chunks
from trainer.evaluation.model import AttentionAggregate, TorchPredict
from trainer.models.backbone import Backbone
from trainer.models.heads import LabelPredictor
from trainer.models.pooling import AttentionPooling
from trainer.models.registry import BACKBONES, chunk_samples, new_encoder
from trainer.runs.restore import load_weights
from trainer.weights import find_checkpoint, run_folder, weights_sha256, whole_run

MAX_WIDTH: Final = 16.0
MAX_TAGS: Final = 100_000
MAX_ATTENTION_DIM: Final = 4_096
"""A card may claim anything; no more memory than this is set aside before the weights are read."""


@dataclass(frozen=True)
class Tagger:
    """A trained tagger.

    Attributes:
        name: name of the run.
        encoder: audio (B, 1, T) to embeddings (B, D); T is its ``chunk_samples``.
        predictor: embeddings to tag logits (B, n_tags).
        tags: names of the outputs, in order.
        band_hz: upper edge of the band of its training sets, Hz; None where it was full.
        model: what its input goes through.
        sha256: hash of its weights.
        card: what its checkpoint says beside.
        pooling: weighs the chunks of a file; None where its score is their mean.
    """

    name: str
    encoder: Backbone
    predictor: LabelPredictor
    tags: tuple[str, ...]
    band_hz: float | None
    model: ModelConfig
    sha256: str
    card: dict[str, Any]
    pooling: AttentionPooling | None = None

    @property
    def aggregate(self) -> Aggregate:
        """What makes a file's scores of those of its chunks."""
        return mean_of_chunks if self.pooling is None else AttentionAggregate(self.pooling)

    @property
    def hears_levels(self) -> bool:
        """Whether a file's level changes what the tagger says of it."""
        return self.model.input_level == "asis"

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


def load_tagger(path: Path, aggregate: Aggregation = "mean") -> Tagger:
    """Load the best checkpoint of a run.

    Args:
        path: the run's folder, or a checkpoint's folder.
        aggregate: ``attention`` loads what stage 4 of the run ended with: the same tagger with the
            attention behind it.

    Raises:
        UsageError: there is no checkpoint, or none of stage 4.
        ManifestError: it holds no tagger, or is damaged.
    """
    attends = aggregate == "attention"
    checkpoint = find_checkpoint(path, *([POOLING] if attends else []))
    card = checkpoint.progress
    if "tags" not in card:
        raise ManifestError(
            f"{path}: expected a tagger, got a checkpoint of stage {card.get('stage')}; name the "
            "run's own folder"
        )
    model, tags = _said(card, str(path))
    encoder = new_encoder(model)
    predictor = LabelPredictor(encoder.n_features, len(tags))
    load_weights(checkpoint, "encoder", encoder)
    load_weights(checkpoint, "predictor", predictor)
    pooling = load_attention(checkpoint, encoder.n_features, len(tags), path) if attends else None
    return Tagger(
        name=run_name(path),
        encoder=encoder.eval(),
        predictor=predictor.eval(),
        tags=tags,
        band_hz=card.get("band_hz"),
        model=model,
        sha256=weights_sha256(checkpoint),
        card=card,
        pooling=pooling,
    )


def _said(card: dict[str, Any], where: str) -> tuple[ModelConfig, tuple[str, ...]]:
    """Return model and tags of a checkpoint's card, which may come from anyone."""
    try:
        model, tags = ModelConfig(**card["model"]), tuple(card["tags"])
        band_hz, named = card.get("band_hz"), (card["method"], *tags)
        fits = 0 < model.width <= MAX_WIDTH and 0 < len(tags) <= MAX_TAGS
        fits = fits and (band_hz is None or TRANSITION_HZ < band_hz <= SAMPLE_RATE / 2)
        fits = fits and model.backbone in BACKBONES and model.attention_dim <= MAX_ATTENTION_DIM
        fits = fits and model.input_level in get_args(InputLevel) and -100 < model.level_dbfs <= 0
        if fits:
            chunk_samples(model)
    except (KeyError, OverflowError, TypeError, ValueError) as error:
        raise ManifestError(f"{where}: expected a card with model and tags: {error}") from error
    if not fits:
        raise ManifestError(
            f"{where}: expected a width up to {MAX_WIDTH:g}, a backbone among "
            f"{', '.join(BACKBONES)}, tokens up to {MAX_ATTENTION_DIM}, up to {MAX_TAGS:,} tags, "
            f"a band of {TRANSITION_HZ:g} to {SAMPLE_RATE / 2:g} Hz and a level "
            f"({', '.join(get_args(InputLevel))}) up to 0 dBFS, got {model.width:g}, "
            f"{model.backbone!s:.40}, {model.attention_dim}, {len(tags):,}, {band_hz}, "
            f"{model.input_level!s:.40} and {model.level_dbfs}"
        )
    # names are printed: a checkpoint must not steer a terminal
    if not all(isinstance(one, str) and one.isprintable() and one for one in named):
        raise ManifestError(f"{where}: expected printable names of method and tags, got others")
    if len(set(tags)) != len(tags):
        raise ManifestError(f"{where}: expected each tag once, got some twice")
    return model, tags


def run_name(path: Path) -> str:
    """Return the name of a run; that of an earlier tagger in it says both: ``RUN/round-1``."""
    folder = run_folder(path)
    if folder.name == POOLING:
        return folder.parent.name
    run = whole_run(folder)
    return folder.name if run == folder else f"{run.name}/{folder.name}"


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
