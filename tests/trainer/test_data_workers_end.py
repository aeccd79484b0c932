"""Decoding processes do not outlive a trainer that was killed."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from tiny_sets import write_set

PROGRAM = """
import sys
import psutil
from manifests.shardset import load_set
from trainer.data import Loader, LoaderConfig, make_part
from trainer.data.reading import LABELLED_CLEAN

if __name__ == "__main__":
    config = LoaderConfig(batch_size=2, crop_samples=4_000, n_workers=2, worker_start=sys.argv[2])
    loader = Loader([make_part(load_set(sys.argv[1]), LABELLED_CLEAN)], config)
    batches = loader.batches(0, 100_000)
    next(batches)
    children = psutil.Process().children(recursive=True)
    print(*(child.pid for child in children), flush=True)
    for _ in batches:
        pass
"""


@pytest.mark.parametrize("start", ["forkserver", "spawn", "fork"])
def test_a_killed_trainer_leaves_no_process(tmp_path: Path, start: str) -> None:
    write_set(str(tmp_path / "set"), halves=False)
    (tmp_path / "program.py").write_text(PROGRAM)
    trainer = subprocess.Popen(
        [
            sys.executable,
            "-W",
            "ignore",
            str(tmp_path / "program.py"),
            str(tmp_path / "set"),
            start,
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert trainer.stdout is not None
    children = [psutil.Process(int(pid)) for pid in trainer.stdout.readline().split()]
    assert len(children) >= 2, "two workers, and a server where there is one"
    trainer.kill()
    trainer.wait()
    deadline = time.monotonic() + 30
    while (left := [child for child in children if alive(child)]) and time.monotonic() < deadline:
        time.sleep(0.1)
    for child in left:
        child.kill()
    trainer.stdout.close()
    assert not left, "they end by themselves"


def alive(process: psutil.Process) -> bool:
    """Tell whether a process still runs: one that ended may wait to be reaped."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
