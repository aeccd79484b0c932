"""``train tag`` says of a tagger that hears levels as they are what that means for a file."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
from tiny_suite import run_well

from manifests.rows import SAMPLE_RATE


@pytest.mark.parametrize(("input_level", "notes"), [("rms", 0), ("asis", 1)])
def test_a_tagger_of_levels_as_they_are_says_so_once(
    dat_run: Path, tmp_path: Path, input_level: str, notes: int
) -> None:
    copy = tmp_path / "best"
    shutil.copytree(dat_run / "checkpoints" / "best", copy)
    record = json.loads((copy / "state.json").read_text())
    record["progress"]["model"]["input_level"] = input_level
    del record["sha256"]
    (copy / "state.json").write_text(json.dumps(record))
    noise = 0.1 * np.random.default_rng(0).standard_normal(3 * SAMPLE_RATE)
    for name in "ab":
        soundfile.write(tmp_path / f"{name}.wav", noise, SAMPLE_RATE)
    found = run_well("tag", tmp_path / "a.wav", tmp_path / "b.wav", "--checkpoint", copy)
    said = "hears levels as they are (--input-level asis) and was trained at those of its shards"
    assert found.stderr.count(said) == notes
    assert len(found.stdout.splitlines()) == 2
