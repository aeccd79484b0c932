"""Files by path or by fsspec URL: read, and write so that nothing half-written looks whole.

Local files are written beside their place, synced and renamed; object stores show an object only
when its upload is complete. Both ways a name either holds all of its bytes or does not exist.
"""

from __future__ import annotations

import contextlib
import errno
import os
import posixpath
import stat
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from manifests.errors import ManifestError
from manifests.local_partial import PARTIAL, local_partial
from manifests.object_store import BUCKET_SCHEMES, before_upload, remove_exactly
from manifests.urls import filesystem as filesystem
from manifests.urls import is_local as is_local
from manifests.urls import join as join
from manifests.urls import local_path as local_path
from manifests.urls import scheme as scheme


@contextlib.contextmanager
def _named(url: str, what: str) -> Iterator[None]:
    """Turn what a file system raises into one line that names the file.

    Remote ones raise exceptions of their own (no credentials, no network) beside OSError.
    """
    try:
        yield
    except ManifestError:
        raise
    except OSError as error:
        raise ManifestError(f"{url}: {what}: {error.strerror or error}") from error
    except Exception as error:
        if is_local(url):
            raise
        raise ManifestError(f"{url}: {what}: {type(error).__name__}: {error}") from error


def exists(url: str) -> bool:
    """Tell whether a file or folder is there; raises ManifestError where that cannot be told."""
    with _named(url, "cannot be looked up"):
        if is_local(url):
            return local_path(url).exists()
        file_system, path = filesystem(url)
        return bool(file_system.exists(path))


def size_bytes(url: str) -> int | None:
    """Return a file's size, or None where it does not exist.

    Raises:
        ManifestError: that cannot be told, e.g. for want of permission.
    """
    with _named(url, "cannot be looked up"):
        if is_local(url):
            status = _status(local_path(url))
            return status.st_size if status else None
        file_system, path = filesystem(url)
        try:
            return int(file_system.info(path)["size"])
        except FileNotFoundError:
            return None


def _status(path: Path) -> os.stat_result | None:
    """Return the status of a file, None where it does not exist: one call, not two."""
    try:
        status = path.stat()
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            return None
        raise
    return status if stat.S_ISREG(status.st_mode) else None


def change_stamp(url: str) -> tuple[str, str]:
    """Return size and time (or ETag) of a file as texts: they change when the file does.

    Two empty texts where it does not exist; raises ManifestError where that cannot be told.
    """
    with _named(url, "cannot be looked up"):
        if is_local(url):
            status = _status(local_path(url))
            return (str(status.st_size), str(status.st_mtime_ns)) if status else ("", "")
        file_system, path = filesystem(url)
        try:
            info = file_system.info(path)
        except FileNotFoundError:
            return "", ""
    return entry_stamp(info)


def entry_stamp(info: Mapping[str, Any]) -> tuple[str, str]:
    """Return the ``change_stamp`` of a remote file by its entry in a listing."""
    changed = info.get("ETag") or info.get("LastModified") or info.get("mtime")
    return str(info.get("size", "")), str(changed or info.get("created", ""))


def open_read(url: str) -> Any:
    """Open a file for reading bytes; it can seek.

    Raises:
        ManifestError: it does not exist or cannot be read.
    """
    with _named(url, "cannot be read"):
        if is_local(url):
            return local_path(url).open("rb")
        file_system, path = filesystem(url)
        return file_system.open(path, "rb")


def read_start(url: str, n_bytes: int) -> bytes | None:
    """Return at most the first ``n_bytes`` of a file, in one request; None where there is none.

    Raises:
        ManifestError: it cannot be read.
    """
    with _named(url, "cannot be read"):
        try:
            if is_local(url):
                with local_path(url).open("rb") as file:
                    return file.read(n_bytes)
            file_system, path = filesystem(url)
            data: bytes = file_system.cat_file(path, start=0, end=n_bytes)
        except FileNotFoundError:
            return None
    return data


