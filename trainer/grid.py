"""The thesis' experiment table: a run per cell of a grid.

Stage 1 is trained once per k, seed and encoder, and shared; a baseline's run also teaches the noisy
students that would train the same one. A cell is a run in a folder of its own, so the grid goes on
where it stopped, and cells run under joblib.
"""

from __future__ import annotations

import logging
import multiprocessing
from collections.abc import Callable, Collection
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias, get_args

import joblib

from manifests import store
from manifests.canonical import canonical_json, pretty_json, sha256_text
from manifests.errors import ManifestError, UsageError
from manifests.parent import end_with_parent
from manifests.shardset import load_set
from trainer.compute import open_compute, shared_cores
from trainer.config import Aggregation, SystemConfig, TrainConfig
from trainer.evaluation.evaluate import check_sets
from trainer.evaluation.set_clips import evaluation_set
from trainer.experiment import RANDOM, check_options, has_own_teacher, train_run
from trainer.grid_cells import Cell
from trainer.grid_scores import score_cell
from trainer.grid_suite import Suite
from trainer.models.registry import chunk_samples
from trainer.preflight import check_run, crops_of_example
from trainer.runs.distributed import environment
from trainer.runs.folder import open_run
from trainer.stage1_encoder import train_encoder
from trainer.student_audio import student_config

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class GridRuns:
    """What a grid came to.

    Attributes:
        runs: folders of the runs that are trained and scored, in the order of the cells.
        sets: names of the sets that they are scored on.
        failed: why each of the others failed, by the name of its cell.
    """

    runs: list[str]
    sets: frozenset[str]
    failed: dict[str, str]


def run_grid(
    grid: list[Cell], suite: Suite, out: Path, system: SystemConfig, *, jobs: int = 1
) -> GridRuns:
    """Train and evaluate all cells, those that are done excepted.

    A cell that fails leaves out those that begin with its stage 1 or learn from it; the others go
    on.

    Args:
        grid: the cells.
        suite: the sets.
        out: folder of the grid: a run per cell, ``encoders`` beside.
        system: device and precision of every cell.
        jobs: cells at a time; they share the cores.

    Raises:
        UsageError: options of a cell that do not fit together, a number of noises or a test set
            that the suite lacks, a given teacher that cannot teach, or several ranks.
        ManifestError: a set is damaged before the first cell begins, or a cell's process was lost.
    """
    if environment()[1] > 1:
        raise UsageError("grid: expected one process, got torchrun's; use --cell-jobs instead")
    encoders = {
        encoder_path(out, cell): cell for cell in grid if cell.config.encoder_init != RANDOM
    }
    sets = _check(grid, suite, system)
    store.write_text(str(out / "grid.json"), pretty_json([asdict(cell) for cell in grid]))
    students = [cell for cell in grid if cell.config.method == "noisy-student"]
    others = [cell for cell in grid if cell not in students]
    errors = _train_all(train_shared, list(encoders.values()), suite, out, system, jobs=jobs)
    lost = {path: errors[cell.name] for path, cell in encoders.items() if cell.name in errors}
    failed = {
        cell.name: f"stage 1: {lost[path]}"
        for cell in grid
        if cell.config.encoder_init != RANDOM and (path := encoder_path(out, cell)) in lost
    }
    left = [cell for cell in others if cell.name not in failed]
    failed |= _train_all(train_cell, left, suite, out, system, jobs=jobs)
    for cell in students:
        teacher = teacher_path(out, cell, others)
        if teacher and teacher in {out / name for name in failed}:
            failed.setdefault(cell.name, f"its teacher: {failed[teacher.name]}")
    left = [cell for cell in students if cell.name not in failed]
    failed |= _train_all(partial(train_cell, others=others), left, suite, out, system, jobs=jobs)
    runs = [str(out / cell.name) for cell in grid if cell.name not in failed]
    return GridRuns(runs, sets, failed)


def _train_all(
    train: Train, some: list[Cell], suite: Suite, out: Path, system: SystemConfig, *, jobs: int
) -> dict[str, str]:
    """Train cells in their order; side by side, the slowest begin, so that none ends alone.

    The cores are shared by the cells of the phase, done or not: a cell that goes on has as many
    threads, hence the same rounding, as before.

    Returns:
        Why cells failed, by their names.
    """
    jobs = min(jobs, len(some)) or 1
    if jobs > 1:
        system = replace(system, threads=system.threads or shared_cores(jobs))
        some = sorted(some, key=lambda cell: -_crops_heard(cell.config))
    calls = (joblib.delayed(_attempt)(train, cell, suite, out, system) for cell in some)
    failed = dict[str, str]()
    try:
        with joblib.parallel_config("loky", n_jobs=jobs, initializer=_settle_in):
            for name, error in joblib.Parallel(return_as="generator_unordered")(calls):
                if error:
                    _LOG.error("%s: failed: %s", name, error)
                    failed[name] = error
    except BrokenProcessPool as error:
        raise ManifestError(
            f"grid: expected all {jobs} processes of --cell-jobs to the end, lost one (killed, or "
            "out of memory); where memory is short, use fewer; then run the same command again to "
            "go on"
        ) from error
    return failed


