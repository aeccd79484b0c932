"""Files that were cut short or damaged and decode all the same: each is found out and named."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import soundfile
from tiny_sounds import frame_offsets, mp3_bytes, uneven_music, white, write

from manifests.audio import AudioError, open_audio
from manifests.measure import measure
from manifests.reading import ReadOptions, read_file, read_span

NAME = "folder/file.wav"


def reason_and_text(path: Path, name: str = NAME, expected_s: float = 0.0) -> tuple[str, str]:
    with pytest.raises(AudioError) as caught:
        measure(str(path), name, expected_s=expected_s)
    text = str(caught.value)
    assert text.startswith(f"{name}: ")
    assert str(path.parent) not in text and "\n" not in text
    return caught.value.reason, text.removeprefix(f"{name}: ")


def put(folder: Path, data: bytes, name: str = "a.wav") -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("name", "subtype", "said"),
    [
        ("a.wav", "PCM_16", "expected 400000 bytes of audio, got 199978"),
        ("a.aiff", "PCM_16", "expected 400008 bytes of audio, got 199981"),
        ("a.au", "PCM_16", "expected 400000 bytes of audio, got 199988"),
        ("a.w64", "PCM_16", "expected 400104 bytes of audio, got 200052"),
        ("a.rf64", "PCM_16", "expected 400096 bytes of audio, got 200044"),
        ("a.flac", "PCM_16", "expected 200000 samples, the decoder stopped after 65536: "),
        ("a.ogg", "VORBIS", "expected an Ogg stream with an end, got "),
        ("a.opus", "OPUS", "expected an Ogg stream with an end, got "),
        ("a.mp3", "MPEG_LAYER_III", "expected 200000 samples, decoded "),
    ],
)
def test_cut_in_half(tmp_path: Path, name: str, subtype: str, said: str) -> None:
    rate = 48_000
    kind = {"a.opus": "OGG", "a.mp3": "MP3", "a.au": "AU", "a.rf64": "RF64"}.get(name)
    path = tmp_path / name
    soundfile.write(path, white(200_000), rate, subtype=subtype, format=kind)
    assert measure(str(path), f"x/{name}").source_samples == 200_000
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    reason, text = reason_and_text(path, f"x/{name}")
    assert reason == "truncated"
    assert text.startswith(said)


def test_an_ogg_without_an_end_passes_where_its_length_is_known(tmp_path: Path) -> None:
    path = write(tmp_path / "a.ogg", white(200_000), 44_100, "VORBIS")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    found_s = soundfile.info(path).duration
    assert measure(str(path), "a.ogg", expected_s=found_s).source_samples > 0
    assert reason_and_text(path, "a.ogg", expected_s=200_000 / 44_100)[0] == "truncated"


@pytest.mark.parametrize("n_bytes", [0xFFFFFFFF, 0x7FFFF000, 0x7FFFFFFF])
def test_a_wav_written_to_a_pipe_is_whole(tmp_path: Path, n_bytes: int) -> None:
    """Its writer could not know the length; ffmpeg and sox put these in its place."""
    path = write(tmp_path / "a.wav", white(10_000))
    data = bytearray(path.read_bytes())
    data[40:44] = n_bytes.to_bytes(4, "little")
    path.write_bytes(data)
    assert measure(str(path), NAME).source_samples == 10_000


def piped_flac(path: Path, n_samples: int) -> bytes:
    """FLAC as an encoder writes it to a pipe: 36 bits of STREAMINFO, its length, stay 0."""
    data = bytearray(write(path, white(n_samples)).read_bytes())
    data[21] &= 0xF0
    data[22:26] = bytes(4)
    path.write_bytes(data)
    return bytes(data)


def test_a_flac_written_to_a_pipe_is_whole(tmp_path: Path) -> None:
    """libsndfile takes its length for 2**63 - 1 samples."""
    path = tmp_path / "a.flac"
    data = piped_flac(path, 100_000)
    assert measure(str(path), "a.flac").source_samples == 100_000
    with open_audio(path, "a.flac") as (header, _):
        assert header.n_samples is None
    options = ReadOptions()
    assert read_file(str(path), options=options).shape == (100_000,)
    span = read_span(str(path), "a.flac", source_rate=22_050, start=90_000, n_samples=10_000,
                     options=options)  # fmt: skip
    assert span.shape == (10_000,)
    path.write_bytes(data[: len(data) // 2])
    assert reason_and_text(path, "a.flac")[1].startswith(
        "expected further samples, the decoder stopped after "
    )


@pytest.mark.parametrize(
    ("seconds", "expected_s", "whole"),
    [(29.0, 29.1, True), (28.4, 29.0, False), (119.0, 120.0, True), (118.0, 120.0, False)],
)
def test_shorter_than_the_metadata_says(
    tmp_path: Path, seconds: float, expected_s: float, whole: bool
) -> None:
    """More than 0.5 s, or 1 % above 60 s."""
    path = write(tmp_path / "a.wav", white(round(seconds * 4_000)), 4_000)
    if whole:
        assert measure(str(path), NAME, expected_s=expected_s).source_rate == 4_000
    else:
        assert reason_and_text(path, expected_s=expected_s) == (
            "truncated",
            f"expected {expected_s:.1f} s by the metadata, got {seconds:.1f} s",
        )


def test_mp3_with_a_hole_and_without_its_header(tmp_path: Path) -> None:
    data = mp3_bytes(uneven_music(441_000, 44_100), 44_100, "VARIABLE")
    bare = put(tmp_path, data[417:], "a.mp3")  # the Xing frame: 128 kbps, 417 bytes
    reason, text = reason_and_text(bare, "a.mp3")
    assert reason == "truncated"
    assert text.startswith("expected 442368 samples by its 384 frame headers, decoded ")
    assert text.endswith("a VBR file without header: rewrite it with 'ffmpeg -c copy'")
    holed = bytearray(data)
    holed[len(data) // 3 : len(data) // 2] = bytes(len(data) // 2 - len(data) // 3)
    assert reason_and_text(put(tmp_path, holed, "b.mp3"), "b.mp3")[0] in ("truncated", "damaged")


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="the ffmpeg program is missing")
def test_a_cut_mp3_is_found_by_what_its_header_announces(tmp_path: Path) -> None:
    """ffmpeg states no length: the Xing frame alone tells that half is missing."""
    data = mp3_bytes(uneven_music(220_500, 44_100), 44_100, "VARIABLE")
    path = put(tmp_path, data[: len(data) // 2], "a.mp3")
    with pytest.raises(AudioError, match=r"^a.mp3: expected 193 MP3 frames, found \d+$") as caught:
        measure(str(path), "a.mp3", decoder="ffmpeg")
    assert caught.value.reason == "truncated"


def test_mp3_of_constant_rate_with_foreign_bytes_in_it_is_damaged(tmp_path: Path) -> None:
    """Less than 1,024 bytes in one place: libmpg123 skips them and decodes on."""
    data = mp3_bytes(uneven_music(441_000, 44_100), 44_100, "CONSTANT")
    broken = bytearray(data)
    for at in reversed(frame_offsets(data)[100:104]):
        broken[at:at] = bytes(900)
    assert reason_and_text(put(tmp_path, broken, "a.mp3"), "a.mp3") == (
        "damaged",
        f"3600 of {len(data) + 3_600} bytes belong to no MP3 frame like the first",
    )
