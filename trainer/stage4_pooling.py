"""Stage 4: attention pooling on bags of chunks.  L = BCE(sum w_k sigmoid(l_k) / sum w_k, tags).

It stands behind the finished tagger, whose encoder and label predictor are frozen in eval mode:
what is learnt is which chunks of a clip to listen to, for each tag (``trainer.models.pooling``).
The bags are the labelled audio that the method's own tag loss hears, as whole clips instead of
crops: nothing is opened here that the tagger's stage may not open. The attention begins as the
mean, which is validated before the first step; so the best checkpoint is never below it on the
validation set.
"""

from __future__ import annotations

import torch
from torch.nn import functional as F
from torch.optim import Adam

from manifests.errors import UsageError
from manifests.keys import CLEAN, noisy_name
from manifests.rows import SOURCE
from trainer.attention import POOLING
from trainer.bags import (
    BagBatch,
    bags_fingerprint,
    chosen_bags,
    encode_bags,
    steps_per_epoch,
)
from trainer.comparisons import readings
from trainer.compute import Compute
from trainer.config import SnrConfig, TrainConfig
from trainer.data import ExampleRef, Reading, View, make_part
from trainer.data.index import restrict
from trainer.data.lengths import check_chunks
from trainer.data.reading import LABELLED_CLEAN, LABELLED_PAIR
from trainer.keeper import Keeper
from trainer.models.freeze import freeze
from trainer.models.pooling import AttentionPooling, pooled
from trainer.models.registry import chunk_samples
from trainer.roles import Roles
from trainer.runs.checkpoint import TrainingState
from trainer.runs.distributed import World, average_gradients, broadcast_modules
from trainer.runs.folder import RunFolder
from trainer.student_audio import labelled_reading
from trainer.tag_stage import tagger_card
from trainer.tagger import Tagger, load_tagger
from trainer.validation import TagValidation

SCORED_AT_ONCE = 256
"""Bags of a batch in validation."""


def labelled_readings(config: TrainConfig) -> dict[str, Reading]:
    """Return what the tag loss of a method hears, by half; a half that is not named is not opened.

    Of pairs whose noisy half takes no tag loss only the clean one stays.
    """
    if config.method == "noisy-student":
        return {SOURCE: labelled_reading(config.student)}
    if config.method in ("dat", "consistency", "robust"):
        return {SOURCE: LABELLED_PAIR if config.tagger.labelled_noise else LABELLED_CLEAN}
    return readings(config)


def bag_members(reading: Reading, rungs_db: tuple[float, ...], snr: SnrConfig) -> tuple[str, ...]:
    """Return the members that are bags: whole clips are heard at stored SNRs only.

    Args:
        reading: what the tag loss hears.
        rungs_db: the SNRs that the set stores.
        snr: the SNRs that training hears.

    Raises:
        UsageError: noise is heard, but no stored SNR lies in that range.
    """
    views, members = set(reading.views), list[str]()
    if views & {View.CLEAN, View.EITHER}:
        members.append(CLEAN)
    if views & {View.NOISY, View.EITHER}:
        heard = [rung for rung in rungs_db if snr.low_db <= rung <= snr.high_db]
        if not heard:
            stored = ", ".join(f"{rung:g}" for rung in rungs_db)
            raise UsageError(
                f"--aggregate attention: expected a stored SNR from {snr.low_db:g} to "
                f"{snr.high_db:g} dB, got {stored} dB; bags are whole clips, which are not mixed "
                "anew: widen the range, or use --aggregate mean"
            )
        members += [noisy_name(rung) for rung in heard]
    return tuple(members)


def bag_refs(roles: Roles, config: TrainConfig, world: World) -> tuple[ExampleRef, ...]:
    """Return the clips whose bags are trained on, with the members that make them.

    Raises:
        UsageError: a half is missing, no stored SNR is heard, or there are too few bags.
        ManifestError: the set is damaged, or a clip is shorter than a chunk.
    """
    train, refs = roles.open("train"), list[ExampleRef]()
    for half, reading in labelled_readings(config).items():
        members = bag_members(reading, train.index.snrs_db, config.snr)
        own = restrict(make_part(train, reading, domain=half).refs, members)
        refs += own[: config.pooling.limit or None]
    check_chunks(refs, chunk_samples(config.model))
    steps_per_epoch(sum(len(ref.members) for ref in refs), config.pooling.batch_size, world)
    return tuple(refs)


