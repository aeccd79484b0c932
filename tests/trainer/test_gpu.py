"""Every method on a GPU: it trains, its first losses are the CPU's, its scores are a CPU's too."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from tiny_suite import COMPARISON, DAT, run_well, values

from trainer.config import METHODS
from trainer.models.registry import BACKBONES

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
    on_cpu, on_gpu = (values(tmp_path / device, "train/loss")[:1] for device in ("cpu", "cuda"))
    assert on_gpu == pytest.approx(on_cpu, rel=0.05, abs=0.02)
    scores = {}
    for device in ("cpu", "cuda"):
        scores[device] = json.loads(
            run_well(
                "evaluate", "--checkpoint", tmp_path / "cuda", "--shards", suite / "test-musan",
                "--out", tmp_path / f"{device}-scores", "--device", device, "--json",
            ).stdout
        )["sets"][0]["figures"]["members"][0]  # fmt: skip
    assert scores["cuda"].keys() == scores["cpu"].keys()


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


def test_a_gpu_run_goes_on(suite: Path, tmp_path: Path) -> None:
    run_well("dat", "--shards", suite, "--out", tmp_path / "run", *GPU, "--epochs", 4)
    before = values(tmp_path / "run", "train/loss")
    run_well("dat", "--shards", suite, "--out", tmp_path / "run", *GPU, "--epochs", 4)
    assert values(tmp_path / "run", "train/loss") == before
