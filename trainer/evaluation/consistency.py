"""How far noise moves a clip: in the embedding, among its neighbours, and in its tags.

A tagger can win AUC and still place a noisy clip elsewhere; these figures compare every clip with
its own clean twin, so they need no label (DESIGN.md section 6).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from manifests.errors import ManifestError
from trainer.evaluation.clip_scores import Embeddings, Floats

Unit: TypeAlias = NDArray[np.float64]

BLOCK_ROWS: Final = 512
"""Rows of the similarity matrix held at once."""


@dataclass(frozen=True)
class Consistency:
    """Agreement of noisy clips with their clean twins.

    Attributes:
        cosine_twin: mean cosine of h(clean) and h(noisy) of one clip.
        cosine_random: the same over all pairs of *different* clips: what any two clips agree in.
        cosine_margin: ``cosine_twin`` less ``cosine_random``.
        retrieval_at_1: share of noisy clips whose nearest clean clip is their own twin.
        retrieval_chance: the same for random embeddings, 1 / n_clips.
        tag_change: mean absolute change of a tag's probability.
    """

    cosine_twin: float
    cosine_random: float
    cosine_margin: float
    retrieval_at_1: float
    retrieval_chance: float
    tag_change: float


def consistency(
    clean: Embeddings, noisy: Embeddings, clean_scores: Floats, noisy_scores: Floats
) -> Consistency:
    """Compare noisy clips with their clean twins.

    Args:
        clean: embeddings of the clean clips, (n_clips, D).
        noisy: embeddings of the same clips with noise, same order, (n_clips, D).
        clean_scores: tag probabilities of the clean clips, (n_clips, n_tags).
        noisy_scores: tag probabilities of the noisy clips, (n_clips, n_tags).

    Raises:
        ManifestError: other shapes, or fewer than two clips: there are no random pairs.
    """
    if clean.ndim != 2 or clean.shape != noisy.shape or clean_scores.shape != noisy_scores.shape:
        raise ManifestError(
            f"consistency: expected twins in the same order, got {clean.shape} and {noisy.shape} "
            f"embeddings, {clean_scores.shape} and {noisy_scores.shape} scores; score both members "
            "of every clip"
        )
    n_clips = len(clean)
    if n_clips < 2:
        raise ManifestError(
            f"consistency: expected at least 2 clips for random pairs, got {n_clips}; "
            "evaluate a larger set"
        )
    unit_clean, unit_noisy = _unit(clean), _unit(noisy)
    twins = (unit_clean * unit_noisy).sum(axis=1)
    # Sum over all pairs = product of the sums; the twins are not random pairs.
    all_pairs = float(unit_clean.sum(axis=0) @ unit_noisy.sum(axis=0))
    cosine_random = (all_pairs - float(twins.sum())) / (n_clips * (n_clips - 1))
    cosine_twin = float(twins.mean())
    change = np.abs(noisy_scores - clean_scores)
    return Consistency(
        cosine_twin=cosine_twin,
        cosine_random=cosine_random,
        cosine_margin=cosine_twin - cosine_random,
        retrieval_at_1=_retrieval_at_1(unit_clean, unit_noisy),
        retrieval_chance=1 / n_clips,
        tag_change=float(change.mean()) if change.size else 0.0,
    )


def _unit(embeddings: Embeddings) -> Unit:
    """Scale rows to length 1; a zero row stays zero: its cosine with anything is 0."""
    exact = embeddings.astype(np.float64)
    length = np.linalg.norm(exact, axis=1, keepdims=True)
    unit: Unit = np.divide(exact, length, out=np.zeros_like(exact), where=length > 0)
    return unit


def _retrieval_at_1(clean: Unit, noisy: Unit) -> float:
    """Return the expected share of hits where ties are broken at random.

    Without that rule an encoder that maps all clips to one point would score by the order of the
    clips. Similarities within 1e-12 count as tied: the products round differently by position.
    """
    hits = 0.0
    for start in range(0, len(noisy), BLOCK_ROWS):
        similarity = noisy[start : start + BLOCK_ROWS] @ clean.T
        rows = np.arange(len(similarity))
        nearest = similarity >= similarity.max(axis=1, keepdims=True) - 1e-12
        hits += float((nearest[rows, start + rows] / nearest.sum(axis=1)).sum())
    return hits / len(noisy)
