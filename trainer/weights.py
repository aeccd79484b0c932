"""Weights from an earlier stage or run, wherever a user points to."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from manifests import store
from manifests.errors import ManifestError, UsageError
from manifests.records import parse_json
from trainer.config import ModelConfig
from trainer.runs.checkpoint import STATE, WEIGHTS, Checkpoint, load_checkpoint
from trainer.runs.folder import CONFIG, differences

_LAST: Final = "checkpoints/last"
_PLACES: Final = ("", "checkpoints/best", _LAST)
STAGES: Final = {"encoder": "stage 1", "domain": "stage 2"}


def has_checkpoint(folder: Path) -> bool:
    """Tell whether there is a checkpoint to go on from.

    A kill between the two renames of a save leaves the folder under another name, with a dot in
    front; ``load_checkpoint`` finds it there.
    """
    return (folder / STATE).is_file() or folder.with_name(f".{folder.name}.old").is_dir()


def holds_checkpoint(path: Path) -> bool:
    """Tell whether ``find_checkpoint`` finds any below a folder; scores may travel without one."""
    return any(has_checkpoint(path / place) for place in _PLACES)


def find_checkpoint(path: Path, *below: str) -> Checkpoint:
    """Load the best checkpoint of a run, of one of its stages, or a checkpoint folder itself.

    Args:
        path: a run's folder, e.g. ``RUN``, ``RUN/encoder`` or ``RUN/checkpoints/best``.
        below: stage folders to look into first, e.g. ``encoder``.

    Raises:
        UsageError: there is no checkpoint.
        ManifestError: it is incomplete or changed; or it is the last one of a finished stage none
            of whose validations gave a score, which is not the one to use.
    """
    for folder in (*(path / name for name in below), path):
        for place in _PLACES:
            if has_checkpoint(folder / place):
                checkpoint = load_checkpoint(folder / place)
                if place == _LAST and checkpoint.progress.get("done"):
                    raise ManifestError(
                        f"{folder}: expected the best checkpoint of a finished stage, got none: "
                        "it was removed, or no validation gave a finite score; train anew (at a "
                        "lower learning rate where it diverged), or name checkpoints/last itself"
                    )
                return checkpoint
    wanted = f" of {' or '.join(below)}" if below else ""
    raise UsageError(f"{path}: expected a run or checkpoint{wanted}, found none")


def find_stage(path: Path, stage: str, model: ModelConfig) -> Checkpoint:
    """Load what stage 1 (``encoder``) or stage 2 (``domain``) of a run ended with.

    Args:
        path: the run, the stage's folder, or a checkpoint's folder.
        stage: ``encoder`` or ``domain``.
        model: the encoder of the run that takes it.

    Raises:
        UsageError: there is none, it is of another stage or another encoder, or the stage is not
            finished; a checkpoint's own folder is taken as it is.
        ManifestError: it is incomplete or changed.
    """
    checkpoint = find_checkpoint(path, stage)
    card, name = checkpoint.progress, STAGES[stage]
    if card.get("stage") != stage:
        raise UsageError(
            f"{path}: expected a checkpoint of {name}, got one of {card.get('stage')}; name a run "
            f"that trained its own {name}"
        )
    differing = differences(card["model"], asdict(model))
    if differing:
        raise UsageError(
            f"{path}: expected an encoder as this run's, got another: "
            f"{'; '.join(text for _, text in differing)}; give the same options to both"
        )
    if not (path / STATE).is_file() and (step := unfinished_step(checkpoint.path.parent / "last")):
        raise UsageError(
            f"{path}: expected a finished {name}, got one at step {step}; run it to its end, or "
            f"name {checkpoint.path} to take it as it is"
        )
    return checkpoint


def unfinished_step(last: Path) -> int | None:
    """Return the step of a stage that has more to go; None where it is finished or unknown.

    Args:
        last: folder of the stage's newest checkpoint, which need not be there.
    """
    path = last / STATE
    if not path.is_file():
        return None
    record: Any = parse_json(store.read_bytes(str(path)), str(path))
    progress = record.get("progress") if isinstance(record, Mapping) else None
    if not isinstance(progress, Mapping) or progress.get("done", True):
        return None
    return int(progress.get("step", 0))


def run_folder(path: Path) -> Path:
    """Return the run's folder of a path that is one, or a checkpoint's folder in it."""
    resolved = path.resolve()
    return resolved.parents[1] if resolved.parent.name == "checkpoints" else resolved


def whole_run(folder: Path) -> Path:
    """Return the run that the folder of an earlier tagger (``RUN/round-1``) is part of.

    Such a folder has no configuration of its own; one that has is the run itself.
    """
    part = not (folder / CONFIG).is_file() and (folder.parent / CONFIG).is_file()
    return folder.parent if part else folder


def weights_sha256(checkpoint: Checkpoint) -> str:
    """Return the hash of a checkpoint's weights file."""
    return hashlib.sha256((checkpoint.path / WEIGHTS).read_bytes()).hexdigest()
