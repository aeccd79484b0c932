"""MP3 frames counted from headers: the witness for files that decode without any complaint."""

from __future__ import annotations

import functools
import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tiny_sounds import frame_offsets, mp3_bytes, uneven_music

from manifests.mp3 import Mp3Frames, count_frames

SECONDS = 6
RATES = {
    48_000: 1_152,
    44_100: 1_152,
    32_000: 1_152,
    24_000: 576,
    22_050: 576,
    16_000: 576,
    11_025: 576,
    8_000: 576,
}
"""Samples per frame by sample rate: MPEG-1, MPEG-2 and (below 16 kHz) MPEG-2.5."""
ID3V2 = b"ID3\x04\x00\x00" + bytes([0, 0, 8, 0]) + bytes(1_024)
ID3V1 = b"TAG" + bytes(125)


@functools.cache
def encoded(sample_rate: int = 44_100, mode: str = "VARIABLE") -> bytes:
    return mp3_bytes(uneven_music(SECONDS * sample_rate, sample_rate), sample_rate, mode)


def counted(data: bytes) -> Mp3Frames:
    frames = count_frames(data)
    assert frames is not None
    return frames


@pytest.mark.parametrize("mode", ["CONSTANT", "VARIABLE"])
@pytest.mark.parametrize("sample_rate", RATES)
def test_frames_of_a_whole_file(sample_rate: int, mode: str) -> None:
    """LAME adds 576 + 529 samples of delay and pads the last frame: two to three frames more."""
    frames = counted(encoded(sample_rate, mode))
    per_frame = RATES[sample_rate]
    assert (frames.samples_per_frame, frames.sample_rate) == (per_frame, sample_rate)
    assert frames.announced_frames == frames.n_frames
    assert frames.junk_bytes == 0
    extra = frames.n_samples - SECONDS * sample_rate
    assert 576 <= extra <= 576 + 529 + 2 * per_frame


def test_count_agrees_with_a_walk_by_the_standard() -> None:
    data = encoded()
    assert counted(data).n_frames == len(frame_offsets(data)) - 1  # the first is the Xing frame


def test_tags_before_and_after_are_no_frames() -> None:
    plain = counted(encoded())
    for tagged in (ID3V2 + encoded(), ID3V2 + ID3V2 + encoded() + ID3V1, encoded() + ID3V1):
        assert counted(tagged) == plain
    assert counted(encoded() + b"APETAGEX" + bytes(200)) == plain


def test_an_id3v2_footer_is_skipped() -> None:
    tag = bytearray(ID3V2 + b"3DI\x04\x00\x10" + bytes(4))
    tag[5] = 0x10
    assert counted(bytes(tag) + encoded()) == counted(encoded())


def test_a_file_cut_in_half_announces_what_it_lost() -> None:
    data = encoded()
    whole, cut = counted(data), counted(data[: len(data) // 2])
    assert cut.announced_frames == whole.n_frames
    ends_whole = [at for at in frame_offsets(data) if at <= len(data) // 2]
    assert cut.n_frames == len(ends_whole) - 2  # without the Xing frame and the one cut through


def test_a_hole_is_junk() -> None:
    data = bytearray(encoded())
    at = frame_offsets(bytes(data))
    data[at[50] : at[90]] = bytes(at[90] - at[50])
    frames = counted(bytes(data))
    assert frames.n_frames == counted(encoded()).n_frames - 40
    assert frames.junk_bytes == at[90] - at[50]


def test_random_bytes_in_a_hole_are_not_taken_for_frames() -> None:
    import numpy as np

    data = bytearray(encoded())
    at = frame_offsets(bytes(data))
    data[at[50] : at[90]] = np.random.default_rng(0).bytes(at[90] - at[50])
    frames = counted(bytes(data))
    assert abs(frames.n_frames - (counted(encoded()).n_frames - 40)) <= 1
    assert frames.junk_bytes >= 0.9 * (at[90] - at[50])


@pytest.mark.parametrize("mode", ["CONSTANT", "VARIABLE"])
def test_without_its_xing_frame_nothing_is_announced(mode: str) -> None:
    data = encoded(mode=mode)
    bare = counted(data[frame_offsets(data)[1] :])
    assert bare.announced_frames is None
    assert bare.n_frames == counted(data).n_frames


def test_a_vbri_header_announces_too() -> None:
    """Fraunhofer's header stands 32 bytes after the frame header; frames are its bytes 14 to 17."""
    data = bytearray(encoded())
    body = bytearray(data[4 : frame_offsets(bytes(data))[1]])
    body[:] = bytes(len(body))
    body[32:36] = b"VBRI"
    body[46:50] = (1_234).to_bytes(4, "big")
    data[4 : 4 + len(body)] = body
    assert counted(bytes(data)).announced_frames == 1_234


def test_a_xing_frame_without_the_frames_field_announces_nothing() -> None:
    data = bytearray(encoded())
    at = data.index(b"Xing")
    data[at + 7] &= 0xFE
    frames = counted(bytes(data))
    assert frames.announced_frames is None
    assert frames.n_frames == counted(encoded()).n_frames


@pytest.mark.parametrize(
    "data",
    [b"", b"\xff", b"\xff\xfb", b"ID3", ID3V2, b"RIFF" + bytes(1_000), b"\xff\xfb\x00\x00" * 9],
)
def test_what_is_no_mp3_counts_as_none(data: bytes) -> None:
    assert count_frames(data) is None


def test_layer_two_is_left_to_the_decoder() -> None:
    """0xFFFD is MPEG-1 layer II."""
    assert count_frames((b"\xff\xfd\x80\x00" + bytes(413)) * 20) is None


@given(st.binary(max_size=3_000))
@example(b"\xff\xfb\x90\x00")
@example(b"ID3\x04\x00\x10\x7f\x7f\x7f\x7f")
@settings(deadline=None, max_examples=200)
def test_random_bytes_never_crash_it(data: bytes) -> None:
    frames = count_frames(data)
    assert frames is None or 0 <= frames.n_frames <= len(data) // 24 + 1


@pytest.mark.parametrize("at", [0, 3_000])
def test_the_letters_of_a_tag_are_no_tag(at: int) -> None:
    """What stands behind them would be a size that reaches beyond the file's end."""
    data = encoded(16_000)
    found = counted(data[:at] + b"ID3" + data[at:])
    assert abs(found.n_frames - counted(data).n_frames) <= 3


@given(st.data())
@settings(deadline=None, max_examples=60)
def test_damage_anywhere_is_survived(data: st.DataObject) -> None:
    broken = bytearray(encoded(16_000))
    for _ in range(data.draw(st.integers(1, 8))):
        start = data.draw(st.integers(0, len(broken)))
        broken[start : start + data.draw(st.integers(0, 600))] = data.draw(st.binary(max_size=40))
    frames = counted(bytes(broken))
    assert frames.junk_bytes <= len(broken)
    assert frames.n_frames <= counted(encoded(16_000)).n_frames + 2


@pytest.mark.parametrize(
    "pattern", [b"\xff", b"\xff\xfb", b"\xff\xfb\x90\x00", b"\xff\xfb\x90\x00" + bytes(60)]
)
def test_hostile_patterns_take_linear_time(pattern: bytes) -> None:
    """A megabyte of sync words; quadratic time would take minutes."""
    begin = time.process_time()
    count_frames(pattern * (1_000_000 // len(pattern)))
    assert time.process_time() - begin < 5.0
