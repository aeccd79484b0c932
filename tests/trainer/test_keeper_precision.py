"""What ``--precision auto`` chose stays, and choosing changes nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_interrupt import KilledError, interrupt
from tiny_suite import COMPARISON, DAT, assert_same_weights, run, run_well

from trainer import compute, keeper
from trainer.runs.checkpoint import load_checkpoint

OPTIONS = ("--precision", "auto", "--finetune", "--classifier-dropout", "0.3")


def test_timing_precisions_changes_nothing_but_the_speed(
    suite: Path, dat_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weights, statistics, gradients and draws of dropout are those of a run without trials."""
    timed = []
    real = compute.choose_precision

    def choose(step: Any, **options: Any) -> torch.dtype:
        timed.append(real(step, **options))
        return torch.float32

    shared = ("dat", "--shards", suite, "--encoder", dat_run, *DAT, *OPTIONS)
    run_well(*shared, "--precision", "float32", "--out", tmp_path / "plain")
    monkeypatch.setattr(compute, "choose_precision", choose)
    run_well(*shared, "--out", tmp_path / "timed")
    assert len(timed) == 1, "stage 3; stage 2 is always float32"
    assert_same_weights(tmp_path / "timed/checkpoints/last", tmp_path / "plain/checkpoints/last")


def test_a_resumed_stage_keeps_its_precision(
    suite: Path, dat_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object, **__: object) -> torch.dtype:
        raise AssertionError("it was chosen before")

    monkeypatch.setattr(keeper, "SAVE_EVERY_S", 0.0)
    monkeypatch.setattr(keeper, "LOG_EVERY", 1)
    shared = ("baseline", "--shards", suite, "--encoder", dat_run, *COMPARISON)
    out = ("--precision", "auto", "--out", tmp_path / "cut")
    with monkeypatch.context() as patch, pytest.raises(KilledError):
        patch.setattr(compute, "choose_precision", lambda *_, **__: torch.bfloat16)
        interrupt(patch, "baseline", 3)
        run(*shared, *out)
    last = tmp_path / "cut" / "checkpoints" / "last"
    assert load_checkpoint(last).progress["precision"] == "bfloat16"
    monkeypatch.setattr(compute, "choose_precision", never)
    run_well(*shared, *out)
    assert load_checkpoint(last).progress["precision"] == "bfloat16"
    run_well(*shared, "--precision", "bfloat16", "--out", tmp_path / "whole")
    assert_same_weights(last, tmp_path / "whole/checkpoints/last")
    assert weights_dtypes(last) <= {torch.float32, torch.int64}, "weights stay in float32"


def weights_dtypes(folder: Path) -> set[torch.dtype]:
    return {value.dtype for value in load_checkpoint(folder).weights.values()}