def read_bytes(url: str) -> bytes:
    """Return a file's bytes; raises ManifestError where it cannot be read."""
    with open_read(url) as file, _named(url, "cannot be read"):
        data: bytes = file.read()
    return data


def read_text(url: str) -> str:
    """Return a UTF-8 file's text.

    Raises:
        ManifestError: it cannot be read or is not UTF-8.
    """
    try:
        return read_bytes(url).decode("utf-8")
    except UnicodeDecodeError as error:
        raise ManifestError(f"{url}: expected UTF-8 text: {error}") from error


def list_names(url: str) -> list[str]:
    """Return the sorted names of the files directly in a folder; empty where it does not exist.

    Raises:
        ManifestError: the folder cannot be listed.
    """
    with _named(url, "cannot be listed"):
        if is_local(url):
            folder = local_path(url)
            files = (p.name for p in folder.iterdir() if p.is_file()) if folder.is_dir() else ()
            return sorted(files)
        file_system, path = filesystem(url)
        try:
            entries = file_system.ls(path, detail=True)
        except FileNotFoundError:
            return []
    return sorted(posixpath.basename(e["name"]) for e in entries if e["type"] == "file")


def remove(url: str) -> None:
    """Remove a file or a whole folder; nothing happens where it is not there.

    Raises:
        ManifestError: it cannot be removed.
    """
    file_system, path = filesystem(url)
    with _named(url, "cannot be removed"), contextlib.suppress(FileNotFoundError):
        remove_exactly(file_system, path)


def make_folder(url: str) -> None:
    """Make a local folder before work whose results go there; object stores need none.

    Raises:
        ManifestError: it cannot be made, or nothing can be written there.
    """
    if is_local(url):
        with _named(url, "cannot be written"):
            local_path(url).mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=local_path(url)):
                pass


def write_bytes(url: str, data: bytes) -> None:
    """Write a file atomically.

    Raises:
        ManifestError: it cannot be written, e.g. the disk is full.
    """
    with partial_file(url) as path:
        path.write_bytes(data)


def write_text(url: str, text: str) -> None:
    """Write a UTF-8 file atomically; raises ManifestError where it cannot be written."""
    write_bytes(url, text.encode())


@contextlib.contextmanager
def partial_file(url: str) -> Iterator[Path]:
    """Yield a local path to write to; on leaving without an error it becomes ``url``.

    A local target gets its temporary file in its own folder (``.NAME.RANDOM.PID.partial``), synced
    before the rename; a remote one a temporary file here, then one upload. Links stay links; pipes
    and devices are written to, never replaced.

    Raises:
        ManifestError: the target cannot be written, e.g. the disk is full.
    """
    try:
        if is_local(url):
            with local_partial(local_path(url)) as path:
                yield path
        else:
            with tempfile.TemporaryDirectory(prefix="robust-tagger-") as folder:
                path = Path(folder) / posixpath.basename(url)
                yield path
                with _named(url, "cannot be written"):
                    _upload(path, url)
    except OSError as error:
        raise ManifestError(f"{url}: cannot be written: {error.strerror or error}") from error


def _upload(path: Path, url: str) -> None:
    """Put a file in its place; folders are made only where they are missed, buckets never."""
    file_system, target = filesystem(url)
    before_upload(file_system, scheme(url))
    try:
        file_system.put_file(str(path), target)
    except FileNotFoundError as error:
        if scheme(url) in BUCKET_SCHEMES:
            bucket = target.partition("/")[0]
            raise ManifestError(
                f"{url}: cannot be written: expected the bucket {bucket}, found none; "
                "check its name or make it first"
            ) from error
        file_system.makedirs(posixpath.dirname(target), exist_ok=True)
        file_system.put_file(str(path), target)


def remove_partials(url: str) -> None:
    """Remove what a killed writer left in a local folder."""
    if is_local(url) and local_path(url).is_dir():
        for path in local_path(url).glob(f".*{PARTIAL}"):
            path.unlink(missing_ok=True)
