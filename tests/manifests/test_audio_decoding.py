"""Files are decoded linearly, whole or not at all; errors name the file but no machine's path."""

from __future__ import annotations

import io
import shutil
import stat
from pathlib import Path

import numpy as np
import pytest
import soundfile
from tiny_sounds import mp3_bytes, uneven_music, white, write

from manifests import audio
from manifests.audio import BLOCK_FRAMES, AudioError, AudioHeader, open_audio, to_mono
from manifests.errors import UsageError

needs_ffmpeg = pytest.mark.skipif(
    shutil.which("ffmpeg") is None or shutil.which("ffprobe") is None,
    reason="the ffmpeg program is not installed",
)
LSB = 1 / 32_768


def decode(
    file: Path | io.BytesIO, name: str = "n", decoder: str = "soundfile"
) -> tuple[AudioHeader, np.ndarray]:
    with open_audio(file, name, decoder) as (header, blocks):
        pieces = list(blocks)
    assert all(len(piece) <= BLOCK_FRAMES for piece in pieces)
    return header, np.concatenate([np.zeros((0, header.channels)), *pieces])


def test_blocks_are_the_file_whatever_its_length(tmp_path: Path) -> None:
    for n_samples in (0, 1, BLOCK_FRAMES - 1, BLOCK_FRAMES, BLOCK_FRAMES + 1, 3 * BLOCK_FRAMES):
        signal = white(2 * n_samples).reshape(-1, 2)
        path = write(tmp_path / "a.wav", signal, 8_000, "DOUBLE")
        header, samples = decode(path)
        assert np.array_equal(samples, signal)
        assert header.n_samples == n_samples
        assert (header.sample_rate, header.channels) == (8_000, 2)
        assert header.format == "WAV/DOUBLE"


def test_an_open_file_is_read_like_a_path(tmp_path: Path) -> None:
    path = write(tmp_path / "a.flac", white(5_000), 44_100)
    with path.open("rb") as file:
        assert np.array_equal(decode(file)[1], decode(path)[1])


@pytest.mark.parametrize("sample_rate", [44_100, 22_050, 16_000])
@pytest.mark.parametrize("mode", ["CONSTANT", "VARIABLE"])
def test_blocks_of_an_mp3_are_one_linear_decode(sample_rate: int, mode: str) -> None:
    """soundfile seeks after every read; in VBR that put each block but the first elsewhere."""
    data = mp3_bytes(uneven_music(8 * sample_rate, sample_rate), sample_rate, mode)
    with soundfile.SoundFile(io.BytesIO(data)) as sound:  # one read, so no seek before it
        whole = sound.read(sound.frames, dtype="float64", always_2d=True)
    _, samples = decode(io.BytesIO(data))
    assert len(samples) == 8 * sample_rate > BLOCK_FRAMES
    assert np.array_equal(samples, whole)


@needs_ffmpeg
@pytest.mark.parametrize("mode", ["CONSTANT", "VARIABLE"])
def test_the_two_decoders_agree_on_mp3(tmp_path: Path, mode: str) -> None:
    """FFmpeg's MP3 decoder shares no code with libmpg123: to a tenth of an LSB, no delay."""
    path = tmp_path / "a.mp3"
    path.write_bytes(mp3_bytes(uneven_music(220_500, 44_100), 44_100, mode))
    (ours, samples), (header, theirs) = decode(path), decode(path, decoder="ffmpeg")
    assert samples.shape == theirs.shape == (220_500, 1)
    assert np.abs(samples - theirs).max() < 0.1 * LSB
    assert (header.format, header.n_samples) == ("MP3/MP3", None)
    assert (ours.sample_rate, ours.channels) == (header.sample_rate, header.channels)


@needs_ffmpeg
@pytest.mark.parametrize(("name", "channels"), [("a.wav", 1), ("a.flac", 2)])
def test_the_two_decoders_agree_on_lossless_files(tmp_path: Path, name: str, channels: int) -> None:
    signal = white(channels * 70_000).reshape(-1, channels)
    path = write(tmp_path / name, signal, 44_100)
    (ours, samples), (theirs, same) = decode(path), decode(path, decoder="ffmpeg")
    assert np.array_equal(samples, same)
    assert (ours.sample_rate, ours.channels) == (theirs.sample_rate, theirs.channels)


@needs_ffmpeg
def test_ffmpeg_reads_an_open_file_and_what_libsndfile_does_not(shared_dir: Path) -> None:
    path = shared_dir / "audio" / "odd" / "testing.m4a"
    header, samples = decode(path, decoder="ffmpeg")
    with path.open("rb") as file:
        assert np.array_equal(decode(file, "testing.m4a", "ffmpeg")[1], samples)
    assert header.format == "MOV/AAC"
    assert header.n_samples is not None
    assert abs(header.n_samples - len(samples)) <= 2_048  # two AAC frames of padding
    assert np.abs(samples).max() > 0.01


