"""Every method through the command line, on a whole small suite."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tiny_sets import TAGS, write_set
from tiny_suite import (
    COMPARISON,
    DAT,
    MODEL,
    SAMPLES,
    STAGE_1,
    SYSTEM,
    TIMES,
    assert_same_weights,
    run,
    run_well,
    values,
    weights,
)

from trainer.plot_training import plot_training
from trainer.runs.checkpoint import load_checkpoint
from trainer.runs.folder import read_config
from trainer.runs.metrics_log import read_records

PLAIN = {"train/loss", "train/lr", *TIMES}
SNRS = {"train/snr_low_db", "train/snr_high_db"}
AUCS = {f"valid/auc_{name}" for name in ("clean", "snr_10", "snr_0", "snr_-10", "mean")}
METHODS = {
    "baseline": (PLAIN | AUCS | {"train/tag"}, ()),
    "supervised": (PLAIN | AUCS | SNRS | {"train/tag"}, ()),
    "full-clean": (PLAIN | AUCS | {"train/tag"}, ()),
    "labelled-noise": (PLAIN | AUCS | SNRS | {"train/tag"}, ()),
    "consistency": (PLAIN | AUCS | SNRS | {"train/tag", "train/consistency"}, ()),
    "robust": (
        PLAIN | AUCS | SNRS | {"train/tag", "train/tag_noisy", "train/consistency"},
        ("--consistency", "prediction", "--pairs", "all", "--labelled-noise"),
    ),
    "adabn": (SNRS | AUCS, ()),
}


def assert_run(folder: Path, stage: str, expected: set[str]) -> None:
    """A stage's folder holds what DESIGN section 6 says, and the log what the issue names."""
    records = read_records(folder / "metrics.jsonl")
    assert {record["stage"] for record in records} == {stage}
    logged = {name for record in records for name in record}
    assert expected <= logged, sorted(expected - logged)
    kinds = [(r["step"], any(name.startswith("valid/") for name in r)) for r in records]
    assert len(set(kinds)) == len(kinds), "no step stands twice"
    events = EventAccumulator(str(folder / "tensorboard" / stage)).Reload()
    assert set(events.Tags()["scalars"]) == logged - {"stage", "step"}
    last, best = (load_checkpoint(folder / "checkpoints" / name) for name in ("last", "best"))
    assert last.progress["done"] and last.progress["step"] == last.progress["n_steps"]
    assert best.weights.keys() == last.weights.keys()
    assert not best.optimizer, "the best checkpoint is there to be used, not to be resumed"
    assert best.progress["best"] == max(values(folder, "valid/score"))


