"""The warning that the encoder has swapped the domains instead of mixing them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tiny_suite import DAT, run_well, values

import trainer.stage3_dat as stage3
from trainer.overshoot import warn_of_overshoot


@pytest.mark.parametrize(
    ("accuracies", "batch_size", "warned"),
    [
        ([0.39] * 10, 96, True),
        ([0.41] * 10, 96, False),
        ([0.19, 0.59] * 5, 96, True),
        ([0.39], 8, False),  # three of eight: a coin does that
        ([0.39] * 10, 8, False),  # 31 of 80: less than three standard errors below 40
        ([0.39] * 30, 8, True),
    ],
)
def test_overshoot_is_warned_of(
    caplog: pytest.LogCaptureFixture, accuracies: list[float], batch_size: int, warned: bool
) -> None:
    warn_of_overshoot([torch.tensor(one) for one in accuracies], batch_size, 7)
    text = "dat step 7: the domain classifier is right on 39 % of what it heard, below chance"
    assert (text in caplog.text) == warned and ("--domain-loss confusion" in caplog.text) == warned


def test_a_swap_at_the_end_is_not_excused_by_the_beginning(
    suite: Path, dat_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_at = list[tuple[int, int]]()
    monkeypatch.setattr(stage3, "OVERSHOOT_BATCHES", 2)
    monkeypatch.setattr(
        stage3, "warn_of_overshoot", lambda found, size, step: looked_at.append((len(found), size))
    )
    run_well("dat", "--shards", suite, "--out", tmp_path, "--encoder", dat_run, *DAT)
    assert looked_at == [(2, 8), (2, 8)], "the newest two batches, both halves of four"


def test_a_run_that_overshoots_says_so(
    suite: Path, dat_run: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    out = tmp_path / "run"
    run_well(
        "dat", "--shards", suite, "--out", out, "--encoder", dat_run, *DAT, "--valid-limit", "2",
        "--classifier-epochs", "4", "--classifier-lr", "3e-2",
        "--epochs", "6", "--lr", "1e-2", "--lambda", "20", "--alpha", "constant",
    )  # fmt: skip
    assert values(out, "train/domain_accuracy")[-1] < 0.2, "confidently wrong"
    assert "the encoder has swapped the domains instead of mixing them" in caplog.text
