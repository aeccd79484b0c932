"""Checkpoints that ``train`` cannot begin with: of another stage, unfinished or damaged."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from tiny_suite import COMPARISON, DAT, assert_same_weights, refused, run_well


def test_wrong_checkpoints(suite: Path, dat_run: Path, tmp_path: Path) -> None:
    shared = ("--shards", suite, "--out", tmp_path / "x")
    for arguments, status, text in (
        (
            ("baseline", *shared, *COMPARISON, "--encoder", dat_run / "domain"), 2,
            "expected a checkpoint of stage 1, got one of domain; name a run that trained its own",
        ),
        (
            ("dat", *shared, *DAT, "--stage", 3, "--init", dat_run / "encoder"), 2,
            "expected a checkpoint of stage 2, got one of encoder",
        ),
        (
            ("baseline", *shared, *COMPARISON, "--width", 0.06, "--encoder", dat_run), 2,
            "expected an encoder as this run's, got another: width: has 0.03, asked for 0.06",
        ),
        (
            ("baseline", *shared, *COMPARISON, "--input-level", "asis", "--encoder", dat_run), 2,
            'input_level: has "rms", asked for "asis"; give the same options to both',
        ),
        (
            ("dat", *shared, *DAT, "--stage", 3, "--init", dat_run, "--classifier-hidden", 7), 1,
            "domain.layers.0.weight: expected shape (7, 15), got (100, 15)",
        ),
        (
            ("tag", "a.wav", "--checkpoint", dat_run / "encoder"), 1,
            "expected a tagger, got a checkpoint of stage encoder; name the run's own folder",
        ),
    ):  # fmt: skip
        refused(arguments, status, text)


def test_an_unfinished_stage_1_is_not_taken_by_accident(
    suite: Path, dat_run: Path, tmp_path: Path
) -> None:
    half = tmp_path / "half"
    shutil.copytree(dat_run / "encoder", half / "encoder")
    state = half / "encoder" / "checkpoints" / "last" / "state.json"
    record = json.loads(state.read_text())
    record["progress"] |= {"step": 3, "done": False}
    del record["sha256"]
    state.write_text(json.dumps(record))
    shared = ("baseline", "--shards", suite, "--out", tmp_path / "x", *COMPARISON)
    refused((*shared, "--encoder", half), 2, "expected a finished stage 1, got one at step 3")
    run_well(*shared, "--encoder", half / "encoder" / "checkpoints" / "best")


def test_a_damaged_checkpoint(suite: Path, dat_run: Path, tmp_path: Path) -> None:
    copy = tmp_path / "dat"
    shutil.copytree(dat_run, copy)
    path = copy / "checkpoints" / "best" / "weights.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"\xff")
    refused(("tag", "a.wav", "--checkpoint", copy), 1, "it was changed after it was written")
    last = copy / "checkpoints" / "last" / "weights.safetensors"
    last.write_bytes(b"")
    resumed = ("dat", "--shards", suite, "--out", copy, *DAT)
    refused(resumed, 1, "it was changed after it was written")
    refused(resumed, 1, f"remove {copy / 'checkpoints'} and run the same command again: that stage")
    shutil.rmtree(copy / "checkpoints")
    run_well(*resumed)
    assert_same_weights(copy / "checkpoints/last", dat_run / "checkpoints/last")
