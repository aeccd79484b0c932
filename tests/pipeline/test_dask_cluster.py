"""What can happen to a dask cluster of separate programs during a build."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tiny_cluster import DEADLINE_S, Cluster, Program
from tiny_corpora import Corpora, MakePlan, Roots, set_hashes

from manifests.errors import ManifestError
from pipeline import dask_engine
from pipeline.engine import run_tasks
from pipeline.stages.build import build_set

PREP = Path(sys.executable).parent / "prep"


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    pytest.importorskip("distributed")
    folder = tmp_path / "cluster"
    folder.mkdir()
    found = Cluster(folder)
    yield found
    found.end()


@pytest.fixture(scope="module")
def undisturbed(
    make_plan: MakePlan, roots: Roots, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    out = tmp_path_factory.mktemp("undisturbed") / "set"
    build_set(make_plan(noises=2, examples_per_shard=1), str(out), roots)
    return set_hashes(out)


Build = Callable[[], Program]


@pytest.fixture
def build(cluster: Cluster, corpora: Corpora, tmp_path: Path, scan_cache: Path) -> Build:
    """``build()`` starts ``prep build-shards`` on the cluster, into ``tmp_path/set``."""
    arguments = [
        "build-shards", "--music", f"folder={corpora.music}", "--noise", f"folder={corpora.noise}",
        "--noises", "2", "--examples-per-shard", "1", "--engine", "dask",
        "--scheduler", cluster.address, "--json", "--out", str(tmp_path / "set"),
    ]  # fmt: skip

    def start() -> Program:
        environment = {**os.environ, "ROBUST_TAGGER_CACHE": str(scan_cache)}
        return subprocess.Popen(
            [str(PREP), *arguments], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )

    return start


def wait_for_shards(out: Path, n_shards: int) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while len(list(out.glob("shard-*.json"))) < n_shards:
        assert time.monotonic() < deadline, f"no {n_shards} shards in {out}"
        time.sleep(0.02)


def resumed(process: Program) -> int:
    """Wait for the end of a build that succeeds; returns the shards that were already done."""
    out, said = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 0, said.decode()
    (summary,) = json.loads(out)["sets"]
    return int(summary["n_resumed"])


def refused(process: Program) -> str:
    """Wait for the end of a build that fails in one line; returns the line."""
    _, said = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 1, said.decode()
    assert "Traceback" not in said.decode()
    return said.decode().strip().splitlines()[-1]


@pytest.mark.slow
def test_a_worker_killed_in_the_middle(
    cluster: Cluster, build: Build, undisturbed: dict[str, str], tmp_path: Path
) -> None:
    """Its shard goes to the other worker: nothing is lost and nothing has to be run again."""
    victim = cluster.start_worker(1.0)
    cluster.start_worker(1.0)
    cluster.wait_for_workers(2)
    process = build()
    wait_for_shards(tmp_path / "set", 2)
    victim.kill()
    assert resumed(process) <= 1  # a shard may be done whose worker could not say so any more
    assert set_hashes(tmp_path / "set") == undisturbed


@pytest.mark.slow
def test_a_worker_that_freezes_and_one_that_is_slow(
    cluster: Cluster, build: Build, undisturbed: dict[str, str], tmp_path: Path
) -> None:
    """The frozen one is given up (worker-ttl); what it does when it wakes changes no byte."""
    frozen = cluster.start_worker(0.5)
    cluster.start_worker(2.0)
    cluster.wait_for_workers(2)
    process = build()
    wait_for_shards(tmp_path / "set", 2)
    frozen.send_signal(signal.SIGSTOP)
    assert resumed(process) <= 1  # a shard may be done whose worker could not say so any more
    assert set_hashes(tmp_path / "set") == undisturbed
    frozen.send_signal(signal.SIGCONT)
    time.sleep(3.0)
    assert set_hashes(tmp_path / "set") == undisturbed


@pytest.mark.slow
def test_the_scheduler_killed_and_started_again(
    cluster: Cluster, build: Build, undisturbed: dict[str, str], tmp_path: Path
) -> None:
    """One line and status 1; the same command goes on from the shards that are done."""
    for _ in range(2):
        cluster.start_worker(1.0)
    cluster.wait_for_workers(2)
    process = build()
    wait_for_shards(tmp_path / "set", 2)
    cluster.scheduler.kill()
    cluster.scheduler.wait()
    line = refused(process)
    assert "the scheduler or a worker was lost (" in line
    assert "finished work is kept: run the same command again" in line
    assert not (tmp_path / "set/index.json").exists()
    for program in cluster.programs[1:]:  # most have ended by themselves: no scheduler
        program.kill()
        program.wait()
    del cluster.programs[1:]
    cluster.start_scheduler()
    cluster.start_worker()
    cluster.wait_for_workers(1)
    assert resumed(build()) >= 2
    assert set_hashes(tmp_path / "set") == undisturbed


@pytest.mark.slow
def test_all_workers_lost_is_a_warning_and_new_ones_are_taken(
    cluster: Cluster, build: Build, undisturbed: dict[str, str], tmp_path: Path
) -> None:
    victim = cluster.start_worker(1.0)
    cluster.wait_for_workers(1)
    process = build()
    wait_for_shards(tmp_path / "set", 1)
    victim.kill()
    assert process.stderr is not None
    said = b""
    while b"has no workers; waiting up to 10 min" not in said:
        piece = os.read(process.stderr.fileno(), 4096)
        assert piece, said.decode()
        said += piece
    cluster.start_worker()
    assert resumed(process) <= 1  # a shard may be done whose worker could not say so any more
    assert set_hashes(tmp_path / "set") == undisturbed


@pytest.mark.slow
def test_a_worker_lost_before_its_result_is_fetched(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The task is then run again: to wait for its result is to wait for a worker."""
    worker = cluster.start_worker()
    cluster.wait_for_workers(1)
    monkeypatch.setattr(dask_engine, "LOOK_EVERY_S", 0.2)
    monkeypatch.setattr(dask_engine, "NO_WORKERS_S", 1.0)
    outcomes = run_tasks(abs, [(-1,), (-2,)], engine="dask", scheduler=cluster.address)
    assert next(outcomes) in (1, 2)
    time.sleep(3.0)  # the other one is done by now
    worker.kill()
    worker.wait()
    with pytest.raises(ManifestError, match="expected workers, got none for 0 min"):
        list(outcomes)


