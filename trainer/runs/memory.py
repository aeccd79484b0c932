"""How much memory a training process takes."""

from __future__ import annotations

import psutil
import torch

MB = 1e6


def memory_mb() -> float:
    """Return the memory of this process, MB: most on the GPU so far if it uses one, else resident.

    Decoding processes have memory of their own, which is not counted.
    """
    if torch.cuda.is_available() and torch.cuda.max_memory_allocated():
        return float(torch.cuda.max_memory_allocated()) / MB
    return float(psutil.Process().memory_info().rss) / MB
