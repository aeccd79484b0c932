"""Examples, shards and sets with few samples, written through the contract."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from manifests import store
from manifests.canonical import canonical_json, pretty_json
from manifests.example import (
    FORMAT_VERSION,
    Example,
    Member,
    MusicSource,
    NoiseSource,
    encode_sidecar,
)
from manifests.keys import AUDIO, CLEAN, SIDECAR, noisy_name, shard_name, sidecar_name
from manifests.member_audio import encode_pcm, pcm_sha256
from manifests.rows import SAMPLE_RATE
from manifests.shard import ShardEntry, ShardSidecar, ShardWriter
from manifests.shardset import INDEX, SetIndex, ShardInfo
from manifests.signal import achieved_snr_db

SNRS_DB = (10.0, -10.0)
HASH = "0" * 64
Files = dict[str, bytes]


def tiny_example(
    key: str, snrs_db: Sequence[float] = SNRS_DB, codec: str = "flac", n_samples: int = 300
) -> tuple[Example, Files]:
    """One example of white noise and its files, in the order they are stored."""
    rng = np.random.default_rng(sum(key.encode()))
    clean = rng.integers(-3_000, 3_000, n_samples).astype(np.int16)
    pcms = {CLEAN: clean} if snrs_db else {AUDIO: clean}
    for snr_db in snrs_db:
        pcms[noisy_name(snr_db)] = clean + rng.integers(-900, 900, n_samples).astype(np.int16)
    targets = {noisy_name(snr_db): snr_db for snr_db in snrs_db}
    members = {
        name: Member(
            target_db=targets.get(name),
            mix_gain_db=0.0 if name in targets else None,
            achieved_db=round(achieved_snr_db(clean, pcm), 3) if name in targets else None,
            peak=round(float(np.max(np.abs(pcm))) / 32_768, 6),
            n_samples=n_samples,
            pcm_sha256=pcm_sha256(pcm),
        )
        for name, pcm in pcms.items()
    }
    example = Example(
        format_version=FORMAT_VERSION,
        key=key,
        split="test",
        domain=None,
        tags=("guitar",),
        music=MusicSource("tiny", key, "song", "", "CC0", HASH, SAMPLE_RATE, 0.0, 0.0136),
        noises=(NoiseSource("tiny", "n", ("hum",), "CC0", HASH, SAMPLE_RATE, 0.5, False, 12.5),),
        gain_db=0.0,
        band_hz=None,
        chunk_snr_db=(),
        members=members,
    )
    files = {f"{name}.{codec}": encode_pcm(pcm, SAMPLE_RATE, codec) for name, pcm in pcms.items()}
    return example, files | {SIDECAR: encode_sidecar(example)}


def shard_bytes(examples: Mapping[str, Files]) -> tuple[bytes, list[tuple[int, int]]]:
    """A shard of examples, and the offset and length of each."""
    buffer = io.BytesIO()
    writer = ShardWriter(buffer)
    places = [writer.add(key, files) for key, files in examples.items()]
    writer.close()
    return buffer.getvalue(), places


def write_tiny_set(url: str, n_shards: int = 2, n_examples: int = 2) -> SetIndex:
    """Write a whole set; returns its index."""
    infos = []
    for number in range(n_shards):
        built = {
            f"tiny-{number}-{i}": tiny_example(f"tiny-{number}-{i}") for i in range(n_examples)
        }
        buffer = io.BytesIO()
        writer, entries = ShardWriter(buffer), []
        for key, (example, files) in built.items():
            offset, length = writer.add(key, files)
            sizes = {name: len(data) for name, data in files.items()}
            entries.append(ShardEntry(key, offset, length, sizes, {CLEAN: -20.0}, example))
        length, sha256 = writer.close()
        name = shard_name(number)
        sidecar = ShardSidecar(
            FORMAT_VERSION, name, None, n_examples, length, sha256, HASH, tuple(entries)
        )
        store.write_bytes(store.join(url, name), buffer.getvalue())
        store.write_text(store.join(url, sidecar_name(number)), canonical_json(sidecar))
        infos.append(ShardInfo(name, n_examples, length, sha256, None))
    index = SetIndex(
        format_version=FORMAT_VERSION,
        name="tiny",
        split="test",
        sample_rate=SAMPLE_RATE,
        tags=("guitar",),
        snrs_db=SNRS_DB,
        noises_per_example=1,
        codec="flac",
        counts={"examples": float(n_shards * n_examples)},
        shards=tuple(infos),
        plan_sha256=HASH,
        config={"seed": 0},
        tools={},
    )
    write_record(store.join(url, INDEX), json.loads(canonical_json(index)))
    return index


def write_record(url: str, record: dict[str, Any]) -> None:
    """Write a JSON file, e.g. a changed index."""
    store.write_text(url, pretty_json(record))