@needs_ffmpeg
def test_a_pass_through_ffmpeg_may_be_left_early(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", white(20 * BLOCK_FRAMES), 44_100)
    with open_audio(path, "a.wav", "ffmpeg") as (_, blocks):
        assert len(next(iter(blocks))) == BLOCK_FRAMES


@needs_ffmpeg
def test_ffmpeg_errors_name_the_file_alone(tmp_path: Path) -> None:
    path = tmp_path / "b.m4a"
    path.write_bytes(b"no audio at all, whatever it is called")
    with pytest.raises(AudioError, match=r"^b.m4a: ffprobe: ") as caught:
        decode(path, "b.m4a", "ffmpeg")
    assert caught.value.reason == "undecodable"
    assert str(tmp_path) not in str(caught.value)


def fake_programs(folder: Path, ffmpeg: str) -> None:
    """An ffprobe that finds mono audio at 8 kHz, and an ffmpeg of our own."""
    probe = (
        '{"streams": [{"codec_name": "x", "sample_rate": "8000", "channels": 1}], '
        '"format": {"format_name": "y"}}'
    )
    for name, body in (("ffprobe", f"echo '{probe}'"), ("ffmpeg", ffmpeg)):
        (folder / name).write_text(f"#!/bin/sh\n{body}\n")
        (folder / name).chmod(stat.S_IRWXU)


def test_an_ffmpeg_that_says_a_lot_does_not_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """1 MB on standard error is more than a pipe holds while nobody reads it."""
    fake_programs(tmp_path, "head -c 1000000 /dev/zero >&2; head -c 800 /dev/zero")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    _, samples = decode(tmp_path / "a.m4a", "a.m4a", "ffmpeg")
    assert samples.shape == (100, 1)


def test_an_ffmpeg_that_fails_half_way_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_programs(tmp_path, "head -c 804 /dev/zero; echo first >&2; echo broken pipe >&2; exit 1")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    with pytest.raises(AudioError, match=r"^a.m4a: ffmpeg: broken pipe$"):
        decode(tmp_path / "a.m4a", "a.m4a", "ffmpeg")


def test_missing_ffmpeg_is_a_usage_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError, match=r"--decoder ffmpeg: .* are not found"):
        decode(tmp_path / "a.wav", "a.wav", "ffmpeg")
    assert audio.decoder_version("ffmpeg") == "ffmpeg not found"


def test_unknown_decoder_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="decoder 'sox': expected one of soundfile, ffmpeg"):
        decode(tmp_path / "a.wav", "a.wav", "sox")


def test_m4a_gets_the_line_that_converts_it(shared_dir: Path) -> None:
    path = shared_dir / "audio" / "odd" / "testing.m4a"
    with pytest.raises(AudioError) as caught:
        decode(path, "a b/testing.m4a")
    assert caught.value.reason == "undecodable"
    assert str(caught.value) == (
        "a b/testing.m4a: Format not recognised; libsndfile does not read this format: convert it "
        "with 'ffmpeg -i testing.m4a testing.flac' or use --decoder ffmpeg"
    )


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("b/my song.m4a", "ffmpeg -i 'my song.m4a' 'my song.flac'"),
        ("$(rm x).mp4", "ffmpeg -i '$(rm x).mp4' '$(rm x).flac'"),
        ("-y.webm", "'ffmpeg -i ./-y.webm ./-y.flac'"),
    ],
)
def test_the_line_that_converts_suits_a_shell(tmp_path: Path, name: str, line: str) -> None:
    (tmp_path / "x").write_bytes(bytes(100))
    with pytest.raises(AudioError) as caught:
        decode(tmp_path / "x", name)
    assert str(caught.value).endswith(f": convert it with {line} or use --decoder ffmpeg")


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("a.wav", b"just a text file\n" * 20, "Format not recognised"),
        ("a.mp3", bytes(10_000), "Format not recognised"),
        ("a.au", b"<html>404</html>" * 600, "Format not recognised"),
        ("a.mp3", b"\xff\xfb\x90\x00" * 3, "no audio found in it"),
        ("a.raw", bytes(10_000), "headerless samples, no format to go by"),
        ("a.wav", b"RIFF\xff\xff\xff\xffWAVE", ""),
        ("a.flac", b"fLaC" + bytes(38), ""),
    ],
)
def test_what_is_no_audio_is_undecodable(tmp_path: Path, name: str, data: bytes, said: str) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(AudioError, match=f"^x/{name}: {said}") as caught:
        decode(path, f"x/{name}")
    assert caught.value.reason == "undecodable"
    assert str(tmp_path) not in str(caught.value)


def test_a_flac_cut_short_says_how_far_it_went(tmp_path: Path) -> None:
    whole = write(tmp_path / "a.flac", white(200_000), 44_100).read_bytes()
    path = tmp_path / "cut.flac"
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(
        AudioError, match=r"^cut.flac: expected 200000 samples, the decoder stopped after 65536: "
    ) as caught:
        decode(path, "cut.flac")
    assert caught.value.reason == "truncated"


def test_an_error_of_the_caller_is_not_taken_for_the_file_s(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", white(10))
    with pytest.raises(RuntimeError, match="ours"), open_audio(path, "a.wav"):
        raise RuntimeError("ours")


def test_to_mono_is_the_average() -> None:
    block = np.array([[1.0, 0.0], [0.5, -0.5], [0.25, 0.75]])
    assert to_mono(block).tolist() == [0.5, 0.0, 0.5]
    assert to_mono(block[:, :1]).tolist() == [1.0, 0.5, 0.25]
    many = white(600).reshape(-1, 6)
    before = many.copy()
    assert np.allclose(to_mono(many), np.mean(many, axis=1), rtol=0, atol=1e-16)
    assert np.array_equal(many, before)


def test_decoder_versions_name_program_and_version() -> None:
    found = audio.decoder_version("soundfile")
    assert found == f"soundfile {soundfile.__version__} ({soundfile.__libsndfile_version__})"
    if shutil.which("ffmpeg"):
        assert audio.decoder_version("ffmpeg").startswith("ffmpeg version ")
