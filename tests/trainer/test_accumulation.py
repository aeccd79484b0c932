"""``--accumulate N``: as one batch N times as large, but for BatchNorm, in every stage."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_interrupt import KilledError, interrupt
from tiny_suite import COMPARISON, DAT, TIMES, assert_same_weights, run, run_well, values, weights
from torch import nn
from torch.nn import functional as F
from torch.optim import Adam

from trainer import compute, keeper
from trainer.cli.options import make_config
from trainer.config import StepConfig, TrainConfig
from trainer.grid import encoder_path
from trainer.grid_cells import Cell
from trainer.level import scale_to_rms
from trainer.models.samplecnn import SampleCNN
from trainer.runs.metrics_log import read_records

SPLIT = ("--batch-size", "2", "--encoder-batch-size", "2", "--accumulate", "2")
LARGE = ("--batch-size", "4", "--encoder-batch-size", "4")
DAT_SPLIT, DAT_LARGE = (*SPLIT, "--classifier-batch-size", "2"), LARGE
"""``DAT`` has classifier batches of 4."""

DROPOUT = ("--classifier-dropout", "0.3")


@pytest.fixture
def no_batch_statistics(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every example is normalised by itself, in float64, and none sees another one."""

    def forward(self: nn.BatchNorm1d, x: torch.Tensor) -> torch.Tensor:
        return F.group_norm(x, 1, self.weight, self.bias)

    def double(self: compute._Scaled, audio: torch.Tensor) -> torch.Tensor:
        return scale_to_rms(audio, self.level_dbfs).double()

    monkeypatch.setattr(nn.modules.batchnorm._BatchNorm, "forward", forward)
    monkeypatch.setattr(SampleCNN, "_folds", lambda self, audio: False)
    monkeypatch.setattr(compute._Scaled, "__call__", double)
    monkeypatch.setattr(keeper, "LOG_EVERY", 1)
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.fixture
def gradients(monkeypatch: pytest.MonkeyPatch) -> list[list[torch.Tensor]]:
    """What each step of the optimizer is given; Adam's own steps hide a factor on it."""
    found = list[list[torch.Tensor]]()
    real = Adam.step

    def step(self: Adam) -> None:
        groups = (group["params"] for group in self.param_groups)
        found.append([p.grad.clone() for params in groups for p in params if p.grad is not None])
        real(self)

    monkeypatch.setattr(Adam, "step", step)
    return found


@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("dat", ()),
        ("dat", ("--domain-loss", "confusion", "--finetune", "--consistency", "prediction",
                 "--labelled-noise", "--e2h", "2", "--extra-target")),
        ("robust", ()),
        ("supervised", ()),
        ("noisy-student", ("--student-hears", "noisy")),
    ],
)  # fmt: skip
@pytest.mark.usefixtures("no_batch_statistics")
def test_a_run_is_that_of_the_large_batch(
    suite: Path,
    tmp_path: Path,
    gradients: list[list[torch.Tensor]],
    method: str,
    options: tuple[str, ...],
) -> None:
    shared = (method, "--shards", suite, *(DAT if method == "dat" else COMPARISON), *options)
    sizes = (DAT_LARGE, DAT_SPLIT) if method == "dat" else (LARGE, SPLIT)
    for name, size in zip(("large", "split"), sizes, strict=True):
        run_well(*shared, *size, "--out", tmp_path / name)
    half = len(gradients) // 2
    assert half >= 8
    for ours, theirs in zip(gradients[half:], gradients[:half], strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=1e-4)
    stages = {"dat": ("encoder", "domain", ""), "noisy-student": ("encoder", "teacher", "")}
    for stage in stages.get(method, ("encoder", "")):
        large, split = tmp_path / "large" / stage, tmp_path / "split" / stage
        trained, expected = (
            [r for r in read_records(f / "metrics.jsonl") if "train/lr" in r]
            for f in (split, large)
        )
        assert [r["step"] for r in trained] == [r["step"] for r in expected] and len(trained) > 3
        for ours, theirs in zip(trained, expected, strict=True):
            assert ours.keys() == theirs.keys()
            for name in ours.keys() - {*TIMES, "stage"}:
                assert ours[name] == pytest.approx(theirs[name], abs=1e-6), (stage, name)
        found = weights(split / "checkpoints/last")
        for name, value in weights(large / "checkpoints/last").items():
            torch.testing.assert_close(found[name], value, atol=1e-6, rtol=1e-6, msg=name)
        assert np.ptp([r["train/loss"] for r in trained]) > 1e-3


