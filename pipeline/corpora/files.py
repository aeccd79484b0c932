"""One listing of everything below a corpus root, be it a local folder or an object store.

A corpus module looks files up in the listing instead of asking the disk for each: half a million
``stat`` calls on a network disk, or requests to a bucket, cost more than all the rest of a scan.
"""

from __future__ import annotations

import io
import itertools
import logging
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO, Final, TextIO, cast

from manifests import store
from manifests.audio import NEEDS_FFMPEG
from manifests.errors import ManifestError
from manifests.measure import SUFFIXES

AUDIO_EXTENSIONS: Final = tuple(
    sorted({*itertools.chain(*SUFFIXES.values()), *NEEDS_FFMPEG, ".au", ".caf"})
)
"""Names that are taken for audio; whether a decoder can read them is found out by the scan."""

_log = logging.getLogger(__name__)


def is_audio(path: str) -> bool:
    """Tell whether a file's name ends like audio, in any case."""
    return path.lower().endswith(AUDIO_EXTENSIONS)


def base_name(path: str) -> str:
    """Return the part of a ``/``-separated path after the last slash."""
    return path.rpartition("/")[2]


class FileTree:
    """One recursive listing of a root.

    Hidden files and folders (``.name``, so macOS' ``._name`` too) are left out. Links are followed,
    but every real folder is listed once, under its real place where that lies below the root: so a
    loop of links ends, and no file has two paths because of a linked folder.

    Attributes:
        root: the root as given.
        paths: size in bytes of each file by its path below the root, with ``/``; sorted by path.
        unlisted: entries that could not be listed, each with the reason, one line each.

    Raises:
        ManifestError: the root does not exist, is not a folder or cannot be listed.
        UsageError: the URL's scheme is refused, unknown, or its package is not installed.
    """

    paths: Mapping[str, int]
    unlisted: tuple[str, ...]
    _stamps: Mapping[str, tuple[str, str]] = {}
    """Of files on S3: to ask s3fs for one is to search its folder's whole listing for it."""

    def __init__(self, root: str | Path) -> None:
        self.root = str(root)
        if store.is_local(self.root):
            found, unlisted = _list_local(store.local_path(self.root))
        else:
            entries, unlisted = _list_remote(self.root)
            found = {path: int(entry["size"] or 0) for path, entry in entries.items()}
            self._stamps = {
                path: store.entry_stamp(entry) for path, entry in entries.items() if "ETag" in entry
            }
        self.paths = dict(sorted(found.items()))
        self.unlisted = tuple(unlisted)
        _log.info("%s: %d files listed", self.root, len(self.paths))

    def exists(self, rel: str) -> bool:
        """Tell whether a file is there."""
        return rel in self.paths

    def under(self, prefix: str) -> dict[str, int]:
        """Return the part of ``paths`` below a folder; paths stay relative to the root."""
        start = prefix.rstrip("/") + "/" if prefix else ""
        return {path: size for path, size in self.paths.items() if path.startswith(start)}

    def url(self, rel: str) -> str:
        """Return the local path or the URL of a file.

        Raises:
            ManifestError: it is not in the listing; so no ``../`` of a hostile table leads out.
        """
        if rel not in self.paths:
            raise ManifestError(f"{rel}: expected a file below {self.root}, got no such file")
        if store.is_local(self.root):
            return str(store.local_path(self.root) / rel)
        return store.join(self.root.rstrip("/"), rel)

    def stamp(self, rel: str) -> tuple[str, str]:
        """Return what ``store.change_stamp`` does, of a file on S3 as it was when listed.

        Raises:
            ManifestError: it is not in the listing, or cannot be looked up.
        """
        return self._stamps.get(rel) or store.change_stamp(self.url(rel))

    def open_binary(self, rel: str) -> BinaryIO:
        """Open a file of the listing for reading bytes; raises ManifestError."""
        return cast(BinaryIO, store.open_read(self.url(rel)))

    def open_text(self, rel: str) -> TextIO:
        """Open a UTF-8 file, with or without a byte-order mark, line ends as they are."""
        return io.TextIOWrapper(self.open_binary(rel), encoding="utf-8-sig", newline="")

    def read_text(self, rel: str) -> str:
        """Return a UTF-8 file's text.

        Raises:
            ManifestError: it cannot be read, or is not UTF-8.
        """
        try:
            with self.open_text(rel) as file:
                return file.read()
        except UnicodeDecodeError as error:
            raise ManifestError(
                f"{rel}: expected UTF-8 text, got byte 0x{error.object[error.start]:02x} at "
                f"position {error.start}; save it as UTF-8"
            ) from error


