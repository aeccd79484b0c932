"""The noisy student: a tagger that learns from tags and from a teacher's answers.

L = BCE(labelled, tags) + w BCE(unlabelled as the student hears it, the teacher's probabilities)

Xie et al. 2020 (arXiv:1911.04252); for music Won et al. 2021 (arXiv:2111.13457), of whose published
code the loss on labelled audio (``skeptical_loss``) is defined nowhere: METHOD.md 3.2 takes plain
BCE. The teacher is fixed and hears the chunk as it is; the student hears it augmented, under the
shards' real noise, or both. Knowledge expansion is a student as large as its teacher or larger,
distillation a smaller one: the run's model options are the student's, the teacher brings its own.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.optim import Adam

from manifests.rows import SOURCE, TARGET
from trainer.compute import Compute, prepared
from trainer.config import TrainConfig
from trainer.data import Batch
from trainer.keeper import Keeper
from trainer.losses import tag_loss
from trainer.models.heads import LabelPredictor
from trainer.models.registry import new_encoder
from trainer.roles import Roles
from trainer.runs.checkpoint import TrainingState
from trainer.runs.distributed import average_gradients, broadcast_modules
from trainer.runs.folder import RunFolder
from trainer.runs.restore import load_weights
from trainer.snr_schedule import bounds_db, easy_to_hard
from trainer.student_audio import Answers, StudentAudio, student_loaders, student_parts
from trainer.sync_batchnorm import with_batchnorm
from trainer.tag_stage import labels_of, learning_rates, tagger_card, total
from trainer.teacher import load_teacher
from trainer.teacher_cache import cached_predictions
from trainer.validation import open_validation
from trainer.weights import find_stage, weights_sha256

STAGE = "noisy-student"


def noisy_student_losses(
    encoder: nn.Module,
    predictor: nn.Module,
    labelled: torch.Tensor,
    tags: torch.Tensor,
    unlabelled: torch.Tensor,
    weight: float,
    *,
    probabilities: torch.Tensor,
) -> dict[str, torch.Tensor]:
    """Return the losses of one step, in one concatenated forward.

    Args:
        encoder: the student's, audio to embeddings.
        predictor: the student's, embeddings to tag logits.
        labelled: (B, 1, T).
        tags: (B, n_tags), multi-hot.
        unlabelled: as the student hears it, (B', 1, T).
        weight: of the loss on the teacher's answers.
        probabilities: the teacher's answers, (B', n_tags), not rounded to 0 and 1.
    """
    logits = predictor(encoder(torch.cat([labelled, unlabelled])))
    of_tags, of_answers = logits.split([len(labelled), len(unlabelled)])
    tag, pseudo = tag_loss(of_tags, tags), tag_loss(of_answers, probabilities)
    return {"tag": tag, "pseudo": pseudo, "loss": tag + weight * pseudo}


def answered(
    answers: Answers, batch: Batch, losses: Callable[..., dict[str, torch.Tensor]]
) -> dict[str, torch.Tensor]:
    """Return the losses with the teacher's answers, in the precision of the moment."""
    return losses(probabilities=answers(batch))


