"""What can be known to fail is said before the first step, not after days of stage 1."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from manifests.errors import ManifestError, UsageError
from manifests.rows import SOURCE, TARGET
from trainer.adabn import adabn_parts
from trainer.comparisons import comparison_parts, readings
from trainer.compute import Compute
from trainer.config import TrainConfig
from trainer.data import Loader
from trainer.data.snr import SnrAt
from trainer.loaders import open_loader, open_loaders
from trainer.models.registry import BACKBONES, chunk_samples, new_encoder
from trainer.roles import Roles
from trainer.runs.distributed import World
from trainer.snr_schedule import constant, easy_to_hard
from trainer.stage1_encoder import ContrastiveValidation, encoder_parts
from trainer.stage2_domain import DomainValidation, domain_parts
from trainer.stage3_dat import dat_parts
from trainer.stage4_pooling import bag_refs
from trainer.student_audio import student_loaders, student_parts
from trainer.sync_batchnorm import check_sync_batchnorm
from trainer.validation import TagValidation

logger = logging.getLogger(__name__)


def check_run(
    config: TrainConfig,
    roles: Roles,
    compute: Compute,
    stages: Collection[int],
    teacher: Path | None = None,
) -> None:
    """Check sets, SNRs and batch sizes of the stages to come; nothing is decoded.

    Args:
        config: what will be trained.
        roles: sets by role.
        compute: rank and ranks.
        stages: which of 1 (encoder), 2 (domain classifier), 3 (tagger) and 4 (attention) will be
            trained.
        teacher: run that teaches a noisy student; None trains a baseline for it.

    Raises:
        UsageError: a role is missing, a half has too few examples for a step or a batch too few
            crops for BatchNorm, SNRs cannot be heard, the encoder cannot be built, or the device
            lacks SyncBatchNorm.
        ManifestError: a set is damaged, those for training and validation do not fit together, or
            examples are shorter than the encoder's chunk.
    """
    new_encoder(config.model)
    check_sync_batchnorm(config.step, compute.device)
    if 3 in stages:
        _check_crops(config, compute.world)
        if config.method == "noisy-student" and teacher is None:
            _check_crops(replace(config, method="baseline"), compute.world)
        _check_tags(config, roles)
    if 1 in stages:
        parts = encoder_parts(roles, config)
        loader = open_loader(parts, config.encoder.batch_size, config, compute)
        _say_left_over([loader], compute.world)
        loader.check_snr(constant(config.snr)(0))
        ContrastiveValidation(roles, config, compute)
    if 2 in stages:
        halves = domain_parts(roles, config)
        loaders = open_loaders(halves, config.domain.batch_size, config, compute)
        _say_left_over(loaders.values(), compute.world)
        steps = loaders[SOURCE].steps_per_epoch
        _check_snrs(loaders, easy_to_hard(config.snr, steps, easy="low"), config.domain.epochs)
        DomainValidation(roles, config, compute)
    if 4 in stages:
        bag_refs(roles, config, compute.world)
    if 3 in stages and config.method == "noisy-student":
        _check_student(config, roles, compute)
    elif 3 in stages:
        halves = (dat_parts if config.method == "dat" else comparison_parts)(roles, config)
        if config.method == "adabn":
            halves[TARGET] = adabn_parts(roles, config)
        loaders = open_loaders(halves, config.tagger.batch_size, config, compute)
        _say_left_over(loaders.values(), compute.world)
        steps = loaders[SOURCE].steps_per_epoch
        _check_snrs(loaders, easy_to_hard(config.snr, steps, easy="high"), config.tagger.epochs)


def crops_of_example(config: TrainConfig) -> int:
    """Return the crops that a tagger hears at once for each example of the source half."""
    if config.method == "dat":
        return 3 if config.tagger.hears_pairs else 2
    if config.method == "noisy-student":
        return 2
    return sum(len(reading.views) for reading in readings(config).values())


def _check_crops(config: TrainConfig, world: World) -> None:
    """Check that no BatchNorm behind the pooling normalises one embedding by itself."""
    size, fewest = config.tagger.batch_size, BACKBONES[config.model.backbone].fewest_crops
    crops = size * crops_of_example(config)
    if config.step.sync_batchnorm == "on":
        crops *= world.size
    if crops < fewest:
        raise UsageError(
            f"--batch-size {size}: expected at least {fewest} crops at once for the BatchNorm of "
            f"--backbone {config.model.backbone}, got {crops} with {config.method}; use "
            f"--batch-size {fewest} or larger"
        )


def _check_student(config: TrainConfig, roles: Roles, compute: Compute) -> None:
    """Check both halves; the baseline that may be trained first reads what the student reads."""
    parts = student_parts(roles, config)
    first = config.teacher.model if config.teacher else config.model
    for teacher in (first, config.model) if config.student.rounds > 1 else (first,):
        loaders = student_loaders(parts, config, teacher, compute)
        snr = easy_to_hard(config.snr, loaders[SOURCE].steps_per_epoch, easy="high")
        _check_snrs(loaders, snr, config.tagger.epochs)
    _say_left_over(loaders.values(), compute.world)


def _say_left_over(loaders: Iterable[Loader], world: World) -> None:
    """Warn of passes that leave more than a step unused, as songs with many excerpts do."""
    for loader in loaders if world.is_main else ():
        used = loader.steps_per_epoch * loader.step_size
        if loader.n_examples - used >= loader.step_size:
            logger.warning(
                "%s: a pass uses %d of %d examples, as no step of %d holds two excerpts of one "
                "song on one rank; smaller batches use more",
                *(loader.name, used, loader.n_examples, loader.step_size),
            )


def _check_snrs(loaders: Mapping[str, Loader], snr: SnrAt, epochs: int) -> None:
    """Check the range of every epoch: one that slides may pass between two stored SNRs.

    Epochs are those of the source half, for the target half too, as in the schedule.
    """
    steps = loaders[SOURCE].steps_per_epoch
    for heard in dict.fromkeys(snr(epoch * steps) for epoch in range(epochs)):
        for loader in loaders.values():
            loader.check_snr(heard)


def _check_tags(config: TrainConfig, roles: Roles) -> None:
    tags = roles.open("train").index.tags
    if not tags:
        raise ManifestError(
            f"{roles.urls['train']}: expected a training set with tags, got none; build it with "
            "--tags"
        )
    validation = TagValidation(roles.open("valid"), tags, limit=config.tagger.valid_limit)
    validation.check_lengths(chunk_samples(config.model))
