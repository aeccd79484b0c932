"""The decay of the learning rate: against torch's own, and in the log of every stage."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tiny_suite import COMPARISON, DAT, run_well
from torch.optim import SGD, Adam
from torch.optim.lr_scheduler import CosineAnnealingLR

from manifests.errors import UsageError
from trainer import keeper
from trainer.learning_rate import LearningRate, decay_factor
from trainer.runs.metrics_log import read_records

N_STEPS = 7


def test_known_factors() -> None:
    assert [decay_factor(p, "cosine") for p in (0, 1)] == [1.0, 0.0]
    assert decay_factor(1 / 3, "cosine") == pytest.approx(0.75)
    assert {decay_factor(p, "none") for p in (0, 0.5, 1)} == {1.0}


@pytest.mark.parametrize("progress", [-0.1, 1.1])
def test_progress_beyond_the_stage_is_refused(progress: float) -> None:
    with pytest.raises(UsageError, match=r"progress: expected 0 to 1, got .*; divide the step"):
        decay_factor(progress, "cosine")


def groups() -> list[dict[str, object]]:
    return [{"params": [torch.zeros(1)], "lr": 0.3}, {"params": [torch.zeros(1)]}]


def test_rates_are_those_of_torch_whatever_step_comes_first() -> None:
    theirs, ours = SGD(groups(), lr=0.1), SGD(groups(), lr=0.1)
    schedule, rate = CosineAnnealingLR(theirs, T_max=N_STEPS), LearningRate(ours, "cosine", N_STEPS)
    expected = []
    for _ in range(N_STEPS):
        expected.append([group["lr"] for group in theirs.param_groups])
        theirs.step()
        schedule.step()
    for step in (3, 0, *range(N_STEPS)):
        factor = rate.set(step)
        rates = [group["lr"] for group in ours.param_groups]
        assert rates == pytest.approx(expected[step], rel=1e-12)
        assert rates == [0.3 * factor, 0.1 * factor]


def test_a_restored_optimizer_does_not_decay_twice() -> None:
    half_way = Adam(groups(), lr=0.1)
    LearningRate(half_way, "cosine", N_STEPS).set(5)
    again = Adam(groups(), lr=0.1)
    rate = LearningRate(again, "cosine", N_STEPS)
    again.load_state_dict(half_way.state_dict())
    rate.set(5)
    assert [group["lr"] for group in again.param_groups] == [
        group["lr"] for group in half_way.param_groups
    ]


def check_falls(run: Path, lr: float, name: str = "lr") -> None:
    records = read_records(run / "metrics.jsonl")
    rates = [record[f"train/{name}"] for record in records if f"train/{name}" in record]
    factors = [decay_factor(step / len(rates), "cosine") for step in range(len(rates))]
    assert len(rates) > 1 and rates == pytest.approx([lr * factor for factor in factors])


def test_every_stage_decays(suite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "LOG_EVERY", 1)
    decay = ("--lr-decay", "cosine", "--lr", 1e-3)
    run_well("dat", "--shards", suite, *DAT, *decay, "--encoder-lr", 2e-3, "--classifier-lr", 3e-3,
             "--encoder-lr-scale", 0.5, "--out", tmp_path / "dat")  # fmt: skip
    check_falls(tmp_path / "dat/encoder", 2e-3)
    check_falls(tmp_path / "dat/domain", 3e-3)
    check_falls(tmp_path / "dat", 1e-3)
    check_falls(tmp_path / "dat", 5e-4, "lr_encoder")
    shared = ("--shards", suite, *COMPARISON, *decay, "--encoder", tmp_path / "dat")
    pooling = ("--pooling-epochs", 2, "--pooling-batch-size", 4, "--pooling-lr", 4e-3)
    run_well("baseline", *shared, "--aggregate", "attention", *pooling, "--out", tmp_path / "base")
    check_falls(tmp_path / "base", 1e-3)
    check_falls(tmp_path / "base/pooling", 4e-3)
    run_well("noisy-student", *shared, "--teacher", tmp_path / "base", "--out", tmp_path / "pupil")
    check_falls(tmp_path / "pupil", 1e-3)


def test_a_run_without_decay_is_described_as_before(suite: Path, tmp_path: Path) -> None:
    run_well("baseline", "--shards", suite, *COMPARISON, "--encoder-epochs", 1, "--out",
             tmp_path / "run")  # fmt: skip
    assert "lr_decay" not in (tmp_path / "run/config.json").read_text()
