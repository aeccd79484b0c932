"""Stage 1: what it hears, its views, its validation."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tiny_suite import COMPARISON, DAT, run_well, values

from trainer.compute import Compute
from trainer.config import EncoderConfig, ModelConfig, SystemConfig, TrainConfig
from trainer.data import Batch
from trainer.loaders import open_loader
from trainer.losses import nt_xent
from trainer.models.heads import Projector
from trainer.roles import Roles, open_roles
from trainer.runs.checkpoint import load_checkpoint
from trainer.runs.distributed import World
from trainer.stage1_encoder import (
    ContrastiveValidation,
    ContrastiveViews,
    contrastive_loss,
    encoder_parts,
    new_encoder,
    projections,
)

CONFIG = TrainConfig(
    model=ModelConfig(width=0.03), encoder=EncoderConfig(batch_size=4, augment=False)
)


def compute(rank: int = 0, size: int = 1) -> Compute:
    return Compute(torch.device("cpu"), World(rank, size), SystemConfig(workers=0))


@pytest.fixture
def roles(suite: Path) -> Roles:
    return open_roles(str(suite))


def first_batch(roles: Roles, config: TrainConfig) -> Batch:
    loader = open_loader(encoder_parts(roles, config), 4, config, compute())
    return next(iter(loader.batches(0, 1)))


def test_half_of_the_songs_are_heard_clean_half_noisy(roles: Roles) -> None:
    loader = open_loader(encoder_parts(roles, CONFIG), 4, CONFIG, compute())
    songs: dict[bool, set[str]] = {False: set(), True: set()}
    for batch in loader.batches(0, 4):
        a, b = batch.views
        assert torch.equal(a.is_noisy, b.is_noisy), "both views are of one version"
        assert torch.equal(a.snr_db.nan_to_num(99), b.snr_db.nan_to_num(99)), "and of one SNR"
        assert not torch.equal(a.audio, b.audio), "two crops"
        for song, noisy in zip(batch.songs, a.is_noisy.tolist(), strict=True):
            songs[noisy].add(song)
    assert len(songs[False]) == len(songs[True]) == 4 and not songs[False] & songs[True]


def test_cross_domain_pairs_are_clean_and_noisy_of_one_crop(roles: Roles) -> None:
    config = replace(CONFIG, encoder=replace(CONFIG.encoder, cross_domain=True))
    clean, noisy = first_batch(roles, config).views
    assert not clean.is_noisy.any() and noisy.is_noisy.all()


def test_pairs_across_domains_leave_the_training_sets_targets_closed(
    suite: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = replace(CONFIG, encoder=replace(CONFIG.encoder, cross_domain=True))
    own = Roles({role: str(suite / role) for role in ("train", "valid")})
    halves = [{ref.domain for ref in part.refs} for part in encoder_parts(own, config)]
    assert halves == [{"source"}]
    assert len(encoder_parts(open_roles(str(suite)), config)) == 2, "of a pretraining set both"
    sets = [o for role in own.urls for o in ("--set", f"{role}={own.urls[role]}")]
    run_well("baseline", *sets, "--out", tmp_path / "run", *COMPARISON, "--cross-domain",
             "--encoder-epochs", "1")  # fmt: skip
    assert "it learns from train's source half alone (--cross-domain must not hear" in caplog.text


def test_views_depend_on_step_and_rank_alone(roles: Roles) -> None:
    augmented = replace(CONFIG.encoder, augment=True)
    batch = first_batch(roles, CONFIG)
    views = [
        ContrastiveViews(CONFIG.model, augmented, 0, compute(rank, 2))(b)
        for rank, b in ((0, batch), (0, batch), (1, batch), (0, replace(batch, number=1)))
    ]
    assert all(torch.equal(x, y) for x, y in zip(views[0], views[1], strict=True))
    assert not torch.equal(views[0][0], views[2][0]) and not torch.equal(views[0][0], views[3][0])
    rms = views[0][0].square().mean(dim=(1, 2)).sqrt()
    torch.testing.assert_close(rms, torch.full((4,), 0.1), atol=1e-4, rtol=0)


def test_without_augmentation_views_are_the_crops(roles: Roles) -> None:
    batch = first_batch(roles, CONFIG)
    asis = replace(CONFIG.model, input_level="asis")
    a, b = ContrastiveViews(asis, CONFIG.encoder, 0, compute())(batch)
    assert torch.equal(a, batch.views[0].audio) and torch.equal(b, batch.views[1].audio)


def test_the_loss_is_nt_xent_of_one_concatenated_forward() -> None:
    """Both views share the statistics of BatchNorm, as in CLMR."""
    torch.manual_seed(0)
    calls = []

    def encoder(audio: torch.Tensor) -> torch.Tensor:
        calls.append(len(audio))
        h = audio.mean(dim=2, keepdim=False).repeat(1, 6) * torch.arange(1.0, 7.0)
        return h - h.mean(dim=0)

    a, b, projector = torch.randn(5, 1, 9), torch.randn(5, 1, 9), Projector(6, 4)
    loss = contrastive_loss(
        [projections(encoder, projector, torch.cat([a, b]))], EncoderConfig(temperature=0.3)
    )
    z = projector(encoder(torch.cat([a, b])))
    torch.testing.assert_close(loss, nt_xent(z[:5], z[5:], 0.3))
    assert calls == [10, 10]


def test_validation_is_the_same_every_time_and_leaves_train_mode(roles: Roles) -> None:
    config = replace(CONFIG, encoder=replace(CONFIG.encoder, augment=True))
    torch.manual_seed(0)
    encoder, projector = new_encoder(config.model), Projector(15)
    views = ContrastiveViews(config.model, config.encoder, 0, compute())
    validation = ContrastiveValidation(roles, config, compute())
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    first = validation(encoder, projector, views)
    assert first == validation(encoder, projector, views)
    mean = (first["nt_xent_clean"] + first["nt_xent_noisy"]) / 2
    assert first.keys() == {"nt_xent", "nt_xent_clean", "nt_xent_noisy"}
    assert first["nt_xent"] == pytest.approx(mean)
    assert encoder.training and projector.training
    for name, value in encoder.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_the_best_checkpoint_has_the_lowest_loss(suite: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    run_well(
        "dat", "--stage", 1, "--shards", suite, "--out", out, *DAT,
        "--encoder-validations", 4, "--encoder-lr", "3e-2",
    )  # fmt: skip
    scores = values(out / "encoder", "valid/score")
    assert scores == [-loss for loss in values(out / "encoder", "valid/nt_xent")]
    best = load_checkpoint(out / "encoder" / "checkpoints" / "best").progress
    assert best["step"] == 1 + scores.index(max(scores)) and best["best"] == max(scores)


@pytest.mark.slow
def test_it_learns_to_tell_songs_apart(suite: Path, tmp_path: Path) -> None:
    """Chance is log(7) = 1.95 for four pairs of a batch; augmented as CLMR does."""
    out = tmp_path / "run"
    options = [option for option in DAT if option != "--no-augment"]
    run_well(
        "dat", "--stage", 1, "--shards", suite, "--out", out, *options,
        "--encoder-epochs", 150, "--encoder-lr", "3e-3", "--width", 0.06,
    )  # fmt: skip
    losses = values(out / "encoder", "train/loss")
    assert sum(losses[-10:]) / 10 < 1.7 < losses[0]
