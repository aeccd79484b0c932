"""A tagger with attention in use: evaluated, compared, tagging, and in a grid, beside its mean."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_attention import CPU, NOISY
from tiny_sets import TAGS, music_and_noise
from tiny_suite import COMPARISON, run, run_well

from manifests.rows import CHUNK_SAMPLES, SAMPLE_RATE
from manifests.shardset import load_set
from trainer.audio_files import file_chunks
from trainer.data import clip_refs, iter_clips
from trainer.evaluation.score_file import load_score_file
from trainer.tagger import load_tagger


def weighted(tagger: Any, chunks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and attention's scores of a file's chunks, from the equation."""
    with torch.no_grad():
        h = tagger.encoder(tagger.prepare(torch.from_numpy(chunks)))
        p = tagger.predictor(h).sigmoid().double()
        head = tagger.pooling
        hidden = torch.tanh(head.content(h)) * torch.sigmoid(head.gate(h))
        softmax = torch.softmax((hidden @ head.score.weight.T).double(), dim=0)
    return p.mean(dim=0).numpy(), (softmax * p).sum(dim=0).numpy()


def test_evaluate_scores_with_both(clips: Path, partial: Path, tmp_path: Path) -> None:
    run_folder = tmp_path / "partial"
    shutil.copytree(partial, run_folder)
    command = ("evaluate", "--checkpoint", run_folder, "--shards", clips / "test-musan")
    shown = [run_well(*command, *more).stdout for more in ((), ("--aggregate", "attention"))]
    assert shown[0].startswith("partial on test-musan: 6 clips")
    assert shown[1].startswith("partial (attention) on test-musan: 6 clips")
    names = {path.name for path in (run_folder / "evaluation").iterdir()}
    assert names == {
        f"{stem}{end}"
        for stem in ("test-musan", "test-musan.attention")
        for end in (".scores", ".scores.parquet", ".embeddings.safetensors")
    } | {"evaluation.json", "evaluation.attention.json"}
    files = {}
    for aggregate, stem in (("mean", "test-musan"), ("attention", "test-musan.attention")):
        file, table = load_score_file(str(run_folder / "evaluation" / f"{stem}.scores"))
        assert file.run.aggregate == aggregate and file.run.name == "partial"
        assert ("attention" in file.metric.clip_score) == (aggregate == "attention")
        files[aggregate] = (file, table)
    mean, attention = files["mean"][0], files["attention"][0]
    assert mean.run.config_sha256 != attention.run.config_sha256
    tagger = load_tagger(run_folder, "attention")
    assert attention.checkpoint_sha256 == tagger.sha256 != mean.checkpoint_sha256
    refs = clip_refs(load_set(str(clips / "test-musan")), ("clean", *NOISY))
    for row, clip in enumerate(iter_clips(refs)):
        for member, chunks in clip.chunks.items():
            expected = weighted(tagger, chunks.numpy())
            for (_, table), scores in zip(files.values(), expected, strict=True):
                np.testing.assert_allclose(table.scores[member][row], scores, atol=1e-5)
    apart = files["mean"][1].scores["clean"] - files["attention"][1].scores["clean"]
    assert np.abs(apart).max() > 0.01
    agreement = [file.figures.noise[0].consistency for file in (mean, attention)]
    assert agreement[0] and agreement[1]
    assert agreement[0].cosine_twin == agreement[1].cosine_twin, "embeddings are means for both"


def test_the_table_names_both_and_the_mean_is_the_baseline(
    clips: Path, partial: Path, tmp_path: Path
) -> None:
    run_folder = tmp_path / "partial"
    shutil.copytree(partial, run_folder)
    for more in ((), ("--aggregate", "attention")):
        run_well(
            "evaluate", "--checkpoint", run_folder, "--shards", clips / "test-musan", *more
        )  # fmt: skip
    result = run_well("compare", run_folder, "--out", tmp_path / "table")
    rows = [line for line in result.output.splitlines() if line.startswith("partial")]
    assert [line[:20].strip() for line in rows[:2]] == ["partial", "partial (attention)"]
    assert "paired difference to partial (" in result.output
    assert (tmp_path / "table" / "training-partial.png").is_file()
    costs = json.loads((tmp_path / "table" / "table.json").read_text())["costs"]
    more = costs[1]["n_parameters"] - costs[0]["n_parameters"]
    head = load_tagger(partial, "attention").pooling
    assert head is not None and more == sum(p.numel() for p in head.parameters())


