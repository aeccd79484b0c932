"""A small sample of embeddings beside the scores, for the map of clean and noisy clips.

The clips with the smallest hashes of their keys: the same for every run on a set, so that maps of
several runs show the same clips.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from manifests import store
from manifests.canonical import hash64
from manifests.errors import ManifestError
from trainer.evaluation.clip_scores import ClipScores, Embeddings
from trainer.perturb.names import is_perturbation

MAX_CLIPS: Final = 300
MIN_CLIPS: Final = 5
"""Fewest clips that a map is drawn of."""

MAX_BYTES: Final = 256 << 20


@dataclass(frozen=True)
class EmbeddingSample:
    """Embeddings of some clips by member, (n, D) each, row by row the same clips."""

    embeddings: dict[str, Embeddings]


def sample_embeddings(clips: ClipScores, max_clips: int = MAX_CLIPS) -> EmbeddingSample:
    """Return the embeddings of the ``max_clips`` clips with the smallest hashes.

    Perturbations are left out: the map shows clean and noisy clips.
    """
    ranked = sorted(range(len(clips.keys)), key=lambda row: hash64("map", clips.keys[row]))
    chosen = np.array(ranked[:max_clips])
    return EmbeddingSample(
        {
            member: values[chosen]
            for member, values in clips.embeddings.items()
            if not is_perturbation(member)
        }
    )


def write_sample(url: str, sample: EmbeddingSample) -> None:
    """Write a sample as safetensors; raises ManifestError where it cannot be written."""
    tensors = {name: np.ascontiguousarray(rows) for name, rows in sample.embeddings.items()}
    store.write_bytes(url, save_tensors(tensors))


def load_sample(url: str) -> EmbeddingSample:
    """Load a sample.

    Raises:
        ManifestError: too large, not safetensors, members of different clips, or not finite.
    """
    size = store.size_bytes(url)
    if size is not None and size > MAX_BYTES:
        raise ManifestError(f"{url}: expected at most {MAX_BYTES} bytes, got {size}")
    data = store.read_bytes(url)
    try:
        tensors = load_tensors(data)
    except (SafetensorError, KeyError, ValueError) as error:  # KeyError: a type numpy lacks
        raise ManifestError(f"{url}: expected safetensors: {error}; evaluate again") from error
    shapes = {rows.shape for rows in tensors.values()}
    fine = len(shapes) == 1 and all(
        rows.ndim == 2 and rows.dtype == np.float32 and np.isfinite(rows).all()
        for rows in tensors.values()
    )
    if not fine:
        raise ManifestError(
            f"{url}: expected finite float32 members of one shape (n, D), got {sorted(shapes)}; "
            "evaluate again"
        )
    return EmbeddingSample(dict(tensors))
