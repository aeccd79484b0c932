"""A validation score that is no number ends the stage; its weights are never carried on."""

from __future__ import annotations

import math
import shutil
from pathlib import Path

import pytest
from tiny_suite import DAT, run
from tiny_training import OPTIMIZERS, Training

from manifests.errors import ManifestError
from trainer.keeper import Keeper
from trainer.runs.distributed import World
from trainer.runs.folder import RunFolder
from trainer.weights import find_checkpoint


@pytest.mark.parametrize("score", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize(
    ("stage", "option"),
    [("encoder", "--encoder-lr"), ("domain", "--classifier-lr"), ("dat", "--lr")],
)
@pytest.mark.filterwarnings("ignore:NaN or Inf found")
def test_a_score_that_is_not_finite_ends_the_stage_before_it_is_saved(
    tmp_path: Path, stage: str, option: str, score: float
) -> None:
    training = Training(OPTIMIZERS["adam"])
    kept = Keeper(
        run=RunFolder(tmp_path), stage=stage, state=training.state, world=World(), card={},
        loaders={}, n_steps=2, validations=2,
    )  # fmt: skip
    message = f"{stage} diverged at step 2: expected a finite .* got {score}; lower {option},"
    with kept.open():
        kept.validated(1, 0.5, {})
        with pytest.raises(ManifestError, match=message):
            kept.validated(2, score, {})
    progress = find_checkpoint(tmp_path).progress
    assert progress["step"] == 1 and not progress["done"]


@pytest.mark.filterwarnings("ignore:NaN or Inf found")
def test_a_stage_1_that_diverges_is_no_stage_1(suite: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    wild = ("--encoder-lr", "1e30", "--stage", "1")
    for _ in range(2):  # the same command does not take it for finished
        result = run("dat", "--shards", suite, "--out", out, *DAT, *wild)
        assert result.exit_code == 1 and "lower --encoder-lr" in result.stderr, result.output
    result = run("dat", "--shards", suite, "--out", out, *DAT, "--encoder-lr", "1e30", "--stage", 2)
    assert result.exit_code == 2 and "expected a run or checkpoint" in result.stderr


def test_the_last_checkpoint_never_stands_for_a_missing_best(dat_run: Path, tmp_path: Path) -> None:
    copy = tmp_path / "run"
    shutil.copytree(dat_run, copy)
    shutil.rmtree(copy / "encoder" / "checkpoints" / "best")
    with pytest.raises(ManifestError, match="expected the best checkpoint of a finished stage"):
        find_checkpoint(copy, "encoder")
    last = copy / "encoder" / "checkpoints" / "last"
    assert find_checkpoint(last).progress["done"], "named itself it is taken"
