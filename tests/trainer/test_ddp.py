"""Two gloo processes train as one process does that runs both half-batches after each other."""

from __future__ import annotations

import copy
import itertools
import logging
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_ranks import LOG_ALL, free_port, run_ranks
from tiny_sets import write_set
from tiny_suite import COMPARISON, DAT, RUNGS_DB, SAMPLES, values, weights
from torch import nn

from trainer.comparisons import comparison_losses, comparison_parts
from trainer.compute import Compute, prepared
from trainer.config import ModelConfig, SystemConfig, TagConfig, TrainConfig
from trainer.data import Batch, Loader
from trainer.loaders import open_loader
from trainer.losses import nt_xent
from trainer.models.freeze import freeze
from trainer.models.heads import DomainClassifier, LabelPredictor, Projector
from trainer.models.samplecnn import SampleCNN
from trainer.roles import Roles, open_roles
from trainer.runs.checkpoint import load_checkpoint
from trainer.runs.distributed import World
from trainer.runs.restore import load_weights
from trainer.schedule import dann_alpha
from trainer.stage1_encoder import encoder_parts
from trainer.stage3_dat import Networks, dat_losses, dat_parts

N_STEPS, WIDTH, BATCH = 20, 0.03, 4
DOUBLE = f"""{LOG_ALL}
import torch
import trainer.compute as compute
torch.set_default_dtype(torch.float64)
prepared = compute.prepared
compute.prepared = lambda model: lambda audio: prepared(model)(audio).double()
"""
"""In float32 the two would differ by 1e-3 after twenty steps, as would one process that began one
bit off: Adam and BatchNorm enlarge rounding errors."""

HALF_BATCH = (
    "--encoder-batch-size", str(BATCH), "--batch-size", str(BATCH),
    "--encoder-epochs", "5", "--epochs", "10", "--encoder-lr", "3e-4", "--lr", "3e-4",
)  # fmt: skip
MODEL = ModelConfig(width=WIDTH, input_level="rms")


