"""One process at a time trains in a run's folder."""

from __future__ import annotations

import contextlib
import fcntl
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from manifests.errors import UsageError
from trainer.runs.writing import written_to

LOCK: Final = ".lock"


@contextlib.contextmanager
def locked(run: Path) -> Iterator[None]:
    """Hold the folder of a run or of its stage; the lock ends with the process, however it ends.

    Raises:
        UsageError: another process trains there.
        ManifestError: the folder cannot be written.
    """
    with written_to(run):
        file = (run / LOCK).open("w")
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise UsageError(
                f"{run}: expected no other process, one trains there now; wait for it or "
                "name another --out"
            ) from error
        yield


def remove_idle(run: Path) -> None:
    """Remove a run with all of its stages.

    Raises:
        UsageError: another process trains in one of them; then nothing is removed.
        ManifestError: the folder cannot be written.
    """
    with contextlib.ExitStack() as stack:
        for lock in sorted(run.rglob(LOCK)):
            stack.enter_context(locked(lock.parent))
        with written_to(run):
            shutil.rmtree(run)