def train_student(
    config: TrainConfig,
    roles: Roles,
    encoder_from: Path | None,
    teacher_from: Path,
    run: RunFolder,
    compute: Compute,
    *,
    round_number: int = 1,
) -> None:
    """Train one student.

    Args:
        config: the run's config.
        roles: sets by role: ``train``, ``valid``, and ``unlabelled`` where one was given.
        encoder_from: run or checkpoint of stage 1; None begins with a random encoder.
        teacher_from: the teacher's run.
        run: the round's folder.
        compute: device, ranks, precision.
        round_number: from 1.

    Raises:
        UsageError: too few examples for a batch, sets without halves, no encoder, or a teacher of
            other tags.
        ManifestError: a set or a checkpoint is damaged.
    """
    stage, student, device = config.tagger, config.student, compute.device
    # ---- data ------------------------------------------------------------------
    tags = roles.open("train").index.tags
    teacher = load_teacher(teacher_from, tags, compute)
    parts = student_parts(roles, config)
    loaders = student_loaders(parts, config, teacher.tagger.model, compute)
    steps_per_epoch = loaders[SOURCE].steps_per_epoch
    n_steps = stage.epochs * steps_per_epoch
    snr = easy_to_hard(config.snr, steps_per_epoch, easy="high")
    noisy = any(part.draws_snr for part in parts.values())
    validation = open_validation(roles, config, compute)
    # ---- networks --------------------------------------------------------------
    torch.manual_seed(config.seed)
    encoder = with_batchnorm(new_encoder(config.model).to(device), config.step, compute.world)
    predictor = LabelPredictor(encoder.n_features, len(tags)).to(device)
    begins_with = f"{teacher.tagger.sha256} teaches random"
    if encoder_from is not None:
        checkpoint = find_stage(encoder_from, "encoder", config.model)
        load_weights(checkpoint, "encoder", encoder)
        begins_with = f"{teacher.tagger.sha256} teaches {weights_sha256(checkpoint)}"
    broadcast_modules([encoder, predictor], compute.world)
    groups: list[dict[str, Any]] = [
        {"params": list(encoder.parameters()), "lr": stage.lr * stage.encoder_lr_scale},
        {"params": list(predictor.parameters())},
    ]
    optimizer = Adam(groups, lr=stage.lr, fused=True)
    learning = [*encoder.parameters(), *predictor.parameters()]
    forward, audio = compute.compiled(encoder), StudentAudio(config, round_number, compute)
    # ---- train -----------------------------------------------------------------
    keeper = Keeper(
        run=run,
        stage=STAGE if round_number == student.rounds else f"round-{round_number}",
        state=TrainingState({"encoder": encoder, "predictor": predictor}, {"adam": optimizer}),
        n_steps=n_steps,
        world=compute.world,
        card={
            **tagger_card(config, roles, tags),
            "round": round_number,
            "teacher_sha256": teacher.tagger.sha256,
        },
        loaders={half: loader.fingerprint for half, loader in loaders.items()},
        validations=stage.validations,
        begins_with=begins_with,
    )
    with keeper.open():
        if keeper.done:
            return
        predictions = None
        if student.teacher_cache:
            predictions = cached_predictions(teacher, parts[TARGET], run.path, compute)
        answers = Answers(teacher, predictions, parts[TARGET], loaders[TARGET], config, device)
        first = keeper.first_step
        batches = (loader.batches(first, n_steps - first, snr=snr) for loader in loaders.values())
        for labelled, unlabelled in keeper.awaited(zip(*batches, strict=True)):
            compute.seed_batch(config.seed, labelled.number)
            losses_of = partial(
                answered,
                answers,
                unlabelled,
                partial(
                    noisy_student_losses,
                    forward,
                    predictor,
                    audio.labelled(labelled),
                    labels_of(labelled.tags).to(device),
                    audio.unlabelled(unlabelled),
                    student.pseudo_weight,
                ),
            )
            if not keeper.precision:
                keeper.precision = compute.precision_of(
                    partial(total, losses_of), [encoder, predictor], run.path
                )
            with compute.autocast(keeper.precision):
                losses = losses_of()
            (losses["loss"] / config.step.accumulate).backward()  # type: ignore[no-untyped-call]
            keeper.heard(losses, len(labelled) + len(unlabelled))
            if not labelled.ends_step:
                continue
            average_gradients(learning, compute.world)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            # ---- log, validate, save ------------------------------------------
            step = labelled.step + 1
            heard = bounds_db(snr(labelled.step)) if noisy else {}
            keeper.stepped(step, {**learning_rates(stage), **heard})
            if keeper.validates(step):
                with keeper.validation(step):
                    found = validation(
                        encoder,
                        predictor,
                        device=device,
                        prepare=prepared(config.model),
                        autocast=lambda: compute.autocast(keeper.precision),
                    )
                keeper.validated(step, found[f"auc_{stage.select}"], found)
