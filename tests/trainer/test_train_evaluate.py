"""``train evaluate`` and ``train compare`` on runs of a small suite."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from tiny_sets import write_set
from tiny_suite import COMPARISON, RUNGS_DB, SET, run, run_well

from manifests.errors import ManifestError, UsageError
from manifests.shardset import load_set
from manifests.subset import load_subset
from trainer.data import load_refs
from trainer.evaluation.checkpoint import SetRequest
from trainer.grid_scores import score_cell
from trainer.roles import Roles, open_roles

TESTS = ("test-audioset", "test-musan")


@pytest.fixture(scope="module")
def runs(suite: Path, dat_run: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The run of dat, a baseline of two seeds, and the random encoder; all evaluated."""
    folder = tmp_path_factory.mktemp("evaluated")
    shutil.copytree(dat_run, folder / "dat")
    for seed in (0, 1):
        out = folder / f"baseline{seed}"
        options = ("--shards", suite, "--encoder", dat_run, "--seed", seed, *COMPARISON)
        run_well("baseline", "--out", out, *options)
    shared = ("--checkpoint", folder / "dat", "--shards", suite)
    run_well("evaluate", *shared, "--random-encoder", "--out", folder / "random")
    found = [folder / name for name in ("dat", "baseline0", "baseline1")]
    for one in found:
        run_well("evaluate", "--checkpoint", one, "--shards", suite)
    return [*found, folder / "random"]


def test_a_suite_stands_for_its_test_sets(runs: list[Path], suite: Path, tmp_path: Path) -> None:
    for one in runs:
        files = {path.name for path in (one / "evaluation").iterdir()}
        assert {"evaluation.json", *(f"{name}.scores" for name in TESTS)} <= files
    result = run_well("evaluate", "--checkpoint", runs[0], "--shards", suite, "--out", tmp_path)
    for name in TESTS:
        assert f"dat on {name}: 6 clips, 4 tags (0 without both classes left out)" in result.output
    rows = [line.split()[0] for line in result.output.splitlines() if "  AP " in line]
    assert rows == ["clean", *(f"noisy.snr_{snr:g}" for snr in RUNGS_DB)] * 2
    assert f"written to {tmp_path}" in result.output
    parsed = json.loads(
        run_well(
            "evaluate", "--checkpoint", runs[0], "--shards", suite / "test-musan", "--json",
            "--out", tmp_path / "one", "--workers", 1,
        ).stdout
    )  # fmt: skip
    assert [one["label"]["name"] for one in parsed["sets"]] == ["test-musan"]
    whole = json.loads((tmp_path / "evaluation.json").read_text())
    assert parsed["sets"][0] == whole["sets"][1], "workers change no score"


@pytest.mark.parametrize("random", [False, True])
def test_a_subset_and_where_its_scores_are(
    runs: list[Path], suite: Path, tmp_path: Path, random: bool
) -> None:
    thawed, recipe = tmp_path / "test-musan", "ab" * 32
    shutil.copytree(suite / "test-musan", thawed)
    (thawed / "recipe.json").write_text(json.dumps({"recipe_id": recipe}))
    keys = [ref.key for ref in load_refs(load_set(str(thawed)))[:4]]
    subset = tmp_path / "four.subset.json"
    subset.write_text(json.dumps({"recipe_id": recipe, "accept": "identical", "keys": keys}))
    out = tmp_path / "out"
    shared = ("evaluate", "--checkpoint", runs[0], "--shards", thawed, "--subset", subset)
    more = ("--random-encoder",) if random else ()
    result = run_well(*shared, "--out", out, *more)
    assert "on test-musan: 4 clips" in result.output
    written = Path(result.output.splitlines()[-1].removeprefix("written to "))
    assert written == (out / "evaluation" if random else out)
    (scored,) = json.loads((written / "evaluation.json").read_text())["sets"]
    assert scored["label"]["subset_id"] == load_subset(str(subset)).subset_id


