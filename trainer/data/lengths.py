"""Whether clips are long enough: each must hold a chunk, as it is and once it is perturbed."""

from __future__ import annotations

import math
from collections.abc import Sequence

from manifests.errors import ManifestError
from manifests.rows import SAMPLE_RATE
from trainer.data.index import ExampleRef
from trainer.perturb.perturbation import Perturbation


def check_chunks(refs: Sequence[ExampleRef], chunk_samples: int) -> None:
    """Check that every clip holds a chunk.

    Raises:
        ManifestError: one is shorter.
    """
    for ref in refs:
        if ref.n_samples < chunk_samples:
            raise ManifestError(
                f"{ref.shard_url}: {ref.key}: expected at least one chunk of {chunk_samples} "
                f"samples, got {ref.n_samples}; build the set with longer excerpts "
                f"(--min-duration-s {duration_s(chunk_samples):g})"
            )


def check_perturbed(
    refs: Sequence[ExampleRef], perturbations: Sequence[Perturbation], chunk_samples: int
) -> None:
    """Check that every clip holds a chunk once it is perturbed.

    A shorter one is neither padded, for silence would be a perturbation of its own, nor left out,
    for the clips of all members are then no longer the same.

    Raises:
        ManifestError: one does not.
    """
    for item in perturbations:
        short = [ref for ref in refs if item.n_samples(ref.n_samples) < chunk_samples]
        if short:
            n_samples = item.n_samples(short[0].n_samples)
            needed = duration_s(chunk_samples) * short[0].n_samples / n_samples
            raise ManifestError(
                f"{short[0].shard_url}: {short[0].key}: {item.name}: expected at least one chunk "
                f"of {chunk_samples} samples, {n_samples} are left ({len(short)} of {len(refs)} "
                f"clips are too short); leave {item.name} out, or build the set with longer "
                f"excerpts (--min-duration-s {needed:.3f})"
            )


def duration_s(n_samples: int) -> float:
    """Return the shortest duration, in whole ms, that holds so many samples."""
    return math.ceil(1000 * n_samples / SAMPLE_RATE) / 1000
