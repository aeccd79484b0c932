"""Keep freed memory in the process, so that a training step does not fault it in again.

glibc serves every block above 32 MB with ``mmap`` and returns it to the kernel on ``free``. The
activations of a SampleCNN batch are hundreds of megabytes each, so every step has the kernel zero
gigabytes of pages that the step before gave back: more than half of the time of a CPU step.
With ``mmap`` off and trimming off the same blocks are reused (mallopt(3)).
"""

from __future__ import annotations

import ctypes
import logging
import sys
from typing import Final

_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_MAX: Final = -4
"""Parameters of glibc's ``mallopt`` (malloc.h)."""

_NEVER: Final = -1
"""As an unsigned size this is the largest one: the top of the heap is never given back."""

logger = logging.getLogger(__name__)


def keep_freed_memory() -> bool:
    """Make glibc reuse large blocks instead of returning them to the kernel.

    Call once, before the first batch, in a process that trains on the CPU. The process then stays
    at its peak size until it ends, and the peak is up to a third higher (aligned blocks leave
    remainders behind). Results do not change.

    Returns:
        True where the setting took effect; False on another C library, where nothing happens.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None or not hasattr(ctypes.CDLL(None), "gnu_get_libc_version"):
        return False
    done: bool = mallopt(_M_MMAP_MAX, 0) == 1 and mallopt(_M_TRIM_THRESHOLD, _NEVER) == 1
    if not done:
        logger.warning("mallopt refused the setting: CPU steps will be slower than they could be")
    return done