def test_scores_of_a_checkpoint_are_its_runs(
    runs: list[Path], suite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(runs[0], tmp_path / "dat")
    shutil.rmtree(tmp_path / "dat" / "evaluation")
    monkeypatch.chdir(tmp_path)
    checkpoint = Path("dat", "checkpoints", "best")
    result = run_well("evaluate", "--checkpoint", checkpoint, "--shards", suite / "test-musan")
    assert result.output.splitlines()[-1] == f"written to {tmp_path / 'dat' / 'evaluation'}"
    assert (tmp_path / "dat" / "evaluation" / "evaluation.json").is_file()


def test_scores_on_a_training_set_are_called_so(
    runs: list[Path], suite: Path, tmp_path: Path
) -> None:
    shared = ("evaluate", "--checkpoint", runs[0], "--out", tmp_path, "--json")
    result = run_well(*shared, "--shards", suite / "train", "--shards", suite / "test-musan")
    assert result.stderr.startswith("train: a training set (split train): its scores say what")
    assert result.stderr.count("a training set") == 1
    assert "evaluate test-musan: step 6/6, " in result.stderr, "progress goes beside the figures"
    assert [one["label"]["name"] for one in json.loads(result.stdout)["sets"]] == [
        "train", "test-musan",
    ]  # fmt: skip


def test_real_recordings_have_a_column_of_their_own(
    runs: list[Path], suite: Path, tmp_path: Path
) -> None:
    write_set(
        str(tmp_path / "real"), name="real", **{**SET, "n_songs": 4, "snrs_db": (), "halves": False}
    )
    sets = ("--shards", tmp_path / "real", "--out", tmp_path / "out")
    result = run_well("evaluate", "--checkpoint", runs[0], *sets)
    assert "dat on real: 4 clips" in result.output and "  audio " in result.output


def test_perturbed_clips_are_scored_and_compared(
    runs: list[Path], suite: Path, tmp_path: Path
) -> None:
    shared = ("--shards", suite / "test-musan", "--out")
    names = ["time-stretch:0.707", "pitch-shift:+1", "drc:speech", "white-noise:0.4"]
    perturb = ("--perturb", ",".join(names[:2]), "--perturb", "drc:speech,white-noise:.4")
    one = run_well("evaluate", "--checkpoint", runs[0], *shared, tmp_path / "dat", *perturb)
    lines = [line.split() for line in one.output.splitlines()]
    for name in names:
        scores, changes = (line for line in lines if line[0] == name)
        assert scores[1] == "AUC" and "unchanged," in changes
        assert ("SNR" in changes) == (name == "white-noise:0.4")
    parsed = json.loads(
        run_well(
            "evaluate", "--checkpoint", runs[1], *shared, tmp_path / "baseline", *perturb, "--json",
            "--workers", 1,
        ).stdout
    )  # fmt: skip
    figures = parsed["sets"][0]["figures"]
    assert [item["member"] for item in figures["perturbed"]] == names
    assert [item["member"] for item in figures["members"]][-4:] == names
    assert figures["perturbed"][3]["snr"]["mean_db"] > figures["perturbed"][3]["snr"]["lowest_db"]
    scores = [tmp_path / name / "test-musan.scores" for name in ("baseline", "dat")]
    plain = runs[2] / "evaluation" / "test-musan.scores"
    table = run_well("compare", *scores, plain, "--out", tmp_path / "table").output
    assert "test-musan: robustness of samplecnn" in table
    assert "baseline1" not in table and "left out, for not all 2 seeds were scored" in table
    random = run_well(
        "evaluate", "--checkpoint", runs[0], *shared, tmp_path / "random", "--random-encoder",
        "--perturb", "white-noise:0.4",
    )  # fmt: skip
    assert "  white-noise:0.4 " in random.output


def test_perturbations_that_are_none_or_do_not_fit(
    runs: list[Path], suite: Path, tmp_path: Path
) -> None:
    shared = ("evaluate", "--checkpoint", runs[0], "--shards", suite, "--out", tmp_path / "out")
    for name, status, text in (
        ("reverb", 2, "--perturb: expected all, or names of time-stretch:SPEED (0.25 to 4; 2"),
        ("drc:radio", 2, "drc:music-standard, drc:speech, white-noise:SHARE"),
        ("", 2, "got ''"),
        ("all", 1, "time-stretch:1.414: expected at least one chunk of 59049 samples, 46782 are"),
    ):
        result = run(*shared, "--perturb", name)
        assert (result.exit_code, text in result.output) == (status, True), result.output
        assert "Traceback" not in result.output
    assert not (tmp_path / "out").exists(), "refused before anything is scored"


def test_wrong_sets(runs: list[Path], suite: Path, dat_run: Path, tmp_path: Path) -> None:
    shared = ("evaluate", "--checkpoint", runs[0], "--shards")
    (tmp_path / "suite.json").write_text('{"train": "train"}')
    for arguments, status, text in (
        ((tmp_path,), 2, "expected a set, or a suite with test-audioset or test-musan"),
        ((tmp_path / "gone",), 1, "expected a suite (suite.json in it"),
        ((suite, "--random-encoder"), 2, "--random-encoder: expected --out DIR"),
        ((suite, "--subset", "x"), 2, "--subset: expected one set, got 2"),
        ((suite / "test-musan", "--shards", suite / "test-musan"), 2, "of different names, got"),
    ):
        result = run(*shared, *arguments)
        assert (result.exit_code, text in result.output) == (status, True), result.output
        assert "Traceback" not in result.output


def test_the_table_of_runs(runs: list[Path], tmp_path: Path) -> None:
    result = run_well("compare", *runs, "--out", tmp_path / "table")
    rows = [line for line in result.output.splitlines() if line.startswith(("baseline", "dat"))]
    assert sum(row.startswith("baseline") for row in rows) >= 1, result.output
    assert not any(line.startswith("baseline1") for line in rows), "seeds of one run are one row"
    assert (tmp_path / "table").is_dir() and "files in" in result.output
    parsed = json.loads(
        run_well("compare", *runs, "--out", tmp_path / "json", "--json", "--no-paired").output
    )
    assert parsed
    fails = run("compare", tmp_path / "gone", "--out", tmp_path / "x")
    assert fails.exit_code in (1, 2) and fails.output.startswith("train: ")
    assert "Traceback" not in fails.output


@pytest.fixture
def went_on(runs: list[Path], tmp_path: Path) -> Path:
    """A copy of a scored run whose best checkpoint is another one now, and its end not reached."""
    copy = Path(shutil.copytree(runs[1], tmp_path / "went-on"))
    shutil.rmtree(copy / "checkpoints" / "best")
    shutil.copytree(runs[2] / "checkpoints" / "best", copy / "checkpoints" / "best")
    state = copy / "checkpoints" / "last" / "state.json"
    record = json.loads(state.read_text())
    record["progress"] |= {"done": False, "step": 3}
    del record["sha256"]
    state.write_text(json.dumps(record))
    return copy


STALE = "scored with other weights than those of the run's best checkpoint; run train evaluate"


def test_scores_of_other_weights_are_named(
    runs: list[Path], went_on: Path, suite: Path, tmp_path: Path
) -> None:
    compare = ("compare", went_on, "--out", tmp_path / "table", "--no-paired")
    assert STALE not in run_well("compare", *runs, *compare[2:]).output
    assert run_well(*compare).output.count(STALE) == len(TESTS)
    assert STALE in (tmp_path / "table" / "table.md").read_text()
    run_well("evaluate", "--checkpoint", went_on, "--shards", suite)
    assert STALE not in run_well(*compare).output


def test_a_run_that_is_not_finished_is_called_so(
    runs: list[Path], went_on: Path, suite: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    said = "not finished, at step 3: its best checkpoint so far is scored"
    for path, times in ((runs[1], 0), (went_on / "checkpoints" / "best", 0), (went_on, 1)):
        run_well("evaluate", "--checkpoint", path, "--shards", suite, "--out", tmp_path / "scores")
        assert caplog.text.count(said) == times


def test_a_cell_is_scored_again_where_its_weights_are_others(
    runs: list[Path], went_on: Path, suite: Path
) -> None:
    requests = [SetRequest(str(suite / name)) for name in TESTS]
    for run_folder, changes in ((runs[1], False), (went_on, True), (went_on, False)):
        path = run_folder / "evaluation" / "evaluation.json"
        before = path.stat().st_mtime_ns
        score_cell(run_folder, requests, device=torch.device("cpu"), aggregates=("mean",))
        assert (path.stat().st_mtime_ns != before) is changes


# ---- roles ----------------------------------------------------------------------------


def test_roles_of_a_suite_a_folder_above_it_and_a_set(suite: Path, tmp_path: Path) -> None:
    whole = open_roles(str(suite))
    assert set(whole.urls) == {
        "pretrain-train", "pretrain-valid", "train", "valid", *TESTS, "extra-target",
    }  # fmt: skip
    (tmp_path / "k2").symlink_to(suite)
    assert open_roles(str(tmp_path)).urls["train"] == str(tmp_path / "k2" / "train")
    one = open_roles(str(suite / "train"))
    assert one.urls == {"train": str(suite / "train")} and "valid" not in one
    assert one.pretrain("train") == "train" and whole.pretrain("valid") == "pretrain-valid"
    laid = open_roles(str(suite), ("train=a", "valid=b=c", "train=d"))
    assert (laid.urls["train"], laid.urls["valid"]) == ("d", "b=c")


def test_roles_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="expected a set with the role train, got none; name one"):
        Roles({}).open("train")
    with pytest.raises(ManifestError, match=r"expected a set with index\.json, found none"):
        Roles({"train": str(tmp_path)}).open("train")
    with pytest.raises(UsageError, match="expected ROLE=SET with a role of pretrain-train, "):
        open_roles(None, ("tests=x",))
    with pytest.raises(UsageError, match="expected the folder of a suite or set, got nothing"):
        open_roles(None)
