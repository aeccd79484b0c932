"""A trained tagger on ordinary files: ``train tag`` and ``train embed``."""

from __future__ import annotations

import errno
import io
import json
import os
import shutil
import threading
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import tiny_sets
import torch
from tiny_sets import TAGS, music_and_noise, write_set
from tiny_suite import RUNGS_DB, SAMPLES, run, run_well

from manifests.errors import ManifestError
from manifests.rows import CHUNK_SAMPLES, SAMPLE_RATE
from manifests.shardset import load_set
from trainer import audio_files
from trainer.adabn import average_from_here
from trainer.audio_files import CHUNKS_AT_ONCE, file_chunks, predict_chunks, write_arrays
from trainer.config import ModelConfig
from trainer.evaluation.clip_scores import score_clips
from trainer.evaluation.set_clips import evaluation_set
from trainer.runs.checkpoint import TrainingState, load_checkpoint, save_checkpoint
from trainer.tagger import (
    Tagger,
    load_tagger,
    random_tagger,
)


@pytest.fixture(scope="module")
def lively(dat_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose tagger hears differences, which four steps of training do not make.

    Its BatchNorm statistics are those of chords and noise, its last layer is ten times as steep.
    """
    run_folder = tmp_path_factory.mktemp("lively") / "dat"
    shutil.copytree(dat_run, run_folder)
    one = load_tagger(dat_run)
    average_from_here(one.encoder, forget=True)
    heard = [np.float32(sum(music_and_noise(CHUNK_SAMPLES, n))) for n in range(8)]
    with torch.no_grad():
        one.encoder.train()(one.prepare(torch.from_numpy(np.stack(heard)[:, None])))
        one.predictor.layers[2].weight.mul_(10.0)
    state = TrainingState({"encoder": one.encoder, "predictor": one.predictor})
    for name in ("best", "last"):
        save_checkpoint(run_folder / "checkpoints" / name, state, one.card)
    return run_folder


@pytest.fixture(scope="module")
def tagger(lively: Path) -> Tagger:
    return load_tagger(lively)


def tone(seconds: float, rate: int = SAMPLE_RATE, hz: float = 440.0) -> np.ndarray:
    t = np.arange(round(seconds * rate)) / rate
    return 0.2 * np.sin(2 * np.pi * hz * t) * (1 + 0.5 * np.sin(2 * np.pi * 3 * t))


def chunks_of(path: Path, tagger: Tagger) -> np.ndarray:
    """All chunks of a file."""
    return np.concatenate(list(file_chunks(str(path), tagger)))


def test_the_best_checkpoint_is_loaded(dat_run: Path) -> None:
    tagger = load_tagger(dat_run)
    assert (tagger.name, tagger.tags, tagger.band_hz) == ("dat", TAGS, None)
    assert load_tagger(dat_run / "checkpoints" / "best").sha256 == tagger.sha256
    assert load_tagger(dat_run / "checkpoints" / "last").name == "dat"
    assert not tagger.encoder.training and not tagger.predictor.training


def test_a_random_tagger_has_the_same_shape(tagger: Tagger) -> None:
    random = random_tagger(tagger)
    assert random.card["method"] == "random-encoder" and random.sha256 != tagger.sha256
    chunk = np.zeros((1, 1, CHUNK_SAMPLES), np.float32) + 0.1
    device = torch.device("cpu")
    assert random.predict(device)(chunk)[0].shape == tagger.predict(device)(chunk)[0].shape


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"model": None}, "expected a card with model and tags"),
        ({"model": {"width": 0.03, "evil": 1}}, "expected a card with model and tags"),
        ({"model": {"width": "wide"}}, "expected a card with model and tags"),
        ({"model": {"width": 1e9}}, "expected a width up to 16"),
        ({"tags": []}, "up to 100,000 tags"),
        ({"tags": 7}, "expected a card with model and tags"),
        *(({"band_hz": hz}, "a band of 500 to 11025 Hz") for hz in (-1, 0, 500, 1e12)),
        ({"band_hz": "7200"}, "expected a card with model and tags"),
        ({"model": {"input_level": "loud"}}, "a level (rms, asis) up to 0 dBFS"),
        ({"model": {"level_dbfs": 900.0}}, "a level (rms, asis) up to 0 dBFS"),
        ({"model": {"level_dbfs": "-20"}}, "expected a card with model and tags"),
        ({"tags": ["rock", "\x1b[2Jpop"]}, "expected printable names"),
        ({"tags": ["rock", 7]}, "expected printable names"),
        ({"method": "dat\n"}, "expected printable names"),
        ({"tags": ["rock", "rock"]}, "expected each tag once"),
        ({"tags": ["one"]}, "expected shape (1, 512), got (4, 512)"),
    ],
)
def test_cards_of_strangers(
    dat_run: Path, tmp_path: Path, changed: dict[str, object], message: str
) -> None:
    copy = tmp_path / "best"
    shutil.copytree(dat_run / "checkpoints" / "best", copy)
    record = json.loads((copy / "state.json").read_text())
    record["progress"] |= changed
    del record["sha256"]
    (copy / "state.json").write_text(json.dumps(record))
    with pytest.raises(ManifestError) as error:
        load_tagger(copy)
    assert message in str(error.value)


# ---- files ----------------------------------------------------------------------------


def test_files_of_any_rate_length_and_channels(tmp_path: Path, tagger: Tagger) -> None:
    for rate, channels, seconds, n_chunks in (
        (44_100, 2, 6.0, 2), (22_050, 1, 2.0, 1), (16_000, 1, 2.7, 1), (8_000, 6, 30.0, 11),
    ):  # fmt: skip
        path = tmp_path / f"{rate}.wav"
        sound = tone(seconds, rate)
        soundfile.write(path, np.stack([sound] * channels, axis=1), rate)
        chunks = chunks_of(path, tagger)
        assert chunks.shape == (n_chunks, 1, CHUNK_SAMPLES) and chunks.dtype == np.float32
        rms = np.sqrt(np.mean(np.square(chunks[0, 0, :40_000])))
        assert rms == pytest.approx(0.2 * np.sqrt(0.5 * 1.125), rel=0.05)


def test_long_files_are_read_a_minute_at_a_time(
    tmp_path: Path, tagger: Tagger, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, together = tmp_path / "a.wav", 2 * CHUNK_SAMPLES
    soundfile.write(path, tone(14.0, 44_100), 44_100, "DOUBLE")
    whole = chunks_of(path, tagger)
    monkeypatch.setattr(audio_files, "MINUTE", together + 5)
    pieces = list(file_chunks(str(path), tagger))
    assert [len(piece) for piece in pieces] == [2, 2, 1]
    np.testing.assert_allclose(np.concatenate(pieces), whole, atol=5e-5)  # but for its mean
    monkeypatch.setattr(audio_files, "MINUTE", 1)
    assert [len(piece) for piece in file_chunks(str(path), tagger)] == [1] * 5


def test_memory_does_not_grow_with_the_file(tmp_path: Path, tagger: Tagger) -> None:
    path = tmp_path / "long.wav"
    with soundfile.SoundFile(path, "w", SAMPLE_RATE, 1) as file:
        for _ in range(15):
            file.write(tone(60.0))
    tracemalloc.start()
    n_chunks = sum(len(chunks) for chunks in file_chunks(str(path), tagger))
    peak_mb = tracemalloc.get_traced_memory()[1] / 1e6
    tracemalloc.stop()
    assert n_chunks == 900 * SAMPLE_RATE // CHUNK_SAMPLES
    assert peak_mb < 80, "15 minutes in float64 alone are 159 MB"


def test_the_mean_of_a_file_is_removed_as_of_every_example(tmp_path: Path, tagger: Tagger) -> None:
    soundfile.write(tmp_path / "a.flac", tone(6.0), SAMPLE_RATE)
    soundfile.write(tmp_path / "b.flac", tone(6.0) + 0.3, SAMPLE_RATE)
    a, b = (chunks_of(tmp_path / f"{name}.flac", tagger) for name in "ab")
    np.testing.assert_allclose(a, b, atol=2e-4)


def test_the_band_of_the_checkpoint_is_applied(tmp_path: Path, tagger: Tagger) -> None:
    """A tone above the band is gone; one below stays."""
    limited = replace(tagger, band_hz=7_200.0)
    for hz, kept in ((1_000.0, True), (9_000.0, False)):
        path = tmp_path / f"{hz:.0f}.wav"
        soundfile.write(path, tone(3.0, hz=1_000.0) * 1e-3 + tone(3.0, hz=hz), SAMPLE_RATE)
        power = [float(np.mean(np.square(chunks_of(path, t)))) for t in (tagger, limited)]
        change_db = 10 * np.log10(power[1] / power[0])
        assert change_db > -0.1 if kept else change_db < -40


def test_tag_and_embed_apply_the_band(lively: Path, tmp_path: Path) -> None:
    """Two files that differ above the band alone get the same tags and embeddings."""
    limited = tmp_path / "limited"
    shutil.copytree(lively, limited)
    for state in limited.glob("checkpoints/*/state.json"):
        record = json.loads(state.read_text())
        record["progress"]["band_hz"] = 7_200.0
        del record["sha256"]
        state.write_text(json.dumps(record))
    files = [tmp_path / "a.wav", tmp_path / "b.wav"]
    soundfile.write(files[0], tone(3.0), SAMPLE_RATE)
    soundfile.write(files[1], tone(3.0) + tone(3.0, hz=9_500.0), SAMPLE_RATE)
    for checkpoint, same in ((limited, True), (lively, False)):
        found = json.loads(run_well("tag", *files, "--checkpoint", checkpoint, "--json").output)
        a, b = (found[str(file)] for file in files)
        assert (max(abs(a[tag] - b[tag]) for tag in TAGS) < 1e-3) == same
        out = tmp_path / "e.npz"
        run_well("embed", *files, "--checkpoint", checkpoint, "-o", out)
        with np.load(out, allow_pickle=False) as arrays:
            a, b = (arrays[str(file)] for file in files)
        assert (np.abs(a - b).max() < 1e-2) == same


def test_scores_are_the_mean_over_chunks(lively: Path, tagger: Tagger, tmp_path: Path) -> None:
    path = tmp_path / "song.wav"
    rng = np.random.default_rng(1)
    soundfile.write(path, 0.1 * rng.standard_normal(3 * CHUNK_SAMPLES + 99), SAMPLE_RATE)
    chunks = chunks_of(path, tagger)
    with torch.no_grad():
        h = tagger.encoder(tagger.prepare(torch.from_numpy(chunks)))
        expected = tagger.predictor(h).sigmoid().mean(dim=0).numpy()
    found = json.loads(run_well("tag", path, "--checkpoint", lively, "--json").output)[str(path)]
    np.testing.assert_allclose([found[tag] for tag in TAGS], expected, atol=1e-4)
    assert list(found.values()) == sorted(found.values(), reverse=True)
    line = run_well("tag", path, "--checkpoint", lively, "--top", "2").output
    assert line.count(",") == 1 and line.startswith(f"{path}: {next(iter(found))} ")
    for options, shape in (((), h.shape[1:]), (("--per-chunk",), h.shape)):
        run_well("embed", path, "--checkpoint", lively, "-o", tmp_path / "e.npz", *options)
        with np.load(tmp_path / "e.npz", allow_pickle=False) as arrays:
            assert arrays[str(path)].shape == shape
            mean = arrays[str(path)].reshape(-1, h.shape[1]).mean(axis=0)
        np.testing.assert_allclose(mean, h.mean(dim=0).numpy(), atol=1e-4)


def test_long_files_are_predicted_a_few_chunks_at_a_time() -> None:
    sizes = []

    def predict(chunks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        sizes.append(len(chunks))
        return chunks[:, 0, :3], chunks[:, 0, :2]

    chunks = np.random.default_rng(0).random((70, 1, 5)).astype(np.float32)
    probabilities, embeddings = predict_chunks(predict, chunks)  # type: ignore[arg-type]
    assert sizes == [CHUNKS_AT_ONCE, CHUNKS_AT_ONCE, 70 - 2 * CHUNKS_AT_ONCE]
    np.testing.assert_array_equal(probabilities, chunks[:, 0, :3])
    np.testing.assert_array_equal(embeddings, chunks[:, 0, :2])


# ---- files that are none --------------------------------------------------------------


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


def test_archives_hold_any_name(tmp_path: Path) -> None:
    names = ["file", "a/b.wav", "/abs.wav", "x y", "ä"]
    arrays = {name: np.arange(3, dtype=np.float32) + i for i, name in enumerate(names)}
    assert write_arrays(tmp_path / "e.npz", iter(arrays.items())) == len(arrays)
    with np.load(tmp_path / "e.npz", allow_pickle=False) as found:
        assert set(found) == set(names)
        for name in names:
            np.testing.assert_array_equal(found[name], arrays[name])
    assert write_arrays(tmp_path / "sub" / "none.npz", iter(())) == 0
    assert [p.name for p in tmp_path.rglob("*")] == ["e.npz", "sub"], "no file without arrays"


def test_an_archive_that_cannot_be_written_is_refused_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    def arrays() -> Iterator[tuple[str, np.ndarray]]:
        raise AssertionError("asked for an array")
        yield

    with pytest.raises(ManifestError, match=r"file/e\.npz: cannot be written"):
        write_arrays(tmp_path / "file" / "e.npz", arrays())


def test_a_pipe_stays_one_and_is_opened_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Opened twice, its reader may be gone before the second time, which then waits for ever."""
    pipe, read, opened = tmp_path / "pipe", list[bytes](), list[str]()
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()), daemon=True)
    reader.start()
    real = io.open

    def spy(file: Any, mode: str = "r", *more: Any, **named: Any) -> Any:
        if str(file) == str(pipe) and "r" not in mode:
            opened.append(mode)
        return real(file, mode, *more, **named)

    monkeypatch.setattr(io, "open", spy)
    assert write_arrays(pipe, [("a", np.ones(3, np.float32))]) == 1
    reader.join(timeout=30)
    assert opened == ["wb"] and pipe.is_fifo()
    with np.load(io.BytesIO(read[0]), allow_pickle=False) as found:
        np.testing.assert_array_equal(found["a"], np.ones(3))
    assert list(tmp_path.iterdir()) == [pipe]


