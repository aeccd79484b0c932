"""Decode just the crops that are heard, at the SNR drawn.

A member is kept lossless, so a seek is exact and a 2.7 s crop of a 29 s FLAC costs an eighth of
decoding it whole. A changed byte is found where it is heard: FLAC frames carry a checksum; WAV has
none, so its samples are hashed whole, which costs less than a FLAC crop.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from manifests.audio import AudioError
from manifests.errors import ManifestError
from manifests.keys import noisy_name
from manifests.member_audio import decode_crop, decode_pcm, pcm_sha256
from manifests.reading import band_filter, limit_band
from manifests.signal import Pcm, from_pcm, relevel
from trainer.data.draws import ExampleDraw
from trainer.data.index import ExampleRef
from trainer.data.member_file import MemberFile
from trainer.data.rungs import (
    SnrOver,
    Waveform,
    clip_target_db,
    mix_from_rungs,
    parts_from_rungs,
)

_SCALE: Final = np.float32(1.0 / 32_768.0)


@dataclass(frozen=True, slots=True)
class ExampleViews:
    """The waveforms of an example.

    Attributes:
        ref: the example.
        waveforms: one per view, (n_samples,), float32, full scale = 1.
        noisy: whether each is noisy.
        snr_db: SNR of the noisy ones; None where there is none or it is not known.
    """

    ref: ExampleRef
    waveforms: tuple[Waveform, ...]
    noisy: tuple[bool, ...]
    snr_db: float | None


def cut_views(
    draw: ExampleDraw,
    members: Mapping[str, bytes | MemberFile],
    crop_samples: int,
    snr_over: SnrOver,
) -> ExampleViews:
    """Decode and mix the views of an example.

    Args:
        draw: what is heard.
        members: content of each member in ``draw.members``, or a file that holds it.
        crop_samples: length of a crop.
        snr_over: whether the SNR is that of the whole clip, or that of the crop as heard.

    Raises:
        ManifestError: a member does not decode; the message names shard, example and member.
    """
    crops = _Crops(draw, members, crop_samples)
    waveforms = []
    for start, noisy in zip(draw.starts, draw.noisy, strict=True):
        if noisy:
            waveforms.append(_noisy(draw, crops, start, snr_over))
        else:
            waveforms.append(crops.waveform(draw.clean_from[0], start))
    return ExampleViews(draw.ref, tuple(waveforms), draw.noisy, draw.target_db)


class _Crops:
    """The crops of an example's members, each decoded once."""

    def __init__(
        self, draw: ExampleDraw, members: Mapping[str, bytes | MemberFile], crop_samples: int
    ) -> None:
        self._draw, self._members, self._crop_samples = draw, members, crop_samples
        self._decoded: dict[tuple[str, int], Waveform] = {}

    def waveform(self, member: str, start: int) -> Waveform:
        """Return ``crop_samples`` samples of a member from ``start`` on, float32."""
        if (member, start) not in self._decoded:
            limit_hz = self._draw.limit_hz
            if limit_hz is None:
                waveform: Waveform = self._pcm(member, start, self._crop_samples).astype(np.float32)
                waveform *= _SCALE
            else:
                waveform = self._limited(member, start, limit_hz)
            self._decoded[member, start] = waveform
        return self._decoded[member, start]

    def _limited(self, member: str, start: int, limit_hz: float) -> Waveform:
        """Return a crop as it is in the whole member when that is limited: no edge fades."""
        around = len(band_filter(limit_hz)) // 2
        first = max(start - around, 0)
        last = min(start + self._crop_samples + around, self._draw.ref.n_samples)
        signal = limit_band(from_pcm(self._pcm(member, first, last - first)), limit_hz)
        return signal[start - first :][: self._crop_samples].astype(np.float32)

    def _pcm(self, member: str, start: int, n_samples: int) -> Pcm:
        return crop_pcm(self._draw.ref, member, self._members[member], start, n_samples)


def crop_pcm(
    ref: ExampleRef, member: str, data: bytes | MemberFile, start: int, n_samples: int
) -> Pcm:
    """Decode part of a member.

    Args:
        ref: the example.
        member: name of the member.
        data: its content, or a file that holds it.
        start: first sample.
        n_samples: how many.

    Returns:
        (n_samples,), int16.

    Raises:
        ManifestError: it does not decode, or a WAV's samples are not those of the sidecar.
    """
    name = f"{ref.shard_url}: {ref.file_name(member)}"
    if isinstance(data, bytes):
        if ref.codec != "wav":
            return decode_crop(data, name, start, n_samples)
        return whole_pcm(ref, member, data)[start : start + n_samples]
    try:
        return decode_crop(data, name, start, n_samples)
    except AudioError as error:
        if data.error is None:
            raise
        raise ManifestError(f"{name}: cannot be read: {data.error}") from error


def whole_pcm(ref: ExampleRef, member: str, data: bytes) -> Pcm:
    """Decode a member whole and compare its hash with the sidecar's; (n_samples,), int16.

    Raises:
        ManifestError: it does not decode, or holds other samples than the sidecar says.
    """
    name = f"{ref.shard_url}: {ref.file_name(member)}"
    pcm, _ = decode_pcm(data, name, ref.n_samples)
    expected, found = ref.member(member).pcm_sha256, pcm_sha256(pcm)
    if found != expected:
        raise ManifestError(
            f"{name}: expected samples with SHA-256 {expected[:12]}…, got {found[:12]}…; "
            "copy or build the shard again"
        )
    return pcm


def _noisy(draw: ExampleDraw, crops: _Crops, start: int, snr_over: SnrOver) -> Waveform:
    if len(draw.noisy_from) == 1 or draw.target_db is None:
        return crops.waveform(draw.noisy_from[0], start)
    lowest_db, highest_db = min(draw.snrs_db), max(draw.snrs_db)
    other, lowest = (crops.waveform(name, start) for name in draw.noisy_from)
    from_rungs = draw.noisy_from[0] == noisy_name(highest_db)
    target_db = draw.target_db
    if snr_over == "crop":
        if from_rungs:
            music, noise = parts_from_rungs(other, lowest, highest_db, lowest_db)
        else:
            music, noise = other, lowest - other
        target_db = clip_target_db(music, noise, lowest_db, target_db)
    if from_rungs:
        return mix_from_rungs(other, lowest, highest_db, lowest_db, target_db)
    return relevel(other, lowest, lowest_db, target_db)
