"""Tasks and their errors, in one process, in loky workers and on dask."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from manifests.audio import AudioError
from manifests.errors import ManifestError, UsageError
from pipeline.engine import run_tasks


def square(number: int) -> int:
    return number * number


def process_id(_: int) -> int:
    return os.getpid()


def reject(number: int) -> int:
    if number == 3:
        raise AudioError("changed", f"file{number}.wav: changed")
    return number


def break_down(number: int) -> int:
    return 1 // number


def die(number: int) -> int:
    if number == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def interrupt_itself(number: int) -> int:
    os.kill(os.getpid(), signal.SIGINT)
    return number


def wait(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


NUMBERS = [(number,) for number in range(9)]


@pytest.mark.parametrize("jobs", [1, 2])
def test_every_result_comes_once(jobs: int) -> None:
    assert sorted(run_tasks(square, NUMBERS, jobs=jobs)) == [n * n for n in range(9)]


def test_one_job_runs_here_and_two_elsewhere() -> None:
    assert set(run_tasks(process_id, NUMBERS, jobs=1)) == {os.getpid()}
    assert os.getpid() not in set(run_tasks(process_id, NUMBERS, jobs=2))


@pytest.mark.parametrize("engine", ["loky", "dask"])
def test_nothing_to_do_starts_nothing(engine: str) -> None:
    assert list(run_tasks(square, [], jobs=2, engine=engine, scheduler="tcp://127.0.0.1:1")) == []


def test_an_unknown_engine_is_wrong_use_at_once() -> None:
    with pytest.raises(UsageError, match="--engine: expected loky or dask, got ray"):
        list(run_tasks(square, NUMBERS, engine="ray"))


@pytest.mark.parametrize("jobs", [1, 2])
def test_an_error_of_a_task_arrives_as_it_was_raised(jobs: int) -> None:
    """AudioError takes two arguments and keeps one, so pickle alone cannot rebuild it."""
    with pytest.raises(AudioError) as caught:
        list(run_tasks(reject, NUMBERS, jobs=jobs))
    assert (str(caught.value), caught.value.reason) == ("file3.wav: changed", "changed")
    if jobs == 2:
        (note,) = caught.value.__notes__
        assert note.startswith("in a worker:") and "reject" in note


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_bug_in_a_task_is_not_taken_for_a_lost_worker(jobs: int) -> None:
    with pytest.raises(ZeroDivisionError):
        list(run_tasks(break_down, NUMBERS, jobs=jobs))


@pytest.mark.usefixtures("killed_workers")
def test_a_lost_worker_is_named_as_such_and_the_next_call_works() -> None:
    with pytest.raises(ManifestError) as caught:
        list(run_tasks(die, NUMBERS, jobs=2))
    assert str(caught.value) == (
        "a worker was lost (TerminatedWorkerError: killed or out of memory); finished work is "
        "kept: run the same command again, with fewer --jobs"
    )
    assert sorted(run_tasks(square, NUMBERS, jobs=2))[-1] == 64


def threads_after_a_while(number: int) -> tuple[int, list[str]]:
    time.sleep(0.6)  # longer than the watch looks away
    return number, [thread.name for thread in threading.enumerate()]


def test_workers_watch_their_parent_in_silence(capfd: pytest.CaptureFixture[str]) -> None:
    found = dict(run_tasks(threads_after_a_while, [(n,) for n in range(4)], jobs=2))
    assert all("end-with-parent" in names for names in found.values()), found
    assert "Traceback" not in capfd.readouterr().err


def test_workers_leave_control_c_to_their_parent() -> None:
    """A terminal sends it to all of them, in the middle of whatever they decode or write."""
    assert sorted(run_tasks(interrupt_itself, NUMBERS, jobs=2)) == list(range(9))


GROWING = """
import contextlib, time
import joblib
from pipeline.cli.group import prep

def grow(number):
    setattr(time, f"kept{number}", bytearray(b"x") * 350_000_000)  # a module stays
    time.sleep(1.1)
    return number

if __name__ == "__main__":
    with contextlib.suppress(SystemExit):
        prep(["doctor", "--help"])
    print(joblib.Parallel(n_jobs=2)(joblib.delayed(grow)(n) for n in range(6)))
