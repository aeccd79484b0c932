"""Checkpoints: tensors as safetensors, the rest as JSON, complete or not there.

A checkpoint is a folder: ``weights.safetensors`` (modules), ``optimizer.safetensors``,
``random.safetensors`` (generators) and ``state.json`` with progress and the SHA-256 of all four.
It is written beside its place and renamed; the one before stays until the new one is complete.
``torch.load`` is never called: a pickle runs code.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn
from torch.optim import Optimizer

from manifests.canonical import canonical_json, sha256_text
from manifests.errors import ManifestError
from manifests.records import parse_json
from trainer.runs.optimizer_state import Tensors, optimizer_record

WEIGHTS: Final = "weights.safetensors"
OPTIMIZER: Final = "optimizer.safetensors"
RANDOM: Final = "random.safetensors"
STATE: Final = "state.json"
OWN: Final = "sha256"
"""What the record says of itself: the hash of the rest of it. Older checkpoints say nothing."""

FORMAT: Final = "robust-tagger checkpoint 1"


@dataclass(frozen=True)
class TrainingState:
    """All that changes while a stage trains; the same names must be given to save and restore.

    Attributes:
        modules: networks by name, not wrapped and not compiled.
        optimizers: optimizers by name.
        generators: random generators by name; torch's global ones are always included.
    """

    modules: Mapping[str, nn.Module]
    optimizers: Mapping[str, Optimizer] = field(default_factory=dict)
    generators: Mapping[str, torch.Generator] = field(default_factory=dict)


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint as read, on the CPU.

    Attributes:
        path: its folder.
        weights: tensors by ``MODULE/NAME``.
        optimizer: tensors by ``OPTIMIZER/PLACE``.
        random: states of generators by name.
        optimizers: the JSON part of each optimizer.
        progress: what the stage saved beside: step, epoch, loader states, best figure, config.
    """

    path: Path
    weights: Tensors
    optimizer: Tensors
    random: Tensors
    optimizers: dict[str, Any]
    progress: dict[str, Any]


def save_checkpoint(folder: Path, state: TrainingState, progress: Mapping[str, Any]) -> None:
    """Write a checkpoint; a kill at any instant leaves the one before or the new one.

    Args:
        folder: its place, e.g. ``RUN/checkpoints/last``.
        state: what is saved.
        progress: JSON values: step, epoch, loader states, best figure, config.

    Raises:
        ManifestError: a value is not JSON, or the disk is full.
    """
    optimizer, optimizers = Tensors(), dict[str, Any]()
    for name, one in state.optimizers.items():
        tensors, optimizers[name] = optimizer_record(one)
        optimizer |= {f"{name}/{place}": tensor for place, tensor in tensors.items()}
    files = {WEIGHTS: _weights(state), RANDOM: _random(state)}
    files |= {OPTIMIZER: optimizer} if state.optimizers else {}
    partial = _partial(folder)
    try:
        _tidy(folder)
        partial.mkdir(parents=True)
        hashes = {name: _write_tensors(partial / name, files[name]) for name in files}
        record = {
            "format": FORMAT,
            "files": hashes,
            "optimizers": optimizers,
            "progress": dict(progress),
        }
        record[OWN] = sha256_text(_json(record, folder))
        (partial / STATE).write_text(_json(record, folder))
        _sync(partial / STATE)
        _sync(partial)
        _swap(folder)
    except (OSError, SafetensorError) as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise ManifestError(f"{folder}: cannot be written: {error}") from error


def load_checkpoint(folder: Path) -> Checkpoint:
    """Read a checkpoint.

    Raises:
        ManifestError: it is missing, incomplete, changed since it was written, or of another
            format.
    """
    asked, folder = folder, _complete(folder)
    path = folder / STATE
    if not path.is_file():
        raise ManifestError(f"{asked}: expected a checkpoint with {STATE}, found none")
    record = _read_record(path)
    hashes = record["files"]
    return Checkpoint(
        path=folder,
        weights=_read_tensors(folder / WEIGHTS, hashes.get(WEIGHTS)),
        optimizer=_read_tensors(folder / OPTIMIZER, hashes[OPTIMIZER])
        if OPTIMIZER in hashes
        else {},
        random=_read_tensors(folder / RANDOM, hashes.get(RANDOM)),
        optimizers=record["optimizers"],
        progress=record["progress"],
    )


