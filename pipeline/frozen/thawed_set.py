"""Finish a thawed set: number its shards without gaps, write its files, ``index.json`` last."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Final

from manifests import store
from manifests.canonical import canonical_json, pretty_json, sha256_lines
from manifests.example import FORMAT_VERSION
from manifests.keys import shard_name, sidecar_name
from manifests.rows import SAMPLE_RATE, SOURCE, TARGET, Reject
from manifests.shard import ShardSidecar
from manifests.shardset import EXAMPLES, INDEX, REJECTS, TAGS, SetIndex, ShardInfo, read_sidecar
from manifests.tables import write_table
from pipeline.finish import CHECKSUMS, CROISSANT, README, ExampleRow, example_row
from pipeline.frozen.card import thawed_card
from pipeline.frozen.croissant import thawed_croissant
from pipeline.frozen.marker import MARKER, Marker, marker_bytes
from pipeline.frozen.match import SAME
from pipeline.frozen.recipe import Recipe
from pipeline.frozen.thaw_plan import ShardVerdicts
from pipeline.frozen.thaw_task import move
from pipeline.frozen.verdict import ExampleVerdict, Tally
from pipeline.set_files import SHARD_FILE
from pipeline.shard_task import PLAN_FOLDER

VERDICTS: Final = "verdicts.parquet"
EXTRA_FILES: Final = (MARKER, VERDICTS)
"""Files of a thawed set beside those of every set."""


def close_gaps(out: str, shards: Sequence[ShardVerdicts]) -> list[ShardSidecar]:
    """Number the shards that hold something from 0 on and return their sidecars.

    Others go: an interrupted thaw may have been asked for more examples than this one. Killed in
    between, the next run renders the shards anew that are no longer where they were, and
    ends with the same files.
    """
    kept = [shard.number for shard in shards if shard.n_bytes]
    for number, old in enumerate(kept):
        if number == old:
            continue
        sidecar = replace(read_sidecar(out, old), file=shard_name(number))
        for name in (sidecar_name(old), sidecar_name(number)):  # neither fits while the tar moves
            store.remove(store.join(out, name))
        move(store.join(out, shard_name(old)), store.join(out, shard_name(number)))
        text = canonical_json(sidecar) + "\n"
        store.write_text(store.join(out, sidecar_name(number)), text)
    names = {name(number) for number in range(len(kept)) for name in (shard_name, sidecar_name)}
    for name in store.list_names(out):
        if SHARD_FILE.fullmatch(name) and name not in names:
            store.remove(store.join(out, name))
    return [read_sidecar(out, number) for number in range(len(kept))]


def finish_thaw(
    out: str,
    recipe: Recipe,
    marker: Marker,
    shards: Sequence[ShardVerdicts],
    verdicts: Sequence[ExampleVerdict],
    counted: Tally,
    tools: dict[str, str],
) -> SetIndex:
    """Write all files of a thawed set beside its shards; ``index.json`` last."""
    sidecars = close_gaps(out, shards)
    index = _index(recipe, marker, sidecars, verdicts, tools)
    members = recipe.config.members
    rows = [example_row(n, entry, members) for n, s in enumerate(sidecars) for entry in s.examples]
    used = {(row.corpus, row.clip_id) for row in rows}
    for row in rows:
        used.update(zip(row.noise_corpora, row.noise_clip_ids, strict=True))
    sources = [s for key, s in sorted(recipe.sources.items()) if key[1:] in used]
    write_table(store.join(out, EXAMPLES), rows, ExampleRow)
    write_table(store.join(out, REJECTS), _rejects(recipe, verdicts, rows), Reject)
    write_table(store.join(out, VERDICTS), verdicts, ExampleVerdict)
    store.write_bytes(store.join(out, TAGS), recipe.tags_json)
    store.write_bytes(store.join(out, MARKER), marker_bytes(marker))
    card = thawed_card(recipe, marker, counted, sources)
    store.write_text(store.join(out, README), card)
    hashes = {s.file: s.sha256 for s in sidecars}
    own = [sidecar_name(number) for number in range(len(sidecars))]
    for name in (*own, EXAMPLES, REJECTS, VERDICTS, TAGS, MARKER, README):
        hashes[name] = hashlib.sha256(store.read_bytes(store.join(out, name))).hexdigest()
    index_text = pretty_json(asdict(index))
    hashes[INDEX] = hashlib.sha256(index_text.encode()).hexdigest()
    text = f"{counted.n_accepted} of {counted.n_examples} examples of {recipe.header.name}"
    metadata = pretty_json(thawed_croissant(recipe.header, text, sources, hashes, tools))
    hashes[CROISSANT] = hashlib.sha256(metadata.encode()).hexdigest()
    store.write_text(store.join(out, CROISSANT), metadata)
    lines = (f"{sha256}  {name}\n" for name, sha256 in sorted(hashes.items()))
    store.write_text(store.join(out, CHECKSUMS), "".join(lines))
    store.write_text(store.join(out, INDEX), index_text)
    store.remove(store.join(out, PLAN_FOLDER))
    return index


def _rejects(
    recipe: Recipe, verdicts: Sequence[ExampleVerdict], rows: Sequence[ExampleRow]
) -> list[Reject]:
    """Return the examples that were asked for and not taken."""
    kept = {row.key for row in rows}
    music = {row.key: row.music for row in recipe.rows}
    return [
        Reject(
            corpus=music[v.key].corpus,
            clip_id=music[v.key].clip_id,
            path="",
            stage="thaw",
            reason=v.verdict,
            detail=f"{v.key}: {v.detail}",
            split=recipe.config.split,
        )
        for v in verdicts
        if v.key not in kept
    ]


def _index(
    recipe: Recipe,
    marker: Marker,
    sidecars: Sequence[ShardSidecar],
    verdicts: Sequence[ExampleVerdict],
    tools: dict[str, str],
) -> SetIndex:
    config = recipe.config
    records = [entry.record for sidecar in sidecars for entry in sidecar.examples]
    whole = len(records) == len(recipe.rows) and all(v.source == SAME for v in verdicts)
    kept = {record.key: record for record in records}
    lengths = {row.key: row.music.n_samples for row in recipe.rows}
    domains = [record.domain for record in records]
    return SetIndex(
        format_version=FORMAT_VERSION,
        name=config.name,
        split=config.split,
        sample_rate=SAMPLE_RATE,
        tags=recipe.header.tags,
        snrs_db=config.snrs_db if config.noise else (),
        noises_per_example=config.n_noises,
        codec=config.codec,
        counts={
            "examples": len(records),
            "source": domains.count(SOURCE),
            "target": domains.count(TARGET),
            "songs": len({(r.music.corpus, r.music.song) for r in records}),
            "seconds": round(sum(lengths[key] for key in kept) / SAMPLE_RATE, 3),
            "bytes": sum(sidecar.bytes for sidecar in sidecars),
            "rejects": len(verdicts) - len(records),
        },
        shards=tuple(
            ShardInfo(s.file, s.n_examples, s.bytes, s.sha256, s.domain) for s in sidecars
        ),
        plan_sha256=(
            recipe.header.plan_sha256 if whole else sha256_lines([marker.request_sha256, *kept])
        ),
        config=recipe.header.config,
        tools=tools,
    )
