"""Kill -9 at any moment, again and again: nothing half-written, nothing lost, the same bytes."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from tiny_corpora import (
    Corpora,
    MakePlan,
    Roots,
    chord,
    generator,
    set_hashes,
    write_audio,
)

from manifests.errors import ManifestError
from pipeline.config import RunOptions
from pipeline.stages.build import build_set

PREP = Path(sys.executable).parent / "prep"
DEADLINE_S = 60.0


def hear_interrupts() -> None:
    """Undo what a shell does to jobs in the background: they ignore SIGINT, and so would we."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def start(cache: Path, *arguments: object) -> subprocess.Popen[bytes]:
    """Start the console program in a process group of its own."""
    environment = {**os.environ, "ROBUST_TAGGER_CACHE": str(cache), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [str(PREP), *map(str, arguments)],
        env=environment,
        start_new_session=True,
        preexec_fn=hear_interrupts,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def start_build(corpora: Corpora, out: Path, cache: Path, jobs: int) -> subprocess.Popen[bytes]:
    music, noise = f"folder={corpora.music}", f"folder={corpora.noise}"
    sources = ("--music", music, "--noise", noise, "--noises", 2, "--examples-per-shard", 1)
    return start(cache, "build-shards", *sources, "--jobs", jobs, "--out", out)


def finish(process: subprocess.Popen[bytes]) -> None:
    _, said = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 0, said.decode()


def wait_for_files(process: subprocess.Popen[bytes], out: Path, n_files: int) -> None:
    """Wait until the build writes, or has ended."""
    deadline = time.monotonic() + DEADLINE_S
    while process.poll() is None and time.monotonic() < deadline:
        if out.is_dir() and len(list(out.glob("*.tar"))) >= n_files:
            return
        time.sleep(0.002)


@pytest.fixture(scope="module")
def undisturbed(
    make_plan: MakePlan, roots: Roots, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    out = tmp_path_factory.mktemp("undisturbed") / "set"
    build_set(make_plan(noises=2, examples_per_shard=1), str(out), roots)
    return set_hashes(out)


def test_killed_at_random_moments(
    corpora: Corpora, undisturbed: dict[str, str], tmp_path: Path, scan_cache: Path
) -> None:
    """The whole process group is killed, the parent alone, or the build ends: same bytes."""
    rng = random.Random(20261121)
    out, kills = tmp_path / "set", 0
    for attempt in range(8):
        before = len(list(out.glob("shard-*.json"))) if out.is_dir() else 0
        process = start_build(corpora, out, scan_cache, jobs=1 + attempt % 2)
        wait_for_files(process, out, before + rng.choice((0, 1, 2)))
        time.sleep(rng.uniform(0.0, 0.06))
        if process.poll() is None:
            kills += 1
            if attempt == 1:  # the parent alone; its workers end by themselves
                os.kill(process.pid, signal.SIGKILL)
            else:
                os.killpg(process.pid, signal.SIGKILL)
        try:  # workers hold the pipe until they have ended
            process.communicate(timeout=10.0)
        except subprocess.TimeoutExpired:  # one that had no task yet when its parent was killed
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate(timeout=DEADLINE_S)
        seen = set_hashes(out)
        whole = {name: sha for name, sha in seen.items() if not name.startswith(".")}
        assert whole.items() <= undisturbed.items(), "a file that looks whole is not"
        if kills >= 3 or "index.json" in whole:
            break
    assert kills == 3
    finish(start_build(corpora, out, scan_cache, jobs=2))
    assert set_hashes(out) == undisturbed


def test_killed_while_scanning(tmp_path: Path) -> None:
    """What was decoded before the kill is not decoded again."""
    long = write_audio(tmp_path / "long.wav", chord(generator("long"), 20.0, 44_100), 44_100)
    music = tmp_path / "music"
    music.mkdir()
    for number in range(40):
        (music / f"{number}.wav").hardlink_to(long)
    cache = tmp_path / "cache"
    arguments = ("scan", "--corpus", "folder", "--root", music, "--jobs", 1)
    process = start(cache, *arguments)

    def known() -> int:
        for database in cache.glob("scan-v*.sqlite"):
            with (
                contextlib.suppress(sqlite3.Error),
                contextlib.closing(sqlite3.connect(database)) as db,
            ):
                return int(db.execute("SELECT count(*) FROM measured").fetchone()[0])
        return 0

    deadline = time.monotonic() + DEADLINE_S
    while known() < 8 and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.002)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    kept = known()
    assert 8 <= kept < 40 and kept % 8 == 0
    finish(start(cache, *arguments))
    assert known() == 40


def test_interrupted_by_control_c(
    corpora: Corpora, undisturbed: dict[str, str], tmp_path: Path, scan_cache: Path
) -> None:
    """The signal reaches the workers too; one line, exit status 130, nothing looks whole."""
    out = tmp_path / "set"
    process = start_build(corpora, out, scan_cache, jobs=2)
    wait_for_files(process, out, 1)
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=DEADLINE_S)
    lines = said.decode().splitlines()
    assert process.returncode == 130
    assert lines[-1] == "prep: interrupted; run the same command again to go on"
    assert not any("Traceback" in line for line in lines)
    seen = {name: sha for name, sha in set_hashes(out).items() if not name.startswith(".")}
    assert seen.items() <= undisturbed.items() and "index.json" not in seen


