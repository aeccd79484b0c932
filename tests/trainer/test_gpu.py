"""Every method on a GPU: it trains, its first losses are the CPU's, its scores are a CPU's too."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from tiny_interrupt import KilledError, interrupt
from tiny_suite import COMPARISON, DAT, run, run_well, values

from trainer.config import METHODS
from trainer.models.registry import BACKBONES
from trainer.runs.checkpoint import load_checkpoint

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]
ON_GPU = ("--device", "cuda", "--compile", "off")
GPU = (*DAT, *ON_GPU)


@pytest.mark.parametrize("method", METHODS)
def test_a_method_begins_as_on_a_cpu(suite: Path, tmp_path: Path, method: str) -> None:
    shared = DAT if method == "dat" else COMPARISON
    for device, options in (("cpu", ()), ("cuda", ON_GPU)):
        run_well(method, "--shards", suite, "--out", tmp_path / device, *shared, *options)
    if method != "adabn":  # which has no loss
        first = [values(tmp_path / device, "train/loss")[0] for device in ("cpu", "cuda")]
        assert first[1] == pytest.approx(first[0], rel=0.05, abs=0.02)
    scores = [scored(tmp_path, suite, device) for device in ("cpu", "cuda")]
    assert len(scores[0]) == 4 and scores[1] == pytest.approx(scores[0], abs=1e-3)


def scored(folder: Path, suite: Path, device: str) -> list[float]:
    """AUC of each member, of the run trained on a GPU."""
    found = json.loads(
        run_well(
            "evaluate", "--checkpoint", folder / "cuda", "--shards", suite / "test-musan",
            "--out", folder / f"{device}-scores", "--device", device, "--json",
        ).stdout
    )  # fmt: skip
    return [member["auc"]["value"] for member in found["sets"][0]["figures"]["members"]]


@pytest.mark.parametrize("compiled", ["on", "off"])
@pytest.mark.parametrize("backbone", BACKBONES)
def test_a_backbone_trains_in_bfloat16(
    suite: Path, tmp_path: Path, backbone: str, compiled: str
) -> None:
    shape = () if backbone == "samplecnn" else ("--width", "0.125", "--chunk-s", "1.2")
    run_well(
        "dat", "--shards", suite, "--out", tmp_path / "run", *GPU, "--backbone", backbone, *shape,
        "--precision", "bfloat16", "--compile", compiled, "--augment",
    )  # fmt: skip
    assert values(tmp_path / "run", "train/memory_mb")[-1] > 0
    run_well("evaluate", "--checkpoint", tmp_path / "run", "--shards", suite / "test-musan",
             "--out", tmp_path / "scores", "--device", "cuda")  # fmt: skip


def test_a_gpu_run_goes_on(suite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command = ("dat", "--shards", suite, "--out", tmp_path / "run", *GPU, "--epochs", 4)
    with monkeypatch.context() as patch:
        interrupt(patch, "dat", 6)
        with pytest.raises(KilledError):
            run(*command)
    begun = load_checkpoint(tmp_path / "run/checkpoints/last").progress
    assert 0 < begun["step"] < begun["n_steps"]
    run_well(*command)
    assert load_checkpoint(tmp_path / "run/checkpoints/last").progress["done"]
