"""Evaluation of sets on disk: subsets, labels, files written, and a real checkpoint."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from score_cases import run_label
from tiny_sets import RUNGS_DB, TAGS, write_set
from torch import nn

from manifests.canonical import canonical_json
from manifests.errors import ManifestError, UsageError
from manifests.rows import CHUNK_SAMPLES
from manifests.shardset import ShardSet
from manifests.subset import Subset, load_subset
from trainer.compute import prepared
from trainer.config import InputLevel, ModelConfig, TrainConfig
from trainer.data import load_refs
from trainer.evaluation.checkpoint import SetRequest, evaluate_checkpoint, evaluate_random
from trainer.evaluation.clip_scores import score_clips
from trainer.evaluation.evaluate import evaluate_run
from trainer.evaluation.figures import MetricDefinition
from trainer.evaluation.model import TorchPredict
from trainer.evaluation.score_file import load_score_file
from trainer.evaluation.set_clips import evaluation_set, plan_id
from trainer.models.heads import LabelPredictor
from trainer.runs.checkpoint import TrainingState, save_checkpoint
from trainer.runs.folder import open_run
from trainer.stage1_encoder import encoder_card, new_encoder
from trainer.tagger import load_tagger

CHUNK = 1_000
RUN = run_label("dat", "dat", 0, "c" * 64)
METRIC = MetricDefinition(n_draws=50)
RECIPE = "ab" * 32


@pytest.fixture
def tiny(tmp_path: Path) -> ShardSet:
    return write_set(str(tmp_path / "set"), halves=False)


def tone_predict(chunks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A deterministic model of the spectrum: works the better the less noise there is."""
    bands = np.abs(np.fft.rfft(chunks[:, 0], axis=1))[:, :40]
    bands = (bands / (np.linalg.norm(bands, axis=1, keepdims=True) + 1e-9)).astype(np.float32)
    return np.clip(bands[:, 5 : 5 + len(TAGS)], 0, 1), bands


def test_clips_of_a_set_carry_their_labels_and_artists(tiny: ShardSet) -> None:
    item = evaluation_set(tiny, TAGS, chunk_samples=CHUNK)
    clips = list(item.clips())
    refs = load_refs(tiny)
    assert [clip.key for clip in clips] == [ref.key for ref in refs]
    assert [clip.tags for clip in clips] == [ref.tags for ref in refs]
    assert {clip.cluster for clip in clips} == {f"artist tiny:artist-{n}" for n in range(4)}
    assert list(item.snrs_db) == ["clean", *(f"noisy.snr_{snr:g}" for snr in RUNGS_DB)]
    assert all(chunk.shape == (5, 1, CHUNK) for clip in clips for chunk in clip.chunks.values())
    assert item.label.plan_id == plan_id(tiny.index)
    assert (item.label.recipe_id, item.label.subset_id) == (None, None)


def test_the_plan_id_tells_band_limits_apart(tiny: ShardSet) -> None:
    limited = replace(tiny.index, config={"band_hz": 7_200.0})
    assert plan_id(limited) != plan_id(tiny.index)
    assert plan_id(replace(tiny.index, plan_sha256="1" * 64)) != plan_id(tiny.index)
    assert plan_id(replace(tiny.index, tools={"soxr": "9"})) == plan_id(tiny.index)


def test_another_order_of_the_vocabulary_is_the_same_labels(tiny: ShardSet) -> None:
    turned = TAGS[::-1]
    found = score_clips(
        evaluation_set(tiny, turned, chunk_samples=CHUNK).clips(),
        tone_predict,
        tags=turned,
        members=["clean"],
    )
    straight = score_clips(
        evaluation_set(tiny, TAGS, chunk_samples=CHUNK).clips(),
        tone_predict,
        tags=TAGS,
        members=["clean"],
    )
    np.testing.assert_array_equal(found.labels, straight.labels[:, ::-1])


def test_another_vocabulary_is_refused(tiny: ShardSet) -> None:
    with pytest.raises(ManifestError, match=r"lacks \['kazoo'\], adds \['voice'\]"):
        evaluation_set(tiny, (*TAGS[:-1], "kazoo"), chunk_samples=CHUNK)


