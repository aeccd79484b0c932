"""One shard: a byte-reproducible tar of examples, and the sidecar that marks it as done.

Plain USTAR, so any WebDataset reader can use it. Times, owners and order are fixed: the same
examples give the same bytes. Reading trusts nothing: only plain files with legal names, whole
examples, sizes within bounds.
"""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO, Final

from manifests.errors import ManifestError
from manifests.example import Example
from manifests.keys import KEY_PATTERN, SIDECAR, check_key

MAX_MEMBER_BYTES: Final = 1 << 30
_EXTENSIONS: Final = ("flac", "wav")
_PIECE_BYTES: Final = 1 << 20


@dataclass(frozen=True)
class ShardEntry:
    """One example as it lies in a shard.

    Attributes:
        key: key of the example.
        offset: first byte of its first tar header.
        bytes: size of all its members with headers and padding; ``offset + bytes`` is where
            the next example begins, so the range is a tar stream by itself.
        member_bytes: size of each member by what stands after ``KEY.``; they lie in the set's order
            of members, the sidecar last.
        levels_db: RMS of each audio member, dBFS.
        record: the sidecar of the example.
    """

    key: str
    offset: int
    bytes: int
    member_bytes: dict[str, int]
    levels_db: dict[str, float]
    record: Example


@dataclass(frozen=True)
class ShardSidecar:
    """``shard-NNNNNN.json``: count, size, hash and the place of every example.

    ``plan_sha256`` covers all that the shard was rendered from, the sources' hashes and the tools
    included; a resumed build keeps a shard only where it agrees.
    """

    format_version: int
    file: str
    domain: str | None
    n_examples: int
    bytes: int
    sha256: str
    plan_sha256: str
    examples: tuple[ShardEntry, ...]


@dataclass
class HashingWriter:
    """A write-only file that hashes and counts what passes through."""

    file: IO[bytes]
    n_bytes: int = 0
    digest: hashlib._Hash = field(default_factory=hashlib.sha256)

    def write(self, data: bytes) -> int:
        """Write ``data`` and add it to the hash."""
        self.digest.update(data)
        self.n_bytes += len(data)
        return self.file.write(data)

    def tell(self) -> int:
        """Return the number of bytes written."""
        return self.n_bytes


