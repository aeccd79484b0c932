"""Render one plan row: read, mix at every SNR, round once, encode. Nothing random happens here."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from manifests import signal, store
from manifests.audio import AudioError
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
from manifests.reading import IN_MEMORY_BYTES, ReadOptions, read_span, resampled_length
from manifests.rows import CHUNK_SAMPLES, SAMPLE_RATE, MusicSpan, NoiseSpan, PlanRow
from manifests.signal import Pcm, Signal
from pipeline.audible import expect_members, expect_noise_left, expect_sounds

Roots = Mapping[str, Mapping[str, str]]
"""Corpus roots by role (``music``, ``noise``) and corpus name."""


@dataclass(frozen=True)
class RenderOptions:
    """What rendering needs beside the plan row.

    Attributes:
        snrs_db: SNR of each noisy member, in order.
        codec: ``flac`` or ``wav``.
        read: how sources become signals.
    """

    snrs_db: tuple[float, ...]
    codec: str
    read: ReadOptions


@dataclass(frozen=True)
class Rendered:
    """One rendered example.

    Attributes:
        example: its sidecar.
        files: member contents by what stands after ``KEY.``, in order, the sidecar last.
        levels_db: RMS of each audio member, dBFS.
    """

    example: Example
    files: dict[str, bytes]
    levels_db: dict[str, float]


def read_music(span: MusicSpan, roots: Roots, options: ReadOptions) -> Signal:
    """Return the music of an example, ``(n_samples,)``; AudioError where the source changed."""
    url = store.join(roots["music"][span.corpus], span.path)
    return read_span(
        url,
        span.path,
        source_rate=span.source_rate,
        start=round(span.start_s * SAMPLE_RATE),
        n_samples=span.n_samples,
        options=options,
        data=checked_source(url, span.path, span.source_sha256),
    )


def read_noise(span: NoiseSpan, n_samples: int, roots: Roots, options: ReadOptions) -> Signal:
    """Return one noise over the music's span, looped where it is too short."""
    url = store.join(roots["noise"][span.corpus], span.path)
    clip_samples = resampled_length(span.source_samples, span.source_rate)
    read = read_span(
        url,
        span.path,
        source_rate=span.source_rate,
        start=0 if span.looped else round(span.start_s * SAMPLE_RATE),
        n_samples=clip_samples if span.looped else n_samples,
        options=options,
        data=checked_source(url, span.path, span.source_sha256),
    )
    if not span.looped:
        return read
    looped = signal.loop_to_length(read, n_samples, SAMPLE_RATE)
    return looped if options.keep_dc else looped - np.sum(looped) / looped.size


class SourceChangedError(AudioError):
    """A source is not the file that was scanned; ``url`` is where it lies."""

    def __init__(self, url: str, detail: str) -> None:
        super().__init__("changed", detail)
        self.url = url


def checked_source(url: str, name: str, sha256: str) -> bytes | None:
    """Read a source and check that it is the file that was scanned.

    Returns:
        Its bytes; None for files over 64 MiB, which are hashed in blocks and decoded from disk.

    Raises:
        SourceChangedError: it is gone or holds other bytes.
    """
    advice = "put the file back, or run the command again with --overwrite to scan what is there"
    data = store.read_start(url, IN_MEMORY_BYTES + 1)
    if data is None:
        raise SourceChangedError(
            url, f"{name}: expected the file that was scanned, found none; {advice}"
        )
    if len(data) > IN_MEMORY_BYTES:
        data = None
    try:
        found = _sha256(url) if data is None else hashlib.sha256(data).hexdigest()
    except OSError as error:
        raise SourceChangedError(url, f"{name}: cannot be read: {error.strerror}") from error
    if found != sha256:
        raise SourceChangedError(
            url,
            f"{name}: expected SHA-256 {sha256[:12]}…, got {found[:12]}…: the file changed since "
            f"it was scanned; {advice}",
        )
    return data


def _sha256(url: str) -> str:
    with store.open_read(url) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def _decoded_when_scanned(url: str) -> Iterator[None]:
    """Say of a file that no longer decodes what to do; its bytes are those that were scanned."""
    try:
        yield
    except SourceChangedError:
        raise
    except AudioError as error:
        raise SourceChangedError(
            url,
            f"{error}; it decoded when it was scanned: run the command again with --overwrite to "
            "scan it again",
        ) from error


