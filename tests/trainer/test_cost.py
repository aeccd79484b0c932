"""What a run costs, as its log and its checkpoint have it."""

from __future__ import annotations

import json
import mmap
from pathlib import Path

import pytest

from manifests.errors import UsageError
from trainer.config import ModelConfig
from trainer.cost import RowCost, row_costs, run_cost
from trainer.models.heads import LabelPredictor
from trainer.models.registry import new_encoder
from trainer.runs.checkpoint import TrainingState, save_checkpoint
from trainer.runs.folder import RunFolder
from trainer.runs.memory import memory_mb

HEAD = 512 * 512 + 512 + 512 * 50 + 50
"""Linear(512, 512), ReLU, Linear(512, 50)."""

N_PARAMETERS = 2_368_512 + HEAD


def written(run: Path, records: list[dict[str, object]]) -> Path:
    model, tags = ModelConfig(), [f"tag-{n}" for n in range(50)]
    encoder = new_encoder(model)
    networks = {"encoder": encoder, "predictor": LabelPredictor(encoder.n_features, len(tags))}
    card = {"model": vars(model), "tags": tags, "stage": "baseline", "method": "baseline"}
    save_checkpoint(RunFolder(run).best, TrainingState(networks, {}), card)
    (run / "config.json").write_text("{}")
    lines = "".join(f"{json.dumps({'stage': 'x', 'step': 1, **r})}\n" for r in records)
    (run / "metrics.jsonl").write_text(lines)
    return run


def test_figures_of_a_log(tmp_path: Path) -> None:
    records: list[dict[str, object]] = [
        {"train/examples_per_s": 10.0, "train/seconds": 4.0, "train/memory_mb": 300.0},
        {"train/examples_per_s": 30.0, "train/seconds": 1.5, "train/memory_mb": 500.0},
        {"valid/score": 0.5},
        {"train/examples_per_s": 20.0, "train/seconds": 2.0, "train/memory_mb": 400.0},
    ]
    cost = run_cost(written(tmp_path / "run", records))
    assert cost == RowCost("run", N_PARAMETERS, 20.0, 7.5, 500.0)


def test_seeds_of_a_row_are_averaged_and_rows_that_are_elsewhere_left_out(tmp_path: Path) -> None:
    runs = [
        written(tmp_path / name, [{"train/examples_per_s": speed, "train/seconds": speed / 10}])
        for name, speed in (("a-s0", 10.0), ("a-s1", 30.0))
    ]
    alone = tmp_path / "scores"
    alone.mkdir()
    (alone / "config.json").write_text("{}")
    rows = {"a": runs, "scores alone": [alone], "elsewhere": [tmp_path / "nowhere"], "nothing": []}
    (cost,) = row_costs(rows)
    assert cost == RowCost("a", N_PARAMETERS, 20.0, 2.0, None)


def test_a_run_without_log_or_checkpoint(tmp_path: Path) -> None:
    run = written(tmp_path / "run", [])
    (run / "metrics.jsonl").unlink()
    assert run_cost(run) == RowCost("run", N_PARAMETERS, None, None, None)
    with pytest.raises(UsageError, match="expected a run or checkpoint"):
        run_cost(tmp_path)


def test_memory_grows_with_what_is_held() -> None:
    before = memory_mb()
    with mmap.mmap(-1, 100_000_000) as held:  # malloc might give out what other tests freed
        held.write(b"1" * len(held))
        assert 90.0 < memory_mb() - before < 250.0
