"""A dask cluster of separate programs on this machine."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

DEADLINE_S = 600.0
Program = subprocess.Popen[bytes]
SLOW = """
import time
import pipeline.shard_task as shard_task
from pipeline.render import render
def slow(*arguments):
    time.sleep({seconds})
    return render(*arguments)
shard_task.render = slow
"""
"""For ``dask worker --preload``: shards that take their time, so that a build can be disturbed."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5.0).close()
    except OSError:
        return False
    return True


class Cluster:
    """A scheduler and workers, each a program of its own, as an administrator starts them."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port, self.programs = folder, free_port(), list[Program]()
        self.address = f"tcp://127.0.0.1:{self.port}"
        self.scheduler = self.start_scheduler()

    def start(self, *arguments: str) -> Program:
        environment = {
            **os.environ,
            "OMP_NUM_THREADS": "1",
            "DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL": "20s",
            "DASK_TEMPORARY_DIRECTORY": str(self.folder),
        }
        log = (self.folder / f"{len(self.programs)}.log").open("wb")
        with log:
            program = subprocess.Popen(
                [sys.executable, "-m", "dask", *arguments, "--no-dashboard"],
                env=environment, cwd=self.folder, stdout=log, stderr=log,
            )  # fmt: skip
        self.programs.append(program)
        return program

    def start_scheduler(self) -> Program:
        return self.start("scheduler", "--port", str(self.port), "--host", "127.0.0.1")

    def start_worker(self, slow_s: float = 0.0) -> Program:
        preload = self.folder / f"slow_{slow_s * 1000:.0f}_ms.py"
        preload.write_text(SLOW.format(seconds=slow_s))
        return self.start(
            "worker", self.address, "--nworkers", "1", "--nthreads", "1", "--no-nanny",
            "--preload", str(preload),
        )  # fmt: skip

    def wait_for_workers(self, n_workers: int) -> None:
        import distributed

        deadline = time.monotonic() + DEADLINE_S
        while not listens(self.port):
            assert time.monotonic() < deadline, "the scheduler did not start"
            time.sleep(0.2)
        with distributed.Client(self.address, timeout=DEADLINE_S) as client:
            while len(client.nthreads()) < n_workers:
                assert time.monotonic() < deadline, f"fewer than {n_workers} workers came"
                ended = [p.args for p in self.programs[1:] if p.poll() not in (None, -9)]
                assert not ended, f"{ended}: see the logs in {self.folder}"
                time.sleep(0.2)

    def end(self) -> None:
        for program in self.programs:
            with contextlib.suppress(ProcessLookupError):
                program.send_signal(signal.SIGCONT)
            program.kill()
            program.wait()
