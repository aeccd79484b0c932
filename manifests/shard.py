"""One shard: a byte-reproducible tar of examples, and the sidecar that marks it as done.

Plain USTAR, so any WebDataset reader can use it. Times, owners and order are fixed: the same
examples give the same bytes. Reading trusts nothing: only plain files with legal names, whole
examples, sizes within bounds.
"""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO, Final

from manifests.errors import ManifestError
from manifests.example import Example
from manifests.keys import KEY_PATTERN, SIDECAR

MAX_MEMBER_BYTES: Final = 1 << 30
_EXTENSIONS: Final = ("flac", "wav")


@dataclass(frozen=True)
class ShardEntry:
    """One example as it lies in a shard.

    Attributes:
        key: key of the example.
        offset: first byte of its first tar header.
        n_bytes: bytes of all its members with headers and padding; ``offset + n_bytes`` is where
            the next example begins, so the range is a tar stream by itself.
        member_bytes: size of each member by what stands after ``KEY.``, in order.
        levels_db: RMS of each audio member, dBFS.
        record: the sidecar of the example.
    """

    key: str
    offset: int
    n_bytes: int
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
    n_bytes: int
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
        self._tar = tarfile.TarFile(fileobj=self._out, mode="w", format=tarfile.USTAR_FORMAT)  # type: ignore[arg-type]

    def add(self, key: str, files: Mapping[str, bytes]) -> tuple[int, int]:
        """Append one example; returns its offset and length in bytes."""
        offset = self._tar.offset
        for extension, data in files.items():
            entry = tarfile.TarInfo(f"{key}.{extension}")
            entry.size, entry.mode = len(data), 0o644
            self._tar.addfile(entry, io.BytesIO(data))
        return offset, self._tar.offset - offset

    def close(self) -> tuple[int, str]:
        """End the tar; returns its size and SHA-256."""
        self._tar.close()
        return self._out.n_bytes, self._out.digest.hexdigest()


def iter_examples(
    file: IO[bytes], name: str, *, only: Sequence[str] | None = None
) -> Iterator[tuple[str, dict[str, bytes]]]:
    """Read whole examples from a tar stream, in order.

    Args:
        file: open for reading; a whole shard, or a byte range that begins and ends at examples.
        name: for messages.
        only: extensions to keep (``["clean.flac", "json"]``); None keeps all.

    Yields:
        Key, and file contents by what stands after ``KEY.``.

    Raises:
        ManifestError: not a tar, cut short, a link or folder, an illegal name, a repeated member,
            or members of one example apart from each other.
    """
    seen: set[str] = set()
    key, files = "", dict[str, bytes]()
    for entry_key, extension, data in _iter_files(file, name, only):
        if entry_key != key:
            if files:
                yield key, files
            if entry_key in seen:
                raise ManifestError(f"{name}: {entry_key}: expected its members side by side")
            seen.add(entry_key)
            key, files = entry_key, {}
        if extension in files:
            raise ManifestError(f"{name}: {key}.{extension} stands twice")
        files[extension] = data
    if files:
        yield key, files


def _iter_files(
    file: IO[bytes], name: str, only: Sequence[str] | None
) -> Iterable[tuple[str, str, bytes]]:
    try:
        with tarfile.open(fileobj=file, mode="r|") as tar:
            for entry in tar:
                key, extension = _check_entry(entry, name)
                if only is not None and extension not in only:
                    continue
                opened = tar.extractfile(entry)
                data = opened.read() if opened else b""
                if len(data) != entry.size:
                    raise ManifestError(
                        f"{name}: {entry.name}: expected {entry.size} bytes, got {len(data)}; "
                        "the tar is cut short"
                    )
                yield key, extension, data
    except (tarfile.TarError, EOFError, OSError) as error:
        raise ManifestError(f"{name}: expected a whole tar: {error}") from error


def _check_entry(entry: tarfile.TarInfo, name: str) -> tuple[str, str]:
    key, _, extension = entry.name.partition(".")
    legal = KEY_PATTERN.fullmatch(key) and (
        extension == SIDECAR or extension.rsplit(".", 1)[-1] in _EXTENSIONS
    )
    if not entry.isreg() or not legal or "/" in extension:
        raise ManifestError(
            f"{name}: {entry.name[:100]!r}: expected plain files KEY.MEMBER.flac|wav and KEY.json"
        )
    if entry.size > MAX_MEMBER_BYTES:
        raise ManifestError(
            f"{name}: {entry.name}: expected at most {MAX_MEMBER_BYTES} bytes, got {entry.size}"
        )
    return key, extension
