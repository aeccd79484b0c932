"""``train`` in several processes, as torchrun starts it."""

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
    arguments: Sequence[object], before: str = LOG_ALL, n_ranks: int = 2, **environment: str
) -> list[subprocess.Popen[str]]:
    """Start ``train`` on every rank; see ``tiny_suite.start``."""
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), **environment}
    return [
        start(arguments, before, RANK=rank, LOCAL_RANK=rank, WORLD_SIZE=str(n_ranks), **shared)
        for rank in map(str, range(n_ranks))
    ]


def run_ranks(arguments: Sequence[object], before: str = LOG_ALL, n_ranks: int = 2) -> list[str]:
    """Run ``train`` on all, which must end well; return what each printed."""
    ranks = start_ranks(arguments, before, n_ranks)
    try:
        outputs = [rank.communicate(timeout=600)[0] for rank in ranks]
    finally:
        for rank in ranks:
            rank.kill()
    assert [rank.returncode for rank in ranks] == [0] * n_ranks, "\n".join(outputs)
    return outputs
