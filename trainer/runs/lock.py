"""One process at a time trains in a run's folder."""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Iterator

from manifests.errors import UsageError
from trainer.runs.folder import RunFolder
from trainer.runs.writing import written_to


@contextlib.contextmanager
def locked(run: RunFolder) -> Iterator[None]:
    """Hold the run's folder; the lock ends with the process, however it ends.

    Raises:
        UsageError: another process trains there.
        ManifestError: the folder cannot be written.
    """
    with written_to(run.path):
        file = (run.path / ".lock").open("w")
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise UsageError(
                f"{run.path}: expected no other process, one trains there now; wait for it or "
                "name another --out"
            ) from error
        yield
