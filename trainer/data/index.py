"""Where every example of a set lies: the sidecars turned into references of members.

A reference holds what is needed to read a member by one seek: the shard, the offset of the tar
header and the size. Nothing is read without a reference, so a part of a run that must not open
a member (the clean twin of a target example) is simply not given one.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from manifests import store
from manifests.errors import ManifestError, UsageError
from manifests.keys import SIDECAR, member_names
from manifests.shard import ShardEntry
from manifests.shardset import SetIndex, ShardInfo, ShardSet

TAR_BLOCK: Final = 512
"""USTAR: a header of 512 bytes, then the data padded to a multiple of 512."""


@dataclass(frozen=True, slots=True)
class MemberRef:
    """One audio member of an example.

    Attributes:
        name: ``clean``, ``noisy.snr_-10`` or ``audio``.
        offset: first byte of its tar header in the shard.
        n_bytes: size of its content.
        pcm_sha256: SHA-256 of its samples as little-endian int16.
    """

    name: str
    offset: int
    n_bytes: int
    pcm_sha256: str


@dataclass(frozen=True, slots=True)
class ExampleRef:
    """One example of a set, without its audio.

    Attributes:
        set_url: the set that holds it.
        shard: file name of its shard.
        offset: first byte of the example in the shard.
        n_bytes: bytes of all its members; ``offset`` to ``offset + n_bytes`` is a tar by itself.
        key: key of the example.
        codec: ``flac`` or ``wav``.
        n_samples: length of every member, at 22,050 Hz.
        domain: ``source``, ``target`` or None.
        song: corpus and song; excerpts and clips of one recording share it.
        artist: corpus and artist, empty where unknown.
        tags: tags of the set's vocabulary; emptied by ``without_tags``.
        members: the members that may be opened.
        gain_db: common gain of its members over the source file, dB.
        band_hz: upper edge of its band, Hz; None where it is full.
    """

    set_url: str
    shard: str
    offset: int
    n_bytes: int
    key: str
    codec: str
    n_samples: int
    domain: str | None
    song: str
    artist: str
    tags: tuple[str, ...]
    members: tuple[MemberRef, ...]
    gain_db: float = 0.0
    band_hz: float | None = None

    @property
    def shard_url(self) -> str:
        """URL of the shard."""
        return store.join(self.set_url, self.shard)

    def file_name(self, member: str) -> str:
        """Return the name of a member in the tar, e.g. ``KEY.clean.flac``."""
        return f"{self.key}.{member}.{self.codec}"

    def member(self, name: str) -> MemberRef:
        """Return a member's reference.

        Raises:
            ManifestError: this run may not open it, or the set does not hold it.
        """
        for member in self.members:
            if member.name == name:
                return member
        held = ", ".join(member.name for member in self.members) or "none"
        raise ManifestError(
            f"{self.shard_url}: {self.key}: expected a member {name}, may open {held}"
        )


def load_refs(shard_set: ShardSet, *, domain: str | None = None) -> tuple[ExampleRef, ...]:
    """Load the references of a set in shard order, checked against the index.

    Args:
        shard_set: a finished set.
        domain: ``source`` or ``target`` to take one half: a shard holds one half only, so not
            even the sidecars of the other are opened. None takes all shards.

    Returns:
        One reference per example, with all audio members.

    Raises:
        ManifestError: a shard's size is not what the index says (a tar cut short), a sidecar says
            otherwise than the index, or an example has other members, lengths or tags.
        UsageError: the set has no shard of that half.
    """
    chosen = [
        (number, info)
        for number, info in enumerate(shard_set.index.shards)
        if domain is None or info.domain == domain
    ]
    if not chosen:
        halves = sorted({info.domain for info in shard_set.index.shards if info.domain})
        raise UsageError(
            f"{shard_set.url}: expected shards of the {domain} half, got "
            f"{', '.join(halves) or 'a set without halves'}; build it with --split train or "
            "--halves both"
        )
    refs = list[ExampleRef]()
    for number, info in chosen:
        _check_size(shard_set.url, info)
        entries = shard_set.sidecar(number).examples
        refs.extend(_example_ref(shard_set, info, entry) for entry in entries)
    _check_unique(refs)
    return tuple(refs)


def _check_size(url: str, info: ShardInfo) -> None:
    size = store.size_bytes(store.join(url, info.file))
    if size is None:
        raise ManifestError(f"{url}: {info.file}: expected a shard of {info.bytes} bytes, none")
    if size != info.bytes:
        state = "the tar is cut short" if size < info.bytes else "it was written after the index"
        raise ManifestError(
            f"{url}: {info.file}: expected {info.bytes} bytes, got {size}: {state}; "
            "copy or build it again"
        )


def _check_unique(refs: list[ExampleRef]) -> None:
    seen = set[str]()
    for ref in refs:
        if ref.key in seen:
            raise ManifestError(f"{ref.shard_url}: {ref.key}: expected one such key, found two")
        seen.add(ref.key)


def _example_ref(shard_set: ShardSet, info: ShardInfo, entry: ShardEntry) -> ExampleRef:
    index, where = shard_set.index, f"{shard_set.url}: {info.file}: {entry.key}"
    record = entry.record
    if record.key != entry.key or record.domain != info.domain:
        raise ManifestError(
            f"{where}: expected {entry.key} of half {info.domain}, its record says {record.key} "
            f"of half {record.domain}"
        )
    lengths = {member.n_samples for member in record.members.values()}
    if len(lengths) != 1:
        raise ManifestError(f"{where}: expected members of one length, got {sorted(lengths)}")
    unknown = set(record.tags) - set(index.tags)
    if unknown:
        raise ManifestError(
            f"{where}: expected tags of the set's vocabulary, got {sorted(unknown)}"
        )
    music = record.music
    return ExampleRef(
        set_url=shard_set.url,
        shard=info.file,
        offset=entry.offset,
        n_bytes=entry.bytes,
        key=entry.key,
        codec=index.codec,
        n_samples=lengths.pop(),
        domain=info.domain,
        song=f"{music.corpus}:{music.song or music.clip_id}",
        artist=f"{music.corpus}:{music.artist}" if music.artist else "",
        tags=tuple(sys.intern(tag) for tag in record.tags),
        members=_member_refs(index, entry, where),
        gain_db=record.gain_db,
        band_hz=record.band_hz,
    )


def _member_refs(index: SetIndex, entry: ShardEntry, where: str) -> tuple[MemberRef, ...]:
    """Derive the offset of each member from the sizes, in the order of the format."""
    names = member_names(index.snrs_db, with_noise=bool(index.snrs_db))
    files = [*(f"{name}.{index.codec}" for name in names), SIDECAR]
    if entry.member_bytes.keys() != set(files) or entry.record.members.keys() != set(names):
        raise ManifestError(f"{where}: expected members {files}, got {sorted(entry.member_bytes)}")
    offset, refs = entry.offset, list[MemberRef]()
    for name, file in zip([*names, ""], files, strict=True):
        n_bytes = entry.member_bytes[file]
        if name:
            digest = entry.record.members[name].pcm_sha256
            refs.append(MemberRef(sys.intern(name), offset, n_bytes, digest))
        offset += TAR_BLOCK + -(-n_bytes // TAR_BLOCK) * TAR_BLOCK
    if offset - entry.offset != entry.bytes:
        raise ManifestError(
            f"{where}: expected {entry.bytes} bytes, its members come to {offset - entry.offset}"
        )
    return tuple(refs)


def restrict(refs: Iterable[ExampleRef], names: Iterable[str]) -> tuple[ExampleRef, ...]:
    """Return the references with the members named alone: no others can be opened through them.

    Raises:
        ManifestError: an example lacks one of them.
    """
    wanted = tuple(names)
    return tuple(replace(ref, members=tuple(map(ref.member, wanted))) for ref in refs)


def without_tags(refs: Iterable[ExampleRef]) -> tuple[ExampleRef, ...]:
    """Return the references without their tags, for examples that must stay unlabelled."""
    return tuple(replace(ref, tags=()) for ref in refs)
