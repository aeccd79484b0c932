"""A set on disk: index.json, its shards and their sidecars; and suites of sets."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from manifests import store
from manifests.errors import ManifestError
from manifests.example import FORMAT_VERSION
from manifests.keys import SHARD_PATTERN, check_file_name, sidecar_name
from manifests.records import parse_json, row_from_json
from manifests.rows import SAMPLE_RATE
from manifests.shard import ShardEntry, ShardSidecar

INDEX: Final = "index.json"
EXAMPLES: Final = "examples.parquet"
REJECTS: Final = "rejects.parquet"
TAGS: Final = "tags.json"
SUITE: Final = "suite.json"
ROLES: Final = (
    "pretrain-train",
    "pretrain-valid",
    "train",
    "valid",
    "test-audioset",
    "test-musan",
    "extra-target",
)


@dataclass(frozen=True)
class ShardInfo:
    """One shard as the index lists it."""

    file: str
    n_examples: int
    bytes: int
    sha256: str
    domain: str | None


@dataclass(frozen=True)
class SetIndex:
    """``index.json``: what a set is, and the hash of every shard.

    Attributes:
        format_version: version of the shard format.
        name: name of the set.
        split: split of its music.
        sample_rate: always 22,050 Hz.
        tags: tag vocabulary, in order.
        snrs_db: SNR of each noisy member, in the order they are stored; empty without noise.
        noises_per_example: noises summed in each mix, 0 for real recordings.
        codec: ``flac`` or ``wav``.
        counts: ``examples``, ``source``, ``target``, ``songs``, ``seconds``, ``bytes``,
            ``rejects``.
        shards: the shards in order.
        plan_sha256: over the canonical JSON lines of the plan (see ``pipeline.plan``).
        config: all that changes bytes: the identity config. No roots, no output, no jobs.
        tools: versions of decoder, resampler and packages.
    """

    format_version: int
    name: str
    split: str
    sample_rate: int
    tags: tuple[str, ...]
    snrs_db: tuple[float, ...]
    noises_per_example: int
    codec: str
    counts: dict[str, float]
    shards: tuple[ShardInfo, ...]
    plan_sha256: str
    config: dict[str, Any]
    tools: dict[str, str]


@dataclass(frozen=True)
class ShardSet:
    """A finished set at a path or URL."""

    url: str
    index: SetIndex

    def sidecar(self, number: int) -> ShardSidecar:
        """Load the sidecar of a shard and check it against the index.

        Raises:
            ManifestError: it is missing or says otherwise than the index.
        """
        info = self.index.shards[number]
        sidecar = read_sidecar(self.url, number)
        said = (sidecar.file, sidecar.n_examples, sidecar.bytes, sidecar.sha256, sidecar.domain)
        listed = (info.file, info.n_examples, info.bytes, info.sha256, info.domain)
        if said != listed:
            raise ManifestError(f"{self.url}: {info.file}: index says {listed}, sidecar {said}")
        return sidecar

    def entries(self) -> Iterator[tuple[ShardInfo, ShardEntry]]:
        """Iterate over all examples in shard order, from the sidecars."""
        for number, info in enumerate(self.index.shards):
            for entry in self.sidecar(number).examples:
                yield info, entry


def read_sidecar(url: str, number: int) -> ShardSidecar:
    """Load ``shard-NNNNNN.json``; raises ManifestError where it is missing or malformed."""
    name = sidecar_name(number)
    return parse_sidecar(store.read_bytes(store.join(url, name)), name)


def parse_sidecar(data: bytes, name: str) -> ShardSidecar:
    """Return the sidecar of a shard from its bytes.

    Raises:
        ManifestError: it is malformed, of another version, or its examples are not as many as it
            says or do not lie within the shard.
    """
    sidecar = row_from_json(data, ShardSidecar, name)
    if sidecar.format_version != FORMAT_VERSION:
        raise ManifestError(
            f"{name}: expected format version {FORMAT_VERSION}, got {sidecar.format_version}"
        )
    if len(sidecar.examples) != sidecar.n_examples:
        raise ManifestError(
            f"{name}: expected {sidecar.n_examples} examples, its sidecar lists "
            f"{len(sidecar.examples)}"
        )
    for entry in sidecar.examples:
        if not 0 <= entry.offset < entry.offset + entry.bytes <= sidecar.bytes:
            raise ManifestError(
                f"{name}: {entry.key}: expected a place within {sidecar.bytes} bytes, "
                f"got {entry.bytes} bytes from {entry.offset} on"
            )
    return sidecar


def load_set(url: str) -> ShardSet:
    """Load the index of a finished set.

    Raises:
        ManifestError: there is no index (not a set, or its build is not finished), it is malformed,
            of another version or rate, or lists illegal file names.
    """
    path = store.join(url, INDEX)
    if not store.exists(path):
        hint = ""
        if store.exists(store.join(url, ".plan")):
            hint = "; its build is not finished: run the same prep build-shards command again"
        raise ManifestError(f"{url}: expected a set with {INDEX}, found none{hint}")
    index = row_from_json(store.read_bytes(path), SetIndex, path)
    if index.format_version != FORMAT_VERSION:
        raise ManifestError(
            f"{path}: expected format version {FORMAT_VERSION}, got {index.format_version}"
        )
    if index.sample_rate != SAMPLE_RATE:
        raise ManifestError(f"{path}: expected {SAMPLE_RATE} Hz, got {index.sample_rate}")
    for number, shard in enumerate(index.shards):
        match = SHARD_PATTERN.fullmatch(shard.file)
        if match is None or int(match[1]) != number:
            raise ManifestError(f"{path}: shard {number}: illegal file name {shard.file!r}")
    return ShardSet(url, index)


def shared_set(url: str) -> ShardSet:
    """Load a set once in a process, for as long as its index does not change.

    An index lists all shards and each shard is a task: read anew in every task it would cost the
    square of their number. Raises ManifestError as ``load_set`` does.
    """
    return _kept_set(url, store.change_stamp(store.join(url, INDEX)))


@functools.lru_cache(maxsize=1)
def _kept_set(url: str, _stamp: tuple[str, str]) -> ShardSet:
    return load_set(url)


def load_suite(url: str) -> dict[str, str]:
    """Return the set folders of a suite by role: URL of each.

    ``url`` may be the suite's own folder or a folder that holds exactly one (``DIR`` with ``k1``).

    Raises:
        ManifestError: no suite there, several, or an illegal folder name in it.
    """
    path = store.join(url, SUITE)
    if not store.exists(path):
        below = [k for k in ("k1", "k2", "k4") if store.exists(store.join(url, k, SUITE))]
        if len(below) != 1:
            found = ", ".join(below) or "none"
            raise ManifestError(
                f"{url}: expected a suite ({SUITE} in it or in exactly one of k1, k2, k4), "
                f"found {found}; name one of them"
            )
        return load_suite(store.join(url, below[0]))
    suite = parse_json(store.read_bytes(path), path)
    if not isinstance(suite, dict) or not all(isinstance(f, str) for f in suite.values()):
        raise ManifestError(f"{path}: expected an object of role and folder name")
    return {
        role: store.join(url, check_file_name(folder)) for role, folder in sorted(suite.items())
    }


def sets_of(url: str) -> list[str]:
    """Return the sets that a path names: itself, or those of the suite that it holds.

    Raises:
        ManifestError: it is neither.
    """
    if store.exists(store.join(url, SUITE)):
        return list(load_suite(url).values())
    folders = [store.join(url, k) for k in ("k1", "k2", "k4")]
    suites = [folder for folder in folders if store.exists(store.join(folder, SUITE))]
    if suites:
        return [found for folder in suites for found in load_suite(folder).values()]
    return [load_set(url).url]
