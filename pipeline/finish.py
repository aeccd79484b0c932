"""Finish a set: tables, card and metadata from the sidecars, then ``index.json``, last.

Everything here is a function of the plan and the shards' sidecars, so a set that was built in
several runs is the same as one built in a single run, byte for byte.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Final

from manifests import store
from manifests.canonical import pretty_json
from manifests.errors import ManifestError
from manifests.example import FORMAT_VERSION
from manifests.keys import sidecar_name
from manifests.rows import SAMPLE_RATE, SOURCE, TARGET, Reject
from manifests.shard import ShardEntry
from manifests.shardset import EXAMPLES, INDEX, REJECTS, TAGS, SetIndex, ShardInfo, parse_sidecar
from manifests.tables import write_table
from pipeline.card import LicenceUse, licence_uses, readme
from pipeline.croissant import croissant
from pipeline.planned import Plan
from pipeline.shard_task import PLAN_FOLDER, PlanHeader

CHECKSUMS: Final = "manifest-sha256.txt"
CROISSANT: Final = "croissant.json"
README: Final = "README.md"
FILES: Final = (EXAMPLES, REJECTS, TAGS, README, CROISSANT, CHECKSUMS, INDEX)
"""Files of every set beside its shards, in the order they are written."""


@dataclass(frozen=True)
class ExampleRow:
    """One row of ``examples.parquet``: an example's sidecar, flat, with its place."""

    key: str
    split: str
    domain: str | None
    shard: int
    offset: int
    n_bytes: int
    tags: tuple[str, ...]
    corpus: str
    clip_id: str
    song: str
    artist: str
    licence: str
    start_s: float
    duration_s: float
    noise_corpora: tuple[str, ...]
    noise_clip_ids: tuple[str, ...]
    noise_labels: tuple[str, ...]
    noise_licences: tuple[str, ...]
    noise_looped: tuple[bool, ...]
    gain_db: float
    band_hz: float | None
    members: tuple[str, ...]
    targets_db: tuple[float, ...]
    achieved_db: tuple[float, ...]
    levels_db: tuple[float, ...]
    peaks: tuple[float, ...]
    chunk_snr_db: tuple[float, ...]


def example_row(shard: int, entry: ShardEntry, names: Sequence[str]) -> ExampleRow:
    """Flatten one sidecar entry; members in the set's order, JSON has them sorted by name."""
    record = entry.record
    members = {name: record.members[name] for name in names}
    return ExampleRow(
        key=record.key,
        split=record.split,
        domain=record.domain,
        shard=shard,
        offset=entry.offset,
        n_bytes=entry.bytes,
        tags=record.tags,
        corpus=record.music.corpus,
        clip_id=record.music.clip_id,
        song=record.music.song,
        artist=record.music.artist,
        licence=record.music.licence,
        start_s=record.music.start_s,
        duration_s=record.music.duration_s,
        noise_corpora=tuple(noise.corpus for noise in record.noises),
        noise_clip_ids=tuple(noise.clip_id for noise in record.noises),
        noise_labels=tuple("; ".join(noise.labels) for noise in record.noises),
        noise_licences=tuple(noise.licence for noise in record.noises),
        noise_looped=tuple(noise.looped for noise in record.noises),
        gain_db=record.gain_db,
        band_hz=record.band_hz,
        members=tuple(members),
        targets_db=tuple(m.target_db for m in members.values() if m.target_db is not None),
        achieved_db=tuple(m.achieved_db for m in members.values() if m.achieved_db is not None),
        levels_db=tuple(entry.levels_db[name] for name in members),
        peaks=tuple(m.peak for m in members.values()),
        chunk_snr_db=record.chunk_snr_db,
    )


