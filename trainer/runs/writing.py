"""What a run is told when the place that it writes to takes no more."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from manifests.errors import ManifestError


@contextlib.contextmanager
def written_to(path: Path) -> Iterator[None]:
    """Name the file or folder that could not be written, and what to do.

    Raises:
        ManifestError: the disk is full, the folder is read-only, a file stands in its place.
    """
    try:
        yield
    except OSError as error:
        raise ManifestError(
            f"{path}: cannot be written: {error.strerror or error}; name another --out, or make "
            "room there and run the same command again to go on"
        ) from error
