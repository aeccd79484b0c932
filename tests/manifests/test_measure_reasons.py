"""Every way a file can be unusable has a reason; no message holds a path of the machine."""

from __future__ import annotations

import math
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
from tiny_sounds import tone, white, write

from manifests import store
from manifests.audio import AudioError
from manifests.errors import ManifestError, UsageError
from manifests.measure import measure

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


def test_missing_and_empty(tmp_path: Path) -> None:
    assert reason_and_text(tmp_path / "none.wav") == (
        "missing",
        "expected an audio file, found none",
    )
    (tmp_path / "folder.wav").mkdir()
    assert reason_and_text(tmp_path / "folder.wav")[0] == "missing"
    assert reason_and_text(put(tmp_path, b"")) == ("empty", "expected audio, got 0 bytes")
    header_only = write(tmp_path / "b.wav", np.zeros(0))
    assert reason_and_text(header_only) == ("empty", "expected audio, decoded 0 samples")


def test_silence(tmp_path: Path) -> None:
    zeros = write(tmp_path / "a.wav", np.zeros(8_000), 8_000)
    assert reason_and_text(zeros) == (
        "silent",
        "expected a frame above -60 dBFS, got zeros only",
    )
    quiet = write(tmp_path / "b.wav", tone(400.0, 8_000, 8_000, peak=1e-3), 8_000)
    assert reason_and_text(quiet)[1] == "expected a frame above -60 dBFS, got -63 dBFS"
    dc = write(tmp_path / "c.wav", np.full(8_000, 0.25), 8_000)
    assert reason_and_text(dc)[0] == "silent"


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_samples_that_are_no_numbers(tmp_path: Path, bad: float) -> None:
    signal = white(100_000)
    signal[90_000] = bad
    path = write(tmp_path / "a.wav", signal, 8_000, "FLOAT")
    assert reason_and_text(path) == ("not-finite", "expected finite samples, got NaN or infinity")


def test_channels_that_overflow_or_cancel_out(tmp_path: Path) -> None:
    signal = np.array([[1.7e308, 1.7e308], [math.inf, -math.inf]])
    path = write(tmp_path / "a.wav", signal, 8_000, "DOUBLE")
    assert reason_and_text(path)[0] == "not-finite"


def test_absurd_levels(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", white(8_000) * 1e200, 8_000, "DOUBLE")
    reason, text = reason_and_text(path)
    assert reason == "absurd-level"
    assert text.startswith("expected a peak of at most 1e+06 of full scale, got 3.")
    int16_scale = write(tmp_path / "b.wav", white(8_000) * 32_768, 8_000, "FLOAT")
    assert measure(str(int16_scale), NAME).peak > 10_000


@pytest.mark.parametrize("rate", [400, 3_999, 384_001, 2_000_000])
def test_absurd_rates(tmp_path: Path, rate: int) -> None:
    path = write(tmp_path / "a.wav", white(1_000), rate)
    assert reason_and_text(path) == (
        "absurd-rate",
        f"expected 4000 to 384000 Hz, got {rate} Hz",
    )


@pytest.mark.parametrize("rate", [4_000, 384_000])
def test_rates_at_the_edge_pass(tmp_path: Path, rate: int) -> None:
    assert measure(str(write(tmp_path / "a.wav", white(1_000), rate)), NAME).source_rate == rate


def test_too_many_channels(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", white(65 * 100).reshape(-1, 65), 8_000)
    assert reason_and_text(path) == ("undecodable", "expected at most 64 channels, got 65")


def test_renamed(tmp_path: Path) -> None:
    flac = write(tmp_path / "a.flac", white(1_000))
    path = shutil.copy(flac, tmp_path / "b.wav")
    assert reason_and_text(path, "x/b.WAV") == (
        "renamed",
        "expected WAV audio, got FLAC; rename it",
    )
    assert measure(str(path), "x/b.flac").source_format == "FLAC/PCM_16"
    assert measure(str(path), "x/b.bin").source_samples == 1_000  # not an audio name at all


def test_text(tmp_path: Path) -> None:
    path = put(tmp_path, b"<html>404 not found</html>" * 10)
    assert reason_and_text(path) == ("undecodable", "Format not recognised")


def test_a_file_that_may_not_be_read_is_a_reject(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "a.wav", white(100))

    def denied(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "open", denied)
    assert reason_and_text(path) == ("unreadable", "cannot be read: Permission denied")


def test_a_remote_file_that_cannot_be_read_stops_the_scan(monkeypatch: pytest.MonkeyPatch) -> None:
    """It says nothing about the file, and the next scan may find the network back."""

    def broken(url: str) -> None:
        raise ManifestError(f"{url}: cannot be read: no network")

    monkeypatch.setattr(store, "size_bytes", lambda url: 10)
    monkeypatch.setattr(store, "open_read", broken)
    with pytest.raises(ManifestError, match=r"a.wav: cannot be read: .* no network") as caught:
        measure("memory://x/a.wav", "a.wav")
    assert not isinstance(caught.value, AudioError)


def test_refused_urls_stay_usage_errors() -> None:
    with pytest.raises(UsageError, match="refused"):
        measure("pipe:cat x", "x")


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("almost_silent.wav", ("silent", "expected a frame above -60 dBFS, got -125 dBFS")),
        ("digital_silence.wav", ("silent", "expected a frame above -60 dBFS, got zeros only")),
        ("friction0.wav", ("WAV/PCM_16", 44_100, 1, 22_239)),
        ("mono_float64.wav", ("WAV/DOUBLE", 44_100, 1, 22)),
        ("mono_int24.wav", ("WAV/PCM_24", 44_100, 1, 22)),
        ("mono_int32.wav", ("WAV/PCM_32", 44_100, 1, 22)),
        ("ms_adpcm.wav", ("WAV/MS_ADPCM", 11_024, 1, 895_500)),
        ("stereo_16bit.wav", ("WAV/PCM_16", 16_000, 2, 17_833)),
        ("stereo_24bit.WAV", ("WAV/PCM_24", 16_000, 2, 17_833)),
        ("test1_44100.wav", ("WAV/PCM_16", 44_100, 2, 202_311)),
    ],
)
def test_real_odd_files(shared_dir: Path, name: str, found: tuple[object, ...]) -> None:
    path = shared_dir / "audio" / "odd" / name
    if len(found) == 2:
        assert reason_and_text(path, name) == found
        return
    facts = measure(str(path), name)
    assert (facts.source_format, facts.source_rate, facts.channels, facts.source_samples) == found


def test_real_ogg_clips_all_pass(shared_dir: Path) -> None:
    paths = sorted((shared_dir / "audio" / "esc-10").rglob("*.ogg"))[::5]
    assert paths
    for path in paths:
        assert measure(str(path), path.name).source_samples == soundfile.info(path).frames
