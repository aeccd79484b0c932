"""Verify a set on disk: files against hashes, every example against its sidecar and target SNR."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from tarfile import BLOCKSIZE
from typing import Final

from manifests import store
from manifests.errors import ManifestError
from manifests.example import encode_sidecar
from manifests.keys import (
    SHARD_PATTERN,
    SIDECAR,
    member_names,
    shard_name,
    sidecar_name,
)
from manifests.shard import ShardEntry, iter_examples
from manifests.shardset import INDEX, ShardSet, load_set, shared_set
from pipeline.audit import audit_example
from pipeline.engine import run_tasks
from pipeline.finish import CHECKSUMS, FILES
from pipeline.frozen.marker import marker_problems
from pipeline.progress import Reporter, SilentReporter
from pipeline.set_files import read_checksums
from pipeline.sources import absolute_url

NO_FILE: Final = "found a folder, a pipe or a device"


@dataclass(frozen=True)
class Verdict:
    """What verification found.

    Attributes:
        name: name of the set.
        n_files: files checked against ``manifest-sha256.txt``.
        n_examples: examples whose members were decoded and measured.
        problems: one line each; empty where all is well.
    """

    name: str
    n_files: int
    n_examples: int
    problems: tuple[str, ...]


def verify_set(
    url: str,
    *,
    files_only: bool = False,
    jobs: int = 1,
    reporter: Reporter | None = None,
) -> Verdict:
    """Check a set completely; problems are collected, not raised.

    Args:
        url: path or URL of the set.
        files_only: compare file hashes only, decode nothing.
        jobs: worker processes.
        reporter: shows progress.

    Raises:
        ManifestError: there is no set, or its index cannot be read.
    """
    url = absolute_url(url)
    for name in (INDEX, CHECKSUMS):
        if _is_no_file(store.join(url, name)):
            raise ManifestError(f"{name}: expected a file, {NO_FILE}")
    shard_set = load_set(url)
    hashes = read_checksums(url)
    shard_names = {shard.file for shard in shard_set.index.shards}
    sidecar_names = {sidecar_name(number) for number in range(len(shard_names))}
    expected = shard_names | sidecar_names | set(FILES) - {CHECKSUMS}
    problems = [f"{name}: not in {CHECKSUMS}" for name in sorted(expected - hashes.keys())]
    problems += [
        f"{name}: a shard that {INDEX} does not list; readers of shard-*.tar would take it"
        for name in store.list_names(url)
        if SHARD_PATTERN.fullmatch(name) and name not in shard_names
    ]
    for name, sha256 in hashes.items():
        if name not in shard_names:
            problems += _check_file(url, name, sha256)
    problems += marker_problems(shard_set, hashes)
    keys: dict[int, list[str]] = {}
    with (reporter or SilentReporter()).track(
        f"verify {shard_set.index.name}", len(shard_names), "shards"
    ) as advance:
        arguments = [(url, number, files_only) for number in range(len(shard_names))]
        for number, found, read in run_tasks(verify_shard, arguments, jobs=jobs):
            problems += found
            keys[number] = read
            advance(1)
    n_examples = sum(map(len, keys.values()))
    problems += _repeated(keys)
    problems += _check_counts(shard_set, n_examples, files_only)
    return Verdict(shard_set.index.name, len(hashes), n_examples, tuple(sorted(problems)))


def _check_file(url: str, name: str, sha256: str) -> list[str]:
    path = store.join(url, name)
    if not store.exists(path):
        return [f"{name}: expected a file, found none"]
    if _is_no_file(path):
        return [f"{name}: expected a file, {NO_FILE}"]
    with store.open_read(path) as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    return [] if found == sha256 else [f"{name}: expected SHA-256 {sha256}, got {found}"]


def _is_no_file(url: str) -> bool:
    """Tell whether something else is in a file's place; a pipe would be waited for for ever."""
    if not store.is_local(url):
        return False
    path = store.local_path(url)
    return path.exists() and not path.is_file()


def _repeated(keys: Mapping[int, Sequence[str]]) -> list[str]:
    """Return a problem for every key that an earlier shard has too."""
    first: dict[str, int] = {}
    return [
        f"{shard_name(number)}: {key}: expected each key once in a set, it is in "
        f"{shard_name(first[key])} too"
        for number in sorted(keys)
        for key in keys[number]
        if first.setdefault(key, number) != number
    ]


