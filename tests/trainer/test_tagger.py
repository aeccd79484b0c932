"""Taggers of checkpoints: what their cards say, of strangers too, and the level that they hear."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tiny_sets
import torch
from tiny_sets import TAGS, write_set
from tiny_suite import RUNGS_DB, SAMPLES

from manifests.errors import ManifestError
from manifests.rows import CHUNK_SAMPLES
from manifests.shardset import load_set
from trainer.config import ModelConfig
from trainer.evaluation.clip_scores import score_clips
from trainer.evaluation.set_clips import evaluation_set
from trainer.runs.checkpoint import load_checkpoint
from trainer.tagger import Tagger, load_tagger, random_tagger


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
