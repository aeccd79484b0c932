"""Weights from an earlier stage or run, wherever a user points to."""

from __future__ import annotations

import hashlib
from pathlib import Path

from manifests.errors import UsageError
from trainer.runs.checkpoint import WEIGHTS, Checkpoint, load_checkpoint

_PLACES = ("", "checkpoints/best", "checkpoints/last")


def find_checkpoint(path: Path, *below: str) -> Checkpoint:
    """Load the best checkpoint of a run, of one of its stages, or a checkpoint folder itself.

    Args:
        path: a run's folder, e.g. ``RUN``, ``RUN/encoder`` or ``RUN/checkpoints/best``.
        below: stage folders to look into first, e.g. ``encoder``.

    Raises:
        UsageError: there is no checkpoint.
        ManifestError: it is incomplete or changed.
    """
    for folder in (*(path / name for name in below), path):
        for place in _PLACES:
            if (folder / place / "state.json").is_file():
                return load_checkpoint(folder / place)
    wanted = f" of {' or '.join(below)}" if below else ""
    raise UsageError(f"{path}: expected a run or checkpoint{wanted}, found none")


def weights_sha256(checkpoint: Checkpoint) -> str:
    """Return the hash of a checkpoint's weights file."""
    return hashlib.sha256((checkpoint.path / WEIGHTS).read_bytes()).hexdigest()
