"""Read single members out of shards by their place, without transferring the others.

A shard is plain USTAR, so the sidecar's sizes give the place of every member. Its tar header is
read along and must say the same: nothing is taken on trust, and nothing is skipped.
"""

from __future__ import annotations

import os
import tarfile
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from typing import IO, Any, Final

from manifests import store
from manifests.errors import ManifestError
from trainer.data.index import TAR_BLOCK, ExampleRef, MemberRef
from trainer.data.member_file import MemberFile
from trainer.data.shard_cache import ShardCache, ShardCacheConfig

MAX_OPEN_SHARDS: Final = 32
Wanted = tuple[ExampleRef, tuple[str, ...]]
"""An example, and the names of the members to read of it."""


def read_members(file: IO[bytes], ref: ExampleRef, names: Iterable[str]) -> dict[str, bytes]:
    """Read members of an example.

    Args:
        file: the shard, open for reading; it can seek.
        ref: the example.
        names: members, e.g. ``["clean"]``.

    Returns:
        Content by name.

    Raises:
        ManifestError: a member is missing, has another size, or the shard is cut short or cannot
            be read; the message names shard and example.
    """
    contents = {}
    for name in names:
        member = ref.member(name)
        try:
            file.seek(member.offset)
            header, content = file.read(TAR_BLOCK), file.read(member.n_bytes)
        except OSError as error:
            raise ManifestError(f"{ref.shard_url}: {ref.key}: cannot be read: {error}") from error
        check_member(header, len(content), ref, member)
        contents[name] = content
    return contents


def open_members(file: IO[bytes], ref: ExampleRef, names: Iterable[str]) -> dict[str, MemberFile]:
    """Open members of an example in a shard on this machine, to be read as they are decoded.

    Args:
        file: the shard; it must stay open as long as they are read.
        ref: the example.
        names: members, e.g. ``["clean"]``.

    Raises:
        ManifestError: as ``read_members``.
    """
    opened = {}
    for name in names:
        member = ref.member(name)
        content = member.offset + TAR_BLOCK
        try:
            header = os.pread(file.fileno(), TAR_BLOCK, member.offset)
            n_left = max(os.fstat(file.fileno()).st_size - content, 0)
        except OSError as error:
            raise ManifestError(f"{ref.shard_url}: {ref.key}: cannot be read: {error}") from error
        check_member(header, min(n_left, member.n_bytes), ref, member)
        opened[name] = MemberFile(file, content, member.n_bytes)
    return opened


def check_member(block: bytes, n_bytes: int, ref: ExampleRef, member: MemberRef) -> None:
    """Check that a member is the one that the sidecar says.

    Args:
        block: its tar header.
        n_bytes: how much of its content is there.
        ref: the example.
        member: the member.

    Raises:
        ManifestError: cut short, or another name, kind or size than the sidecar says.
    """
    where = f"{ref.shard_url}: {ref.key}: {member.name}"
    if len(block) != TAR_BLOCK or n_bytes != member.n_bytes:
        raise ManifestError(
            f"{where}: expected {member.n_bytes} bytes at {member.offset}, the shard is cut short; "
            "copy or build it again"
        )
    try:
        header = tarfile.TarInfo.frombuf(block, "utf-8", "strict")
    except (tarfile.HeaderError, UnicodeDecodeError) as error:
        raise ManifestError(
            f"{where}: expected a tar header at {member.offset}: {error}; the shard was changed, "
            "copy or build it again"
        ) from error
    expected, found = (ref.file_name(member.name), member.n_bytes), (header.name, header.size)
    if not header.isreg() or found != expected:
        raise ManifestError(
            f"{where}: expected {expected[0]} of {expected[1]} bytes at {member.offset}, got "
            f"{found[0][:100]!r} of {found[1]}; the member is missing or the shard was changed"
        )


class ShardReader:
    """Reads members of many shards, local or remote; use it as a context manager.

    Local shards stay open for the next example. From an object store exactly the members' bytes
    are asked for, those of several examples at a time, unless a cache holds the shard.

    Args:
        cache: where to keep shards of object stores; None keeps none.
    """

    def __init__(self, cache: ShardCacheConfig | None = None) -> None:
        self._cache = ShardCache(cache) if cache else None
        self._files: OrderedDict[str, IO[bytes]] = OrderedDict()

    def __enter__(self) -> ShardReader:
        return self

    def __exit__(self, *_error: object) -> None:
        while self._files:
            self._files.popitem()[1].close()

    def read(self, wanted: Sequence[Wanted]) -> list[dict[str, bytes]]:
        """Read members of several examples.

        Args:
            wanted: examples and the names of their members.

        Returns:
            Content by name, for each example in order.

        Raises:
            ManifestError: see ``read_members``.
        """
        contents: dict[int, dict[str, bytes]] = {}
        remote: dict[str, list[int]] = {}
        for place, (ref, names) in enumerate(wanted):
            if store.is_local(ref.set_url):
                contents[place] = read_members(self._open(ref.shard_url), ref, names)
            elif self._cache and (copy := self._cache.local_path(ref.shard_url)):
                contents[place] = read_members(self._open(str(copy)), ref, names)
            else:
                remote.setdefault(store.scheme(ref.set_url), []).append(place)
        for places in remote.values():
            fetched = _read_remote([wanted[place] for place in places])
            contents.update(zip(places, fetched, strict=True))
        return [contents[place] for place in range(len(wanted))]

    def open(self, ref: ExampleRef, names: tuple[str, ...]) -> Mapping[str, bytes | MemberFile]:
        """Open members of one example; what is not on this machine is read.

        Args:
            ref: the example.
            names: its members.

        Returns:
            By name, files that hold until the next call, or contents.

        Raises:
            ManifestError: see ``read_members``.
        """
        if store.is_local(ref.set_url) and ref.codec == "flac":
            return open_members(self._open(ref.shard_url), ref, names)
        return self.read([(ref, names)])[0]

    def _open(self, url: str) -> IO[bytes]:
        if url in self._files:
            self._files.move_to_end(url)
            return self._files[url]
        if len(self._files) >= MAX_OPEN_SHARDS:
            self._files.popitem(last=False)[1].close()
        file: IO[bytes] = store.open_read(url)
        self._files[url] = file
        return file


def _read_remote(wanted: Sequence[Wanted]) -> list[dict[str, bytes]]:
    """Ask for all byte ranges at once; fsspec's stores fetch them concurrently."""
    places = [(ref, ref.member(name)) for ref, names in wanted for name in names]
    file_system, _ = store.filesystem(places[0][0].shard_url)
    paths = [store.filesystem(ref.shard_url)[1] for ref, _ in places]
    starts = [member.offset for _, member in places]
    ends = [member.offset + TAR_BLOCK + member.n_bytes for _, member in places]
    try:
        ranges: list[Any] = file_system.cat_ranges(paths, starts, ends, on_error="return")
    except OSError as error:
        raise ManifestError(f"{places[0][0].set_url}: cannot be read: {error}") from error
    contents = iter(_fetched(*pair) for pair in zip(places, ranges, strict=True))
    return [{name: next(contents) for name in names} for _, names in wanted]


def _fetched(place: tuple[ExampleRef, MemberRef], data: bytes | Exception) -> bytes:
    ref, member = place
    if isinstance(data, Exception):
        raise ManifestError(f"{ref.shard_url}: {ref.key}: cannot be read: {data}") from data
    header, content = data[:TAR_BLOCK], data[TAR_BLOCK:]
    check_member(header, len(content), ref, member)
    return content
