"""Compare every byte of the shards with the index, and name the example that was changed.

Training decodes crops only, so it meets a changed byte when it hears it; this finds it before.
"""

from __future__ import annotations

import hashlib
from typing import Final

from manifests import store
from manifests.errors import ManifestError
from manifests.shardset import ShardInfo, ShardSet
from trainer.data.crops import whole_pcm
from trainer.data.index import load_refs
from trainer.data.members import ShardReader

_BLOCK_BYTES: Final = 1 << 22


def verify_shards(shard_set: ShardSet) -> None:
    """Hash every shard of a set.

    Raises:
        ManifestError: a shard is cut short, missing or holds other bytes than the index says; the
            message names the shard, and the example and member where one no longer decodes to
            its samples.
    """
    refs = load_refs(shard_set)
    for info in shard_set.index.shards:
        if shard_sha256(shard_set, info) == info.sha256:
            continue
        with ShardReader() as reader:
            for ref in refs:
                names = tuple(member.name for member in ref.members)
                if ref.shard == info.file:
                    for name, data in reader.read([(ref, names)])[0].items():
                        whole_pcm(ref, name, data)
        raise ManifestError(
            f"{shard_set.url}: {info.file}: expected SHA-256 {info.sha256[:12]}…, got another, "
            "though all samples are as they should be; copy or build the shard again"
        )


def shard_sha256(shard_set: ShardSet, info: ShardInfo) -> str:
    """Return the SHA-256 of a shard's bytes, hex."""
    digest = hashlib.sha256()
    with store.open_read(store.join(shard_set.url, info.file)) as file:
        while block := file.read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()
