"""A tagger of a narrower band than the clips hears no more of them than of their files."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import soundfile
import torch
from tiny_bands import members
from tiny_suite import run_well

from manifests.keys import AUDIO
from manifests.rows import SAMPLE_RATE
from manifests.shardset import ShardSet
from manifests.signal import to_pcm
from trainer.audio_files import file_chunks, predict_chunks
from trainer.evaluation.score_file import load_score_file
from trainer.runs.checkpoint import TrainingState, save_checkpoint
from trainer.tagger import Tagger, load_tagger


def probabilities(tagger: Tagger, signal: np.ndarray, path: Path) -> np.ndarray:
    """What ``train tag`` says of a signal as a file."""
    soundfile.write(path, to_pcm(signal), SAMPLE_RATE)
    predict = tagger.predict(torch.device("cpu"))
    (chunks,) = file_chunks(str(path), tagger)
    return predict_chunks(predict, chunks)[0].mean(axis=0)


def test_evaluate_says_of_a_clip_what_tag_says_of_its_file(
    wide: ShardSet, narrow_run: Path, tmp_path: Path
) -> None:
    run_well(
        "evaluate", "--checkpoint", narrow_run, "--shards", wide.url, "--out", tmp_path / "out"
    )
    file, table = load_score_file(str(tmp_path / "out/real.scores"))
    tagger, whole = load_tagger(narrow_run), members(wide)
    told = replace(tagger, band_hz=None)
    apart = 0.0
    for key, scores in zip(table.keys, table.scores[AUDIO], strict=True):
        signal = whole[key, AUDIO]
        np.testing.assert_allclose(
            scores, probabilities(tagger, signal, tmp_path / "a.flac"), atol=1e-5
        )
        other = probabilities(told, signal, tmp_path / "b.flac")
        apart = max(apart, float(np.abs(scores - other).max()))
    assert apart > 0.05, "the band above would have counted"
    assert file.metric.clip_score.endswith("tail dropped, of audio limited to 7200 Hz")


def test_the_table_says_who_heard_less(wide: ShardSet, narrow_run: Path, tmp_path: Path) -> None:
    """A full-band tagger and a limited one are compared: what each is given belongs to it."""
    full = tmp_path / "full"
    shutil.copytree(narrow_run, full)
    tagger = load_tagger(full)
    state = TrainingState({"encoder": tagger.encoder, "predictor": tagger.predictor})
    save_checkpoint(full / "checkpoints/best", state, {**tagger.card, "band_hz": None, "seed": 9})
    scores = []
    for one in (narrow_run, full):
        run_well(
            "evaluate", "--checkpoint", one, "--shards", wide.url, "--out", tmp_path / one.name
        )
        scores.append(tmp_path / one.name / "real.scores")
    assert load_score_file(str(scores[1]))[0].metric.clip_score.endswith("tail dropped")
    alone = run_well("compare", scores[0], "--out", tmp_path / "table").output
    assert "real: heard up to 7200 Hz, the band of the training sets\n" in alone
    both = run_well("compare", *scores, "--out", tmp_path / "table").output
    assert "Hz, the band of its training set, in 1 of 2 seeds; evaluate the others again" in both
