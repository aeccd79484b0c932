"""The lineage of one example, as a person wants it; and its members as WAV files to listen to."""

from __future__ import annotations

import difflib
import io
from dataclasses import asdict, dataclass
from typing import Any

from manifests import store
from manifests.canonical import canonical_json
from manifests.errors import ManifestError
from manifests.example import Example, decode_members
from manifests.keys import check_key
from manifests.member_audio import encode_pcm
from manifests.rows import SAMPLE_RATE
from manifests.shard import iter_examples
from manifests.shardset import INDEX, ShardSet, load_set
from pipeline.frozen.rows import FrozenSource
from pipeline.frozen.untrusted import printable
from pipeline.frozen.view import View, load_view
from pipeline.sources import absolute_url


@dataclass(frozen=True)
class Lineage:
    """One example with all that it comes from.

    Attributes:
        view: the set or recipe that holds it.
        key: its key.
        record: its sidecar; None in a recipe without audio, which holds no measured figures.
    """

    view: View
    key: str
    record: Example | None


def find_example(url: str, key: str) -> Lineage:
    """Return the lineage of an example.

    Raises:
        ManifestError: there is no such example; near keys are named.
    """
    url = absolute_url(url)
    view = load_view(url)
    if key not in view.rows:
        near = difflib.get_close_matches(key, view.rows, n=3, cutoff=0.5)
        near = near or [k for k in view.rows if key and key in k][:3]
        hint = f"; did you mean {', '.join(near)}?" if near else ""
        raise ManifestError(f"{view.name}: expected the key of an example, got {key!r:.90}{hint}")
    if not store.exists(store.join(url, INDEX)):
        return Lineage(view, key, None)
    sidecar = load_set(url).sidecar(view.rows[key].shard)
    record = next(entry.record for entry in sidecar.examples if entry.key == key)
    return Lineage(view, key, record)


def lineage_lines(lineage: Lineage) -> list[str]:
    """Return the lineage for people."""
    view, record = lineage.view, lineage.record
    row = view.rows[lineage.key]
    seconds = row.music.n_samples / SAMPLE_RATE
    lines = [
        f"{lineage.key}",
        f"  of {view.kind} {printable(view.name)}, split {printable(view.config.get('split'))}"
        + (f", half {row.domain}" if row.domain else "")
        + f", shard {row.shard}",
        f"  recipe id {view.recipe_id or 'none: never frozen'}",
        f"  tags: {', '.join(map(printable, row.tags)) or 'none'}",
        "music",
        *_source_lines(view.sources[lineage.key][0]),
        f"    song {printable(row.music.song)}",
        f"    from {row.music.start_s:.3f} s, {seconds:.3f} s long, {row.music.source_rate:,} Hz",
    ]
    for n, noise in enumerate(row.noises, start=1):
        looped = ", looped with 50 ms cross-fades" if noise.looped else ""
        lines += [
            f"noise {n} of {len(row.noises)}",
            *_source_lines(view.sources[lineage.key][n]),
            f"    from {noise.start_s:.3f} s{looped}, {noise.source_rate:,} Hz",
            f"    brought to 0 dBFS RMS by {noise.level_db:+.4f} dB",
        ]
    band = view.config.get("band_hz")
    lines += [
        "mix",
        f"    band {f'up to {band:,.0f} Hz' if isinstance(band, float | int) else 'full'}",
        f"    common gain {row.gain_db:+.4f} dB",
        *_member_lines(lineage),
    ]
    if record is not None and record.chunk_snr_db:
        chunks = ", ".join(f"{c:+.1f}" for c in record.chunk_snr_db)
        lines.append(f"    SNR of each 2.7 s of the 0 dB mix: {chunks} dB")
    return lines


def _source_lines(source: FrozenSource) -> list[str]:
    labels = f"; {', '.join(map(printable, source.labels))}" if source.labels else ""
    artist = f", by {printable(source.artist)}" if source.artist else ""
    path = [f"    file {printable(source.path)}"] if source.path else []
    return [
        f"    {printable(source.corpus)} {printable(source.clip_id)}{artist}{labels}",
        f"    licence {printable(source.licence) or 'unknown'}",
        *path,
        f"    SHA-256 of the file {source.sha256}",
    ]


def _member_lines(lineage: Lineage) -> list[str]:
    row = lineage.view.rows[lineage.key]
    gains = iter(row.mix_gains_db)
    lines = []
    for number, (name, sha256) in enumerate(zip(lineage.view.members, row.pcm_sha256, strict=True)):
        gain = f", noise {next(gains):+.4f} dB" if number else ""
        measured = ""
        if lineage.record is not None:
            member = lineage.record.members[name]
            if member.achieved_db is not None:
                measured = f", achieved {member.achieved_db:+.3f} dB"
            measured += f", peak {member.peak:.4f}"
        lines.append(f"    {name}{gain}{measured}, samples SHA-256 {sha256[:16]}…")
    return lines


def lineage_record(lineage: Lineage) -> dict[str, Any]:
    """Return the lineage as plain values, for ``--json``."""
    return {
        "set": lineage.view.name,
        "kind": lineage.view.kind,
        "recipe_id": lineage.view.recipe_id,
        "row": asdict(lineage.view.rows[lineage.key]),
        "sources": [asdict(source) for source in lineage.view.sources[lineage.key]],
        "record": asdict(lineage.record) if lineage.record else None,
    }


def render_members(url: str, key: str, folder: str) -> list[str]:
    """Write an example's members as WAV files and return their names; the samples are checked.

    Args:
        url: path or URL of a set, or of a recipe that carries its audio.
        key: key of the example.
        folder: path or URL to write to.

    Raises:
        ManifestError: there is no such example, no audio, or its samples are not what they should.
    """
    url = absolute_url(url)
    lineage = find_example(url, check_key(key))
    if lineage.record is None:
        raise ManifestError(
            f"{lineage.view.name}: expected a set to take audio from, got a recipe, which holds "
            "none; prep thaw it first and explain the set"
        )
    files = _read_members(load_set(url), lineage)
    example, pcms = decode_members(files, key)
    if canonical_json(example) != canonical_json(lineage.record):
        raise ManifestError(f"{key}: expected the sidecar of the shard, got another in the tar")
    names = []
    for name, pcm in pcms.items():
        names.append(f"{key}.{name}.wav")
        target = store.join(absolute_url(folder), names[-1])
        store.write_bytes(target, encode_pcm(pcm, SAMPLE_RATE, "wav"))
    return names


def _read_members(shard_set: ShardSet, lineage: Lineage) -> dict[str, bytes]:
    """Read the bytes of one example alone, by its place in the shard."""
    number = lineage.view.rows[lineage.key].shard
    sidecar = shard_set.sidecar(number)
    entry = next(entry for entry in sidecar.examples if entry.key == lineage.key)
    with store.open_read(store.join(shard_set.url, sidecar.file)) as file:
        file.seek(entry.offset)
        data: bytes = file.read(entry.bytes)
    found = dict(iter_examples(io.BytesIO(data), sidecar.file))
    if lineage.key not in found:
        raise ManifestError(f"{sidecar.file}: {lineage.key}: expected it at {entry.offset}")
    return found[lineage.key]