"""


def test_workers_that_grew_are_replaced_in_silence(tmp_path: Path) -> None:
    """joblib warns of it, which here, where warnings are errors, would be raised in its thread."""
    script = tmp_path / "growing.py"
    script.write_text(GROWING)
    command = [sys.executable, "-W", "error::UserWarning", str(script)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.stdout.splitlines()[-1:] == ["[0, 1, 2, 3, 4, 5]"], done.stderr
    assert "A worker stopped" not in done.stderr


def test_a_caller_that_stops_early_leaves_nothing_behind() -> None:
    tasks = run_tasks(square, NUMBERS, jobs=2)
    next(tasks)
    tasks.close()  # type: ignore[attr-defined]
    assert sorted(run_tasks(square, NUMBERS, jobs=2))[-1] == 64


def test_dask_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(UsageError, match=r"--engine dask: install the extra: .* '\.\[dask\]' in"):
        list(run_tasks(square, NUMBERS, engine="dask"))


def test_a_scheduler_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("distributed")
    monkeypatch.setattr("pipeline.dask_engine.SCHEDULER_TIMEOUT_S", 0.5)
    address = f"tcp://127.0.0.1:{free_port()}"
    with pytest.raises(UsageError) as caught:
        list(run_tasks(square, NUMBERS, engine="dask", scheduler=address))
    assert str(caught.value).startswith(f"--scheduler {address}: no dask scheduler answers there")
    assert str(caught.value).endswith("; start one with 'dask scheduler'")


@pytest.mark.parametrize("address", ["nonsense", "tcp://", "ftp://host:1", "host:port:what"])
def test_an_address_that_is_none(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("distributed")
    monkeypatch.setattr("pipeline.dask_engine.SCHEDULER_TIMEOUT_S", 0.5)
    with pytest.raises(UsageError, match=r"--scheduler .*: no dask scheduler answers there"):
        list(run_tasks(square, NUMBERS, engine="dask", scheduler=address))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def cluster(request: pytest.FixtureRequest) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A scheduler and one worker of one thread, as an administrator starts them.

    Its processes find this module only where the parameter says so.
    """
    pytest.importorskip("distributed")
    address = f"tcp://127.0.0.1:{free_port()}"
    port = address.rsplit(":", 1)[1]
    path = str(Path(__file__).parent) if getattr(request, "param", True) else ""

    def start(*arguments: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "dask", *arguments, "--no-dashboard"],
            env={**os.environ, "PYTHONPATH": path},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    scheduler = start("scheduler", "--port", port, "--host", "127.0.0.1")
    worker = start("worker", address, "--nworkers", "1", "--nthreads", "1", "--no-nanny")
    try:
        yield address, scheduler
    finally:
        for process in (worker, scheduler):
            process.kill()
            process.wait()


@pytest.mark.slow
def test_a_cluster_of_one_core_by_its_address(
    cluster: tuple[str, subprocess.Popen[bytes]],
) -> None:
    """The work is done there, not here, and a scheduler that dies is named as lost."""
    address, scheduler = cluster
    assert os.getpid() not in set(run_tasks(process_id, NUMBERS, engine="dask", scheduler=address))
    threading.Timer(1.5, scheduler.kill).start()
    with pytest.raises(ManifestError) as caught:
        list(run_tasks(wait, [(0.5,)] * 40, engine="dask", scheduler=address))
    assert str(caught.value).startswith("the scheduler or a worker was lost (")


@pytest.mark.slow
@pytest.mark.parametrize("cluster", [False], indirect=True)
def test_a_cluster_without_our_code(cluster: tuple[str, subprocess.Popen[bytes]]) -> None:
    with pytest.raises(ManifestError) as caught:
        list(run_tasks(square, NUMBERS, engine="dask", scheduler=cluster[0]))
    assert str(caught.value).startswith("--engine dask: its workers cannot run the task (")
    assert str(caught.value).endswith("the same Python, with this version of robust-tagger")


def test_dask_on_this_machine() -> None:
    """One cluster for all: results, errors as raised, and a task that kills its worker."""
    distributed = pytest.importorskip("distributed")
    import dask

    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 0}),
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=None
        ) as cluster,
    ):
        options = {"engine": "dask", "scheduler": cluster.scheduler_address}
        assert sorted(run_tasks(square, NUMBERS, **options)) == [n * n for n in range(9)]
        with pytest.raises(AudioError, match=r"file3\.wav: changed"):
            list(run_tasks(reject, NUMBERS, **options))
        with pytest.raises(ManifestError, match=r"or a worker was lost \(KilledWorker: killed or"):
            list(run_tasks(die, NUMBERS, **options))