def test_evaluation_writes_all_its_files(tiny: ShardSet, tmp_path: Path) -> None:
    item = evaluation_set(tiny, TAGS, chunk_samples=CHUNK)
    out = tmp_path / "out"
    found = evaluate_run(RUN, "w" * 64, tone_predict, [item], out=str(out), metric=METRIC)
    assert sorted(path.name for path in out.iterdir()) == [
        "evaluation.json",
        "tiny.embeddings.safetensors",
        "tiny.scores",
        "tiny.scores.parquet",
    ]
    file, table = load_score_file(str(out / "tiny.scores"))
    assert (file.figures, file.set) == (found.sets[0].figures, item.label)
    assert len(table.keys) == 24
    record = json.loads((out / "evaluation.json").read_text())
    assert record["sets"][0]["figures"]["n_clips"] == 24
    run = {"name": "dat", "method": "dat", "seed": 0, "config_sha256": "c" * 64}
    run |= {"backbone": "samplecnn", "chunk_samples": 59_049, "aggregate": "mean"}
    assert record["run"] == run


def test_noise_hurts_consistency_the_more_the_louder_it_is(tiny: ShardSet) -> None:
    item = evaluation_set(tiny, TAGS, chunk_samples=CHUNK)
    (found,) = evaluate_run(RUN, "w" * 64, tone_predict, [item], metric=METRIC).sets
    margins = [n.consistency.cosine_margin for n in found.figures.noise if n.consistency]
    assert margins == sorted(margins, reverse=True)
    assert len(margins) == 5


def test_sets_of_one_name_or_none_are_refused(tiny: ShardSet) -> None:
    item = evaluation_set(tiny, TAGS, chunk_samples=CHUNK)
    with pytest.raises(UsageError, match=r"expected one or more sets .* got \['tiny'\]"):
        evaluate_run(RUN, "", tone_predict, [item, item])
    with pytest.raises(UsageError, match="got none"):
        evaluate_run(RUN, "", tone_predict, [])


def keys_of(shard_set: ShardSet) -> list[str]:
    return [ref.key for ref in load_refs(shard_set)]


def write_subset(tmp_path: Path, keys: list[str], recipe_id: str = RECIPE) -> str:
    path = tmp_path / "x.subset.json"
    path.write_text(json.dumps({"recipe_id": recipe_id, "accept": "identical", "keys": keys}))
    return str(path)


def test_a_subset_scores_its_keys_alone_and_says_so(tiny: ShardSet, tmp_path: Path) -> None:
    keys = keys_of(tiny)[3:9]
    subset = load_subset(write_subset(tmp_path, keys))
    item = evaluation_set(tiny, TAGS, recipe_id=RECIPE, subset=subset, chunk_samples=CHUNK)
    assert [clip.key for clip in item.clips()] == keys
    assert item.label.subset_id == subset.subset_id
    assert item.label.recipe_id == RECIPE


def test_keys_that_the_set_lacks_are_an_error(tiny: ShardSet) -> None:
    subset = Subset(RECIPE, "identical", (*keys_of(tiny)[:2], "tiny-gone-00000000-0"))
    with pytest.raises(ManifestError, match="1 are not in the set, first tiny-gone-00000000-0"):
        evaluation_set(tiny, TAGS, recipe_id=RECIPE, subset=subset, chunk_samples=CHUNK)


@pytest.mark.parametrize(
    ("recipe_id", "message"),
    [("cd" * 32, "got cdcdcdcdcdcd…"), (None, "got a set without a recipe")],
)
def test_a_subset_of_another_recipe_is_refused(
    tiny: ShardSet, recipe_id: str | None, message: str
) -> None:
    subset = Subset(RECIPE, "identical", tuple(keys_of(tiny)[:2]))
    with pytest.raises(ManifestError, match=message):
        evaluation_set(tiny, TAGS, recipe_id=recipe_id, subset=subset, chunk_samples=CHUNK)


def save_run(path: Path, seed: int = 0) -> None:
    """A run folder with the best checkpoint of a small tagger."""
    config = replace(TrainConfig(method="baseline", seed=seed), model=ModelConfig(width=0.03))
    run = open_run(path, json.loads(canonical_json(config)))
    torch.manual_seed(seed)
    encoder = new_encoder(config.model)
    predictor = LabelPredictor(encoder.n_features, len(TAGS))
    card = {"method": "baseline", "tags": list(TAGS), "band_hz": None, **encoder_card(config)}
    save_checkpoint(run.best, TrainingState({"encoder": encoder, "predictor": predictor}), card)