@pytest.mark.slow
def test_a_cluster_without_workers_ends_in_a_message(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster.wait_for_workers(0)  # for the scheduler alone
    monkeypatch.setattr(dask_engine, "LOOK_EVERY_S", 0.2)
    monkeypatch.setattr(dask_engine, "NO_WORKERS_S", 1.0)
    with pytest.raises(ManifestError) as caught:
        list(run_tasks(abs, [(-1,)], engine="dask", scheduler=cluster.address))
    assert str(caught.value).startswith(
        f"--scheduler {cluster.address}: expected workers, got none for 0 min; finished work is"
    )


@pytest.mark.slow
@pytest.mark.parametrize("n_done", [0, 1])
def test_a_scheduler_that_stops_answering_ends_in_a_message(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, n_done: int
) -> None:
    """Stopped, it keeps its connections: no error comes, and no answer either."""
    cluster.start_worker()
    cluster.wait_for_workers(1)
    monkeypatch.setattr(dask_engine, "LOOK_EVERY_S", 0.2)
    monkeypatch.setattr(dask_engine, "SCHEDULER_TIMEOUT_S", 2.0)
    tasks = [(0.0,)] * n_done + [(900.0,)]
    outcomes = run_tasks(time.sleep, tasks, engine="dask", scheduler=cluster.address)
    assert [next(outcomes) for _ in range(n_done)] == [None] * n_done
    stopping = threading.Timer(
        0.0 if n_done else 5.0, cluster.scheduler.send_signal, [signal.SIGSTOP]
    )
    stopping.start()
    began = time.monotonic()
    with pytest.raises(ManifestError) as caught:
        next(outcomes)
    stopping.join()
    assert str(caught.value).startswith(
        f"{cluster.address}: expected an answer of the dask scheduler, got none 3 times for 2 s; "
    )
    assert time.monotonic() - began < 60.0