@pytest.fixture
def double() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A set with 16 songs in each half: two steps an epoch of two ranks."""
    folder = tmp_path_factory.mktemp("large")
    write_set(str(folder), n_songs=32, excerpts=1, n_samples=SAMPLES, snrs_db=RUNGS_DB, codec="wav")
    return folder


def computes() -> list[Compute]:
    """What each of two ranks sees, without any other process."""
    system = SystemConfig(workers=0)
    return [Compute(torch.device("cpu"), World(rank, 2), system) for rank in range(2)]


def halves(loaders: Sequence[Loader]) -> Iterator[tuple[Batch, ...]]:
    return zip(*(loader.batches(0, N_STEPS) for loader in loaders), strict=True)


class OwnStatistics:
    """One network whose BatchNorm keeps running statistics for each half-batch."""

    def __init__(self, module: nn.Module) -> None:
        self.parts = {f"{name}.": p for name, p in module.named_modules() if p._buffers}
        self.buffers = [
            {name: copy.deepcopy(dict(part._buffers)) for name, part in self.parts.items()}
            for _ in range(2)
        ]

    def use(self, rank: int) -> None:
        """Put the statistics of a half-batch into the network."""
        for name, part in self.parts.items():
            part._buffers.update(self.buffers[rank][name])

    def means(self) -> dict[str, torch.Tensor]:
        first, second = self.buffers
        return {
            f"{name}{k}": (first[name][k] + second[name][k]) / 2
            for name, part in self.parts.items()
            for k in part._buffers
            if k.startswith("running")
        }


def reference_stage_1(roles: Roles) -> tuple[list[float], SampleCNN, OwnStatistics]:
    config = TrainConfig(model=MODEL)
    loaders = [open_loader(encoder_parts(roles, config), BATCH, config, c) for c in computes()]
    torch.manual_seed(0)
    encoder, projector = SampleCNN(WIDTH), Projector(round(WIDTH * 512))
    optimizer = torch.optim.Adam([*encoder.parameters(), *projector.parameters()], lr=3e-4)
    prepare, statistics, losses = prepared(MODEL), OwnStatistics(encoder), []
    for batches in halves(loaders):
        projections = []
        for rank, batch in enumerate(batches):
            statistics.use(rank)
            views = torch.cat([prepare(view.audio).double() for view in batch.views])
            projections.append(projector(encoder(views)).chunk(2))
        z_a, z_b = (torch.cat(views) for views in zip(*projections, strict=True))
        loss = nt_xent(z_a, z_b, 0.5)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses, encoder, statistics


def reference_stage_3(roles: Roles, init: Path) -> tuple[dict[str, list[float]], Networks]:
    config = TrainConfig(model=MODEL, tagger=TagConfig(batch_size=BATCH, epochs=10))
    loaders = [
        open_loader(dat_parts(roles, config)[half], BATCH, config, compute)
        for compute, half in itertools.product(computes(), ("source", "target"))
    ]
    torch.manual_seed(0)
    encoder = SampleCNN(WIDTH)
    predictor = LabelPredictor(encoder.n_features, 4)
    domain = freeze(DomainClassifier(encoder.n_features))
    checkpoint = load_checkpoint(init / "domain/checkpoints/best")
    load_weights(checkpoint, "encoder", encoder)
    load_weights(checkpoint, "domain", domain)
    nets, statistics = Networks(encoder, predictor, domain), OwnStatistics(encoder)
    optimizer = torch.optim.Adam([*encoder.parameters(), *predictor.parameters()], lr=3e-4)
    prepare = prepared(MODEL)
    logged: dict[str, list[float]] = {"loss": [], "tag": [], "domain": [], "domain_accuracy": []}
    for step, batches in enumerate(halves(loaders)):
        found = []
        for rank, (source, target) in enumerate((batches[:2], batches[2:])):
            statistics.use(rank)
            assert source.tags is not None
            heard = [prepare(half.audio).double() for half in (source, target)]
            weight = 0.05 * dann_alpha(step / N_STEPS)
            losses = partial(dat_losses, nets, (heard[0],), source.tags, heard[1])
            found.append(losses(config.tagger, weight, classifier_learns=False))
        optimizer.zero_grad()
        ((found[0]["loss"] + found[1]["loss"]) / 2).backward()
        optimizer.step()
        for name, row in logged.items():
            row.append(((found[0][name] + found[1][name]) / 2).item())
    return logged, nets


def reference_baseline(roles: Roles, stage_1: Path) -> tuple[list[float], nn.ModuleDict]:
    config = TrainConfig(
        method="baseline", model=MODEL, tagger=TagConfig(batch_size=BATCH, epochs=10)
    )
    loaders = [
        open_loader(comparison_parts(roles, config)["source"], BATCH, config, compute)
        for compute in computes()
    ]
    torch.manual_seed(0)
    encoder = SampleCNN(WIDTH)
    predictor = LabelPredictor(encoder.n_features, 4)
    load_weights(load_checkpoint(stage_1 / "encoder/checkpoints/best"), "encoder", encoder)
    nets = nn.ModuleDict({"encoder": encoder, "predictor": predictor})
    statistics, prepare, logged = OwnStatistics(encoder), prepared(MODEL), list[float]()
    optimizer = torch.optim.Adam(nets.parameters(), lr=3e-4)
    for batches in halves(loaders):
        losses = []
        for rank, batch in enumerate(batches):
            statistics.use(rank)
            audio = (prepare(batch.audio).double(),)
            found = comparison_losses(encoder, predictor, [audio], [batch.tags], config.tagger)
            losses.append(found["loss"])
        optimizer.zero_grad()
        (sum(losses) / 2).backward()
        optimizer.step()
        logged.append(sum(loss.item() for loss in losses) / 2)
    return logged, nets


@pytest.fixture(scope="module")
def trained(
    suite: Path, large: Path, dat_run: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """What two processes trained: stage 1 in ``1``, and on another run's earlier stages stage 3
    in ``3`` and a baseline in ``baseline``.

    One after the other in the same processes, for starting them takes longer than training.
    """
    folder = tmp_path_factory.mktemp("ranks")
    ports = [free_port() for _ in range(3)]
    in_turn = f"""{DOUBLE}
import os, sys
from trainer.cli import train
commands = ' '.join(sys.argv[1:]).split(' THEN ')
for port, command in zip({ports}, commands):
    os.environ['MASTER_PORT'] = str(port)
    train(command.split(), standalone_mode=False)
