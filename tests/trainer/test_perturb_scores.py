"""Perturbed clips on their way from the shard to score files and to the table of runs."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from score_cases import LABEL, METRIC, SNRS_DB, scores_of, write_scores
from tiny_sets import write_set

from manifests.audio import decode_pcm
from manifests.canonical import canonical_json
from manifests.errors import ManifestError
from manifests.shardset import ShardSet
from manifests.signal import from_pcm
from trainer.compare import Comparison, compare_runs
from trainer.compare_grid import Cell, Grid
from trainer.compare_text import grids, markdown_table, text_table, write_comparison
from trainer.data.clips import EvalClip, clip_refs, iter_clips
from trainer.data.members import ShardReader
from trainer.evaluation.embedding_sample import sample_embeddings
from trainer.evaluation.measure import measure_set
from trainer.evaluation.score_file import load_score_file
from trainer.evaluation.scored import Scored, load_scores
from trainer.evaluation.set_clips import evaluation_set
from trainer.perturb.apply import apply_perturbation
from trainer.perturb.names import STANDARD, parse_perturbations
from trainer.plots import plot_scores

CHUNK = 1_200
ITEMS = parse_perturbations(["all"])
PERTURBED = ("drc:speech", "white-noise:0.1")
MEMBERS = ("clean", *SNRS_DB, *PERTURBED)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> ShardSet:
    return write_set(str(tmp_path_factory.mktemp("perturbed")), n_songs=3, halves=False)


def clips(shard_set: ShardSet, n_workers: int = 0, names: str = "all") -> list[EvalClip]:
    refs = clip_refs(shard_set, ["clean", "noisy.snr_0"], chunk_samples=CHUNK)
    perturbations = parse_perturbations([names])
    return list(
        iter_clips(refs, chunk_samples=CHUNK, n_workers=n_workers, perturbations=perturbations)
    )


# ---- clips ----------------------------------------------------------------------------


def test_the_whole_clean_member_is_perturbed_and_then_cut(tiny: ShardSet) -> None:
    found = clips(tiny)
    assert {len(clip.chunks["clean"]) for clip in found} == {4}
    for clip in found:
        assert tuple(clip.chunks) == ("clean", "noisy.snr_0", *STANDARD)
        assert clip.ref.gain_db < 0, "the level of the source file matters below"
        with ShardReader() as reader:
            data = reader.read([(clip.ref, ("clean",))])[0]["clean"]
        signal = from_pcm(decode_pcm(data, "clean")[0])
        for item in ITEMS:
            whole, snr_db = apply_perturbation(
                item, signal, key=clip.ref.key, gain_db=clip.ref.gain_db
            )
            chunks = clip.chunks[item.name]
            assert chunks.shape == (len(whole) // CHUNK, 1, CHUNK)
            assert chunks.dtype == torch.float32
            np.testing.assert_array_equal(
                chunks.flatten().numpy(), whole[: chunks.numel()].astype(np.float32)
            )
            assert clip.snr_db.get(item.name) == snr_db
        assert len(clip.chunks["time-stretch:1.414"]) == 2
        assert len(clip.chunks["time-stretch:0.707"]) == 5
    assert set(found[0].snr_db) == {"white-noise:0.1", "white-noise:0.4"}


def test_neither_order_nor_company_nor_workers_change_a_clip(tiny: ShardSet) -> None:
    whole = {clip.ref.key: clip for clip in clips(tiny)}
    refs = clip_refs(tiny, ["clean"], chunk_samples=CHUNK)[::-1][:2]
    few = parse_perturbations(["white-noise:0.4,drc:speech"])
    others = [
        *clips(tiny, n_workers=2),
        *iter_clips(refs, chunk_samples=CHUNK, perturbations=few),
    ]
    assert len(others) == len(whole) + 2
    for clip in others:
        for name, chunks in clip.chunks.items():
            assert torch.equal(chunks, whole[clip.ref.key].chunks[name]), name
    noises = [clip.chunks["white-noise:0.4"] - 0.6 * clip.chunks["clean"] for clip in others[:2]]
    assert not torch.allclose(noises[0], noises[1], atol=1e-3), "each clip has noise of its own"


def test_the_band_of_the_example_is_kept(tiny: ShardSet) -> None:
    (ref,) = clip_refs(tiny, ["clean"], chunk_samples=CHUNK)[:1]
    shared: Any = {"chunk_samples": CHUNK, "perturbations": parse_perturbations(["white-noise:.4"])}
    (full,) = iter_clips([ref], **shared)
    (limited,) = iter_clips([replace(ref, band_hz=4_000.0)], **shared)
    levels = []
    for clip in (full, limited):
        spectrum = torch.fft.rfft(clip.chunks["white-noise:0.4"] * torch.hann_window(CHUNK)).abs()
        levels.append(float(spectrum[..., round(4_200 * CHUNK / 22_050) :].square().sum()))
    assert levels[1] < 1e-3 * levels[0]


def test_real_recordings_are_perturbed_themselves(tmp_path: Path) -> None:
    recordings = write_set(str(tmp_path), n_songs=2, snrs_db=(), halves=False)
    item = evaluation_set(recordings, recordings.index.tags, chunk_samples=CHUNK,
                          perturbations=ITEMS[-1:])  # fmt: skip
    assert [tuple(clip.chunks) for clip in item.clips()] == [("audio", "white-noise:0.4")] * 4


def test_clips_that_become_too_short_are_named_before_any_is_scored(tiny: ShardSet) -> None:
    (fast,) = parse_perturbations(["time-stretch:4"])
    message = (
        r"shard-000000\.tar: tiny-\S+: time-stretch:4: expected at least one chunk of 1300 samples,"
        r" 1250 are left \(6 of 6 clips are too short\); leave time-stretch:4 out, or build .*"
        r"--min-duration-s 0\.236\)"
    )
    with pytest.raises(ManifestError, match=message):
        evaluation_set(tiny, tiny.index.tags, chunk_samples=1_300, perturbations=[fast])
    evaluation_set(tiny, tiny.index.tags, chunk_samples=1_250, perturbations=[fast])


@pytest.mark.parametrize("n_workers", [0, 2])
def test_a_clip_that_cannot_be_perturbed_ends_the_evaluation(
    tiny: ShardSet, n_workers: int
) -> None:
    refs = [replace(ref, gain_db=-1e9) for ref in clip_refs(tiny, ["clean"], chunk_samples=CHUNK)]
    stream = iter_clips(
        refs, chunk_samples=CHUNK, n_workers=n_workers,
        perturbations=parse_perturbations(["drc:speech"]),
    )  # fmt: skip
    with pytest.raises(ManifestError, match=r"shard-000000\.tar: tiny-\S+: drc:speech: "):
        list(stream)


# ---- figures and score files ----------------------------------------------------------


def test_changes_are_paired_differences_to_clean() -> None:
    found = scores_of(members=MEMBERS)
    found.scores["drc:speech"] = found.scores["clean"].copy()
    figures = measure_set(found, SNRS_DB, METRIC, definitions=dict.fromkeys(PERTURBED, "x"))
    own = {member.member: member for member in figures.members}
    assert list(own) == list(MEMBERS)
    assert [change.member for change in figures.changes] == list(MEMBERS[1:])
    for change in figures.changes:
        after, before = own[change.member], own["clean"]
        for metric in ("auc", "ap"):
            figure, a, b = (getattr(part, metric) for part in (change, after, before))
            assert figure.value == pytest.approx(a.value - b.value, abs=1e-12)
            assert figure.low <= figure.value <= figure.high
    same = figures.changes[2]
    assert same.auc is not None and (same.auc.value, same.auc.low, same.auc.high) == (0, 0, 0)
    worse = figures.changes[1]
    assert worse.auc is not None and worse.auc.high is not None and worse.auc.high < 0, "-10 dB"
    plain = measure_set(scores_of(members=("clean", *SNRS_DB)), SNRS_DB, METRIC)
    assert figures.noisy_mean_auc == plain.noisy_mean_auc, "the ladder's mean is of noise alone"
    drc, noise = figures.perturbed
    assert drc.consistency is not None and drc.consistency.tag_change == 0 and drc.snr is None
    assert noise.snr is not None
    assert (noise.snr.mean_db, noise.snr.lowest_db, noise.snr.highest_db) == pytest.approx(
        (20.0, 10.0, 30.0)
    )


def test_score_files_hold_perturbations(tmp_path: Path) -> None:
    url = write_scores(str(tmp_path), scores_of(members=MEMBERS))
    file, table = load_score_file(url)
    assert tuple(table.scores) == MEMBERS
    assert [item.member for item in file.figures.perturbed] == list(PERTURBED)
    frame = pd.read_parquet(f"{url}.parquet")
    assert (frame.member == "drc:speech").sum() == 60
    sample = sample_embeddings(scores_of(members=MEMBERS))
    assert list(sample.embeddings) == ["clean", *SNRS_DB], "the map is of clean and noisy clips"


def rename(record: dict[str, Any], member: str) -> None:
    record["figures"]["members"][3]["member"] = member
    record["figures"]["perturbed"][0]["member"] = member


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f["figures"]["changes"][2]["auc"].update(value=0.5), "change of drc:speech auc"),
        (lambda f: f["figures"]["changes"][0].update(ap=None), "change of noisy.snr_10 ap"),
        (lambda f: f["figures"]["changes"][0].update(member="x"), "change of x auc: expected None"),
        (lambda f: f["figures"].update(perturbed=[]), r"perturbations \['drc:speech', 'white-no"),
        (lambda f: rename(f, "drc:loud\x1b[2J"), "as train evaluate names them, got 'drc:loud"),
        (lambda f: rename(f, "drc:speech,drc:speech"), "as train evaluate names them"),
        (lambda f: rename(f, "drc"), "expected members clean, noisy.snr_…, audio and perturb"),
        (lambda f: f["figures"]["members"][3].update(snr_db=3.0), "expected members clean"),
        (lambda f: f["figures"]["members"][1].update(snr_db=3.0), "expected members clean"),
        (lambda f: f["figures"]["perturbed"][0].update(definition="\x07"), "printable names"),
        (lambda f: f["figures"]["perturbed"][1].update(snr={}), "SnrFigures: expected fields"),
    ],
)
def test_edited_perturbations_are_refused(
    tmp_path: Path, change: Callable[[dict[str, Any]], None], message: str
) -> None:
    url = write_scores(str(tmp_path), scores_of(members=MEMBERS))
    record = json.loads(Path(url).read_text())
    change(record)
    Path(url).write_text(canonical_json(record))
    with pytest.raises(ManifestError, match=message):
        load_score_file(url)


# ---- the table of runs ----------------------------------------------------------------


def run_of(
    folder: Path, name: str, members: tuple[str, ...] = MEMBERS, *, seed: int = 0, **options: Any
) -> Scored:
    method = options.setdefault("method", name)
    options.setdefault("config", f"{method:c<64}")
    url = write_scores(
        str(folder / name), scores_of(seed, members=members), name=name, seed=seed, **options
    )
    return load_scores([url])[0]


def robustness(comparison: Comparison) -> list[Grid]:
    return [grid for grid in grids(comparison) if ": robustness of " in grid.title]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Scored]:
    folder = tmp_path_factory.mktemp("compared")
    ladder = ("clean", *SNRS_DB)
    return [
        run_of(folder, "baseline"),
        run_of(folder, "plain", ladder),
        run_of(folder, "some", (*ladder, "drc:speech", "pitch-shift:+1")),
        run_of(folder, "large", backbone="transformer"),
        run_of(folder, "other", ladder, backbone="musicnn"),
    ]


def test_one_table_per_backbone_with_the_ladder_behind(runs: list[Scored]) -> None:
    comparison = compare_runs(runs)
    first, second = robustness(comparison)
    assert first.title == "test-musan: robustness of samplecnn"
    assert second.title == "test-musan: robustness of transformer"
    assert first.columns == (
        "clean", "drc:speech", "white-noise:0.1", "pitch-shift:+1", "10 dB", "-10 dB",
    )  # fmt: skip
    assert second.columns == ("clean", *PERTURBED, "10 dB", "-10 dB")
    titles = [title for title, _ in first.sections]
    assert titles[:2] == ["ROC-AUC", "Average precision"]
    assert titles[2].startswith("Change of ROC-AUC to the unchanged clips")
    rows = dict(first.sections[0][1])
    assert list(rows) == ["baseline", "plain", "some"]
    assert [cell == Cell() for cell in rows["plain"]] == [False, True, True, True, False, False]
    assert [cell == Cell() for cell in rows["some"]] == [False, False, True, False, False, False]
    own = {member.member: member for member in runs[0].file.figures.members}
    figures = (own[name].auc for name in ("clean", *PERTURBED))
    found = [rows["baseline"][place].figure for place in (0, 1, 2)]
    assert found == [f"{figure.value:.3f}" for figure in figures if figure]
    changes = dict(first.sections[2][1])["baseline"]
    change = runs[0].file.figures.changes[2].auc
    assert change is not None and changes[1].figure.rstrip("*") == f"{change.value:+.3f}"
    assert changes[0] == Cell(), "clean does not change against itself"


def test_what_was_not_scored_is_said(runs: list[Scored]) -> None:
    comparison = compare_runs(runs, paired=False)
    evaluate = "scored; evaluate it with --perturb too"
    assert comparison.notes == (
        f"test-musan: baseline: no pitch-shift:+1 {evaluate}",
        f"test-musan: plain: no perturbation {evaluate}",
        f"test-musan: some: no white-noise:0.1 {evaluate}",
        f"test-musan: large: no pitch-shift:+1 {evaluate}",
        f"test-musan: other: no perturbation {evaluate}",
        "test-musan: white-noise:0.1 is 20.0 dB SNR on average, clips have 10.0 to 30.0 dB",
    )
    for text in (text_table(comparison), markdown_table(comparison)):
        assert all(note in text for note in comparison.notes)
    assert compare_runs([runs[1], runs[4]], paired=False).notes == ()


def test_the_other_tables_stay_as_they_were(runs: list[Scored], tmp_path: Path) -> None:
    comparison = compare_runs(runs)
    scores = grids(comparison)[0]
    assert scores.columns == ("clean", "10 dB", "-10 dB", "noisy mean")
    (differences,) = [grid for grid in grids(comparison) if ": paired difference" in grid.title]
    assert differences.columns == ("clean", "10 dB", "-10 dB", "noisy mean", *PERTURBED)
    rows = dict(differences.sections[0][1])
    place = differences.columns.index("white-noise:0.1")
    assert rows["large"][place] != Cell() and rows["some"][place] == rows["plain"][place] == Cell()
    assert plot_scores(comparison).axes[0].get_title() == "test-musan"
    write_comparison(str(tmp_path), comparison)
    frame = pd.read_csv(tmp_path / "table.csv")
    own = frame[(frame.column == "drc:speech") & (frame.row == "large")]
    assert set(own.metric) == {"auc", "ap", "auc_change", "ap_change"}
    assert set(own.backbone) == {"transformer"}


def test_seeds_are_averaged_where_all_of_them_were_perturbed(tmp_path: Path) -> None:
    shared: dict[str, Any] = {"method": "dat", "config": "d" * 64}
    both = [run_of(tmp_path, f"dat{seed}", seed=seed, **shared) for seed in (0, 1)]
    comparison = compare_runs(both)
    cells = {(e.column, e.metric): e for e in comparison.entries}
    values = [item.file.figures.changes[2].auc for item in both]
    assert None not in values
    mean = np.mean([figure.value for figure in values if figure])
    cell = cells["drc:speech", "auc_change"]
    assert cell.value == pytest.approx(mean) and cell.spread is not None and cell.low is None
    (grid,) = robustness(comparison)
    assert dict(grid.sections[2][1])["dat ×2"][1].below.startswith("±")
    third = run_of(tmp_path, "dat2", ("clean", *SNRS_DB, "drc:speech"), seed=2, **shared)
    comparison = compare_runs([*both, third])
    assert comparison.notes[0] == (
        "test-musan: dat ×3: white-noise:0.1 left out, for not all 3 seeds were scored on it; "
        "evaluate the others with --perturb too"
    )
    columns = {entry.column for entry in comparison.entries}
    assert "white-noise:0.1" not in columns and "drc:speech" in columns


def test_perturbations_done_otherwise_are_not_compared(tmp_path: Path, runs: list[Scored]) -> None:
    other = run_of(tmp_path, "theirs", definition="another way")
    with pytest.raises(
        ManifestError, match="baseline and theirs: expected one drc:speech, got as said and another"
    ):
        compare_runs([runs[0], other])
    compare_runs([runs[1], other], paired=False)


def test_real_recordings_have_a_table_of_their_own(tmp_path: Path) -> None:
    label = replace(LABEL, name="videos", recipe_id="v" * 64)
    run = run_of(tmp_path, "dat", ("audio", *PERTURBED), label=label)
    (grid,) = robustness(compare_runs([run]))
    assert (grid.title, grid.columns) == ("videos: robustness of samplecnn", ("real", *PERTURBED))