def _attempt(
    train: Train, cell: Cell, suite: Suite, out: Path, system: SystemConfig
) -> tuple[str, str]:
    """Train a cell; return its name, and why it failed where it did.

    Options that do not fit end the grid: the next cell may well be asked for the same.
    """
    try:
        train(cell, suite, out, system)
    except UsageError:
        raise
    except ManifestError as error:
        return cell.name, str(error)
    return cell.name, ""


def _crops_heard(config: TrainConfig) -> int:
    """Return the crops that the tagger of a method hears for each example of the source half."""
    rounds = config.student.rounds if config.method == "noisy-student" else 1
    return crops_of_example(config) * rounds * config.tagger.epochs


def _settle_in() -> None:
    """Make a process of joblib's end with its parent, and its loaders start workers as ours do."""
    end_with_parent()
    multiprocessing.set_start_method("forkserver", force=True)


def _check(grid: list[Cell], suite: Suite, system: SystemConfig) -> frozenset[str]:
    """Check the options of every cell, and the sets of every kind, before the first is trained.

    Returns:
        Names of the sets that the cells are scored on.
    """
    names = set[str]()
    for cell in grid:
        check_options(cell.config)
    with open_compute(system) as compute:
        for cell in {(cell.k, _reading(cell.config), cell.given): cell for cell in grid}.values():
            config, roles = cell.config, suite.cell_roles(cell)
            if config.method == "noisy-student":
                config = student_config(config, roles, _given_teacher(cell))
            stages = {1, 2, 3} if config.method == "dat" else {1, 3}
            stages |= {4} if config.pooling.trains else set()
            stages -= {1} if config.encoder_init == RANDOM else set()
            check_run(config, roles, compute, stages, _given_teacher(cell))
            tags, length = roles.open("train").index.tags, chunk_samples(config.model)
            tests = [
                evaluation_set(
                    load_set(request.url),
                    tags,
                    chunk_samples=length,
                    perturbations=suite.perturbations,
                )
                for request in suite.requests(cell.k)
            ]
            check_sets(tests)
            names |= {test.label.name for test in tests}
    return frozenset(names)


def _reading(config: TrainConfig) -> TrainConfig:
    """Return a config without what changes neither data nor networks: cells that differ by it."""
    tagger = replace(config.tagger, freeze=True, alpha="dann", lambda_dom=None)
    return replace(config, seed=0, tagger=tagger)


Train: TypeAlias = Callable[[Cell, Suite, Path, SystemConfig], None]


def train_shared(cell: Cell, suite: Suite, out: Path, system: SystemConfig) -> None:
    """Train the stage 1 that all cells of one k, seed and encoder share."""
    config, shared = cell.config, _shared(cell)
    run = open_run(encoder_path(out, cell), shared, overwrite=suite.overwrite)
    with open_compute(system) as compute:
        train_encoder(config, suite.roles(cell.k), run, compute)


def _shared(cell: Cell) -> dict[str, Any]:
    """Return the part of a cell's config that decides its stage 1."""
    config = cell.config
    snr = {name: value for name, value in asdict(config.snr).items() if "e2h" not in name}
    return {
        "step": asdict(config.step),
        "model": asdict(config.model),
        "encoder": asdict(config.encoder),
        "snr": snr,
        "seed": config.seed,
    }


def encoder_path(out: Path, cell: Cell) -> Path:
    """Return where the stage 1 lies that a cell shares with all cells of one encoder."""
    same = {name: value for name, value in _shared(cell).items() if name != "seed"}
    name = sha256_text(canonical_json(same))[:8]
    return out / "encoders" / f"k{cell.k}-{name}-s{cell.config.seed}"


def _given_teacher(cell: Cell) -> Path | None:
    return Path(cell.given.teacher) if cell.given.teacher else None


def teacher_path(out: Path, cell: Cell, others: Collection[Cell]) -> Path | None:
    """Return the run that teaches a noisy student: given, or the baseline it would train itself.

    None where the grid has no such cell, or the cell is no noisy student.
    """
    if cell.config.method != "noisy-student" or cell.given.teacher:
        return _given_teacher(cell)
    wanted = replace(cell.config, method="baseline").record()
    for other in others:
        if other.k == cell.k and other.config.record() == wanted:
            return out / other.name
    return None


def train_cell(
    cell: Cell,
    suite: Suite,
    out: Path,
    system: SystemConfig,
    *,
    others: Collection[Cell] = (),
) -> None:
    """Train and evaluate one cell; ``others`` are there, and one may be a student's teacher.

    A cell with attention is scored with it and without: two rows of the table from one run.
    """
    roles, run = suite.cell_roles(cell), out / cell.name
    random = cell.config.encoder_init == RANDOM
    encoder = RANDOM if random else str(encoder_path(out, cell))
    with open_compute(system) as compute:
        train_run(
            cell.config,
            roles,
            run,
            compute,
            encoder_from=encoder,
            teacher=None if has_own_teacher(run) else teacher_path(out, cell, others),
            overwrite=suite.overwrite,
        )
        aggregates: tuple[Aggregation, ...] = get_args(Aggregation)
        score_cell(
            run,
            suite.requests(cell.k),
            device=compute.device,
            aggregates=aggregates if cell.config.pooling.trains else ("mean",),
            perturbations=suite.perturbations,
        )