@pytest.fixture(scope="module")
def finished(suite: Path, dat_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of all comparisons, from one stage 1."""
    folder = tmp_path_factory.mktemp("comparisons")
    for method, (_, options) in METHODS.items():
        run_well(
            method, "--shards", suite, "--out", folder / method, "--encoder", dat_run,
            *COMPARISON, *options,
        )  # fmt: skip
    return folder


@pytest.mark.parametrize("method", METHODS)
def test_comparisons(finished: Path, dat_run: Path, method: str) -> None:
    out = finished / method
    assert_run(out, method, METHODS[method][0])
    assert read_config(out)["method"] == method
    assert not (out / "encoder").exists(), "stage 1 was given"
    before, after = weights(dat_run / "encoder/checkpoints/best"), weights(out / "checkpoints/last")
    assert not torch.equal(before["encoder/first.conv.weight"], after["encoder/first.conv.weight"])
    card = load_checkpoint(out / "checkpoints" / "best").progress
    assert (card["tags"], card["method"], card["band_hz"]) == (list(TAGS), method, None)


def test_the_baseline_behind_adabn_is_called_so(finished: Path) -> None:
    """In its checkpoints, its log and its curves, as it would be by itself."""
    inner = finished / "adabn" / "baseline"
    assert_run(inner, "baseline", METHODS["baseline"][0])
    assert load_checkpoint(inner / "checkpoints" / "best").progress["method"] == "baseline"
    assert_same_weights(inner / "checkpoints/last", finished / "baseline/checkpoints/last")
    logs = [folder / "metrics.jsonl" for folder in (inner, finished / "adabn")]
    canvas = plot_training([record for log in logs for record in read_records(log)], "adabn")
    assert [a.get_title() for a in canvas.axes[:2]] == ["Stage baseline", "Stage adabn"]


def test_all_methods_take_the_same_steps_by_the_same_rule(finished: Path, dat_run: Path) -> None:
    taken = {}
    comparisons = [finished / method for method in METHODS if method != "adabn"]
    for out in (dat_run, *comparisons, finished / "adabn" / "baseline"):
        steps = [r["step"] for r in read_records(out / "metrics.jsonl") if "valid/score" in r]
        last = load_checkpoint(out / "checkpoints" / "last").progress
        taken[out.name] = (last["n_steps"], tuple(steps))
        assert values(out, "valid/score") == values(out, "valid/auc_mean")
    assert set(taken.values()) == {(4, (2, 4))}


def test_dat_trains_three_stages(dat_run: Path) -> None:
    assert_run(
        dat_run / "encoder", "encoder",
        PLAIN | SNRS | {"valid/nt_xent", "valid/nt_xent_clean", "valid/nt_xent_noisy"},
    )  # fmt: skip
    domain = PLAIN | SNRS | {"train/domain_accuracy", "valid/accuracy", "valid/accuracy_snr_-10"}
    assert_run(dat_run / "domain", "domain", domain)
    dat = {"train/tag", "train/domain", "train/domain_accuracy", "train/lambda_alpha"}
    assert_run(dat_run, "dat", PLAIN | SNRS | AUCS | dat)
    held = {
        path.name: {key.split("/")[0] for key in weights(path / "checkpoints" / "best")}
        for path in (dat_run / "encoder", dat_run / "domain", dat_run)
    }
    assert held == {
        "encoder": {"encoder", "projector"},
        "domain": {"encoder", "domain"},
        "dat": {"encoder", "predictor", "domain"},
    }


def test_no_pickle_anywhere(dat_run: Path, finished: Path) -> None:
    """Every file is JSON, safetensors, a TensorBoard record or empty (the lock)."""
    files = [path for out in (dat_run, finished) for path in out.rglob("*") if path.is_file()]
    assert len(files) > 100
    for path in files:
        data = path.read_bytes()
        kind = path.suffix if path.suffix else path.name
        assert kind in (".json", ".jsonl", ".safetensors", ".lock", ".0", ".1", ".2", ".3") or (
            "tfevents" in path.name
        ), path
        assert not data.startswith((b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05", b"PK"))
        if path.suffix == ".json":
            json.loads(data)


def test_one_stage_at_a_time_ends_as_all_at_once(
    suite: Path, dat_run: Path, tmp_path: Path
) -> None:
    first, second, third = tmp_path / "1", tmp_path / "2", tmp_path / "3"
    shared = ("--shards", suite, *DAT)
    run_well("dat", "--stage", "1", "--out", first, *shared)
    assert sorted(path.name for path in first.iterdir()) == ["config.json", "encoder"]
    run_well("dat", "--stage", "2", "--init", first, "--out", second, *shared)
    run_well("dat", "--stage", "3", "--init", second, "--out", third, *shared)
    here = tmp_path / "here"
    for stage in ("1", "2", "3"):
        run_well("dat", "--stage", stage, "--out", here, *shared)
    for out in (third, here):
        assert_same_weights(out / "checkpoints/last", dat_run / "checkpoints/last")


def test_an_encoder_is_taken_from_a_run_a_stage_or_a_checkpoint(
    suite: Path, dat_run: Path, tmp_path: Path
) -> None:
    for number, place in enumerate(("", "encoder", "encoder/checkpoints/best")):
        out = tmp_path / str(number)
        shared = ("--shards", suite, "--out", out, "--encoder", dat_run / place)
        run_well("dat", *shared, *DAT)
        assert_same_weights(out / "checkpoints/last", dat_run / "checkpoints/last")


def test_a_random_encoder_is_another_config(suite: Path, tmp_path: Path) -> None:
    """Else the table would take the two for seeds of one run."""
    out = tmp_path / "run"
    run_well("baseline", "--shards", suite, "--out", out, "--encoder", "random", *COMPARISON)
    assert read_config(out)["encoder_init"] == "random"
    assert not (out / "encoder").exists()


def test_extra_targets_are_heard_in_the_target_half(
    suite: Path, dat_run: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    shared = ("--shards", suite, "--encoder", dat_run)
    run_well("dat", *shared, "--out", out, "--extra-target", *DAT)
    plain, extra = (
        load_checkpoint(r / "checkpoints/last").progress["loaders"] for r in (dat_run, out)
    )
    assert plain["source"] == extra["source"] and plain["target"] != extra["target"]
    assert values(dat_run, "train/loss")[-1] != values(out, "train/loss")[-1]


@pytest.mark.parametrize(
    "options",
    [
        ("--domain-loss", "confusion", "--finetune"),
        ("--domain-loss", "entropy", "--refresh-domain-classifier", "2", "--refresh-steps", "1"),
        ("--consistency", "prediction", "--labelled-noise"),
        ("--no-classifier-batchnorm", "--classifier-dropout", "0.5", "--e2h-classifier", "3"),
        ("--labelled-noise",),
        ("--alpha", "constant", "--lambda", "0.1", "--e2h", "5", "--snr-over", "crop"),
    ],
)  # fmt: skip
def test_forms_of_dat(suite: Path, dat_run: Path, tmp_path: Path, options: tuple[str, ...]) -> None:
    out = tmp_path / "run"
    run_well("dat", "--shards", suite, "--out", out, "--encoder", dat_run, *DAT, *options)
    record = next(r for r in read_records(out / "metrics.jsonl") if "train/loss" in r)
    assert ("train/tag_noisy" in record) == ("--labelled-noise" in options)
    assert ("train/consistency" in record) == ("--consistency" in options)
    learns = "--finetune" in options or "--refresh-domain-classifier" in options
    form = options[1] if options[0] == "--domain-loss" else "reversed"
    assert ("train/classifier" in record) == (learns and form != "reversed")
    if "--alpha" in options:
        assert record["train/lambda_alpha"] == pytest.approx(0.1)
        assert values(out, "train/snr_low_db") == [5.0, 0.0], "an epoch later it is harder"
        assert values(out, "train/snr_high_db") == [10.0, 10.0]


def test_without_a_pretrain_set_stage_1_says_what_it_learns_from(
    suite: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sets = ("--set", f"train={suite}/train", "--set", f"valid={suite}/valid")
    out = tmp_path / "run"
    run_well("dat", "--stage", "1", "--out", out, *sets, *SYSTEM, *MODEL, *STAGE_1)
    assert "no set with the role pretrain-train; it learns from train instead" in caplog.text
    assert weights(out / "encoder/checkpoints/best")


def test_a_set_with_one_rung_trains_with_the_clean_member_as_ingredient(
    suite: Path, dat_run: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What --suite thesis-compact stores serves every method at every SNR."""
    url = str(tmp_path / "compact")
    write_set(url, n_songs=8, n_samples=SAMPLES, snrs_db=(-10.0,), codec="wav", corpus="train")
    shared = ("--shards", suite, "--set", f"train={url}", "--encoder", dat_run)
    answers = (*COMPARISON, "--student-hears", "both", "--teacher-hears", "noisy")
    for method, options in (
        ("dat", DAT), ("supervised", COMPARISON), ("adabn", COMPARISON), ("noisy-student", answers)
    ):  # fmt: skip
        only_rungs = (method, *shared, "--snr-relevel", "rungs", *options)
        refused = run(*only_rungs, "--out", tmp_path / "a")
        assert refused.exit_code == 2, refused.output
        assert "the set stores -10 dB" in refused.output
        assert "--snr-relevel clean" in " ".join(refused.output.split())
        assert not (tmp_path / "a").exists(), "said before anything is written"
        assert not caplog.text
        run_well(method, *shared, "--out", tmp_path / method, *options)
        assert "train stores -10 dB alone" in caplog.text
        caplog.clear()
    run_well(
        "dat", *shared, "--out", tmp_path / "c",
        *("--snr-draw", "stored", "--snr-low-db", "-10", "--snr-high-db", "-10"), *DAT,
    )  # fmt: skip
    assert not caplog.text
    assert values(tmp_path / "dat", "train/loss") != values(tmp_path / "c", "train/loss")


def test_stage_1_on_one_rung(suite: Path, tmp_path: Path) -> None:
    for role in ("pretrain-train", "pretrain-valid"):
        write_set(
            str(tmp_path / role), n_songs=8, n_samples=SAMPLES, snrs_db=(-10.0,), codec="wav",
            halves=role == "pretrain-train", name=role,
        )  # fmt: skip
    sets = [v for p in ("train", "valid")
            for v in ("--set", f"pretrain-{p}={tmp_path}/pretrain-{p}")]  # fmt: skip
    run_well("baseline", "--shards", suite, *sets, "--out", tmp_path / "run", *COMPARISON)
    assert values(tmp_path / "run/encoder", "valid/nt_xent_noisy")