@pytest.fixture(scope="module")
def whole(suite: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nobody disturbed."""
    out = tmp_path_factory.mktemp("whole") / "run"
    run_well("dat", "--shards", suite, *DAT, *DAT_SPLIT, *DROPOUT, "--out", out)
    return out


@pytest.mark.parametrize(
    ("stage", "step"), [("encoder", 3), ("domain", 2), ("dat", 3)], ids=lambda value: str(value)
)
def test_killed_within_a_run_it_goes_on_to_the_same_bits(
    suite: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stage: str, step: int
) -> None:
    monkeypatch.setattr(keeper, "SAVE_EVERY_S", 0.0)
    monkeypatch.setattr(keeper, "LOG_EVERY", 1)
    shared = ("dat", "--shards", suite, *DAT, *DAT_SPLIT, *DROPOUT)
    with monkeypatch.context() as patch, pytest.raises(KilledError):
        interrupt(patch, stage, step)
        run(*shared, "--out", tmp_path / "cut")
    run_well(*shared, "--out", tmp_path / "cut", "--resume")
    for folder in ("", "encoder", "domain"):
        cut, undisturbed = (run / folder / "checkpoints/last" for run in (tmp_path / "cut", whole))
        assert_same_weights(cut, undisturbed)


def test_adabn_accumulates_its_baseline_alone(suite: Path, dat_run: Path, tmp_path: Path) -> None:
    """The re-estimation has no gradient: each of its four batches is a step."""
    run_well("adabn", "--shards", suite, "--encoder", dat_run, *COMPARISON, *SPLIT,
             "--out", tmp_path)  # fmt: skip
    steps = [read_records(tmp_path / f / "metrics.jsonl")[-1]["step"] for f in ("", "baseline")]
    assert steps == [4, 4], "one pass of 4 batches, and 2 epochs of 2 steps"


def test_what_identifies_a_run(suite: Path, dat_run: Path, tmp_path: Path) -> None:
    shared = ("baseline", "--shards", suite, "--encoder", dat_run, *COMPARISON, *LARGE)
    run_well(*shared, "--out", tmp_path)
    result = run(*shared, "--accumulate", "2", "--batch-size", "2", "--out", tmp_path)
    assert result.exit_code == 2 and "tagger.batch_size: has 4, asked for 2" in result.output
    assert "step.accumulate: has 1, asked for 2" in result.output
    run_well(*shared, "--out", tmp_path, "--accumulate", "1")


def test_a_step_that_no_half_can_fill_is_refused(
    suite: Path, dat_run: Path, tmp_path: Path
) -> None:
    result = run("baseline", "--shards", suite, "--encoder", dat_run, *COMPARISON,
                 "--batch-size", "2", "--accumulate", "3", "--out", tmp_path / "run")  # fmt: skip
    assert result.exit_code == 2 and not (tmp_path / "run").exists()
    assert (
        "expected at least 6 examples for one step of 3 × 2 different songs, got 8 examples of 4 "
        "songs; --accumulate 2 or less would work" in result.output
    )


def test_the_log_counts_all_examples(suite: Path, dat_run: Path, tmp_path: Path) -> None:
    """Examples per second are those of all batches, whatever makes a step."""
    seen = []
    real = keeper.Keeper.heard

    def heard(self: keeper.Keeper, figures: dict[str, float], n: int) -> None:
        seen.append(n)
        real(self, figures, n)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keeper.Keeper, "heard", heard)
        run_well("baseline", "--shards", suite, "--encoder", dat_run, *COMPARISON, *SPLIT,
                 "--out", tmp_path)  # fmt: skip
    assert sum(seen) == 16, "8 examples, two epochs"
    assert len(values(tmp_path, "train/loss")) == 2


def test_grids_share_a_stage_1_between_equal_steps_only() -> None:
    config = TrainConfig()
    large = TrainConfig(step=StepConfig(accumulate=4))
    paths = {encoder_path(Path(), Cell("x", 1, c)) for c in (config, config, large)}
    assert len(paths) == 2


def test_the_option_reaches_the_config() -> None:
    given = {"preset": "thesis", "step__accumulate": 3}
    assert make_config("baseline", given)[0].step == StepConfig(accumulate=3)
    assert run("baseline", "--accumulate", "0", "--out", "x").exit_code == 2
