"""``train`` in two processes, as torchrun starts it."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Sequence

from tiny_suite import start

LOG_ALL = "import trainer.keeper as k; k.LOG_EVERY = 1"


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def start_ranks(
    arguments: Sequence[object], before: str = LOG_ALL, **environment: str
) -> list[subprocess.Popen[str]]:
    """Start ``train`` twice; see ``tiny_suite.start``."""
    port = str(free_port())
    shared = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, **environment}
    return [
        start(arguments, before, RANK=str(rank), LOCAL_RANK=str(rank), **shared)
        for rank in range(2)
    ]


def run_ranks(arguments: Sequence[object], before: str = LOG_ALL) -> list[str]:
    """Run ``train`` in both, which must end well; return what each printed."""
    ranks = start_ranks(arguments, before)
    try:
        outputs = [rank.communicate(timeout=120)[0] for rank in ranks]
    finally:
        for rank in ranks:
            rank.kill()
    assert [rank.returncode for rank in ranks] == [0, 0], "\n".join(outputs)
    return outputs
