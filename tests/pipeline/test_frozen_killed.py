"""Kill -9 of ``prep thaw`` at any moment, then the same command again: as if never stopped."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from frozen_teams import TeamB, build, roots, run
from tiny_corpora import Corpora, set_hashes

PREP = Path(sys.executable).parent / "prep"
DEADLINE_S = 300.0


@pytest.fixture(scope="module")
def recipe(corpora: Corpora, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recipe of 12 shards with one example each: 12 places to be killed between."""
    root = tmp_path_factory.mktemp("killed")
    build(corpora, root / "set", "--examples-per-shard", 1)
    run("freeze", root / "set", "-o", root / "tiny.v1", "--jobs", 1)
    return root / "tiny.v1"


@pytest.fixture(scope="module")
def undisturbed(recipe: Path, other: TeamB, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the set ``out`` and the table ``verdicts.csv`` of a thaw never stopped."""
    root = tmp_path_factory.mktemp("undisturbed")
    run("thaw", recipe, *roots(other.corpora), "--out", root / "out", "--jobs", 1,
        "--table", root / "verdicts.csv", code=1)  # fmt: skip
    return root


def start(recipe: Path, team: Corpora, root: Path, jobs: int) -> subprocess.Popen[bytes]:
    """Start the console program in a process group of its own."""
    command = (PREP, "thaw", recipe, *roots(team), "--out", root / "out", "--jobs", jobs,
               "--table", root / "verdicts.csv")  # fmt: skip
    return subprocess.Popen(
        [str(part) for part in command],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def n_done(out: Path) -> int:
    return len(list(out.glob(".plan/verdicts-*.json")))


def wait_for(process: subprocess.Popen[bytes], out: Path, shards: int) -> None:
    """Wait until that many shards have their verdicts, or the thaw has ended."""
    deadline = time.monotonic() + DEADLINE_S
    while process.poll() is None and time.monotonic() < deadline:
        if n_done(out) >= shards:
            return
        time.sleep(0.01)


def kill(process: subprocess.Popen[bytes], *, group: bool) -> None:
    """Kill a thaw with its workers, or it alone: they end by themselves, or are ended."""
    (os.killpg if group else os.kill)(process.pid, signal.SIGKILL)
    try:  # workers hold the pipe until they have ended
        process.communicate(timeout=10.0)
    except subprocess.TimeoutExpired:  # one that had no task yet when its parent was killed
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate(timeout=DEADLINE_S)


@pytest.mark.parametrize(
    "kills",
    [
        pytest.param([(2, False, 2), (1, True, 7)], id="twice"),
        pytest.param(
            [(1, True, 0), (1, True, 1), (2, True, 3), (2, False, 5), (1, True, 9), (2, True, 11)],
            id="again and again",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_a_thaw_that_was_killed_ends_as_one_never_stopped(
    recipe: Path,
    other: TeamB,
    undisturbed: Path,
    tmp_path: Path,
    kills: list[tuple[int, bool, int]],
) -> None:
    """Each kill: workers, whether they are killed too, and after how many shards."""
    rng = random.Random(20261121)
    out, killed = tmp_path / "out", 0
    whole = set_hashes(undisturbed / "out")
    for jobs, group, shards in kills:
        process = start(recipe, other.corpora, tmp_path, jobs)
        wait_for(process, out, shards)
        time.sleep(rng.uniform(0.0, 0.02))
        if process.poll() is None:
            kill(process, group=group)
            killed += 1
        process.communicate(timeout=DEADLINE_S)
        if (out / "index.json").exists():  # written last: this kill came too late
            break
        marked = {path.name for path in out.glob("shard-*.json")}
        assert marked <= {f"shard-{number:06d}.json" for number in range(12)}
    assert killed
    process = start(recipe, other.corpora, tmp_path, 1)
    _, said = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 1, said.decode()  # some examples differ, as without any kill
    assert set_hashes(out) == whole
    assert (tmp_path / "verdicts.csv").read_bytes() == (undisturbed / "verdicts.csv").read_bytes()
