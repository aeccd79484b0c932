"""Stage 1: contrastive pretraining of the encoder.  L = NT-Xent(z_a, z_b).

Two crops of one excerpt, each augmented by CLMR's chain, are pulled together and pushed from all
others of the step (CLMR, Spijkervet & Burgoyne 2021, arXiv:2103.09410; METHOD.md 2). Half of the
songs are heard clean, half under noise (thesis section 4.2). The projector is used here only:
everything downstream reads the encoder's h.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import cast

import torch
from torch.optim import Adam

from manifests.errors import UsageError
from manifests.rows import SOURCE, TARGET
from trainer.augment import CLMR, AugmentationChain
from trainer.compute import Compute, prepared
from trainer.config import EncoderConfig, ModelConfig, TrainConfig
from trainer.data import Batch, Loader, Part, make_part
from trainer.data.batches import by_step
from trainer.data.reading import CONTRASTIVE_CLEAN, CONTRASTIVE_NOISY, UNLABELLED_PAIR
from trainer.gather import gather_with_gradient
from trainer.gradient_cache import backward_in_parts
from trainer.keeper import Keeper
from trainer.loaders import open_loader, open_validation_loader
from trainer.losses import nt_xent
from trainer.models.backbone import Backbone
from trainer.models.heads import Projector
from trainer.models.registry import new_encoder as new_encoder
from trainer.roles import Roles
from trainer.runs.checkpoint import TrainingState
from trainer.runs.distributed import average_gradients, broadcast_modules
from trainer.runs.folder import RunFolder
from trainer.runs.seeding import step_generator
from trainer.snr_schedule import bounds_db, heard_as, whole_range
from trainer.sync_batchnorm import with_batchnorm

VALID_BATCHES = 8


def encoder_parts(roles: Roles, config: TrainConfig) -> list[Part]:
    """Return the source half, heard clean, and the target half, heard noisy.

    Across domains both halves are heard as pairs; of the training set itself, where there is no
    pretraining set, the source half alone, as its target half must not be heard clean.
    """
    shard_set = roles.open(roles.pretrain("train"))
    noisy = heard_as(CONTRASTIVE_NOISY, config.snr, shard_set.index.snrs_db)
    readings = (CONTRASTIVE_CLEAN, noisy)
    if config.encoder.cross_domain:
        readings = (UNLABELLED_PAIR, UNLABELLED_PAIR)
    halves = dict(zip((SOURCE, TARGET), readings, strict=True))
    if hears_source_alone(roles, config):
        del halves[TARGET]
    return [make_part(shard_set, reading, domain=half) for half, reading in halves.items()]


def hears_source_alone(roles: Roles, config: TrainConfig) -> bool:
    """Tell whether stage 1 leaves the target half closed."""
    return config.encoder.cross_domain and "pretrain-train" not in roles


def projections(
    encoder: Callable[[torch.Tensor], torch.Tensor], projector: Projector, audio: torch.Tensor
) -> torch.Tensor:
    """Project both views of a batch, (2B, 1, T), in one forward: (2B, D)."""
    return cast(torch.Tensor, projector(encoder(audio)))


def contrastive_loss(projected: Sequence[torch.Tensor], config: EncoderConfig) -> torch.Tensor:
    """Return NT-Xent over all batches of a step and all ranks.

    Args:
        projected: of each batch (2B, D), the first views and then the second ones.
        config: temperature.
    """
    z_a, z_b = (torch.cat(z) for z in zip(*(z.chunk(2) for z in projected), strict=True))
    return nt_xent(z_a, z_b, config.temperature, gather_with_gradient)


def train_encoder(config: TrainConfig, roles: Roles, run: RunFolder, compute: Compute) -> None:
    """Pretrain the encoder; its best checkpoint has the lowest NT-Xent on both domains.

    Args:
        config: the run's config; ``config.encoder`` is this stage's.
        roles: sets by role: ``pretrain-train`` and ``pretrain-valid``, or ``train`` and ``valid``.
        run: the stage's folder.
        compute: device, ranks, precision.

    Raises:
        UsageError: too few examples for a batch, or sets without halves.
        ManifestError: a set is damaged.
    """
    stage, world, device = config.encoder, compute.world, compute.device
    # ---- data ------------------------------------------------------------------
    loader = open_loader(encoder_parts(roles, config), stage.batch_size, config, compute)
    n_steps = stage.epochs * loader.steps_per_epoch
    validation = ContrastiveValidation(roles, config, compute)
    # ---- networks --------------------------------------------------------------
    torch.manual_seed(config.seed)
    encoder = with_batchnorm(new_encoder(config.model).to(device), config.step, world)
    projector = Projector(encoder.n_features).to(device)
    broadcast_modules([encoder, projector], world)
    parameters = [*encoder.parameters(), *projector.parameters()]
    optimizer = Adam(parameters, lr=stage.lr, fused=True)
    views = ContrastiveViews(config.model, stage, config.seed, compute)
    forward = compute.compiled(encoder)
    # ---- train -----------------------------------------------------------------
    keeper = Keeper(
        run=run,
        stage="encoder",
        state=TrainingState({"encoder": encoder, "projector": projector}, {"adam": optimizer}),
        n_steps=n_steps,
        world=world,
        card=encoder_card(config),
        loaders={"train": loader.fingerprint},
        validations=stage.validations,
    )

    def embed(part: tuple[int, torch.Tensor]) -> torch.Tensor:
        number, audio = part
        compute.seed_batch(config.seed, number)
        with compute.autocast(keeper.precision):
            return projections(forward, projector, audio)

    loss_of = partial(contrastive_loss, config=stage)
    with keeper.open():
        if keeper.done:
            return
        first = keeper.first_step
        snr = whole_range(config.snr)
        for batches in keeper.awaited(by_step(loader.batches(first, n_steps - first, snr=snr))):
            parts = [(batch.number, torch.cat(views(batch))) for batch in batches]
            if not keeper.precision:
                project = partial(projections, forward, projector, parts[0][1])
                keeper.precision = compute.precision_of(
                    partial(alone, project, loss_of), [encoder, projector], run.path
                )
            optimizer.zero_grad(set_to_none=True)
            loss = backward_in_parts(parts, embed, loss_of, [encoder, projector])
            average_gradients(parameters, world)
            optimizer.step()
            # ---- log, validate, save ------------------------------------------
            step = batches[0].step + 1
            keeper.heard({"loss": loss}, sum(batch.n_crops for batch in batches))
            keeper.stepped(step, {"lr": stage.lr, **bounds_db(snr)})
            if keeper.validates(step):
                with keeper.validation(step):
                    found = validation(encoder, projector, views)
                keeper.validated(step, -found["nt_xent"], found)


def alone(
    project: Callable[[], torch.Tensor], loss_of: Callable[[list[torch.Tensor]], torch.Tensor]
) -> torch.Tensor:
    """Return the loss of one batch by itself, to time the precisions by."""
    return loss_of([project()])


def encoder_card(config: TrainConfig) -> dict[str, object]:
    """Return what a checkpoint must say for its encoder to be built again."""
    return {"model": dict(vars(config.model)), "seed": config.seed}


class ContrastiveViews:
    """The two views of a batch as the encoder hears them: augmented, then levelled.

    Draws come from a generator per batch, so a resumed stage hears the same views.
    """

    def __init__(
        self, model: ModelConfig, config: EncoderConfig, seed: int, compute: Compute
    ) -> None:
        self._prepare = prepared(model)
        self._chain = AugmentationChain(CLMR) if config.augment else None
        self._seed, self._compute = seed, compute

    def __call__(self, batch: Batch, purpose: str = "augment") -> tuple[torch.Tensor, torch.Tensor]:
        """Return both views, (B, 1, T) each, on the device."""
        rank = self._compute.world.rank
        generator = step_generator(self._seed, purpose, batch.number, rank=rank)
        a, b = (self._view(view.audio.to(self._compute.device), generator) for view in batch.views)
        return a, b

    def _view(self, audio: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        if self._chain is not None:
            audio = self._chain(audio, generator)
        return self._prepare(audio)


class ContrastiveValidation:
    """NT-Xent of the validation excerpts, clean and noisy apart; the same views every time."""

    def __init__(self, roles: Roles, config: TrainConfig, compute: Compute) -> None:
        shard_set = roles.open(roles.pretrain("valid"))
        self._snr = whole_range(config.snr)
        noisy = heard_as(CONTRASTIVE_NOISY, config.snr, shard_set.index.snrs_db)
        readings = {"clean": CONTRASTIVE_CLEAN, "noisy": noisy}
        self._loaders = {
            name: self._loader(make_part(shard_set, reading), config, compute)
            for name, reading in readings.items()
        }
        self._temperature = config.encoder.temperature

    @staticmethod
    def _loader(part: Part, config: TrainConfig, compute: Compute) -> Loader:
        n_songs = len({ref.song for ref in part.refs})
        size = min(config.encoder.batch_size, n_songs)
        if size < 2:
            raise UsageError(
                f"{part.name}: expected at least two songs to tell apart, got {n_songs}; use a "
                "larger validation set"
            )
        loader = open_validation_loader(part, size, config, compute, snr_draw=config.snr.draw)
        loader.check_snr(whole_range(config.snr))
        return loader

    @torch.no_grad()
    def __call__(
        self, encoder: Backbone, projector: Projector, views: ContrastiveViews
    ) -> dict[str, float]:
        """Return the loss on clean, on noisy, and their mean; networks go back to train mode."""
        encoder.eval()
        projector.eval()
        figures = {}
        for name, loader in self._loaders.items():
            losses = []
            n_batches = min(loader.steps_per_epoch, VALID_BATCHES)
            for batch in loader.batches(0, n_batches, snr=self._snr):
                a, b = views(batch, f"validate {name}")
                z_a, z_b = projector(encoder(torch.cat([a, b]))).chunk(2)
                losses.append(float(nt_xent(z_a, z_b, self._temperature)))
            figures[f"nt_xent_{name}"] = sum(losses) / len(losses)
        encoder.train()
        projector.train()
        return figures | {"nt_xent": sum(figures.values()) / len(figures)}
