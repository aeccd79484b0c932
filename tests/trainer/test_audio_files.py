"""Ordinary audio files to ``train tag`` and ``train embed``: their chunks, band and scores."""

from __future__ import annotations

import json
import shutil
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from tiny_sets import TAGS
from tiny_suite import run_well
from tiny_taggers import chunks_of, tone

from manifests.rows import CHUNK_SAMPLES, SAMPLE_RATE
from trainer import audio_files
from trainer.audio_files import CHUNKS_AT_ONCE, file_chunks, predict_chunks
from trainer.tagger import Tagger


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
