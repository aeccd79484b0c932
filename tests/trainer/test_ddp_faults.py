"""Two processes that lose one, are started again, or are started by torchrun itself."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tiny_ranks import free_port, run_ranks, start_ranks
from tiny_suite import COMPARISON, DAT, assert_same_weights

from trainer.runs.checkpoint import load_checkpoint

OFTEN = "import trainer.keeper as k; k.SAVE_EVERY_S, k.LOG_EVERY = 0.0, 1"
DIE = f"""{OFTEN}
import os
real = k.Keeper.stepped
def stepped(self, step, figures):
    if step == 10 and self.world.rank == int(os.environ["VICTIM"]):
        os.kill(os.getpid(), 9)
    real(self, step, figures)
k.Keeper.stepped = stepped
"""
DEADLINE_S = 60.0


@pytest.fixture(scope="module")
def whole(suite: Path, dat_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two ranks that nobody disturbed."""
    folder = tmp_path_factory.mktemp("whole")
    run_ranks(command(suite, dat_run, folder), OFTEN)
    return folder


def command(suite: Path, dat_run: Path, out: Path) -> tuple[object, ...]:
    return (
        "dat", "--stage", "3", "--init", dat_run, "--shards", suite, *DAT,
        "--batch-size", "2", "--epochs", "10", "--out", out,
        "--refresh-domain-classifier", "7", "--refresh-steps", "3",
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("victim", [0, 1])
def test_a_rank_killed_ends_the_other_with_a_message_and_the_run_goes_on_to_the_same_bits(
    suite: Path, dat_run: Path, whole: Path, tmp_path: Path, victim: int
) -> None:
    out = tmp_path / "cut"
    ranks = start_ranks(command(suite, dat_run, out), DIE, VICTIM=str(victim))
    try:
        assert ranks[victim].wait(timeout=120) == -signal.SIGKILL
        begin = time.monotonic()
        output = ranks[1 - victim].communicate(timeout=DEADLINE_S)[0]
        assert time.monotonic() - begin < DEADLINE_S
    finally:
        for rank in ranks:
            rank.kill()
            rank.communicate()
    assert ranks[1 - victim].returncode == 1
    assert "train: ranks: expected all 2 processes to the end of the run, lost one: " in output
    assert "run the same command again to go on" in output and "Traceback" not in output
    assert load_checkpoint(out / "checkpoints/last").progress["step"] == 9
    run_ranks(command(suite, dat_run, out), OFTEN)
    for name in ("last", "best"):
        assert_same_weights(out / "checkpoints" / name, whole / "checkpoints" / name)


@pytest.mark.slow
def test_torchrun_takes_the_same_command(suite: Path, dat_run: Path, tmp_path: Path) -> None:
    folder = Path(sys.executable).parent
    train = shutil.which("train", path=str(folder))
    assert train is not None
    command = [
        str(folder / "torchrun"), "--nproc-per-node", "2", "--master-port", str(free_port()),
        "--no-python", train, "supervised", "--shards", suite, "--out", tmp_path / "run",
        "--encoder", dat_run, *COMPARISON, "--batch-size", "2",
    ]  # fmt: skip
    done = subprocess.run(
        list(map(str, command)), env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True, text=True, timeout=180,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert load_checkpoint(tmp_path / "run/checkpoints/best").progress["tags"]
    resumed = subprocess.run(
        [train, *map(str, command[7:])], env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True, text=True, timeout=180,
    )  # fmt: skip
    assert resumed.returncode == 2 and "another number of ranks" in resumed.stderr
