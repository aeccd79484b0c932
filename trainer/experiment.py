"""One run from its config: the stages it needs, in order, in their folders.

``RUN/encoder`` is stage 1, ``RUN/domain`` stage 2, ``RUN/baseline`` the baseline behind AdaBN,
``RUN/teacher`` and ``RUN/round-N`` the teachers of a noisy student, ``RUN`` itself the tagger, and
``RUN/pooling`` the attention behind it. Stages that are done are kept, so a run goes on where it
stopped.
"""

from __future__ import annotations

import logging
from collections.abc import Collection
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from manifests.errors import UsageError
from trainer.adabn import train_adabn
from trainer.attention import POOLING
from trainer.comparisons import train_comparison
from trainer.compute import Compute
from trainer.config import TagConfig, TrainConfig
from trainer.noisy_student import train_student
from trainer.preflight import check_run
from trainer.roles import UNLABELLED, Roles
from trainer.runs.folder import RunFolder, open_run
from trainer.runs.writing import written_to
from trainer.stage1_encoder import hears_source_alone, train_encoder
from trainer.stage2_domain import train_domain
from trainer.stage3_dat import train_dat
from trainer.stage4_pooling import train_pooling
from trainer.student_audio import student_config
from trainer.weights import find_stage, has_checkpoint, unfinished_step

logger = logging.getLogger(__name__)
RANDOM = "random"
TEACHER = "teacher"


