"""What an epoch of each stage takes, run by the commands themselves: rate, data wait, memory.

Run: ``python tests/benchmarks/bench_epoch.py [--device D] [--workers W] [--clips N] [--steps N]
[--preset P] [--epoch-clips N] [--json]``

``train dat`` and ``train robust`` run with the thesis preset for some steps of every stage, on a
made-up set of 29.1 s clips (decoding costs what it costs with music). The median of the later
records, free of start-up and compilation, gives the time of a step, and from it that of an epoch
over MagnaTagATune's 25,863 clips: stage 1 hears all, later stages half of them with the other half
beside. ``data wait`` is the share of the time that the loop waited for batches.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "trainer"))
from tiny_sets import write_set

from manifests.rows import SAMPLE_RATE
from trainer.presets import preset_config
from trainer.runs.metrics_log import read_records

STAGES = {"dat": ("encoder", "domain", ""), "robust": ("",)}
"""Runs, and the folders of the stages that are timed in each."""

NAMES = {("dat", "encoder"): "stage 1", ("dat", "domain"): "stage 2", ("dat", ""): "stage 3, dat",
         ("robust", ""): "robust"}  # fmt: skip
WARM_RECORDS = 5
BATCH = 2 * preset_config("thesis", "dat").tagger.batch_size
"""Clips that a batch takes: as many of each half."""


def write_suite(folder: Path, clips: int) -> None:
    """Write a suite: training clips in halves, a few to validate on."""
    shared: dict[str, Any] = {"excerpts": 1, "n_samples": round(29.1 * SAMPLE_RATE)}
    write_set(str(folder / "train"), n_songs=clips, per_shard=32, name="train", **shared)
    write_set(str(folder / "valid"), n_songs=8, halves=False, name="valid", corpus="v", **shared)
    roles = {"train": "train", "pretrain-train": "train", "valid": "valid"}
    roles |= dict.fromkeys(("pretrain-valid", "test-audioset", "test-musan"), "valid")
    (folder / "suite.json").write_text(json.dumps(roles))


def run_stages(folder: Path, options: argparse.Namespace) -> None:
    """Train every stage for about so many steps."""
    for method in STAGES:
        config = preset_config(options.preset, "dat")
        epochs = {
            "encoder-epochs": options.steps * config.encoder.batch_size // options.clips,
            "classifier-epochs": options.steps * 2 * config.domain.batch_size // options.clips,
            "epochs": options.steps * 2 * config.tagger.batch_size // options.clips,
        }
        if method == "robust":
            del epochs["classifier-epochs"]
        command = [
            sys.executable, "-c", "from trainer.cli import main; main()", method,
            "--preset", options.preset, "--shards", str(folder / "shards"),
            "--out", str(folder / method), "--device", options.device,
            "--workers", str(options.workers), "--validations", "1", "--encoder-validations", "1",
            *(word for name, n in epochs.items() for word in (f"--{name}", str(max(n, 1)))),
        ]  # fmt: skip
        if method == "robust":
            command += ["--encoder", str(folder / "dat")]
        else:
            command += ["--classifier-validations", "1"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def figures(run: Path, batch_size: int, clips_of_epoch: int) -> dict[str, float]:
    """Read a stage's log."""
    records = [r for r in read_records(run / "metrics.jsonl") if "train/seconds" in r]
    later = records[WARM_RECORDS:] or records[-1:]
    steps = {b["step"]: b["step"] - a["step"] for a, b in itertools.pairwise(records)}
    step_s = statistics.median(r["train/seconds"] / steps.get(r["step"], r["step"]) for r in later)
    return {
        "step_ms": round(1_000 * step_s, 1),
        "examples_per_s": round(statistics.median(r["train/examples_per_s"] for r in later), 1),
        "data_wait": round(statistics.median(r["train/data_wait"] for r in later), 3),
        "memory_mb": round(max(r["train/memory_mb"] for r in records)),
        "epoch_s": round(step_s * clips_of_epoch / batch_size, 1),
    }


def measured(options: argparse.Namespace) -> dict[str, Any]:
    """Run all stages in a temporary folder and read their logs."""
    config = preset_config(options.preset, "dat")
    sizes = {"encoder": config.encoder.batch_size, "domain": config.domain.batch_size}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "shards").mkdir()
        write_suite(folder / "shards", options.clips)
        run_stages(folder, options)
        return {
            NAMES[method, stage]: figures(
                folder / method / stage,
                sizes.get(stage, config.tagger.batch_size),
                options.epoch_clips if stage == "encoder" else options.epoch_clips // 2,
            )
            for method, stages in STAGES.items()
            for stage in stages
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    gpu = torch.cuda.is_available()
    parser.add_argument("--device", default="cuda" if gpu else "cpu")
    parser.add_argument("--workers", type=int, default=15 if gpu else 0)
    parser.add_argument("--clips", type=int, default=96)
    parser.add_argument("--steps", type=int, default=200 if gpu else 60)
    parser.add_argument("--preset", default="thesis")
    parser.add_argument("--epoch-clips", type=int, default=25_863)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if options.device == "cuda" and not gpu:
        parser.exit(1, "needs a CUDA device\n")
    rows = measured(options)
    if options.json:
        name = torch.cuda.get_device_name() if options.device == "cuda" else "cpu"
        print(json.dumps({**vars(options), "device": name, "stages": rows}, indent=1))
        return
    print(f"{options.preset} preset on {options.device}, {options.workers} workers")
    for name, row in rows.items():
        print(
            f"  {name:14} {row['step_ms']:9.1f} ms a step {row['examples_per_s']:10,.1f} crops/s "
            f"{row['data_wait']:6.1%} waiting {row['memory_mb']:8,} MB "
            f"{row['epoch_s']:9,.1f} s an epoch of {options.epoch_clips:,} clips"
        )


if __name__ == "__main__":
    main()
