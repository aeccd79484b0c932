"""A stage that diverges ends with a message instead of going on or blaming a clip."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from tiny_suite import COMPARISON, run
from tiny_training import OPTIMIZERS, Training

from manifests.errors import ManifestError
from trainer.keeper import Keeper
from trainer.runs.distributed import World
from trainer.runs.folder import RunFolder
from trainer.runs.metrics_log import read_records


def keep(path: Path, one: Training, stage: str) -> Keeper:
    return Keeper(
        run=RunFolder(path), stage=stage, state=one.state, world=World(), card={}, n_steps=25,
        loaders={}, validations=2,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("stage", "option"), [("encoder", "--encoder-lr"), ("domain", "--classifier-lr"),
                          ("dat", "--lr"), ("pooling", "--pooling-lr")],
)  # fmt: skip
@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_ends_a_stage(
    tmp_path: Path, stage: str, option: str, loss: float
) -> None:
    one = Training(OPTIMIZERS["adam"])
    message = rf"loss is not finite \({loss}\) at step 10; lower {option}, and train anew with"
    with pytest.raises(ManifestError, match=message), keep(tmp_path, one, stage).open() as kept:
        for step in range(1, 26):
            kept.heard({"loss": torch.tensor(loss if step == 3 else 1.0)}, 4)
            kept.stepped(step, {})
    (record,) = read_records(tmp_path / "metrics.jsonl")
    assert record["train/loss"] is None and not (tmp_path / "checkpoints").exists()


def test_weights_that_are_not_finite_are_not_validated(tmp_path: Path) -> None:
    one, validated = Training(OPTIMIZERS["adam"]), False
    with (
        pytest.raises(ManifestError, match="weights are not finite at step 3; lower --lr"),
        keep(tmp_path, one, "baseline").open() as kept,
    ):
        kept.heard({"loss": 1.0}, 4)
        kept.stepped(3, {})
        with torch.no_grad():
            next(iter(one.state.modules["net"].parameters())).fill_(math.nan)
        with kept.validation(3):
            validated = True
    assert not validated


def test_the_command_says_what_helps(suite: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    lost = run("baseline", "--shards", suite, "--out", out, *COMPARISON, "--encoder-lr", 1e30)
    assert lost.exit_code == 1
    assert f"train: {out}/encoder: " in lost.stderr and "lower --encoder-lr, and" in lost.stderr
