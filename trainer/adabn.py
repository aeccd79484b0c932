"""The AdaBN control: a baseline whose BatchNorm statistics are taken anew on noisy audio.

No parameter moves. Part of what DAT gains may be only this: its encoder sees noisy batches, so its
running statistics fit them (METHOD.md section 4, pitfall 5; Li et al. 2018, arXiv:1603.04779).
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from manifests.rows import TARGET
from trainer.compute import Compute, prepared
from trainer.config import TrainConfig
from trainer.data import Loader, LoaderConfig, SnrRange, make_part
from trainer.data.reading import UNLABELLED_NOISY
from trainer.keeper import Keeper
from trainer.models.heads import LabelPredictor
from trainer.roles import Roles
from trainer.runs.checkpoint import TrainingState
from trainer.runs.folder import RunFolder
from trainer.runs.restore import load_weights
from trainer.stage1_encoder import new_encoder
from trainer.stage3_dat import tagger_card
from trainer.validation import TagValidation
from trainer.weights import find_checkpoint


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
    stage, device = config.tagger, compute.device
    tags = roles.open("train").index.tags
    loader = Loader(
        [make_part(roles.open("train"), UNLABELLED_NOISY, domain=TARGET)],
        LoaderConfig(batch_size=stage.batch_size, seed=config.seed, snr_draw=config.snr.draw),
    )
    encoder = new_encoder(config.model).to(device)
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
        precision="float32",
    )
    with keeper.open():
        if keeper.done:
            return
        reset_statistics(encoder)
        snr = SnrRange(config.snr.low_db, config.snr.high_db)
        with torch.no_grad():
            for batch in loader.batches(0, n_steps, snr=snr):
                encoder.train()
                encoder(prepare(batch.audio.to(device)))
                keeper.stepped(batch.step + 1, {"loss": 0.0}, len(batch))
        with keeper.validation():
            found = TagValidation(roles.open("valid"), tags, limit=stage.valid_limit)(
                encoder,
                predictor,
                device=device,
                prepare=prepare,
                autocast=lambda: compute.autocast("float32"),
            )
        keeper.validated(n_steps, found[f"auc_{stage.select}"], found)


def reset_statistics(module: nn.Module) -> None:
    """Forget running statistics; with momentum None they become the plain mean over batches."""
    for part in module.modules():
        if isinstance(part, nn.modules.batchnorm._BatchNorm):
            part.reset_running_stats()
            part.momentum = None
