"""Shards of an object store kept on a local disk, within a size limit.

A run passes over all its shards again and again, and of such a cycle a plain LRU cache that is too
small keeps nothing that will be asked for next. So what this run has fetched stays; only shards
that it has not used are dropped, the longest unused first, and what finds no room is read by byte
ranges as without a cache. Any number of processes may share a folder; a file appears by a rename
when it is whole.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import logging
import os
import posixpath
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from manifests import store
from manifests.errors import ManifestError, UsageError

PARTIAL: Final = ".partial"
STALLED_S: Final = 900.0
"""A download that has not grown for so long is that of a process that is gone."""
_PIECE_BYTES: Final = 1 << 20
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ShardCacheConfig:
    """Where shards are kept.

    Attributes:
        folder: local folder, of this cache alone.
        limit_bytes: what its files may take together.
        since: when the run began, seconds since the epoch: files used later are not dropped.
    """

    folder: str
    limit_bytes: int
    since: float = field(default_factory=time.time)


def shard_cache_config(folder: str, limit_gb: float) -> ShardCacheConfig | None:
    """Return the config of ``--shard-cache`` and ``--shard-cache-gb``; None without a folder.

    Raises:
        UsageError: the folder is a URL, or cannot be made.
    """
    if not folder:
        return None
    if not store.is_local(folder):
        raise UsageError(f"--shard-cache {folder}: expected a folder of this machine")
    path = store.local_path(folder).expanduser().absolute()
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"--shard-cache {folder}: cannot be made: {error.strerror}") from error
    return ShardCacheConfig(str(path), round(limit_gb * 1e9))


class ShardCache:
    """The local copies of shards, as one process sees them.

    Args:
        config: folder and limit.
    """

    def __init__(self, config: ShardCacheConfig) -> None:
        self.folder, self.config = Path(config.folder), config
        self._names: dict[str, tuple[str, int]] = {}

    def local_path(self, url: str) -> Path | None:
        """Return a shard's local copy, fetched now where there is room; None where there is none.

        Raises:
            ManifestError: the shard cannot be read.
        """
        if url not in self._names:
            size, changed = store.change_stamp(url)
            digest = hashlib.sha256("\n".join((url, size, changed)).encode()).hexdigest()[:32]
            self._names[url] = f"{digest}-{posixpath.basename(url)}", int(size or 0)
        name, n_bytes = self._names[url]
        path = self.folder / name
        try:
            if path.exists() or self._fetched(url, path, n_bytes):
                os.utime(path)  # in use: no run drops it that began before now
                return path
        except OSError as error:  # disk full, or dropped by a later run at this moment
            _log.warning("shard cache %s: %s", self.folder, error.strerror or error)
        return None

    def _fetched(self, url: str, path: Path, n_bytes: int) -> bool:
        partial = path.with_name(f".{path.name}{PARTIAL}")
        with self._locked():
            if path.exists():
                return True
            self._drop_stalled()
            if partial.exists() or not self._make_room(n_bytes):
                return False
            with partial.open("xb") as file:
                file.truncate(n_bytes)  # so that others count it at its full size
        try:
            with store.open_read(url) as source, partial.open("rb+") as file:
                while piece := source.read(_PIECE_BYTES):
                    file.write(piece)
                if file.tell() != n_bytes:
                    raise ManifestError(f"{url}: expected {n_bytes} bytes, got {file.tell()}")
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
        return True

    def _make_room(self, n_bytes: int) -> bool:
        """Drop what this run has not used until ``n_bytes`` fit; tells whether they do."""
        files = [(path, path.stat()) for path in self.folder.iterdir() if path.is_file()]
        free = self.config.limit_bytes - sum(status.st_size for _, status in files)
        for path, status in sorted(files, key=lambda item: item[1].st_mtime):
            unused = status.st_mtime < self.config.since and not path.name.endswith(PARTIAL)
            if free < n_bytes and unused:
                path.unlink(missing_ok=True)
                free += status.st_size
        return free >= n_bytes

    def _drop_stalled(self) -> None:
        for path in self.folder.glob(f".*{PARTIAL}"):
            if path.stat().st_mtime < time.time() - STALLED_S:
                path.unlink(missing_ok=True)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        folder = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            with contextlib.suppress(OSError):  # a file system without locks
                fcntl.flock(folder, fcntl.LOCK_EX)
            yield
        finally:
            os.close(folder)
