"""The attention that stage 4 left in a run."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from manifests.errors import ManifestError, UsageError
from trainer.models.pooling import AttentionPooling
from trainer.runs.checkpoint import Checkpoint
from trainer.runs.restore import load_weights

POOLING: Final = "pooling"
"""Stage 4: its name, its folder in the run, its network and its card in the checkpoint."""

MAX_HIDDEN: Final = 4_096
"""A card may claim anything; no more memory than this is set aside before the weights are read."""


def load_attention(
    checkpoint: Checkpoint, n_features: int, n_tags: int, path: Path
) -> AttentionPooling:
    """Load the attention of a checkpoint, which may come from anyone.

    Args:
        checkpoint: of stage 4.
        n_features: size of its tagger's embeddings.
        n_tags: number of its tags.
        path: what the user named.

    Raises:
        UsageError: the checkpoint is of another stage.
        ManifestError: its card or its weights are not those of such a network.
    """
    if POOLING not in checkpoint.progress:
        raise UsageError(
            f"--aggregate attention: expected a run with trained attention, got {path} without; "
            "run its command again with --aggregate attention, which leaves the tagger as it is"
        )
    said = checkpoint.progress[POOLING]
    hidden = said.get("hidden") if isinstance(said, dict) else None
    if type(hidden) is not int or not 0 < hidden <= MAX_HIDDEN:
        raise ManifestError(
            f"{path}: expected an attention with a hidden layer of 1 to {MAX_HIDDEN:,}, got "
            f"{said!r:.40}"
        )
    pooling = AttentionPooling(n_features, n_tags, hidden)
    load_weights(checkpoint, POOLING, pooling)
    return pooling.eval()