def test_an_open_pipe_by_its_number(tmp_path: Path) -> None:
    """What a shell gives for ``>(…)``: a link to a name that is not there."""
    read, write = os.pipe()
    assert write_arrays(Path(f"/dev/fd/{write}"), [("a", np.ones(3, np.float32))]) == 1
    os.close(write)
    with os.fdopen(read, "rb") as pipe, np.load(io.BytesIO(pipe.read())) as found:
        np.testing.assert_array_equal(found["a"], np.ones(3))


def test_a_reader_that_goes_away_is_no_error_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_: object) -> None:
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")

    monkeypatch.setattr("trainer.cli.use.load_tagger", gone)
    result = run("tag", "a.wav", "--checkpoint", "run")
    assert (result.exit_code, result.output) == (1, "")


def test_a_link_stays_one(tmp_path: Path) -> None:
    link, target = tmp_path / "link.npz", tmp_path / "target.npz"
    link.symlink_to(target)
    write_arrays(link, [("a", np.ones(3, np.float32))])
    assert link.is_symlink() and target.is_file()
    assert {p.name for p in tmp_path.iterdir()} == {"link.npz", "target.npz"}


def test_errors_of_reading_are_not_called_errors_of_writing(tmp_path: Path) -> None:
    def arrays() -> Iterator[tuple[str, np.ndarray]]:
        yield "a", np.ones(3, np.float32)
        raise PermissionError(13, "Permission denied", "song.wav")

    with pytest.raises(PermissionError, match=r"song\.wav"):
        write_arrays(tmp_path / "e.npz", arrays())
    assert not list(tmp_path.iterdir())


