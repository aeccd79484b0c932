"""Recipes that carry their audio: whether licences allow it, and the set's files that go along."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Final

from manifests import store
from manifests.errors import ManifestError
from manifests.keys import sidecar_name
from manifests.shardset import EXAMPLES, INDEX, REJECTS, ShardSet
from pipeline.frozen.licence_policy import refusals
from pipeline.frozen.recipe import CHECKSUMS
from pipeline.frozen.rows import FrozenSource

SET_FILES: Final = (EXAMPLES, REJECTS, INDEX)
"""Files of a set beside its shards that go along; the index last, it makes the folder a set."""
_COPY_BYTES: Final = 1 << 20


def check_licences(sources: Iterable[FrozenSource], *, force: bool) -> list[str]:
    """Refuse audio that may not be passed on; forced, the reasons become notes of the card.

    Raises:
        ManifestError: a licence forbids it, and it is not forced.
    """
    refused = refusals(sources)
    lines = [
        f"{len(found):,} sources ({found[0].corpus} {found[0].clip_id}, …): {reason}"
        for reason, found in sorted(refused.items())
    ]
    if lines and not force:
        raise ManifestError(
            f"--with-audio: expected licences that let audio be passed on, got {'; '.join(lines)}; "
            "freeze without it: the other team thaws from its own copies (--force takes the "
            "responsibility)"
        )
    return [f"audio included by --force against: {line}" for line in lines]


def set_files(hashes: Mapping[str, str], shard_set: ShardSet) -> dict[str, str]:
    """Return the files of a set that an audio-carrying recipe holds, with their hashes.

    Args:
        hashes: SHA-256 of every file of the set.
        shard_set: the set.

    Raises:
        ManifestError: the set's manifest does not list one of them.
    """
    names = []
    for number, shard in enumerate(shard_set.index.shards):
        names += [shard.file, sidecar_name(number)]
    names += SET_FILES
    if missing := [name for name in names if name not in hashes]:
        raise ManifestError(
            f"{shard_set.url}: {CHECKSUMS}: expected {', '.join(missing[:3])} in it, found none; "
            "the set is damaged: build it again"
        )
    return {name: hashes[name] for name in names}


def copy_files(source: str, target: str, hashes: Mapping[str, str]) -> None:
    """Copy files from one folder or URL to another, in order; none looks whole before it is.

    Raises:
        ManifestError: a file is not what its hash says.
    """
    for name, sha256 in hashes.items():
        digest = hashlib.sha256()
        with (
            store.open_read(store.join(source, name)) as file,
            store.partial_file(store.join(target, name)) as path,
            path.open("wb") as to,
        ):
            while piece := file.read(_COPY_BYTES):
                digest.update(piece)
                to.write(piece)
            if digest.hexdigest() != sha256:
                raise ManifestError(
                    f"{source}: {name}: expected SHA-256 {sha256[:12]}…, got "
                    f"{digest.hexdigest()[:12]}…; the set is damaged: prep verify says where"
                )
