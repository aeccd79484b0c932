"""Worker processes that do not outlive the process that started them."""

from __future__ import annotations

import functools
import multiprocessing
import os
import threading
import time
import warnings
from multiprocessing.connection import wait
from typing import Final

POLL_S: Final = 0.25


@functools.cache
def end_with_parent() -> None:
    """End this process soon after the one that started it is gone (kill -9, out of memory).

    joblib's workers would finish their task, begin the next and then wait for five minutes, while
    the user may already have begun the same work again in the same place. Workers of a fork server
    would wait for ever: their parent by number is the server, and the server waits for them.
    Called again in one process, it changes nothing.
    """
    starter = multiprocessing.parent_process()
    pipe = starter.sentinel if starter else None  # joblib's workers have a starter without one
    # By its own number: the one that started this process may be gone already.
    parent = starter.pid if starter and pipe is None else os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            if pipe is None:
                time.sleep(POLL_S)
            elif wait([pipe], timeout=POLL_S):  # its other end is closed
                break
        os._exit(1)

    threading.Thread(target=watch, name="end-with-parent", daemon=True).start()


def renew_in_silence() -> None:
    """Say nothing where joblib replaces a worker whose memory grew by 300 MB: nothing is lost.

    It does so between two tasks, and a network or an hour of audio is reason enough. Where warnings
    are errors it would be raised in joblib's own thread, and the caller would wait for ever.
    """
    warnings.filterwarnings("ignore", "A worker stopped while some jobs were given", UserWarning)