def verify_shard(url: str, number: int, files_only: bool) -> tuple[int, list[str], list[str]]:
    """Check one shard: its hash, and every example in it.

    Returns:
        The shard's number, problems, and the keys of the examples that were decoded.
    """
    try:
        shard_set = shared_set(url)
    except ManifestError as error:
        return number, [str(error)], []
    info = shard_set.index.shards[number]
    problems = _check_file(url, info.file, info.sha256)
    if _is_no_file(store.join(url, sidecar_name(number))):
        return number, problems, []  # a problem of the sidecar, which the files' check names
    try:
        entries = {entry.key: entry for entry in shard_set.sidecar(number).examples}
    except ManifestError as error:
        problems.append(str(error))
        entries = {}
    path = store.join(url, info.file)
    if files_only or not store.exists(path) or _is_no_file(path):
        return number, problems, []
    keys, offset = list[str](), 0
    try:
        with store.open_read(path) as file:
            for key, files in iter_examples(file, info.file):
                keys.append(key)
                problems += _check_example(shard_set, number, key, files)
                if key in entries:
                    problems += _check_entry(f"{info.file}: {key}", entries[key], offset, files)
                offset += _tar_bytes(files)
    except ManifestError as error:
        problems.append(str(error))
    if len(keys) != info.n_examples or (entries and keys != list(entries)):
        read = set(keys)
        missing = [key for key in entries if key not in read]
        problems.append(
            f"{info.file}: expected {info.n_examples} examples, got {len(keys)}"
            + (f"; missing {', '.join(missing[:3])}" if missing else "")
        )
    return number, problems, keys


def _check_example(
    shard_set: ShardSet, number: int, key: str, files: dict[str, bytes]
) -> list[str]:
    index = shard_set.index
    name = f"{index.shards[number].file}: {key}"
    try:
        example = audit_example(files, name, index.snrs_db)
    except ManifestError as error:
        return [str(error)]
    found = (example.key, example.split, example.domain, len(example.noises))
    noises = index.noises_per_example
    expected = (key, index.split, index.shards[number].domain, noises)
    problems = []
    if found != expected:
        problems.append(f"{name}: expected key, split, domain, noises {expected}, got {found}")
    members = [f"{m}.{index.codec}" for m in member_names(index.snrs_db, bool(index.snrs_db))]
    if [*members, SIDECAR] != list(files):
        problems.append(f"{name}: expected members {[*members, SIDECAR]}, got {list(files)}")
    if unknown := set(example.tags) - set(index.tags):
        problems.append(f"{name}: tags {sorted(unknown)} are not in the set's vocabulary")
    return problems


def _check_entry(name: str, entry: ShardEntry, offset: int, files: dict[str, bytes]) -> list[str]:
    """Compare a shard's sidecar with what lies in the tar: readers seek by it."""
    problems = []
    place = (entry.offset, entry.bytes, entry.member_bytes)
    found = (offset, _tar_bytes(files), {ext: len(data) for ext, data in files.items()})
    if place != found:
        problems.append(f"{name}: sidecar says offset, bytes, members {place}, the tar {found}")
    if encode_sidecar(entry.record) != files.get(SIDECAR):
        problems.append(f"{name}: sidecar of the shard says otherwise than {entry.key}.json")
    return problems


def _tar_bytes(files: dict[str, bytes]) -> int:
    """Return what members take in a tar: a header each, and padding to whole blocks."""
    return sum(BLOCKSIZE + -(-len(data) // BLOCKSIZE) * BLOCKSIZE for data in files.values())


def _check_counts(shard_set: ShardSet, n_examples: int, files_only: bool) -> list[str]:
    listed = sum(shard.n_examples for shard in shard_set.index.shards)
    problems = []
    if listed != shard_set.index.counts.get("examples"):
        problems.append(
            f"{INDEX}: counts {shard_set.index.counts.get('examples', 0):g} examples, "
            f"its shards hold {listed}"
        )
    if not files_only and n_examples != listed:
        problems.append(f"expected {listed} examples, decoded {n_examples}")
    return problems
