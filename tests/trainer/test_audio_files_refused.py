"""Files that cannot be tagged or embedded are named, and the others are done."""

from __future__ import annotations

import errno
from pathlib import Path

import numpy as np
import pytest
import soundfile
from tiny_suite import SAMPLES, run
from tiny_taggers import tone

from manifests.rows import SAMPLE_RATE


@pytest.fixture(scope="module")
def odd_files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("odd")
    names = (*MESSAGES, "short.wav", "good.wav")
    files = {name: folder / name for name in names}
    soundfile.write(files["silent.wav"], np.zeros(SAMPLES), SAMPLE_RATE)
    soundfile.write(files["hum.wav"], 1e-7 * tone(3.0), SAMPLE_RATE, subtype="FLOAT")
    soundfile.write(files["offset.wav"], np.full(SAMPLES, 0.25), SAMPLE_RATE)
    sound = tone(3.0)
    sound[7] = np.nan
    soundfile.write(files["nan.wav"], sound, SAMPLE_RATE, subtype="FLOAT")
    soundfile.write(files["empty.wav"], np.zeros(0), SAMPLE_RATE)
    soundfile.write(files["short.wav"], tone(0.5), SAMPLE_RATE)
    soundfile.write(files["good.wav"], tone(3.0), SAMPLE_RATE)
    files["text.mp3"].write_text("this is no MP3")
    files["song.m4a"].write_bytes(b"\x00\x00\x00\x20ftypM4A " + bytes(100))
    return files


MESSAGES = {
    "silent.wav": "expected sound, got 66,150 silent samples",
    "hum.wav": "expected sound, got 66,150 silent samples",
    "offset.wav": "expected sound, got 66,150 silent samples",
    "empty.wav": "expected sound, got 0 silent samples",
    "nan.wav": "expected finite samples, got others",
    "text.mp3": "text.mp3: ",
    "none.wav": "none.wav: expected an audio file, got no such file",
    "song.m4a": "'ffmpeg -i song.m4a song.flac' or use --decoder ffmpeg",
}


def test_files_that_cannot_be_tagged_are_named(
    dat_run: Path, odd_files: dict[str, Path], tmp_path: Path
) -> None:
    result = run("tag", *odd_files.values(), "--checkpoint", dat_run)
    assert result.exit_code == 1
    named = [line for line in result.output.splitlines() if line.startswith("train: ")]
    assert len(named) == len(MESSAGES) and "Traceback" not in result.output
    for name, message in MESSAGES.items():
        assert any(name in line and message in line for line in named), (name, named)
    tagged = [line for line in result.output.splitlines() if line not in named]
    assert [line.split(":")[0] for line in tagged] == [
        str(odd_files["short.wav"]), str(odd_files["good.wav"]),
    ]  # fmt: skip
    found = run("embed", *odd_files.values(), "--checkpoint", dat_run, "-o", tmp_path / "e.npz")
    assert found.exit_code == 1
    with np.load(tmp_path / "e.npz", allow_pickle=False) as arrays:
        assert set(arrays) == {str(odd_files["short.wav"]), str(odd_files["good.wav"])}


def test_when_no_file_can_be_read(
    dat_run: Path, odd_files: dict[str, Path], tmp_path: Path
) -> None:
    bad = odd_files["silent.wav"]
    out = tmp_path / "e.npz"
    assert run("embed", bad, "--checkpoint", dat_run, "-o", out).exit_code == 1
    assert not out.exists()
    result = run("tag", bad, "--checkpoint", dat_run, "--json")
    assert result.exit_code == 1 and result.stdout.strip() == "{}"


def test_a_file_that_may_not_be_read_is_named(
    dat_run: Path, odd_files: dict[str, Path], tmp_path: Path
) -> None:
    name = tmp_path / ("x" * 300 + ".wav")
    found = run("embed", name, odd_files["good.wav"], "--checkpoint", dat_run,
                "-o", tmp_path / "e.npz")  # fmt: skip
    assert found.exit_code == 1
    assert "cannot be read: File name too long" in found.stderr
    assert "embed: step 2/2" in found.stderr, "files that were tried count as done"


def test_a_reader_that_goes_away_is_no_error_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_: object) -> None:
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")

    monkeypatch.setattr("trainer.cli.use.load_tagger", gone)
    result = run("tag", "a.wav", "--checkpoint", "run")
    assert (result.exit_code, result.output) == (1, "")