class ShardWriter:
    """Writes examples into one tar.

    Args:
        file: open for writing bytes.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._out = HashingWriter(file)
        self._tar = tarfile.TarFile(
            fileobj=self._out,  # type: ignore[arg-type]
            mode="w",
            format=tarfile.USTAR_FORMAT,
            copybufsize=_PIECE_BYTES,
        )

    def add(self, key: str, files: Mapping[str, bytes]) -> tuple[int, int]:
        """Append one example, its sidecar last; returns its offset and length in bytes.

        Raises:
            ManifestError: an illegal key or name, or the sidecar is missing or not last.
        """
        check_key(key)
        if not files or list(files)[-1] != SIDECAR:
            raise ManifestError(f"{key}: expected a .json member last, got {list(files)}")
        offset = self._tar.offset
        for extension, data in files.items():
            entry = tarfile.TarInfo(f"{key}.{extension}")
            entry.size, entry.mode = len(data), 0o644
            _check_entry(entry, "to be written")
            self._tar.addfile(entry, io.BytesIO(data))
        return offset, self._tar.offset - offset

    def close(self) -> tuple[int, str]:
        """End the tar; returns its size and SHA-256."""
        self._tar.close()
        return self._out.n_bytes, self._out.digest.hexdigest()


def iter_examples(
    file: IO[bytes], name: str, *, only: Sequence[str] | None = None, whole: bool = False
) -> Iterator[tuple[str, dict[str, bytes]]]:
    """Read whole examples from a tar stream, in order.

    An example is given out when its sidecar, the last of its members, was read: never a part of
    one. A stream may end between two examples, as a byte range does, unless it must be ``whole``.

    Args:
        file: open for reading; a whole shard, or a byte range that begins and ends at examples.
        name: for messages.
        only: extensions to keep (``["clean.flac", "json"]``); None keeps all.
        whole: the stream is a whole shard: refuse one without the end mark of a tar.

    Yields:
        Key, and file contents by what stands after ``KEY.``.

    Raises:
        ManifestError: not a tar, cut short, a link or folder, an illegal name, a repeated member,
            or members of one example apart from each other.
    """
    done: set[str] = set()
    key, files, extensions = "", dict[str, bytes](), set[str]()
    for entry_key, extension, data in _iter_files(file, name, only, whole):
        if key and entry_key != key:
            raise ManifestError(
                f"{name}: {key}: expected its members side by side and its .json last, got "
                f"{entry_key}.{extension} before that"
            )
        if entry_key in done:
            raise ManifestError(f"{name}: {entry_key}: stands twice, or its .json is not last")
        if extension in extensions:
            raise ManifestError(f"{name}: {entry_key}.{extension} stands twice")
        key = entry_key
        extensions.add(extension)
        if data is not None:
            files[extension] = data
        if extension == SIDECAR:
            done.add(key)
            if files:
                yield key, files
            key, files, extensions = "", {}, set()
    if key:
        raise ManifestError(f"{name}: {key}: expected a .json member last; the tar is cut short")


def _iter_files(
    file: IO[bytes], name: str, only: Sequence[str] | None, whole: bool
) -> Iterator[tuple[str, str, bytes | None]]:
    """Read the files of a tar: key, extension, content (None where ``only`` leaves it out).

    Not ``tarfile.open``: that takes a broken or half header for the end of the tar, lets sparse
    files pass and reads extended headers of any size.
    """
    try:
        while header := _read(file, tarfile.BLOCKSIZE, name):
            if not any(header):
                _check_padding(file, name)
                return
            entry = tarfile.TarInfo.frombuf(header, "ascii", "surrogateescape")
            key, extension = _check_entry(entry, name)
            padded = -(-entry.size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE
            data = _read(file, padded, f"{name}: {entry.name}")
            if len(data) < padded:
                raise ManifestError(
                    f"{name}: {entry.name}: expected {padded} bytes, got none; the tar is cut short"
                )
            wanted = only is None or extension in only
            yield key, extension, data[: entry.size] if wanted else None
    except (tarfile.TarError, OSError) as error:
        raise ManifestError(f"{name}: expected a whole tar: {error}") from error
    if whole:
        raise ManifestError(f"{name}: expected the end mark of a tar; the tar is cut short")


def _read(file: IO[bytes], n_bytes: int, name: str) -> bytes:
    """Read ``n_bytes``, or none at the end of the stream; a part of them is refused.

    In pieces, so that a size that only a header claims takes no memory.
    """
    pieces, missing = list[bytes](), n_bytes
    while missing and (piece := file.read(min(missing, _PIECE_BYTES))):
        pieces.append(piece)
        missing -= len(piece)
    if missing and pieces:
        raise ManifestError(
            f"{name}: expected {n_bytes} bytes, got {n_bytes - missing}; the tar is cut short"
        )
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _check_padding(file: IO[bytes], name: str) -> None:
    while piece := file.read(_PIECE_BYTES):
        if any(piece):
            raise ManifestError(f"{name}: expected zeros after the end mark of the tar, got more")


def _check_entry(entry: tarfile.TarInfo, name: str) -> tuple[str, str]:
    key, _, extension = entry.name.partition(".")
    plain = entry.type in (tarfile.REGTYPE, tarfile.AREGTYPE)
    legal = KEY_PATTERN.fullmatch(key) and (
        extension == SIDECAR or extension.rsplit(".", 1)[-1] in _EXTENSIONS
    )
    if not plain or not legal or "/" in extension:
        raise ManifestError(
            f"{name}: {entry.name[:100]!r}: expected plain files KEY.MEMBER.flac|wav and KEY.json"
        )
    if not 0 <= entry.size <= MAX_MEMBER_BYTES:
        raise ManifestError(
            f"{name}: {entry.name}: expected at most {MAX_MEMBER_BYTES} bytes, got {entry.size}"
        )
    return key, extension
