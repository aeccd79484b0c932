"""Stage 2: the domain classifier learns clean from noisy on the frozen encoder.

L = BCE(source, 0) + BCE(target, 1). The encoder is frozen in eval mode: were it left in train mode
its BatchNorm statistics would drift though no parameter moves (METHOD.md section 4, pitfall 2).
Both halves go through the classifier in one concatenated batch (pitfall 4).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.optim import Adam

from manifests.rows import SOURCE, TARGET
from trainer.compute import Compute, prepared
from trainer.config import DomainConfig, TrainConfig
from trainer.data import Loader, Part, SnrRange, make_part
from trainer.data.reading import UNLABELLED_CLEAN, UNLABELLED_NOISY
from trainer.keeper import Keeper
from trainer.loaders import open_loaders, open_validation_loader
from trainer.losses import domain_loss
from trainer.metrics import balanced_domain_accuracy
from trainer.models.backbone import Backbone
from trainer.models.freeze import freeze
from trainer.models.heads import DomainClassifier
from trainer.models.registry import new_encoder
from trainer.roles import Roles
from trainer.runs.checkpoint import TrainingState
from trainer.runs.distributed import average_gradients, broadcast_modules
from trainer.runs.folder import RunFolder
from trainer.runs.restore import load_weights
from trainer.snr_schedule import bounds_db, easy_to_hard, heard_as
from trainer.stage1_encoder import encoder_card
from trainer.sync_batchnorm import with_batchnorm
from trainer.weights import find_stage, weights_sha256


def train_domain(
    config: TrainConfig, roles: Roles, encoder_from: Path, run: RunFolder, compute: Compute
) -> None:
    """Train the domain classifier; its best checkpoint has the highest balanced accuracy.

    Args:
        config: the run's config; ``config.domain`` is this stage's.
        roles: sets by role: ``train`` and ``valid``.
        encoder_from: run or checkpoint of stage 1.
        run: the stage's folder.
        compute: device, ranks, precision.

    Raises:
        UsageError: too few examples for a batch, sets without halves, or no encoder.
        ManifestError: a set is damaged.
    """
    stage, world, device = config.domain, compute.world, compute.device
    # ---- data ------------------------------------------------------------------
    loaders = open_loaders(domain_parts(roles, config), stage.batch_size, config, compute)
    steps_per_epoch = loaders[SOURCE].steps_per_epoch
    n_steps = stage.epochs * steps_per_epoch
    snr = easy_to_hard(config.snr, steps_per_epoch, easy="low")
    validation = DomainValidation(roles, config, compute)
    # ---- networks --------------------------------------------------------------
    torch.manual_seed(config.seed)
    encoder = new_encoder(config.model).to(device)
    checkpoint = find_stage(encoder_from, "encoder", config.model)
    load_weights(checkpoint, "encoder", encoder)
    freeze(encoder)
    classifier = new_classifier(encoder.n_features, stage).to(device)
    classifier = with_batchnorm(classifier, config.step, world)
    broadcast_modules([encoder, classifier], world)
    parameters = list(classifier.parameters())
    optimizer = Adam(parameters, lr=stage.lr, fused=True)
    prepare = prepared(config.model)
    # ---- train -----------------------------------------------------------------
    keeper = Keeper(
        run=run,
        stage="domain",
        state=TrainingState({"encoder": encoder, "domain": classifier}, {"adam": optimizer}),
        n_steps=n_steps,
        world=world,
        card=encoder_card(config),
        loaders={domain: loader.fingerprint for domain, loader in loaders.items()},
        validations=stage.validations,
        begins_with=weights_sha256(checkpoint),
    )
    with keeper.open():
        if keeper.done:
            return
        first = keeper.first_step
        batches = (loader.batches(first, n_steps - first, snr=snr) for loader in loaders.values())
        for source, target in keeper.awaited(zip(*batches, strict=True)):
            compute.seed_batch(config.seed, source.number)
            audio = torch.cat([source.audio, target.audio]).to(device)
            with torch.no_grad():
                h = encoder(prepare(audio))  # (2B, 1, T) -> (2B, D)
            logits = classifier(h)
            loss = domain_loss(logits[: len(source)], logits[len(source) :])
            (loss / config.step.accumulate).backward()  # type: ignore[no-untyped-call]
            accuracy = domain_accuracy(logits.detach(), len(source))
            keeper.heard({"loss": loss, "domain_accuracy": accuracy}, len(source) + len(target))
            if not source.ends_step:
                continue
            average_gradients(parameters, world)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            # ---- log, validate, save ------------------------------------------
            step = source.step + 1
            keeper.stepped(step, {**bounds_db(snr(source.step)), "lr": stage.lr})
            if keeper.validates(step):
                with keeper.validation(step):
                    found = validation(encoder, classifier, prepare, device)
                keeper.validated(step, found["accuracy"], found)


def domain_parts(roles: Roles, config: TrainConfig) -> dict[str, list[Part]]:
    """Return what is read of each half: clean source, noisy target, tags of neither."""
    train = roles.open("train")
    noisy = heard_as(UNLABELLED_NOISY, config.snr, train.index.snrs_db)
    return {
        SOURCE: [make_part(train, UNLABELLED_CLEAN, domain=SOURCE)],
        TARGET: [make_part(train, noisy, domain=TARGET)],
    }


def new_classifier(n_features: int, config: DomainConfig) -> DomainClassifier:
    """Return a domain classifier as the config says, freshly initialised."""
    return DomainClassifier(n_features, config.hidden, config.dropout, config.batchnorm)


def domain_accuracy(logits: torch.Tensor, n_source: int) -> torch.Tensor:
    """Return the balanced accuracy of domain logits (B,), the first ``n_source`` being clean."""
    right_source = (logits[:n_source] < 0).float().mean()
    right_target = (logits[n_source:] >= 0).float().mean()
    return (right_source + right_target) / 2


class DomainValidation:
    """Balanced accuracy on validation clips, clean against each of a few SNRs."""

    def __init__(self, roles: Roles, config: TrainConfig, compute: Compute) -> None:
        shard_set = roles.open("valid")
        rungs = shard_set.index.snrs_db
        self._snrs = [SnrRange(s, s) for s in rungs]
        noisy = heard_as(UNLABELLED_NOISY, config.snr, rungs)
        self._clean = self._loader(make_part(shard_set, UNLABELLED_CLEAN), config, compute)
        self._noisy = self._loader(make_part(shard_set, noisy), config, compute)

    @staticmethod
    def _loader(part: Part, config: TrainConfig, compute: Compute) -> Loader:
        n_songs = len({ref.song for ref in part.refs})
        size = min(config.domain.batch_size, n_songs)
        return open_validation_loader(part, size, config, compute, snr_draw="stored")

    @torch.no_grad()
    def __call__(
        self,
        encoder: Backbone,
        classifier: nn.Module,
        prepare: Callable[[torch.Tensor], torch.Tensor],
        device: torch.device,
    ) -> dict[str, float]:
        """Return the accuracy at each SNR and their mean; both networks go back to train mode."""
        encoder.eval()
        classifier.eval()

        def logits(loader: Loader, snr: SnrRange | None) -> list[float]:
            found: list[float] = []
            for batch in loader.batches(0, loader.steps_per_epoch, snr=snr):
                found += classifier(encoder(prepare(batch.audio.to(device)))).cpu().tolist()
            return found

        clean = logits(self._clean, None)
        figures = {}
        for snr in self._snrs:
            noisy = logits(self._noisy, snr)
            probabilities = 1 / (1 + np.exp(-np.array([*clean, *noisy])))
            is_noisy = np.array([False] * len(clean) + [True] * len(noisy))
            accuracy = balanced_domain_accuracy(probabilities, is_noisy)
            figures[f"accuracy_snr_{snr.low_db:g}"] = float(accuracy)
        encoder.train()
        classifier.train()
        return figures | {"accuracy": sum(figures.values()) / len(figures)}
