"""Files that were joined to one: all of them decodes, or the cause is named."""

from __future__ import annotations

import functools
import io
from pathlib import Path

import pytest
import soundfile
from tiny_sounds import frame_offsets, mp3_bytes, uneven_music, white

from manifests.audio import AudioError
from manifests.measure import measure
from manifests.mp3 import count_frames
from manifests.ogg import count_chained

RATE = 44_100
ID3V1 = b"TAG" + bytes(125)
ID3V2 = b"ID3\x04\x00\x00" + bytes([0, 0, 8, 0]) + bytes(1_024)


def ape(items: bytes, *, header: bool) -> bytes:
    """An APEv2 tag: its items, a footer and, where asked for, a header."""
    size = (len(items) + 32).to_bytes(4, "little")
    ends = [
        b"APETAGEX" + bytes([0xD0, 7, 0, 0]) + size + bytes([1, 0, 0, 0, 0, 0, 0, flag]) + bytes(8)
        for flag in (0xA0, 0x80)
    ]
    return (ends[0] if header else b"") + items + ends[1]


TAGS = {
    "nothing": b"",
    "ID3v1": ID3V1,
    "ID3v1 and ID3v2": ID3V1 + ID3V2,
    "ID3v2": ID3V2,
    "APEv2": ape(b"x" * 900, header=True),
}


@functools.cache
def encoded(mode: str = "VARIABLE") -> bytes:
    return mp3_bytes(uneven_music(4 * RATE, RATE), RATE, mode)


def bare() -> bytes:
    """MP3 of constant rate without the frame that announces a length."""
    data = encoded("CONSTANT")
    return data[frame_offsets(data)[1] :]


def put(folder: Path, data: bytes, name: str) -> str:
    (folder / name).write_bytes(data)
    return str(folder / name)


@pytest.mark.parametrize("tag", TAGS.values(), ids=TAGS)
def test_frames_behind_a_tag_count(tag: bytes) -> None:
    one, both = count_frames(encoded()), count_frames(encoded() + tag + encoded())
    assert one is not None and both is not None
    assert both.n_frames == 2 * one.n_frames + 1  # the second Xing frame is one like any other
    assert both.junk_bytes == 0
    assert count_frames(tag + encoded() + tag) == one


@pytest.mark.parametrize("tag", TAGS.values(), ids=TAGS)
@pytest.mark.parametrize("mode", ["CONSTANT", "VARIABLE"])
def test_joined_mp3s_of_which_half_is_decoded(tmp_path: Path, tag: bytes, mode: str) -> None:
    path = put(tmp_path, encoded(mode) + tag + encoded(mode), "a.mp3")
    with pytest.raises(AudioError) as caught:
        measure(path, "a.mp3")
    assert caught.value.reason == "truncated"
    frames = count_frames(encoded(mode))
    assert frames is not None
    assert f"got the {frames.n_frames} that its header announces: files that were joined" in str(
        caught.value
    )


def test_joined_mp3s_without_a_header_decode_whole(tmp_path: Path) -> None:
    n_samples = measure(put(tmp_path, bare(), "a.mp3"), "a.mp3").source_samples
    joined = measure(put(tmp_path, bare() + bare(), "b.mp3"), "b.mp3").source_samples
    assert abs(joined - 2 * n_samples) <= 1_152


def test_joined_mp3s_of_two_sample_rates(tmp_path: Path) -> None:
    other = mp3_bytes(uneven_music(4 * 22_050, 22_050), 22_050)
    path = put(tmp_path, encoded() + other, "a.mp3")
    with pytest.raises(AudioError, match=f"^a.mp3: {len(other)} of .* no MP3 frame like the first"):
        measure(path, "a.mp3")


def ogg(n_samples: int, subtype: str, rate: int = 48_000) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, white(n_samples), rate, format="OGG", subtype=subtype)
    return buffer.getvalue()


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
def test_chained_ogg_streams_are_named(tmp_path: Path, subtype: str) -> None:
    one, other = ogg(100_000, subtype), ogg(150_000, subtype)
    assert measure(put(tmp_path, one, "a.ogg"), "a.ogg").source_samples == 100_000
    with pytest.raises(
        AudioError, match=r"^b\.ogg: expected one Ogg stream, got 2 joined"
    ) as caught:
        measure(put(tmp_path, one + other, "b.ogg"), "b.ogg")
    assert caught.value.reason == "truncated"


def page(*, begins: bool, n_bytes: int = 100) -> bytes:
    return b"OggS\0" + bytes([2 * begins]) + bytes(20) + bytes([1, n_bytes]) + bytes(n_bytes)


def test_streams_beside_each_other_are_no_chain() -> None:
    first, more = page(begins=True), page(begins=False)
    assert count_chained(io.BytesIO(first + first + more + more)) == 1
    assert count_chained(io.BytesIO(first + more + first + more + first)) == 3
    assert count_chained(io.BytesIO(first + b"junk" + first)) == 1
    assert count_chained(io.BytesIO(b"")) == 0