@pytest.mark.usefixtures("killed_workers")
def test_a_worker_killed_in_mid_build(
    make_plan: MakePlan, roots: Roots, undisturbed: dict[str, str], tmp_path: Path
) -> None:
    """The message says what happened and what to do; the next run goes on."""
    out = tmp_path / "set"
    plan = make_plan(noises=2, examples_per_shard=1)
    killed: list[int] = []

    def kill_a_worker() -> None:
        deadline = time.monotonic() + DEADLINE_S
        while not killed and time.monotonic() < deadline:
            for path in out.glob(".shard-*.partial"):  # the name holds the writer's process id
                if len(list(out.glob("*.tar"))) >= 2:
                    killed.append(int(path.name.split(".")[-2]))
                    os.kill(killed[0], signal.SIGKILL)
                    return

    thread = threading.Thread(target=kill_a_worker)
    thread.start()
    with pytest.raises(ManifestError) as caught:
        build_set(plan, str(out), roots, run=RunOptions(jobs=2))
    thread.join()
    assert killed and killed[0] != os.getpid()
    text = str(caught.value)
    assert text.startswith("a worker was lost (TerminatedWorkerError: killed or out of memory)")
    assert text.endswith("finished work is kept: run the same command again, with fewer --jobs")
    assert not (out / "index.json").exists()
    summary = build_set(plan, str(out), roots, run=RunOptions(jobs=2))
    assert summary.n_resumed >= 1
    assert set_hashes(out) == undisturbed


IDLE_WORKER = """
import time
from pipeline.engine import run_tasks
list(run_tasks(time.sleep, [(600.0,)], jobs=2))
"""


def workers_of(group: int) -> list[int]:
    """Return joblib's workers in a process group."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if os.getpgid(int(folder.name)) == group:
                command = (folder / "cmdline").read_bytes()
                found += [int(folder.name)] if b"popen_loky" in command else []
    return found


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="needs /proc")
@pytest.mark.parametrize("wait_s", [0.0, 2.0], ids=["while they start", "while one waits"])
def test_a_worker_that_got_no_task_yet_ends_with_its_killed_parent(wait_s: float) -> None:
    """Of two workers one has a task; joblib would let the other one wait for five minutes."""
    parent = subprocess.Popen([sys.executable, "-c", IDLE_WORKER], start_new_session=True)
    deadline = time.monotonic() + DEADLINE_S
    while len(workers_of(parent.pid)) < 2:
        assert time.monotonic() < deadline, "two workers were to be started"
        time.sleep(0.05)
    time.sleep(wait_s)
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    while left := workers_of(parent.pid):
        assert time.monotonic() < deadline, f"workers {left} outlived their parent"
        time.sleep(0.05)
