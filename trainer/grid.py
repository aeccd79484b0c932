"""The thesis' experiment table: a run per cell of (method, k, freeze, E2H, alpha, lambda, seed).

Stage 1 is trained once per (k, seed) and shared. A cell is a run in a folder of its own, so the
grid goes on where it stopped, and cells run under joblib.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

import joblib

from manifests import store
from manifests.canonical import pretty_json
from manifests.errors import UsageError
from manifests.shardset import SUITE
from trainer.compute import open_compute
from trainer.config import METHODS, SystemConfig, TrainConfig
from trainer.evaluation.checkpoint import SetRequest, evaluate_checkpoint
from trainer.evaluation.evaluate import EVALUATION_FOLDER
from trainer.experiment import train_run
from trainer.roles import Roles, open_roles
from trainer.runs.folder import open_run
from trainer.stage1_encoder import train_encoder

TEST_ROLES: Final = ("test-audioset", "test-musan")


@dataclass(frozen=True)
class Axes:
    """Values of each axis.

    Attributes:
        methods: rows of the table.
        noises: numbers of noises k: the suite's ``k1``, ``k2``, ``k4``.
        freeze: frozen or finetuned classifier.
        e2h: steps of the easy-to-hard schedule, dB an epoch; 0 is off.
        alpha: ``dann`` or ``constant``.
        weights: λ; NaN stands for the default of the loss' form.
        seeds: seeds.
    """

    methods: tuple[str, ...]
    noises: tuple[int, ...] = (1,)
    freeze: tuple[bool, ...] = (True,)
    e2h: tuple[float, ...] = (0.0,)
    alpha: tuple[str, ...] = ("dann",)
    weights: tuple[float, ...] = (math.nan,)
    seeds: tuple[int, ...] = (0,)


@dataclass(frozen=True)
class Cell:
    """One run of the grid."""

    name: str
    k: int
    config: TrainConfig


def cells(axes: Axes, base: dict[str, TrainConfig]) -> Iterator[Cell]:
    """Iterate over the runs; axes of the adversary multiply ``dat`` only.

    Args:
        axes: values of each axis.
        base: config of each method, from preset and options.

    Raises:
        UsageError: an unknown method.
    """
    for method in axes.methods:
        if method not in METHODS:
            raise UsageError(f"--methods: expected some of {', '.join(METHODS)}, got {method}")
        adversary = (axes.freeze, axes.e2h, axes.alpha, axes.weights)
        if method != "dat":
            adversary = tuple(values[:1] for values in adversary)  # type: ignore[assignment]
        for k, seed in itertools.product(axes.noises, axes.seeds):
            for freeze, e2h, alpha, weight in itertools.product(*adversary):
                yield _cell(base[method], method, k, seed, freeze, e2h, alpha, weight)


def _cell(
    base: TrainConfig,
    method: str,
    k: int,
    seed: int,
    freeze: bool,
    e2h: float,
    alpha: str,
    weight: float,
) -> Cell:
    name = f"{method}-k{k}"
    config = replace(base, seed=seed)
    if method == "dat":
        lambda_dom = None if math.isnan(weight) else weight
        tagger = replace(config.tagger, freeze=freeze, alpha=alpha, lambda_dom=lambda_dom)  # type: ignore[arg-type]
        config = replace(config, tagger=tagger, snr=replace(config.snr, e2h_db_per_epoch=e2h))
        name += f"-{'freeze' if freeze else 'finetune'}-{'e2h' if e2h else 'full'}-{alpha}"
        name += f"-l{tagger.domain_weight:g}"
    return Cell(f"{name}-s{seed}", k, config)


def run_grid(
    grid: list[Cell], shards: str, out: Path, system: SystemConfig, *, jobs: int = 1
) -> list[str]:
    """Train and evaluate all cells, those that are done excepted.

    Args:
        grid: the cells.
        shards: folder of the suite, with ``k1``, ``k2``, ``k4`` for the numbers of noises.
        out: folder of the grid: a run per cell, ``encoders`` beside.
        system: device and precision of every cell.
        jobs: cells at a time.

    Returns:
        Folders of the evaluations, in the order of the cells.

    Raises:
        UsageError: a number of noises that the suite lacks.
    """
    store.write_text(str(out / "grid.json"), pretty_json([asdict(cell) for cell in grid]))
    parallel = joblib.Parallel(n_jobs=jobs, return_as="generator_unordered")
    encoders = {(cell.k, cell.config.seed): cell for cell in grid}
    first = (joblib.delayed(train_shared)(cell, shards, out, system) for cell in encoders.values())
    for _ in parallel(first):
        pass
    for _ in parallel(joblib.delayed(train_cell)(cell, shards, out, system) for cell in grid):
        pass
    return [str(out / cell.name / EVALUATION_FOLDER) for cell in grid]


def roles_of(shards: str, k: int) -> Roles:
    """Return the sets of a suite with k noises.

    Raises:
        UsageError: the suite has none.
    """
    folder = store.join(shards, f"k{k}")
    if store.exists(store.join(folder, SUITE)):
        return open_roles(folder)
    if k == 1:
        return open_roles(shards)
    raise UsageError(f"{shards}: expected k{k}/{SUITE}; build the suite with --noises 1,2,4")


def train_shared(cell: Cell, shards: str, out: Path, system: SystemConfig) -> None:
    """Train stage 1 of (k, seed), which all cells of that pair share."""
    config = cell.config
    shared = {"model": asdict(config.model), "encoder": asdict(config.encoder), "seed": config.seed}
    run = open_run(encoder_path(out, cell), shared)
    with open_compute(system) as compute:
        train_encoder(config, roles_of(shards, cell.k), run, compute)


def encoder_path(out: Path, cell: Cell) -> Path:
    """Return where the shared stage 1 of a cell lies."""
    return out / "encoders" / f"k{cell.k}-s{cell.config.seed}"


def train_cell(cell: Cell, shards: str, out: Path, system: SystemConfig) -> None:
    """Train and evaluate one cell."""
    roles, run = roles_of(shards, cell.k), out / cell.name
    encoder = encoder_path(out, cell)
    with open_compute(system) as compute:
        train_run(cell.config, roles, run, compute, encoder_from=str(encoder))
        if (run / EVALUATION_FOLDER / "evaluation.json").is_file():
            return
        requests = [SetRequest(roles.urls[role]) for role in TEST_ROLES if role in roles]
        evaluate_checkpoint(run, requests, device=compute.device)
