"""The comparisons and controls: taggers without an adversary.

| method         | source half                  | target half                                |
|----------------|------------------------------|--------------------------------------------|
| baseline       | clean + tags                 | not opened                                 |
| supervised     | clean + tags                 | noisy + tags                               |
| full-clean     | clean + tags                 | clean + tags                               |
| labelled-noise | clean or noisy + tags        | not opened                                 |
| consistency    | clean and noisy, tags        | not opened; ``--pairs all``: clean and     |
| robust         |                              | noisy, without tags                        |

All take the same number of steps from the same stage 1, and choose their checkpoint by one rule.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.optim import Adam

from manifests.rows import SOURCE, TARGET
from trainer.compute import Compute, prepared
from trainer.config import TagConfig, TrainConfig
from trainer.data import Part, Reading, make_part
from trainer.data.reading import (
    LABELLED_CLEAN,
    LABELLED_EITHER,
    LABELLED_NOISY,
    LABELLED_PAIR,
    UNLABELLED_PAIR,
)
from trainer.keeper import Keeper
from trainer.loaders import open_loaders
from trainer.losses import consistency_loss, tag_loss
from trainer.models.heads import LabelPredictor
from trainer.models.registry import new_encoder
from trainer.roles import Roles
from trainer.runs.checkpoint import TrainingState
from trainer.runs.distributed import average_gradients, broadcast_modules
from trainer.runs.folder import RunFolder
from trainer.runs.restore import load_weights
from trainer.snr_schedule import bounds_db, easy_to_hard, heard_as
from trainer.sync_batchnorm import with_batchnorm
from trainer.tag_stage import learning_rates, tagger_card, total
from trainer.validation import open_validation
from trainer.weights import find_stage, weights_sha256


def readings(config: TrainConfig) -> dict[str, Reading]:
    """Return what a method reads of each half; a half that is not named is not opened."""
    if config.method == "supervised":
        return {SOURCE: LABELLED_CLEAN, TARGET: LABELLED_NOISY}
    if config.method == "full-clean":
        return {SOURCE: LABELLED_CLEAN, TARGET: LABELLED_CLEAN}
    if config.method == "labelled-noise":
        return {SOURCE: LABELLED_EITHER}
    if config.method in ("consistency", "robust") and config.tagger.hears_pairs:
        pairs = {SOURCE: LABELLED_PAIR}
        # without the consistency loss nothing is learned from pairs without tags
        both = config.tagger.pairs == "all" and config.tagger.consistency != "none"
        return pairs | {TARGET: UNLABELLED_PAIR} if both else pairs
    return {SOURCE: LABELLED_CLEAN}


def comparison_parts(roles: Roles, config: TrainConfig) -> dict[str, list[Part]]:
    """Return what is read of each half that is opened."""
    train = roles.open("train")
    parts = {}
    for half, reading in readings(config).items():
        if reading == LABELLED_NOISY:
            reading = heard_as(reading, config.snr, train.index.snrs_db)
        parts[half] = [make_part(train, reading, domain=half)]
    return parts


def comparison_losses(
    encoder: nn.Module,
    predictor: LabelPredictor,
    audio: list[tuple[torch.Tensor, ...]],
    tags: list[torch.Tensor | None],
    config: TagConfig,
) -> dict[str, torch.Tensor]:
    """Return the losses of one step over one or two halves, in one concatenated forward.

    Args:
        encoder: audio to embeddings.
        predictor: embeddings to tag logits.
        audio: of each half one view (B, 1, T), or clean and noisy twins.
        tags: of each half (B, n_tags), or None where tags are not read.
        config: consistency and its weight.
    """
    views = [view for half in audio for view in half]
    h = encoder(torch.cat(views)).split([len(view) for view in views])
    logits = predictor(torch.cat(h)).split([len(view) for view in views])
    losses: dict[str, list[torch.Tensor]] = {"tag": [], "tag_noisy": [], "consistency": []}
    place = 0
    for half, labels in zip(audio, tags, strict=True):
        if labels is not None:
            losses["tag"].append(tag_loss(logits[place], labels))
        if len(half) == 2:
            if labels is not None and config.labelled_noise:
                losses["tag_noisy"].append(tag_loss(logits[place + 1], labels))
            if config.consistency != "none":
                pair = (h if config.consistency == "embedding" else logits)[place : place + 2]
                losses["consistency"].append(consistency_loss(pair[0], pair[1], config.consistency))
        place += len(half)
    means = {name: torch.stack(terms).mean() for name, terms in losses.items() if terms}
    weights = {"consistency": config.consistency_weight}
    loss = sum(weights.get(name, 1.0) * value for name, value in means.items())
    return {**means, "loss": torch.as_tensor(loss)}


def train_comparison(
    config: TrainConfig, roles: Roles, encoder_from: Path | None, run: RunFolder, compute: Compute
) -> None:
    """Train a tagger without an adversary.

    Args:
        config: the run's config; ``config.tagger`` is this stage's.
        roles: sets by role: ``train`` and ``valid``.
        encoder_from: run or checkpoint of stage 1; None begins with a random encoder.
        run: the run's folder.
        compute: device, ranks, precision.

    Raises:
        UsageError: too few examples for a batch, sets without halves, or no encoder.
        ManifestError: a set is damaged.
    """
    stage, world, device = config.tagger, compute.world, compute.device
    # ---- data ------------------------------------------------------------------
    halves = comparison_parts(roles, config)
    loaders = open_loaders(halves, stage.batch_size, config, compute)
    noisy = any(part.draws_snr for parts in halves.values() for part in parts)
    tags = roles.open("train").index.tags
    steps_per_epoch = loaders[SOURCE].steps_per_epoch
    n_steps = stage.epochs * steps_per_epoch
    snr = easy_to_hard(config.snr, steps_per_epoch, easy="high")
    validation = open_validation(roles, config, compute)
    # ---- networks --------------------------------------------------------------
    torch.manual_seed(config.seed)
    encoder = with_batchnorm(new_encoder(config.model).to(device), config.step, world)
    predictor = LabelPredictor(encoder.n_features, len(tags)).to(device)
    begins_with = ""
    if encoder_from is not None:
        checkpoint = find_stage(encoder_from, "encoder", config.model)
        load_weights(checkpoint, "encoder", encoder)
        begins_with = weights_sha256(checkpoint)
    broadcast_modules([encoder, predictor], world)
    groups: list[dict[str, Any]] = [
        {"params": list(encoder.parameters()), "lr": stage.lr * stage.encoder_lr_scale},
        {"params": list(predictor.parameters())},
    ]
    optimizer = Adam(groups, lr=stage.lr, fused=True)
    learning = [*encoder.parameters(), *predictor.parameters()]
    prepare, forward = prepared(config.model), compute.compiled(encoder)
    # ---- train -----------------------------------------------------------------
    keeper = Keeper(
        run=run,
        stage=config.method,
        state=TrainingState({"encoder": encoder, "predictor": predictor}, {"adam": optimizer}),
        n_steps=n_steps,
        world=world,
        card=tagger_card(config, roles, tags),
        loaders={half: loader.fingerprint for half, loader in loaders.items()},
        validations=stage.validations,
        begins_with=begins_with,
    )
    with keeper.open():
        if keeper.done:
            return
        first = keeper.first_step
        batches = (loader.batches(first, n_steps - first, snr=snr) for loader in loaders.values())
        for both in keeper.awaited(zip(*batches, strict=True)):
            compute.seed_batch(config.seed, both[0].number)
            audio = [tuple(prepare(v.audio.to(device)) for v in half.views) for half in both]
            labels = [None if half.tags is None else half.tags.to(device) for half in both]
            losses_of = partial(comparison_losses, forward, predictor, audio, labels, stage)
            if not keeper.precision:
                keeper.precision = compute.precision_of(
                    partial(total, losses_of), [encoder, predictor], run.path
                )
            with compute.autocast(keeper.precision):
                losses = losses_of()
            (losses["loss"] / config.step.accumulate).backward()  # type: ignore[no-untyped-call]
            keeper.heard(losses, sum(half.n_crops for half in both))
            if not both[0].ends_step:
                continue
            average_gradients(learning, world)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            # ---- log, validate, save ------------------------------------------
            step = both[0].step + 1
            heard = bounds_db(snr(both[0].step)) if noisy else {}
            keeper.stepped(step, {**learning_rates(stage), **heard})
            if keeper.validates(step):
                with keeper.validation(step):
                    found = validation(
                        encoder,
                        predictor,
                        device=device,
                        prepare=prepare,
                        autocast=lambda: compute.autocast(keeper.precision),
                    )
                keeper.validated(step, found[f"auc_{stage.select}"], found)