def _read_record(path: Path) -> dict[str, Any]:
    try:
        record = parse_json(path.read_bytes(), str(path))
    except ManifestError as error:
        raise ManifestError(f"{error}; {_remedy(path.parent)}") from error
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        raise ManifestError(f"{path}: expected the format {FORMAT!r}; {_remedy(path.parent)}")
    if not all(isinstance(record.get(k), dict) for k in ("files", "optimizers", "progress")):
        raise ManifestError(
            f"{path}: expected objects files, optimizers and progress; {_remedy(path.parent)}"
        )
    said = record.pop(OWN, None)
    if said is not None and said != sha256_text(canonical_json(record)):
        raise ManifestError(
            f"{path}: expected the values that were written, got others; {_remedy(path.parent)}"
        )
    return record


def _remedy(folder: Path) -> str:
    """Return what to do about a damaged checkpoint."""
    if folder.parent.name == "checkpoints":
        return f"remove {folder.parent} and run the same command again: that stage begins anew"
    return "copy it again"


def _complete(folder: Path) -> Path:
    """Return the folder to read: another one where a kill came between the two renames of a swap.

    Nothing is moved or removed: the run may be writing at this moment.
    """
    partial, old = _partial(folder), _old(folder)
    if folder.exists() or not old.is_dir():
        return folder
    # A swap begins only when the new one is complete.
    return partial if (partial / STATE).is_file() else old


def _tidy(folder: Path) -> None:
    """Finish a swap that a kill cut short, and remove what else it left."""
    complete = _complete(folder)
    if complete != folder:
        complete.replace(folder)
    shutil.rmtree(_partial(folder), ignore_errors=True)
    shutil.rmtree(_old(folder), ignore_errors=True)


def _swap(folder: Path) -> None:
    if folder.exists():
        folder.replace(_old(folder))
    _partial(folder).replace(folder)
    shutil.rmtree(_old(folder), ignore_errors=True)
    _sync(folder.parent)


def _partial(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.partial")


def _old(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.old")


def _weights(state: TrainingState) -> Tensors:
    weights = Tensors()
    for name, module in state.modules.items():
        for place, value in module.state_dict().items():
            if not isinstance(value, torch.Tensor):
                raise ManifestError(
                    f"{name}.{place}: expected a tensor, got {type(value).__name__}"
                )
            weights[f"{name}/{place}"] = value
    return weights


def _random(state: TrainingState) -> Tensors:
    random = {"torch": torch.get_rng_state()}
    if torch.cuda.is_available() and torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        states = torch.cuda.get_rng_state_all()
        random |= {f"cuda/{number}": value for number, value in enumerate(states)}
    return random | {f"own/{name}": one.get_state() for name, one in state.generators.items()}


def _write_tensors(path: Path, tensors: Tensors) -> str:
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    # Tensors that share memory (tied weights) are refused by safetensors: each gets its own.
    save_file({name: tensor.clone() for name, tensor in plain.items()}, path)
    _sync(path)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _read_tensors(path: Path, digest: object) -> Tensors:
    try:
        found = hashlib.sha256(path.read_bytes()).hexdigest()
        if found != digest:
            raise ManifestError(
                f"{path}: expected SHA-256 {str(digest)[:12]}…, got {found[:12]}…: it was changed "
                f"after it was written; {_remedy(path.parent)}"
            )
        return dict(load_file(path))
    except (OSError, SafetensorError) as error:
        raise ManifestError(
            f"{path}: expected a safetensors file: {error}; {_remedy(path.parent)}"
        ) from error


def _json(record: Mapping[str, Any], folder: Path) -> str:
    try:
        return canonical_json(record)
    except (TypeError, ValueError) as error:
        raise ManifestError(f"{folder}: expected JSON values to save: {error}") from error


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):
            os.fsync(handle)
    finally:
        os.close(handle)
