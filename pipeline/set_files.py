"""The files of a set in its folder: which are ours, which are lost or damaged, how they go."""

from __future__ import annotations

import hashlib
import posixpath
import re
from collections.abc import Collection, Iterable
from typing import Final

from manifests import store
from manifests.errors import ManifestError
from manifests.keys import check_file_name, sidecar_name
from manifests.shardset import INDEX, SetIndex
from pipeline.finish import CHECKSUMS, FILES
from pipeline.frozen.recipe import PLAN
from pipeline.shard_task import PLAN_FOLDER

SHARD_FILE: Final = re.compile(r"shard-\d{6}\.(tar|json)")


def entries(out: str) -> list[str]:
    """Return the sorted names of files and folders directly in ``out``; none where it is not.

    Raises:
        ManifestError: it is a file.
    """
    if store.is_local(out):
        path = store.local_path(out)
        if path.exists() and not path.is_dir():
            raise ManifestError(f"{out}: expected a folder, got a file; choose another place")
        return sorted(entry.name for entry in path.iterdir()) if path.is_dir() else []
    file_system, path_there = store.filesystem(out)
    file_system.invalidate_cache()
    try:
        found = file_system.ls(path_there, detail=False)
    except FileNotFoundError:
        return []
    names = {posixpath.basename(str(name).rstrip("/")) for name in found}
    return sorted(names - {"", posixpath.basename(path_there.rstrip("/"))})


def is_set(names: Iterable[str]) -> bool:
    """Tell whether a folder holds a set or its beginning: our sidecars, or the plan folder.

    An index.json or shards alone may be anybody's.
    """
    return any(
        name == PLAN_FOLDER or (SHARD_FILE.fullmatch(name) and name.endswith(".json"))
        for name in names
    )


def refuse_others(out: str, names: Collection[str], what: str = "a set") -> None:
    """Refuse a folder that holds something else than a set; hidden entries do not count.

    Raises:
        ManifestError: it does, or a recipe, which may carry the shards of a set.
    """
    advice = "choose another --out (--overwrite removes sets only)"
    if PLAN in names:
        raise ManifestError(f"{out}: expected {what} or an empty folder, found a recipe; {advice}")
    foreign = [name for name in names if not name.startswith(".")]
    if foreign and not is_set(names):
        raise ManifestError(
            f"{out}: expected a new folder, an empty one or {what}, found "
            f"{', '.join(foreign[:3])}; {advice}"
        )


def clear(out: str) -> None:
    """Remove a set's files and nothing else.

    Its index goes first, so that no rest ever looks whole, and the sidecars last, so that what a
    killed removal leaves is still known as ours.
    """
    store.remove(store.join(out, INDEX))
    store.remove_partials(out)
    ours = [name for name in entries(out) if _is_ours(name)]
    sidecars = [name for name in ours if SHARD_FILE.fullmatch(name) and name.endswith(".json")]
    for name in [*(name for name in ours if name not in sidecars), *sidecars]:
        store.remove(store.join(out, name))


def _is_ours(name: str) -> bool:
    beside = ("recipe.json", "verdicts.parquet")  # what freezing and thawing add to a set
    known = name in (*FILES, *beside) or name == PLAN_FOLDER
    return known or SHARD_FILE.fullmatch(name) is not None


def lost_files(
    out: str, index: SetIndex, names: Collection[str], beside: Iterable[str] = ()
) -> list[str]:
    """Return the files of a finished set that are gone, or (locally) tars of another size.

    Args:
        out: path or URL of the set.
        index: its index.
        names: what lies in its folder.
        beside: files that it has beside those of every set.
    """
    lost = _expected(index, beside) - set(names)
    if store.is_local(out):
        sizes = {s.file: store.size_bytes(store.join(out, s.file)) for s in index.shards}
        lost |= {shard.file for shard in index.shards if sizes[shard.file] != shard.bytes}
    return sorted(lost)


def read_checksums(url: str) -> dict[str, str]:
    """Read ``manifest-sha256.txt``: SHA-256 by file name.

    Raises:
        ManifestError: it is missing, malformed, or names a file elsewhere.
    """
    hashes = {}
    for line in store.read_text(store.join(url, CHECKSUMS)).splitlines():
        sha256, separator, name = line.partition("  ")
        if not separator or len(sha256) != 64:
            raise ManifestError(f"{CHECKSUMS}: expected 'SHA-256  NAME', got {line[:80]!r}")
        hashes[check_file_name(name)] = sha256
    return hashes


def remove_damaged(
    out: str, index: SetIndex, names: Collection[str], beside: Iterable[str] = ()
) -> list[str]:
    """Hash all files of a finished set, remove those that are not as its manifest says.

    Returns:
        Names of the files that were removed; what is lost is not among them.

    Raises:
        ManifestError: the manifest is malformed.
    """
    if CHECKSUMS not in names:
        return []
    hashes = read_checksums(out)
    damaged = []
    for name in sorted(_expected(index, beside) & set(names) - {CHECKSUMS}):
        with store.open_read(store.join(out, name)) as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != hashes.get(name):
            damaged.append(name)
    for name in damaged:
        store.remove(store.join(out, name))
    return damaged


def _expected(index: SetIndex, beside: Iterable[str]) -> set[str]:
    sidecars = (sidecar_name(number) for number in range(len(index.shards)))
    return {*FILES, *beside, *(shard.file for shard in index.shards), *sidecars}