def bag_loss(pooling: AttentionPooling, bags: BagBatch) -> torch.Tensor:
    """Return the binary cross entropy of the bags' probabilities, mean over tags and bags.

    The chunks' probabilities are given, so there is a gradient for the attention alone.
    """
    weights = pooling(bags.embeddings, bags.mask)  # (B, n_chunks, n_tags)
    return F.binary_cross_entropy(pooled(bags.probabilities, weights), bags.tags)


def train_pooling(
    config: TrainConfig, roles: Roles, tagger_run: RunFolder, run: RunFolder, compute: Compute
) -> None:
    """Train the attention; its best checkpoint holds the tagger too.

    Args:
        config: the run's config; ``config.pooling`` is this stage's.
        roles: sets by role: ``train`` and ``valid``.
        tagger_run: the run whose tagger it is.
        run: the stage's folder.
        compute: device, ranks.

    Raises:
        UsageError: too few bags for a batch, or no tagger.
        ManifestError: a set or the tagger's checkpoint is damaged.
    """
    stage, world, device = config.pooling, compute.world, compute.device
    # ---- data ------------------------------------------------------------------
    refs = bag_refs(roles, config, world)
    n_bags = sum(len(ref.members) for ref in refs)
    n_steps = stage.epochs * steps_per_epoch(n_bags, stage.batch_size, world)
    # ---- networks --------------------------------------------------------------
    tagger = load_tagger(tagger_run.path)
    encoder, predictor = freeze(tagger.encoder.to(device)), freeze(tagger.predictor.to(device))
    torch.manual_seed(config.seed)
    pooling = AttentionPooling(encoder.n_features, len(tagger.tags), stage.hidden).to(device)
    broadcast_modules([pooling], world)
    parameters = list(pooling.parameters())
    optimizer = Adam(parameters, lr=stage.lr, fused=True)
    # ---- train -----------------------------------------------------------------
    modules = {"encoder": encoder, "predictor": predictor, POOLING: pooling}
    keeper = Keeper(
        run=run,
        stage=POOLING,
        state=TrainingState(modules, {"adam": optimizer}),
        n_steps=n_steps,
        world=world,
        card={**tagger_card(config, roles, tagger.tags), POOLING: {"hidden": stage.hidden}},
        loaders={"bags": bags_fingerprint(refs)},
        validations=stage.validations,
        begins_with=tagger.sha256,
        precision="float32",
    )
    with keeper.open():
        if keeper.done:
            return
        bags = encode_bags(refs, tagger, compute)
        validation = BagValidation(roles, config, tagger, compute)
        if keeper.best is None:
            with keeper.validation(0):
                found = validation(pooling, device)
            keeper.validated(0, found[f"auc_{config.tagger.select}"], found)
        for step in range(keeper.first_step, n_steps):
            chosen = chosen_bags(n_bags, stage.batch_size, step, seed=config.seed, world=world)
            batch = bags.batch(chosen, device)
            loss = bag_loss(pooling, batch)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            average_gradients(parameters, world)
            optimizer.step()
            # ---- log, validate, save ------------------------------------------
            keeper.heard({"loss": loss}, len(chosen))
            keeper.stepped(step + 1, {"lr": stage.lr})
            if keeper.validates(step + 1):
                with keeper.validation(step + 1):
                    found = validation(pooling, device)
                keeper.validated(step + 1, found[f"auc_{config.tagger.select}"], found)


class BagValidation:
    """Macro AUC of pooled scores on the validation clips, which are encoded once."""

    def __init__(self, roles: Roles, config: TrainConfig, tagger: Tagger, compute: Compute) -> None:
        self._tags = TagValidation(
            roles.open("valid"), tagger.tags, limit=config.tagger.valid_limit
        )
        self._tags.check_lengths(tagger.encoder.chunk_samples)
        self._bags = encode_bags(self._tags.refs, tagger, compute)

    @torch.no_grad()
    def __call__(self, pooling: AttentionPooling, device: torch.device) -> dict[str, float]:
        """Return the figures of ``TagValidation``."""
        scores = []
        for some in torch.split(torch.arange(len(self._bags)), SCORED_AT_ONCE):
            batch = self._bags.batch(some, device)
            weights = pooling(batch.embeddings, batch.mask)
            scores.append(pooled(batch.probabilities.double(), weights.double()).cpu())
        # bags follow each other clip by clip, every clip with all members in one order
        members = [member.name for member in self._tags.refs[0].members]
        by_clip = torch.cat(scores).view(-1, len(members), len(self._tags.tags)).numpy()
        return self._tags.figures(
            {member: by_clip[:, column] for column, member in enumerate(members)}
        )