def test_a_file_that_may_not_be_read_is_named(
    dat_run: Path, odd_files: dict[str, Path], tmp_path: Path
) -> None:
    name = tmp_path / ("x" * 300 + ".wav")
    found = run("embed", name, odd_files["good.wav"], "--checkpoint", dat_run,
                "-o", tmp_path / "e.npz")  # fmt: skip
    assert found.exit_code == 1
    assert "cannot be read: File name too long" in found.stderr
    assert "embed: step 2/2" in found.stderr, "files that were tried count as done"


def test_a_failure_on_the_way_leaves_the_archive_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "e.npz"
    write_arrays(path, [("a", np.ones(3, np.float32))])

    def failing() -> Iterator[tuple[str, np.ndarray]]:
        yield "b", np.zeros(3, np.float32)
        raise ManifestError("b.wav: broken")

    with pytest.raises(ManifestError, match="broken"):
        write_arrays(path, failing())
    assert [p.name for p in tmp_path.iterdir()] == ["e.npz"] and list(np.load(path)) == ["a"]


# ---- level ----------------------------------------------------------------------------


def test_one_checkpoint_scores_sets_of_other_gains_alike(
    tmp_path: Path, tagger: Tagger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Clean members of a noisier set are stored quieter; scaled to one RMS they score the same."""
    sets = {}
    real = tiny_sets.common_gain_db
    for name, gain_db in (("loud", 0.0), ("quiet", -14.0)):
        monkeypatch.setattr(tiny_sets, "common_gain_db", lambda peak, g=gain_db: real(peak) + g)
        options = {"excerpts": 1, "n_samples": SAMPLES, "snrs_db": RUNGS_DB, "halves": False}
        sets[name] = write_set(str(tmp_path / name), n_songs=5, **options)  # type: ignore[arg-type]

    def scores(one: Tagger) -> list[np.ndarray]:
        found = []
        for name in sets:
            item = evaluation_set(load_set(str(tmp_path / name)), TAGS)
            predict = one.predict(torch.device("cpu"))
            clips = score_clips(item.clips(), predict, tags=TAGS, members=["clean"])
            found.append(clips.scores["clean"])
        return found

    levels = {name: float(next(iter(s.entries()))[1].record.gain_db) for name, s in sets.items()}
    assert levels["loud"] - levels["quiet"] == pytest.approx(14.0)
    loud, quiet = scores(tagger)
    assert np.abs(loud - quiet).max() < 3e-3 < np.ptp(loud), "16-bit steps, 14 dB nearer"
    as_is = replace(tagger, model=ModelConfig(width=0.03, input_level="asis"))
    loud, quiet = scores(as_is)
    assert np.abs(loud - quiet).max() > 3e-3, "without scaling the level is heard"


def test_a_tagger_remembers_what_it_was_trained_on(dat_run: Path, suite: Path) -> None:
    card = load_checkpoint(dat_run / "checkpoints" / "best").progress
    index = load_set(str(suite / "train")).index
    assert card["trained_on"] == {"set": index.name, "plan_sha256": index.plan_sha256}
    assert card["model"]["input_level"] == "rms"
