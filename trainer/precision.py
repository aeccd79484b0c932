"""Choose the precision of training by timing it.

bfloat16 is several times faster on a CPU with AMX or AVX512-BF16, and ten times slower on one that
has to emulate it; no flag says which it will be for a given network. So one step of each is timed.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence

import torch

from manifests.errors import UsageError

logger = logging.getLogger(__name__)


def choose_precision(
    step: Callable[[torch.dtype], None],
    *,
    dtypes: Sequence[torch.dtype] = (torch.float32, torch.bfloat16),
    n_timed: int = 2,
    clock: Callable[[], float] = time.perf_counter,
) -> torch.dtype:
    """Time a training step in each precision and return the fastest.

    Each is run once unmeasured (compilation, allocation, thread start), then the precisions take
    turns, so that a slow spell of the machine hits all alike; the shortest time of each counts.

    Args:
        step: runs one step in the precision given, and returns when it is *finished* (on a GPU,
            synchronise at its end).
        dtypes: the candidates; the first one wins a tie.
        n_timed: timed steps of each.
        clock: seconds, monotonic.

    Returns:
        The fastest of ``dtypes``.

    Raises:
        UsageError: if there is nothing to choose from or nothing to time.
    """
    if not dtypes or n_timed < 1:
        raise UsageError(
            f"precision: expected candidates and at least one timed step, got {len(dtypes)} and "
            f"{n_timed}; name a precision"
        )
    for dtype in dtypes:
        step(dtype)
    best_s = dict.fromkeys(dtypes, float("inf"))
    for _ in range(n_timed):
        for dtype in dtypes:
            start_s = clock()
            step(dtype)
            best_s[dtype] = min(best_s[dtype], clock() - start_s)
    for dtype, seconds in best_s.items():
        logger.info("one step in %s: %.3f s", dtype, seconds)
    return min(dtypes, key=lambda dtype: best_s[dtype])
