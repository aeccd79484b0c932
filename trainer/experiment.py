"""One run from its config: the stages it needs, in order, in their folders.

``RUN/encoder`` is stage 1, ``RUN/domain`` stage 2, ``RUN/baseline`` the baseline behind AdaBN, and
``RUN`` itself the tagger. Stages that are done are kept, so a run goes on where it stopped.
"""

from __future__ import annotations

import logging
from dataclasses import asdict
from pathlib import Path
from typing import Any

from manifests.errors import UsageError
from trainer.adabn import train_adabn
from trainer.comparisons import train_comparison
from trainer.compute import Compute
from trainer.config import TrainConfig
from trainer.roles import Roles
from trainer.runs.folder import RunFolder, open_run
from trainer.stage1_encoder import train_encoder
from trainer.stage2_domain import train_domain
from trainer.stage3_dat import train_dat
from trainer.weights import find_checkpoint, weights_sha256

logger = logging.getLogger(__name__)
RANDOM = "random"


def train_run(
    config: TrainConfig,
    roles: Roles,
    out: Path,
    compute: Compute,
    *,
    encoder_from: str | None = None,
    init: Path | None = None,
    only_stage: int | None = None,
    overwrite: bool = False,
) -> None:
    """Train a run, or go on with one.

    Args:
        config: what to train.
        roles: sets by role.
        out: the run's folder.
        compute: device, ranks, precision.
        encoder_from: run or checkpoint whose stage 1 is taken instead of training one; ``random``
            begins with a random encoder.
        init: run whose earlier stages are taken, with ``only_stage``.
        only_stage: 1, 2 or 3 of ``dat``; None trains all that is needed.
        overwrite: remove a run of another configuration.

    Raises:
        UsageError: options that do not fit together, or sets that are missing.
        ManifestError: a set or checkpoint is damaged.
    """
    if only_stage is not None and config.method != "dat":
        raise UsageError(f"--stage: expected with 'train dat' only, got {config.method}")
    begins_with = {"begins_with": _initial_encoder(encoder_from, init)}
    run = _open(out, {**asdict(config), **begins_with}, compute, overwrite=overwrite)
    encoder: Path | None = Path(encoder_from) if encoder_from else init or out
    if encoder_from == RANDOM:
        if config.method == "dat":
            raise UsageError("--encoder random: expected a pretrained encoder for dat")
        encoder = None
    elif encoder_from is None and init is None and only_stage in (None, 1):
        _say_without_pretrain(roles)
        train_encoder(config, roles, _stage(run, "encoder", compute), compute)
    if config.method == "dat":
        _train_adversary(config, roles, run, encoder or out, compute, init, only_stage)
    elif config.method == "adabn":
        baseline = _stage(run, "baseline", compute)
        train_comparison(config, roles, encoder, baseline, compute)
        train_adabn(config, roles, baseline.path, run, compute)
    else:
        train_comparison(config, roles, encoder, run, compute)


def _train_adversary(
    config: TrainConfig,
    roles: Roles,
    run: RunFolder,
    encoder: Path,
    compute: Compute,
    init: Path | None,
    only_stage: int | None,
) -> None:
    if only_stage in (None, 2):
        train_domain(config, roles, encoder, _stage(run, "domain", compute), compute)
    if only_stage in (None, 3):
        train_dat(config, roles, init if only_stage == 3 and init else run.path, run, compute)


def _initial_encoder(encoder_from: str | None, init: Path | None) -> str:
    """Say what the encoder begins with, without a path: runs that differ in it are not one."""
    if encoder_from == RANDOM:
        return RANDOM
    if encoder_from is None and init is None:
        return "own stage 1"
    checkpoint = find_checkpoint(Path(encoder_from or str(init)), "encoder")
    return f"weights {weights_sha256(checkpoint)}"


def _open(out: Path, config: dict[str, Any], compute: Compute, *, overwrite: bool) -> RunFolder:
    """Open the run's folder on the first rank; the others take it as it then is."""
    if compute.world.is_main:
        run = open_run(out, config, overwrite=overwrite)
        compute.world.barrier()
        return run
    compute.world.barrier()
    return RunFolder(out, resumed=True)


def _stage(run: RunFolder, name: str, compute: Compute) -> RunFolder:
    folder = RunFolder(run.path / name, run.resumed)
    if compute.world.is_main:
        folder.path.mkdir(parents=True, exist_ok=True)
    compute.world.barrier()
    return folder


def _say_without_pretrain(roles: Roles) -> None:
    if "pretrain-train" not in roles:
        logger.warning("stage 1: no set with the role pretrain-train; it learns from train instead")
