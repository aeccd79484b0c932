"""Writing a local file so that its name holds all of its bytes or does not exist."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Final

PARTIAL: Final = ".partial"


@contextlib.contextmanager
def local_partial(target: Path) -> Iterator[Path]:
    """Yield a path to write to; on leaving without an error its bytes are the target's.

    A link stays one: the file that it leads to is replaced. Pipes and devices are never replaced,
    but written to when all is there.

    Raises:
        OSError: the target is a folder, or cannot be written.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    kind = _kind(target)
    if kind is not None and stat.S_ISDIR(kind):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(target))
    in_place = kind is not None and not stat.S_ISREG(kind)
    with _written_in_place(target) if in_place else _replaced(target) as path:
        yield path


def _kind(target: Path) -> int | None:
    """Return the mode of what a name leads to; None where there is nothing yet."""
    try:
        return target.stat().st_mode
    except FileNotFoundError:
        return None


@contextlib.contextmanager
def _written_in_place(target: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="robust-tagger-") as folder:
        path = Path(folder) / target.name
        yield path
        with path.open("rb") as source, target.open("wb") as sink:
            shutil.copyfileobj(source, sink)


@contextlib.contextmanager
def _replaced(link_or_file: Path) -> Iterator[Path]:
    target = Path(os.path.realpath(link_or_file))
    target.parent.mkdir(parents=True, exist_ok=True)
    # Two machines may write one shard at a time (dask gives a frozen worker's task to another), and
    # process ids repeat between machines.
    path = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}.{os.getpid()}{PARTIAL}")
    try:
        yield path
        with path.open("rb+") as file:
            os.fsync(file.fileno())
        path.replace(target)
    finally:
        path.unlink(missing_ok=True)
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