def test_a_checkpoint_is_evaluated_into_its_run(tmp_path: Path) -> None:
    run, url = tmp_path / "run", str(tmp_path / "set")
    save_run(run)
    write_set(
        url, n_songs=6, excerpts=1, n_samples=2 * CHUNK_SAMPLES + 100, snrs_db=(0.0,), halves=False
    )
    device = torch.device("cpu")
    requests = [SetRequest(url)]
    found = evaluate_checkpoint(run, requests, device=device, metric=METRIC)
    again = evaluate_checkpoint(
        run / "checkpoints" / "best", requests, device=device, metric=METRIC
    )
    assert found == again
    file, table = load_score_file(str(run / "evaluation" / "tiny.scores"))
    assert (file.run.name, file.run.method, file.run.seed) == ("run", "baseline", 0)
    assert file.checkpoint_sha256 == load_tagger(run).sha256
    assert table.scores["clean"].shape == (6, len(TAGS))
    random = evaluate_random(
        run, requests, device=device, out=str(tmp_path / "random"), metric=METRIC
    )
    assert random.run.method == "random-encoder"
    assert (tmp_path / "random" / "evaluation" / "tiny.scores").is_file()
    assert random.run.config_sha256 != found.run.config_sha256
    subset_url = write_subset(tmp_path, ["a"])
    with pytest.raises(UsageError, match="--subset: expected one set, got 2"):
        evaluate_checkpoint(run, requests * 2, device=device, subset_url=subset_url)


def test_runs_that_differ_by_the_seed_alone_share_a_config(tmp_path: Path) -> None:
    url = str(tmp_path / "set")
    write_set(url, n_songs=3, excerpts=1, n_samples=CHUNK_SAMPLES, snrs_db=(), halves=False)
    labels = []
    for seed in (0, 1):
        save_run(tmp_path / f"run{seed}", seed)
        found = evaluate_checkpoint(
            tmp_path / f"run{seed}", [SetRequest(url)], device=torch.device("cpu"), metric=METRIC
        )
        labels.append(found.run)
    assert [label.seed for label in labels] == [0, 1]
    assert labels[0].config_sha256 == labels[1].config_sha256


class Loudness(nn.Module):
    """An encoder that hears nothing but the level."""

    def forward(self, audio: torch.Tensor) -> torch.Tensor:
        """Return the RMS of each chunk, (B, 1)."""
        return audio.square().mean(dim=(1, 2)).sqrt()[:, None]


@pytest.mark.parametrize(("input_level", "agrees"), [("rms", True), ("asis", False)])
def test_a_louder_clip_scores_the_same(input_level: InputLevel, agrees: bool) -> None:
    """Level is no cue: with inputs scaled to one RMS, one checkpoint gives one clean score."""
    rng = np.random.default_rng(0)
    chunk = 0.1 * rng.standard_normal((1, 1, CHUNK_SAMPLES)).astype(np.float32)
    predict = TorchPredict(
        Loudness(),
        nn.Linear(1, 2),
        device=torch.device("cpu"),
        prepare=prepared(ModelConfig(input_level=input_level)),
    )
    quiet, loud = predict(chunk * np.float32(0.05)), predict(chunk)
    assert (np.abs(quiet[0] - loud[0]).max() < 1e-3) == agrees
    assert loud[1] == pytest.approx(0.1, rel=0.01)


def test_the_model_is_scored_in_eval_mode(tmp_path: Path) -> None:
    """In train mode BatchNorm would make a chunk's score depend on its neighbours."""
    save_run(tmp_path / "run")
    tagger = load_tagger(tmp_path / "run")
    tagger.encoder.train()
    predict = tagger.predict(torch.device("cpu"))
    rng = np.random.default_rng(0)
    chunks = rng.standard_normal((3, 1, CHUNK_SAMPLES)).astype(np.float32)
    together, alone = predict(chunks), predict(chunks[:1])
    np.testing.assert_allclose(together[0][:1], alone[0], atol=1e-5)
    assert not tagger.encoder.training


def test_evaluation_logs_what_it_scores(tiny: ShardSet, caplog: pytest.LogCaptureFixture) -> None:
    item = evaluation_set(tiny, TAGS, chunk_samples=CHUNK)
    with caplog.at_level(logging.INFO, "trainer.evaluation"):
        evaluate_run(RUN, "", tone_predict, [item], metric=METRIC)
    assert "dat: scoring tiny" in caplog.text
