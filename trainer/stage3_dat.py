"""Stage 3: domain-adversarial training.  L = L_tag(source) + w (L_dom(source) + L_dom(target)).

``reversed``: the gradient of L_dom is reversed in front of the classifier, with weight w = λ α on
the encoder alone (Ganin & Lempitsky 2015, arXiv:1409.7495; thesis eq. 3.3-3.4, METHOD.md 6 rows
1-4). ``confusion`` and ``entropy``: no reversal, the encoder minimises w times a loss whose least
value is at chance; the classifier's own parameters do not see it. The classifier is frozen as stage
2 left it (section 4.3), learns on, or is refreshed now and then. One concatenated forward, split
after.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.func import functional_call
from torch.optim import Adam, Optimizer

from manifests.rows import SOURCE, TARGET
from trainer.compute import Compute, prepared
from trainer.config import TagConfig, TrainConfig
from trainer.data import Part, Reading, make_part
from trainer.data.reading import (
    LABELLED_CLEAN,
    LABELLED_PAIR,
    UNLABELLED_NOISY,
    UNLABELLED_RECORDING,
)
from trainer.keeper import Keeper
from trainer.loaders import open_loaders
from trainer.losses import consistency_loss, domain_loss, tag_loss
from trainer.models.freeze import freeze, unfreeze
from trainer.models.heads import DomainClassifier, LabelPredictor
from trainer.models.reversal import reverse_gradient
from trainer.overshoot import OVERSHOOT_BATCHES, warn_of_overshoot
from trainer.roles import Roles
from trainer.runs.checkpoint import TrainingState
from trainer.runs.distributed import (
    World,
    average_buffers,
    average_gradients,
    broadcast_modules,
)
from trainer.runs.folder import RunFolder
from trainer.runs.restore import load_weights
from trainer.schedule import dann_alpha
from trainer.snr_schedule import bounds_db, easy_to_hard, heard_as
from trainer.stage1_encoder import new_encoder
from trainer.stage2_domain import domain_accuracy, new_classifier
from trainer.sync_batchnorm import with_batchnorm
from trainer.tag_stage import labels_of, learning_rates, tagger_card, total
from trainer.validation import open_validation
from trainer.weights import find_stage, weights_sha256


@dataclass(frozen=True)
class Networks:
    """The three networks of the stage; the encoder may be a compiled one."""

    encoder: nn.Module
    predictor: LabelPredictor
    domain: DomainClassifier


def dat_losses(
    nets: Networks,
    source_audio: tuple[torch.Tensor, ...],
    source_tags: torch.Tensor,
    target_audio: torch.Tensor,
    config: TagConfig,
    weight: float,
    *,
    classifier_learns: bool,
) -> dict[str, torch.Tensor]:
    """Return the stage's losses; ``loss`` is what is minimised.

    Args:
        nets: the networks.
        source_audio: clean crops (B, 1, T), and their noisy twins where consistency or labelled
            noise asks for them.
        source_tags: (B, n_tags).
        target_audio: noisy crops (B', 1, T); their tags are no argument.
        config: forms and weights.
        weight: λ·α of this step.
        classifier_learns: whether the domain classifier's parameters take their own gradient.
    """
    n_source = len(source_tags)
    h = nets.encoder(torch.cat([*source_audio, target_audio]))
    h_views = h[: n_source * len(source_audio)].split(n_source)
    h_domain = torch.cat([h_views[0], h[n_source * len(source_audio) :]])
    logits = nets.predictor(torch.cat(h_views)).split(n_source)
    losses = {"tag": tag_loss(logits[0], source_tags)}
    if config.domain_loss == "reversed":
        # behind the reversal the signs are plus; the classifier itself learns at weight 1
        domain_logits = nets.domain(reverse_gradient(h_domain, weight))
        losses["domain"] = domain_loss(domain_logits[:n_source], domain_logits[n_source:])
        total = losses["tag"] + losses["domain"]
    else:
        domain_logits = _fixed(nets.domain, h_domain)
        form = config.domain_loss
        losses["domain"] = domain_loss(domain_logits[:n_source], domain_logits[n_source:], form)
        total = losses["tag"] + weight * losses["domain"]
    if classifier_learns and config.domain_loss != "reversed":
        own = nets.domain(h_domain.detach())
        losses["classifier"] = domain_loss(own[:n_source], own[n_source:])
        total = total + losses["classifier"]
    if config.consistency != "none":
        pair = h_views if config.consistency == "embedding" else logits
        losses["consistency"] = consistency_loss(pair[0], pair[1], config.consistency)
        total = total + config.consistency_weight * losses["consistency"]
    if config.labelled_noise:
        losses["tag_noisy"] = tag_loss(logits[1], source_tags)
        total = total + losses["tag_noisy"]
    accuracy = domain_accuracy(domain_logits.detach(), n_source)
    return {**losses, "loss": total, "domain_accuracy": accuracy}


def _fixed(classifier: nn.Module, h: torch.Tensor) -> torch.Tensor:
    """Return the classifier's logits with a gradient for ``h`` alone."""
    detached = {name: value.detach() for name, value in classifier.named_parameters()}
    logits: torch.Tensor = functional_call(classifier, detached, (h,))
    return logits


def dat_parts(roles: Roles, config: TrainConfig) -> dict[str, list[Part]]:
    """Return what each half may read: DESIGN section 6, row dat (a), and (b) with extra targets.

    Extra targets are limited to the band of the training set: noise or music above it would tell
    the domains apart, and is taken from whatever the tagger hears later.
    """
    train = roles.open("train")
    source: Reading = LABELLED_PAIR if config.tagger.hears_pairs else LABELLED_CLEAN
    noisy = heard_as(UNLABELLED_NOISY, config.snr, train.index.snrs_db)
    target = [make_part(train, noisy, domain=TARGET)]
    if config.extra_target:
        extra = roles.open("extra-target")
        rungs = extra.index.snrs_db
        noisy = heard_as(UNLABELLED_NOISY, config.snr, rungs)
        reading = noisy if rungs else UNLABELLED_RECORDING
        target.append(make_part(extra, reading, band_hz=roles.band_hz()))
    return {SOURCE: [make_part(train, source, domain=SOURCE)], TARGET: target}


def train_dat(
    config: TrainConfig, roles: Roles, init: Path, run: RunFolder, compute: Compute
) -> None:
    """Train encoder and label predictor against the domain classifier.

    Args:
        config: the run's config; ``config.tagger`` is this stage's.
        roles: sets by role: ``train``, ``valid``, and ``extra-target`` where asked for.
        init: run that holds stage 1 (``encoder``) and stage 2 (``domain``).
        run: the run's folder.
        compute: device, ranks, precision.

    Raises:
        UsageError: too few examples for a batch, sets without halves, or no earlier stages.
        ManifestError: a set is damaged.
    """
    stage, world, device = config.tagger, compute.world, compute.device
    # ---- data ------------------------------------------------------------------
    loaders = open_loaders(dat_parts(roles, config), stage.batch_size, config, compute)
    tags = roles.open("train").index.tags
    steps_per_epoch = loaders[SOURCE].steps_per_epoch
    n_steps = stage.epochs * steps_per_epoch
    snr = easy_to_hard(config.snr, steps_per_epoch, easy="high")
    validation = open_validation(roles, config, compute)
    # ---- networks --------------------------------------------------------------
    torch.manual_seed(config.seed)
    encoder = with_batchnorm(new_encoder(config.model).to(device), config.step, world)
    predictor = LabelPredictor(encoder.n_features, len(tags)).to(device)
    domain = new_classifier(encoder.n_features, config.domain).to(device)
    domain = with_batchnorm(domain, config.step, world)
    checkpoint = find_stage(init, "domain", config.model)
    load_weights(checkpoint, "encoder", encoder)
    load_weights(checkpoint, "domain", domain)
    nets = Networks(compute.compiled(encoder), predictor, domain)
    broadcast_modules([encoder, predictor, domain], world)
    if stage.freeze:
        freeze(domain)
    optimizer = tagger_optimizer(nets, stage)
    learning = [p for group in optimizer.param_groups for p in group["params"]]
    prepare = prepared(config.model)
    # ---- train -----------------------------------------------------------------
    modules = {"encoder": encoder, "predictor": predictor, "domain": domain}
    keeper = Keeper(
        run=run,
        stage="dat",
        state=TrainingState(modules, {"adam": optimizer}),
        n_steps=n_steps,
        world=world,
        card=tagger_card(config, roles, tags),
        loaders={half: loader.fingerprint for half, loader in loaders.items()},
        validations=stage.validations,
        begins_with=weights_sha256(checkpoint),
    )
    with keeper.open():
        if keeper.done:
            return
        first = keeper.first_step
        batches = (loader.batches(first, n_steps - first, snr=snr) for loader in loaders.values())
        accuracies = deque[torch.Tensor](maxlen=OVERSHOOT_BATCHES)
        for source, target in keeper.awaited(zip(*batches, strict=True)):
            compute.seed_batch(config.seed, source.number)
            alpha = dann_alpha(source.step / n_steps, stage.gamma) if stage.alpha == "dann" else 1.0
            weight = stage.domain_weight * alpha
            learns = not stage.freeze or refreshes(source.step, stage)
            set_learning(domain, learns, world)
            source_audio = tuple(prepare(view.audio.to(device)) for view in source.views)
            target_audio = prepare(target.audio.to(device))
            source_tags = labels_of(source.tags).to(device)

            losses_of = partial(
                dat_losses, nets, source_audio, source_tags, target_audio, stage, weight
            )
            if not keeper.precision:
                keeper.precision = compute.precision_of(
                    partial(total, partial(losses_of, classifier_learns=False)),
                    list(modules.values()),
                    run.path,
                )
            with compute.autocast(keeper.precision):
                losses = losses_of(classifier_learns=learns)
            (losses["loss"] / config.step.accumulate).backward()  # type: ignore[no-untyped-call]
            keeper.heard(losses, source.n_crops + target.n_crops)
            accuracies.append(losses["domain_accuracy"])
            if not source.ends_step:
                continue
            average_gradients(learning, world)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            # ---- log, validate, save ------------------------------------------
            step = source.step + 1
            heard = bounds_db(snr(source.step))
            keeper.stepped(step, {"lambda_alpha": weight, **heard, **learning_rates(stage)})
            if keeper.validates(step):
                warn_of_overshoot(accuracies, 2 * stage.batch_size, step)
                with keeper.validation(step):
                    found = validation(
                        encoder,
                        predictor,
                        device=device,
                        prepare=prepare,
                        autocast=lambda: compute.autocast(keeper.precision),
                    )
                keeper.validated(step, found[f"auc_{stage.select}"], found)


def set_learning(classifier: nn.Module, learns: bool, world: World) -> None:
    """Let the classifier learn, or freeze it; a frozen one is the same on all ranks."""
    if learns == any(parameter.requires_grad for parameter in classifier.parameters()):
        return
    if learns:
        unfreeze(classifier)
    else:
        average_buffers([classifier], world)
        freeze(classifier)


def refreshes(step: int, config: TagConfig) -> bool:
    """Tell whether a frozen classifier learns beside at this step."""
    return config.refresh_every > 0 and step % config.refresh_every < config.refresh_steps


def tagger_optimizer(nets: Networks, config: TagConfig) -> Optimizer:
    """Return Adam over the networks that learn.

    While the classifier is frozen its parameters have no gradient, and Adam passes them over.
    """
    groups: list[dict[str, Any]] = [
        {"params": list(nets.encoder.parameters()), "lr": config.lr * config.encoder_lr_scale},
        {"params": list(nets.predictor.parameters())},
    ]
    if not config.freeze or config.refresh_every:
        groups.append({"params": list(nets.domain.parameters())})
    return Adam(groups, lr=config.lr, fused=True)
