"""Worker processes that do not outlive the process that started them."""

from __future__ import annotations

import functools
import os
import threading
import time
from typing import Final

POLL_S: Final = 0.25


@functools.cache
def end_with_parent() -> None:
    """End this process soon after the one that started it is gone (kill -9, out of memory).

    joblib's workers would finish their task, begin the next and then wait for five minutes, while
    the user may already have begun the same work again in the same place. Called again in one
    process, it changes nothing.
    """
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(POLL_S)
        os._exit(1)

    threading.Thread(target=watch, name="end-with-parent", daemon=True).start()
