"""A whole suite of small sets, and ``train`` called on it as a user calls it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from click.testing import CliRunner, Result
from safetensors.torch import load_file
from tiny_sets import TAGS, write_set
from torch import Tensor

from trainer.cli import train as command
from trainer.runs.metrics_log import read_records

TIMES = ("train/examples_per_s", "train/seconds", "train/data_wait", "train/memory_mb")
"""Figures of a log that differ between two runs of the same bits."""

SAMPLES = 66_150
"""Three seconds: a crop has 7,101 places to be cut from."""

RUNGS_DB = (10.0, 0.0, -10.0)

SET: dict[str, Any] = {
    "excerpts": 1, "n_samples": SAMPLES, "snrs_db": RUNGS_DB, "codec": "wav",
}  # fmt: skip
TRAIN_SET: dict[str, Any] = {**SET, "excerpts": 2, "corpus": "train"}

SYSTEM = ("--precision", "float32", "--threads", "1", "--workers", "0", "--device", "cpu")
MODEL = ("--width", "0.03", "--input-level", "rms")
STAGE_1 = (
    "--encoder-epochs", "2", "--encoder-batch-size", "4", "--encoder-validations", "1",
    "--no-augment",
)  # fmt: skip
STAGE_2 = (
    "--classifier-epochs", "2", "--classifier-batch-size", "4", "--classifier-validations", "1",
)  # fmt: skip
STAGE_3 = ("--epochs", "2", "--batch-size", "4", "--validations", "2", "--lr", "1e-3")
COMPARISON = (*SYSTEM, *MODEL, *STAGE_1, *STAGE_3)
DAT = (*COMPARISON, *STAGE_2)


def write_suite(folder: Path, codec: str = "wav") -> Path:
    """Write a suite with every role; 8 songs of two excerpts to train on, 4 in each half."""
    sets: dict[str, dict[str, Any]] = {
        "pretrain-train": {"n_songs": 8, "corpus": "pre"},
        "pretrain-valid": {"n_songs": 4, "corpus": "prevalid", "halves": False},
        "train": {"n_songs": 8, **TRAIN_SET},
        "valid": {"n_songs": 6, "corpus": "valid", "halves": False},
        "test-audioset": {"n_songs": 6, "corpus": "testa", "halves": False},
        "test-musan": {"n_songs": 6, "corpus": "testm", "halves": False},
        "extra-target": {"n_songs": 6, "corpus": "extra", "halves": False},
    }
    for role, options in sets.items():
        write_set(str(folder / role), name=role, **{**SET, **options, "codec": codec})
    (folder / "suite.json").write_text(json.dumps({role: role for role in sets}))
    return folder


def song_tags(shift: int = 0, *, of_targets_only: bool = False) -> dict[str, list[str]]:
    """Tags by song as ``write_set`` gives them, moved on by some places in the vocabulary."""
    moved = {}
    for number in range(8):
        by = shift if number % 2 or not of_targets_only else 0
        moved[f"song-{number:02d}"] = [TAGS[(number + by + i) % len(TAGS)] for i in range(2)]
    return moved


def run(*arguments: object) -> Result:
    """Run ``train`` in this process."""
    return CliRunner().invoke(command, [str(argument) for argument in arguments])


def run_well(*arguments: object) -> Result:
    """Run ``train``, which must end well."""
    result = run(*arguments)
    assert result.exit_code == 0, f"{arguments}: {result.output}"
    return result


def refused(arguments: Sequence[object], status: int, *texts: str) -> str:
    """Run ``train``, which must refuse with a status and one line that holds the texts."""
    result = run(*arguments)
    assert result.exit_code == status, result.output
    assert "Traceback" not in result.output
    if "Usage:" not in result.output:
        lines = [line for line in result.output.splitlines() if line.startswith("train: ")]
        assert len(lines) == 1, result.output
    for text in texts:
        assert text in " ".join(result.output.split()), result.output
    return result.output


def start(
    arguments: Sequence[object], before: str = "", **environment: str
) -> subprocess.Popen[str]:
    """Start ``train`` in a process of its own.

    Args:
        arguments: of the command.
        before: Python that runs first, e.g. to save more often.
        environment: variables beside this process' own.
    """
    code = f"{before}\nfrom trainer.cli import main\nmain()\n"
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def assert_same_weights(found: Path, expected: Path) -> None:
    """Two checkpoints hold the same bits."""
    ours, theirs = weights(found), weights(expected)
    assert ours.keys() == theirs.keys()
    for name, value in theirs.items():
        assert torch.equal(ours[name], value), name


def weights(checkpoint: Path) -> dict[str, Tensor]:
    """Return the tensors of a checkpoint."""
    return dict(load_file(checkpoint / "weights.safetensors"))


def values(run_folder: Path, name: str) -> list[float]:
    """Return a figure of a run's log, in order."""
    return [r[name] for r in read_records(run_folder / "metrics.jsonl") if name in r]
