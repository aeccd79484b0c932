"""Render an example with the recipe's own gains: levels, mix gains and common gain as stored.

Nothing is measured to decide anything: another machine would measure a last digit otherwise and
round a gain to the next 0.0001 dB. What is measured (achieved SNR, peaks, chunk SNRs) only goes
into the sidecar. The arithmetic is that of ``pipeline.render``, step by step; a test compares them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from manifests import signal
from manifests.example import (
    FORMAT_VERSION,
    Example,
    Member,
    MusicSource,
    NoiseSource,
    encode_sidecar,
)
from manifests.keys import AUDIO, CLEAN, SIDECAR, noisy_name
from manifests.member_audio import encode_pcm, pcm_sha256
from manifests.rows import CHUNK_SAMPLES, SAMPLE_RATE, MusicSpan, NoiseSpan
from manifests.signal import Pcm, Signal
from pipeline.frozen.frozen_config import FrozenConfig
from pipeline.frozen.match import Match
from pipeline.frozen.rows import FrozenRow, FrozenSource
from pipeline.render import Roots, read_music, read_noise


@dataclass(frozen=True)
class Replayed:
    """An example as it came out here.

    Attributes:
        pcms: samples by member, in the set's order.
        chunk_snr_db: SNR of each whole chunk of the 0 dB mix, dB.
    """

    pcms: dict[str, Pcm]
    chunk_snr_db: tuple[float, ...]


def replay(
    row: FrozenRow, matches: tuple[Match, ...], config: FrozenConfig, roots: Roots
) -> Replayed:
    """Render an example from the sources that were found for it.

    Args:
        row: the example.
        matches: a found file for the music and each noise, in that order.
        config: how sources are read, SNRs.
        roots: corpus roots by role and name.

    Raises:
        AudioError: a source is too short, of another rate, or does not decode.
        ManifestError: the mix would clip with these sources.
    """
    music = read_music(music_span(row, matches[0]), roots, config.read)
    noises = [
        read_noise(noise_span(row, n, match), music.size, roots, config.read)
        for n, match in enumerate(matches[1:])
    ]
    gain = signal.amplitude(row.gain_db)
    if not noises:
        return Replayed({AUDIO: signal.to_pcm(gain * music)}, ())
    noise_sum = np.zeros_like(music)
    for noise, span in zip(noises, row.noises, strict=True):
        noise_sum += signal.amplitude(span.level_db) * noise
    pcms = {CLEAN: signal.to_pcm(gain * music)}
    for snr_db, mix_gain_db in zip(config.snrs_db, row.mix_gains_db, strict=True):
        mix = signal.amplitude(mix_gain_db) * noise_sum
        mix += music
        mix *= gain
        pcms[noisy_name(snr_db)] = signal.to_pcm(mix)
    at_0db = signal.round_gain_db(signal.snr_db(music, noise_sum))
    noise_sum *= signal.amplitude(at_0db)
    return Replayed(pcms, signal.chunk_snrs_db(music, noise_sum, CHUNK_SAMPLES))


def music_span(row: FrozenRow, match: Match) -> MusicSpan:
    """Return the music span as rendering wants it, in the file that was found."""
    music = row.music
    return MusicSpan(
        corpus=music.corpus,
        clip_id=music.clip_id,
        path=match.path,
        song=music.song,
        artist="",
        licence="",
        source_sha256=match.sha256,
        source_rate=match.source_rate,
        source_samples=match.source_samples,
        start_s=music.start_s,
        n_samples=music.n_samples,
    )


def noise_span(row: FrozenRow, number: int, match: Match) -> NoiseSpan:
    """Return a noise span as rendering wants it, in the file that was found."""
    noise = row.noises[number]
    return NoiseSpan(
        corpus=noise.corpus,
        clip_id=noise.clip_id,
        path=match.path,
        labels=(),
        licence="",
        source_sha256=match.sha256,
        source_rate=match.source_rate,
        source_samples=match.source_samples,
        start_s=noise.start_s,
        looped=noise.looped,
    )


def replayed_example(
    row: FrozenRow,
    replayed: Replayed,
    matches: tuple[Match, ...],
    sources: tuple[FrozenSource, ...],
    config: FrozenConfig,
) -> Example:
    """Return the sidecar: the recipe's spans and gains, the hashes of the files used here."""
    music = row.music
    return Example(
        format_version=FORMAT_VERSION,
        key=row.key,
        split=config.split,
        domain=row.domain,
        tags=row.tags,
        music=MusicSource(
            corpus=music.corpus,
            clip_id=music.clip_id,
            song=music.song,
            artist=sources[0].artist,
            licence=sources[0].licence,
            source_sha256=matches[0].sha256,
            source_rate=matches[0].source_rate,
            start_s=music.start_s,
            duration_s=round(music.n_samples / SAMPLE_RATE, 6),
        ),
        noises=tuple(
            NoiseSource(
                corpus=noise.corpus,
                clip_id=noise.clip_id,
                labels=source.labels,
                licence=source.licence,
                source_sha256=match.sha256,
                source_rate=match.source_rate,
                start_s=noise.start_s,
                looped=noise.looped,
                level_db=noise.level_db,
            )
            for noise, match, source in zip(row.noises, matches[1:], sources[1:], strict=True)
        ),
        gain_db=row.gain_db,
        band_hz=config.band_hz,
        chunk_snr_db=replayed.chunk_snr_db,
        members=_members(row, replayed.pcms, config),
    )


def _members(row: FrozenRow, pcms: Mapping[str, Pcm], config: FrozenConfig) -> dict[str, Member]:
    first, *others = pcms
    members = {first: _member(pcms[first], None, None, None)}
    for name, snr_db, gain_db in zip(others, config.snrs_db, row.mix_gains_db, strict=True):
        achieved_db = signal.achieved_snr_db(pcms[first], pcms[name])
        members[name] = _member(pcms[name], snr_db, gain_db, round(achieved_db, 3) + 0.0)
    return members


def _member(
    pcm: Pcm, target_db: float | None, gain_db: float | None, achieved_db: float | None
) -> Member:
    peak = max(int(pcm.max()), -int(pcm.min())) / signal.FULL_SCALE
    return Member(target_db, gain_db, achieved_db, round(peak, 6), pcm.size, pcm_sha256(pcm))


def level_db(pcm: Pcm) -> float:
    """Return the RMS of a member in dBFS, as shard sidecars state it."""
    samples: Signal = pcm.astype(np.float64)
    power = signal.pcm_power(samples) / signal.FULL_SCALE**2
    return round(signal.power_db(power + 1e-13), 3)


def member_files(pcms: Mapping[str, Pcm], example: Example, codec: str) -> dict[str, bytes]:
    """Return the files of an example by what stands after ``KEY.``, the sidecar last."""
    files = {f"{name}.{codec}": encode_pcm(pcm, SAMPLE_RATE, codec) for name, pcm in pcms.items()}
    files[SIDECAR] = encode_sidecar(example)
    return files
