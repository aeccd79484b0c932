"""Workers end with the process that started them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

STARTER = """
import subprocess, sys, time
worker = subprocess.Popen([sys.executable, "-c", sys.argv[1]], stdout=subprocess.PIPE, text=True)
print(worker.pid, worker.stdout.readline().strip(), flush=True)
time.sleep(600)
"""
WORKER = """
import time
from manifests.parent import end_with_parent
end_with_parent()
end_with_parent()
print("ready", flush=True)
time.sleep(600)
"""


def _is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_a_worker_whose_parent_is_killed_ends() -> None:
    starter = subprocess.Popen(
        [sys.executable, "-c", STARTER, WORKER], stdout=subprocess.PIPE, text=True
    )
    assert starter.stdout is not None
    with starter.stdout as lines:
        pid, word = lines.readline().split()
        assert word == "ready" and _is_running(int(pid)), "it lives as long as its parent"
        os.kill(starter.pid, signal.SIGKILL)
        starter.wait()
        deadline = time.monotonic() + 60
        while _is_running(int(pid)):
            assert time.monotonic() < deadline, "the worker outlived its parent by a minute"
            time.sleep(0.05)