sys.exit()
"""
    shared = ("--shards", suite, *HALF_BATCH)
    first = ("dat", "--stage", 1, "--set", f"pretrain-train={large}", *DAT)
    second = ("dat", "--stage", 3, "--init", dat_run, "--set", f"train={large}", *DAT)
    third = ("baseline", "--encoder", dat_run, "--set", f"train={large}", *COMPARISON)
    outs = [folder / name for name in ("1", "3", "baseline")]
    commands = [
        (*c, *shared, "--out", o) for c, o in zip((first, second, third), outs, strict=True)
    ]
    outputs = run_ranks((*commands[0], "THEN", *commands[1], "THEN", *commands[2]), in_turn)
    for out in outs:
        assert [f": {out}" in output for output in outputs] == [True, False], "rank 0 speaks"
    return folder


@pytest.mark.usefixtures("double")
def test_stage_1_of_two_processes(suite: Path, large: Path, trained: Path) -> None:
    roles = open_roles(str(suite), (f"pretrain-train={large}",))
    losses, encoder, statistics = reference_stage_1(roles)
    found = values(trained / "1" / "encoder", "train/loss")
    assert len(found) == N_STEPS and np.ptp(losses) > 0.1
    np.testing.assert_allclose(found, losses, atol=1e-5)
    saved = weights(trained / "1/encoder/checkpoints/last")
    for name, value in (*encoder.named_parameters(), *statistics.means().items()):
        torch.testing.assert_close(saved[f"encoder/{name}"], value, atol=1e-6, rtol=1e-4)


@pytest.mark.usefixtures("double")
def test_stage_3_of_two_processes(suite: Path, large: Path, dat_run: Path, trained: Path) -> None:
    logged, nets = reference_stage_3(open_roles(str(suite), (f"train={large}",)), dat_run)
    for name, expected in logged.items():
        found = values(trained / "3", f"train/{name}")
        np.testing.assert_allclose(found, expected, atol=1e-5, err_msg=name)
    saved = weights(trained / "3/checkpoints/last")
    for part in ("encoder", "predictor"):
        for name, value in getattr(nets, part).named_parameters():
            torch.testing.assert_close(saved[f"{part}/{name}"], value, atol=1e-6, rtol=1e-4)
    for name, value in nets.domain.state_dict().items():
        assert torch.equal(saved[f"domain/{name}"], value), "the frozen classifier does not move"


@pytest.mark.usefixtures("double")
def test_a_baseline_of_two_processes(
    suite: Path, large: Path, dat_run: Path, trained: Path
) -> None:
    losses, nets = reference_baseline(open_roles(str(suite), (f"train={large}",)), dat_run)
    found = values(trained / "baseline", "train/loss")
    assert len(found) == N_STEPS and np.ptp(losses) > 0.01
    np.testing.assert_allclose(found, losses, atol=1e-5)
    saved = weights(trained / "baseline/checkpoints/last")
    for name, value in nets.named_parameters():
        key = name.replace(".", "/", 1)
        torch.testing.assert_close(saved[key], value, atol=1e-6, rtol=1e-4)


def test_every_example_is_seen_once_an_epoch(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """But for what the log says is left over: one by the ranks, and what fills no batch."""
    write_set(str(tmp_path), n_songs=22, excerpts=1, n_samples=SAMPLES, codec="wav")
    config, roles = TrainConfig(model=MODEL), open_roles(str(tmp_path))
    with caplog.at_level(logging.INFO, "trainer.data.plan"):
        parts = dat_parts(roles, config)["source"]
        loaders = [open_loader(parts, 2, config, compute) for compute in computes()]
    assert "11 examples, 2 steps a pass of 2 × 2; left over each pass: 1 by the ranks, 2 in" in (
        caplog.text
    )
    unseen = set()
    for epoch in range(6):
        seen = [key for one in loaders for batch in one.epoch(epoch) for key in batch.keys]
        assert len(seen) == len(set(seen)) == 8
        unseen.add(frozenset(seen))
    assert len(unseen) > 1, "other ones are left over in every epoch"