def test_the_mean_of_a_run_with_attention_is_a_mean_runs(
    shared: tuple[object, ...], clips: Path, attending: Path, tmp_path: Path
) -> None:
    """One tagger, one row: not two configurations of the same thing."""
    plain_run, run_folder = tmp_path / "attending", tmp_path / "again" / "attending"
    run_well(*shared, "--out", plain_run)
    shutil.copytree(attending, run_folder)
    texts = []
    for folder in (plain_run, run_folder, run_folder / "pooling"):
        out = tmp_path / f"scores{len(texts)}"
        run_well(
            "evaluate", "--checkpoint", folder, "--shards", clips / "test-musan", "--out", out
        )  # fmt: skip
        texts.append(json.loads((out / "test-musan.scores").read_text()))
    assert texts[0] == texts[1]
    assert texts[2] == texts[0] | {"checkpoint_sha256": texts[2]["checkpoint_sha256"]}


def test_tag_with_both_on_a_long_file(partial: Path, tmp_path: Path) -> None:
    import soundfile

    path = tmp_path / "song.wav"
    sound = np.concatenate([sum(music_and_noise(CHUNK_SAMPLES, n)) for n in range(5)])
    soundfile.write(path, 0.3 * sound, SAMPLE_RATE)
    tagger = load_tagger(partial, "attention")
    expected = weighted(tagger, np.concatenate(list(file_chunks(str(path), tagger))))
    found = []
    for aggregate, scores in zip(("mean", "attention"), expected, strict=True):
        command = ("tag", path, "--checkpoint", partial, "--json", "--aggregate", aggregate)
        own = json.loads(run_well(*command).output)[str(path)]
        np.testing.assert_allclose([own[tag] for tag in TAGS], scores, atol=1e-4)
        found.append(own)
    assert found[0] != found[1]
    assert json.loads(run_well(*command[:-2]).output)[str(path)] == found[0], "the default"


def test_embed_and_a_student_take_the_tagger_behind(partial: Path, tmp_path: Path) -> None:
    import soundfile

    from trainer.teacher import load_teacher

    path = tmp_path / "song.wav"
    soundfile.write(path, 0.1 * np.random.default_rng(0).standard_normal(200_000), SAMPLE_RATE)
    run_well("embed", path, "--checkpoint", partial, "-o", tmp_path / "e.npz")
    assert load_teacher(partial, TAGS, CPU).tagger.pooling is None


@pytest.mark.slow
def test_a_grid_scores_its_runs_with_both(clips: Path, tmp_path: Path) -> None:
    out = tmp_path / "grid"
    rows = tmp_path / "rows.toml"
    weighed = '[weighed]\nmethod = "baseline"\naggregate = "attention"\npooling-batch-size = 3\n'
    rows.write_text(f'{weighed}[random]\nmethod = "baseline"\nencoder = "random"\n')
    command = ("grid", "--shards", clips, "--out", out, "--rows", rows, *COMPARISON)
    result = run_well(*command)
    names = {line.split("  ")[0] for line in result.output.splitlines()}
    assert {"weighed-s0", "weighed-s0 (attention)", "random-s0"} <= names
    assert (out / "weighed-s0/pooling").is_dir() and not (out / "random-s0/pooling").exists()
    again = run_well(*command)
    assert "step" not in again.output, "a finished grid trains and scores nothing"
    rows.write_text(f'{weighed}[plain]\nmethod = "baseline"\n')
    refused = run(*command)
    assert refused.exit_code == 2
    assert "got [weighed] and [plain] with the same tagger; one of them will" in refused.output