def _list_local(root: Path) -> tuple[dict[str, int], list[str]]:
    try:
        mode = root.stat().st_mode
    except OSError as error:
        gone = isinstance(error, FileNotFoundError | NotADirectoryError)
        found = "nothing there" if gone else error.strerror
        raise ManifestError(f"{root}: expected a folder, got {found}; check the path") from error
    if not stat.S_ISDIR(mode):
        raise ManifestError(f"{root}: expected a folder, got a file; check the path")
    paths: dict[str, int] = {}
    unlisted: list[str] = []
    seen: set[tuple[int, int]] = set()
    folders: list[str] = [""]
    links: list[str] = []
    while folders or links:
        if not folders:
            # Links last and in order: the listing depends on neither the disk's order nor on
            # whether a link or its real folder comes first.
            links.sort(reverse=True)
            folders.append(links.pop())
        rel = folders.pop()
        try:
            status = (root / rel).stat()
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            with os.scandir(root / rel) as entries:
                _sort_entries(rel, entries, paths, folders, links, unlisted)
        except OSError as error:
            if not rel:
                raise ManifestError(
                    f"{root}: expected a readable folder, got {error.strerror}"
                ) from error
            unlisted.append(f"{rel}: {error.strerror}")
    return paths, sorted(unlisted)


def _sort_entries(
    rel: str,
    entries: os._ScandirIterator[str],
    paths: dict[str, int],
    folders: list[str],
    links: list[str],
    unlisted: list[str],
) -> None:
    """Put each entry of a folder where it belongs; ``rel`` is the folder."""
    for entry in entries:
        if entry.name.startswith("."):
            continue
        child = f"{rel}/{entry.name}" if rel else entry.name
        if not _is_utf8(entry.name):
            unlisted.append(f"{child!a}: name is not UTF-8; rename it")
            continue
        try:
            if entry.is_dir():
                (links if entry.is_symlink() else folders).append(child)
            elif entry.is_file():
                paths[child] = entry.stat().st_size
            elif entry.is_symlink() and not Path(entry.path).exists():
                unlisted.append(f"{child}: dangling link")
            else:
                unlisted.append(f"{child}: expected a file or a folder, got a pipe or a device")
        except OSError as error:
            unlisted.append(f"{child}: {error.strerror}")


def _is_utf8(name: str) -> bool:
    """Tell whether a name can be written to JSON: other bytes come as lone surrogates."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _list_remote(root: str) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """Return what the store says of each file below a folder, and what has no usable name."""
    file_system, path = store.filesystem(root)
    try:
        file_system.invalidate_cache()
        entries = file_system.find(path, detail=True)
        is_folder = bool(entries) or file_system.isdir(path)
    except Exception as error:  # each back end of fsspec raises exceptions of its own
        raise ManifestError(f"{root}: expected a folder to list, got: {error}") from error
    start = path.rstrip("/") + "/"
    if not is_folder or path in entries:
        raise ManifestError(
            f"{root}: expected a folder, got {'a file' if entries else 'nothing there'}; "
            "check the URL and the credentials"
        )
    found: dict[str, dict[str, Any]] = {}
    unlisted: list[str] = []
    for name, entry in entries.items():
        rel = name.removeprefix(start)
        parts = rel.split("/")
        if not parts[-1]:  # what consoles of S3 put in the place of a folder
            continue
        if "" in parts or ".." in parts or "::" in rel:  # keys are any text, paths are not
            unlisted.append(f"{rel}: name holds '//', '..' or '::'; rename it")
        elif not any(part.startswith(".") for part in parts):
            found[rel] = entry
    return found, sorted(unlisted)