def train_run(
    config: TrainConfig,
    roles: Roles,
    out: Path,
    compute: Compute,
    *,
    encoder_from: str | None = None,
    init: Path | None = None,
    only_stage: int | None = None,
    teacher: Path | None = None,
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
        teacher: run that teaches a ``noisy-student``; None trains a baseline for it.
        overwrite: remove a run of another configuration.

    Raises:
        UsageError: options that do not fit together, or sets that are missing.
        ManifestError: a set or checkpoint is damaged.
    """
    check_options(config, encoder_from, init, only_stage)
    if encoder_from == RANDOM:
        config = replace(config, encoder_init="random")
    if config.method == "noisy-student":
        config = student_config(config, roles, teacher)
    given = Path(encoder_from) if encoder_from and encoder_from != RANDOM else init
    own = out if only_stage in (2, 3) else None  # earlier stages of this very run
    stages = _stages(config, given, only_stage)
    check_run(config, roles, compute, stages, teacher)
    if (earlier := given or own) is not None:
        find_stage(earlier, "domain" if only_stage == 3 else "encoder", config.model)
    _say_of_one_rung(config, roles)
    begins_with = [path for path in (earlier, teacher) if path is not None]
    run = _open(out, config.record(), compute, overwrite=overwrite, begins_with=begins_with)
    if 4 in stages:
        whole = {**config.record(), POOLING: asdict(config.pooling)}
        pooling = _open(out / POOLING, whole, compute, overwrite=overwrite)
    if 1 in stages:
        _say_without_pretrain(roles, config)
        train_encoder(config, roles, _stage(run, "encoder", compute), compute)
    if 2 in stages:
        train_domain(config, roles, given or out, _stage(run, "domain", compute), compute)
    if 3 in stages and config.method == "dat":
        train_dat(config, roles, init or out, run, compute)
    elif 3 in stages:
        encoder = None if config.encoder_init == RANDOM else given or out
        _train_comparison(config, roles, encoder, teacher, run, compute)
    if 4 in stages:
        train_pooling(config, roles, run, pooling, compute)


def _train_comparison(
    config: TrainConfig,
    roles: Roles,
    encoder: Path | None,
    teacher: Path | None,
    run: RunFolder,
    compute: Compute,
) -> None:
    """Train the tagger of a method without an adversary, and what it needs before."""
    if config.method == "adabn":
        baseline = _stage(run, "baseline", compute)
        train_comparison(replace(config, method="baseline"), roles, encoder, baseline, compute)
        train_adabn(config, roles, baseline.path, run, compute)
    elif config.method == "noisy-student":
        _train_students(config, roles, encoder, teacher, run, compute)
    else:
        train_comparison(config, roles, encoder, run, compute)


def _train_students(
    config: TrainConfig,
    roles: Roles,
    encoder: Path | None,
    teacher: Path | None,
    run: RunFolder,
    compute: Compute,
) -> None:
    """Train the teacher where none is given, then a student per round, the last one in ``RUN``."""
    places = (run.path, run.path / "round-1")
    began = any(has_checkpoint(place / "checkpoints" / "last") for place in places)
    if teacher is None and began and not has_own_teacher(run.path):
        if has_checkpoint(run.last) and unfinished_step(run.last) is None:
            return  # nobody has anything to teach it any more
        raise UsageError(f"{run.path}: expected --teacher RUN as the run began with, got none")
    if teacher is None:
        folder = _stage(run, TEACHER, compute)
        train_comparison(replace(config, method="baseline"), roles, encoder, folder, compute)
        teacher = folder.path
    rounds = config.student.rounds
    for number in range(1, rounds + 1):
        folder = run if number == rounds else _stage(run, f"round-{number}", compute)
        train_student(config, roles, encoder, teacher, folder, compute, round_number=number)
        teacher = folder.path


def has_own_teacher(run: Path) -> bool:
    """Tell whether a noisy student's run trains, or trained, its first teacher itself."""
    return (run / TEACHER / "checkpoints").is_dir()


def check_options(
    config: TrainConfig,
    encoder_from: str | None = None,
    init: Path | None = None,
    only_stage: int | None = None,
) -> None:
    """Check that a run's options fit together; the arguments are those of ``train_run``.

    Raises:
        UsageError: they do not.
    """
    if only_stage is not None and config.method != "dat":
        raise UsageError(f"--stage: expected with 'train dat' only, got {config.method}")
    if config.pooling.trains and only_stage in (1, 2):
        raise UsageError(
            f"--aggregate attention: expected --stage 3, which trains the tagger, got --stage "
            f"{only_stage}; leave one out"
        )
    if encoder_from == RANDOM and config.method == "dat":
        raise UsageError("--encoder random: expected a pretrained encoder for dat")
    if config.method in ("consistency", "robust") and not config.tagger.hears_pairs:
        raise UsageError(
            "--consistency none: expected a consistency loss or --labelled-noise, got neither; "
            "that is 'train baseline'"
        )
    if config.method == "dat":
        _check_refresh(config.tagger)
    if init is not None and only_stage not in (2, 3):
        raise UsageError(
            "--init: expected with --stage 2 or --stage 3; to take a stage 1 for the whole run, "
            "use --encoder"
        )
    if encoder_from is not None and (init is not None or only_stage in (1, 3)):
        raise UsageError(
            "--encoder: expected for a run that trains on it, got it with "
            f"{'--init' if init is not None else f'--stage {only_stage}'}; leave one out"
        )


def _check_refresh(tagger: TagConfig) -> None:
    """Check that a classifier that is refreshed is frozen in between."""
    if not tagger.refresh_every:
        return
    if not tagger.freeze:
        raise UsageError(
            "--refresh-domain-classifier: expected a frozen classifier, got --finetune, with which "
            "it learns at every step anyhow; leave one out"
        )
    if tagger.refresh_every <= tagger.refresh_steps:
        raise UsageError(
            f"--refresh-domain-classifier {tagger.refresh_every}: expected more steps than "
            f"--refresh-steps {tagger.refresh_steps}, or the classifier is never frozen; raise the "
            "first, lower the second, or use --finetune"
        )


def _stages(config: TrainConfig, given: Path | None, only_stage: int | None) -> set[int]:
    """Return which of the four stages a run trains itself."""
    last = {4} if config.pooling.trains else set[int]()
    if only_stage is not None:
        return {only_stage, *last}
    own_encoder = given is None and config.encoder_init != RANDOM
    later = {2, 3} if config.method == "dat" else {3}
    return {1, *later, *last} if own_encoder else later | last


def _open(
    out: Path,
    config: dict[str, Any],
    compute: Compute,
    *,
    overwrite: bool,
    begins_with: Collection[Path] = (),
) -> RunFolder:
    """Open the run's folder on the first rank; the others take it as it then is."""
    if compute.world.is_main:
        with written_to(out):
            run = open_run(out, config, overwrite=overwrite, begins_with=begins_with)
        compute.world.barrier()
        return run
    compute.world.barrier()
    return RunFolder(out, resumed=True)


def _stage(run: RunFolder, name: str, compute: Compute) -> RunFolder:
    folder = RunFolder(run.path / name, run.resumed)
    if compute.world.is_main:
        with written_to(folder.path):
            folder.path.mkdir(parents=True, exist_ok=True)
    compute.world.barrier()
    return folder


def _say_of_one_rung(config: TrainConfig, roles: Roles) -> None:
    """Say where the rule that the target half's clean members stay closed cannot be kept."""
    mixes = config.snr.relevel == "auto" and config.snr.draw == "integer"
    noisy = config.method in ("dat", "supervised", "adabn")
    answers = config.method == "noisy-student" and config.student.teacher_hears == "noisy"
    if not mixes or not (noisy or answers):
        return
    role = UNLABELLED if answers and UNLABELLED in roles else "train"
    if len(rungs := roles.open(role).index.snrs_db) == 1:
        logger.warning(
            "%s stores %g dB alone: other SNRs of the %s are mixed from it and the clean member, "
            "which is not heard itself; --snr-relevel rungs forbids that",
            role,
            *rungs,
            "target half" if role == "train" else "unlabelled examples",
        )


def _say_without_pretrain(roles: Roles, config: TrainConfig) -> None:
    if "pretrain-train" not in roles:
        logger.warning(
            "stage 1: no set with the role pretrain-train; it learns from train%s instead",
            "'s source half alone (--cross-domain must not hear the target half clean)"
            if hears_source_alone(roles, config)
            else "",
        )