def render(row: PlanRow, roots: Roots, options: RenderOptions) -> Rendered:
    """Render one example.

    Raises:
        SourceChangedError: a source changed since the scan, or does not decode as it did then.
        ManifestError: music or noise cannot be heard over its span, or noises cancel out.
    """
    with _decoded_when_scanned(store.join(roots["music"][row.music.corpus], row.music.path)):
        music = read_music(row.music, roots, options.read)
    noises = []
    for noise in row.noises:
        with _decoded_when_scanned(store.join(roots["noise"][noise.corpus], noise.path)):
            noises.append(read_noise(noise, music.size, roots, options.read))
    if noises:
        return _render_mix(row, music, noises, options)
    gain_db = signal.common_gain_db(signal.peak(music))
    samples = signal.rounded(signal.amplitude(gain_db) * music)
    levels_db = {AUDIO: _level_db(signal.pcm_power(samples))}
    pcm = samples.astype(np.int16)
    members = {AUDIO: _member(pcm, None, None, None)}
    return _pack(row, options, members, {AUDIO: pcm}, levels_db, (), gain_db, ())


def _render_mix(
    row: PlanRow, music: Signal, noises: list[Signal], options: RenderOptions
) -> Rendered:
    expect_sounds(row, music, noises, options.read.band_hz)
    noise_sum, noise_levels_db = signal.sum_noises(noises)
    expect_noise_left(row, noise_sum)
    at_0db = signal.snr_db(music, noise_sum)
    gains_db = {s: signal.round_gain_db(at_0db - s) for s in options.snrs_db}
    mixes = {s: _mix(music, noise_sum, gains_db[s]) for s in options.snrs_db}
    gain_db = signal.common_gain_db(max(signal.peak(v) for v in (music, *mixes.values())))
    gain = signal.amplitude(gain_db)
    clean = signal.rounded(gain * music)
    clean_power = signal.pcm_power(clean)
    pcms = {CLEAN: clean.astype(np.int16)}
    members = {CLEAN: _member(pcms[CLEAN], None, None, None)}
    levels_db = {CLEAN: _level_db(clean_power)}
    for snr_db, mix in mixes.items():
        mix *= gain
        noisy, name = signal.rounded(mix), noisy_name(snr_db)
        levels_db[name] = _level_db(signal.pcm_power(noisy))
        pcms[name] = noisy.astype(np.int16)
        noisy -= clean
        noise_power = signal.pcm_power(noisy)
        expect_members(row, clean_power, noise_power)
        achieved_db = signal.power_db(clean_power) - signal.power_db(noise_power)
        achieved_db = round(achieved_db, 3) + 0.0
        members[name] = _member(pcms[name], snr_db, gains_db[snr_db], achieved_db)
    noise_sum *= signal.amplitude(signal.round_gain_db(at_0db))
    chunks_db = signal.chunk_snrs_db(music, noise_sum, CHUNK_SAMPLES)
    return _pack(row, options, members, pcms, levels_db, noise_levels_db, gain_db, chunks_db)


def _mix(music: Signal, noise_sum: Signal, mix_gain_db: float) -> Signal:
    mix = signal.amplitude(mix_gain_db) * noise_sum
    mix += music
    return mix


def _level_db(pcm_power: float) -> float:
    """Return a level in dBFS from a mean square of int16 samples."""
    return round(signal.power_db(pcm_power / signal.FULL_SCALE**2 + 1e-13), 3)


def _member(
    pcm: Pcm, target_db: float | None, gain_db: float | None, achieved_db: float | None
) -> Member:
    peak = max(int(pcm.max()), -int(pcm.min())) / signal.FULL_SCALE
    return Member(target_db, gain_db, achieved_db, round(peak, 6), pcm.size, pcm_sha256(pcm))


def _pack(
    row: PlanRow,
    options: RenderOptions,
    members: dict[str, Member],
    pcms: dict[str, Pcm],
    levels_db: dict[str, float],
    noise_levels_db: tuple[float, ...],
    gain_db: float,
    chunk_snr_db: tuple[float, ...],
) -> Rendered:
    music = row.music
    example = Example(
        format_version=FORMAT_VERSION,
        key=row.key,
        split=row.split,
        domain=row.domain,
        tags=row.tags,
        music=MusicSource(
            corpus=music.corpus,
            clip_id=music.clip_id,
            song=music.song,
            artist=music.artist,
            licence=music.licence,
            source_sha256=music.source_sha256,
            source_rate=music.source_rate,
            start_s=music.start_s,
            duration_s=round(music.duration_s, 6),
        ),
        noises=tuple(
            NoiseSource(
                corpus=noise.corpus,
                clip_id=noise.clip_id,
                labels=noise.labels,
                licence=noise.licence,
                source_sha256=noise.source_sha256,
                source_rate=noise.source_rate,
                start_s=noise.start_s,
                looped=noise.looped,
                level_db=level_db,
            )
            for noise, level_db in zip(row.noises, noise_levels_db, strict=True)
        ),
        gain_db=gain_db,
        band_hz=options.read.band_hz,
        chunk_snr_db=chunk_snr_db,
        members=members,
    )
    files = {
        f"{name}.{options.codec}": encode_pcm(pcm, SAMPLE_RATE, options.codec)
        for name, pcm in pcms.items()
    }
    files[SIDECAR] = encode_sidecar(example)
    return Rendered(example, files, levels_db)
