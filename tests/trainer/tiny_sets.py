"""Small but complete sets with synthetic audio, written through the contract alone."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import replace

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
from manifests.keys import (
    AUDIO,
    CLEAN,
    SIDECAR,
    example_key,
    noisy_name,
    shard_name,
    sidecar_name,
)
from manifests.member_audio import encode_pcm, pcm_sha256
from manifests.reading import limit_band
from manifests.rows import SAMPLE_RATE, SOURCE, TARGET
from manifests.shard import ShardEntry, ShardSidecar, ShardWriter
from manifests.shardset import INDEX, SetIndex, ShardInfo, ShardSet, load_set
from manifests.signal import (
    Pcm,
    Signal,
    achieved_snr_db,
    amplitude,
    common_gain_db,
    from_pcm,
    mix_gain_db,
    power,
    power_db,
    to_pcm,
)

TAGS = ("guitar", "piano", "drums", "voice")
RUNGS_DB = (10.0, 5.0, 0.0, -5.0, -10.0)
HASH = "0" * 64


def music_and_noise(n_samples: int, number: int) -> tuple[Signal, Signal]:
    """A decaying chord that comes again, and white noise whose level moves."""
    rng = np.random.default_rng(number)
    t = np.arange(n_samples) / SAMPLE_RATE
    pitch = 110.0 * 2.0 ** (number % 24 / 12)
    chord = sum(np.sin(2 * np.pi * pitch * ratio * t) for ratio in (1.0, 1.25, 1.5))
    music = 0.1 * chord * (0.2 + np.exp(-3.0 * (t % 0.5)))
    noise = rng.standard_normal(n_samples) * (0.3 + 0.2 * np.sin(2 * np.pi * t / 0.7))
    return music, noise


def rendered(
    n_samples: int, number: int, snrs_db: Sequence[float], band_hz: float | None = None
) -> tuple[dict[str, Pcm], dict[str, float], float]:
    """Members by name, mix gains by name and the common gain, as the pipeline renders them."""
    music, noise = music_and_noise(n_samples, number)
    if band_hz is not None:
        music, noise = limit_band(music, band_hz), limit_band(noise, band_hz)
    if not snrs_db:
        mix = music + 0.05 * noise
        return {AUDIO: to_pcm(mix - mix.mean())}, {}, 0.0
    gains = {noisy_name(snr): mix_gain_db(music, noise, snr) for snr in snrs_db}
    mixes = {CLEAN: music}
    mixes |= {name: music + amplitude(gain) * noise for name, gain in gains.items()}
    gain_db = common_gain_db(max(float(np.max(np.abs(mix))) for mix in mixes.values()))
    pcms = {name: to_pcm(amplitude(gain_db) * mix) for name, mix in mixes.items()}
    return pcms, gains, gain_db


def write_set(
    url: str,
    *,
    n_songs: int = 12,
    excerpts: int = 2,
    n_samples: int = 5_000,
    snrs_db: Sequence[float] = RUNGS_DB,
    halves: bool = True,
    per_shard: int = 5,
    codec: str = "flac",
    name: str = "tiny",
    corpus: str = "tiny",
    tags: Mapping[str, Sequence[str]] | None = None,
    band_hz: float | None = None,
) -> ShardSet:
    """Write a set: songs alternate between the halves, excerpts of a song share tags.

    Args:
        url: folder, path or URL.
        n_songs: recordings; ``song-00`` is source, ``song-01`` target and so on.
        excerpts: examples of each song.
        n_samples: length of each member.
        snrs_db: rungs; none for real recordings.
        halves: whether shards hold one half each, as training sets do; else the domain is None.
        per_shard: examples of a shard.
        codec: ``flac`` or ``wav``.
        name: name of the set.
        corpus: corpus of the music.
        tags: tags by song in place of the usual ones.
        band_hz: upper edge of its band, Hz; None leaves it full.
    """
    built = [
        _example(corpus, song, excerpt, n_samples, tuple(snrs_db), codec, halves, tags, band_hz)
        for song in range(n_songs)
        for excerpt in range(excerpts)
    ]
    built.sort(key=lambda pair: hashlib.sha256(pair[0].key.encode()).digest())
    infos = list[ShardInfo]()
    for domain in (SOURCE, TARGET) if halves else (None,):
        half = [pair for pair in built if pair[0].domain == domain]
        for start in range(0, len(half), per_shard):
            infos.append(_write_shard(url, len(infos), domain, half[start : start + per_shard]))
    index = SetIndex(
        format_version=FORMAT_VERSION,
        name=name,
        split="train" if halves else "test",
        sample_rate=SAMPLE_RATE,
        tags=TAGS,
        snrs_db=tuple(snrs_db),
        noises_per_example=1 if snrs_db else 0,
        codec=codec,
        counts={"examples": float(len(built))},
        shards=tuple(infos),
        plan_sha256=HASH,
        config={} if band_hz is None else {"band_hz": band_hz},
        tools={},
    )
    store.write_text(store.join(url, INDEX), pretty_json(canonical(index)))
    return load_set(url)


def canonical(row: object) -> object:
    """Return a row as plain JSON values."""
    import json

    return json.loads(canonical_json(row))


def _example(
    corpus: str,
    song: int,
    excerpt: int,
    n_samples: int,
    snrs_db: tuple[float, ...],
    codec: str,
    halves: bool,
    tags: Mapping[str, Sequence[str]] | None,
    band_hz: float | None,
) -> tuple[Example, dict[str, bytes], dict[str, float]]:
    song_id, clip_id = f"song-{song:02d}", f"{song:02d}"
    number = song * 100 + excerpt
    pcms, gains, gain_db = rendered(n_samples, number, snrs_db, band_hz)
    members = {}
    for member, pcm in pcms.items():
        noisy = member in gains
        members[member] = Member(
            target_db=float(member.removeprefix("noisy.snr_")) if noisy else None,
            mix_gain_db=gains.get(member),
            achieved_db=round(achieved_snr_db(pcms[CLEAN], pcm), 3) if noisy else None,
            peak=float(np.max(np.abs(from_pcm(pcm)))),
            n_samples=n_samples,
            pcm_sha256=pcm_sha256(pcm),
        )
    own = tags[song_id] if tags else (TAGS[song % len(TAGS)], TAGS[(song + 1) % len(TAGS)])
    record = Example(
        format_version=FORMAT_VERSION,
        key=example_key(corpus, clip_id, excerpt),
        split="train" if halves else "test",
        domain=(SOURCE if song % 2 == 0 else TARGET) if halves else None,
        tags=tuple(tag for tag in TAGS if tag in own),
        music=MusicSource(
            corpus,
            clip_id,
            song_id,
            f"artist-{song // 3}",
            "CC0",
            HASH,
            22_050,
            0.0,
            n_samples / SAMPLE_RATE,
        ),
        noises=(NoiseSource("noise", "n", ("hum",), "CC0", HASH, 22_050, 0.0, False, 0.0),)
        if snrs_db
        else (),
        gain_db=gain_db,
        band_hz=band_hz,
        chunk_snr_db=(),
        members=members,
    )
    files = {
        f"{member}.{codec}": encode_pcm(pcm, SAMPLE_RATE, codec) for member, pcm in pcms.items()
    }
    levels = {member: power_db(power(from_pcm(pcm))) for member, pcm in pcms.items()}
    return record, files | {SIDECAR: encode_sidecar(record)}, levels


def _write_shard(
    url: str,
    number: int,
    domain: str | None,
    built: Sequence[tuple[Example, dict[str, bytes], dict[str, float]]],
) -> ShardInfo:
    buffer, entries = io.BytesIO(), list[ShardEntry]()
    writer = ShardWriter(buffer)
    for record, files, levels in built:
        offset, n_bytes = writer.add(record.key, files)
        sizes = {file: len(data) for file, data in files.items()}
        entries.append(ShardEntry(record.key, offset, n_bytes, sizes, levels, record))
    n_bytes, digest = writer.close()
    store.write_bytes(store.join(url, shard_name(number)), buffer.getvalue())
    sidecar = ShardSidecar(
        FORMAT_VERSION,
        shard_name(number),
        domain,
        len(entries),
        n_bytes,
        digest,
        HASH,
        tuple(entries),
    )
    store.write_text(store.join(url, sidecar_name(number)), canonical_json(sidecar))
    return ShardInfo(shard_name(number), len(entries), n_bytes, digest, domain)


def rewrite_shard(url: str, number: int, data: bytes) -> None:
    """Put other bytes in place of a shard, its index as it was."""
    store.write_bytes(store.join(url, shard_name(number)), data)


def renamed(shard_set: ShardSet, name: str) -> ShardSet:
    """The same set under another name."""
    return replace(shard_set, index=replace(shard_set.index, name=name))