def finish_set(plan: Plan, out: str, header: PlanHeader) -> SetIndex:
    """Write all files of a set beside its shards; ``index.json`` last marks the set as done.

    Raises:
        ManifestError: a shard is missing or holds other examples than the plan.
    """
    read = _Read()
    write_table(store.join(out, EXAMPLES), _example_rows(plan, out, read), ExampleRow)
    rejects = sorted(plan.rejects, key=lambda r: (r.corpus, r.path, r.reason, r.detail))
    index = _index(plan, header, read.shards)
    write_table(store.join(out, REJECTS), rejects, Reject)
    store.write_text(store.join(out, TAGS), pretty_json(plan.vocabulary.to_dict()))
    store.write_text(store.join(out, README), readme(plan, index, read.uses))
    index_text = pretty_json(asdict(index))
    hashes = {shard.file: shard.sha256 for shard in read.shards} | read.sidecar_hashes
    for name in (EXAMPLES, REJECTS, TAGS, README):
        hashes[name] = _file_sha256(out, name)
    hashes[INDEX] = hashlib.sha256(index_text.encode()).hexdigest()
    metadata = pretty_json(croissant(plan, index, hashes))
    hashes[CROISSANT] = hashlib.sha256(metadata.encode()).hexdigest()
    store.write_text(store.join(out, CROISSANT), metadata)
    lines = [f"{sha256}  {name}\n" for name, sha256 in sorted(hashes.items())]
    store.write_text(store.join(out, CHECKSUMS), "".join(lines))
    store.write_text(store.join(out, INDEX), index_text)
    store.remove(store.join(out, PLAN_FOLDER))
    return index


def _file_sha256(out: str, name: str) -> str:
    return hashlib.sha256(store.read_bytes(store.join(out, name))).hexdigest()


@dataclass(frozen=True)
class _Read:
    """What is kept of the sidecars as they are read: they take 10 kB an example."""

    shards: list[ShardInfo] = field(default_factory=list)
    sidecar_hashes: dict[str, str] = field(default_factory=dict)
    uses: Counter[LicenceUse] = field(default_factory=Counter)


def _example_rows(plan: Plan, out: str, read: _Read) -> Iterator[ExampleRow]:
    """Read the sidecars in order, each checked against the plan; what they say goes to ``read``."""
    for number, rows in sorted(plan.shards().items()):
        name = sidecar_name(number)
        data = store.read_bytes(store.join(out, name))
        sidecar = parse_sidecar(data, name)
        if [entry.key for entry in sidecar.examples] != [row.key for row in rows]:
            raise ManifestError(
                f"{out}: {sidecar.file}: expected {len(rows)} examples of the plan, "
                f"got {sidecar.n_examples} others; remove {name} to have the shard built again"
            )
        read.sidecar_hashes[name] = hashlib.sha256(data).hexdigest()
        read.shards.append(
            ShardInfo(
                sidecar.file, sidecar.n_examples, sidecar.bytes, sidecar.sha256, sidecar.domain
            )
        )
        for entry in sidecar.examples:
            row = example_row(len(read.shards) - 1, entry, plan.config.members)
            read.uses.update(licence_uses(row))
            yield row


def index_tags(plan: Plan) -> tuple[str, ...]:
    """Return the tag vocabulary of a plan's set, in order; empty for a set without tags."""
    return plan.vocabulary.names if plan.config.with_tags else ()


def _index(plan: Plan, header: PlanHeader, shards: Sequence[ShardInfo]) -> SetIndex:
    config = plan.config
    domains = [row.domain for row in plan.rows]
    return SetIndex(
        format_version=FORMAT_VERSION,
        name=config.name,
        split=config.split,
        sample_rate=SAMPLE_RATE,
        tags=index_tags(plan),
        snrs_db=config.snrs_db if config.noise else (),
        noises_per_example=config.noises if config.noise else 0,
        codec=config.codec,
        counts={
            "examples": len(plan.rows),
            "source": domains.count(SOURCE),
            "target": domains.count(TARGET),
            "songs": len({(row.music.corpus, row.music.song) for row in plan.rows}),
            "seconds": round(plan.seconds, 3),
            "bytes": sum(shard.bytes for shard in shards),
            "rejects": len(plan.rejects),
        },
        shards=tuple(shards),
        plan_sha256=header.plan_sha256,
        config=header.config,
        tools=header.tools,
    )
