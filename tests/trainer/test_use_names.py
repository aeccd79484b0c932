"""``train tag`` and ``train embed`` on files whose names are no text."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from manifests.rows import SAMPLE_RATE


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """A file with a byte that is no UTF-8 in its name, one that is no audio, and a plain one."""
    found = [
        tmp_path / os.fsdecode(name) for name in (b"a\xff.wav", b"b\xfe.wav", b"c\xc3\xa9.wav")
    ]
    noise = 0.1 * np.random.default_rng(0).standard_normal(3 * SAMPLE_RATE)
    for path in found:
        with path.open("wb") as file:
            soundfile.write(file, noise, SAMPLE_RATE, format="WAV")
    found[1].write_bytes(b"no audio")
    return found


def train(*arguments: object) -> subprocess.CompletedProcess[bytes]:
    code = "from trainer.cli import main; main()"
    words = [os.fsencode(str(argument)) for argument in arguments]
    return subprocess.run([sys.executable, "-c", code, *words], capture_output=True)


def test_they_are_tagged_and_named_in_bytes(dat_run: Path, files: list[Path]) -> None:
    folder = files[0].parent
    done = train("tag", *files, "--checkpoint", dat_run, "--device", "cpu")
    assert done.returncode == 1 and b"Traceback" not in done.stderr, done.stderr
    assert [line.split(b": ")[0] for line in done.stdout.splitlines()] == [
        f"{folder}/a\\xff.wav".encode(), f"{folder}/c\u00e9.wav".encode(),
    ]  # fmt: skip
    assert f"train: {folder}/b\\xfe.wav: ".encode() in done.stderr
    as_json = train("tag", *files[::2], "--checkpoint", dat_run, "--device", "cpu", "--json")
    assert list(json.loads(as_json.stdout)) == [f"{folder}/a\\xff.wav", f"{folder}/c\u00e9.wav"]


def test_they_are_embedded(dat_run: Path, files: list[Path]) -> None:
    folder = files[0].parent
    done = train(
        "embed", *files, "--checkpoint", dat_run, "--device", "cpu", "-o", folder / "out.npz"
    )
    assert done.returncode == 1, done.stderr
    assert np.load(folder / "out.npz").files == [f"{folder}/a\\xff.wav", f"{folder}/c\u00e9.wav"]
