"""The backbones by name, and an encoder from a run's config."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

from manifests.errors import UsageError
from manifests.rows import SAMPLE_RATE
from trainer.config import ModelConfig
from trainer.models.backbone import Backbone
from trainer.models.musicnn import Musicnn
from trainer.models.samplecnn import SampleCNN
from trainer.models.shortchunk import ShortChunkCNN
from trainer.models.transformer import MusicTaggingTransformer

BACKBONES: Final[dict[str, type[Backbone]]] = {
    backbone.name: backbone
    for backbone in (SampleCNN, MusicTaggingTransformer, ShortChunkCNN, Musicnn)
}

ROUNDED_S: Final = 0.0005
"""How far a length in milliseconds may be from the one that is meant, s."""


def chunk_samples(model: ModelConfig) -> int:
    """Return the samples of one model input.

    Halves of a sample count up: 3.69 s are 81,365 samples. A length that was rounded to a
    millisecond past what the backbone can have is that bound: 2.678 s are 59,049 samples.

    Raises:
        UsageError: there is no such backbone, or it cannot be built for that length.
    """
    backbone = _backbone(model)
    if not model.chunk_s:
        return backbone.checked_chunk(None)
    wanted = int(model.chunk_s * SAMPLE_RATE + 0.5)
    nearest = min(max(wanted, backbone.shortest_chunk), backbone.longest_chunk)
    within = abs(nearest / SAMPLE_RATE - model.chunk_s) <= ROUNDED_S
    return backbone.checked_chunk(nearest if within else wanted)


def new_encoder(model: ModelConfig) -> Backbone:
    """Return an encoder as the config says, freshly initialised.

    Raises:
        UsageError: there is no such backbone, or it cannot be built with these options.
    """
    backbone = _backbone(model)
    options: dict[str, Any] = {name: getattr(model, name) for name in backbone.options}
    options["chunk_samples"] = chunk_samples(model)
    return backbone(width=model.width, **options)  # type: ignore[call-arg]


def check_used(given: Collection[str], backbones: Collection[str], where: str = "") -> None:
    """Check that a backbone has a use for each model option that was asked for.

    Args:
        given: names of fields of the model's config.
        backbones: encoders of what will be trained; one that uses an option is enough.
        where: what asked for it, for messages.

    Raises:
        UsageError: none of them has a use for an option.
    """
    for name in given:
        users = [backbone.name for backbone in BACKBONES.values() if name in backbone.options]
        if users and not set(users) & set(backbones):
            raise UsageError(
                f"{where}--{name.replace('_', '-')}: expected with --backbone "
                f"{' or '.join(users)}, got {', '.join(sorted(backbones))}; leave it out"
            )


def _backbone(model: ModelConfig) -> type[Backbone]:
    if model.backbone not in BACKBONES:
        raise UsageError(
            f"--backbone: expected one of {', '.join(BACKBONES)}, got {model.backbone!s:.40}"
        )
    return BACKBONES[model.backbone]
