"""The AdaBN control: a baseline whose BatchNorm statistics are taken anew on noisy audio.

No parameter moves. Part of what DAT gains may be only this: its encoder sees noisy batches, so its
running statistics fit them (METHOD.md section 4, pitfall 5; Li et al. 2018, arXiv:1603.04779).
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import torch
from torch import nn

from manifests.rows import TARGET
from trainer.compute import Compute, prepared
from trainer.config import TrainConfig
from trainer.data import Part, make_part
from trainer.data.reading import UNLABELLED_NOISY
from trainer.keeper import Keeper
from trainer.loaders import open_loader
from trainer.models.heads import LabelPredictor
from trainer.models.registry import new_encoder
from trainer.roles import Roles
from trainer.runs.checkpoint import TrainingState
from trainer.runs.folder import RunFolder
from trainer.runs.restore import load_weights
from trainer.snr_schedule import bounds_db, heard_as, whole_range
from trainer.sync_batchnorm import with_batchnorm
from trainer.tag_stage import tagger_card
from trainer.validation import open_validation
from trainer.weights import find_checkpoint, weights_sha256

ModuleT = TypeVar("ModuleT", bound=nn.Module)


def adabn_parts(roles: Roles, config: TrainConfig) -> list[Part]:
    """Return what the statistics are taken from: the target half noisy, without its tags."""
    train = roles.open("train")
    noisy = heard_as(UNLABELLED_NOISY, config.snr, train.index.snrs_db)
    return [make_part(train, noisy, domain=TARGET)]


def train_adabn(
    config: TrainConfig, roles: Roles, baseline: Path, run: RunFolder, compute: Compute
) -> None:
    """Take a baseline's BatchNorm statistics anew on the target half's noisy members.

    Args:
        config: the run's config.
        roles: sets by role: ``train`` and ``valid``.
        baseline: run of the baseline.
        run: the run's folder.
        compute: device, ranks, precision.

    Raises:
        UsageError: no baseline there, or a set without halves.
        ManifestError: a set is damaged.
    """
    # no gradient, nothing to accumulate: every batch is a step of its own
    config = replace(config, step=replace(config.step, accumulate=1))
    stage, device = config.tagger, compute.device
    tags = roles.open("train").index.tags
    parts = adabn_parts(roles, config)
    loader = open_loader(parts, stage.batch_size, config, compute)
    validation = open_validation(roles, config, compute)
    encoder = with_batchnorm(new_encoder(config.model).to(device), config.step, compute.world)
    predictor = LabelPredictor(encoder.n_features, len(tags)).to(device)
    checkpoint = find_checkpoint(baseline)
    load_weights(checkpoint, "encoder", encoder)
    load_weights(checkpoint, "predictor", predictor)
    prepare = prepared(config.model)
    n_steps = loader.steps_per_epoch
    keeper = Keeper(
        run=run,
        stage="adabn",
        state=TrainingState({"encoder": encoder, "predictor": predictor}),
        n_steps=n_steps,
        world=compute.world,
        card=tagger_card(config, roles, tags),
        loaders={TARGET: loader.fingerprint},
        validations=1,
        begins_with=weights_sha256(checkpoint),
        precision="float32",
    )
    with keeper.open():
        if keeper.done:
            return
        first, snr = keeper.first_step, whole_range(config.snr)
        average_from_here(encoder, forget=first == 0)
        for batch in keeper.awaited(loader.batches(first, n_steps - first, snr=snr)):
            with torch.no_grad():
                only_statistics(encoder)(prepare(batch.audio.to(device)))
            keeper.heard({}, len(batch))
            keeper.stepped(batch.step + 1, bounds_db(snr))
        with keeper.validation(n_steps):
            found = validation(
                encoder,
                predictor,
                device=device,
                prepare=prepare,
                autocast=lambda: compute.autocast("float32"),
            )
        keeper.validated(n_steps, found[f"auc_{stage.select}"], found)


def only_statistics(module: ModuleT) -> ModuleT:
    """Put BatchNorm into train mode and all else into eval mode: dropout is noise of its own.

    Args:
        module: the network; changed in place.

    Returns:
        The same module.
    """
    for part in module.eval().modules():
        if isinstance(part, nn.modules.batchnorm._BatchNorm):
            part.train()
    return module


def average_from_here(module: nn.Module, *, forget: bool) -> None:
    """Make running statistics the plain mean over all batches to come (momentum None).

    Args:
        module: the network; changed in place.
        forget: begin anew; else the mean goes on, which a resumed run needs.
    """
    for part in module.modules():
        if isinstance(part, nn.modules.batchnorm._BatchNorm):
            part.momentum = None
            if forget:
                part.reset_running_stats()
